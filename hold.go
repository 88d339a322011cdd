package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// OriginHeld is the origin of an image that a stack was given before: see [Resolver.Held].
const OriginHeld Origin = "held"

// Hold protects the image that a stack is given, and the one that it was given before.
// CloudFormation keeps both in mind, and goes back to the latter when it rolls the
// stack back, however old it is by then. The tags decide nothing but what
// [Resolver.Held] falls back to: where they cannot be set, a warning is enough. The
// stack is named by its id or its name.
func (r Reconciler) Hold(ctx context.Context, h Handoff, stack string, given Resolution) {
	if r.Tagger == nil || given.Image.Repository != h.Repository {
		return
	}
	last, before := heldTags(stackName(stack), h.Name)
	if err := r.hold(ctx, h, given.Digest, last, before); err != nil {
		r.warn(h, fmt.Sprintf("tag %s, which protects the image that stack %s is given, was not set: %v", last, stackName(stack), err))
	}
}

func (r Reconciler) hold(ctx context.Context, h Handoff, digest Digest, last, before Tag) error {
	found, err := r.Images.Manifests(ctx, h.Repository, ByDigest(digest), ByTag(last))
	if err != nil {
		return err
	}
	given, there := found[ByDigest(digest)]
	if !there {
		return errors.New("the image is not in the repository any more")
	}
	held, holds := found[ByTag(last)]
	if held.Digest == digest {
		return nil
	}
	if holds {
		if err := r.Tagger.TagImage(ctx, h.Repository, held, before); err != nil {
			return err
		}
	}
	return r.Tagger.TagImage(ctx, h.Repository, given, last)
}

// Held returns an image for a stack that is being rolled back, and that Resolve has
// none for: the one that a function runs, else the last that the stack was given, else
// the one that is protected as released. To a rollback any of them is better than a
// failure, which would leave the stack stuck; reconcile puts right what it can.
// ErrMissing says that all could be read, and there is none. The stack is named as it
// was to [Reconciler.Hold].
func (r Resolver) Held(ctx context.Context, h Handoff, stack string) (Resolution, error) {
	var unread []error
	for _, target := range h.Functions {
		f, err := r.Functions.Function(ctx, target.Name)
		if err != nil {
			if !errors.Is(err, ErrMissing) {
				unread = append(unread, err)
			}
			continue
		}
		fits := r.Architecture == "" || r.Architecture == f.Architecture
		if fits && !f.Digest.IsZero() && f.Repository == h.Repository.String() {
			return h.held(f.Digest, OriginFunction, fmt.Sprintf("function %s keeps the image that it runs, %s", f.Name, f.Digest.Short())), nil
		}
	}
	last, before := heldTags(stackName(stack), h.Name)
	found, err := r.Images.Manifests(ctx, h.Repository, ByTag(last), ByTag(before), ByTag(TagLive))
	if err != nil {
		return Resolution{}, err
	}
	for _, tag := range []Tag{last, before, TagLive} {
		if manifest, there := found[ByTag(tag)]; there {
			return h.held(manifest.Digest, OriginHeld, fmt.Sprintf("the stack is given %s again, which the tag %s protects", manifest.Digest.Short(), tag)), nil
		}
	}
	if len(unread) > 0 {
		return Resolution{}, errors.Join(unread...)
	}
	return Resolution{}, &Error{
		Op: "find", Side: SideImage, Subject: h.Repository.String(), Kind: ErrMissing,
		Err: fmt.Errorf("no function runs an image of it, and none is protected by %s or %s", last, TagLive),
	}
}

func (h Handoff) held(digest Digest, origin Origin, why string) Resolution {
	return Resolution{
		Handoff: h.Name, Digest: digest, Image: ImageURI{h.Repository, ByDigest(digest)}, Origin: origin,
		Warnings: []string{"during the rollback, " + why},
	}
}
