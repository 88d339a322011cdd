package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
)

// toLayout is an OCI image layout in a directory, which need not be there yet.
//
// Each file is written under another name and put into its place when it is whole, and
// index.json is the last: until then there is nothing new for a reader to find. A copy
// that was killed leaves blobs that the next one finds.
type toLayout struct {
	dir string
	tag string // org.opencontainers.image.ref.name; "" for none
}

// refName is what the image specification allows for a tag in a layout ("Pre-Defined
// Annotation Keys").
var refName = regexp.MustCompile(`^[A-Za-z0-9]+(([-._:@+]|--|/)[A-Za-z0-9]+)*$`)

func newToLayout(dir, tag string) (*toLayout, error) {
	if tag != "" && !refName.MatchString(tag) {
		return nil, badTag(tag)
	}
	return &toLayout{dir, tag}, nil
}

func badTag(tag string) error {
	return misnamed("%q is not a tag: it has letters and digits, and single ones of -._:@+/ between them", printable(tag))
}

const (
	// unfinished is the directory, in the layout's, where files are until they are whole.
	unfinished = ".tasuki"
	// layoutMark is what a layout's file oci-layout has.
	layoutMark = `{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`
)

// receive implements receiver.
func (l *toLayout) receive(ctx context.Context, source *Source, manifest tasuki.Manifest, o PushOptions) (copied Copied, err error) {
	bundle, err := gather(ctx, source, manifest)
	if err != nil {
		return Copied{}, err
	}
	unlock, err := l.prepare(ctx)
	if err != nil {
		return Copied{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	t := newTransfer(source, o)
	err = atOnce(ctx, source, bundle.blobs, func(ctx context.Context, blob tasuki.Descriptor, streams int) error {
		return l.blob(ctx, t, blob, streams)
	})
	for _, m := range bundle.manifests {
		if err == nil {
			err = l.put(blobPath(m.Digest), m.Bytes)
		}
	}
	if err == nil {
		err = l.mark()
	}
	if err == nil {
		err = l.list(bundle.root)
	}
	return t.copied(manifest.Digest), err
}

// prepare makes the layout's directories, refuses a directory that is something else, and
// waits until no other copy writes there. What a killed one left unfinished is removed.
func (l *toLayout) prepare(ctx context.Context) (unlock func() error, err error) {
	if err := os.MkdirAll(l.dir, 0o777); err != nil {
		return nil, err
	}
	dir, err := os.Open(l.dir)
	if err != nil {
		return nil, err
	}
	err = lock(ctx, dir)
	if err == nil {
		err = l.refuseOther()
	}
	if err == nil {
		err = os.RemoveAll(l.path(unfinished))
	}
	if err == nil {
		err = errors.Join(os.Mkdir(l.path(unfinished), 0o777), os.MkdirAll(l.path("blobs/sha256"), 0o777))
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return func() error { return errors.Join(os.RemoveAll(l.path(unfinished)), dir.Close()) }, nil
}

// lock waits until f is locked for this copy alone.
func lock(ctx context.Context, f *os.File) error {
	for {
		if tryLock(f) {
			return nil
		}
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// refuseOther refuses a directory that has files and is no layout, nor the beginning of
// one, and a layout of another version.
func (l *toLayout) refuseOther() error {
	mark, err := readFile(directory(l.dir), ocispec.ImageLayoutFile)
	if err == nil {
		var version ocispec.ImageLayout
		if json.Unmarshal(mark, &version) != nil || version.Version != ocispec.ImageLayoutVersion {
			return failed(tasuki.ErrInvalid, "%s is not an OCI image layout of version %s, the only one there is", l.dir, ocispec.ImageLayoutVersion)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	for _, entry := range entries {
		if name := entry.Name(); name != "blobs" && name != unfinished {
			return failed(tasuki.ErrInvalid, "%s has files and is not an OCI image layout: give a new directory, an empty one, or a layout", l.dir)
		}
	}
	return err
}

func (l *toLayout) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

// blob brings a blob into the layout, where it is not there yet as it should be.
func (l *toLayout) blob(ctx context.Context, t *transfer, blob tasuki.Descriptor, streams int) error {
	there, err := l.has(ctx, blob)
	if err != nil {
		return err
	}
	if there {
		t.there(blob)
		return nil
	}
	err = l.write(blobPath(blob.Digest), func(w io.Writer) error { return t.write(ctx, w, blob, streams) })
	if err == nil {
		t.written(blob)
	}
	return err
}

// has reports whether the layout has a blob, its bytes as they should be.
func (l *toLayout) has(ctx context.Context, blob tasuki.Descriptor) (bool, error) {
	r, size, err := directory(l.dir).open(blobPath(blob.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if size != blob.Size {
		return false, nil
	}
	_, err = io.CopyBuffer(writerOnly{io.Discard}, interruptible{ctx, verified(r, blob)}, make([]byte, min(gulp, size+1)))
	if errors.Is(err, errBroken) {
		return false, nil
	}
	return err == nil, err
}

// put writes a small file.
func (l *toLayout) put(name string, content []byte) error {
	return l.write(name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// write writes a file, and puts it into its place when it is on the disk.
func (l *toLayout) write(name string, content func(io.Writer) error) error {
	beginning := l.path(unfinished + "/" + filepath.Base(name))
	f, err := os.OpenFile(beginning, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	err = content(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(beginning, l.path(name))
}

// list adds an image to index.json, in place of the one that had the tag. The others are
// kept as they are.
func (l *toLayout) list(root tasuki.Manifest) error {
	index := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2")}
	b, err := readFile(directory(l.dir), ocispec.ImageIndexFile)
	if err == nil {
		err = json.Unmarshal(b, &index)
	}
	var entries []json.RawMessage
	if listed := index["manifests"]; err == nil && listed != nil {
		err = json.Unmarshal(listed, &entries)
	}
	var syntax *json.SyntaxError
	var form *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &form) || index == nil {
		return failed(tasuki.ErrInvalid, "%s is not the index of an OCI image layout", l.path(ocispec.ImageIndexFile))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kept := []json.RawMessage{}
	for _, entry := range entries {
		var d tasuki.Descriptor
		if json.Unmarshal(entry, &d) != nil || !l.replaces(d, root.Digest) {
			kept = append(kept, entry)
		}
	}
	var annotations map[string]string
	if l.tag != "" {
		annotations = map[string]string{ocispec.AnnotationRefName: l.tag}
	}
	added, err := json.Marshal(entryOf(root, annotations))
	if err != nil {
		return err
	}
	if index["manifests"], err = json.Marshal(append(kept, added)); err != nil {
		return err
	}
	document, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if bytes.Equal(document, b) {
		return nil
	}
	return l.put(ocispec.ImageIndexFile, document)
}

// mark writes the file that makes the directory a layout, where it is not there.
func (l *toLayout) mark() error {
	if _, err := os.Stat(l.path(ocispec.ImageLayoutFile)); err == nil {
		return nil
	}
	return l.put(ocispec.ImageLayoutFile, []byte(layoutMark))
}

// replaces reports whether an entry of index.json is the one that an image's entry takes
// the place of.
func (l *toLayout) replaces(entry tasuki.Descriptor, digest tasuki.Digest) bool {
	tag := entry.Annotations[ocispec.AnnotationRefName]
	return tag == l.tag && (tag != "" || entry.Digest == digest)
}

// entryOf returns what index.json says of an image.
func entryOf(root tasuki.Manifest, annotations map[string]string) tasuki.Descriptor {
	return tasuki.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: int64(len(root.Bytes)), Annotations: annotations}
}

// explain implements receiver.
func (l *toLayout) explain(err error) error { return explainFile(l.dir, err) }

func (l *toLayout) close() {}
