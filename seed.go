package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// Seeded is a placeholder that is in ECR.
type Seeded struct {
	Image    ImageURI // by tag
	Digest   Digest
	Pushed   bool // false where it was there already
	Warnings []string
}

// Seed puts the placeholder into the handoff's repository, under the placeholder's
// tag, unless an image is there already. It never replaces one.
func (r Resolver) Seed(ctx context.Context, h Handoff) (Seeded, error) {
	arch, err := r.architecture(ctx, h)
	if err != nil {
		return Seeded{}, err
	}
	if arch == "" {
		arch = X86_64
	}
	found, err := r.Images.Manifests(ctx, h.Repository, ByTag(h.PlaceholderTag))
	if err != nil {
		return Seeded{}, err
	}
	return r.seed(ctx, h, arch, found[ByTag(h.PlaceholderTag)])
}

// seed is Seed, knowing what the placeholder's tag names; the zero Manifest is nothing.
func (r Resolver) seed(ctx context.Context, h Handoff, arch Architecture, there Manifest) (Seeded, error) {
	uri := ImageURI{h.Repository, ByTag(h.PlaceholderTag)}
	if !there.Digest.IsZero() {
		image, warnings, err := r.inspect(ctx, h.Repository, there, h.PlaceholderTag, arch)
		if err != nil {
			return Seeded{}, fmt.Errorf("the placeholder that is in ECR cannot be used: %w", err)
		}
		return Seeded{Image: uri, Digest: image.Digest(), Warnings: warnings}, nil
	}
	if r.Placeholder == nil {
		return Seeded{}, &Error{Op: "find", Side: SideImage, Subject: uri.String(), Kind: ErrMissing, Err: errors.New("no placeholder is in ECR"), Hint: fmt.Sprintf("Put one there: tasuki seed %s.", h.Name)}
	}
	image, err := r.Placeholder.Inspect(ctx, arch)
	if err != nil {
		return Seeded{}, err
	}
	warnings, err := r.Rules.judge(image, r.Placeholder.String(), arch)
	if err != nil {
		return Seeded{}, err
	}
	r.say(h, "putting the placeholder into %s, from %s", uri, r.Placeholder)
	if err := r.Placeholder.Push(ctx, image, h.Repository, h.PlaceholderTag); err != nil {
		return Seeded{}, err
	}
	return Seeded{Image: uri, Digest: image.Digest(), Pushed: true, Warnings: warnings}, nil
}

// say tells the observer what is being done.
func (r Resolver) say(h Handoff, format string, args ...any) {
	if r.Observe != nil {
		r.Observe(Event{Handoff: h.Name, Text: fmt.Sprintf(format, args...)})
	}
}

// warn tells the observer what surprised.
func (r Resolver) warn(h Handoff, warnings ...string) {
	if r.Observe == nil {
		return
	}
	for _, text := range warnings {
		r.Observe(Event{Handoff: h.Name, Warning: true, Text: text})
	}
}
