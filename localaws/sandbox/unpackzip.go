package sandbox

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// LargestZip is what the files of a zip archive have together, in bytes, where it is
// just too large (Lambda quotas, AWS documentation: 250 MB).
const LargestZip = 250 << 20

// The errors for packages that Lambda does not take.
var (
	// ErrNotZip is the error for a package that is no zip archive, or is damaged.
	ErrNotZip = errors.New("not a zip archive that can be unpacked")
	// ErrZipTooLarge is the error for a zip archive of [LargestZip] or more.
	ErrZipTooLarge = errors.New("unzipped size is 262144000 bytes or more")
)

// CheckZip returns ErrNotZip for a file that is no zip archive, and ErrZipTooLarge for
// one that is too large, by what it says itself. It unpacks nothing.
func CheckZip(archive string) error {
	r, err := openZip(archive)
	if err != nil {
		return err
	}
	return r.Close()
}

// openZip opens an archive that is not too large. None of its files gives more than the
// archive says: reading it would end in an error.
func openZip(archive string) (*zip.ReadCloser, error) {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotZip, err)
	}
	var size uint64
	for _, file := range r.File {
		if size += file.UncompressedSize64; size >= LargestZip || file.UncompressedSize64 >= LargestZip {
			return nil, errors.Join(ErrZipTooLarge, r.Close())
		}
	}
	return r, nil
}

// UnpackZip makes dir a root file system with nothing in it but the zip archive's
// files, in /var/task, in the manner of [Unpack]. Its errors are those of [CheckZip].
func UnpackZip(ctx context.Context, dir, archive string) error {
	r, err := openZip(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	return build(dir, func(temporary string) error {
		task := filepath.Join(temporary, "var", "task")
		if err := os.MkdirAll(task, 0o755); err != nil {
			return err
		}
		root, err := os.OpenRoot(task)
		if err != nil {
			return err
		}
		defer root.Close()
		for _, file := range r.File {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := unzip(root, file); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrNotZip, file.Name, err)
			}
		}
		return nil
	})
}

func unzip(root *os.Root, file *zip.File) error {
	mode := file.Mode()
	if mode.IsDir() {
		return root.MkdirAll(file.Name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(file.Name), 0o755); err != nil {
		return err
	}
	content, err := file.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(content, 4096))
		if err != nil {
			return err
		}
		return root.Symlink(string(target), file.Name)
	}
	f, err := root.OpenFile(file.Name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(fs.FileMode(strangersMode(int64(mode.Perm()), false))); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
