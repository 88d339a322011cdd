package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// examine reads a store's file from one end to the other, and returns an error where it
// is damaged: bbolt would panic, in a goroutine of its own, where nobody can recover.
func examine(dir string) (err error) {
	path := filepath.Join(dir, fileName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // there is nothing yet
	}
	if err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if pathError := new(fs.PathError); errors.Is(err, bbolterrors.ErrTimeout) || errors.As(err, &pathError) {
		return notOpened(dir, err)
	}
	if err != nil {
		return damaged(path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The file is mapped into memory: what it lacks, and what points out of it, is a
	// fault of the memory.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = damaged(path, cause)
		}
	}()
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return damaged(path, fmt.Sprintf("%d bytes of %d are there", info.Size(), tx.Size()))
		}
		return tx.ForEach(func(_ []byte, table *bbolt.Bucket) error {
			return table.ForEach(func(_, _ []byte) error { return nil })
		})
	})
}

func damaged(path string, why any) error {
	return fmt.Errorf("%s is damaged (%v): put a copy of it in its place, or begin with an empty folder", path, why)
}
