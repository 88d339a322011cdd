// Command image makes a container image of a static binary, without Docker: an OCI
// layout of one image with one file. The same binary gives the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	binary := flag.String("binary", "", "the static `file` that the image runs")
	arch := flag.String("arch", "", "its architecture: amd64 or arm64")
	out := flag.String("out", "", "the `folder` of the OCI layout; what is there is replaced")
	flag.Parse()
	if err := run(*binary, *arch, *out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(binary, arch, out string) error {
	if binary == "" || out == "" || (arch != "amd64" && arch != "arm64") {
		return errors.New("give -binary FILE, -arch amd64 or arm64, and -out FOLDER")
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	image, err := build(filepath.Base(binary), content, arch)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	index, err := layout.Write(out, empty.Index)
	if err != nil {
		return err
	}
	return index.AppendImage(image, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
}

// build returns an image whose entrypoint is the binary, at the root of its file system.
func build(name string, binary []byte, arch string) (v1.Image, error) {
	files, err := pack(name, binary)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.AppendLayers(image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{Entrypoint: []string{"/" + name}, WorkingDir: "/"}
	return mutate.ConfigFile(image, config)
}

// pack returns a tar with the binary alone. Its date is fixed: with the true one,
// every build would be another image.
func pack(name string, binary []byte) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(binary)), ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	if _, err := t.Write(binary); err != nil {
		return nil, err
	}
	err := t.Close()
	return b.Bytes(), err
}
