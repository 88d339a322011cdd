package main

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// network is what lies between a program and a registry. Each field is one trouble;
// the zero network is none.
type network struct {
	delay  time.Duration // one way
	limit  int64         // bytes a second that a connection carries from the registry; 0 for no limit
	cut    func() int64  // bytes after which a connection is cut, either way; nil for never
	before string        // address of the registry
}

// listen opens the network, and returns the address on its near side.
func (n network) listen(ctx context.Context) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go n.carry(ctx, near)
		}
	}()
	return listener.Addr().String(), nil
}

// carry joins a connection to one of its own to the registry.
func (n network) carry(ctx context.Context, near net.Conn) {
	far, err := net.Dial("tcp", n.before)
	if err != nil {
		near.Close()
		return
	}
	end := sync.OnceFunc(func() { near.Close(); far.Close() })
	defer context.AfterFunc(ctx, end)()
	left := &atomic.Int64{}
	left.Store(1 << 62)
	if n.cut != nil {
		left.Store(n.cut())
	}
	var both sync.WaitGroup
	both.Go(func() { n.flow(ctx, far, near, 0, left); closeWrite(far) })
	both.Go(func() { n.flow(ctx, near, far, n.limit, left); closeWrite(near) })
	go func() {
		for left.Load() > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		end()
	}()
	both.Wait()
	left.Store(0)
}

func closeWrite(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the other end may have hung up
	}
}

// flow carries one direction: what is read comes out after the delay, in order.
func (n network) flow(ctx context.Context, to io.Writer, from io.Reader, limit int64, left *atomic.Int64) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	var limiter *rate.Limiter
	if limit > 0 {
		limiter = rate.NewLimiter(rate.Limit(limit), 256<<10)
	}
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 64<<10)
			read, err := from.Read(buffer)
			if read > 0 {
				if left.Add(-int64(read)) <= 0 {
					return
				}
				if limiter != nil && limiter.WaitN(ctx, read) != nil {
					return
				}
				pieces <- piece{buffer[:read], time.Now().Add(n.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		if n.delay > 0 {
			time.Sleep(time.Until(p.due))
		}
		if _, err := to.Write(p.bytes); err != nil {
			for range pieces { // so that the reader ends
			}
			return
		}
	}
}

// randomly returns lengths between least and most, from a generator of a seed.
func randomly(seed uint64, least, most int64) func() int64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return least + random.Int64N(most-least)
	}
}

// counter is a proxy that counts what a registry is asked, and the bytes of blobs.
type counter struct {
	requests atomic.Int64
	up, down atomic.Int64 // bytes of bodies
}

// listen begins to count, and returns the address on the near side.
func (c *counter) listen(ctx context.Context, registry string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: registry})
		r.Out.Host = r.In.Host // so that the registry's locations lead here again
	}}
	proxy.ErrorLog = log.New(io.Discard, "", 0) // connections are cut on purpose
	proxy.ModifyResponse = func(answer *http.Response) error {
		answer.Body = &counted{answer.Body, &c.down}
		return nil
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		r.Body = &counted{r.Body, &c.up}
		proxy.ServeHTTP(w, r)
	})}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // a listener of our own
		}
	}()
	return listener.Addr().String(), nil
}

type counted struct {
	io.ReadCloser
	to *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.to.Add(int64(n))
	return n, err
}
