package main

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// made makes an image of a file with the content, and reads it back.
func made(t *testing.T, content, arch string) v1.Image {
	t.Helper()
	binary, out := filepath.Join(t.TempDir(), "orders"), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(binary, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := run(binary, arch, out); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout holds %d images, want 1", len(manifest.Manifests))
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestImage(t *testing.T) {
	image := made(t, "a program", "arm64")
	if err := validate.Image(image); err != nil {
		t.Error(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Platform().String(); got != "linux/arm64" {
		t.Errorf("platform %s, want linux/arm64", got)
	}
	if got := config.Config.Entrypoint; len(got) != 1 || got[0] != "/orders" {
		t.Errorf("entrypoint %q, want /orders", got)
	}
}

func TestImageIsReproducible(t *testing.T) {
	first := digest(t, made(t, "a program", "arm64"))
	if again := digest(t, made(t, "a program", "arm64")); again != first {
		t.Errorf("the same program made %s and then %s", first, again)
	}
	if other := digest(t, made(t, "another program", "arm64")); other == first {
		t.Error("another program made the same image")
	}
}
