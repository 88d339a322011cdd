package image

import (
	"context"
	"errors"
	"io"

	"github.com/tasuki-dev/tasuki"
)

var (
	_ tasuki.InspectedSource = Release{}
	_ tasuki.Layers          = (*Source)(nil)
)

// Layer implements [tasuki.Layers]: it opens a layer of an image that Inspect returned,
// as it is stored. Reading fails before the end where the bytes are not what d says.
func (s *Source) Layer(ctx context.Context, d tasuki.Descriptor) (layer io.ReadCloser, err error) {
	err = retry(ctx, func() error {
		layer, err = s.blob(ctx, d)
		return err
	})
	if err != nil {
		return nil, sourceError("read layer "+d.Digest.Short()+" of", s.name, err)
	}
	return &openLayer{layer, s.name, d}, nil
}

// Layer implements [tasuki.Layers].
func (r Release) Layer(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	return r.Source.Layer(ctx, d)
}

// openLayer is a layer whose failures say what was being read.
type openLayer struct {
	io.ReadCloser
	source string
	layer  tasuki.Descriptor
}

func (l *openLayer) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = sourceError("read layer "+l.layer.Digest.Short()+" of", l.source, err)
	}
	return n, err
}
