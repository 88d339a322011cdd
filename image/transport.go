package image

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// newTransport returns a transport whose idle connections are our own to close. It
// keeps one for each request that is under way at the same time; the default is two.
func newTransport() *http.Transport {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = 2 * mostAtOnce
	transport.ResponseHeaderTimeout = longestSilence
	if dial := transport.DialContext; dial != nil {
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return wide{conn}, nil
		}
	}
	return transport
}

// gulp is how many bytes of a blob are taken from one connection and given to the other
// at a time. The HTTP client's own 32 KiB make sixteen times as many system calls, and
// wake the registry as often: on one machine that is a quarter of a copy's processor
// time. Eight large blobs at a time hold 4 MiB of them.
const gulp = 512 << 10

// wide is a connection that takes a request's body in gulps. Over TLS it makes no
// difference: there the body goes through TLS's records of 16 KiB.
type wide struct{ net.Conn }

// ReadFrom implements io.ReaderFrom, which the HTTP client looks for.
func (w wide) ReadFrom(r io.Reader) (int64, error) {
	size := int64(gulp)
	if limited, ok := r.(*io.LimitedReader); ok {
		size = min(size, max(1, limited.N))
	}
	return io.CopyBuffer(struct{ io.Writer }{w.Conn}, r, make([]byte, size))
}

// counting counts the requests that a transport carries, and remembers how long the
// answers that are errors ask to wait: of a token service's, oras tells the URL alone.
type counting struct {
	http.RoundTripper
	n     atomic.Int64
	waits sync.Map // durations by requests' *url.URL
}

func (c *counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.n.Add(1)
	response, err := c.RoundTripper.RoundTrip(request)
	if err == nil && response.StatusCode >= http.StatusBadRequest {
		if wait := retryAfter(response.Header, time.Now()); wait > 0 {
			c.waits.Store(request.URL, wait)
		}
	}
	return response, err
}

// askedToWait returns what the answer to the request for a URL asked for, 0 for nothing.
func (c *counting) askedToWait(address *url.URL) time.Duration {
	wait, _ := c.waits.Load(address)
	asked, _ := wait.(time.Duration)
	return asked
}
