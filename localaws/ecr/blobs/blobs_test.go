package blobs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/ecr/blobs"
)

func open(t *testing.T) *blobs.Store {
	t.Helper()
	s, err := blobs.Open(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, u *blobs.Upload, content string) {
	t.Helper()
	if _, err := io.WriteString(u, content); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, s *blobs.Store, id string) *blobs.Upload {
	t.Helper()
	u, err := s.Resume(t.Context(), "orders", id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUploadInPieces(t *testing.T) {
	s := open(t)
	digest := tasuki.DigestOf([]byte("one two")).String()
	u, err := s.Create("orders")
	if err != nil {
		t.Fatal(err)
	}
	write(t, u, "one")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an incomplete blob: %v", err)
	}
	if _, err := s.Resume(t.Context(), "other", u.ID()); !errors.Is(err, blobs.ErrUploadUnknown) {
		t.Errorf("another owner resumed: %v", err)
	}
	u = resume(t, s, u.ID())
	if u.Size() != 3 {
		t.Errorf("resumed at %d", u.Size())
	}
	write(t, u, " two")
	if size, err := u.Commit(digest); err != nil || size != 7 {
		t.Fatalf("committed %d (%v)", size, err)
	}
	file, err := s.Blob(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if content, err := io.ReadAll(file); err != nil || string(content) != "one two" {
		t.Errorf("read %q (%v)", content, err)
	}
	if err := errors.Join(u.Cancel(), u.Close()); err != nil {
		t.Errorf("after the end: %v", err)
	}
	if err := s.Keep(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that was not kept: %v", err)
	}
}

func TestOneWriterAtATime(t *testing.T) {
	s := open(t)
	first, err := s.Create("orders")
	if err != nil {
		t.Fatal(err)
	}
	write(t, first, "x")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Resume(gone, "orders", first.ID()); !errors.Is(err, context.Canceled) {
		t.Errorf("a second writer while the first writes: %v", err)
	}
	sizes := make(chan int64)
	go func() {
		second, err := s.Resume(t.Context(), "orders", first.ID())
		if err != nil {
			t.Error(err)
			sizes <- -1
			return
		}
		sizes <- second.Size()
		_ = second.Close()
	}()
	write(t, first, "y")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if size := <-sizes; size != 2 {
		t.Errorf("the second writer began at %d, want 2", size)
	}
}

func TestWrongDigestEndsTheUpload(t *testing.T) {
	s := open(t)
	for _, digest := range []string{tasuki.DigestOf(nil).String(), "sha512:00", "sha256:../../state.db"} {
		u, err := s.Create("orders")
		if err != nil {
			t.Fatal(err)
		}
		write(t, u, "x")
		if _, err := u.Commit(digest); !errors.Is(err, blobs.ErrDigest) {
			t.Errorf("%s: %v", digest, err)
		}
		if _, err := s.Resume(t.Context(), "orders", u.ID()); !errors.Is(err, blobs.ErrUploadUnknown) {
			t.Errorf("%s: %v", digest, err)
		}
		if _, err := s.Blob(digest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", digest, err)
		}
	}
}
