package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tasuki-dev/tasuki"
)

// MaxDocument is how many bytes of a manifest or of an image's configuration are
// read: 4 MiB, which is what registries take of a manifest (OCI distribution
// specification 1.1, "Pushing Manifests").
const MaxDocument = 4 << 20

// errBroken marks content that is not what its digest says. Reading it again
// gives the same.
var errBroken = errors.New("content does not match its digest")

func broken(format string, args ...any) error {
	f := failed(tasuki.ErrInvalid, format, args...)
	f.cause = errBroken
	return f
}

// readDocument reads r to its end, MaxDocument bytes at most.
func readDocument(r io.Reader, what string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxDocument {
		return nil, failed(tasuki.ErrInvalid, "%s has more than %d MiB, and none that is honest has so many", what, MaxDocument>>20)
	}
	return b, nil
}

// check verifies a blob's bytes as they pass: each is hashed once, however often the
// blob is begun again. What passes twice is a receiver's to compare, with the digest.
type check struct {
	want   tasuki.Descriptor
	hash   hash.Hash // nil where the receiver hashes everything
	passed int64     // bytes, each counted once
	right  bool      // the digest has been compared
}

func newCheck(want tasuki.Descriptor) *check { return &check{want: want, hash: sha256.New()} }

// pass takes the bytes at offset, which are not beyond the first that did not pass yet.
func (c *check) pass(offset int64, b []byte) {
	end := offset + int64(len(b))
	if end <= c.passed {
		return
	}
	if c.hash != nil {
		c.hash.Write(b[c.passed-offset:])
	}
	c.passed = end
}

// compare compares the digest, when all bytes have passed.
func (c *check) compare() error {
	if c.right || c.hash == nil {
		return nil
	}
	if got := "sha256:" + hex.EncodeToString(c.hash.Sum(nil)); got != c.want.Digest.String() {
		return broken("the blob %s has the digest %s…: it is damaged, or was changed", c.want.Digest.Short(), got[:len("sha256:")+12])
	}
	c.right = true
	return nil
}

// verifier gives a blob's bytes from one on, and an error instead of the last of them
// where they are not what the descriptor says: a receiver never gets the whole of a
// wrong blob.
type verifier struct {
	from  io.ReadCloser
	check *check
	at    int64
	done  bool // the digest has been compared
}

func verified(from io.ReadCloser, want tasuki.Descriptor) *verifier {
	return &verifier{from: from, check: newCheck(want)}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.done {
		return 0, io.EOF
	}
	want := v.check.want
	left := want.Size - v.at
	var n int
	var err error
	if left > 0 {
		if len(p) == 0 {
			return 0, nil
		}
		n, err = v.from.Read(p[:min(int64(len(p)), left)])
		v.check.pass(v.at, p[:n])
		v.at += int64(n)
	}
	switch {
	case v.at == want.Size:
		if err := v.check.compare(); err != nil {
			return 0, err
		}
		v.done = true
		return n, nil
	case err == io.EOF:
		return n, broken("the blob %s ends after %d of %d bytes", want.Digest.Short(), v.at, want.Size)
	}
	return n, err
}

func (v *verifier) Close() error { return v.from.Close() }

// body is a part of a blob on its way into a request. It remembers what the source did
// wrong, because the HTTP client reports it as its own failure, and counts.
type body struct {
	from   io.ReadCloser
	cancel context.CancelFunc // ends a read of from that is under way
	taken  *deadline          // runs while the request takes what was read
	count  func(n int)
	closed atomic.Bool
	mu     sync.Mutex // held while from is read
	left   int64      // bytes
	failed error
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.left == 0:
		return 0, io.EOF // the client looks for more when it has sent all
	case b.closed.Load():
		return 0, io.ErrClosedPipe
	}
	b.taken.timer.Stop()
	n, err := b.from.Read(p)
	if b.closed.Load() {
		return 0, io.ErrClosedPipe // the request is over, however the read went
	}
	if b.left > int64(n) {
		b.taken.timer.Reset(longestSilence)
	} else {
		b.taken.timer.Reset(2 * longestSilence) // the answer has its own time
	}
	if err != nil && err != io.EOF {
		b.failed = err
	}
	b.left -= int64(n)
	b.count(n)
	return n, err
}

// Close implements io.Closer for the HTTP client, which may close while it reads.
func (b *body) Close() error {
	b.closed.Store(true)
	b.cancel()
	return nil
}

// end closes what was read, once nothing reads it any more, and returns what the source
// did wrong, or nil. The HTTP client may still be about to read when its request is over.
func (b *body) end() error {
	_ = b.Close() // which cannot fail
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.timer.Stop()
	// What was read is verified, so that closing has nothing to add.
	_ = b.from.Close()
	return b.failed
}

// interruptible gives r's bytes until ctx ends.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
