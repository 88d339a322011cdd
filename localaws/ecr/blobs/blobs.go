// Package blobs keeps content-addressed files: uploads of any size that arrive in
// pieces, are verified while they stream, and become visible only when complete.
package blobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tasuki-dev/tasuki"
)

// The failures that an upload's client can cause; test with [errors.Is].
var (
	// ErrDigest: the content does not have the digest that it was to have.
	ErrDigest = errors.New("the content does not match the digest")
	// ErrUploadUnknown: there is no such upload, or no longer.
	ErrUploadUnknown = errors.New("there is no such upload")
)

// Store keeps blobs as files named by their digests.
type Store struct {
	blobs   string // complete blobs, by their hexadecimal digits
	uploads string // incomplete ones, by the upload's id
	durable bool

	mu       sync.Mutex
	sessions map[string]*session // by id
}

// session is an upload that is under way, between the requests that feed it.
type session struct {
	id    string
	owner string
	path  string
	turn  chan struct{} // holds a token while nobody writes
	// What follows belongs to whoever holds the token.
	size  int64
	hash  hash.Hash
	ended bool
}

// Open opens the store in dir, made where it does not exist. Uploads that an earlier
// process left there are removed: nobody can continue them, because the state of
// their digests is gone. A durable store waits for the disk before it says that a
// blob is there.
func Open(dir string, durable bool) (*Store, error) {
	s := &Store{
		blobs:    filepath.Join(dir, "sha256"),
		uploads:  filepath.Join(dir, "uploads"),
		durable:  durable,
		sessions: map[string]*session{},
	}
	if err := os.RemoveAll(s.uploads); err != nil {
		return nil, fmt.Errorf("remove abandoned uploads: %w", err)
	}
	for _, path := range []string{s.blobs, s.uploads} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := s.syncDir(path); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Blob opens a blob for reading. The error is fs.ErrNotExist where there is none.
func (s *Store) Blob(digest string) (*os.File, error) {
	d, err := tasuki.ParseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return os.Open(s.path(d))
}

// Keep removes every blob that keep does not want. No upload may be under way.
func (s *Store) Keep(keep func(digest string) bool) error {
	entries, err := os.ReadDir(s.blobs)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if keep("sha256:" + entry.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(s.blobs, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Create begins an upload; only its owner, a repository, can resume it. The caller
// closes what is returned.
func (s *Store) Create(owner string) (*Upload, error) {
	id := rand.Text()
	session := &session{id: id, owner: owner, path: filepath.Join(s.uploads, id), turn: make(chan struct{}, 1), hash: sha256.New()}
	file, err := os.OpenFile(session.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[id] = session
	return &Upload{store: s, session: session, file: file}, nil
}

// Resume continues an upload where it stands. It waits while another request feeds
// the same upload, so that the size it finds is final: a client that was cut off
// comes back before the server has noticed. The error is [ErrUploadUnknown] where
// there is no such upload of this owner.
func (s *Store) Resume(ctx context.Context, owner, id string) (*Upload, error) {
	s.mu.Lock()
	session := s.sessions[id]
	s.mu.Unlock()
	if session == nil || session.owner != owner {
		return nil, ErrUploadUnknown
	}
	select {
	case <-session.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	upload := &Upload{store: s, session: session, size: session.size}
	if session.ended {
		upload.release()
		return nil, ErrUploadUnknown
	}
	file, err := os.OpenFile(session.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		upload.release()
		return nil, err
	}
	upload.file = file
	return upload, nil
}

func (s *Store) path(d tasuki.Digest) string {
	return filepath.Join(s.blobs, strings.TrimPrefix(d.String(), "sha256:"))
}

// syncDir makes the names in a folder durable.
func (s *Store) syncDir(path string) error {
	if !s.durable {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Upload is one request's hold on an upload: nobody else feeds it before Close.
type Upload struct {
	store   *Store
	session *session
	file    *os.File // nil when released
	size    int64
}

// ID names the upload for [Store.Resume].
func (u *Upload) ID() string { return u.session.id }

// Size returns how many bytes had arrived at the end of this hold; others may have
// added to them after Close.
func (u *Upload) Size() int64 { return u.size }

// Write appends to the upload.
func (u *Upload) Write(b []byte) (int, error) {
	n, err := u.file.Write(b)
	u.session.hash.Write(b[:n]) // never fails
	u.size += int64(n)
	return n, err
}

// Commit ends the upload, makes its content the blob of that digest and returns its
// size in bytes. Where the content has another digest the upload is dropped, and the
// error is [ErrDigest].
func (u *Upload) Commit(digest string) (int64, error) {
	d, err := tasuki.ParseDigest(digest)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("%w: %w", ErrDigest, err), u.Cancel())
	}
	if got := fmt.Sprintf("sha256:%x", u.session.hash.Sum(nil)); got != digest {
		return 0, errors.Join(ErrDigest, u.Cancel())
	}
	if u.store.durable {
		if err := u.file.Sync(); err != nil {
			return 0, err
		}
	}
	// A blob that is there already is replaced by the same bytes: two pushes at once
	// do no harm, and a damaged file is mended by pushing it again.
	if err := os.Rename(u.session.path, u.store.path(d)); err != nil {
		return 0, err
	}
	u.end()
	return u.size, errors.Join(u.Close(), u.store.syncDir(u.store.blobs))
}

// Cancel ends the upload and drops what has arrived. After Commit or Close it does
// nothing.
func (u *Upload) Cancel() error {
	if u.file == nil {
		return nil
	}
	u.end()
	return errors.Join(u.Close(), os.Remove(u.session.path))
}

// Close lets go of the upload, which can be resumed unless it has ended.
func (u *Upload) Close() error {
	if u.file == nil {
		return nil
	}
	err := u.file.Close()
	u.file = nil
	u.release()
	return err
}

// end makes the upload unknown to everybody who asks for it or waits for it.
func (u *Upload) end() {
	u.session.ended = true
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	delete(u.store.sessions, u.session.id)
}

func (u *Upload) release() {
	u.session.size = u.size
	u.session.turn <- struct{}{}
}
