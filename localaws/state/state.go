// Package state keeps what the local endpoint's services know, in typed tables.
// A write is durable before Update returns.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// Store is a set of tables in one file, and a folder beside it for what is too
// large for a table.
type Store struct {
	db        *bbolt.DB
	dir       string
	temporary bool
}

// Open opens the store in dir, made where it does not exist. Only one process can
// have it open: a second one is told so within a second. A store that is damaged, or
// that a newer version of this package wrote, is refused, and left as it is.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := examine(dir); err != nil {
		return nil, err
	}
	return open(dir, false)
}

// Temporary opens an empty store that is gone when it is closed. It runs the same
// code as a durable one, but does not wait for the disk. What processes that were
// killed have left of theirs is removed.
func Temporary() (*Store, error) {
	removeAbandoned(time.Now())
	dir, err := os.MkdirTemp("", temporaryPrefix)
	if err != nil {
		return nil, err
	}
	store, err := open(dir, true)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return store, nil
}

// fileName is the name of a store's file in its folder.
const fileName = "state.db"

func open(dir string, temporary bool) (*Store, error) {
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, &bbolt.Options{Timeout: time.Second, NoSync: temporary, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, notOpened(dir, err)
	}
	s := &Store{db, dir, temporary}
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func notOpened(dir string, err error) error {
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return fmt.Errorf("%s is in use by another tasuki local", dir)
	}
	return fmt.Errorf("open %s: %w", filepath.Join(dir, fileName), err)
}

// format is what all tables together look like. A version that would misread what an
// earlier one wrote, or be misread by it, has the next number.
const format = 1

// formats holds the format under "format". Stores that were made before there was a
// number are of the first.
var formats = Table[int]{Name: "state"}

// checkFormat refuses a store of a newer format, and notes the format of a new one.
func (s *Store) checkFormat() error {
	var written int
	if err := s.View(func(tx *Tx) (err error) {
		written, _, err = formats.Get(tx, "format")
		return err
	}); err != nil {
		return err
	}
	switch {
	case written > format:
		return fmt.Errorf("%s was written by a newer tasuki: its format is %d, and this one reads %d; use the newer one, or another folder", s.dir, written, format)
	case written == format:
		return nil
	}
	return s.Update(func(tx *Tx) error { return formats.Put(tx, "format", format) })
}

// Dir returns the folder that the store lives in.
func (s *Store) Dir() string { return s.dir }

// Durable reports whether what is written outlives the process.
func (s *Store) Durable() bool { return !s.temporary }

// Close closes the store, and removes it where it was temporary.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.temporary {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// Tx is a transaction: what it reads is consistent, and what it writes is written
// together or not at all.
type Tx struct{ tx *bbolt.Tx }

// View runs f in a transaction that only reads.
func (s *Store) View(f func(*Tx) error) error {
	return s.db.View(func(tx *bbolt.Tx) error { return f(&Tx{tx}) })
}

// Update runs f in a transaction, one at a time; nothing is written when f returns
// an error.
func (s *Store) Update(f func(*Tx) error) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return f(&Tx{tx}) })
}

// Table is a table of values of type T, kept as JSON under string keys.
type Table[T any] struct{ Name string }

// Get returns the value under key, and whether there is one.
func (t Table[T]) Get(tx *Tx, key string) (value T, found bool, err error) {
	bucket := tx.tx.Bucket([]byte(t.Name))
	if bucket == nil {
		return value, false, nil
	}
	b := bucket.Get([]byte(key))
	if b == nil {
		return value, false, nil
	}
	if err := json.Unmarshal(b, &value); err != nil {
		return value, false, fmt.Errorf("read %s %s: %w", t.Name, key, err)
	}
	return value, true, nil
}

// Put writes the value under key.
func (t Table[T]) Put(tx *Tx, key string, value T) error {
	bucket, err := tx.tx.CreateBucketIfNotExists([]byte(t.Name))
	if err != nil {
		return err
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", t.Name, key, err)
	}
	return bucket.Put([]byte(key), b)
}

// Delete removes the value under key, if there is one.
func (t Table[T]) Delete(tx *Tx, key string) error {
	bucket := tx.tx.Bucket([]byte(t.Name))
	if bucket == nil {
		return nil
	}
	return bucket.Delete([]byte(key))
}

// All returns the keys that begin with prefix and their values, in the keys' order.
// A value that cannot be read ends the sequence and sets *err.
func (t Table[T]) All(tx *Tx, prefix string, err *error) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		bucket := tx.tx.Bucket([]byte(t.Name))
		if bucket == nil {
			return
		}
		cursor := bucket.Cursor()
		for key, b := cursor.Seek([]byte(prefix)); key != nil && bytes.HasPrefix(key, []byte(prefix)); key, b = cursor.Next() {
			var value T
			if e := json.Unmarshal(b, &value); e != nil {
				*err = fmt.Errorf("read %s %s: %w", t.Name, key, e)
				return
			}
			if !yield(string(key), value) {
				return
			}
		}
	}
}
