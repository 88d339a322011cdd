package image_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// writeLayout writes images as a layout, the i-th under the tag tags[i].
func writeLayout(t testing.TB, tags []string, images ...mutate.Appendable) string {
	t.Helper()
	dir := t.TempDir()
	path := must(layout.Write(dir, empty.Index))
	for i, appended := range images {
		var err error
		annotations := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tags[i]})
		switch appended := appended.(type) {
		case v1.Image:
			err = path.AppendImage(appended, annotations)
		case v1.ImageIndex:
			err = path.AppendIndex(appended, annotations)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Every way in, to every registry: what comes out is the same image, by the
// judgement of a client that nobody here wrote.
func TestRoundTrip(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	img := randomImage(t, "arm64", 50_000, 5)
	want := must(img.Digest()).String()
	tagged := must(name.NewTag("orders:v1"))
	sources := map[string]func(t *testing.T) string{
		"docker": func(t *testing.T) string {
			from := startServer(t, registries["go-containerregistry"]())
			from.seed(t, "app", "v1", img)
			return "docker://" + from.host() + "/app:v1"
		},
		"docker by digest": func(t *testing.T) string {
			from := startServer(t, registries["ociregistry"]())
			from.seed(t, "team/app", "v1", img)
			return "docker://" + from.host() + "/team/app@" + want
		},
		"oci":           func(t *testing.T) string { return "oci:" + writeLayout(t, []string{"v1"}, img) },
		"oci by tag":    func(t *testing.T) string { return "oci:" + writeLayout(t, []string{"v1"}, img) + ":v1" },
		"oci by digest": func(t *testing.T) string { return "oci:" + writeLayout(t, []string{"v1"}, img) + "@" + want },
		"oci-archive": func(t *testing.T) string {
			return "oci-archive:" + writeArchive(t, entriesOf(t, writeLayout(t, []string{"v1"}, img))...) + ":v1"
		},
		"docker-archive, compressed": func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "image.tar")
			if err := tarball.WriteToFile(file, tagged, img); err != nil {
				t.Fatal(err)
			}
			return "docker-archive:" + file
		},
		"docker-archive, plain": func(t *testing.T) string {
			return "docker-archive:" + writeArchive(t, dockerSave(t, "orders:v1", img)...) + ":orders:v1"
		},
	}
	for kind, handler := range registries {
		for transport, reference := range sources {
			t.Run(transport+" to "+kind, func(t *testing.T) {
				source, found := inspect(t, reference(t))
				to := startServer(t, handler())
				if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				got := to.pull(t, "r1")
				if diff := cmp.Diff(string(must(img.RawConfigFile())), string(must(got.RawConfigFile()))); diff != "" {
					t.Errorf("configuration (-want +got):\n%s", diff)
				}
				if strings.HasPrefix(transport, "docker-archive") { // an archive holds no manifest: one is made
					if digest := must(got.Digest()).String(); digest != found.Digest().String() {
						t.Errorf("pushed %s, inspected %s", digest, found.Digest())
					}
				} else if !bytes.Equal(must(img.RawManifest()), must(got.RawManifest())) {
					t.Error("the manifest's bytes are not verbatim")
				}
				if findings := lambdaimage.Check(found, tasuki.ARM64); len(findings) != 0 {
					t.Errorf("Lambda's rules: %v", findings)
				}
				to.take()
				if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				if requests := to.take(); len(requests) != 1 || !strings.HasPrefix(requests[0], "HEAD ") {
					t.Errorf("a second push sends %s", sprint(requests))
				}
			})
		}
	}
}

// dockerSave returns the members of an archive in docker save's old form: a
// directory for each layer, not compressed, and a link for one that was there already.
func dockerSave(t testing.TB, repoTag string, img v1.Image) []entry {
	t.Helper()
	var entries []entry
	var paths []string
	for _, layer := range must(img.Layers()) {
		id := must(layer.DiffID()).Hex
		entries = append(entries,
			entry{name: id + "/", typeflag: '5'},
			entry{name: id + "/VERSION", content: []byte("1.0")},
			entry{name: id + "/layer.tar", content: must(io.ReadAll(must(layer.Uncompressed())))})
		paths = append(paths, `"`+id+`/layer.tar"`)
	}
	config := must(img.ConfigName()).Hex + ".json"
	return append(entries,
		entry{name: config, content: must(img.RawConfigFile())},
		entry{name: "manifest.json", content: []byte(`[{"Config":"` + config + `","RepoTags":["` + repoTag + `"],"Layers":[` + strings.Join(paths, ",") + `]}]`)})
}

func TestDockerArchiveIsReproducible(t *testing.T) {
	members := dockerSave(t, "orders:v1", randomImage(t, "arm64", 10_000, 3))
	_, one := inspect(t, "docker-archive:"+writeArchive(t, members...))
	_, two := inspect(t, "docker-archive:"+writeArchive(t, members...))
	if one.Digest() != two.Digest() {
		t.Errorf("the same archive has the digests %s and %s", one.Digest(), two.Digest())
	}
}

// docker save writes a layer that occurs twice as a link.
func TestDockerArchiveFollowsItsOwnLinks(t *testing.T) {
	img := randomImage(t, "arm64", 10_000, 1)
	members := dockerSave(t, "orders:v1", img)
	layer := must(must(img.Layers())[0].DiffID()).Hex
	for i, member := range members {
		if member.name == layer+"/layer.tar" {
			members[i].name = "first/layer.tar"
			members = append(members, entry{name: layer + "/layer.tar", link: "../first/layer.tar", typeflag: '2'})
		}
	}
	_, found := inspect(t, "docker-archive:"+writeArchive(t, members...))
	if len(found.Layers) != 1 {
		t.Errorf("%d layers, want 1", len(found.Layers))
	}
}

func TestIndexWithAttestations(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	images := map[string]v1.Image{"amd64": randomImage(t, "amd64", 1000, 2), "arm64": randomImage(t, "arm64", 1000, 2)}
	index := buildxIndex(t, images)
	from := startServer(t, registries["go-containerregistry"]())
	from.seedIndex(t, "app", "v1", index)
	dir := writeLayout(t, []string{"v1"}, index)
	for _, reference := range []string{"docker://" + from.host() + "/app:v1", "oci:" + dir, "oci-archive:" + writeArchive(t, entriesOf(t, dir)...)} {
		source, err := image.Open(t.Context(), reference, image.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
			found, err := source.Inspect(t.Context(), arch)
			if err != nil {
				t.Fatal(err)
			}
			if want := must(images[arch.OCI()].Digest()).String(); found.Digest().String() != want {
				t.Errorf("%s on %s is %s, want %s", reference, arch, found.Digest(), want)
			}
			if want := must(index.Digest()).String(); found.Index.String() != want {
				t.Errorf("%s on %s comes from index %s, want %s", reference, arch, found.Index, want)
			}
			to := startServer(t, registries["ociregistry"]())
			if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			to.pull(t, "r1")
		}
	}
}

func TestIndexWithoutTheArchitecture(t *testing.T) {
	index := buildxIndex(t, map[string]v1.Image{"amd64": randomImage(t, "amd64", 1000, 1)})
	source := must(image.Open(t.Context(), "oci:"+writeLayout(t, []string{"v1"}, index), image.OpenOptions{}))
	_, err := source.Inspect(t.Context(), tasuki.ARM64)
	refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, "linux/arm64", "linux/amd64")
}

// Docker Hub's own images are of Docker's types, and are copied as they are.
func TestDockerTypesAreKept(t *testing.T) {
	img := mutate.ConfigMediaType(mutate.MediaType(randomImage(t, "arm64", 1000, 2), types.DockerManifestSchema2), types.DockerConfigJSON)
	source, found := inspect(t, "oci:"+writeLayout(t, []string{"v1"}, img))
	to := startServer(t, registries["ociregistry"]())
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("r1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := must(to.pull(t, "r1").MediaType()); got != types.DockerManifestSchema2 {
		t.Errorf("media type %s", got)
	}
}

// Credentials of docker login are used, and only when the registry asks.
func TestDockerCredentials(t *testing.T) {
	img := randomImage(t, "arm64", 1000, 1)
	from := startServer(t, registries["go-containerregistry"]())
	from.seed(t, "app", "v1", img)
	from.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	source := must(image.Open(t.Context(), "docker://"+from.host()+"/app:v1", image.OpenOptions{}))
	_, err := source.Inspect(t.Context(), tasuki.ARM64)
	refused(t, err, tasuki.SideSource, tasuki.ErrDenied, "credentials")
	if hint := tasuki.HintOf(err); !strings.Contains(hint, "docker login "+from.host()) {
		t.Errorf("hint %q", hint)
	}
	config := `{"auths":{"` + from.host() + `":{"auth":"bWU6c2VjcmV0"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	_, found := inspect(t, "docker://"+from.host()+"/app:v1")
	if found.Digest().String() != must(img.Digest()).String() {
		t.Errorf("digest %s", found.Digest())
	}
}
