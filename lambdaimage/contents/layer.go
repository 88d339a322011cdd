package contents

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

const (
	// parallelLayers is how many layers are read at the same time.
	parallelLayers = 4
	// mostFiles and mostText bound what is kept of an image: its files and directories, and
	// the bytes of their names and of what they point to. Large images with an operating
	// system and a machine-learning framework have 200,000 files, with names of 20 bytes.
	mostFiles = 1_000_000
	mostText  = 64 << 20
	// longestPath is Linux's PATH_MAX in bytes: what is longer can be unpacked nowhere.
	longestPath = 4096
	// zstdWindow is how many bytes a decoder of zstd may hold: what RFC 8878, 3.1.1.1.2
	// recommends to support.
	zstdWindow = 8 << 20
)

// unpacked is what the layers of an image are, laid over each other.
type unpacked struct {
	root     *node
	whole    bool  // nothing is missing in root
	size     int64 // bytes, as far as they were read
	findings []tasuki.Finding
}

// unpack reads the layers of an image, within limits.
func unpack(ctx context.Context, image tasuki.Image, layers tasuki.Layers, most limits) (unpacked, error) {
	u := unpacking{layers: layers, most: most, read: make([]layer, len(image.Layers))}
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(parallelLayers)
	for i, d := range image.Layers {
		diffID := ""
		if len(image.Facts.RootFS.DiffIDs) == len(image.Layers) {
			diffID = image.Facts.RootFS.DiffIDs[i]
		}
		group.Go(func() (err error) {
			u.read[i], err = u.layer(reading, i+1, d, diffID)
			return err
		})
	}
	err := group.Wait()
	switch {
	case errors.Is(err, errTooLarge):
		return unpacked{size: u.bytes.Load(), findings: []tasuki.Finding{tooLarge()}}, nil
	case errors.Is(err, errTooMany):
		return unpacked{size: u.bytes.Load(), findings: []tasuki.Finding{*refuse(RuleTooManyFiles, "Leave files out of the image.",
			"the image has more than %d files, or more than %d MiB of names, and is not looked into further", most.files, most.text>>20)}}, nil
	case err != nil:
		return unpacked{}, err
	}
	result := unpacked{root: newDirectory(), whole: true, size: u.bytes.Load()}
	for i, l := range u.read {
		if err := ctx.Err(); err != nil {
			return unpacked{}, err
		}
		u.read[i] = layer{} // what was laid is not held twice
		result.findings = append(result.findings, l.findings...)
		if l.root == nil {
			result.whole = false
			continue
		}
		result.root.lay(l.root)
	}
	return result, nil
}

// limits are what an image may have, in all layers together.
type limits struct {
	bytes int64 // uncompressed
	files int64 // directories included
	text  int64 // bytes of names and of what they point to
}

// unpacking is the reading of several layers.
type unpacking struct {
	layers  tasuki.Layers
	most    limits
	read    []layer
	bytes   atomic.Int64 // uncompressed
	content atomic.Int64 // bytes of files, of which an archive holds fewer where they are sparse
	files   atomic.Int64
	text    atomic.Int64
}

// keep counts a file, or what else is kept with that many bytes of text.
func (u *unpacking) keep(text int) error {
	if u.files.Add(1) > u.most.files || u.text.Add(int64(text)) > u.most.text {
		return errTooMany
	}
	return nil
}

var (
	errTooLarge = errors.New("more bytes than Lambda allows")
	errTooMany  = errors.New("more files than are looked into")
)

// layer is what a layer holds.
type layer struct {
	root     *node // nil where it could not be read
	findings []tasuki.Finding
}

// layer reads the layer of that number. An error is not about the image, or is one of
// errTooLarge and errTooMany.
func (u *unpacking) layer(ctx context.Context, number int, d tasuki.Descriptor, diffID string) (layer, error) {
	if !lambdaimage.IsLayer(d.MediaType) {
		return layer{}, nil // package lambdaimage says so
	}
	stored, err := u.layers.Layer(ctx, d)
	if err != nil && !isAboutTheImage(err) {
		return layer{}, err
	}
	if err != nil {
		return damaged(number, err), nil
	}
	defer stored.Close()
	from := newSource(ctx, stored)
	l, err := u.archive(number, from, diffID)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, errTooLarge), errors.Is(err, errTooMany):
		return layer{}, err
	case from.err != nil && !isAboutTheImage(from.err):
		return layer{}, from.err
	case from.err != nil:
		return damaged(number, from.err), nil
	}
	return damaged(number, err), nil
}

func damaged(number int, err error) layer {
	return layer{findings: []tasuki.Finding{*refuse(RuleDamagedLayer, rebuild, "layer %d cannot be unpacked: %s", number, printable(err))}}
}

// printable returns an error's text in one line, without what may drive a terminal.
func printable(err error) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
}

// archive reads a layer's archive to its end.
func (u *unpacking) archive(number int, from *source, diffID string) (layer, error) {
	plain, done, err := decompress(from)
	if err != nil {
		return layer{}, err
	}
	defer done()
	counted := &counter{from: plain, all: &u.bytes, most: u.most.bytes}
	if diffID != "" {
		counted.hash = sha256.New()
	}
	l := layer{root: newDirectory()}
	outside := ""
	archive := tar.NewReader(counted)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return layer{}, err
		}
		if header.Size > u.most.bytes || header.Typeflag != tar.TypeLink && u.content.Add(header.Size) > u.most.bytes {
			return layer{}, errTooLarge // without reading it
		}
		name := strings.Trim(header.Name, "/")
		if leaves(header.Name) || header.Typeflag == tar.TypeLink && leaves(header.Linkname) {
			outside = header.Name
			continue
		}
		if longest := max(len(name), len(header.Linkname)); longest > longestPath {
			return layer{}, fmt.Errorf("it has a path of %d bytes, and Linux knows %d at most", longest, longestPath)
		}
		if err := l.root.add(path.Clean(name), header, archive, u.keep); err != nil {
			return layer{}, err
		}
	}
	// What follows the archive's end counts, and is part of the digests.
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return layer{}, err
	}
	if _, err := io.Copy(io.Discard, from); err != nil {
		return layer{}, err
	}
	if diffID != "" && "sha256:"+hex.EncodeToString(counted.hash.Sum(nil)) != diffID {
		return layer{}, errors.New("uncompressed, it is not the one that the image's configuration names")
	}
	if outside != "" {
		l.findings = append(l.findings, *refuse(RulePathOutside, rebuild, "layer %d has the file %s, which lies outside of the image's root", number, quoted(outside)))
	}
	return l, nil
}

// leaves reports whether a path leads out of where it is unpacked.
func leaves(name string) bool {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	return clean == ".." || strings.HasPrefix(clean, "../")
}

// The names by which a layer removes what is below it (OCI image specification 1.1,
// "Whiteouts").
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// add adds a member of a layer's archive to the layer's root. It asks keep before it
// keeps something.
func (n *node) add(name string, header *tar.Header, content io.Reader, keep func(text int) error) error {
	dir, base := path.Split(name)
	if name == "." || name == "" {
		n.mode, n.implied = uint16(header.Mode&0o777), false
		return nil
	}
	if err := keep(len(base) + len(header.Linkname)); err != nil {
		return err
	}
	parent, err := n.in(dir, keep)
	if err != nil {
		return err
	}
	switch {
	case base == opaque:
		parent.opaque = true
		return nil
	case strings.HasPrefix(base, whiteout):
		parent.removed = append(parent.removed, strings.TrimPrefix(base, whiteout))
		return nil
	}
	file := &node{mode: uint16(header.Mode & 0o777)}
	switch header.Typeflag {
	case tar.TypeDir:
		file.kind = directory
	case tar.TypeSymlink:
		file.kind, file.target = symlink, header.Linkname
	case tar.TypeLink:
		if same, _ := n.find(header.Linkname); same != nil && same.kind == regular {
			file = same
			break
		}
		// To a file of a layer below, which no tool writes but unpackers take.
		file.kind, file.target = symlink, path.Join("/", header.Linkname)
	case tar.TypeReg:
		file.kind = regular
		if file.mode&0o111 != 0 && header.Size > 0 {
			if file.program, err = readProgram(content); err != nil {
				return err
			}
			if p := file.program; p != nil && p.interpreter != "" {
				if err := keep(len(p.interpreter)); err != nil {
					return err
				}
			}
		}
	case tar.TypeXGlobalHeader:
		return nil
	default:
		file.kind = other
	}
	parent.put(base, file)
	return nil
}

// longestQuiet is how long a source may send nothing: longer than registries ask clients
// to wait, and no reason for a person to wait on.
const longestQuiet = 2 * time.Minute

// source gives a layer's stored bytes until ctx ends, or nothing has come for long, and
// remembers what it failed of: decoders report it as their own failure.
type source struct {
	ctx    context.Context
	stored io.ReadCloser
	quiet  *time.Timer // closes stored, which ends a read that is under way
	silent atomic.Bool
	err    error
}

func newSource(ctx context.Context, stored io.ReadCloser) *source {
	s := &source{ctx: ctx, stored: stored}
	s.quiet = time.AfterFunc(longestQuiet, func() {
		s.silent.Store(true)
		_ = stored.Close() // the read says what the matter is
	})
	s.quiet.Stop()
	return s
}

func (s *source) Read(p []byte) (n int, err error) {
	if err = s.ctx.Err(); err == nil {
		s.quiet.Reset(longestQuiet)
		n, err = s.stored.Read(p)
		s.quiet.Stop()
	}
	if err != nil && s.silent.Load() {
		err = &tasuki.Error{Op: "read", Side: tasuki.SideSource, Kind: tasuki.ErrUnavailable, Err: fmt.Errorf("nothing of a layer has come for %s", longestQuiet)}
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// counter counts and hashes uncompressed bytes, and ends when those of all layers are
// more than Lambda allows.
type counter struct {
	from io.Reader
	all  *atomic.Int64
	most int64
	hash hash.Hash // nil where nobody asks
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if c.hash != nil {
		c.hash.Write(p[:n])
	}
	if c.all.Add(int64(n)) > c.most {
		return n, errTooLarge
	}
	return n, err
}

// decompress returns what is in r, which its first bytes tell: unpackers go by them as
// well, whatever the media type says.
func decompress(r io.Reader) (plain io.Reader, done func(), err error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	begin, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(begin, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(buffered)
		return z, func() {}, err
	case bytes.HasPrefix(begin, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return buffered, func() {}, nil
}
