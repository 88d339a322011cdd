package image

import (
	"cmp"
	"context"

	"github.com/tasuki-dev/tasuki"
)

// deepestIndex is how many indexes may lie within each other. Those of build tools
// have one or two.
const deepestIndex = 4

// Copy copies what source names, an image or an index with all that it lists, into the
// repository of the given name on r under tag, and returns its digest. The zero tag
// leaves it untagged. It converges as [Registry.Push] does, and its errors are of the
// same kinds.
func (r Registry) Copy(ctx context.Context, source *Source, repository tasuki.Repository, tag tasuki.Tag, o PushOptions) (tasuki.Digest, error) {
	to, err := r.destination(repository, tag)
	if err != nil {
		return tasuki.Digest{}, err
	}
	defer to.Close()
	copied, err := to.Copy(ctx, source, o)
	return copied.Digest, err
}

// tree pushes a manifest after all that it lists.
func (p *pusher) tree(ctx context.Context, manifest tasuki.Manifest, tag string, deepest int) error {
	if !manifest.IsIndex() {
		return p.image(ctx, manifest, tag)
	}
	children, err := listed(manifest, deepest)
	if err != nil {
		return &sourceFault{err}
	}
	reference := cmp.Or(tag, manifest.Digest.String())
	if p.ask {
		there, err := p.digestOf(ctx, reference)
		if err != nil || there == manifest.Digest {
			return err
		}
	}
	for _, d := range children {
		child, err := p.source.at.manifest(ctx, d)
		if err != nil {
			return &sourceFault{err}
		}
		if err := p.tree(ctx, child, "", deepest-1); err != nil {
			return err
		}
	}
	return p.unlessThere(ctx, p.put(ctx, manifest, reference), manifest, reference)
}
