package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// random is a layer of random bytes, which are made anew each time they are read. It
// is gzip's, but not smaller: skopeo and cdk-ecr-deployment's function compress what
// is not.
type random struct {
	seed         uint64
	bytes        int64 // of the content
	size         int64 // of the layer
	hash, diffID v1.Hash
}

func newRandom(seed uint64, bytes int64) (*random, error) {
	l := &random{seed: seed, bytes: bytes}
	content, layer := sha256.New(), sha256.New()
	size := new(written)
	if err := l.write(io.MultiWriter(layer, size), content); err != nil {
		return nil, err
	}
	l.size = int64(*size)
	l.hash = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(layer.Sum(nil))}
	l.diffID = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(content.Sum(nil))}
	return l, nil
}

// write writes the layer, and what is in it.
func (l *random) write(layer, content io.Writer) error {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], l.seed)
	z, err := gzip.NewWriterLevel(layer, gzip.NoCompression)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.MultiWriter(z, content), rand.NewChaCha8(seed), l.bytes); err != nil {
		return err
	}
	return z.Close()
}

// written counts what is written to it.
type written int64

func (w *written) Write(p []byte) (int, error) {
	*w += written(len(p))
	return len(p), nil
}

func (l *random) Compressed() (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(l.write(w, io.Discard)) }()
	return r, nil
}

func (l *random) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *random) DiffID() (v1.Hash, error)             { return l.diffID, nil }
func (l *random) Uncompressed() (io.ReadCloser, error) { return nil, errors.New("nobody asks for it") }
func (l *random) Size() (int64, error)                 { return l.size, nil }
func (l *random) MediaType() (types.MediaType, error)  { return types.OCILayer, nil }

// put puts an image of so many layers of so many bytes into a registry.
func put(ctx context.Context, registry, repository string, layers int, size int64) error {
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{Architecture: "amd64", OS: "linux", Config: v1.Config{Entrypoint: []string{"/bootstrap"}}})
	if err != nil {
		return err
	}
	for i := range layers {
		layer, err := newRandom(uint64(layers)<<32|uint64(i), size)
		if err != nil {
			return err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return err
		}
	}
	reference, err := name.ParseReference(registry+"/"+repository, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(reference, image, remote.WithContext(ctx))
}

// same reports, as an error, where the copy is not complete and equal: the manifest
// byte for byte, and every blob by its digest.
func same(ctx context.Context, from, to string) error {
	want, err := manifestOf(ctx, from)
	if err != nil {
		return err
	}
	got, err := manifestOf(ctx, to)
	if err != nil {
		return err
	}
	if want.Digest != got.Digest || string(want.Manifest) != string(got.Manifest) {
		return fmt.Errorf("%s has the manifest %s and not %s", to, got.Digest, want.Digest)
	}
	image, err := got.Image()
	if err != nil {
		return err
	}
	m, err := image.Manifest()
	if err != nil {
		return err
	}
	destination, err := name.ParseReference(to, name.Insecure)
	if err != nil {
		return err
	}
	for _, blob := range append(m.Layers, m.Config) {
		if err := intact(ctx, destination.Context(), blob); err != nil {
			return err
		}
	}
	return nil
}

func manifestOf(ctx context.Context, reference string) (*remote.Descriptor, error) {
	r, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return nil, err
	}
	return remote.Get(r, remote.WithContext(ctx))
}

func intact(ctx context.Context, repository name.Repository, blob v1.Descriptor) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v2/%s/blobs/%s", repository.RegistryStr(), repository.RepositoryStr(), blob.Digest), nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Timeout: 5 * time.Minute}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	sum := sha256.New()
	if n, err := io.Copy(sum, answer.Body); err != nil || n != blob.Size || hex.EncodeToString(sum.Sum(nil)) != blob.Digest.Hex {
		return fmt.Errorf("blob %s is not whole: %d bytes of %d (%v, %s)", blob.Digest, n, blob.Size, err, answer.Status)
	}
	return nil
}
