//go:build cdk

package stacks

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// images makes images of one function that differ in the version that it answers with.
type images struct {
	dir      string
	function v1.Layer

	mu   sync.Mutex
	made map[string]bool
}

func newImages(dir string) (*images, error) {
	path := filepath.Join(scratch, "function")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "../proof/testdata/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build the function: %w\n%s", err, out)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "function", Mode: 0o755, Size: int64(len(binary)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	return &images{dir: dir, function: layer, made: map[string]bool{}}, nil
}

// version returns the image of a version, as --image names it.
func (i *images) version(t testing.TB, name string) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	path := filepath.Join(i.dir, name)
	if i.made[name] {
		return "oci:" + path
	}
	if err := i.write(path, "VERSION="+name); err != nil {
		t.Fatalf("make the image %s: %v", name, err)
	}
	i.made[name] = true
	return "oci:" + path
}

func (i *images) write(path, variable string) error {
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/function"}, WorkingDir: "/", Env: []string{variable}},
	})
	if err != nil {
		return err
	}
	if image, err = mutate.AppendLayers(image, i.function); err != nil {
		return err
	}
	at, err := layout.Write(path, empty.Index)
	if err != nil {
		return err
	}
	return at.AppendImage(image)
}

// zipped packs a folder as the CDK CLI does.
func zipped(dir string) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
