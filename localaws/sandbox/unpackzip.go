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

// ErrNotZip is the error for a package that is no zip archive, or is damaged.
var ErrNotZip = errors.New("not a zip archive that can be unpacked")

// UnpackZip makes dir a root file system with nothing in it but the zip archive's
// files, in /var/task, in the manner of [Unpack].
func UnpackZip(ctx context.Context, dir, archive string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotZip, err)
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
		var size int64
		for _, file := range r.File {
			if err := ctx.Err(); err != nil {
				return err
			}
			if size += int64(file.UncompressedSize64); size > largestImage {
				return ErrTooLarge
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
