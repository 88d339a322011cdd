package tasuki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Rollbacker registers an earlier release again.
type Rollbacker struct {
	Reconciler
	History TagHistory
	Writer  TagWriter
}

// RollbackRequest is one rollback.
type RollbackRequest struct {
	To   Tag // zero for the release before the current one
	From Provenance
}

// RolledBack is the end of a rollback.
type RolledBack struct {
	Registered
	Digest       Digest
	Functions    []FunctionChange
	SupersededBy *Release // what is registered now, when it is not the rollback's target
}

// Rollback registers an earlier release, the previous one unless the request names
// it, and reconciles. Where the current release was rolled back to already, the
// previous one is not looked for again: a rollback that was interrupted, and is
// repeated, ends where it was meant to. The target must be among the parameter's last 100 versions,
// its image in ECR, and right for the functions as they are now; else nothing is
// changed. For a stack that is being changed it waits as [Releaser.Release] does.
func (r Rollbacker) Rollback(ctx context.Context, h Handoff, req RollbackRequest) (RolledBack, error) {
	if len(h.Functions) == 0 {
		return RolledBack{}, noFunctions(h)
	}
	var current *Release
	var target Release
	var image Image
	var warnings []string
	err := r.withStackAtRest(ctx, h, func(ctx context.Context) (err error) {
		if current, target, err = r.target(ctx, h, req.To); err != nil {
			return err
		}
		image, warnings, err = r.available(ctx, h, target)
		return err
	})
	if err != nil {
		return RolledBack{}, err
	}
	if target.Record != nil {
		req.From.Commit = cmp.Or(target.Record.Commit, req.From.Commit)
	}
	record := newRecord(h, target.Tag, image.Digest(), req.From)
	record.Rollback = true
	registered, end, err := r.handOn(ctx, h, r.Writer, record, current)
	if err != nil && !registered.done() {
		return RolledBack{}, written(err, mend(h))
	}
	back := RolledBack{Registered: registered, Digest: image.Digest()}
	back.Warnings = append(warnings, registered.Warnings...)
	if err != nil {
		return back, err
	}
	back.Functions = end.Functions
	back.SupersededBy = end.supersedes(target.Tag, back.Digest)
	return back, nil
}

// target returns what is registered, nil for nothing, and the release to go back to.
func (r Rollbacker) target(ctx context.Context, h Handoff, to Tag) (current *Release, target Release, err error) {
	var versions []ParameterVersion
	err = together(ctx,
		func(ctx context.Context) (err error) {
			current, err = Registrar{r.Resolver, r.Writer}.previous(ctx, h)
			return err
		},
		func(ctx context.Context) (err error) {
			versions, err = r.History.TagHistory(ctx, h.TagParameter)
			return err
		})
	if errors.Is(err, ErrMissing) {
		return nil, Release{}, &Error{Op: "read", Side: SideTag, Subject: h.TagParameter.s, Kind: ErrMissing, Err: errors.New("there has been no release to go back to"),
			Hint: fmt.Sprintf("tasuki status %s says what runs.", h.Name)}
	}
	if err != nil {
		return nil, Release{}, err
	}
	if to.IsZero() && current != nil && current.Record != nil && current.Record.Rollback {
		r.warn(h, fmt.Sprintf("%s was rolled back to already; to go elsewhere, name the release with --to", current.Tag))
		return current, *current, nil
	}
	if to.IsZero() {
		if earlier := earlierRelease(h, versions, current); earlier != nil {
			return current, *earlier, nil
		}
	}
	for _, version := range versions {
		if release, err := h.release(version); err == nil && release != nil && release.Tag == to {
			return current, *release, nil
		}
	}
	refusal := &Error{Op: "roll back", Side: SideTag, Subject: h.TagParameter.s, Kind: ErrRefused, Hint: fmt.Sprintf("tasuki history %s lists what was released.", h.Name)}
	if refusal.Err = fmt.Errorf("%s is not among its last %d versions", to, len(versions)); to.IsZero() {
		refusal.Err = errors.New("it holds no release but the one that is registered")
	}
	return nil, Release{}, refusal
}

// earlierRelease returns the newest of the versions that is another release than the
// current one, or nil.
func earlierRelease(h Handoff, versions []ParameterVersion, current *Release) *Release {
	for _, version := range versions {
		if release, err := h.release(version); err == nil && release != nil && !release.same(current) {
			return release
		}
	}
	return nil
}

// ref returns what names the release's image: its digest, else its tag.
func (r Release) ref() Ref {
	if r.Record == nil {
		return ByTag(r.Tag)
	}
	return ByDigest(r.Record.Digest)
}

// same reports whether two releases are of the same image under the same tag.
func (r Release) same(other *Release) bool {
	return other != nil && r.Tag == other.Tag && r.Digest() == other.Digest()
}

// available returns the image of an earlier release, which must still be in ECR and
// right for the functions as they are now.
func (r Rollbacker) available(ctx context.Context, h Handoff, target Release) (Image, []string, error) {
	ref := target.ref()
	var found map[Ref]Manifest
	functions := make([]Function, len(h.Functions))
	reads := []func(context.Context) error{func(ctx context.Context) (err error) {
		found, err = r.Images.Manifests(ctx, h.Repository, ref)
		return err
	}}
	for i, f := range h.Functions {
		reads = append(reads, func(ctx context.Context) (err error) {
			functions[i], err = r.readyFunction(ctx, h, f.Name)
			return err
		})
	}
	if err := together(ctx, reads...); err != nil {
		return Image{}, nil, err
	}
	manifest, there := found[ref]
	if !there {
		return Image{}, nil, &Error{
			Op: "roll back to", Side: SideImage, Subject: ImageURI{h.Repository, ref}.String(), Kind: ErrMissing,
			Err:  fmt.Errorf("release %s is not in repository %s any more", target.Tag, h.Repository),
			Hint: fmt.Sprintf("Choose another one, with --to: tasuki history %s lists what was released.", h.Name),
		}
	}
	arch, err := sharedArchitecture(functions)
	if err != nil {
		return Image{}, nil, err
	}
	return r.inspect(ctx, h.Repository, manifest, target.Tag, arch)
}
