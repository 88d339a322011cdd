//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// sizeOf returns how large a terminal is; no columns for what is none.
func sizeOf(file *os.File) (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	if size.Col == 0 || size.Row == 0 { // it does not know
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}
