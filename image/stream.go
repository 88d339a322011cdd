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

// verifier gives a blob's bytes, and an error instead of the last of them where
// they are not what the descriptor says: a receiver never gets the whole of a
// wrong blob.
type verifier struct {
	from io.ReadCloser
	want tasuki.Descriptor
	hash hash.Hash
	read int64
	done bool // the digest has been compared
}

func verified(from io.ReadCloser, want tasuki.Descriptor) *verifier {
	return &verifier{from: from, want: want, hash: sha256.New()}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.done {
		return 0, io.EOF
	}
	left := v.want.Size - v.read
	var n int
	var err error
	if left > 0 {
		if len(p) == 0 {
			return 0, nil
		}
		n, err = v.from.Read(p[:min(int64(len(p)), left)])
		v.hash.Write(p[:n])
		v.read += int64(n)
	}
	switch {
	case v.read == v.want.Size:
		if got := "sha256:" + hex.EncodeToString(v.hash.Sum(nil)); got != v.want.Digest.String() {
			return 0, broken("the blob %s has the digest %s…: it is damaged, or was changed", v.want.Digest.Short(), got[:len("sha256:")+12])
		}
		v.done = true
		return n, nil
	case err == io.EOF:
		return n, broken("the blob %s ends after %d of %d bytes", v.want.Digest.Short(), v.read, v.want.Size)
	}
	return n, err
}

func (v *verifier) Close() error { return v.from.Close() }

// body is a blob on its way into a request. It remembers what the source did
// wrong, because the HTTP client reports it as its own failure, and counts.
type body struct {
	from   io.ReadCloser
	count  func(n int)
	failed atomic.Pointer[error]
	closed atomic.Bool
	once   sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.closed.Load() {
		return 0, io.ErrClosedPipe // the request is over, however the read went
	}
	if err != nil && err != io.EOF {
		b.failed.CompareAndSwap(nil, &err)
	}
	b.count(n)
	return n, err
}

func (b *body) Close() (err error) {
	b.closed.Store(true)
	b.once.Do(func() { err = b.from.Close() })
	return err
}

// failure returns what the source did wrong, or nil.
func (b *body) failure() error {
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
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
