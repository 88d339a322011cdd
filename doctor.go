package tasuki

import (
	"cmp"
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
	Deep         *Depth // nil for what needs no more permissions than a release
}

// Examination is what a doctor found.
type Examination struct {
	Status   Status
	Settings RepositorySettings
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
	RulePackageType   = "package-type"         // a function does not run images
	RuleOtherRegion   = "other-region"         // a function cannot take images from where the repository is
	RuleIndexTag      = "index-tag"            // the released tag names an index
	RuleNoImage       = "no-image"             // there is no image for the functions, or none that can be read
	RuleEncryption    = "encryption"           // another account can make the images unreadable
)

// InspectedSource is a source whose layers a doctor can look into.
type InspectedSource interface {
	ImageSource
	Layers
}

// Examine reads everything about a handoff, and changes nothing. With a source, that
// image is judged as a release would judge it.
func (d Doctor) Examine(ctx context.Context, h Handoff, source InspectedSource) (Examination, error) {
	var found Examination
	var versions []ParameterVersion
	err := together(ctx,
		func(ctx context.Context) (err error) {
			found.Status, err = d.Status(ctx, h)
			return err
		},
		func(ctx context.Context) (err error) {
			found.Settings, err = d.Repositories.RepositorySettings(ctx, h.Repository)
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
	found.judgeFunctions(h)
	found.judgeMutability(h)
	found.judgeEncryption(h)
	if err := d.judgeReleases(ctx, h, &found, versions); err != nil {
		return Examination{}, err
	}
	if source != nil {
		if err := d.judgeSource(ctx, h, &found, source); err != nil {
			return Examination{}, err
		}
	}
	if d.Deep != nil {
		if err := d.Deep.examine(ctx, h, &found, earlierRelease(h, versions, found.Status.Registered)); err != nil {
			return Examination{}, err
		}
	}
	return found, nil
}

func (e *Examination) add(rule string, severity Severity, summary, fix string) {
	e.Findings = append(e.Findings, Finding{Rule: rule, Severity: severity, Summary: summary, Fix: fix})
}

// judgeFunctions says where the functions disagree with what is registered, and what
// keeps them from taking any image of the repository.
func (e *Examination) judgeFunctions(h Handoff) {
	said := map[string]bool{}
	for _, f := range e.Status.Functions {
		if !f.Exists {
			continue
		}
		if err := f.Function.mustRunImages(); err != nil {
			said[err.Error()] = true
			e.add(RulePackageType, SeverityError, err.Error(), HintOf(err))
		}
		if err := f.Function.mustTakeFrom(h.Repository); err != nil {
			e.add(RuleOtherRegion, SeverityError, err.Error(), HintOf(err))
		}
	}
	for _, disagreement := range e.Status.Disagreements {
		if !said[disagreement] {
			e.add(RuleDisagreement, SeverityError, disagreement, fmt.Sprintf("Run tasuki reconcile %s, or register the right release.", h.Name))
		}
	}
}

// judgeEncryption says who else can make the images unreadable. Lambda itself needs no
// permission on the key: ECR decrypts what it gives out.
func (e *Examination) judgeEncryption(h Handoff) {
	key := parseARN(e.Settings.KMSKey)
	if key.account != "" && key.account != h.Repository.Account() {
		e.add(RuleEncryption, SeverityWarning, fmt.Sprintf("repository %s is encrypted with a key of account %s, which can make its images unreadable", h.Repository, key.account),
			fmt.Sprintf("Make sure that account %s keeps the key and ECR's grant on it, or use a key of account %s.", key.account, h.Repository.Account()))
	}
}

// judgeMutability holds the repository's settings against what releases need.
func (e *Examination) judgeMutability(h Handoff) {
	const exclude = "Make the repository IMMUTABLE_WITH_EXCLUSION, with the filter tasuki-*."
	switch e.Settings.Mutability {
	case "MUTABLE":
		e.add(RuleMovableTags, SeverityWarning, fmt.Sprintf("repository %s lets a released tag be moved to another image", h.Repository), exclude)
	case "IMMUTABLE":
		e.add(RuleUnprotectable, SeverityWarning, fmt.Sprintf("repository %s is immutable, so tag %s cannot follow the releases", h.Repository, TagLive), exclude)
	case "IMMUTABLE_WITH_EXCLUSION":
		if !slices.ContainsFunc(e.Settings.Exclusions, func(filter string) bool { return matchesWildcard(filter, TagLive.s) }) {
			e.add(RuleUnprotectable, SeverityWarning, fmt.Sprintf("no exclusion of repository %s is for tag %s, so it cannot follow the releases", h.Repository, TagLive), "Add the exclusion filter tasuki-*.")
		}
	}
}

// judgeReleases looks at the released image, and at the one to roll back to.
func (d Doctor) judgeReleases(ctx context.Context, h Handoff, found *Examination, versions []ParameterVersion) error {
	current := found.Status.Registered
	if current == nil || found.Status.Digest.IsZero() {
		return nil
	}
	earlier := earlierRelease(h, versions, current)
	refs := []Ref{ByDigest(found.Status.Digest), ByTag(TagLive), ByTag(current.Tag)}
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
	if err := found.judgeLifecycle(h, "the released image of "+h.Name.String(), tags); err != nil {
		return err
	}
	arch, err := d.architecture(ctx, h)
	if err != nil {
		return err
	}
	image, err := Inspect(ctx, inRepository{d.Images, h.Repository}, manifest, arch)
	if errors.Is(err, ErrInvalid) {
		found.add(RuleNoImage, SeverityError, err.Error(), buildForOne(arch))
		return nil
	}
	if err != nil {
		return err
	}
	if tagged := manifests[ByTag(current.Tag)]; tagged.IsIndex() {
		child, err := tagged.Child(arch)
		if err == nil {
			found.add(RuleIndexTag, SeverityWarning, fmt.Sprintf("tag %s names the index %s, which Lambda refuses when it is given by its tag; its image for the functions is %s", current.Tag, tagged.Digest.Short(), child.Digest),
				"Let the infra side use the digest that tasuki resolve prints. "+buildForOne(arch))
		}
	}
	return d.judgeImage(ctx, h, found, image, arch, func(ctx context.Context) (Layers, error) { return d.Deep.Layers.LayersOf(ctx, h.Repository) })
}

// judgeImage holds an image against Lambda's rules, and, where the doctor looks deep,
// what is in its layers.
func (d Doctor) judgeImage(ctx context.Context, h Handoff, found *Examination, image Image, arch Architecture, open func(context.Context) (Layers, error)) error {
	if !image.Index.IsZero() {
		d.say(h, "%s is an index; Lambda takes its image for linux/%s, %s", image.Index.Short(), arch.OCI(), image.Digest())
	}
	if d.Rules != nil {
		found.Findings = append(found.Findings, d.Rules(image, arch)...)
	}
	if d.Deep == nil {
		return nil
	}
	layers, err := open(ctx)
	if err != nil {
		return err
	}
	var functions []Function
	for _, f := range found.Status.Functions {
		if f.Exists {
			functions = append(functions, f.Function)
		}
	}
	d.say(h, "reading the layers of %s, %.1f MB", image.Digest().Short(), float64(image.Size())/1e6)
	findings, err := d.Deep.Contents(ctx, image, arch, functions, layers)
	found.Findings = append(found.Findings, findings...)
	return err
}

// buildForOne says how to build what Lambda takes.
func buildForOne(arch Architecture) string {
	return fmt.Sprintf("Build for one platform, for example with 'docker buildx build --platform linux/%s --provenance=false'.", cmp.Or(arch, X86_64).OCI())
}

// judgeLifecycle asks whether a lifecycle rule may take away the image with these tags.
func (e *Examination) judgeLifecycle(h Handoff, which string, tags []string) error {
	if e.Settings.LifecyclePolicy == "" {
		return nil
	}
	policy, err := parseLifecyclePolicy(e.Settings.LifecyclePolicy)
	if err != nil {
		return err
	}
	if rule := policy.threatens(tags); rule != nil {
		e.add(RuleLifecycle, SeverityError, fmt.Sprintf("%s, and may %s %s", rule, rule.takes(), which),
			fmt.Sprintf("Give the policy of repository %s a first rule for tags with the prefix tasuki-, which keeps %d images.", h.Repository, spares))
	}
	return nil
}

// judgeSource judges an image that is not released yet.
func (d Doctor) judgeSource(ctx context.Context, h Handoff, found *Examination, source InspectedSource) error {
	arch, err := d.architecture(ctx, h)
	if err != nil {
		return err
	}
	image, err := source.Inspect(ctx, arch)
	if errors.Is(err, ErrInvalid) {
		found.add(RuleNoImage, SeverityError, err.Error(), buildForOne(arch))
		return nil
	}
	if err != nil {
		return err
	}
	return d.judgeImage(ctx, h, found, image, arch, func(context.Context) (Layers, error) { return source, nil })
}
