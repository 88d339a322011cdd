package state

import (
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// temporaryPrefix is what the names of temporary stores' folders begin with.
const temporaryPrefix = "tasuki-local-temporary-"

// settled is how long after its last write a temporary store may be taken for
// abandoned, where nobody has it open: one that is being made is not open yet.
const settled = time.Minute

// removeAbandoned removes the temporary stores whose processes were killed: with them
// lie root file systems and layers, which would fill the disk. What cannot be removed,
// such as another user's, stays.
func removeAbandoned(now time.Time) {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), temporaryPrefix+"*"))
	if err != nil {
		return // the folder's own name is a pattern that is malformed
	}
	for _, dir := range dirs {
		if abandoned(filepath.Join(dir, fileName), now) {
			_ = os.RemoveAll(dir)
		}
	}
}

// abandoned reports whether no process has a store's file open: who has it open has
// locked it, until the end of the process.
func abandoned(path string, now time.Time) bool {
	info, err := os.Stat(path)
	if err != nil || now.Sub(info.ModTime()) < settled {
		return false
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Nanosecond})
	if err != nil {
		return false
	}
	return db.Close() == nil
}
