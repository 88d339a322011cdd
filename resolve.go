package tasuki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
)

// Origin says where a resolution found its image.
type Origin string

// The origins, in the order in which they are looked at.
const (
	OriginParameter   Origin = "parameter"   // a release is registered
	OriginFunction    Origin = "function"    // none is, but the function runs an image that is not the placeholder
	OriginPlaceholder Origin = "placeholder" // neither
)

// Resolution is the image that a handoff's functions should run, and why.
type Resolution struct {
	Handoff  HandoffName
	Tag      Tag // zero where the image is known by its digest alone
	Digest   Digest
	Image    ImageURI // by digest
	Origin   Origin
	Release  *Release // what is registered; nil where nothing is
	Warnings []string

	manifest  Manifest // of the registered image; zero where nothing is registered
	protected Digest   // what TagLive names
}

// Resolver says which image a handoff's functions should run.
type Resolver struct {
	Tags        TagReader
	Functions   FunctionReader
	Images      Images
	Rules       Rules       // judges images that nobody has judged before
	Placeholder ImageSource // put into ECR when it is needed; nil refuses such a resolution
	Observe     Observer

	// Architecture is the one that the functions are about to have, for those who are
	// asked before the functions are changed, as CloudFormation does; "" for the one
	// that they have. What was released for another is then refused.
	Architecture Architecture
}

// Resolve returns the image that the handoff's functions should run:
//
//  1. the registered release's, which must be in ECR;
//  2. else the one that a function runs, unless that is the placeholder;
//  3. else the placeholder, which is put into ECR where it is not there yet.
//
// Only a parameter that SSM has called missing for 5 s leads past the first step;
// every other failure to read it is returned.
func (r Resolver) Resolve(ctx context.Context, h Handoff) (Resolution, error) {
	return r.resolve(ctx, h, 0)
}

// resolve is Resolve that does not believe a version of the parameter before atLeast.
func (r Resolver) resolve(ctx context.Context, h Handoff, atLeast int64) (Resolution, error) {
	release, err := r.registered(ctx, h, atLeast)
	if err != nil {
		return Resolution{}, err
	}
	if release != nil {
		return r.released(ctx, h, *release)
	}
	return r.unreleased(ctx, h)
}

// registered returns the registered release, or nil when there has been none.
func (r Resolver) registered(ctx context.Context, h Handoff, atLeast int64) (*Release, error) {
	version, err := r.confirmed(ctx, h.TagParameter, atLeast)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return h.release(version)
}

// release reads a version of the handoff's tag parameter; nil means that the
// version says that there has been no release.
func (h Handoff) release(version ParameterVersion) (*Release, error) {
	release, err := version.Release()
	if err != nil {
		return nil, err
	}
	if release.Tag == h.PlaceholderTag {
		// Recipes write the placeholder's tag when they create the parameter.
		return nil, nil
	}
	return &release, nil
}

// confirmed reads the tag parameter until the answer can be believed: a version of
// at least atLeast, or ErrMissing for 5 s on end.
func (r Resolver) confirmed(ctx context.Context, name ParameterName, atLeast int64) (ParameterVersion, error) {
	var version ParameterVersion
	believed, err := confirm(ctx, func() (_ bool, err error) {
		version, err = r.Tags.ReadTag(ctx, name)
		return version.Version >= atLeast, err
	})
	if err != nil && !(errors.Is(err, ErrMissing) && atLeast > 0) {
		return ParameterVersion{}, err
	}
	if believed {
		return version, nil
	}
	return ParameterVersion{}, &Error{
		Op: "read", Side: SideTag, Subject: name.s, Kind: ErrUnavailable,
		Err:  fmt.Errorf("version %d was written, but SSM has not shown it for %s", atLeast, confirmWithin),
		Hint: "Run 'tasuki reconcile' when the parameter can be read; if somebody deleted it meanwhile, register the release again.",
	}
}

// released resolves to what is registered.
func (r Resolver) released(ctx context.Context, h Handoff, release Release) (Resolution, error) {
	refs := []Ref{ByTag(release.Tag), ByTag(TagLive)}
	if release.Record != nil {
		refs = append(refs, ByDigest(release.Record.Digest))
	}
	found, err := r.Images.Manifests(ctx, h.Repository, refs...)
	if err != nil {
		return Resolution{}, err
	}
	tagged, isTagged := found[ByTag(release.Tag)]
	res := Resolution{Handoff: h.Name, Tag: release.Tag, Origin: OriginParameter, Release: &release, protected: found[ByTag(TagLive)].Digest}
	if release.Record != nil {
		res.Digest = release.Record.Digest
		res.Image = ImageURI{h.Repository, ByDigest(res.Digest)}
		var there bool
		if res.manifest, there = found[ByDigest(res.Digest)]; !there {
			return Resolution{}, notInECR(h, release, res.Digest)
		}
		res.Warnings = movedTag(release, tagged, isTagged)
		if r.Architecture != "" {
			_, warnings, err := r.inspect(ctx, h.Repository, res.manifest, release.Tag, r.Architecture)
			if err != nil {
				return Resolution{}, err
			}
			res.Warnings = append(res.Warnings, warnings...)
		}
		return res, nil
	}
	if !isTagged {
		return Resolution{}, notInECR(h, release, Digest{})
	}
	// Nobody has judged a value that was written by hand.
	arch, err := r.architecture(ctx, h)
	if err != nil {
		return Resolution{}, err
	}
	image, warnings, err := r.inspect(ctx, h.Repository, tagged, release.Tag, arch)
	if err != nil {
		return Resolution{}, err
	}
	res.Digest, res.manifest, res.Warnings = image.Digest(), image.Manifest, warnings
	res.Image = ImageURI{h.Repository, ByDigest(res.Digest)}
	return res, nil
}

func notInECR(h Handoff, release Release, digest Digest) error {
	subject := ImageURI{h.Repository, ByTag(release.Tag)}.String()
	err := fmt.Errorf("%s registers tag %s, which is not in repository %s", h.TagParameter, release.Tag, h.Repository)
	if !digest.IsZero() {
		err = fmt.Errorf("%s registers tag %s as %s, which is not in repository %s", h.TagParameter, release.Tag, digest, h.Repository)
	}
	hint := fmt.Sprintf("Push the image again under its digest, or register another release: tasuki history %s lists them.", h.Name)
	if release.Record != nil && !release.Record.Repository.IsZero() && release.Record.Repository != h.Repository {
		// As where a stack was deleted, which keeps its repository, and is deployed again with a new one.
		hint = fmt.Sprintf("It was released in repository %s: import that one into the stack, or copy the image.", release.Record.Repository)
	}
	return &Error{Op: "find", Side: SideImage, Subject: subject, Kind: ErrMissing, Err: err, Hint: hint}
}

// movedTag warns when the registered tag names another image now. The record's
// digest is what was tested, and stays what is deployed.
func movedTag(release Release, tagged Manifest, isTagged bool) []string {
	switch {
	case !isTagged:
		return []string{fmt.Sprintf("tag %s is gone from ECR; the image that was released under it, %s, is still there and is used", release.Tag, release.Record.Digest.Short())}
	case tagged.Digest == release.Record.Digest, tagged.lists(release.Record.Digest):
		return nil
	}
	return []string{fmt.Sprintf("tag %s was moved after its release: it names %s now, and the released image %s is used", release.Tag, tagged.Digest.Short(), release.Record.Digest.Short())}
}

// architecture returns the architecture that the handoff's image needs: the one that
// the functions are about to have, else the contract's, else the live functions', else
// "" for unknown.
func (r Resolver) architecture(ctx context.Context, h Handoff) (Architecture, error) {
	if r.Architecture != "" {
		return r.Architecture, nil
	}
	for _, f := range h.Functions {
		if f.Architecture != "" {
			return h.Architecture()
		}
	}
	for _, f := range h.Functions {
		live, err := r.Functions.Function(ctx, f.Name)
		if errors.Is(err, ErrMissing) {
			continue
		}
		return live.Architecture, err
	}
	return "", nil
}

// inspect reads what a manifest in the repository is, and judges it.
func (r Resolver) inspect(ctx context.Context, repository Repository, manifest Manifest, tag Tag, arch Architecture) (Image, []string, error) {
	subject := ImageURI{repository, ByTag(tag)}.String()
	image, err := Inspect(ctx, inRepository{r.Images, repository}, manifest, arch)
	if errors.Is(err, ErrInvalid) {
		return Image{}, nil, &Error{Op: "check", Side: SideImage, Subject: subject, Kind: ErrRefused, Err: err}
	}
	if err != nil {
		return Image{}, nil, err
	}
	warnings, err := r.Rules.judge(image, subject, arch)
	return image, warnings, err
}

// unreleased resolves a handoff that has no registered release.
func (r Resolver) unreleased(ctx context.Context, h Handoff) (Resolution, error) {
	live := make([]*Function, len(h.Functions))
	var found map[Ref]Manifest
	reads := []func(context.Context) error{func(ctx context.Context) (err error) {
		found, err = r.Images.Manifests(ctx, h.Repository, ByTag(h.PlaceholderTag), ByTag(TagLive))
		return err
	}}
	for i, target := range h.Functions {
		reads = append(reads, func(ctx context.Context) error {
			f, err := r.Functions.Function(ctx, target.Name)
			if errors.Is(err, ErrMissing) {
				return nil
			}
			if err == nil {
				live[i] = &f
			}
			return err
		})
	}
	if err := together(ctx, reads...); err != nil {
		return Resolution{}, err
	}
	placeholder := found[ByTag(h.PlaceholderTag)]
	adopted, err := r.adopt(ctx, h, live, placeholder.Digest)
	if err != nil {
		return Resolution{}, err
	}
	if adopted != nil {
		return *adopted, nil
	}
	if image, released := found[ByTag(TagLive)]; released {
		return Resolution{}, &Error{
			Op: "resolve", Side: SideTag, Subject: h.TagParameter.s, Kind: ErrRefused,
			Err:  fmt.Errorf("no release is registered and no function runs one, but %s has had a release: its tag %s protects %s", h.Repository, TagLive, image.Digest),
			Hint: fmt.Sprintf("Register that release again: tasuki register %s --tag TAG.", h.Name),
		}
	}
	arch, err := h.Architecture()
	if err != nil {
		return Resolution{}, err
	}
	for _, f := range live {
		if f != nil {
			arch = f.Architecture
		}
	}
	arch = cmp.Or(r.Architecture, arch)
	seeded, err := r.seed(ctx, h, arch, placeholder)
	if err != nil {
		return Resolution{}, err
	}
	return Resolution{
		Handoff: h.Name, Tag: h.PlaceholderTag, Digest: seeded.Digest, Origin: OriginPlaceholder,
		Image: ImageURI{h.Repository, ByDigest(seeded.Digest)}, Warnings: seeded.Warnings,
	}, nil
}

// adopt returns the image that the functions run, if it is not the placeholder:
// a function that works is never put back to one that does not.
func (r Resolver) adopt(ctx context.Context, h Handoff, live []*Function, placeholder Digest) (*Resolution, error) {
	var adopted *Function
	for _, f := range live {
		if f == nil {
			continue
		}
		if err := f.mustRunImages(); err != nil {
			return nil, err
		}
		is, err := r.runsPlaceholder(ctx, h, *f, placeholder)
		if err != nil {
			return nil, err
		}
		switch {
		case is:
		case adopted == nil:
			adopted = f
		case adopted.Digest != f.Digest:
			return nil, &Error{
				Op: "resolve", Side: SideFunction, Subject: f.Name, Kind: ErrRefused,
				Err:  fmt.Errorf("no release is registered in %s, and the functions run different images: %s runs %s, %s runs %s", h.TagParameter, adopted.Name, adopted.Digest.Short(), f.Name, f.Digest.Short()),
				Hint: fmt.Sprintf("Say which one it is: tasuki register %s --tag TAG.", h.Name),
			}
		}
	}
	if adopted == nil {
		return nil, nil
	}
	if r.Architecture != "" && adopted.Architecture != r.Architecture {
		return nil, &Error{
			Op: "resolve", Side: SideFunction, Subject: adopted.Name, Kind: ErrRefused,
			Err:  fmt.Errorf("no release is registered in %s, and the image that function %s runs is for %s, not for %s", h.TagParameter, adopted.Name, adopted.Architecture, r.Architecture),
			Hint: fmt.Sprintf("Register a release that was built for %s, and then change the architecture: tasuki register %s --tag TAG --architecture %s.", r.Architecture, h.Name, r.Architecture),
		}
	}
	res := &Resolution{
		Handoff: h.Name, Digest: adopted.Digest, Image: ImageURI{h.Repository, ByDigest(adopted.Digest)}, Origin: OriginFunction,
		Warnings: []string{fmt.Sprintf("no release is registered in %s, so function %s keeps the image that it runs, %s; register it with 'tasuki register %s --tag TAG'", h.TagParameter, adopted.Name, adopted.Digest.Short(), h.Name)},
	}
	if uri, err := ParseImageURI(adopted.ImageURI); err == nil {
		res.Tag = uri.Ref.Tag()
	}
	if repository, err := ParseRepository(adopted.Repository); err == nil {
		res.Image.Repository = repository
	}
	return res, nil
}

// mustRunImages refuses a function whose code is a zip archive.
func (f Function) mustRunImages() error {
	if f.PackageType == "Image" {
		return nil
	}
	return &Error{
		Op: "use", Side: SideFunction, Subject: f.Name, Kind: ErrRefused,
		Err:  fmt.Errorf("its package type is %s, and Lambda never turns a function of one package type into the other", f.PackageType),
		Hint: "Create a function with PackageType Image, or name the right one.",
	}
}

// runsPlaceholder reports whether a function runs the placeholder: the image under
// the placeholder's tag, or one that carries the built-in's label (the tag may be
// gone, or may name another image by now).
func (r Resolver) runsPlaceholder(ctx context.Context, h Handoff, f Function, placeholder Digest) (bool, error) {
	if f.Digest == placeholder || strings.HasSuffix(f.ImageURI, ":"+h.PlaceholderTag.s) {
		return true, nil
	}
	found, err := r.Images.Manifests(ctx, h.Repository, ByDigest(f.Digest))
	if err != nil {
		return false, err
	}
	manifest, there := found[ByDigest(f.Digest)]
	if !there {
		// It runs, so it was there; what it was cannot be seen any more.
		return false, nil
	}
	image, err := Inspect(ctx, inRepository{r.Images, h.Repository}, manifest, f.Architecture)
	if err != nil {
		return false, err
	}
	_, is := image.Facts.Config.Labels[PlaceholderLabel]
	return is, nil
}
