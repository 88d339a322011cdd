package tasuki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Doctor looks for what will go wrong with a handoff.
type Doctor struct {
	Reconciler
	History      TagHistory
	Repositories Repositories
	Deep         *Depth // nil for what needs no more permissions than a release
}

// Examination is what a doctor looked at, and what is wrong with it.
type Examination struct {
	Status   Status
	Settings RepositorySettings
	Examined []Examined // in the order of a relay: parameter, functions, repository, images
	Findings []Finding  // errors first

	inIndex bool // the released image is in an index that no lifecycle rule takes
}

// Examined is one thing that a doctor looked at, whether or not something is wrong with it.
type Examined struct {
	What    string `json:"what"`    // "tag parameter", "function", "alias", "repository", "image", …
	Subject string `json:"subject"` // which one
	Found   string `json:"found"`   // what it is, or "missing"
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
	RuleImageGone     = "image-gone"           // an image that an alias serves is not in ECR
	RuleUnreadable    = "image-unreadable"     // ECR has an image that is needed, and does not give it
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
	if found.addUnreadable(err) {
		return found, nil // nothing else can be said before it is mended
	}
	if err != nil {
		return Examination{}, err
	}
	found.lookAround(h)
	found.judgeFunctions(h)
	found.judgeMutability(h)
	found.judgeEncryption(h)
	earlier := earlierRelease(h, versions, found.Status.Registered)
	if err := d.judgeReleases(ctx, h, &found, earlier); err != nil {
		return Examination{}, err
	}
	if d.Deep == nil {
		if err := d.judgeAliases(ctx, h, &found); err != nil {
			return Examination{}, err
		}
	}
	if source != nil {
		if err := d.judgeSource(ctx, h, &found, source); err != nil {
			return Examination{}, err
		}
	}
	if d.Deep != nil {
		if err := d.Deep.examine(ctx, h, &found, earlier); err != nil {
			return Examination{}, err
		}
	}
	// "error" is before "warning" in the alphabet, too.
	slices.SortStableFunc(found.Findings, func(a, b Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	return found, nil
}

// addUnreadable adds a finding where an error is ECR's refusal to give an image that it
// has, and reports whether it is: what keeps a doctor from it keeps Lambda from it.
func (e *Examination) addUnreadable(err error) bool {
	refusal, is := errors.AsType[*Error](err)
	if !is || refusal.Side != SideImage || refusal.Kind != ErrRefused {
		return false
	}
	// What ECR says ends in a full stop.
	e.add(RuleUnreadable, SeverityError, strings.TrimSuffix(err.Error(), "."), cmp.Or(HintOf(err), "Push the image again."))
	return true
}

func (e *Examination) look(what, subject, found string, args ...any) {
	e.Examined = append(e.Examined, Examined{what, subject, fmt.Sprintf(found, args...)})
}

// lookAround says what there is, but for the images.
func (e *Examination) lookAround(h Handoff) {
	switch registered := e.Status.Registered; {
	case registered == nil:
		e.look("tag parameter", h.TagParameter.s, "no release")
	default:
		e.look("tag parameter", h.TagParameter.s, "release %s, version %d, written %s", registered.Tag, registered.Version.Version, registered.by())
	}
	for _, f := range e.Status.Functions {
		switch {
		case !f.Exists:
			e.look("function", f.Name, "missing")
		case f.Function.Digest.IsZero():
			e.look("function", f.Name, "package type %s", f.Function.PackageType)
		default:
			e.look("function", f.Name, "%s, runs %s", f.Function.Architecture, f.Function.Digest.Short())
		}
		switch {
		case f.Alias == "":
		case f.Version == "":
			e.look("alias", f.Name+":"+f.Alias, "missing")
		default:
			e.look("alias", f.Name+":"+f.Alias, "version %s, runs %s", f.Version, f.Aliased.Digest.Short())
		}
	}
	is := []string{e.Settings.Mutability}
	if len(e.Settings.Exclusions) > 0 {
		is = append(is, "exclusions "+strings.Join(e.Settings.Exclusions, " "))
	}
	if e.Settings.Encryption != "" {
		is = append(is, "encryption "+e.Settings.Encryption)
	}
	if e.Settings.LifecyclePolicy == "" {
		is = append(is, "no lifecycle policy")
	} else {
		is = append(is, "a lifecycle policy")
	}
	e.look("repository", h.Repository.String(), "%s", strings.Join(is, ", "))
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
		if !said[disagreement.What] {
			e.add(RuleDisagreement, SeverityError, disagreement.What, mendOf(h, disagreement))
		}
	}
}

// mendOf says what to do about a disagreement.
func mendOf(h Handoff, d Disagreement) string {
	if d.Do == "" {
		return fmt.Sprintf("Release again, or register another release: tasuki history %s lists them.", h.Name)
	}
	return strings.ToUpper(d.Do[:1]) + d.Do[1:] + "."
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
func (d Doctor) judgeReleases(ctx context.Context, h Handoff, found *Examination, earlier *Release) error {
	current := found.Status.Registered
	if current == nil || found.Status.Digest.IsZero() {
		return nil
	}
	refs := []Ref{ByDigest(found.Status.Digest), ByTag(TagLive), ByTag(current.Tag)}
	if earlier != nil {
		refs = append(refs, earlier.ref())
	}
	manifests, err := d.Images.Manifests(ctx, h.Repository, refs...)
	if found.addUnreadable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if earlier != nil {
		if _, there := manifests[earlier.ref()]; there {
			found.look("release to roll back to", earlier.Tag.s, "%s", manifests[earlier.ref()].Digest.Short())
		} else {
			found.look("release to roll back to", earlier.Tag.s, "missing")
			found.add(RuleRollbackGone, SeverityWarning, fmt.Sprintf("release %s, the one before %s, is not in %s any more, so that tasuki rollback cannot go back to it", earlier.Tag, current.Tag, h.Repository),
				"Let the repository's lifecycle policy keep more images.")
		}
	}
	manifest, there := manifests[ByDigest(found.Status.Digest)]
	if !there {
		return nil // the status says so
	}
	if manifests[ByTag(TagLive)].Digest != manifest.Digest {
		found.add(RuleUnprotected, SeverityWarning, fmt.Sprintf("tag %s does not name the released image", TagLive), fmt.Sprintf("Run tasuki reconcile %s.", h.Name))
	}
	if err := found.judgeReleaseLifecycle(h, current.Tag, manifest, manifests); err != nil {
		return err
	}
	arch, err := d.architecture(ctx, h)
	if err != nil {
		return err
	}
	const what = "released image"
	subject := current.Tag.s
	image, err := Inspect(ctx, inRepository{d.Images, h.Repository}, manifest, arch)
	if errors.Is(err, ErrInvalid) {
		found.look(what, subject, "%s", manifest.Digest)
		found.addNoImage(subject, err, arch)
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
	return d.judgeImage(ctx, h, found, what, subject, image, arch, func(ctx context.Context) (Layers, error) { return d.Deep.Layers.LayersOf(ctx, h.Repository) })
}

// judgeReleaseLifecycle asks whether a lifecycle rule may take the released image, by the
// tags that a release gives it. One that is in an index stays as long as the index does
// (Amazon ECR User Guide, "Lifecycle policy evaluation rules").
func (e *Examination) judgeReleaseLifecycle(h Handoff, tag Tag, manifest Manifest, manifests map[Ref]Manifest) error {
	var tags []string
	for _, t := range []Tag{tag, TagLive} {
		if manifests[ByTag(t)].Digest == manifest.Digest {
			tags = append(tags, t.s)
		}
	}
	if manifests[ByTag(tag)].lists(manifest.Digest) {
		rule, err := e.threat([]string{tag.s})
		if e.inIndex = rule == nil; e.inIndex || err != nil {
			return err
		}
	}
	return e.judgeLifecycle(h, "the released image of "+h.Name.String(), tags)
}

// addAbout adds findings that are about one image of several.
func (e *Examination) addAbout(subject string, findings ...Finding) {
	for _, f := range findings {
		f.Subject = subject
		e.Findings = append(e.Findings, f)
	}
}

// addNoImage adds that there is no image for the functions, or none that can be read.
func (e *Examination) addNoImage(subject string, err error, arch Architecture) {
	if about, is := errors.AsType[*Error](err); is && about.Err != nil {
		err = about.Err // the subject says what was read
	}
	e.addAbout(subject, Finding{Rule: RuleNoImage, Severity: SeverityError, Summary: err.Error(), Fix: buildForOne(arch)})
}

// judgeImage holds an image against Lambda's rules, and, where the doctor looks deep,
// what is in its layers.
func (d Doctor) judgeImage(ctx context.Context, h Handoff, found *Examination, what, subject string, image Image, arch Architecture, open func(context.Context) (Layers, error)) error {
	in := ""
	if !image.Index.IsZero() {
		d.say(h, "%s is an index; Lambda takes its image for linux/%s, %s", image.Index.Short(), arch.OCI(), image.Digest())
		in = fmt.Sprintf(", for linux/%s in index %s", arch.OCI(), image.Index.Short())
	}
	layers := "1 layer"
	if len(image.Layers) != 1 {
		layers = fmt.Sprintf("%d layers", len(image.Layers))
	}
	found.look(what, subject, "%s%s, %s, %.1f MB compressed", image.Digest(), in, layers, float64(image.Size())/1e6)
	if d.Rules != nil {
		found.addAbout(subject, d.Rules(image, arch)...)
	}
	if d.Deep == nil {
		return nil
	}
	opened, err := open(ctx)
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
	contents, err := d.Deep.Contents(ctx, image, arch, functions, opened)
	if err != nil {
		return err
	}
	if contents.Size > 0 {
		found.look("layers", subject, "%.1f MB uncompressed", float64(contents.Size)/1e6)
	}
	found.addAbout(subject, contents.Findings...)
	return nil
}

// buildForOne says how to build what Lambda takes.
func buildForOne(arch Architecture) string {
	return fmt.Sprintf("Build for one platform, for example with 'docker buildx build --platform linux/%s --provenance=false'.", cmp.Or(arch, X86_64).OCI())
}

// threat returns the lifecycle rule that may take the image with these tags, or nil.
func (e *Examination) threat(tags []string) (*lifecycleRule, error) {
	if e.Settings.LifecyclePolicy == "" {
		return nil, nil
	}
	policy, err := parseLifecyclePolicy(e.Settings.LifecyclePolicy)
	if err != nil {
		return nil, err
	}
	return policy.threatens(tags), nil
}

// judgeLifecycle asks whether a lifecycle rule may take away the image with these tags.
func (e *Examination) judgeLifecycle(h Handoff, which string, tags []string) error {
	rule, err := e.threat(tags)
	if err != nil {
		return err
	}
	if rule != nil {
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
	const what = "image"
	subject := source.String()
	image, err := source.Inspect(ctx, arch)
	if errors.Is(err, ErrInvalid) {
		found.look(what, subject, "no image for linux/%s", cmp.Or(arch, X86_64).OCI())
		found.addNoImage(subject, err, arch)
		return nil
	}
	if err != nil {
		return err
	}
	return d.judgeImage(ctx, h, found, what, subject, image, arch, func(context.Context) (Layers, error) { return source, nil })
}
