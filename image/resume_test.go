package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// noise returns so many bytes that compress badly, and are the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// from starts a registry that holds an image of the given layers as src:v1, and opens it.
func from(t *testing.T, handler http.Handler, layers ...[]byte) (*server, *image.Source) {
	t.Helper()
	made, _ := memoryImage("made", layers...)
	found := must(made.Inspect(t.Context(), tasuki.ARM64))
	s := startServer(t, handler)
	if err := s.registry().Push(t.Context(), made, found, must(tasuki.ParseRepository(orders.Host()+"/src")), tagOf("v1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.take()
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}))
	t.Cleanup(func() { source.Close() })
	return s, source
}

// to opens a destination in a registry.
func to(t *testing.T, s *server, name string) *image.Destination {
	t.Helper()
	d := must(image.OpenDestination("docker://"+s.host()+"/"+name, image.OpenOptions{NoDockerLogin: true}))
	t.Cleanup(func() { d.Close() })
	return d
}

// arrives copies an image into a registry that has nothing yet, where it arrives whole.
func arrives(t *testing.T, source *image.Source) {
	t.Helper()
	into := startServer(t, registries["ociregistry"]())
	if _, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	into.pulled(t, "v1")
}

// cutBody is a request's body that ends in the loss of its connection.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left <= 0 {
		panic(http.ErrAbortHandler)
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// cutAnswer is an answer that ends in the loss of its connection.
type cutAnswer struct {
	http.ResponseWriter
	left int64
}

func (c *cutAnswer) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); c.left <= 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// An upload that is cut off twice goes on where the registry's bytes end.
func TestUploadIsResumed(t *testing.T) {
	layer := noise(8 << 20)
	source, _ := memoryImage("app", layer)
	found := must(source.Inspect(t.Context(), tasuki.ARM64))
	s := startServer(t, registries["ociregistry"]())
	var mu sync.Mutex
	var cuts int
	var ranges []string
	s.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.ContentLength > 1<<20 {
			mu.Lock()
			defer mu.Unlock()
			ranges = append(ranges, r.Header.Get("Content-Range"))
			if cuts++; cuts <= 2 {
				r.Body = &cutBody{r.Body, 3 << 20}
			}
		}
		return false
	})
	copied, err := to(t, s, "orders:v1").Push(t.Context(), source, found, image.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.intercept(nil)
	s.pulled(t, "v1")
	want := fmt.Sprint([]string{"", fmt.Sprintf("%d-%d", 3<<20, 8<<20-1), fmt.Sprintf("%d-%d", 6<<20, 8<<20-1)})
	if got := fmt.Sprint(ranges); got != want {
		t.Errorf("sent the ranges %s, want %s", got, want)
	}
	// What lay in the buffers of the connections that were cut is sent twice, and no more.
	if most := int64(len(layer)) + 2*(6<<20); copied.Sent > most {
		t.Errorf("%d bytes sent, want at most %d", copied.Sent, most)
	}
	if n := countPrefix(s.take(), "POST "); n != 2 {
		t.Errorf("%d sessions were begun, want one for each blob", n)
	}
}

// A registry that cannot say what it has is sent the blob anew.
func TestUploadIsBegunAnew(t *testing.T) {
	tests := map[string]func(w http.ResponseWriter, r *http.Request, cuts int) bool{
		"the session is gone": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return r.Method == http.MethodGet && refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "gone")
		},
		"it does not say": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return r.Method == http.MethodGet && refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "no")
		},
		"it claims more than it was sent": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Range", "0-99999999")
			w.WriteHeader(http.StatusNoContent)
			return true
		},
		"it does not go on": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return r.Method == http.MethodPut && r.Header.Get("Content-Range") != "" && refuse(w, http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "no")
		},
		"it finds that the digest is another": func(w http.ResponseWriter, r *http.Request, _ int) bool {
			return r.Method == http.MethodPut && r.Header.Get("Content-Range") != "" && refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "no")
		},
		"it is still writing": func(w http.ResponseWriter, r *http.Request, resumed int) bool {
			return r.Method == http.MethodPut && r.Header.Get("Content-Range") != "" && resumed == 1 && refuse(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "not yet")
		},
	}
	for name, trouble := range tests {
		t.Run(name, func(t *testing.T) {
			source, _ := memoryImage("app", noise(2<<20))
			found := must(source.Inspect(t.Context(), tasuki.ARM64))
			s := startServer(t, registries["ociregistry"]())
			var mu sync.Mutex
			var cut bool
			var resumed int
			s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				if !strings.Contains(r.URL.Path, "/uploads/") {
					return false
				}
				if r.Method == http.MethodPut && r.ContentLength > 1<<20 && !cut {
					cut = true
					r.Body = &cutBody{r.Body, 1 << 20}
					return false
				}
				if r.Header.Get("Content-Range") != "" {
					resumed++
				}
				return trouble(w, r, resumed)
			})
			if _, err := to(t, s, "orders:v1").Push(t.Context(), source, found, image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			s.intercept(nil)
			s.pulled(t, "v1")
		})
	}
}

// A registry that never gets further is given up, and the error is its own.
func TestUploadThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := memoryImage("app", noise(1<<20))
		found := must(source.Inspect(t.Context(), tasuki.ARM64))
		puts := 0
		registry := image.Registry{Host: "registry.example", Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodHead, http.MethodGet:
				w.WriteHeader(http.StatusNotFound)
			case http.MethodPost:
				w.Header().Set("Location", "/v2/orders/blobs/uploads/1")
				w.WriteHeader(http.StatusAccepted)
			default:
				if r.ContentLength > 1000 {
					puts++
				}
				refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "busy")
			}
		})}}
		err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
		refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, "busy")
		if puts > 5 {
			t.Errorf("%d attempts", puts)
		}
	})
}

// A source's connection that is cut off again and again is opened again at the byte
// reached; a registry without ranges sends what is known already, to be skipped.
func TestSourceIsResumed(t *testing.T) {
	for name, ranges := range map[string]bool{"with ranges": true, "without ranges": false} {
		t.Run(name, func(t *testing.T) {
			handler := registries["ociregistry"]()
			s, source := from(t, handler, noise(4<<20))
			var least atomic.Int64 // bytes before a cut, so that one without ranges gets further
			s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				if !ranges {
					r.Header.Del("Range")
				}
				handler.ServeHTTP(&cutAnswer{w, least.Add(1 << 20)}, r)
				return true
			})
			arrives(t, source)
			if n := countPrefix(s.take(), "GET /v2/src/blobs/"); n < 3 {
				t.Errorf("%d requests for blobs: nothing was cut", n)
			}
		})
	}
}

// Large layers are of 17 ranges in these tests, as those of 65 MiB are otherwise.
const (
	part  = 64 << 10
	large = 16*part + part/4
)

// fromInRanges is from with one large layer.
func fromInRanges(t *testing.T, handler http.Handler) (s *server, source *image.Source, layer []byte) {
	t.Helper()
	layer = noise(large)
	s, whole := from(t, handler, layer)
	whole.Close()
	source = must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{NoDockerLogin: true}.InRanges(16*part, part)))
	t.Cleanup(func() { source.Close() })
	return s, source, layer
}

// A large layer comes in several ranges at once, from where the registry sends readers
// on to, which is asked again without the registry while its address is good.
func TestRangesAtOnce(t *testing.T) {
	handler := registries["ociregistry"]()
	s, source, layer := fromInRanges(t, handler)
	var mu sync.Mutex
	var served, now, cut int
	var expired bool
	together := make(chan struct{}) // closed when two are served at the same time
	storage := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the storage service got credentials")
		}
		mu.Lock()
		served++
		number := served
		if now++; now == 2 && !closed(together) {
			close(together)
		}
		// An address that was given just now has not expired: the client says where it
		// was sent from. One that is asked again has.
		expires := number >= 10 && !expired && r.Header.Get("Referer") == ""
		expired = expired || expires
		mu.Unlock()
		defer func() {
			mu.Lock()
			now--
			mu.Unlock()
		}()
		// The first range tells that there are ranges, and the configuration has none.
		if asked := r.Header.Get("Range"); asked != "" && !strings.HasPrefix(asked, "bytes=0-") {
			select {
			case <-together:
			case <-time.After(time.Minute):
				t.Error("ranges are asked for one after the other")
			}
		}
		switch {
		case expires:
			w.WriteHeader(http.StatusForbidden)
		case number == 5:
			mu.Lock()
			cut++
			mu.Unlock()
			handler.ServeHTTP(&cutAnswer{w, part / 4}, r)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		http.Redirect(w, r, storage.URL+r.URL.Path+"?X-Amz-Signature=s3cret", http.StatusTemporaryRedirect)
		return true
	})
	into := startServer(t, registries["ociregistry"]())
	copied, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	into.pulled(t, "v1")
	mu.Lock()
	defer mu.Unlock()
	if asked := countPrefix(s.take(), "GET /v2/src/blobs/"); asked > 12 || asked < 2 {
		t.Errorf("the registry was asked %d times for %d ranges", asked, served)
	}
	if served < 17 || cut != 1 || !expired {
		t.Errorf("%d ranges, %d cut off, an address expired: %t", served, cut, expired)
	}
	if copied.Sent < int64(len(layer)) || copied.Requests < int64(served) {
		t.Errorf("the copy took %+v", copied)
	}
}

// closed reports whether a channel is closed, on which nothing is sent.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A registry without ranges gives a large layer in one stream.
func TestLargeLayerWithoutRanges(t *testing.T) {
	s, source, _ := fromInRanges(t, registries["ociregistry"]())
	s.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	})
	into := startServer(t, sink{})
	if _, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := countPrefix(s.take(), "GET /v2/src/blobs/"); n != 2 {
		t.Errorf("%d requests for two blobs", n)
	}
}

// What is served in ranges at first, and whole later, arrives whole.
func TestRegistryThatForgetsRanges(t *testing.T) {
	s, source, _ := fromInRanges(t, registries["ociregistry"]())
	var ranges atomic.Int32
	s.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") != "" && ranges.Add(1) > 3 {
			r.Header.Del("Range")
		}
		return false
	})
	arrives(t, source)
}

// Another part than was asked for is refused, and so is a part that does not say which.
func TestWrongRange(t *testing.T) {
	for name, says := range map[string]string{"another": "bytes 0-65535/1064960", "none": "", "no bytes": "parts 1-2/3"} {
		t.Run(name, func(t *testing.T) {
			s, source, layer := fromInRanges(t, registries["ociregistry"]())
			s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.Header.Get("Range"), "bytes=655360-") {
					return false
				}
				w.Header().Set("Content-Range", says)
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(layer[:part])
				return true
			})
			into := startServer(t, registries["ociregistry"]())
			_, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
			refused(t, err, tasuki.SideSource, tasuki.ErrUnavailable, "another part", tasuki.DigestOf(layer).Short())
		})
	}
}

// What the source's registry refuses in the middle is not taken for the destination's answer.
func TestRefusalAmongRanges(t *testing.T) {
	s, source, _ := fromInRanges(t, registries["ociregistry"]())
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasPrefix(r.Header.Get("Range"), "bytes=655360-") && refuse(w, http.StatusBadRequest, "UNSUPPORTED", "not this part")
	})
	into := startServer(t, registries["ociregistry"]())
	_, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
	refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, "not this part")
	if n := countPrefix(into.take(), "POST "); n > 2 {
		t.Errorf("%d uploads were begun", n)
	}
}

// The source is blamed for a byte that is wrong: by a registry that finds another digest,
// and before one that says nothing about digests is told of the image.
func TestWrongByteInARange(t *testing.T) {
	s, source, layer := fromInRanges(t, registries["ociregistry"]())
	wrong := bytes.Clone(layer)
	wrong[10*part] ^= 1
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, tasuki.DigestOf(layer).String()) {
			return false
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(wrong))
		return true
	})
	silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			return
		}
		sink{}.ServeHTTP(w, r)
	})
	for name, destination := range map[string]http.Handler{"a registry that verifies": registries["ociregistry"](), "a silent one": silent} {
		t.Run(name, func(t *testing.T) {
			into := startServer(t, destination)
			_, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{})
			refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, tasuki.DigestOf(layer).Short(), "damaged")
			if n := countPrefix(into.take(), "PUT /v2/orders/manifests/"); n != 0 {
				t.Error("the manifest was put")
			}
		})
	}
}

// The copy ends while ranges are on their way, and while nothing comes of some.
func TestCancelAmongRanges(t *testing.T) {
	s, source, _ := fromInRanges(t, registries["ociregistry"]())
	into := startServer(t, sink{})
	waiting := make(chan struct{}, 17)
	s.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		var begin int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &begin); err != nil || begin < 6*part {
			return false
		}
		waiting <- struct{}{}
		<-r.Context().Done()
		return true
	})
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	into.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.ContentLength > part {
			_, _ = io.CopyN(io.Discard, r.Body, 4*part)
			<-waiting
			<-waiting
			cancel()
		}
		return false
	})
	destination := to(t, into, "orders:v1")
	_, err := destination.CopyImage(ctx, source, "", image.PushOptions{})
	refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, "cancelled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v is not context.Canceled", err)
	}
	source.Close()
	destination.Close()
	s.CloseClientConnections()
	into.CloseClientConnections()
	settles(t, before)
}

// settles waits until there are no more goroutines than there were.
func settles(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

// stuck is a registry that loses each upload at the same byte, says that it has what came
// before, and does not take the rest.
type stuck struct{ puts *atomic.Int32 }

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, header http.Header) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
	}
	const session = "https://registry.example/v2/orders/blobs/uploads/1"
	switch {
	case r.Method == http.MethodPost:
		return answer(http.StatusAccepted, http.Header{"Location": {session}})
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/uploads/"):
		return answer(http.StatusNoContent, http.Header{"Range": {"0-999"}})
	case r.Method == http.MethodPut && r.Header.Get("Content-Range") != "":
		r.Body.Close()
		return answer(http.StatusBadRequest, http.Header{})
	case r.Method == http.MethodPut && r.ContentLength > 1000:
		s.puts.Add(1)
		defer r.Body.Close()
		if _, err := io.CopyN(io.Discard, r.Body, 1000); err != nil {
			return nil, err
		}
		return nil, io.ErrUnexpectedEOF
	case r.Method == http.MethodPut:
		r.Body.Close()
		return answer(http.StatusCreated, http.Header{"Docker-Content-Digest": {r.URL.Query().Get("digest")}})
	}
	return answer(http.StatusNotFound, http.Header{})
}

// What a registry takes again and again, and loses, is no progress.
func TestUploadThatGetsNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, _ := memoryImage("app", noise(100_000))
		found := must(source.Inspect(t.Context(), tasuki.ARM64))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var puts atomic.Int32
		registry := image.Registry{Host: "registry.example", Transport: stuck{&puts}}
		err := registry.Push(ctx, source, found, orders, tagOf("v1"), image.PushOptions{})
		var e *tasuki.Error
		if !errors.As(err, &e) || e.Side != tasuki.SideImage || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if puts.Load() > 6 {
			t.Errorf("%d attempts", puts.Load())
		}
	})
}
