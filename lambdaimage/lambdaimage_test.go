package lambdaimage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

const gzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip"

// good returns an image that Lambda runs on arm64.
func good() tasuki.Image {
	image := tasuki.Image{
		Manifest: tasuki.Manifest{MediaType: tasuki.MediaTypeOCIManifest},
		Config:   tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig},
		Layers:   []tasuki.Descriptor{{MediaType: gzipLayer, Size: 1 << 20}},
		Facts:    tasuki.ImageConfig{OS: "linux", Architecture: "arm64"},
	}
	image.Facts.Config.Entrypoint = []string{"/bootstrap"}
	return image
}

func layersOf(mediaTypes ...string) []tasuki.Descriptor {
	var layers []tasuki.Descriptor
	for _, mediaType := range mediaTypes {
		layers = append(layers, tasuki.Descriptor{MediaType: mediaType, Size: 1})
	}
	return layers
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(*tasuki.Image)
		arch   tasuki.Architecture // "" for arm64
		want   []string            // "rule severity"
		says   []string            // parts of the first finding's summary and fix
	}{
		{name: "good", change: func(*tasuki.Image) {}},
		{name: "docker types", change: func(i *tasuki.Image) {
			i.Manifest.MediaType, i.Config.MediaType = tasuki.MediaTypeDockerManifest, tasuki.MediaTypeDockerConfig
			i.Layers = layersOf("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar")
		}},
		{name: "command without entry point", change: func(i *tasuki.Image) {
			i.Facts.Config.Entrypoint, i.Facts.Config.Cmd = nil, []string{"app.handler"}
		}},
		{name: "windows", change: func(i *tasuki.Image) { i.Facts.OS = "windows" },
			want: []string{"wrong-os error"}, says: []string{"windows", "linux/arm64"}},
		{name: "no os", change: func(i *tasuki.Image) { i.Facts.OS = "" },
			want: []string{"wrong-os error"}, says: []string{"(none given)"}},
		{name: "arm64 image, x86_64 function", change: func(*tasuki.Image) {}, arch: tasuki.X86_64,
			want: []string{"wrong-architecture error"}, says: []string{"for arm64", "is x86_64", "needs amd64", "linux/amd64"}},
		{name: "amd64 image, arm64 function", change: func(i *tasuki.Image) { i.Facts.Architecture = "amd64" },
			want: []string{"wrong-architecture error"}, says: []string{"for amd64", "is arm64", "Build the image for linux/arm64"}},
		{name: "index", change: func(i *tasuki.Image) { i.Manifest.MediaType = tasuki.MediaTypeOCIIndex },
			want: []string{"manifest-type error"}, says: []string{tasuki.MediaTypeOCIIndex}},
		{name: "schema 1", change: func(i *tasuki.Image) {
			i.Manifest.MediaType = "application/vnd.docker.distribution.manifest.v1+prettyjws"
		}, want: []string{"manifest-type error"}, says: []string{"v1+prettyjws"}},
		{name: "artifact manifest", change: func(i *tasuki.Image) { i.Manifest.MediaType = "application/vnd.oci.artifact.manifest.v1+json" },
			want: []string{"manifest-type error"}},
		{name: "artifact configuration", change: func(i *tasuki.Image) { i.Config.MediaType = "application/vnd.cncf.helm.config.v1+json" },
			want: []string{"config-type error"}, says: []string{"helm", "artifact"}},
		{name: "foreign layers", change: func(i *tasuki.Image) {
			i.Layers = layersOf("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
		}, want: []string{"foreign-layer error", "foreign-layer error"}, says: []string{"layer 1"}},
		{name: "zstd layers, told once", change: func(i *tasuki.Image) {
			i.Layers = layersOf(gzipLayer, "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar+zstd")
		}, want: []string{"zstd-layer warning"}, says: []string{"layer 2"}},
		{name: "foreign zstd layer", change: func(i *tasuki.Image) {
			i.Layers = layersOf("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd")
		}, want: []string{"foreign-layer error"}},
		{name: "unknown layer", change: func(i *tasuki.Image) { i.Layers = layersOf("application/x-\x1b[31m") },
			want: []string{"layer-type error"}, says: []string{`"application/x-\x1b[31m"`}},
		{name: "127 layers", change: func(i *tasuki.Image) {
			i.Layers = layersOf(strings.Split(strings.Repeat(gzipLayer+" ", 127), " ")[:127]...)
		}},
		{name: "128 layers", change: func(i *tasuki.Image) {
			i.Layers = layersOf(strings.Split(strings.Repeat(gzipLayer+" ", 128), " ")[:128]...)
		},
			want: []string{"too-many-layers error"}, says: []string{"128", "127"}},
		{name: "10 GiB", change: func(i *tasuki.Image) { i.Layers[0].Size = lambdaimage.MaxSize }},
		{name: "more than 10 GiB", change: func(i *tasuki.Image) { i.Layers[0].Size = 12 << 30 },
			want: []string{"too-large error"}, says: []string{"12.0 GiB"}},
		{name: "sizes that an int64 cannot add", change: func(i *tasuki.Image) {
			i.Layers = layersOf(gzipLayer, gzipLayer, gzipLayer)
			for n := range i.Layers {
				i.Layers[n].Size = 1 << 62
			}
		}, want: []string{"too-large error"}},
		{name: "nothing to start", change: func(i *tasuki.Image) { i.Facts.Config.Entrypoint = nil },
			want: []string{"no-entrypoint error"}, says: []string{"neither", "ENTRYPOINT", "ImageConfig"}},
		{name: "everything wrong", change: func(i *tasuki.Image) { *i = tasuki.Image{Layers: layersOf("x")} },
			want: []string{"manifest-type error", "wrong-os error", "wrong-architecture error", "layer-type error", "no-entrypoint error"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			image, arch := good(), tasuki.ARM64
			test.change(&image)
			if test.arch != "" {
				arch = test.arch
			}
			findings := lambdaimage.Check(image, arch)
			var got []string
			for _, f := range findings {
				got = append(got, fmt.Sprintf("%s %s", f.Rule, f.Severity))
				checkSentences(t, f)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Fatalf("findings (-want +got):\n%s", diff)
			}
			for _, part := range test.says {
				if text := findings[0].Summary + " " + findings[0].Fix; !strings.Contains(text, part) {
					t.Errorf("%q does not say %q", text, part)
				}
			}
		})
	}
}

// checkSentences holds a finding to its form: a summary that can follow a colon,
// and a fix that can stand alone.
func checkSentences(t *testing.T, f tasuki.Finding) {
	t.Helper()
	if f.Summary == "" || strings.HasSuffix(f.Summary, ".") || strings.ContainsAny(f.Summary, "\n\x1b") {
		t.Errorf("summary %q of %s is not a sentence without a full stop", f.Summary, f.Rule)
	}
	if !strings.HasSuffix(f.Fix, ".") || strings.Contains(f.Fix, "\n") {
		t.Errorf("fix %q of %s is not a sentence", f.Fix, f.Rule)
	}
}

func TestCheckWithoutFunction(t *testing.T) {
	if findings := lambdaimage.Check(good(), ""); len(findings) != 0 {
		t.Errorf("an image without a function has findings: %v", findings)
	}
}

func ExampleCheck() {
	image := good()
	image.Facts.Architecture = "amd64"
	for _, finding := range lambdaimage.Check(image, tasuki.ARM64) {
		fmt.Printf("%s: %s\n%s\n", finding.Rule, finding.Summary, finding.Fix)
	}
	// Output:
	// wrong-architecture: the image is for amd64, and the function's architecture is arm64, which needs arm64
	// Build the image for linux/arm64, for example with 'docker buildx build --platform linux/arm64 --provenance=false'.
}
