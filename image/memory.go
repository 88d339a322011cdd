package image

import (
	"bytes"
	"context"
	"io"

	"github.com/tasuki-dev/tasuki"
)

// memory is an image that the program holds.
type memory struct {
	document tasuki.Manifest
	blobs    map[tasuki.Digest][]byte
}

// Memory returns a source of an image in memory, as the placeholder is. Its
// manifest is an image's; an index is refused when it is inspected. What is wrong
// with it is said when it is read, as of any other source.
func Memory(name string, manifest tasuki.Manifest, blobs map[tasuki.Digest][]byte) *Source {
	return &Source{name, &memory{manifest, blobs}}
}

func (m *memory) root(context.Context) (tasuki.Manifest, error) {
	return newManifest(m.document.Bytes, m.document.MediaType, m.document.Digest)
}

func (m *memory) manifest(_ context.Context, d tasuki.Descriptor) (tasuki.Manifest, error) {
	return tasuki.Manifest{}, failed(tasuki.ErrInvalid, "an image in memory cannot be an index: it lacks the manifest %s", d.Digest.Short())
}

func (m *memory) blob(_ context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	b, found := m.blobs[d.Digest]
	if !found {
		return nil, failed(tasuki.ErrMissing, "it lacks the blob %s", d.Digest.Short())
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m *memory) close() error { return nil }
