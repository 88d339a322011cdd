//go:build unix && !solaris && !aix

package image

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks an open file or directory for this copy alone, until it is closed or the
// program ends, however it ends. It reports whether that may go on: nobody else has the
// lock, or the file system has no locks.
func tryLock(f *os.File) bool {
	return !errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
