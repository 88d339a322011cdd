package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// mostMembers is how many members an archive may have. An image of 127 layers has
// about 400 in docker save's oldest form.
const mostMembers = 10_000

// archive is the files of a tar archive, which are read where they lie.
type archive struct {
	file    io.ReaderAt
	closer  io.Closer
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // the member that a link stands for; "" for a regular file
}

// openArchive reads the headers of the tar archive at file, and nothing else of it.
func openArchive(ctx context.Context, file string) (*archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = failed(tasuki.ErrInvalid, "%s is not a regular file", file)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	a, err := newArchive(ctx, f, info.Size(), f)
	if err != nil {
		f.Close()
	}
	return a, err
}

// newArchive reads the headers of the tar archive in r, of size bytes. The archive
// closes closer.
func newArchive(ctx context.Context, r io.ReaderAt, size int64, closer io.Closer) (*archive, error) {
	members, err := readMembers(ctx, io.NewSectionReader(r, 0, size), size)
	if err != nil {
		return nil, err
	}
	return &archive{r, closer, members}, nil
}

// readMembers returns where the members of the tar archive r, of size bytes, lie.
// It refuses what could lead out of the archive, and what is not all there.
func readMembers(ctx context.Context, r io.ReadSeeker, size int64) (map[string]member, error) {
	if err := refuseCompressed(r); err != nil {
		return nil, err
	}
	members := map[string]member{}
	archive := tar.NewReader(struct { // the reader skips data by seeking
		io.Reader
		io.Seeker
	}{interruptible{ctx, r}, r})
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return members, nil
		}
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var answered *failure
		var answer *responseError
		if errors.As(err, &answered) || errors.As(err, &answer) || err != nil && transient(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err // of what the archive is read from, not of the archive
		}
		if err != nil {
			return nil, failed(tasuki.ErrInvalid, "it is not a whole tar archive: %s", printable(err.Error()))
		}
		if len(members) == mostMembers {
			return nil, failed(tasuki.ErrInvalid, "the archive has more than %d members, and none that holds an image has so many", mostMembers)
		}
		name, err := memberName(header.Name)
		if err != nil {
			return nil, err
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		m := member{offset: offset, size: header.Size}
		switch header.Typeflag {
		case tar.TypeReg:
			if sparse(header) {
				return nil, failed(tasuki.ErrInvalid, "the archive's member %s is sparse, which no tool that saves images writes", printable(name))
			}
			if header.Size < 0 || header.Size > size-offset {
				return nil, failed(tasuki.ErrInvalid, "the archive's member %s says that it has %d bytes, and the archive ends before: it was cut off", printable(name), header.Size)
			}
		case tar.TypeSymlink, tar.TypeLink:
			// docker save and podman save link to a layer that they have written already.
			if m.link, err = linkTarget(name, header); err != nil {
				return nil, err
			}
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		default:
			return nil, failed(tasuki.ErrInvalid, "the archive's member %s is neither a file nor a directory nor a link", printable(name))
		}
		members[name] = m
	}
}

// compressed formats, by the bytes that they begin with.
var compressions = []struct{ magic, name, tool string }{
	{"\x1f\x8b", "gzip", "gunzip"},
	{"\x28\xb5\x2f\xfd", "zstd", "unzstd"},
	{"BZh", "bzip2", "bunzip2"},
	{"\xfd7zXZ", "xz", "unxz"},
}

// refuseCompressed says so when r is compressed, because layers of it cannot be
// read where they lie.
func refuseCompressed(r io.ReadSeeker) error {
	var begin [8]byte
	n, err := io.ReadFull(r, begin[:])
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	for _, c := range compressions {
		if bytes.HasPrefix(begin[:n], []byte(c.magic)) {
			return failed(tasuki.ErrInvalid, "the archive is compressed with %s: decompress it first, with '%s'", c.name, c.tool)
		}
	}
	_, err = r.Seek(0, io.SeekStart)
	return err
}

// memberName returns a member's name in the form that files are opened by.
func memberName(name string) (string, error) {
	clean := path.Clean(name)
	if !fs.ValidPath(clean) || slices.Contains(strings.Split(name, "/"), "..") {
		return "", failed(tasuki.ErrInvalid, "the archive's member %q lies outside of the archive, so it is refused", printable(name))
	}
	return clean, nil
}

// linkTarget returns the member that a link names: a symbolic link's target is
// relative to the link, a hard link's to the archive.
func linkTarget(name string, header *tar.Header) (string, error) {
	target := path.Clean(header.Linkname)
	if header.Typeflag == tar.TypeSymlink && !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target)
	}
	if !fs.ValidPath(target) {
		return "", failed(tasuki.ErrInvalid, "the archive's link %s leads out of the archive, to %q, so it is refused", printable(name), printable(header.Linkname))
	}
	return target, nil
}

// sparse reports whether a member's bytes are not those that are in the archive
// (GNU tar, "Sparse Formats").
func sparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

func (a *archive) open(name string) (io.ReadCloser, int64, error) {
	m, found := a.members[path.Clean(name)]
	if found && m.link != "" {
		link := m.link
		m, found = a.members[link]
		if !found || m.link != "" {
			return nil, 0, failed(tasuki.ErrInvalid, "the archive's link %s leads to %s, which is no file in the archive", printable(name), printable(link))
		}
	}
	if !found {
		return nil, 0, fmt.Errorf("%s: %w", printable(name), fs.ErrNotExist)
	}
	return io.NopCloser(io.NewSectionReader(a.file, m.offset, m.size)), m.size, nil
}

func (a *archive) close() error { return a.closer.Close() }
