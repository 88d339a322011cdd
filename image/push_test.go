package image_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// refused checks that err is an error of the relay, of that side and kind, that
// says each of the given words and nothing that must not be seen.
func refused(t testing.TB, err error, side tasuki.Side, kind error, words ...string) {
	t.Helper()
	var e *tasuki.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want a *tasuki.Error", err, err)
	}
	if e.Side != side || e.Kind != kind || !errors.Is(err, kind) {
		t.Errorf("error is of %s, %v; want %s, %v: %v", e.Side, e.Kind, side, kind, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
	for _, secret := range []string{"s3cret", "X-Amz-Signature", "?", "\n"} {
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, secret) {
			t.Errorf("error %q says %q", text, secret)
		}
	}
}

func TestFreshPushIsFiveRequests(t *testing.T) {
	source, manifest := memoryImage("the placeholder", []byte("a layer"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	to := startServer(t, registries["ociregistry"]())
	to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); !ok || user != "AWS" || password != "s3cret" {
			t.Errorf("%s %s comes without credentials", r.Method, r.URL.Path)
		}
		return false
	})
	registry := to.registry()
	registry.Username, registry.Password = "AWS", "s3cret"
	if err := registry.Push(t.Context(), source, found, orders, tagOf("initial"), image.PushOptions{AssumeAbsent: true}); err != nil {
		t.Fatal(err)
	}
	requests := to.take()
	if len(requests) != 5 || countPrefix(requests, "POST ") != 2 || countPrefix(requests, "PUT ") != 3 {
		t.Errorf("a fresh push sends %s", sprint(requests))
	}
	if last := requests[len(requests)-1]; last != "PUT /v2/orders/manifests/initial" {
		t.Errorf("the last request is %s", last)
	}
	to.intercept(nil)
	if got := must(to.pulled(t, "initial").RawManifest()); !bytes.Equal(got, manifest.Bytes) {
		t.Error("the manifest's bytes are not verbatim")
	}
}

func TestOnlyAbsentBlobsAreSent(t *testing.T) {
	first, _ := memoryImage("first", []byte("base"), []byte("one"))
	second, _ := memoryImage("second", []byte("base"), []byte("two"), []byte("two"))
	to := startServer(t, registries["ociregistry"]())
	for _, source := range []*image.Source{first, second} {
		to.take()
		found := must(source.Inspect(t.Context(), tasuki.ARM64))
		if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	requests := to.take()
	if n := countPrefix(requests, "POST "); n != 1 {
		t.Errorf("%d blobs are sent, want the new one, once:%s", n, sprint(requests))
	}
}

func TestRelease(t *testing.T) {
	source, _ := memoryImage("the placeholder", []byte("a layer"))
	to := startServer(t, registries["ociregistry"]())
	denied := errors.New("no token")
	var asked int
	var port tasuki.ImageSource = image.Release{Source: source, Registry: func(context.Context, tasuki.Repository) (image.Registry, error) {
		if asked++; asked == 1 {
			return image.Registry{}, denied
		}
		return to.registry(), nil
	}}
	if port.String() != "the placeholder" {
		t.Errorf("name %q", port)
	}
	found := must(port.Inspect(t.Context(), tasuki.ARM64))
	if asked != 0 {
		t.Error("the registry was asked for before there was something to push")
	}
	if err := port.Push(t.Context(), found, orders, tagOf("v1")); !errors.Is(err, denied) {
		t.Errorf("error %v, want that of the registry", err)
	}
	if err := port.Push(t.Context(), found, orders, tagOf("v1")); err != nil {
		t.Fatal(err)
	}
	to.pulled(t, "v1")
}

// A destination that says it has a blob, and then refuses the manifest for want of it.
func TestDestinationThatLies(t *testing.T) {
	for _, code := range []string{"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"} {
		t.Run(code, func(t *testing.T) {
			source, _ := memoryImage("app", []byte("one"), []byte("two"))
			found := must(source.Inspect(t.Context(), tasuki.ARM64))
			to := startServer(t, registries["ociregistry"]())
			var puts int
			to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/"):
					w.Header().Set("Content-Length", "3")
					return true
				case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
					if puts++; puts == 1 {
						return refuse(w, http.StatusNotFound, code, "blob unknown to registry")
					}
				}
				return false
			})
			if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			to.intercept(nil)
			to.pulled(t, "v1")
		})
	}
}

// inProcess carries requests to a handler without a network, so that time can be false.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	request := r.Clone(r.Context())
	if request.Body == nil {
		request.Body = http.NoBody
	}
	defer request.Body.Close()
	h.ServeHTTP(recorder, request)
	response := recorder.Result()
	response.Request = r
	return response, nil
}

func TestFlakyDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := memoryImage("app", []byte("one"), []byte("two"))
		found := must(source.Inspect(t.Context(), tasuki.ARM64))
		handler := registries["ociregistry"]()
		var mu sync.Mutex
		failures := map[string]int{}
		flaky := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			failures[r.Method]++
			n := failures[r.Method]
			mu.Unlock()
			if n <= 2 {
				w.Header().Set("Retry-After", "7")
				refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "busy")
				return
			}
			handler.ServeHTTP(w, r)
		})
		registry := image.Registry{Host: "registry.example", Transport: inProcess{flaky}}
		begin := time.Now()
		if err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		// Two HEADs of the tag fail one after the other; the others may fail side by side.
		if took := time.Since(begin); took < 14*time.Second || took > time.Minute {
			t.Errorf("the push took %v: Retry-After was not honoured", took)
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	tests := []struct {
		name       string
		status     int
		retryAfter string
		kind       error
		attempts   int
	}{
		{"unavailable", http.StatusBadGateway, "", tasuki.ErrUnavailable, 5},
		{"throttled", http.StatusTooManyRequests, "", tasuki.ErrThrottled, 5},
		{"throttled for long", http.StatusTooManyRequests, "3600", tasuki.ErrThrottled, 1},
		{"denied", http.StatusForbidden, "", tasuki.ErrDenied, 1},
		{"unauthorized", http.StatusUnauthorized, "", tasuki.ErrDenied, 1},
		{"not implemented", http.StatusNotImplemented, "", tasuki.ErrUnavailable, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, _ := memoryImage("app", []byte("one"))
				found := must(source.Inspect(t.Context(), tasuki.ARM64))
				attempts := 0
				registry := image.Registry{Host: "registry.example", Username: "AWS", Password: "s3cret",
					Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						attempts++
						if test.retryAfter != "" {
							w.Header().Set("Retry-After", test.retryAfter)
						}
						w.WriteHeader(test.status)
					})}}
				err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
				refused(t, err, tasuki.SideImage, test.kind, orders.String()+":v1")
				if attempts != test.attempts {
					t.Errorf("%d attempts, want %d", attempts, test.attempts)
				}
			})
		})
	}
}

func TestRefusalsOfTheDestination(t *testing.T) {
	const immutable = "The image tag 'v1' already exists in the 'orders' repository and cannot be overwritten because the repository is immutable."
	tests := []struct {
		name, method, path, code, message string
		status                            int
		kind                              error
		words                             []string
		hint                              string
	}{
		{"immutable tag", http.MethodPut, "/manifests/", "TAG_INVALID", immutable, 400, tasuki.ErrConflict, []string{immutable}, "tag of its own"},
		{"no repository", http.MethodPost, "/blobs/uploads/", "NAME_UNKNOWN", "The repository with name 'orders' does not exist", 404, tasuki.ErrMissing, []string{"repository orders does not exist", orders.Host()}, "infra side"},
		{"expired token", http.MethodPost, "/blobs/uploads/", "DENIED", "Your authorization token has expired. Reauthenticate and try again.", 403, tasuki.ErrDenied, []string{"has expired"}, "a new login"},
		{"denied", http.MethodHead, "/manifests/", "DENIED", "User: x is not authorized to perform: ecr:BatchGetImage", 403, tasuki.ErrDenied, nil, "ecr:PutImage"},
		{"invalid manifest", http.MethodPut, "/manifests/", "MANIFEST_INVALID", "manifest invalid: see https://example.com/x?X-Amz-Signature=1\x1b[31m\nnow", 400, tasuki.ErrInvalid, []string{"manifest invalid: see https://example.com/x"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, _ := memoryImage("app", []byte("one"))
			found := must(source.Inspect(t.Context(), tasuki.ARM64))
			to := startServer(t, registries["ociregistry"]())
			to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == test.method && strings.Contains(r.URL.Path, test.path) {
					return refuse(w, test.status, test.code, test.message)
				}
				return false
			})
			err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
			refused(t, err, tasuki.SideImage, test.kind, test.words...)
			if hint := tasuki.HintOf(err); !strings.Contains(hint, test.hint) || (hint == "") != (test.hint == "") {
				t.Errorf("hint %q, want %q in it", hint, test.hint)
			}
		})
	}
}

// Another push of the same image came first, and the tag is immutable: that is well.
func TestImmutableTagOfTheSameImage(t *testing.T) {
	source, _ := memoryImage("app", []byte("one"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	to := startServer(t, registries["ociregistry"]())
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			return refuse(w, 400, "TAG_INVALID", "The image tag 'v1' already exists and cannot be overwritten because the repository is immutable.")
		}
		return false
	})
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{AssumeAbsent: true}); err != nil {
		t.Errorf("the same image under its immutable tag: %v", err)
	}
}

func TestUnreachableDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := memoryImage("app", []byte("one"))
		found := must(source.Inspect(t.Context(), tasuki.ARM64))
		registry := image.Registry{Host: "registry.example", Username: "AWS", Password: "s3cret", Transport: unreachable{}}
		err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
		refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, "connection refused")
	})
}

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial tcp: connection refused")
}

func TestSourceIsBlamedForItsErrors(t *testing.T) {
	source, manifest := memoryImage("app", []byte("a layer"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	layer := found.Layers[0].Digest
	tests := map[string]struct {
		blob  []byte
		words []string
		kind  error
	}{
		"another layer": {[]byte("a_layer"), []string{layer.Short(), "damaged"}, tasuki.ErrInvalid},
		"a short layer": {[]byte("a la"), []string{"4 of 7 bytes"}, tasuki.ErrInvalid},
		"no layer":      {nil, []string{"lacks the blob"}, tasuki.ErrMissing},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			blobs := map[tasuki.Digest][]byte{found.Config.Digest: configOf(t, source, found)}
			if test.blob != nil {
				blobs[layer] = test.blob
			}
			wrong := image.Memory("app", manifest, blobs)
			to := startServer(t, registries["go-containerregistry"]())
			err := to.registry().Push(t.Context(), wrong, found, orders, tagOf("v1"), image.PushOptions{})
			refused(t, err, tasuki.SideSource, test.kind, test.words...)
			for _, request := range to.take() {
				if strings.HasPrefix(request, "PUT ") && strings.Contains(request, "/manifests/") {
					t.Error("the manifest was pushed without its layer")
				}
			}
		})
	}
}

func TestCancelInTheMiddle(t *testing.T) {
	before := runtime.NumGoroutine()
	source, _ := memoryImage("app", bytes.Repeat([]byte("layer"), 1<<20))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	to := startServer(t, registries["ociregistry"]())
	stop := errors.New("the person pressed a key")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	to.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		_, _ = r.Body.Read(make([]byte, 1000))
		cancel(stop)
		// The server notices that the client is gone once it has read the body.
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			<-r.Context().Done() // answers never
		}
		return true
	})
	begin := time.Now()
	err := to.registry().Push(ctx, source, found, orders, tagOf("v1"), image.PushOptions{})
	refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, "cancelled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v is not context.Canceled", err)
	}
	if took := time.Since(begin); took > time.Minute { // it would be 2 minutes, and on a busy machine it may be some seconds
		t.Errorf("cancelling took %v", took)
	}
	to.Close()
	settles(t, before+2)
}

func TestProgress(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	source, _ := memoryImage("app", big, []byte("small"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	to := startServer(t, registries["ociregistry"]())
	for _, again := range []bool{false, true} {
		last := map[tasuki.Digest]image.Progress{}
		steps := 0
		tag := tagOf(fmt.Sprintf("v-%v", again))
		err := to.registry().Push(t.Context(), source, found, orders, tag, image.PushOptions{Progress: func(p image.Progress) {
			if p.Done < last[p.Digest].Done || p.Done > p.Total {
				t.Errorf("progress %+v after %+v", p, last[p.Digest])
			}
			steps++
			last[p.Digest] = p // no lock: one call at a time, or the race detector says so
		}})
		if err != nil {
			t.Fatal(err)
		}
		if len(last) != 3 || steps < 3 {
			t.Errorf("%d blobs in %d steps, want 3 blobs", len(last), steps)
		}
		for _, p := range last {
			if p.Done != p.Total || p.Present != again {
				t.Errorf("progress ends with %+v, want it present: %v", p, again)
			}
		}
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	registry := image.Registry{Host: "registry.example", Username: "AWS", Password: "s3cret"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("push", "to", registry, "too", &registry)
	texts := []string{log.String(), string(must(json.Marshal(registry))), registry.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, registry), fmt.Sprintf(verb, &registry), fmt.Sprintf(verb, []any{registry}))
	}
	for _, text := range texts {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "733363726574") || !strings.Contains(text, "registry.example") {
			t.Errorf("printed as %s", text)
		}
	}
}

func TestCredentialsStayWithTheRegistry(t *testing.T) {
	source, _ := memoryImage("app", []byte("one"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	other := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s has credentials", r.Method, r.URL.Path)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	to := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", other.URL+"/upload?token=s3cret")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	registry := to.registry()
	registry.Username, registry.Password = "AWS", "s3cret"
	err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
	refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, "different host")
	if n := countPrefix(other.take(), "HEAD "); n == 0 {
		t.Error("no redirect was followed, so nothing was tested")
	}
}

// A session has to be where the registry is. That one is without TLS is a common mistake
// in what proxies tell registries, and is told as it is.
func TestSessionsElsewhere(t *testing.T) {
	source, _ := memoryImage("app", []byte("one"))
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	for location, word := range map[string]string{
		"http://registry.example/v2/orders/blobs/uploads/1?state=s3cret":       "without TLS",
		"https://other.example/v2/orders/blobs/uploads/1?state=s3cret":         "different host, other.example",
		"https://registry.example:5000/v2/orders/blobs/uploads/1?a=s3cret":     "different host, registry.example:5000",
		"https://registry.example.evil.test/v2/orders/blobs/uploads/?a=s3cret": "different host",
		"": "did not say where",
	} {
		registry := image.Registry{Host: "registry.example", Username: "AWS", Password: "s3cret", Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodPost:
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusAccepted)
			case http.MethodPut:
				t.Errorf("something was sent to %s", r.URL.Host)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		})}}
		err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
		refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, word)
	}
}

// Layers are streamed: what is allocated does not grow with them.
func TestMemoryIsBounded(t *testing.T) {
	const size, most = 64 << 20, 8 << 20
	dir := t.TempDir()
	_, manifest := bigLayout(t, dir, size)
	source, found := inspect(t, "oci:"+dir)
	if found.Digest() != manifest {
		t.Fatalf("digest %s, want %s", found.Digest(), manifest)
	}
	to := startServer(t, sink{})
	before := allocated()
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := allocated() - before; got > most {
		t.Errorf("pushing %d MiB allocates %d KiB, want at most %d", size>>20, got>>10, most>>10)
	}
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// bigLayout writes a layout of one image with one layer of size zeros.
func bigLayout(t *testing.T, dir string, size int64) (layer, manifest tasuki.Digest) {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path string, content []byte) tasuki.Digest {
		if path == "" {
			path = filepath.Join(blobs, strings.TrimPrefix(tasuki.DigestOf(content).String(), "sha256:"))
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return tasuki.DigestOf(content)
	}
	hash := sha256.New()
	if _, err := io.CopyN(hash, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	layer = must(tasuki.ParseDigest("sha256:" + sum))
	file := must(os.Create(filepath.Join(blobs, sum)))
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		t.Fatal(err)
	}
	config := []byte(`{"os":"linux","architecture":"arm64"}`)
	b := must(json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest,
		"config": tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: write("", config), Size: int64(len(config))},
		"layers": []tasuki.Descriptor{{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: layer, Size: size}},
	}))
	manifest = write("", b)
	write(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write(filepath.Join(dir, "index.json"), must(json.Marshal(map[string]any{
		"schemaVersion": 2, "manifests": []tasuki.Descriptor{{MediaType: tasuki.MediaTypeOCIManifest, Digest: manifest, Size: int64(len(b))}},
	})))
	return layer, manifest
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// sink takes whatever it is sent and keeps nothing of it.
type sink struct{}

func (sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	case http.MethodPost:
		w.Header().Set("Location", "/v2/orders/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	default:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Docker-Content-Digest", r.URL.Query().Get("digest"))
		w.WriteHeader(http.StatusCreated)
	}
}

// configOf returns an image's configuration, read from what a push of it sends.
func configOf(t *testing.T, source *image.Source, found tasuki.Image) []byte {
	t.Helper()
	to := startServer(t, registries["go-containerregistry"]())
	if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	return must(to.pulled(t, "v1").RawConfigFile())
}
