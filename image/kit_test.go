package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

var orders = must(tasuki.ParseRepository("123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders"))

func tagOf(s string) tasuki.Tag { return must(tasuki.ParseTag(s)) }

// randomImage returns an image for linux on arch, of OCI's types.
func randomImage(t testing.TB, arch string, layerSize int64, layers int) v1.Image {
	t.Helper()
	img := must(random.Image(layerSize, int64(layers)))
	config := must(img.ConfigFile()).DeepCopy()
	config.OS, config.Architecture, config.Config.Cmd = "linux", arch, []string{"/bootstrap"}
	if arch == "unknown" { // an attestation
		config.OS = arch
	}
	img = must(mutate.ConfigFile(img, config))
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// buildxIndex returns an index as buildx pushes it: an image for each architecture,
// and an attestation manifest for each.
func buildxIndex(t testing.TB, images map[string]v1.Image) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range slices.Sorted(maps.Keys(images)) {
		digest := must(images[arch].Digest())
		index = mutate.AppendManifests(index,
			mutate.IndexAddendum{Add: images[arch], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}},
			mutate.IndexAddendum{Add: randomImage(t, "unknown", 10, 1), Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
				Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.String()},
			}})
	}
	return index
}

// server is a registry that remembers what it was asked.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	before   func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func startServer(t testing.TB, h http.Handler) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.record(h))
	t.Cleanup(s.Close)
	return s
}

func (s *server) record(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		before := s.before
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			h.ServeHTTP(w, r)
		}
	})
}

func (s *server) intercept(before func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// take returns the requests since the last call.
func (s *server) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "http://") }

func (s *server) registry() image.Registry { return image.Registry{Host: s.host(), PlainHTTP: true} }

// registries are implementations of a registry that nobody here wrote.
var registries = map[string]func() http.Handler{
	"go-containerregistry": func() http.Handler { return registry.New(registry.Logger(log.New(io.Discard, "", 0))) },
	"ociregistry":          func() http.Handler { return ociserver.New(ocimem.New(), nil) },
}

// refuse answers with an error of a registry's form.
func refuse(w http.ResponseWriter, status int, code, message string) bool {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
	return true
}

// entry is a member of an archive to be written.
type entry struct {
	name, link string
	typeflag   byte
	content    []byte
}

func writeArchive(t testing.TB, entries ...entry) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(file, tarOf(t, entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.typeflag, Mode: 0o644, Size: int64(len(e.content))}
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entriesOf returns a directory's files as members of an archive.
func entriesOf(t testing.TB, dir string) (entries []entry) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		entries = append(entries, entry{name: "./" + path, content: content})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// memoryImage returns an image of one configuration and the given layers.
func memoryImage(name string, layers ...[]byte) (*image.Source, tasuki.Manifest) {
	config := []byte(`{"os":"linux","architecture":"arm64","config":{"Cmd":["/bootstrap"]},"rootfs":{"type":"layers","diff_ids":[]}}`)
	blobs := map[tasuki.Digest][]byte{tasuki.DigestOf(config): config}
	var descriptors []tasuki.Descriptor
	for _, layer := range layers {
		blobs[tasuki.DigestOf(layer)] = layer
		descriptors = append(descriptors, tasuki.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: tasuki.DigestOf(layer), Size: int64(len(layer))})
	}
	b := must(json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest, "layers": descriptors,
		"config": tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: tasuki.DigestOf(config), Size: int64(len(config))},
	}))
	manifest := tasuki.Manifest{Digest: tasuki.DigestOf(b), MediaType: tasuki.MediaTypeOCIManifest, Bytes: b}
	return image.Memory(name, manifest, blobs), manifest
}

// inspect opens and inspects what must be well.
func inspect(t testing.TB, reference string) (*image.Source, tasuki.Image) {
	t.Helper()
	source, err := image.Open(t.Context(), reference, image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	found, err := source.Inspect(t.Context(), tasuki.ARM64)
	if err != nil {
		t.Fatal(err)
	}
	return source, found
}

func countPrefix(requests []string, prefix string) (n int) {
	for _, request := range requests {
		if strings.HasPrefix(request, prefix) {
			n++
		}
	}
	return n
}

func sprint(requests []string) string { return fmt.Sprintf("\n  %s", strings.Join(requests, "\n  ")) }

func sizeOf(b []byte) string { return strconv.Itoa(len(b)) }
