package image_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

func TestOpenDestinationRefuses(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for reference, word := range map[string]string{
		"app:v1":                  "does not say where to copy to",
		"docker-daemon:app:v1":    "does not say where to copy to",
		"s3://bucket/key":         "does not say where to copy to",
		"oci:":                    "does not say where to copy to",
		"oci:dir:":                "empty",
		"oci:dir:.v1":             "not a tag",
		"oci-archive:file:a--":    "not a tag",
		"docker-archive:file:App": "not the name of an image",
		"docker-archive:file:app@" + tasuki.DigestOf(nil).String(): "a copy has the digest",
		"docker://":                                                      "does not say where to copy to",
		"docker://registry.example/app":                                  "needs a tag",
		"docker://registry.example/App:v1":                               "not the name of an image",
		"docker://me:s3cret@registry.example/app:1":                      "without a user name",
		"docker://registry.example/app@" + tasuki.DigestOf(nil).String(): "needs a tag",
	} {
		_, err := image.OpenDestination(reference, image.OpenOptions{})
		refused(t, err, tasuki.SideImage, tasuki.ErrInvalid, word)
	}
	for _, reference := range []string{"docker://registry.example/app:latest", "docker://" + orders.String() + ":v1"} {
		d, err := image.OpenDestination(reference, image.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if d.String() != strings.TrimPrefix(reference, "docker://") {
			t.Errorf("%s is called %s", reference, d)
		}
		d.Close()
	}
}

func TestCopyWithinARegistryMounts(t *testing.T) {
	s, source := from(t, registries["ociregistry"](), []byte("one"), []byte("two"))
	seen := 0
	copied, err := to(t, s, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{Progress: func(p image.Progress) {
		if seen++; !p.Mounted || p.Done != p.Total || p.Present {
			t.Errorf("progress %+v", p)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.pulled(t, "v1")
	if copied.Sent != 0 || copied.Mounted == 0 || copied.Present != 0 || seen != 3 {
		t.Errorf("the copy took %+v, with %d blobs told of", copied, seen)
	}
	requests := s.take()
	if n := countPrefix(requests, "GET /v2/src/blobs/") + countPrefix(requests, "PUT /v2/orders/blobs/"); n != 0 {
		t.Errorf("blobs were sent:%s", sprint(requests))
	}
	if copied.Requests != int64(len(requests)-4) { // four pull the copy above
		t.Errorf("%d requests, want those of:%s", copied.Requests, sprint(requests))
	}

	// Once more takes two: one on either side.
	again, err := to(t, s, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if requests := s.take(); len(requests) != 2 || again.Requests != 2 {
		t.Errorf("again, it says that it took %d requests, and took%s", again.Requests, sprint(requests))
	}
}

// Within one repository there is nothing to copy but the manifest.
func TestCopyToAnotherTag(t *testing.T) {
	s, source := from(t, registries["ociregistry"](), []byte("one"), []byte("two"))
	if _, err := to(t, s, "src:v2").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if requests := s.take(); len(requests) != 3 {
		t.Errorf("it took%s", sprint(requests))
	}
}

func TestRegistriesThatDoNotMount(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"a session instead": func(_ http.ResponseWriter, r *http.Request) bool {
			query := r.URL.Query()
			query.Del("mount")
			query.Del("from")
			r.URL.RawQuery = query.Encode()
			return false
		},
		"a refusal": func(w http.ResponseWriter, _ *http.Request) bool {
			return refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "not there")
		},
		"a denial": func(w http.ResponseWriter, _ *http.Request) bool {
			return refuse(w, http.StatusForbidden, "DENIED", "not yours")
		},
		"what Harbor says of a project that it hides": func(w http.ResponseWriter, _ *http.Request) bool {
			return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "project src not found")
		},
		"a lie": func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusCreated)
			return true
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			s, source := from(t, registries["ociregistry"](), []byte("one"), []byte("two"))
			var asked, puts atomic.Int32
			s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.URL.Query().Has("mount"):
					asked.Add(1)
					return answer(w, r)
				case name == "a lie" && r.URL.Path == "/v2/orders/manifests/v1" && r.Method == http.MethodPut:
					return puts.Add(1) == 1 && refuse(w, http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "it has not got it after all")
				}
				return false
			})
			copied, err := to(t, s, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.intercept(nil)
			s.pulled(t, "v1")
			if asked.Load() != 3 || copied.Sent == 0 {
				t.Errorf("asked %d times to mount, and the copy took %+v", asked.Load(), copied)
			}
		})
	}
}

func TestCopyImageChooses(t *testing.T) {
	images := map[string]v1.Image{"amd64": randomImage(t, "amd64", 2000, 1), "arm64": randomImage(t, "arm64", 2000, 1)}
	s := startServer(t, registries["ociregistry"]())
	s.seedIndex(t, "src", "v1", buildxIndex(t, images))
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	copied, err := to(t, s, "orders:v1").CopyImage(t.Context(), source, tasuki.ARM64, image.PushOptions{})
	if want := must(images["arm64"].Digest()).String(); err != nil || copied.Digest.String() != want {
		t.Errorf("copied %s, %v; want %s", copied.Digest, err, want)
	}
	s.pull(t, "v1")
	_, err = to(t, s, "orders:v2").CopyImage(t.Context(), source, "", image.PushOptions{})
	refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, "give the architecture")
}

// Any registry is told of with docker login's hint, and ECR with its actions.
func TestDenialsOfDestinations(t *testing.T) {
	source, _ := memoryImage("app", []byte("one"))
	s := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	registry := s.registry()
	for reference, hint := range map[string]string{"docker://" + s.host() + "/orders:v1": "docker login " + s.host(), "docker://" + orders.String() + ":v1": "ecr:PutImage"} {
		o := image.OpenOptions{}
		if _, isECR := image.RepositoryOf(reference); isECR {
			o.Registry = &registry
		}
		d := must(image.OpenDestination(reference, o))
		_, err := d.Copy(t.Context(), source, image.PushOptions{})
		d.Close()
		refused(t, err, tasuki.SideImage, tasuki.ErrDenied, strings.TrimPrefix(reference, "docker://"))
		if !strings.Contains(tasuki.HintOf(err), hint) {
			t.Errorf("hint %q, want %q in it", tasuki.HintOf(err), hint)
		}
	}
}
