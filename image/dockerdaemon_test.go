package image_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// engine is an engine that has one image, and remembers what it was asked.
type engine struct {
	asked  []string
	answer func(w http.ResponseWriter)
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked = append(e.asked, r.Method+" "+r.URL.Path)
	e.answer(w)
}

// startEngine starts an engine at a socket, which the environment names, and gives the
// program a directory of its own for temporary files.
func startEngine(t *testing.T, answer func(w http.ResponseWriter)) (e *engine, temporary string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e = &engine{answer: answer}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: e}}
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	temporary = t.TempDir()
	t.Setenv("TMPDIR", temporary)
	return e, temporary
}

// sends answers with an image.
func sends(archive []byte) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/x-tar")
		_, _ = w.Write(archive)
	}
}

// newSave returns what docker save writes since version 25: a layout, and a
// manifest.json that names the same blobs. Docker's own store keeps layers as they are
// unpacked, containerd's as they were pulled.
func newSave(t *testing.T, name string, img v1.Image) []byte {
	t.Helper()
	entries := entriesOf(t, writeLayout(t, []string{"v1"}, img))
	var layers []string
	for _, layer := range must(img.Layers()) {
		layers = append(layers, `"blobs/sha256/`+must(layer.Digest()).Hex+`"`)
	}
	return tarOf(t, append(entries, entry{name: "manifest.json", content: []byte(
		`[{"Config":"blobs/sha256/` + must(img.ConfigName()).Hex + `","RepoTags":["` + name + `"],"Layers":[` + strings.Join(layers, ",") + `]}]`)})...)
}

// unpacked returns img with layers that are not compressed.
func unpacked(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	plain := mutate.ConfigMediaType(mutate.MediaType(must(mutate.Config(randomImage(t, "arm64", 1, 0), must(img.ConfigFile()).Config)), types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, layer := range must(img.Layers()) {
		content := must(io.ReadAll(must(layer.Uncompressed())))
		var err error
		if plain, err = mutate.AppendLayers(plain, static.NewLayer(content, types.OCIUncompressedLayer)); err != nil {
			t.Fatal(err)
		}
	}
	return plain
}

func TestDockerDaemon(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	img := randomImage(t, "arm64", 50_000, 3)
	own := must(img.Digest()).String()
	index := buildxIndex(t, map[string]v1.Image{"amd64": randomImage(t, "amd64", 100, 1), "arm64": img})
	plain := unpacked(t, img)
	tests := map[string]struct {
		archive []byte
		same    string // digest; "" for one that is made here
	}{
		"docker save before version 25, and podman save": {tarOf(t, dockerSave(t, "orders:v1", img)...), ""},
		"containerd's store":                             {newSave(t, "orders:v1", img), own},
		"docker's own store":                             {newSave(t, "orders:v1", plain), ""},
		"an index":                                       {tarOf(t, entriesOf(t, writeLayout(t, []string{"v1"}, index))...), own},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e, temporary := startEngine(t, sends(test.archive))
			source, found := inspect(t, "docker-daemon:team/orders:v1")
			if diff := cmp.Diff([]string{"GET /images/team/orders:v1/get"}, e.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if left := must(os.ReadDir(temporary)); len(left) != 0 {
				t.Errorf("%d files in the directory for temporary ones", len(left))
			}
			if test.same != "" && found.Digest().String() != test.same {
				t.Errorf("digest %s, want the image's own, %s", found.Digest(), test.same)
			}
			for _, layer := range found.Layers {
				if !strings.HasSuffix(layer.MediaType, "gzip") {
					t.Errorf("a layer is of type %s", layer.MediaType)
				}
			}
			to := startServer(t, registries["ociregistry"]())
			if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			to.pull(t, "r1")
			if len(e.asked) != 1 {
				t.Errorf("the engine was asked %d times", len(e.asked))
			}
		})
	}
}

func TestDockerDaemonNames(t *testing.T) {
	archive := tarOf(t, dockerSave(t, "orders:v1", randomImage(t, "arm64", 10, 1))...)
	id := strings.Repeat("0123456789abcdef", 4)
	for name, want := range map[string]string{
		"orders":                       "orders:latest",
		"orders:latest":                "orders:latest",
		"ghcr.io/team/orders":          "ghcr.io/team/orders:latest",
		"localhost:5000/orders:v1":     "localhost:5000/orders:v1",
		"orders@sha256:" + id:          "orders@sha256:" + id,
		"0123456789ab":                 "0123456789ab",
		"sha256:" + id:                 "sha256:" + id,
		"team/a.b_c-d:v1.0_with-rest.": "team/a.b_c-d:v1.0_with-rest.",
	} {
		e, _ := startEngine(t, sends(archive))
		inspect(t, "docker-daemon:"+name)
		if diff := cmp.Diff([]string{"GET /images/" + want + "/get"}, e.asked); diff != "" {
			t.Errorf("requests for %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDockerDaemonOverTCP(t *testing.T) {
	e := &engine{answer: sends(tarOf(t, dockerSave(t, "orders:v1", randomImage(t, "arm64", 10, 1))...))}
	server := httptest.NewServer(e)
	defer server.Close()
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("CONTAINER_HOST", strings.Replace(server.URL, "http://", "tcp://", 1))
	inspect(t, "docker-daemon:orders:v1")
	if len(e.asked) != 1 {
		t.Errorf("requests %q", e.asked)
	}
}

// A connection that ends early is tried again, and nothing of the first try is kept.
func TestDockerDaemonThatIsCutOff(t *testing.T) {
	archive := tarOf(t, dockerSave(t, "orders:v1", randomImage(t, "arm64", 50_000, 1))...)
	tries := 0
	e, temporary := startEngine(t, func(w http.ResponseWriter) {
		if tries++; tries == 1 {
			_, _ = w.Write(archive[:len(archive)/2])
			panic(http.ErrAbortHandler)
		}
		sends(archive)(w)
	})
	inspect(t, "docker-daemon:orders:v1")
	if len(e.asked) != 2 || len(must(os.ReadDir(temporary))) != 0 {
		t.Errorf("%d requests, %d files left", len(e.asked), len(must(os.ReadDir(temporary))))
	}
}

func TestRefusalsOfTheEngine(t *testing.T) {
	says := func(status int, message string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"message":"` + message + `"}`))
		}
	}
	tests := map[string]struct {
		answer func(http.ResponseWriter)
		kind   error
		words  []string
	}{
		"no such image":      {says(http.StatusNotFound, "reference does not exist"), tasuki.ErrMissing, []string{"no image orders:v1", "build it or pull it"}},
		"podman's own words": {says(http.StatusInternalServerError, "orders:v1: No such image"), tasuki.ErrMissing, []string{"no image orders:v1"}},
		"out of order":       {says(http.StatusInternalServerError, "no space left on device"), tasuki.ErrUnavailable, []string{"does not give the image: no space left on device"}},
		"denied":             {says(http.StatusForbidden, "authorization denied by plugin"), tasuki.ErrDenied, []string{"answered 403", "by plugin"}},
		"no archive":         {sends([]byte(strings.Repeat("not a tar ", 200))), tasuki.ErrInvalid, []string{"not a whole tar archive"}},
		"an archive of what": {sends(tarOf(t, entry{name: "readme"})), tasuki.ErrInvalid, []string{"manifest.json"}},
		"an archive cut off": {sends(bytes.Repeat([]byte("x"), 100)), tasuki.ErrInvalid, []string{"not a whole tar archive"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, temporary := startEngine(t, test.answer)
			refused(t, inspectError(t, "docker-daemon:orders:v1"), tasuki.SideSource, test.kind, test.words...)
			if left := must(os.ReadDir(temporary)); len(left) != 0 {
				t.Errorf("%d temporary files left", len(left))
			}
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Setenv("CONTAINER_HOST", "")
	socket := filepath.Join(t.TempDir(), "none.sock")
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	refused(t, inspectError(t, "docker-daemon:orders:v1"), tasuki.SideSource, tasuki.ErrUnavailable, "no Docker Engine or Podman answers at unix://"+socket, "DOCKER_HOST")
	for _, address := range []string{"ssh://me:s3cret@host", "npipe:////./pipe/docker_engine", "nonsense", "unix://"} {
		t.Setenv("DOCKER_HOST", address)
		refused(t, inspectError(t, "docker-daemon:orders:v1"), tasuki.SideSource, tasuki.ErrInvalid, "DOCKER_HOST", "docker save", "docker-archive:")
	}
}

// The image was built and saved by Docker Engine 20.10.
func TestImageThatDockerBuilt(t *testing.T) {
	source, err := image.Open(t.Context(), "docker-archive:testdata/docker-save-20.10.tar:example/tiny:v1", image.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	found, err := source.Inspect(t.Context(), tasuki.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Layers) != 3 || found.Facts.OS != "linux" || !slices.Equal(found.Facts.Config.Entrypoint, []string{"/run.sh"}) || found.Facts.Config.WorkingDir != "/srv" {
		t.Errorf("found %+v", found)
	}
	to := startServer(t, registries["go-containerregistry"]())
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	to.pull(t, "r1")
}

// The image was built by BuildKit 0.34.2 for two platforms, with provenance, and loaded
// and saved by Docker Engine (moby v2.0.0-beta.15) with containerd's store: its
// manifest.json names the image of one platform alone, and the layout has them all.
func TestImageThatContainerdKept(t *testing.T) {
	const file = "testdata/docker-save-29-containerd.tar"
	startEngine(t, sends(must(os.ReadFile(file))))
	for _, reference := range []string{"docker-daemon:example/tiny:v1", "docker-archive:" + file, "docker-archive:" + file + ":example/tiny:v1", "oci-archive:" + file + ":v1"} {
		source := must(image.Open(t.Context(), reference, image.OpenOptions{}))
		defer source.Close()
		_, built := inspect(t, buildkitAttested)
		for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
			found, err := source.Inspect(t.Context(), arch)
			if err != nil {
				t.Fatal(err)
			}
			if found.Index != built.Index || found.Facts.Architecture != arch.OCI() || arch == tasuki.ARM64 && found.Digest() != built.Digest() {
				t.Errorf("%s on %s is %s of %s, want %s of %s", reference, arch, found.Digest(), found.Index, built.Digest(), built.Index)
			}
		}
	}
}
