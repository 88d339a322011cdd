package image_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

func TestCopyTakesAnIndexWhole(t *testing.T) {
	for name, open := range registries {
		t.Run(name, func(t *testing.T) {
			index := buildxIndex(t, map[string]v1.Image{"amd64": randomImage(t, "amd64", 2000, 2), "arm64": randomImage(t, "arm64", 2000, 2)})
			want := must(index.Digest()).String()
			from, to := startServer(t, registries["ociregistry"]()), startServer(t, open())
			from.seedIndex(t, "src", "v1", index)
			source := must(image.Open(t.Context(), "docker://"+from.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}))
			defer source.Close()
			copied, err := to.registry().Copy(t.Context(), source, orders, tagOf("v1"), image.PushOptions{})
			if err != nil || copied.String() != want {
				t.Fatalf("copied %s, %v, want %s", copied, err, want)
			}
			r := must(to.client().GetTag(t.Context(), orders.Name(), "v1"))
			if got := must(io.ReadAll(r)); !bytes.Equal(got, must(index.RawManifest())) {
				t.Error("the index's bytes are others")
			}
			for _, child := range must(index.IndexManifest()).Manifests {
				manifest := must(io.ReadAll(must(to.client().GetManifest(t.Context(), orders.Name(), digest.Digest(child.Digest.String())))))
				config, layers, err := tasuki.Manifest{Bytes: manifest}.ConfigAndLayers()
				if err != nil {
					t.Fatal(err)
				}
				for _, blob := range append(layers, config) {
					must(to.client().ResolveBlob(t.Context(), orders.Name(), digest.Digest(blob.Digest.String())))
				}
			}
			to.take()
			if _, err := to.registry().Copy(t.Context(), source, orders, tagOf("v1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if requests := to.take(); len(requests) != 1 {
				t.Errorf("again, it took%s", sprint(requests))
			}
		})
	}
}

func TestCopyWithoutATag(t *testing.T) {
	source, manifest := memoryImage("an image", []byte("a layer"))
	to := startServer(t, registries["ociregistry"]())
	copied, err := to.registry().Copy(t.Context(), source, orders, tasuki.Tag{}, image.PushOptions{})
	if err != nil || copied != manifest.Digest {
		t.Fatalf("copied %s, %v", copied, err)
	}
	must(to.client().ResolveManifest(t.Context(), orders.Name(), digest.Digest(copied.String())))
	inspected := must(source.Inspect(t.Context(), tasuki.ARM64))
	to.take()
	if err := to.registry().Push(t.Context(), source, inspected, orders, tasuki.Tag{}, image.PushOptions{}); err != nil {
		t.Error(err)
	}
	if requests := to.take(); len(requests) != 1 {
		t.Errorf("to push what is there took%s", sprint(requests))
	}
}

func TestCopySaysOnWhichSideItFailed(t *testing.T) {
	index := buildxIndex(t, map[string]v1.Image{"arm64": randomImage(t, "arm64", 2000, 1)})
	from, to := startServer(t, registries["ociregistry"]()), startServer(t, registries["ociregistry"]())
	from.seedIndex(t, "src", "v1", index)
	source := must(image.Open(t.Context(), "docker://"+from.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/v1") && refuse(w, http.StatusForbidden, "DENIED", "not you")
	})
	_, err := to.registry().Copy(t.Context(), source, orders, tagOf("v1"), image.PushOptions{})
	refused(t, err, tasuki.SideImage, tasuki.ErrDenied, "not you")
	child := must(index.IndexManifest()).Manifests[0].Digest.String()
	from.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, child) && refuse(w, http.StatusForbidden, "DENIED", "gone private")
	})
	_, err = to.registry().Copy(t.Context(), source, orders, tagOf("v2"), image.PushOptions{})
	refused(t, err, tasuki.SideSource, tasuki.ErrDenied, "gone private")
}

func TestARegistryWithCredentials(t *testing.T) {
	from := startServer(t, registries["ociregistry"]())
	from.seed(t, "src", "v1", randomImage(t, "arm64", 2000, 1))
	from.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "robot" && password == "s3cret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
		return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "log in first")
	})
	for name, test := range map[string]struct {
		options image.OpenOptions
		allowed bool
	}{
		"given":    {image.OpenOptions{Username: "robot", Password: "s3cret"}, true},
		"wrong":    {image.OpenOptions{Username: "robot", Password: "guess"}, false},
		"nobody":   {image.OpenOptions{NoDockerLogin: true}, false},
		"registry": {image.OpenOptions{Registry: &image.Registry{Host: from.host(), PlainHTTP: true, Username: "robot", Password: "s3cret"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			host := from.host()
			if test.options.Registry != nil {
				host = orders.Host() // where the bytes are is not what they are called
			}
			source := must(image.Open(t.Context(), "docker://"+host+"/src:v1", test.options))
			defer source.Close()
			_, err := source.Inspect(t.Context(), tasuki.ARM64)
			if test.allowed != (err == nil) {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				refused(t, err, tasuki.SideSource, tasuki.ErrDenied)
			}
		})
	}
}
