package image

import (
	"context"
	"io"
	"sync"

	"github.com/tasuki-dev/tasuki"
)

// ranger is a store that gives a blob from a byte on, and several parts of it at once.
type ranger interface {
	// blobFrom opens a blob at offset, to be read in so many streams.
	blobFrom(ctx context.Context, d tasuki.Descriptor, offset int64, streams int) (io.ReadCloser, error)
}

const (
	// worthRanges is the size in bytes from which a blob is read in several streams.
	worthRanges = 64 << 20
	// rangeSize is how many bytes of a blob a stream asks for at once, and holds: 80 ms of
	// a connection that carries 50 MB/s, so that the time to the first byte does not count
	// for much.
	rangeSize = 4 << 20
)

// portions is how large blobs are divided: worthRanges and rangeSize, but in tests, which
// prove the same with less.
type portions struct{ worth, each int64 }

// portions returns how large blobs of the source are divided.
func (s *Source) portions() portions {
	if at, isRegistry := s.at.(*remoteImage); isRegistry {
		return at.portions
	}
	return portions{worthRanges, rangeSize} // read in one stream all the same
}

// resumed reads a part of a blob, and opens it again at the byte reached where the
// connection fails. Attempts count anew with each byte that came.
type resumed struct {
	ctx      context.Context // of the one who opened it: a Reader has none of its own
	open     func(offset int64) (io.ReadCloser, error)
	from     io.ReadCloser // nil where it is to be opened
	at, end  int64
	attempts attempts
}

func (r *resumed) Read(p []byte) (int, error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.end-r.at)]
	for {
		n, err := r.read(p)
		r.at += int64(n)
		if n > 0 {
			r.attempts.advanced()
			return n, nil
		}
		if err == nil {
			return 0, nil
		}
		if err := r.attempts.again(r.ctx, err); err != nil {
			return 0, err
		}
	}
}

// read reads once, and lets go of a connection that failed.
func (r *resumed) read(p []byte) (n int, err error) {
	if r.from == nil {
		if r.from, err = r.open(r.at); err != nil {
			return 0, err
		}
	}
	n, err = r.from.Read(p)
	if err != nil {
		r.from.Close()
		r.from = nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = &brokenOff{err}
	}
	return n, err
}

// brokenOff is the end of a body before its end, however the HTTP client calls it.
type brokenOff struct{ error }

func (b *brokenOff) Unwrap() error { return b.error }

func (r *resumed) Close() error {
	if r.from == nil {
		return nil
	}
	return r.from.Close()
}

// inRanges opens a blob at offset, to be read in several streams at once where the
// registry serves ranges.
func (r *remoteImage) inRanges(ctx context.Context, d tasuki.Descriptor, offset int64, streams int) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	each := r.portions.each
	from, partial, err := r.get(ctx, d, offset, min(offset+each, d.Size))
	if err != nil {
		cancel()
		return nil, err
	}
	if !partial {
		return &cancelling{r.resuming(ctx, d, from, offset, d.Size), cancel}, nil
	}
	parallel := &ranges{ctx: ctx, cancel: cancel, each: each, parts: make(chan *part, streams), free: make(chan []byte, streams)}
	for range streams {
		parallel.free <- nil
	}
	parallel.workers.Go(func() {
		defer close(parallel.parts)
		for ; offset < d.Size; offset, from = offset+each, nil {
			end := min(offset+each, d.Size)
			if !parallel.begin(r.resuming(ctx, d, from, offset, end), int(end-offset)) {
				return
			}
		}
	})
	return parallel, nil
}

// cancelling is a stream that has a context of its own.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c *cancelling) Close() error {
	c.cancel()
	return c.ReadCloser.Close()
}

// ranges reads the parts of a blob at the same time, and gives their bytes in order. It
// holds as many parts as there are streams.
type ranges struct {
	ctx     context.Context // of the requests; ends when the reader is closed
	cancel  context.CancelFunc
	each    int64 // bytes in a part, but in the last one
	workers sync.WaitGroup
	parts   chan *part  // in order
	free    chan []byte // buffers, made when they are first used
	now     *part       // being given; nil for none
	given   int         // of its bytes
}

// part is a part of a blob, being read or held.
type part struct {
	bytes []byte
	ready chan struct{} // closed when it has been read
	err   error         // for good, once ready
}

// begin begins to read a part as soon as there is a buffer for it, and reports whether
// anybody still wants it.
func (r *ranges) begin(from io.ReadCloser, size int) bool {
	var buffer []byte
	select {
	case buffer = <-r.free:
	case <-r.ctx.Done():
		from.Close()
		return false
	}
	if buffer == nil {
		buffer = make([]byte, r.each)
	}
	p := &part{bytes: buffer[:size], ready: make(chan struct{})}
	r.workers.Go(func() {
		defer close(p.ready)
		defer from.Close()
		_, p.err = io.ReadFull(from, p.bytes)
	})
	select {
	case r.parts <- p:
		return true
	case <-r.ctx.Done():
		return false
	}
}

func (r *ranges) Read(p []byte) (int, error) {
	if r.now == nil {
		next, more := <-r.parts
		if !more {
			if err := r.ctx.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		r.now, r.given = next, 0
	}
	select {
	case <-r.now.ready:
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
	if r.now.err != nil {
		return 0, r.now.err
	}
	n := copy(p, r.now.bytes[r.given:])
	if r.given += n; r.given == len(r.now.bytes) {
		r.free <- r.now.bytes[:r.each] // never full: the buffer came from there
		r.now = nil
	}
	return n, nil
}

// Close ends the requests that are under way.
func (r *ranges) Close() error {
	r.cancel()
	r.workers.Wait()
	return nil
}
