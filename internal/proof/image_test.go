package proof

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// program returns the path of a Go program that is built once for all tests.
func program(name, folder string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(scratch, name)
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %w\n%s", folder, err, output)
		}
		return path, nil
	})
}

// layout is an image as an OCI layout.
type layout struct {
	path   string
	digest string // of the manifest
}

// source names the layout as --image does.
func (l layout) source() string { return "oci:" + l.path }

// images makes images of one function that differ in the version that it answers with.
type images struct {
	function func() (string, error)

	mu    sync.Mutex
	layer []byte
	made  map[string]layout
}

// version returns the image of a version.
func (i *images) version(t testing.TB, name string) layout {
	t.Helper()
	return i.image(t, name, "VERSION="+name)
}

// broken returns an image that fails every invocation.
func (i *images) broken(t testing.TB) layout {
	t.Helper()
	return i.image(t, "broken", "BROKEN=1")
}

func (i *images) image(t testing.TB, name, variable string) layout {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if made, found := i.made[name]; found {
		return made
	}
	if i.layer == nil {
		path, err := i.function()
		if err != nil {
			t.Fatal(err)
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i.layer = archive(t, "function", binary)
	}
	made := layout{path: filepath.Join(scratch, "images", name)}
	made.digest = write(t, made.path, variable, i.layer, archive(t, "version", []byte(name)))
	if i.made == nil {
		i.made = map[string]layout{}
	}
	i.made[name] = made
	return made
}

// archive returns a layer with one file.
func archive(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write writes an OCI layout of one image, and returns its manifest's digest. The
// layers are not compressed: they are unpacked more often than they are sent.
func write(t testing.TB, path, variable string, layers ...[]byte) string {
	t.Helper()
	blobs := filepath.Join(path, v1.ImageBlobsDir, "sha256")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		t.Fatal(err)
	}
	add := func(mediaType string, content []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
		if err := os.WriteFile(filepath.Join(blobs, d.Digest.Encoded()), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return d
	}
	versioned := specs.Versioned{SchemaVersion: 2}
	config := v1.Image{
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   v1.ImageConfig{Entrypoint: []string{"/function"}, WorkingDir: "/", Env: []string{variable}},
		RootFS:   v1.RootFS{Type: "layers"},
	}
	manifest := v1.Manifest{Versioned: versioned, MediaType: v1.MediaTypeImageManifest}
	for _, layer := range layers {
		d := add(v1.MediaTypeImageLayer, layer)
		manifest.Layers = append(manifest.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
	}
	manifest.Config = add(v1.MediaTypeImageConfig, encode(t, config))
	d := add(v1.MediaTypeImageManifest, encode(t, manifest))
	for name, content := range map[string]any{
		v1.ImageIndexFile:  v1.Index{Versioned: versioned, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{d}},
		v1.ImageLayoutFile: v1.ImageLayout{Version: v1.ImageLayoutVersion},
	} {
		if err := os.WriteFile(filepath.Join(path, name), encode(t, content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d.Digest.String()
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
