package image_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// What follows are habits of registries that people use, which the test registries have not.

// without answers without some headers, and so in chunks where the length is missing.
type without struct {
	http.ResponseWriter
	headers []string
	begun   bool
}

func (w *without) WriteHeader(status int) {
	if !w.begun && status < http.StatusMultipleChoices {
		for _, header := range w.headers {
			w.Header().Del(header)
		}
	}
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *without) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	return w.ResponseWriter.Write(p)
}

// The specification asks for Content-Length and Docker-Content-Digest with SHOULD alone,
// and proxies drop the one, registries the other.
func TestHeadersThatAreMissing(t *testing.T) {
	for name, headers := range map[string][]string{
		"no length": {"Content-Length"}, "no digest": {"Docker-Content-Digest"}, "neither": {"Content-Length", "Docker-Content-Digest"},
	} {
		t.Run(name, func(t *testing.T) {
			strip := func(h http.Handler) func(w http.ResponseWriter, r *http.Request) bool {
				return func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodGet && r.Method != http.MethodHead {
						return false
					}
					h.ServeHTTP(&without{ResponseWriter: w, headers: headers}, r)
					return true
				}
			}
			handler := registries["ociregistry"]()
			s, source := from(t, handler, []byte("one"), []byte("two"))
			s.intercept(strip(handler))
			other := registries["ociregistry"]()
			into := startServer(t, other)
			into.intercept(strip(other))
			for range 2 {
				if _, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := countPrefix(into.take(), "POST "); n != 3 {
				t.Errorf("%d blobs were sent, want each once", n)
			}
			if _, err := to(t, into, "orders:v2").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if n := countPrefix(into.take(), "POST "); n != 0 {
				t.Errorf("%d blobs were sent that were there", n)
			}
			into.intercept(nil)
			into.pulled(t, "v2")
		})
	}
}

// A token service is as busy as a registry may be, and asks to wait in the same way.
func TestTokenServiceThatIsBusy(t *testing.T) {
	for name, after := range map[string]func() string{
		"in seconds": func() string { return "7" },
		"a date":     func() string { return time.Now().Add(8 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, _ := memoryImage("app", []byte("one"))
				found := must(source.Inspect(t.Context(), tasuki.ARM64))
				handler := registries["ociregistry"]()
				var tokens atomic.Int32
				registry := image.Registry{Host: "registry.example", Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/token" && tokens.Add(1) == 1:
						w.Header().Set("Retry-After", after())
						refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
					case r.URL.Path == "/token" && tokens.Load() == 2:
						w.WriteHeader(http.StatusBadGateway)
					case r.URL.Path == "/token":
						_, _ = w.Write([]byte(`{"token":"good"}`))
					case r.Header.Get("Authorization") == "":
						w.Header().Set("WWW-Authenticate", `Bearer realm="https://registry.example/token",service="here"`)
						refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who are you")
					default:
						handler.ServeHTTP(w, r)
					}
				})}}
				begin := time.Now()
				if err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took < 7*time.Second || took > 15*time.Second {
					t.Errorf("the push took %v: Retry-After was not honoured", took)
				}
			})
		})
	}
}

// tokens puts a registry behind a token service, which refuses what refuses says. A token
// that was good already ends with a request for which ends says so, for what that asks for:
// other requests may have been given it in this moment, and nobody's ends so soon.
func tokens(s *server, refuses func(w http.ResponseWriter, r *http.Request) bool, ends func(r *http.Request) bool) {
	var mu sync.Mutex
	given := 0
	good, ended := map[string]bool{}, map[string]bool{} // by token, and by token and path
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/token" {
			if !refuses(w, r) {
				given++
				fmt.Fprintf(w, `{"token":"t%d"}`, given)
			}
			return true
		}
		token := r.Header.Get("Authorization")
		if good[token] && ends(r) {
			ended[token+r.URL.Path] = true
		}
		if strings.HasPrefix(token, "Bearer t") && !ended[token+r.URL.Path] {
			good[token] = true
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token",service="here"`)
		return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	})
}

// Who may not pull from the repository to mount from gets no token for both, from GitLab
// and Harbor, and can upload all the same.
func TestNoTokenToMountWith(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s, source := from(t, registries["ociregistry"](), []byte("one"), []byte("two"))
			tokens(s, func(w http.ResponseWriter, r *http.Request) bool {
				scopes := fmt.Sprint(r.URL.Query()["scope"])
				return strings.Contains(scopes, ":src:") && strings.Contains(scopes, ":orders:") && refuse(w, status, "DENIED", "requested access to the resource is denied")
			}, func(*http.Request) bool { return false })
			if _, err := to(t, s, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			s.intercept(nil)
			s.pulled(t, "v1")
		})
	}
}

// A token ends while its copy goes on: Docker Hub's and GitLab's are good for five minutes.
func TestTokensThatExpire(t *testing.T) {
	for _, ending := range []string{"GET /blobs/", "HEAD /blobs/", "PUT /blobs/uploads/", "PUT /manifests/"} {
		t.Run(ending, func(t *testing.T) {
			method, part, _ := strings.Cut(ending, " ")
			var ended atomic.Int32
			ends := func(r *http.Request) bool {
				return r.Method == method && strings.Contains(r.URL.Path, part) && ended.Add(1) == 1
			}
			never := func(http.ResponseWriter, *http.Request) bool { return false }
			s, source := from(t, registries["ociregistry"](), noise(100_000))
			tokens(s, never, ends)
			into := startServer(t, registries["ociregistry"]())
			tokens(into, never, ends)
			if _, err := to(t, into, "orders:v1").CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if ended.Load() == 0 {
				t.Error("no token ended, so nothing was tested")
			}
			into.intercept(nil)
			into.pulled(t, "v1")
		})
	}
}

// Stores, and servers before them, say that a layer is encoded with gzip which is just
// that: a file that gzip wrote.
func TestLayerThatIsSaidToBeEncoded(t *testing.T) {
	layer := compressed(t, noise(100_000))
	s, source := from(t, registries["ociregistry"](), layer)
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, tasuki.DigestOf(layer).String()) {
			w.Header().Set("Content-Encoding", "gzip")
		}
		return false
	})
	arrives(t, source)
}

// The storage service that the registry sent us on to stops answering, and the registry
// knows another.
func TestStorageThatMoves(t *testing.T) {
	layer := noise(3 << 20)
	handler := registries["ociregistry"]()
	s, source := from(t, handler, layer)
	var gone atomic.Bool
	first := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Swap(true) {
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(&cutAnswer{w, 1 << 20}, r)
	}))
	second := startServer(t, handler)
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, tasuki.DigestOf(layer).String()) {
			return false
		}
		storage := first
		if gone.Load() {
			storage = second
		}
		http.Redirect(w, r, storage.URL+r.URL.Path+"?X-Amz-Signature=s3cret", http.StatusTemporaryRedirect)
		return true
	})
	arrives(t, source)
}

// A circle of redirections is left, once, with a sentence that has no address of it.
func TestRedirectionsInACircle(t *testing.T) {
	s, source := from(t, registries["ociregistry"](), []byte("one"))
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		http.Redirect(w, r, r.URL.Path+"?X-Amz-Signature=s3cret", http.StatusTemporaryRedirect)
		return true
	})
	_, err := source.Inspect(t.Context(), tasuki.ARM64)
	refused(t, err, tasuki.SideSource, tasuki.ErrUnavailable, "redirect")
	if n := countPrefix(s.take(), "GET /v2/src/blobs/"); n > 11 {
		t.Errorf("%d requests in a circle", n)
	}
}

// failing fails each request in the same way.
type failing struct {
	err      error
	attempts *atomic.Int32
}

func (f failing) RoundTrip(*http.Request) (*http.Response, error) {
	f.attempts.Add(1)
	return nil, f.err
}

// A connection that is not made in time is tried again, though its error answers to
// context.DeadlineExceeded; a context's end is the end.
func TestConnectionsThatTimeOut(t *testing.T) {
	_, timeout := (&net.Dialer{Timeout: 1}).Dial("tcp", "192.0.2.1:443")
	if !errors.Is(timeout, context.DeadlineExceeded) {
		t.Fatalf("the error %v is another one than it was", timeout)
	}
	for name, test := range map[string]struct {
		err      error
		attempts int32
		word     string
	}{
		"connection": {timeout, 5, "i/o timeout"},
		"context":    {context.DeadlineExceeded, 1, "took too long"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, _ := memoryImage("app", []byte("one"))
				found := must(source.Inspect(t.Context(), tasuki.ARM64))
				var attempts atomic.Int32
				registry := image.Registry{Host: "registry.example", Transport: failing{test.err, &attempts}}
				err := registry.Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{})
				refused(t, err, tasuki.SideImage, tasuki.ErrUnavailable, test.word)
				if attempts.Load() != test.attempts {
					t.Errorf("%d attempts, want %d", attempts.Load(), test.attempts)
				}
			})
		})
	}
}

// What a server says that does not speak HTTP well is told without what drives a terminal.
func TestAServerThatSpeaksBadly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\x1b[31mhttps://me:s3cret@x/?X-Amz-Signature=1\r\n\r\n")
			conn.Close()
		}
	}()
	source := must(image.Open(t.Context(), "docker://"+listener.Addr().String()+"/app:v1", image.OpenOptions{NoDockerLogin: true}))
	defer source.Close()
	_, err = source.Inspect(t.Context(), tasuki.ARM64)
	refused(t, err, tasuki.SideSource, tasuki.ErrUnavailable)
	if strings.ContainsRune(err.Error(), '\x1b') {
		t.Errorf("%q drives the terminal", err)
	}
}

// HTTP/2 ends a stream alone, or asks for another connection, in the middle of a body.
func TestStreamsThatAreReset(t *testing.T) {
	layer := noise(3 << 20)
	start := func(h http.Handler, cut func(w http.ResponseWriter, r *http.Request) http.ResponseWriter) (host string, transport http.RoundTripper) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("%s came with %s", r.URL.Path, r.Proto)
			}
			h.ServeHTTP(cut(w, r), r)
		}))
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "https://"), s.Client().Transport
	}
	var cutDown, cutUp atomic.Int32
	handler := registries["ociregistry"]()
	_, seeded := from(t, handler, layer)
	seeded.Close()
	fromHost, fromTransport := start(handler, func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, tasuki.DigestOf(layer).String()) && cutDown.Add(1) <= 2 {
			return &cutAnswer{w, 1 << 20}
		}
		return w
	})
	into := registries["ociregistry"]()
	toHost, toTransport := start(into, func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if r.Method == http.MethodPut && r.ContentLength > 1<<20 {
			switch cutUp.Add(1) {
			case 1:
				r.Body = &cutBody{r.Body, 1 << 20}
			case 2:
				w.Header().Set("Connection", "close") // GOAWAY
			}
		}
		return w
	})
	// A reference to this machine means plain HTTP, and a registry that is given does not.
	given := func(host string, transport http.RoundTripper) image.OpenOptions {
		return image.OpenOptions{NoDockerLogin: true, Transport: transport, Registry: &image.Registry{Host: host}}
	}
	source := must(image.Open(t.Context(), "docker://registry.example/src:v1", given(fromHost, fromTransport)))
	defer source.Close()
	destination := must(image.OpenDestination("docker://registry.example/orders:v1", given(toHost, toTransport)))
	defer destination.Close()
	if _, err := destination.CopyImage(t.Context(), source, "", image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if cutDown.Load() < 3 || cutUp.Load() < 2 {
		t.Errorf("%d and %d requests for the layer: nothing was cut", cutDown.Load(), cutUp.Load())
	}
	startServer(t, into).pulled(t, "v1")
}

// hangs is a body of which nothing more comes after some bytes, until its request ends.
type hangs struct {
	io.Reader
	request *http.Request
}

func (h hangs) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err == io.EOF {
		<-h.request.Context().Done()
		return 0, h.request.Context().Err()
	}
	return n, err
}

func (h hangs) Close() error { return nil }

// hanging is a registry whose first answers that are blobs of some size hang, after their
// first half, and which stops taking the first uploads of them.
type hanging struct {
	inProcess
	down, up *atomic.Int32 // how often each is still to hang
}

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	const half = 50_000
	if r.Method == http.MethodPut && r.ContentLength > half && h.up.Add(-1) >= 0 {
		defer r.Body.Close()
		if _, err := io.CopyN(io.Discard, r.Body, half); err != nil {
			return nil, err
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	response, err := h.inProcess.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && response.ContentLength >= half && h.down.Add(-1) >= 0 {
		response.Body = hangs{io.LimitReader(response.Body, response.ContentLength-half), r}
	}
	return response, err
}

// A registry that goes silent in the middle does not hold a copy for ever: it is asked for
// the rest, and when it stays silent, it is said so.
func TestRegistriesThatGoSilent(t *testing.T) {
	for name, test := range map[string]struct {
		down, up int32
		side     tasuki.Side // of the failure; "" for none
		word     string
	}{
		"the source, once":          {down: 1},
		"the destination, twice":    {up: 2},
		"the source, for good":      {down: 1 << 30, side: tasuki.SideSource, word: "nothing has come for 1m0s"},
		"the destination, for good": {up: 1 << 30, side: tasuki.SideImage, word: "nothing has been taken for 2m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := inProcess{registries["ociregistry"]()}
				layer := noise(100_000)
				made, _ := memoryImage("made", layer)
				found := must(made.Inspect(t.Context(), tasuki.ARM64))
				seeded := image.Registry{Host: "registry.example", Transport: handler}
				if err := seeded.Push(t.Context(), made, found, must(tasuki.ParseRepository(orders.Host()+"/src")), tagOf("v1"), image.PushOptions{}); err != nil {
					t.Fatal(err)
				}
				down, up := new(atomic.Int32), new(atomic.Int32)
				down.Store(test.down)
				up.Store(test.up)
				source := must(image.Open(t.Context(), "docker://registry.example/src:v1", image.OpenOptions{NoDockerLogin: true, Transport: hanging{handler, down, new(atomic.Int32)}}))
				defer source.Close()
				begin := time.Now()
				into := image.Registry{Host: "other.example", Transport: hanging{inProcess{registries["ociregistry"]()}, new(atomic.Int32), up}}
				_, err := into.Copy(t.Context(), source, orders, tagOf("v1"), image.PushOptions{})
				if test.side != "" {
					refused(t, err, test.side, tasuki.ErrUnavailable, test.word)
				} else if err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took > 15*time.Minute {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
