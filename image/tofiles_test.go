package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// copyTo copies a source to a file or a directory: all of an index, or where arch is
// given the image for it.
func copyTo(t testing.TB, source *image.Source, reference string, arch tasuki.Architecture) (image.Copied, error) {
	t.Helper()
	d := must(image.OpenDestination(reference, image.OpenOptions{}))
	defer d.Close()
	if arch != "" {
		return d.CopyImage(t.Context(), source, arch, image.PushOptions{})
	}
	return d.Copy(t.Context(), source, image.PushOptions{})
}

// copied is copyTo where it must go well.
func copied(t testing.TB, source *image.Source, reference string, arch tasuki.Architecture) image.Copied {
	t.Helper()
	took, err := copyTo(t, source, reference, arch)
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// tagged returns a layout's entries by their tags, as another program reads it, and checks
// that every one of them is whole.
func tagged(t testing.TB, dir string) map[string]v1.Descriptor {
	t.Helper()
	index := must(must(layout.FromPath(dir)).ImageIndex())
	if err := validate.Index(index); err != nil {
		t.Fatalf("the layout is not whole: %v", err)
	}
	found := map[string]v1.Descriptor{}
	for _, d := range must(index.IndexManifest()).Manifests {
		found[d.Annotations["org.opencontainers.image.ref.name"]] = d
	}
	if _, err := os.Stat(filepath.Join(dir, ".tasuki")); err == nil {
		t.Error("the directory for unfinished files is left")
	}
	return found
}

// extracted unpacks an archive.
func extracted(t testing.TB, file string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", file, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	return dir
}

func TestCopyIntoALayout(t *testing.T) {
	img := randomImage(t, "arm64", 50_000, 3)
	s := startServer(t, registries["ociregistry"]())
	s.seed(t, "app", "v1", img)
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/app:v1", image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	dir := filepath.Join(t.TempDir(), "some", "where")
	took := copied(t, source, "oci:"+dir+":v1", tasuki.ARM64)
	if got := tagged(t, dir)["v1"].Digest; got.String() != took.Digest.String() || got != must(img.Digest()) {
		t.Errorf("the layout has %s, and the copy says %s", got, took.Digest)
	}
	if want := int64(len(s.take())); took.Sent < 150_000 || took.Present != 0 || took.Requests < 5 || took.Requests > want {
		t.Errorf("the copy took %+v, with %d requests", took, want)
	}
	before := must(os.Stat(filepath.Join(dir, "index.json")))
	again := copied(t, source, "oci:"+dir+":v1", tasuki.ARM64)
	if again.Sent != 0 || again.Present != took.Sent || countPrefix(s.take(), "GET /v2/app/blobs/") != 0 {
		t.Errorf("a second copy took %+v", again)
	}
	if after := must(os.Stat(filepath.Join(dir, "index.json"))); !os.SameFile(before, after) {
		t.Error("index.json was written again")
	}
}

// What is in a layout stays there as it is, and a tag moves.
func TestCopyIsMergedIntoALayout(t *testing.T) {
	one, two := randomImage(t, "arm64", 1000, 1), randomImage(t, "arm64", 1000, 1)
	dir := writeLayout(t, []string{"one", "moving"}, one, one)
	file := filepath.Join(dir, "index.json")
	index := strings.Replace(string(must(os.ReadFile(file))), `"schemaVersion"`, `"annotations":{"of":"another tool"},"schemaVersion"`, 1)
	if err := os.WriteFile(file, []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	all := buildxIndex(t, map[string]v1.Image{"amd64": randomImage(t, "amd64", 1000, 1), "arm64": one})
	for reference, appended := range map[string]*image.Source{
		dir + ":moving": must(image.Open(t.Context(), "oci:"+writeLayout(t, []string{"x"}, two), image.OpenOptions{})),
		dir + ":all":    must(image.Open(t.Context(), "oci:"+writeLayout(t, []string{"x"}, all), image.OpenOptions{})),
		dir:             must(image.Open(t.Context(), "oci:"+writeLayout(t, []string{"x"}, two), image.OpenOptions{})),
	} {
		copied(t, appended, "oci:"+reference, "")
		copied(t, appended, "oci:"+reference, "") // adds no entry
	}
	got := map[string]string{}
	for tag, d := range tagged(t, dir) {
		got[tag] = d.Digest.String()
	}
	want := map[string]string{"one": must(one.Digest()).String(), "moving": must(two.Digest()).String(), "all": must(all.Digest()).String(), "": must(two.Digest()).String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	var document struct {
		Annotations map[string]string
		Manifests   []json.RawMessage
	}
	if err := json.Unmarshal(must(os.ReadFile(file)), &document); err != nil || document.Annotations["of"] != "another tool" || len(document.Manifests) != 4 {
		t.Errorf("index.json is %+v, %v", document, err)
	}
}

func TestCopyIntoArchives(t *testing.T) {
	img := randomImage(t, "arm64", 50_000, 3)
	dir := t.TempDir()
	layers := writeLayout(t, []string{"v1"}, img)
	source, _ := inspect(t, "oci:"+layers)

	file := filepath.Join(dir, "image.tar")
	for range 2 {
		copied(t, source, "oci-archive:"+file+":v1", tasuki.ARM64)
	}
	other := filepath.Join(dir, "other.tar")
	copied(t, source, "oci-archive:"+other+":v1", tasuki.ARM64)
	if !bytes.Equal(must(os.ReadFile(file)), must(os.ReadFile(other))) {
		t.Error("the same image gives another archive")
	}
	if got := tagged(t, extracted(t, file))["v1"].Digest; got != must(img.Digest()) {
		t.Errorf("the archive has %s", got)
	}
	inspect(t, "oci-archive:"+file+":v1")

	saved := filepath.Join(dir, "saved.tar")
	copied(t, source, "docker-archive:"+saved+":team/orders", tasuki.ARM64)
	found := must(tarball.ImageFromPath(saved, nil))
	if err := validate.Image(found); err != nil || must(found.ConfigName()) != must(img.ConfigName()) {
		t.Errorf("the archive for Docker is not whole: %v", err)
	}
	if tags := must(tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(saved) }))[0].RepoTags; !slices.Equal(tags, []string{"team/orders:latest"}) {
		t.Errorf("it has the tags %q", tags)
	}
	if names := tagged(t, extracted(t, saved))["latest"].Annotations["io.containerd.image.name"]; names != "docker.io/team/orders:latest" {
		t.Errorf("its layout has the name %q", names)
	}
	if _, again := inspect(t, "docker-archive:"+saved+":team/orders"); again.Digest().String() != must(img.Digest()).String() {
		t.Errorf("read again, it is %s", again.Digest())
	}
	copied(t, source, "docker-archive:"+saved, tasuki.ARM64)
	inspect(t, "docker-archive:"+saved)
	if left := must(os.ReadDir(dir)); len(left) != 3 {
		t.Errorf("files %v, want the three archives", left)
	}
}

func TestCopyOfAWholeIndexIntoAnArchive(t *testing.T) {
	index := buildxIndex(t, map[string]v1.Image{"amd64": randomImage(t, "amd64", 1000, 2), "arm64": randomImage(t, "arm64", 1000, 2)})
	source := must(image.Open(t.Context(), "oci:"+writeLayout(t, []string{"v1"}, index), image.OpenOptions{}))
	file := filepath.Join(t.TempDir(), "index.tar")
	copied(t, source, "oci-archive:"+file, "")
	if got := tagged(t, extracted(t, file))[""].Digest; got != must(index.Digest()) {
		t.Errorf("the archive has %s", got)
	}
	_, err := copyTo(t, source, "docker-archive:"+file, "")
	refused(t, err, tasuki.SideImage, tasuki.ErrInvalid, "holds an image, and not an index")
	_, err = copyTo(t, source, "oci-archive:"+file, "sparc")
	refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, "linux/sparc")
	tagged(t, extracted(t, file))
}

// Blobs that have not the bytes that they should are replaced.
func TestALayoutIsHealed(t *testing.T) {
	img := randomImage(t, "arm64", 5000, 4)
	source, found := inspect(t, "oci:"+writeLayout(t, []string{"v1"}, img))
	dir := t.TempDir()
	copied(t, source, "oci:"+dir+":v1", tasuki.ARM64)
	blob := func(d tasuki.Digest) string {
		return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(d.String(), "sha256:"))
	}
	same := must(os.ReadFile(blob(found.Layers[0].Digest)))
	same[100] ^= 1
	for d, content := range map[tasuki.Digest][]byte{found.Layers[0].Digest: same, found.Layers[1].Digest: same[:50], found.Digest(): []byte("{}")} {
		if err := os.WriteFile(blob(d), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(blob(found.Layers[2].Digest)), os.MkdirAll(filepath.Join(dir, ".tasuki", "left"), 0o755)); err != nil {
		t.Fatal(err)
	}
	again := copied(t, source, "oci:"+dir+":v1", tasuki.ARM64)
	tagged(t, dir)
	if want := found.Layers[0].Size + found.Layers[1].Size + found.Layers[2].Size; again.Sent != want {
		t.Errorf("%d bytes were written, want %d", again.Sent, want)
	}
}

// Copies into one layout and one archive at the same time wait for each other.
func TestCopiesAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	into, file := filepath.Join(dir, "layout"), filepath.Join(dir, "image.tar")
	var group sync.WaitGroup
	want := map[string]v1.Hash{}
	for _, tag := range []string{"a", "b", "c", "d"} {
		img := randomImage(t, "arm64", 20_000, 2)
		source, _ := inspect(t, "oci:"+writeLayout(t, []string{"v1"}, img))
		want[tag] = must(img.Digest())
		for _, reference := range []string{"oci:" + into + ":" + tag, "oci-archive:" + file + ":" + tag} {
			group.Go(func() {
				if _, err := copyTo(t, source, reference, tasuki.ARM64); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	got := map[string]v1.Hash{}
	for tag, d := range tagged(t, into) {
		got[tag] = d.Digest
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	for tag, d := range tagged(t, extracted(t, file)) {
		if d.Digest != want[tag] {
			t.Errorf("the archive has %s as %s", d.Digest, tag)
		}
	}
	if left := must(os.ReadDir(dir)); len(left) != 2 {
		t.Errorf("files %v", left)
	}
}

// A copy that fails leaves what was there, and no part of what was not.
func TestCopyThatFails(t *testing.T) {
	good, wrong := noise(3000), noise(5000)
	old, _ := inspect(t, "oci:"+writeLayout(t, []string{"old"}, randomImage(t, "arm64", 1000, 1)))
	for name, source := range map[string]*image.Source{
		"lies about a size": lying(t, good, 1), "huge": lying(t, wrong, 1<<60), "more than all": lying(t, wrong, 1<<62),
	} {
		for _, transport := range []string{"oci:", "oci-archive:", "docker-archive:"} {
			t.Run(name+" into "+transport, func(t *testing.T) {
				dir := t.TempDir()
				before := filepath.Join(dir, "before")
				fresh := filepath.Join(dir, "fresh")
				copied(t, old, transport+before+":old", tasuki.ARM64)
				for _, reference := range []string{fresh, before} {
					_, err := copyTo(t, source, transport+reference+":new", tasuki.ARM64)
					refused(t, err, tasuki.SideSource, tasuki.ErrInvalid)
				}
				inspect(t, transport+before+":old")
				if _, err := image.Open(t.Context(), transport+fresh, image.OpenOptions{}); err == nil {
					t.Error("there is an image after a copy that failed")
				}
				for _, left := range must(os.ReadDir(dir)) {
					if name := left.Name(); name != "before" && (name != "fresh" || transport != "oci:") {
						t.Errorf("%s is left", name)
					}
				}
				if transport == "oci:" {
					tagged(t, before)
				}
			})
		}
	}
}

// Sizes that add up to anything, because there are more bits than an int64 has.
func TestSizesThatOverflow(t *testing.T) {
	var layers []tasuki.Descriptor
	for i, size := range []int64{1 << 62, 1 << 62, 1 << 62, 1<<62 + 1<<40} {
		layers = append(layers, tasuki.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: tasuki.DigestOf([]byte{byte(i)}), Size: size})
	}
	config := []byte(`{"os":"linux","architecture":"arm64"}`)
	b := must(json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest, "layers": layers,
		"config": tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: tasuki.DigestOf(config), Size: int64(len(config))}}))
	s := startServer(t, registries["ociregistry"]())
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			return false
		}
		w.Header().Set("Content-Type", tasuki.MediaTypeOCIManifest)
		w.Header().Set("Docker-Content-Digest", tasuki.DigestOf(b).String())
		_, _ = w.Write(b)
		return true
	})
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	for _, reference := range []string{"oci:" + t.TempDir(), "oci-archive:" + filepath.Join(t.TempDir(), "x"), "docker://" + startServer(t, registries["ociregistry"]()).host() + "/app:v1"} {
		_, err := copyTo(t, source, reference, tasuki.ARM64)
		var e *tasuki.Error
		if !errors.As(err, &e) || e.Side != tasuki.SideSource {
			t.Errorf("%s: error %v", reference, err)
		}
	}
}

func TestRefusalsOfFiles(t *testing.T) {
	source, _ := inspect(t, "oci:"+writeLayout(t, []string{"v1"}, randomImage(t, "arm64", 100, 1)))
	dir := t.TempDir()
	with := func(files map[string]string) string {
		into := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(into, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return into
	}
	file := filepath.Join(with(map[string]string{"file": ""}), "file")
	const mark = `{"imageLayoutVersion":"1.0.0"}`
	for _, test := range []struct {
		reference string
		kind      error
		word      string
	}{
		{"oci:" + with(map[string]string{"readme": ""}), tasuki.ErrInvalid, "has files and is not an OCI image layout"},
		{"oci:" + with(map[string]string{"oci-layout": `{"imageLayoutVersion":"2.0.0"}`}), tasuki.ErrInvalid, "of version 1.0.0"},
		{"oci:" + with(map[string]string{"oci-layout": mark, "index.json": "[]"}), tasuki.ErrInvalid, "not the index"},
		{"oci:" + with(map[string]string{"oci-layout": mark, "index.json": "null"}), tasuki.ErrInvalid, "not the index"},
		{"oci:" + with(map[string]string{"oci-layout": mark, "index.json": `{"manifests":{}}`}), tasuki.ErrInvalid, "not the index"},
		{"oci:" + file, tasuki.ErrUnavailable, "not a directory"},
		{"oci-archive:" + dir, tasuki.ErrInvalid, "not a regular file"},
		{"oci-archive:/dev/null", tasuki.ErrInvalid, "not a regular file"},
		{"docker-archive:" + filepath.Join(dir, "absent", "file"), tasuki.ErrMissing, "no such file"},
	} {
		_, err := copyTo(t, source, test.reference, tasuki.ARM64)
		refused(t, err, tasuki.SideImage, test.kind, test.word)
	}
	if left := must(os.ReadDir(dir)); len(left) != 0 {
		t.Errorf("files %v", left)
	}
	absent := must(image.Open(t.Context(), "docker://"+startServer(t, registries["ociregistry"]()).host()+"/no:v1", image.OpenOptions{NoDockerLogin: true}))
	_, err := copyTo(t, absent, "oci:"+filepath.Join(dir, "new"), "")
	refused(t, err, tasuki.SideSource, tasuki.ErrMissing)
	if left := must(os.ReadDir(dir)); len(left) != 0 {
		t.Errorf("an absent source makes %v", left)
	}
}

// TestKilledCopy kills a program in the middle of its copy, at one blob after another,
// and checks that what is there is what was there before, and that the next copy ends well.
func TestKilledCopy(t *testing.T) {
	const from, into = "TASUKI_TEST_COPY_FROM", "TASUKI_TEST_COPY_INTO"
	if source := os.Getenv(from); source != "" { // the program that is killed
		copied(t, must(image.Open(t.Context(), source, image.OpenOptions{NoDockerLogin: true})), os.Getenv(into), tasuki.ARM64)
		return
	}
	s := startServer(t, registries["ociregistry"]())
	old, img := randomImage(t, "arm64", 1000, 1), randomImage(t, "arm64", 300_000, 3)
	s.seed(t, "app", "v1", img)
	reference := "docker://" + s.host() + "/app:v1"
	source := must(image.Open(t.Context(), reference, image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	before, _ := inspect(t, "oci:"+writeLayout(t, []string{"old"}, old))
	for _, transport := range []string{"oci:", "oci-archive:"} {
		for at := 1; at <= 4; at++ {
			destination := transport + filepath.Join(t.TempDir(), "there")
			copied(t, before, destination+":old", tasuki.ARM64)

			ctx, kill := context.WithCancel(t.Context())
			var mu sync.Mutex
			asked := 0
			s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/v2/app/blobs/") {
					return false
				}
				mu.Lock()
				asked++
				last := asked == at
				mu.Unlock()
				if !last {
					return false
				}
				_, _ = w.Write(make([]byte, 1000))
				_ = http.NewResponseController(w).Flush()
				kill()
				<-r.Context().Done()
				return true
			})
			program := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledCopy$")
			program.Env = append(os.Environ(), from+"="+reference, into+"="+destination+":new")
			if out, err := program.CombinedOutput(); err == nil || ctx.Err() == nil {
				t.Fatalf("the copy was not killed: %s", out)
			}
			s.intercept(nil)

			dir := strings.TrimPrefix(destination, transport)
			if transport == "oci:" {
				if err := os.RemoveAll(filepath.Join(dir, ".tasuki")); err != nil { // which tagged takes for a mistake
					t.Fatal(err)
				}
				if got := slices.Collect(maps.Keys(tagged(t, dir))); !slices.Equal(got, []string{"old"}) {
					t.Errorf("killed at blob %d, the layout has the tags %q", at, got)
				}
			} else {
				inspect(t, destination+":old")
			}
			copied(t, source, destination+":new", tasuki.ARM64)
			if transport == "oci-archive:" {
				dir = extracted(t, dir)
			}
			if got := tagged(t, dir)["new"].Digest; got != must(img.Digest()) {
				t.Errorf("killed at blob %d, the next copy made %s", at, got)
			}
			if left := must(os.ReadDir(filepath.Dir(strings.TrimPrefix(destination, transport)))); len(left) != 1 {
				t.Errorf("killed at blob %d, the next copy leaves %v", at, left)
			}
		}
	}
}
