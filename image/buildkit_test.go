package image_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// The images were built by BuildKit 0.34.2 for linux/amd64 and linux/arm64, of
// FROM scratch, COPY app /run.sh and ENTRYPOINT ["/run.sh"], with
//
//	buildctl build --frontend dockerfile.v0 --opt platform=linux/amd64,linux/arm64 --opt attest:provenance=mode=max --output type=oci,…
//
// and, without the attestations, with compression=zstd,force-compression=true.
const (
	buildkitAttested = "oci-archive:testdata/buildkit-0.34-attested.tar"
	buildkitZstd     = "oci-archive:testdata/buildkit-0.34-zstd.tar"
)

// Of an index with attestations the image is taken, and of all of it everything.
func TestImageThatBuildKitAttested(t *testing.T) {
	for _, name := range []string{":v1", ":example/tiny:v1", ":docker.io/example/tiny:v1"} {
		source := must(image.Open(t.Context(), buildkitAttested+name, image.OpenOptions{}))
		defer source.Close()
		for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
			found, err := source.Inspect(t.Context(), arch)
			if err != nil {
				t.Fatal(err)
			}
			if found.Index.IsZero() || found.Facts.Architecture != arch.OCI() || !slices.Equal(found.Facts.Config.Entrypoint, []string{"/run.sh"}) || len(found.Layers) != 1 {
				t.Errorf("on %s it is %+v", arch, found)
			}
			if findings := lambdaimage.Check(found, arch); len(findings) != 0 {
				t.Errorf("findings %v", findings)
			}
			s := startServer(t, registries["go-containerregistry"]())
			if err := s.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			s.pull(t, "v1")
		}
	}

	// type=docker has no manifest.json where there are attestations.
	inspect(t, "docker-archive"+strings.TrimPrefix(buildkitAttested, "oci-archive")+":example/tiny:v1")

	source := must(image.Open(t.Context(), buildkitAttested, image.OpenOptions{}))
	defer source.Close()
	dir := filepath.Join(t.TempDir(), "all")
	copied(t, source, "oci:"+dir+":v1", "")
	manifests := must(must(must(layout.FromPath(dir)).ImageIndex()).ImageIndex(tagged(t, dir)["v1"].Digest))
	attestations := slices.DeleteFunc(must(manifests.IndexManifest()).Manifests, func(d v1.Descriptor) bool {
		return d.Annotations["vnd.docker.reference.type"] != "attestation-manifest"
	})
	if len(attestations) != 2 {
		t.Errorf("%d attestations were copied, want 2", len(attestations))
	}
	s := startServer(t, registries["ociregistry"]())
	if _, err := to(t, s, "orders:v1").Copy(t.Context(), source, image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := countPrefix(s.take(), "PUT /v2/orders/manifests/"); n != 5 { // two images, two attestations, the index
		t.Errorf("%d manifests were pushed, want 5", n)
	}
}

func TestImageThatBuildKitCompressedWithZstd(t *testing.T) {
	source := must(image.Open(t.Context(), buildkitZstd, image.OpenOptions{}))
	defer source.Close()
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	if !strings.HasSuffix(found.Layers[0].MediaType, "+zstd") {
		t.Errorf("a layer is of type %s", found.Layers[0].MediaType)
	}
	findings := lambdaimage.Check(found, tasuki.ARM64)
	if len(findings) != 1 || findings[0].Rule != lambdaimage.RuleZstdLayer {
		t.Errorf("findings %v", findings)
	}
}
