package image_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// inspectError opens and inspects what must fail, and returns how.
func inspectError(t testing.TB, reference string) error {
	t.Helper()
	source, err := image.Open(t.Context(), reference, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer source.Close()
	if _, err = source.Inspect(t.Context(), tasuki.ARM64); err == nil {
		t.Fatalf("%s is accepted", reference)
	}
	return err
}

func TestReferencesThatNameNothing(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	dir := writeLayout(t, []string{"v1", "v2"}, randomImage(t, "arm64", 100, 1), randomImage(t, "arm64", 100, 1))
	empty := writeLayout(t, nil)
	absent := filepath.Join(dir, "absent")
	save := writeArchive(t, dockerSave(t, "orders:v1", randomImage(t, "arm64", 100, 1))...)
	tests := []struct {
		reference string
		kind      error
		words     []string
	}{
		{"orders:v1", tasuki.ErrInvalid, []string{"docker://", "oci:", "oci-archive:", "docker-archive:"}},
		{"", tasuki.ErrInvalid, []string{"docker://"}},
		{"docker-daemon:Orders", tasuki.ErrInvalid, []string{"docker-daemon:NAME:TAG"}},
		{"docker-daemon:", tasuki.ErrInvalid, []string{"nothing follows"}},
		{"docker:orders", tasuki.ErrInvalid, []string{"two slashes"}},
		{"docker://", tasuki.ErrInvalid, []string{"nothing follows"}},
		{"docker://me:s3cret@registry.example/app:v1", tasuki.ErrInvalid, []string{"without a user name or password"}},
		{"docker://registry.example/App", tasuki.ErrInvalid, []string{"not the name of an image"}},
		{"docker://registry.example/app@sha256:12", tasuki.ErrInvalid, nil},
		{"oci:" + absent, tasuki.ErrMissing, []string{"there is no file " + absent}},
		{"oci-archive:" + absent + ":v1", tasuki.ErrMissing, []string{"there is no file " + absent}},
		{"docker-archive:" + absent, tasuki.ErrMissing, []string{"there is no file " + absent}},
		{"oci:" + t.TempDir(), tasuki.ErrInvalid, []string{"not an OCI image layout"}},
		{"oci:" + save, tasuki.ErrInvalid, []string{"not a directory", "oci-archive:"}},
		{"oci-archive:" + save, tasuki.ErrInvalid, []string{"not an OCI image layout"}},
		{"oci-archive:" + dir, tasuki.ErrInvalid, []string{"not a regular file"}},
		{"oci:" + empty, tasuki.ErrMissing, []string{"holds no image"}},
		{"oci:" + dir, tasuki.ErrInvalid, []string{"2 images", "v1, v2"}},
		{"oci:" + dir + ":v3", tasuki.ErrMissing, []string{"no image v3", "v1, v2"}},
		{"oci:" + dir + ":", tasuki.ErrInvalid, []string{"empty"}},
		{"oci:" + dir + "@sha256:" + strings.Repeat("0", 64), tasuki.ErrMissing, []string{"sha256:000000000000"}},
		{"oci:" + dir + "@sha256:12", tasuki.ErrInvalid, []string{"not an image digest"}},
		{"docker-archive:" + save + ":orders:v2", tasuki.ErrMissing, []string{"no image orders:v2", "orders:v1"}},
		{"docker-archive:" + save + "@sha256:" + strings.Repeat("0", 64), tasuki.ErrInvalid, []string{"name and tag"}},
	}
	for _, test := range tests {
		refused(t, inspectError(t, test.reference), tasuki.SideSource, test.kind, test.words...)
	}
}

func TestHostileArchives(t *testing.T) {
	good := dockerSave(t, "orders:v1", randomImage(t, "arm64", 1000, 1))
	with := func(entries ...entry) []byte { return tarOf(t, append(entries, good...)...) }
	whole := tarOf(t, good...)
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	_, _ = z.Write(whole)
	_ = z.Close()
	replaced := func(change func(*entry)) []byte {
		entries := append([]entry(nil), good...)
		for i := range entries {
			change(&entries[i])
		}
		return tarOf(t, entries...)
	}
	tests := map[string]struct {
		archive []byte
		words   []string
	}{
		"path upwards":       {with(entry{name: "a/../../etc/passwd"}), []string{"outside of the archive"}},
		"absolute path":      {with(entry{name: "/etc/passwd"}), []string{"outside of the archive"}},
		"link out":           {with(entry{name: "a", link: "../../etc/passwd", typeflag: '2'}), []string{"leads out"}},
		"absolute link":      {with(entry{name: "a", link: "/etc/passwd", typeflag: '2'}), []string{"leads out"}},
		"hard link out":      {with(entry{name: "a", link: "../x", typeflag: '1'}), []string{"leads out"}},
		"device":             {with(entry{name: "a", typeflag: '3'}), []string{"neither a file"}},
		"link to itself":     {tarOf(t, entry{name: "manifest.json", link: "manifest.json", typeflag: '2'}), []string{"no file in the archive"}},
		"link to a link":     {tarOf(t, entry{name: "manifest.json", link: "a", typeflag: '2'}, entry{name: "a", link: "manifest.json", typeflag: '2'}), []string{"no file in the archive"}},
		"cut off":            {whole[:len(whole)/2], []string{"cut off"}},
		"cut in a header":    {whole[:700], []string{"not a whole tar archive"}},
		"no archive":         {[]byte(strings.Repeat("not a tar ", 200)), []string{"not a whole tar archive"}},
		"empty":              {nil, []string{"not an archive of docker save"}},
		"compressed":         {compressed.Bytes(), []string{"gzip", "gunzip"}},
		"huge manifest.json": {with(entry{name: "manifest.json", content: make([]byte, image.MaxDocument+1)})[:], nil},
		"other layer": {replaced(func(e *entry) {
			if strings.HasSuffix(e.name, "layer.tar") {
				e.content = []byte("another layer")
			}
		}), []string{"damaged"}},
		"broken gzip": {replaced(func(e *entry) {
			if strings.HasSuffix(e.name, "layer.tar") {
				e.content = []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00broken")
			}
		}), []string{"not what gzip writes"}},
		"zstd": {replaced(func(e *entry) {
			if strings.HasSuffix(e.name, "layer.tar") {
				e.content = []byte("\x28\xb5\x2f\xfdabc")
			}
		}), []string{"zstd"}},
		"other configuration": {replaced(func(e *entry) {
			if strings.HasSuffix(e.name, ".json") && e.name != "manifest.json" {
				e.content = append([]byte(" "), e.content...)
			}
		}), []string{"damaged"}},
		"missing layer": {replaced(func(e *entry) {
			if strings.HasSuffix(e.name, "layer.tar") {
				e.name = "elsewhere"
			}
		}), []string{"is not in the archive"}},
	}
	delete(tests, "huge manifest.json") // the last member of a name counts, so it comes alone, below
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image.tar")
			if err := os.WriteFile(file, test.archive, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, inspectError(t, "docker-archive:"+file), tasuki.SideSource, tasuki.ErrInvalid, test.words...)
		})
	}
	t.Run("huge manifest.json", func(t *testing.T) {
		file := writeArchive(t, entry{name: "manifest.json", content: make([]byte, image.MaxDocument+1)})
		refused(t, inspectError(t, "docker-archive:"+file), tasuki.SideSource, tasuki.ErrInvalid, "more than 4 MiB")
	})
}

func TestHostileManifests(t *testing.T) {
	const config = `{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":`
	tests := map[string]struct {
		manifest, mediaType string
		words               []string
	}{
		"both":               {`{"schemaVersion":2,"layers":[{}],"manifests":[{}]}`, tasuki.MediaTypeOCIManifest, []string{"both an image and an index"}},
		"another type":       {`{"schemaVersion":2,"mediaType":"` + tasuki.MediaTypeOCIIndex + `"}`, tasuki.MediaTypeOCIManifest, []string{"says that it is"}},
		"schema 1":           {`{"schemaVersion":1}`, "application/vnd.docker.distribution.manifest.v1+prettyjws", []string{"schema version 1"}},
		"negative size":      {`{"schemaVersion":2,"config":` + config + `-1}}`, tasuki.MediaTypeOCIManifest, []string{"-1 bytes"}},
		"size of 2^62":       {`{"schemaVersion":2,"config":` + config + `4611686018427387904}}`, tasuki.MediaTypeOCIManifest, []string{"4 MiB is the most"}},
		"size beyond 64 bit": {`{"schemaVersion":2,"config":` + config + `99999999999999999999}}`, tasuki.MediaTypeOCIManifest, nil},
		"no JSON":            {`{`, tasuki.MediaTypeOCIManifest, []string{"not JSON"}},
		"index of nothing":   {`{"schemaVersion":2,"manifests":[]}`, tasuki.MediaTypeOCIIndex, []string{"holds no image"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			manifest := tasuki.Manifest{Digest: tasuki.DigestOf([]byte(test.manifest)), MediaType: test.mediaType, Bytes: []byte(test.manifest)}
			_, err := image.Memory("hostile", manifest, nil).Inspect(t.Context(), tasuki.ARM64)
			refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, test.words...)
		})
	}
}

// A registry that gives another manifest than the one that was asked for.
func TestWrongManifestFromARegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	img := randomImage(t, "arm64", 100, 1)
	from := startServer(t, registries["go-containerregistry"]())
	digest := must(img.Digest()).String()
	from.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", tasuki.MediaTypeOCIManifest)
		w.Header().Set("Docker-Content-Digest", digest)
		_, _ = w.Write([]byte(`{"schemaVersion":2}`))
		return true
	})
	for _, reference := range []string{"/app@" + digest, "/app:v1"} {
		err := inspectError(t, "docker://"+from.host()+reference)
		refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, digest[:19], "damaged")
	}
}

func TestMissingInARegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	from := startServer(t, registries["ociregistry"]())
	err := inspectError(t, "docker://"+from.host()+"/app:v1")
	refused(t, err, tasuki.SideSource, tasuki.ErrMissing, from.host()+"/app:v1", "holds no such image")
}
