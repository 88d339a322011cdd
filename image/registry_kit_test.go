package image_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ociclient"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
	"github.com/tasuki-dev/tasuki"
)

// client returns another client of the registry than the one that is tested.
func (s *server) client() ociregistry.Interface {
	return must(ociclient.New(s.host(), &ociclient.Options{Insecure: true}))
}

// pulled reads all of the image under tag with another client, checks it, and returns it.
func (s *server) pulled(t testing.TB, tag string) v1.Image {
	t.Helper()
	ctx, client := context.Background(), s.client()
	r, err := client.GetTag(ctx, orders.Name(), tag)
	if err != nil {
		t.Fatalf("pull what was pushed: %v", err)
	}
	manifest := must(io.ReadAll(r))
	mediaType := r.Descriptor().MediaType
	config, layers, err := tasuki.Manifest{Bytes: manifest}.ConfigAndLayers()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path string, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, blob := range append(layers, config) {
		r, err := client.GetBlob(ctx, orders.Name(), digest.Digest(blob.Digest.String()))
		if err != nil {
			t.Fatalf("pull blob %s: %v", blob.Digest, err)
		}
		write(filepath.Join(blobs, blob.Digest.String()[len("sha256:"):]), must(io.ReadAll(r)))
	}
	named := v1.Hash{Algorithm: "sha256", Hex: tasuki.DigestOf(manifest).String()[len("sha256:"):]}
	write(filepath.Join(blobs, named.Hex), manifest)
	write(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write(filepath.Join(dir, "index.json"), []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+mediaType+`","digest":"`+named.String()+`","size":`+sizeOf(manifest)+`}]}`))
	img, err := must(layout.FromPath(dir)).Image(named)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// pull is pulled, with the layers checked against the configuration too.
func (s *server) pull(t testing.TB, tag string) v1.Image {
	t.Helper()
	img := s.pulled(t, tag)
	if err := validate.Image(img); err != nil {
		t.Fatalf("what was pushed is not whole: %v", err)
	}
	return img
}

// seed puts an image into the registry with another client.
func (s *server) seed(t testing.TB, repository, tag string, img v1.Image) {
	t.Helper()
	blob := func(content []byte) {
		d := ociregistry.Descriptor{Digest: digest.FromBytes(content), Size: int64(len(content))}
		if _, err := s.client().PushBlob(t.Context(), repository, d, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	blob(must(img.RawConfigFile()))
	for _, layer := range must(img.Layers()) {
		blob(must(io.ReadAll(must(layer.Compressed()))))
	}
	s.seedManifest(t, repository, tag, must(img.RawManifest()), string(must(img.MediaType())))
}

// seedIndex puts an index and its images into the registry.
func (s *server) seedIndex(t testing.TB, repository, tag string, index v1.ImageIndex) {
	t.Helper()
	for _, child := range must(index.IndexManifest()).Manifests {
		s.seed(t, repository, "", must(index.Image(child.Digest)))
	}
	s.seedManifest(t, repository, tag, must(index.RawManifest()), string(must(index.MediaType())))
}

func (s *server) seedManifest(t testing.TB, repository, tag string, manifest []byte, mediaType string) {
	t.Helper()
	if _, err := s.client().PushManifest(t.Context(), repository, tag, manifest, mediaType); err != nil {
		t.Fatal(err)
	}
}
