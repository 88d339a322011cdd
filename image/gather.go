package image

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// mostManifests is how many bytes of manifests a layout is written with: those of an
// image for every platform, with its attestations, have some tens of kilobytes.
const mostManifests = 64 << 20

// bundle is all that is copied of a source: what a manifest names, down to the blobs.
type bundle struct {
	root      tasuki.Manifest
	manifests []tasuki.Manifest   // each once, after those that it lists; root is the last
	blobs     []tasuki.Descriptor // each once, largest first
}

// gather reads the manifests below root. Its errors are the source's.
func gather(ctx context.Context, source *Source, root tasuki.Manifest) (*bundle, error) {
	b := &bundle{root: root}
	seen := map[tasuki.Digest]bool{}
	size := 0
	var add func(manifest tasuki.Manifest, deepest int) error
	add = func(manifest tasuki.Manifest, deepest int) error {
		if seen[manifest.Digest] {
			return nil
		}
		seen[manifest.Digest] = true
		if size += len(manifest.Bytes); size > mostManifests {
			return failed(tasuki.ErrInvalid, "its manifests have more than %d MiB, and none that are honest have so many", mostManifests>>20)
		}
		if manifest.IsIndex() {
			children, err := listed(manifest, deepest)
			if err != nil {
				return err
			}
			for _, d := range children {
				child, err := source.at.manifest(ctx, d)
				if err != nil {
					return err
				}
				if err := add(child, deepest-1); err != nil {
					return err
				}
			}
		} else {
			blobs, err := blobsOf(manifest)
			if err != nil {
				return err
			}
			b.blobs = append(b.blobs, blobs...)
		}
		b.manifests = append(b.manifests, manifest)
		return nil
	}
	if err := add(root, deepestIndex); err != nil {
		return nil, &sourceFault{err}
	}
	b.blobs = eachOnce(b.blobs)
	return b, nil
}

// listed returns what an index lists, which may lie within so many others.
func listed(index tasuki.Manifest, deepest int) ([]tasuki.Descriptor, error) {
	if deepest == 0 {
		return nil, failed(tasuki.ErrInvalid, "more than %d indexes lie within each other", deepestIndex)
	}
	var document struct{ Manifests []tasuki.Descriptor }
	if err := json.Unmarshal(index.Bytes, &document); err != nil {
		return nil, failed(tasuki.ErrInvalid, "the index %s is not JSON of its form: %s", index.Digest.Short(), printable(err.Error()))
	}
	return document.Manifests, nil
}

// eachOnce returns blobs largest first, so that the last to end is not the one that
// takes longest, and without those that are there already.
func eachOnce(blobs []tasuki.Descriptor) []tasuki.Descriptor {
	slices.SortStableFunc(blobs, func(a, b tasuki.Descriptor) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Digest.String(), b.Digest.String()))
	})
	return slices.CompactFunc(blobs, func(a, b tasuki.Descriptor) bool { return a.Digest == b.Digest })
}
