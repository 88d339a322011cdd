package proof

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws"
)

// gate stands between a program and an endpoint, whose address it takes the place
// of, and holds one of the program's calls.
type gate struct {
	*httptest.Server
	endpoint *localaws.Server
	proxy    *httputil.ReverseProxy

	mu      sync.Mutex
	seen    int
	hold    int           // the call that is held, from 1; 0 for none
	carried bool          // it is carried out first, and only its answer is held
	resume  bool          // it is carried out when it need not be held any longer
	held    chan struct{} // closed when it is there
	free    chan struct{} // closed when it need not be held any longer
}

func newGate(t testing.TB, endpoint *localaws.Server) *gate {
	t.Helper()
	target, err := url.Parse(endpoint.URL())
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{endpoint: endpoint, proxy: &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the program was killed
	}}
	g.proxy.ModifyResponse = g.redirect
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// redirect makes what the endpoint says of its own address lead through the gate.
func (g *gate) redirect(r *http.Response) error {
	here := strings.TrimPrefix(g.URL, "http://")
	if location := r.Header.Get("Location"); location != "" {
		r.Header.Set("Location", strings.ReplaceAll(location, g.endpoint.Registry(), here))
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	body = bytes.ReplaceAll(body, []byte(g.endpoint.Registry()), []byte(here))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// cut makes the gate count from 1 again, hold the nth call, before it is carried out or
// after, and then leave it without an answer. It returns what is closed when the call
// is there, and what ends the hold.
func (g *gate) cut(nth int, carried bool) (held <-chan struct{}, free func()) {
	return g.at(nth, carried, false)
}

// delay is like cut, but the call is carried out in the end.
func (g *gate) delay(nth int) (held <-chan struct{}, free func()) {
	return g.at(nth, false, true)
}

func (g *gate) at(nth int, carried, resume bool) (held <-chan struct{}, free func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen, g.hold, g.carried, g.resume = 0, nth, carried, resume
	g.held, g.free = make(chan struct{}), make(chan struct{})
	return g.held, sync.OnceFunc(func() { close(g.free) })
}

// count returns how many calls there were since the last cut or delay.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.seen++
	mine, carried, resume, held, free := g.seen == g.hold, g.carried, g.resume, g.held, g.free
	g.mu.Unlock()
	if !mine {
		g.proxy.ServeHTTP(w, r)
		return
	}
	if carried {
		g.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	close(held)
	<-free
	if resume {
		g.proxy.ServeHTTP(w, r)
		return
	}
	panic(http.ErrAbortHandler)
}
