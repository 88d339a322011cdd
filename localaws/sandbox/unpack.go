package sandbox

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/go-archive"
	"github.com/moby/go-archive/compression"
)

// Layer opens a layer of an image: a tar archive, plain or compressed.
type Layer func() (io.ReadCloser, error)

// ErrTooLarge is the error for an image that is larger than Lambda takes.
var ErrTooLarge = errors.New("uncompressed container image size exceeds 10 GiB limit")

// Unpack makes dir the root file system that the layers make up, the lowest first.
// What is there already is left as it is. The folder appears when it is complete,
// so that a killed Unpack leaves nothing but a temporary folder beside it, whose
// name begins with '.'.
//
// Everything in it belongs to the user who runs the program, and has the rights
// that Lambda's user has: Lambda runs functions as a user who owns nothing of the
// image, so that only what others may do counts.
func Unpack(ctx context.Context, dir string, layers ...Layer) error {
	return build(dir, func(temporary string) error {
		var size int64
		for i, open := range layers {
			if err := unpackLayer(ctx, temporary, open, &size); err != nil {
				return fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
			}
		}
		return nil
	})
}

// build fills a temporary folder and gives it its name when all is done.
func build(dir string, fill func(temporary string) error) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := fill(temporary); err != nil {
		return err
	}
	if err := makeMountPoints(temporary); err != nil {
		return err
	}
	err = os.Rename(temporary, dir)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else unpacked the same image meanwhile
	}
	return err
}

func unpackLayer(ctx context.Context, dir string, open Layer, size *int64) error {
	blob, err := open()
	if err != nil {
		return err
	}
	defer blob.Close()
	layer, err := compression.DecompressStream(blob)
	if err != nil {
		return err
	}
	defer layer.Close()
	filtered, filter := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		filter.CloseWithError(rewrite(ctx, filter, layer, size))
	}()
	_, err = archive.UnpackLayer(dir, filtered, &archive.TarOptions{NoLchown: true, InUserNS: true})
	filtered.CloseWithError(errors.New("unpacking has ended"))
	<-done
	return err
}

// rewrite copies a layer with nothing in its headers but what a sandbox needs: no
// owners, no attributes, no special bits, and the rights of a stranger. It adds the
// files' bytes to *size.
func rewrite(ctx context.Context, w io.Writer, layer io.Reader, size *int64) error {
	in, out := tar.NewReader(layer), tar.NewWriter(w)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if *size += header.Size; *size > largestImage {
			return ErrTooLarge
		}
		kind := header.Typeflag
		switch kind {
		case tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeDir, tar.TypeFifo:
		case tar.TypeGNUSparse:
			kind = tar.TypeReg // the reader has filled the holes
		default:
			continue // devices, which a sandbox cannot have, and comments
		}
		if err := out.WriteHeader(&tar.Header{
			Typeflag: kind, Name: header.Name, Linkname: header.Linkname, Size: header.Size,
			Mode: strangersMode(header.Mode, kind == tar.TypeDir), ModTime: header.ModTime,
		}); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
}

// strangersMode gives the owner the rights of others. Folders stay open to the
// owner, who has to unpack into them, and to remove them one day.
func strangersMode(mode int64, folder bool) int64 {
	if folder {
		return mode&0o777 | 0o700
	}
	return mode&0o077 | mode&0o007<<6
}

// mountPoints are what is mounted over in a sandbox; true for folders.
var mountPoints = map[string]bool{"dev": true, "proc": true, "tmp": true, "etc/hosts": false, "etc/resolv.conf": false}

// makeMountPoints makes the mount points that the image lacks, or has as something
// else: a link would be followed when something is mounted on it.
func makeMountPoints(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, folder := range mountPoints {
		info, err := root.Lstat(name)
		if err == nil && (folder && info.IsDir() || !folder && info.Mode().IsRegular()) {
			continue
		}
		if err == nil {
			if err := root.RemoveAll(name); err != nil {
				return err
			}
		}
		if !folder {
			// An image whose /etc is a link to somewhere else does without.
			_ = makeFile(root, name)
			continue
		}
		if err := root.Mkdir(name, 0o755); err != nil {
			return fmt.Errorf("prepare /%s of the image: %w", name, err)
		}
	}
	return nil
}

func makeFile(root *os.Root, name string) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return root.WriteFile(name, nil, 0o644)
}
