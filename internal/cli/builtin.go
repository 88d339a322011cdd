package cli

import (
	"context"
	"fmt"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/placeholder"
)

// builtin is the placeholder that Tasuki carries, as a source for whichever
// architecture is asked for.
type builtin struct {
	handoff tasuki.HandoffName
	session *session
}

var _ tasuki.ImageSource = builtin{}

func (b builtin) String() string { return "the built-in image" }

// release returns the image for one architecture, bound to ECR's registry. The
// image is small, and wanted where there is nothing yet: to ask for its blobs first
// would take longer than to send them.
func (b builtin) release(arch tasuki.Architecture) (image.Release, error) {
	built, err := placeholder.Build(b.handoff, arch)
	if err != nil {
		return image.Release{}, err
	}
	source := image.Memory(b.String(), built.Manifest, map[tasuki.Digest][]byte{
		built.ConfigDescriptor.Digest: built.Config, built.LayerDescriptor.Digest: built.Layer,
	})
	return image.Release{Source: source, Registry: b.session.registry, Options: image.PushOptions{AssumeAbsent: true}}, nil
}

// Inspect implements [tasuki.ImageSource].
func (b builtin) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	release, err := b.release(arch)
	if err != nil {
		return tasuki.Image{}, err
	}
	return release.Inspect(ctx, arch)
}

// Push implements [tasuki.ImageSource].
func (b builtin) Push(ctx context.Context, inspected tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	arch, known := tasuki.ArchitectureFromOCI(inspected.Facts.Architecture)
	if !known {
		return fmt.Errorf("the built-in placeholder is not for %s", inspected.Facts.Architecture)
	}
	release, err := b.release(arch)
	if err != nil {
		return err
	}
	return release.Push(ctx, inspected, repository, tag)
}

// open opens the image that a flag names, bound to ECR's registry. The caller closes
// its Source.
func (s *session) open(reference string) (image.Release, error) {
	source, err := image.Open(s.ctx, reference, image.OpenOptions{})
	if err != nil {
		return image.Release{}, err
	}
	return image.Release{Source: source, Registry: s.registry, Options: image.PushOptions{Progress: s.progress()}}, nil
}
