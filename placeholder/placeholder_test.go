package placeholder_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/placeholder"
)

var architectures = []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64}

func handoff(t testing.TB, s string) tasuki.HandoffName {
	t.Helper()
	name, err := tasuki.ParseHandoffName(s)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func build(t testing.TB, name string, arch tasuki.Architecture) placeholder.Image {
	t.Helper()
	image, err := placeholder.Build(handoff(t, name), arch)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestDigests notices any change of the placeholder: functions that run the old one
// would be given another image, so a change has to be meant.
func TestDigests(t *testing.T) {
	got := map[tasuki.Architecture]string{}
	for _, arch := range architectures {
		got[arch] = build(t, "orders", arch).Manifest.Digest.String()
	}
	want := map[tasuki.Architecture]string{
		tasuki.X86_64: "sha256:77bf31feb4a40a1a49b90a1c4a1a1e992dd00e8a14d0439b4bdd5e2495688a85",
		tasuki.ARM64:  "sha256:09d5d1f75c1a74bf49584e54841a04a1f9e74f803cfca904399895c8a04d246a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the placeholders of handoff orders have changed (-before +now):\n%s", diff)
	}
}

func TestBuild(t *testing.T) {
	for _, arch := range architectures {
		t.Run(string(arch), func(t *testing.T) {
			image := build(t, "stg/orders", arch)
			if diff := cmp.Diff(image, build(t, "stg/orders", arch), cmp.AllowUnexported(tasuki.Digest{})); diff != "" {
				t.Errorf("built again, the image is another one:\n%s", diff)
			}
			config, layers, err := image.Manifest.ConfigAndLayers()
			if err != nil {
				t.Fatal(err)
			}
			pointed := append([]tasuki.Descriptor{config}, layers...)
			if diff := cmp.Diff([]tasuki.Descriptor{image.ConfigDescriptor, image.LayerDescriptor}, pointed, cmp.AllowUnexported(tasuki.Digest{})); diff != "" {
				t.Errorf("what the manifest points to (-want +got):\n%s", diff)
			}
			parsed, err := partial.CompressedToImage(&stored{image})
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(parsed); err != nil {
				t.Errorf("go-containerregistry finds fault with the image: %v", err)
			}
			file, err := parsed.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := file.Platform().String(), "linux/"+arch.OCI(); got != want {
				t.Errorf("platform %s, want %s", got, want)
			}
			if got := file.Created.UTC().Unix(); got != 0 {
				t.Errorf("created %d s after 1970, want 0", got)
			}
			want := v1.Config{
				Entrypoint: []string{"/tasuki-placeholder"},
				WorkingDir: "/",
				Env:        []string{"TASUKI_HANDOFF=stg/orders"},
				Labels:     map[string]string{tasuki.PlaceholderLabel: "stg/orders"},
			}
			if diff := cmp.Diff(want, file.Config); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			if size := len(image.Layer) + len(image.Config) + len(image.Manifest.Bytes); size > 640<<10 {
				t.Errorf("the image has %d bytes, want 640 KiB at most", size)
			}
		})
	}
}

func TestLayerHoldsOneStaticBinary(t *testing.T) {
	machines := map[tasuki.Architecture]elf.Machine{tasuki.X86_64: elf.EM_X86_64, tasuki.ARM64: elf.EM_AARCH64}
	for _, arch := range architectures {
		t.Run(string(arch), func(t *testing.T) {
			header, binary := program(t, build(t, "orders", arch))
			if header.Name != "tasuki-placeholder" || header.Mode != 0o755 || header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != 0 {
				t.Errorf("the program's entry is %+v", header)
			}
			file, err := elf.NewFile(bytes.NewReader(binary))
			if err != nil {
				t.Fatal(err)
			}
			if file.Machine != machines[arch] {
				t.Errorf("the program is for %s, want %s", file.Machine, machines[arch])
			}
			for _, segment := range file.Progs {
				if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
					t.Errorf("the program has a segment %s, and the image no libraries", segment.Type)
				}
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	for want, build := range map[string]func() (placeholder.Image, error){
		"the handoff has no name":                       func() (placeholder.Image, error) { return placeholder.Build(tasuki.HandoffName{}, tasuki.ARM64) },
		`no placeholder for the architecture "riscv64"`: func() (placeholder.Image, error) { return placeholder.Build(handoff(t, "orders"), "riscv64") },
	} {
		_, err := build()
		if !errors.Is(err, tasuki.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want an invalid one with %q", err, want)
		}
	}
}

// program returns the only file in the image's layer.
func program(t testing.TB, image placeholder.Image) (*tar.Header, []byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(image.Layer))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(z)
	header, err := archive.Next()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := archive.Next(); err != io.EOF {
		t.Fatalf("the layer holds more than the program: %+v (error %v)", second, err)
	}
	return header, content
}

// stored gives an image to go-containerregistry as a registry would.
type stored struct{ image placeholder.Image }

func (s *stored) RawConfigFile() ([]byte, error) { return s.image.Config, nil }
func (s *stored) RawManifest() ([]byte, error)   { return s.image.Manifest.Bytes, nil }
func (s *stored) MediaType() (types.MediaType, error) {
	return types.MediaType(s.image.Manifest.MediaType), nil
}
func (s *stored) LayerByDigest(v1.Hash) (partial.CompressedLayer, error) {
	return &storedLayer{s.image}, nil
}

type storedLayer struct{ image placeholder.Image }

func (l *storedLayer) Digest() (v1.Hash, error) {
	return v1.NewHash(l.image.LayerDescriptor.Digest.String())
}
func (l *storedLayer) Size() (int64, error) { return l.image.LayerDescriptor.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.image.LayerDescriptor.MediaType), nil
}
func (l *storedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.image.Layer)), nil
}
