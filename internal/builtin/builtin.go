// Package builtin is the placeholder that Tasuki carries, as an image source that can
// be put into ECR.
package builtin

import (
	"context"
	"fmt"
	"sync"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/placeholder"
)

// Source is the built-in placeholder of a handoff, for whichever architecture is
// asked for.
type Source struct {
	Handoff  tasuki.HandoffName
	Registry func(context.Context, tasuki.Repository) (image.Registry, error) // asked for when there is something to push

	mu    sync.Mutex
	built map[tasuki.Architecture]image.Release // to build one takes some 20 ms
}

var _ tasuki.ImageSource = (*Source)(nil)

// String implements [tasuki.ImageSource].
func (s *Source) String() string { return "the built-in image" }

// release returns the image for one architecture, bound to ECR's registry. The
// image is small, and wanted where there is nothing yet: to ask for its blobs first
// would take longer than to send them.
func (s *Source) release(arch tasuki.Architecture) (image.Release, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if release, done := s.built[arch]; done {
		return release, nil
	}
	built, err := placeholder.Build(s.Handoff, arch)
	if err != nil {
		return image.Release{}, err
	}
	source := image.Memory(s.String(), built.Manifest, map[tasuki.Digest][]byte{
		built.ConfigDescriptor.Digest: built.Config, built.LayerDescriptor.Digest: built.Layer,
	})
	release := image.Release{Source: source, Registry: s.Registry, Options: image.PushOptions{AssumeAbsent: true}}
	if s.built == nil {
		s.built = map[tasuki.Architecture]image.Release{}
	}
	s.built[arch] = release
	return release, nil
}

// Inspect implements [tasuki.ImageSource].
func (s *Source) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	release, err := s.release(arch)
	if err != nil {
		return tasuki.Image{}, err
	}
	return release.Inspect(ctx, arch)
}

// Push implements [tasuki.ImageSource].
func (s *Source) Push(ctx context.Context, inspected tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	arch, known := tasuki.ArchitectureFromOCI(inspected.Facts.Architecture)
	if !known {
		return fmt.Errorf("the built-in placeholder is not for %s", inspected.Facts.Architecture)
	}
	release, err := s.release(arch)
	if err != nil {
		return err
	}
	return release.Push(ctx, inspected, repository, tag)
}
