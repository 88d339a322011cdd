package tasuki

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Doctor looks for what will go wrong with a handoff.
type Doctor struct {
	Reconciler
	History      TagHistory
	Repositories Repositories
}

// Examination is what a doctor found.
type Examination struct {
	Status   Status
	Findings []Finding
}

// The rules of a doctor that are not about one image; those are [Rules].
const (
	RuleDisagreement  = "disagreement"         // parameter, function, alias and ECR do not agree
	RuleMovableTags   = "movable-tags"         // a released tag can be moved to another image
	RuleUnprotectable = "unprotectable"        // TagLive cannot follow releases
	RuleUnprotected   = "unprotected"          // TagLive does not name the released image
	RuleLifecycle     = "lifecycle"            // a lifecycle rule may expire the released image
	RuleRollbackGone  = "rollback-target-gone" // the release before the current one is not in ECR
)

// Examine reads everything about a handoff, and changes nothing. With a source, that
// image is judged as a release would judge it.
func (d Doctor) Examine(ctx context.Context, h Handoff, source ImageSource) (Examination, error) {
	var found Examination
	var settings RepositorySettings
	var versions []ParameterVersion
	err := together(ctx,
		func(ctx context.Context) (err error) {
			found.Status, err = d.Status(ctx, h)
			return err
		},
		func(ctx context.Context) (err error) {
			settings, err = d.Repositories.RepositorySettings(ctx, h.Repository)
			return err
		},
		func(ctx context.Context) (err error) {
			if versions, err = d.History.TagHistory(ctx, h.TagParameter); errors.Is(err, ErrMissing) {
				return nil
			}
			return err
		})
	if err != nil {
		return Examination{}, err
	}
	for _, disagreement := range found.Status.Disagreements {
		found.add(RuleDisagreement, SeverityError, disagreement, fmt.Sprintf("Run tasuki reconcile %s, or register the right release.", h.Name))
	}
	found.judgeMutability(h, settings)
	if err := d.judgeReleases(ctx, h, &found, settings, versions); err != nil {
		return Examination{}, err
	}
	if source != nil {
		if err := d.judgeSource(ctx, h, &found, source); err != nil {
			return Examination{}, err
		}
	}
	return found, nil
}

func (e *Examination) add(rule string, severity Severity, summary, fix string) {
	e.Findings = append(e.Findings, Finding{Rule: rule, Severity: severity, Summary: summary, Fix: fix})
}

// judgeMutability holds the repository's settings against what releases need.
func (e *Examination) judgeMutability(h Handoff, settings RepositorySettings) {
	const exclude = "Make the repository IMMUTABLE_WITH_EXCLUSION, with the filter tasuki-*."
	switch settings.Mutability {
	case "MUTABLE":
		e.add(RuleMovableTags, SeverityWarning, fmt.Sprintf("repository %s lets a released tag be moved to another image", h.Repository), exclude)
	case "IMMUTABLE":
		e.add(RuleUnprotectable, SeverityWarning, fmt.Sprintf("repository %s is immutable, so tag %s cannot follow the releases", h.Repository, TagLive), exclude)
	case "IMMUTABLE_WITH_EXCLUSION":
		if !slices.ContainsFunc(settings.Exclusions, func(filter string) bool { return matchesWildcard(filter, TagLive.s) }) {
			e.add(RuleUnprotectable, SeverityWarning, fmt.Sprintf("no exclusion of repository %s is for tag %s, so it cannot follow the releases", h.Repository, TagLive), "Add the exclusion filter tasuki-*.")
		}
	}
}

// judgeReleases looks at the released image, and at the one to roll back to.
func (d Doctor) judgeReleases(ctx context.Context, h Handoff, found *Examination, settings RepositorySettings, versions []ParameterVersion) error {
	current := found.Status.Registered
	if current == nil || found.Status.Digest.IsZero() {
		return nil
	}
	earlier := earlierRelease(h, versions, current)
	refs := []Ref{ByDigest(found.Status.Digest), ByTag(TagLive)}
	if earlier != nil {
		refs = append(refs, earlier.ref())
	}
	manifests, err := d.Images.Manifests(ctx, h.Repository, refs...)
	if err != nil {
		return err
	}
	if earlier != nil {
		if _, there := manifests[earlier.ref()]; !there {
			found.add(RuleRollbackGone, SeverityWarning, fmt.Sprintf("release %s, the one before %s, is not in %s any more, so that tasuki rollback cannot go back to it", earlier.Tag, current.Tag, h.Repository),
				"Let the repository's lifecycle policy keep more images.")
		}
	}
	manifest, there := manifests[ByDigest(found.Status.Digest)]
	if !there {
		return nil // the status says so
	}
	tags := []string{current.Tag.s}
	if manifests[ByTag(TagLive)].Digest == manifest.Digest {
		tags = append(tags, TagLive.s)
	} else {
		found.add(RuleUnprotected, SeverityWarning, fmt.Sprintf("tag %s does not name the released image", TagLive), fmt.Sprintf("Run tasuki reconcile %s.", h.Name))
	}
	if err := found.judgeLifecycle(h, settings, tags); err != nil {
		return err
	}
	arch, err := d.architecture(ctx, h)
	if err != nil {
		return err
	}
	image, err := Inspect(ctx, inRepository{d.Images, h.Repository}, manifest, arch)
	if err != nil {
		return err
	}
	if d.Rules != nil {
		found.Findings = append(found.Findings, d.Rules(image, arch)...)
	}
	return nil
}

// judgeLifecycle asks whether a lifecycle rule may expire the image with these tags.
func (e *Examination) judgeLifecycle(h Handoff, settings RepositorySettings, tags []string) error {
	if settings.LifecyclePolicy == "" {
		return nil
	}
	policy, err := parseLifecyclePolicy(settings.LifecyclePolicy)
	if err != nil {
		return err
	}
	if rule := policy.threatens(tags); rule != nil {
		e.add(RuleLifecycle, SeverityError, fmt.Sprintf("%s, and may expire the released image of %s", rule, h.Name),
			fmt.Sprintf("Give the policy of repository %s a first rule for tags with the prefix tasuki-, which keeps %d images.", h.Repository, spares))
	}
	return nil
}

// judgeSource judges an image that is not released yet.
func (d Doctor) judgeSource(ctx context.Context, h Handoff, found *Examination, source ImageSource) error {
	arch, err := d.architecture(ctx, h)
	if err != nil {
		return err
	}
	image, err := source.Inspect(ctx, arch)
	if errors.Is(err, ErrInvalid) {
		found.add("source", SeverityError, err.Error(), "Build an image for the function's architecture.")
		return nil
	}
	if err != nil {
		return err
	}
	if d.Rules != nil {
		found.Findings = append(found.Findings, d.Rules(image, arch)...)
	}
	return nil
}
