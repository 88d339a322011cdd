package tasuki

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// Provenance is what a release record says of where a release came from.
type Provenance struct {
	Commit string
	Actor  string
	Run    string // URL of the CI run
}

// Registrar verifies images and writes tag parameters.
type Registrar struct {
	Resolver
	Writer TagWriter
}

// Registered is what Register wrote.
type Registered struct {
	Release   Release  // as it stands in the parameter
	Previous  *Release // what was registered before; nil for nothing
	Unchanged bool     // the parameter said this already, and was not written
	Warnings  []string
}

// Register verifies that the image under tag is in ECR and right for Lambda, and
// writes the tag parameter. The functions are left alone: reconcile moves them.
func (r Registrar) Register(ctx context.Context, h Handoff, tag Tag, from Provenance) (Registered, error) {
	if err := h.mayRelease(tag); err != nil {
		return Registered{}, err
	}
	var before *Release
	var found map[Ref]Manifest
	var arch Architecture
	err := together(ctx,
		func(ctx context.Context) (err error) {
			before, err = r.previous(ctx, h)
			return err
		},
		func(ctx context.Context) (err error) {
			found, err = r.Images.Manifests(ctx, h.Repository, ByTag(tag))
			return err
		},
		func(ctx context.Context) (err error) {
			arch, err = r.architecture(ctx, h)
			return err
		})
	if err != nil {
		return Registered{}, err
	}
	manifest, there := found[ByTag(tag)]
	if !there {
		return Registered{}, notPushed(h, tag)
	}
	image, warnings, err := r.inspect(ctx, h.Repository, manifest, tag, arch)
	if err != nil {
		return Registered{}, err
	}
	// It is written even where the parameter says the same already: that may be a
	// stale answer, and here nobody reads again.
	registered, err := r.write(ctx, h, newRecord(h, tag, image.Digest(), from), before)
	registered.Warnings = append(warnings, registered.Warnings...)
	return registered, written(err, fmt.Sprintf("Register it again; tasuki status %s shows what is registered.", h.Name))
}

// mayRelease refuses tags that say "no release yet".
func (h Handoff) mayRelease(tag Tag) error {
	if tag == h.PlaceholderTag {
		return invalid("%s is the placeholder's tag, which says that there has been no release: release under another tag", tag)
	}
	return nil
}

func notPushed(h Handoff, tag Tag) error {
	return &Error{
		Op: "find", Side: SideImage, Subject: ImageURI{h.Repository, ByTag(tag)}.String(), Kind: ErrMissing,
		Err:  fmt.Errorf("tag %s is not in repository %s", tag, h.Repository),
		Hint: fmt.Sprintf("Push the image first, or let Tasuki push it: tasuki release %s --tag %s --image SOURCE.", h.Name, tag),
	}
}

// previous returns what is registered before a write. A value that is no tag is
// nothing: writing a release is how it is mended. A parameter of another type is
// not, since a write does not change the type.
func (r Registrar) previous(ctx context.Context, h Handoff) (*Release, error) {
	version, err := r.Tags.ReadTag(ctx, h.TagParameter)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	release, err := h.release(version)
	if errors.Is(err, ErrInvalid) && version.Type == "String" {
		r.warn(h, fmt.Sprintf("%s holds what is no release, and will be written over: %v", h.TagParameter, err))
		return nil, nil
	}
	return release, err
}

func newRecord(h Handoff, tag Tag, digest Digest, from Provenance) Record {
	return Record{Tag: tag, Digest: digest, Repository: h.Repository, Commit: from.Commit, Actor: from.Actor, Run: from.Run, ID: rand.Text()}
}

// ensure writes a record, unless the parameter says the same already. Whoever calls
// it reconciles afterwards, and so finds out if that was a stale answer.
func (r Registrar) ensure(ctx context.Context, h Handoff, record Record, before *Release) (Registered, error) {
	if (Release{Tag: record.Tag, Record: &record}).same(before) {
		return Registered{Release: *before, Previous: before, Unchanged: true}, nil
	}
	return r.write(ctx, h, record, before)
}

// write writes a record. When the answer is lost it looks for its own write before
// it says that it failed.
func (r Registrar) write(ctx context.Context, h Handoff, record Record, before *Release) (Registered, error) {
	registered := Registered{Previous: before}
	description, err := record.Description()
	if err != nil {
		return registered, err
	}
	r.say(h, "registering %s in %s", record.Tag, h.TagParameter)
	version, err := r.Writer.WriteTag(ctx, h.TagParameter, record.Tag, description)
	if err != nil {
		if mayHaveActed(err) {
			version, err = r.findWrite(context.WithoutCancel(ctx), h, record, before, err)
		}
		if err != nil {
			return registered, err
		}
	}
	registered.Release = Release{Tag: record.Tag, Record: &record, Version: ParameterVersion{
		Name: h.TagParameter, Value: record.Tag.s, Type: "String", Version: version, Description: description,
	}}
	if before != nil && version != before.Version.Version+1 {
		registered.Warnings = append(registered.Warnings, fmt.Sprintf("somebody else wrote %s while this release was under way: it was at version %d, and this release is version %d", h.TagParameter, before.Version.Version, version))
	}
	return registered, nil
}

// findWrite looks for a record whose writing was not answered, for as long as a
// read may be stale. It returns lost when it was not written. Where others have
// written more than one version since before, ours may be among those that are
// not shown any more.
func (r Registrar) findWrite(ctx context.Context, h Handoff, record Record, before *Release, lost error) (int64, error) {
	var version ParameterVersion
	found, err := confirm(ctx, func() (_ bool, err error) {
		version, err = r.Tags.ReadTag(ctx, h.TagParameter)
		written, none := ParseRecord(version.Description)
		return none == nil && written.ID == record.ID, err
	})
	next := int64(1)
	if before != nil {
		next = before.Version.Version + 1
	}
	switch {
	case found:
		return version.Version, nil
	case err != nil && !errors.Is(err, ErrMissing):
		return 0, &unknownWrite{errors.Join(lost, err)}
	case err == nil && version.Version > next:
		return 0, &unknownWrite{fmt.Errorf("%w; if it was, somebody else has registered %s since", lost, version.Value)}
	}
	return 0, lost
}

// unknownWrite is a write of which it is not known whether it happened.
type unknownWrite struct{ err error }

func (u *unknownWrite) Error() string {
	return fmt.Sprintf("it is not known whether the tag was registered: %v", u.err)
}
func (u *unknownWrite) Unwrap() error { return u.err }

// written returns err as an [UndoError] with the hint where it is not known whether
// a write happened, and else as it is.
func written(err error, hint string) error {
	var unknown *unknownWrite
	if !errors.As(err, &unknown) {
		return err
	}
	return &UndoError{Err: err, Undo: errors.New("it may have been written"), Hint: hint}
}
