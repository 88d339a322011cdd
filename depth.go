package tasuki

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Depth is what a doctor needs to look deep: into images' layers, and at all that can
// keep Lambda from images that it uses.
type Depth struct {
	Policies RepositoryPolicies
	Stored   StoredImages
	Layers   RepositoryLayers
	Contents ContentRules
}

// The rules of a deep examination that are not about what is in an image.
const (
	RuleArchived = "image-archived"    // an image is in ECR's archive, from where nobody can pull it
	RuleNoPull   = "repository-policy" // the repository's policy does not let Lambda pull
)

// Who pulls for functions, and with which actions.
const (
	lambdaService = "lambda.amazonaws.com"
	pulling       = "ecr:BatchGetImage and ecr:GetDownloadUrlForLayer"
)

// use is an image of the repository that something needs.
type use struct {
	by       string // as in "the image of function orders"
	digest   Digest
	severity Severity // of its being out of reach
	reported bool     // that it is gone is said by another rule
	spared   bool     // that a lifecycle rule may take it is said by another rule, or is meant to be
}

// uses returns the images of the repository that are needed, each once.
func (e *Examination) uses(h Handoff, earlier *Release) []use {
	var all []use
	add := func(u use) {
		if !u.digest.IsZero() && !slices.ContainsFunc(all, func(other use) bool { return other.digest == u.digest }) {
			all = append(all, u)
		}
	}
	if e.Status.Registered != nil {
		// What it is tagged besides may bring it under another rule than a release's tags do.
		said := e.inIndex || slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.Rule == RuleLifecycle })
		add(use{"the released image of " + h.Name.String(), e.Status.Digest, SeverityError, true, said})
	}
	for _, f := range e.Status.Functions {
		if f.Function.Repository == h.Repository.String() {
			add(use{"the image of function " + f.Name, f.Function.Digest, SeverityError, true, false})
		}
		if f.Aliased.Repository == h.Repository.String() {
			add(use{fmt.Sprintf("the image of version %s, which alias %s of function %s serves", f.Version, f.Alias, f.Name), f.Aliased.Digest, SeverityError, false, false})
		}
	}
	if earlier != nil {
		// That lifecycle rules expire old releases is what they are for.
		add(use{fmt.Sprintf("the image of release %s, the one to roll back to", earlier.Tag), earlier.Digest(), SeverityWarning, true, true})
	}
	return all
}

// examine adds what only a deep look shows to what was found.
func (d *Depth) examine(ctx context.Context, h Handoff, found *Examination, earlier *Release) error {
	uses := found.uses(h, earlier)
	var digests []Digest
	for _, u := range uses {
		digests = append(digests, u.digest)
	}
	var stored map[Digest]StoredImage
	var policy string
	err := together(ctx,
		func(ctx context.Context) (err error) {
			if len(digests) > 0 {
				stored, err = d.Stored.StoredImages(ctx, h.Repository, digests...)
			}
			return err
		},
		func(ctx context.Context) (err error) {
			policy, err = d.Policies.RepositoryPolicy(ctx, h.Repository)
			return err
		})
	if err != nil {
		return err
	}
	for _, u := range uses {
		if image, there := stored[u.digest]; there {
			found.look("image in ECR", u.digest.Short(), "%s, %s, tags %s", u.by, image.Status, cmp.Or(strings.Join(image.Tags, " "), "none"))
		} else {
			found.look("image in ECR", u.digest.Short(), "missing")
		}
		if err := found.judgeStored(h, u, stored); err != nil {
			return err
		}
	}
	if policy == "" {
		found.look("repository policy", h.Repository.String(), "none")
	} else {
		found.look("repository policy", h.Repository.String(), "there is one")
	}
	return found.judgePolicy(h, policy)
}

// addGone adds that an image that an alias serves is not in ECR.
func (e *Examination) addGone(h Handoff, u use) {
	e.add(RuleImageGone, u.severity, fmt.Sprintf("%s, %s, is not in %s any more", u.by, u.digest.Short(), h.Repository),
		fmt.Sprintf("Run tasuki reconcile %s, which moves the alias to the released image, or push the image again.", h.Name))
}

// judgeAliases asks whether the images that aliases serve are in ECR; a deep look sees it
// by itself.
func (d Doctor) judgeAliases(ctx context.Context, h Handoff, found *Examination) error {
	var served []use
	var refs []Ref
	for _, u := range found.uses(h, nil) {
		if !u.reported {
			served, refs = append(served, u), append(refs, ByDigest(u.digest))
		}
	}
	if len(refs) == 0 {
		return nil
	}
	manifests, err := d.Images.Manifests(ctx, h.Repository, refs...)
	if found.addUnreadable(err) {
		return nil
	}
	for _, u := range served {
		if _, there := manifests[ByDigest(u.digest)]; !there && err == nil {
			found.addGone(h, u)
		}
	}
	return err
}

// judgeStored asks whether an image that is needed can be pulled, and will be.
func (e *Examination) judgeStored(h Handoff, u use, stored map[Digest]StoredImage) error {
	image, there := stored[u.digest]
	switch {
	case !there && u.reported:
		return nil
	case !there:
		e.addGone(h, u)
		return nil
	case image.Status != "ACTIVE":
		e.add(RuleArchived, u.severity, fmt.Sprintf("%s, %s, is %s in %s, so that Lambda cannot pull it", u.by, u.digest.Short(), image.Status, h.Repository),
			fmt.Sprintf("Restore it with 'aws ecr update-image-storage-class --region %s --registry-id %s --repository-name %s --image-id imageDigest=%s --target-storage-class STANDARD', and keep lifecycle rules from archiving it.",
				h.Repository.Region(), h.Repository.Account(), h.Repository.Name(), u.digest))
	}
	if u.spared {
		return nil
	}
	return e.judgeLifecycle(h, u.by, image.Tags)
}

// judgePolicy asks whether the repository's policy lets Lambda pull for each function.
func (e *Examination) judgePolicy(h Handoff, text string) error {
	policy, err := parseRepositoryPolicy(text)
	if err != nil {
		return err
	}
	for _, f := range e.Status.Functions {
		at := parseARN(f.Function.ARN)
		if !f.Exists || at.account == "" {
			continue
		}
		across := at.account != h.Repository.Account()
		allowed, denied := policy.lambdaPulls(f.Function.ARN, at.account)
		switch {
		case denied:
			e.add(RuleNoPull, SeverityError, fmt.Sprintf("the policy of repository %s denies Lambda %s for function %s", h.Repository, pulling, f.Name),
				"Take the Deny away for the service "+lambdaService+".")
		case !allowed && across:
			e.add(RuleNoPull, SeverityError, fmt.Sprintf("the policy of repository %s does not let Lambda pull images for function %s of account %s", h.Repository, f.Name, at.account),
				fmt.Sprintf("Allow the service %s %s there, with the condition that aws:sourceARN is like arn:%s:lambda:%s:%s:function:*.", lambdaService, pulling, at.partition, at.region, at.account))
		case !allowed:
			// Lambda adds the permission itself, for a caller who may change the policy.
			e.add(RuleNoPull, SeverityWarning, fmt.Sprintf("the policy of repository %s does not let Lambda pull images for function %s; Lambda adds the permission only for a caller who may change the policy", h.Repository, f.Name),
				fmt.Sprintf("Allow the service %s %s in the repository's policy.", lambdaService, pulling))
		}
		if across && !policy.accountPulls(at.account) {
			e.add(RuleNoPull, SeverityError, fmt.Sprintf("the policy of repository %s does not let account %s pull images, which function %s needs", h.Repository, at.account, f.Name),
				fmt.Sprintf("Allow arn:%s:iam::%s:root %s in the repository's policy.", at.partition, at.account, pulling))
		}
	}
	return nil
}
