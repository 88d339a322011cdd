package image

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tasuki-dev/tasuki"
)

// files is the regular files that a layout or an archive is made of, by slash-separated
// path. It may be read by many goroutines at a time.
type files interface {
	// open returns a file and its size in bytes, or fs.ErrNotExist.
	open(name string) (io.ReadCloser, int64, error)
	close() error
}

// readFile reads a manifest or an index of f.
func readFile(f files, name string) ([]byte, error) {
	r, _, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readDocument(r, name)
}

// directory is files in a directory. Symbolic links are followed: build tools such
// as Bazel make layouts of them, and content is only used if it has the digest that
// it was asked for by.
type directory string

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	if !fs.ValidPath(name) {
		return nil, 0, fmt.Errorf("%q: %w", name, fs.ErrNotExist)
	}
	path := filepath.Join(string(d), filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	// To open a named pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return nil, 0, failed(tasuki.ErrInvalid, "%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	return file, info.Size(), nil
}

func (d directory) close() error { return nil }
