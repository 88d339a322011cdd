package image

import (
	"context"

	"github.com/tasuki-dev/tasuki"
)

// Release is a source bound to the registry that it is released to. The registry
// is asked for only when there is something to push, because its credentials cost
// a call to AWS.
type Release struct {
	Source   *Source
	Registry func(context.Context, tasuki.Repository) (Registry, error) // of the repository that it goes into, which may be another account's
	Options  PushOptions
}

var _ tasuki.ImageSource = Release{}

// String implements [tasuki.ImageSource].
func (r Release) String() string { return r.Source.String() }

// Inspect implements [tasuki.ImageSource].
func (r Release) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	return r.Source.Inspect(ctx, arch)
}

// Push implements [tasuki.ImageSource].
func (r Release) Push(ctx context.Context, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	registry, err := r.Registry(ctx, repository)
	if err != nil {
		return err
	}
	return registry.Push(ctx, r.Source, image, repository, tag, r.Options)
}
