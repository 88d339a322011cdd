package image_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/lambdaimage"
	"github.com/tasuki-dev/tasuki/lambdaimage/contents"
)

// pushAndPull copies the arm64 image of a reference into a registry, checks that it
// arrived as it was, and returns what package lambdaimage says of it.
func pushAndPull(t *testing.T, reference string) []tasuki.Finding {
	t.Helper()
	source, found := inspect(t, reference)
	to := startServer(t, registries["ociregistry"]())
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := must(to.pulled(t, "r1").Digest()).String(); got != found.Digest().String() {
		t.Errorf("digest %s in the registry, want %s", got, found.Digest())
	}
	return lambdaimage.Check(found, tasuki.ARM64)
}

func compressed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZstdLayers(t *testing.T) {
	w := must(zstd.NewWriter(nil))
	defer w.Close()
	img := must(mutate.AppendLayers(randomImage(t, "arm64", 100, 1), static.NewLayer(w.EncodeAll(tarOf(t, entry{name: "bootstrap", content: []byte("x")}), nil), types.OCILayerZStd)))
	findings := pushAndPull(t, "oci:"+writeLayout(t, []string{"v1"}, img))
	if len(findings) != 1 || findings[0].Rule != lambdaimage.RuleZstdLayer || findings[0].Severity != tasuki.SeverityWarning {
		t.Errorf("findings %v", findings)
	}
}

func TestMostLayersThatAnImageMayHave(t *testing.T) {
	var layers []v1.Layer // appended at once: each time, go-containerregistry hashes all that is there
	for i := range lambdaimage.MaxLayers {
		layers = append(layers, static.NewLayer(compressed(t, tarOf(t, entry{name: fmt.Sprint(i)})), types.OCILayer))
	}
	img := must(mutate.AppendLayers(randomImage(t, "arm64", 10, 0), layers...))
	if findings := pushAndPull(t, "oci:"+writeLayout(t, []string{"v1"}, img)); len(findings) != 0 {
		t.Errorf("%d layers: findings %v", lambdaimage.MaxLayers, findings)
	}
	img = must(mutate.AppendLayers(img, static.NewLayer(compressed(t, tarOf(t)), types.OCILayer)))
	if findings := pushAndPull(t, "oci:"+writeLayout(t, []string{"v1"}, img)); len(findings) != 1 || findings[0].Rule != lambdaimage.RuleTooManyLayers {
		t.Errorf("%d layers: findings %v", lambdaimage.MaxLayers+1, findings)
	}
}

// BuildKit writes an empty layer for each instruction that changes nothing, and so the
// same layer several times.
func TestEmptyLayers(t *testing.T) {
	empty := static.NewLayer(compressed(t, tarOf(t)), types.OCILayer)
	img := must(mutate.AppendLayers(randomImage(t, "arm64", 100, 1), empty, empty))
	if findings := pushAndPull(t, "oci:"+writeLayout(t, []string{"v1"}, img)); len(findings) != 0 {
		t.Errorf("findings %v", findings)
	}
}

// A foreign layer is not in the registry: it is refused before it is looked for.
func TestForeignLayers(t *testing.T) {
	foreign := static.NewLayer(compressed(t, tarOf(t)), types.DockerForeignLayer)
	_, found := inspect(t, "oci:"+writeLayout(t, []string{"v1"}, must(mutate.AppendLayers(randomImage(t, "arm64", 100, 1), foreign))))
	findings := lambdaimage.Check(found, tasuki.ARM64)
	if len(findings) != 1 || findings[0].Rule != lambdaimage.RuleForeignLayer || findings[0].Severity != tasuki.SeverityError {
		t.Errorf("findings %v", findings)
	}
}

// A manifest that says another size of a layer than it has, in either direction.
func TestManifestThatLiesAboutSizes(t *testing.T) {
	layer := compressed(t, tarOf(t, entry{name: "bootstrap", content: bytes.Repeat([]byte("program"), 1000)}))
	for _, more := range []int64{-1, 1, 1 << 40, -int64(len(layer))} {
		t.Run(fmt.Sprintf("%+d", more), func(t *testing.T) {
			source := lying(t, layer, more)
			found, err := source.Inspect(t.Context(), tasuki.ARM64)
			if err != nil {
				t.Fatal(err)
			}
			to := startServer(t, registries["ociregistry"]())
			err = to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{})
			refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, tasuki.DigestOf(layer).Short())
			if slices.ContainsFunc(to.take(), func(request string) bool { return request == "PUT /v2/orders/manifests/r1" }) {
				t.Error("the manifest was pushed")
			}
			rule := contents.RuleDamagedLayer
			if found.Size() > lambdaimage.MaxSize {
				rule = lambdaimage.RuleTooLarge // which needs no reading
			}
			read, err := contents.Check(t.Context(), found, tasuki.ARM64, nil, source)
			findings := append(read.Findings, lambdaimage.Check(found, tasuki.ARM64)...)
			if err != nil || len(findings) != 1 || findings[0].Rule != rule {
				t.Errorf("findings %v, error %v", findings, err)
			}
		})
	}
}

// A layer with a file outside of its root is copied as it is, because nothing is unpacked,
// and found by who looks into layers.
func TestLayerWithAPathOutsideTheRoot(t *testing.T) {
	content := tarOf(t, entry{name: "bootstrap", content: []byte("program")}, entry{name: "../../etc/passwd", content: []byte("x")})
	layer := must(tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(types.OCILayer)))
	reference := "oci:" + writeLayout(t, []string{"v1"}, must(mutate.AppendLayers(randomImage(t, "arm64", 100, 1), layer)))
	if findings := pushAndPull(t, reference); len(findings) != 0 {
		t.Errorf("findings %v", findings)
	}
	source, found := inspect(t, reference)
	read, err := contents.Check(t.Context(), found, tasuki.ARM64, nil, source)
	if err != nil || !slices.ContainsFunc(read.Findings, func(f tasuki.Finding) bool { return f.Rule == contents.RulePathOutside }) {
		t.Errorf("findings %v, error %v", read.Findings, err)
	}
}

// An archive that was cut off anywhere is refused, or its image's copy is.
func TestTruncatedArchives(t *testing.T) {
	dir := writeLayout(t, []string{"v1"}, randomImage(t, "arm64", 3000, 2))
	source, _ := inspect(t, "oci:"+dir)
	for _, transport := range []string{"oci-archive:", "docker-archive:"} {
		file := filepath.Join(t.TempDir(), "whole.tar")
		copied(t, source, transport+file, tasuki.ARM64)
		whole := must(os.ReadFile(file))
		for end := 0; end < len(whole)-3*512; end += 509 { // the last two blocks are zeros, and some before
			cut := filepath.Join(t.TempDir(), "cut.tar")
			if err := os.WriteFile(cut, whole[:end], 0o600); err != nil {
				t.Fatal(err)
			}
			from, err := image.Open(t.Context(), transport+cut, image.OpenOptions{})
			if err == nil {
				_, err = copyTo(t, from, "oci:"+filepath.Join(t.TempDir(), "copy"), tasuki.ARM64)
				from.Close()
			}
			var e *tasuki.Error
			if !errors.As(err, &e) || e.Side != tasuki.SideSource || !errors.Is(err, tasuki.ErrInvalid) && !errors.Is(err, tasuki.ErrMissing) {
				t.Errorf("%s of %d of %d bytes: %v", transport, end, len(whole), err)
			}
		}
	}
}

// lying returns an image of one layer, whose manifest says that it has more bytes.
func lying(t *testing.T, layer []byte, more int64) *image.Source {
	t.Helper()
	config := []byte(`{"os":"linux","architecture":"arm64","config":{"Cmd":["/bootstrap"]},"rootfs":{"type":"layers","diff_ids":[]}}`)
	b, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest,
		"config": tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: tasuki.DigestOf(config), Size: int64(len(config))},
		"layers": []tasuki.Descriptor{{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: tasuki.DigestOf(layer), Size: int64(len(layer)) + more}},
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs := map[tasuki.Digest][]byte{tasuki.DigestOf(config): config, tasuki.DigestOf(layer): layer}
	return image.Memory("lying", tasuki.Manifest{Digest: tasuki.DigestOf(b), MediaType: tasuki.MediaTypeOCIManifest, Bytes: b}, blobs)
}

// What Layer gives is what is stored, and what it refuses says which layer of what.
func TestLayer(t *testing.T) {
	layer := compressed(t, tarOf(t, entry{name: "bootstrap", content: []byte("program")}))
	source, _ := memoryImage("an image", layer)
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	r := must(source.Layer(t.Context(), found.Layers[0]))
	if got := must(io.ReadAll(r)); !bytes.Equal(got, layer) {
		t.Errorf("%d bytes, want %d", len(got), len(layer))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	absent := tasuki.Descriptor{Digest: tasuki.DigestOf([]byte("absent")), Size: 6}
	_, err := source.Layer(t.Context(), absent)
	refused(t, err, tasuki.SideSource, tasuki.ErrMissing, "an image", absent.Digest.Short())
}
