package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
)

// layout is an OCI image layout (OCI image specification 1.1, "Image Layout").
type layout struct {
	files
	chosen tasuki.Descriptor // the entry of index.json that the reference names
}

// openLayout chooses the image that pick names in the layout of f.
func openLayout(f files, pick selector) (*layout, error) {
	b, err := readFile(f, ocispec.ImageLayoutFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failed(tasuki.ErrInvalid, "it is not an OCI image layout: it has no file %s", ocispec.ImageLayoutFile)
	}
	if err != nil {
		return nil, err
	}
	var mark ocispec.ImageLayout
	if err := json.Unmarshal(b, &mark); err != nil || mark.Version != ocispec.ImageLayoutVersion {
		return nil, failed(tasuki.ErrInvalid, "it is not an OCI image layout of version %s, the only one there is", ocispec.ImageLayoutVersion)
	}
	b, err = readFile(f, ocispec.ImageIndexFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failed(tasuki.ErrInvalid, "it is not an OCI image layout: it has no file %s", ocispec.ImageIndexFile)
	}
	if err != nil {
		return nil, err
	}
	chosen, err := choose(b, pick)
	if err != nil {
		return nil, err
	}
	return &layout{f, chosen}, nil
}

// containerdName is the annotation in which BuildKit and Docker keep an image's
// whole name; org.opencontainers.image.ref.name has the tag alone.
const containerdName = "io.containerd.image.name"

// choose returns the entry of a layout's index.json that pick names.
func choose(index []byte, pick selector) (tasuki.Descriptor, error) {
	none := tasuki.Descriptor{}
	var document struct{ Manifests []tasuki.Descriptor }
	if err := json.Unmarshal(index, &document); err != nil {
		return none, failed(tasuki.ErrInvalid, "its index.json is not that of an OCI image layout: %s", printable(err.Error()))
	}
	var tags []string
	found := map[tasuki.Digest]tasuki.Descriptor{}
	for _, entry := range document.Manifests {
		if entry.Digest.IsZero() {
			return none, failed(tasuki.ErrInvalid, "its index.json has an entry without a digest")
		}
		tag := entry.Annotations[ocispec.AnnotationRefName]
		if tag != "" {
			tags = append(tags, printable(tag))
		}
		if pick.matches(entry.Digest, tag, entry.Annotations[containerdName]) {
			found[entry.Digest] = entry
		}
	}
	slices.Sort(tags)
	switch {
	case len(found) == 1:
		for _, entry := range found {
			return entry, nil
		}
	case len(document.Manifests) == 0:
		return none, failed(tasuki.ErrMissing, "it holds no image")
	case len(found) == 0:
		return none, failed(tasuki.ErrMissing, "it holds no image %s; its tags: %s", pick, list(tags))
	case pick.isZero():
		return none, failed(tasuki.ErrInvalid, "it holds %d images: say which one with a tag (%s) or a digest", len(found), list(tags))
	}
	return none, failed(tasuki.ErrInvalid, "it holds %d images with the tag %s: say which one with a digest", len(found), pick)
}

func list(names []string) string {
	const most = 10
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

func (l *layout) root(ctx context.Context) (tasuki.Manifest, error) { return l.manifest(ctx, l.chosen) }

func (l *layout) manifest(ctx context.Context, d tasuki.Descriptor) (tasuki.Manifest, error) {
	r, err := l.blob(ctx, d)
	if err != nil {
		return tasuki.Manifest{}, err
	}
	defer r.Close()
	b, err := readDocument(r, "the manifest "+d.Digest.Short())
	if err != nil {
		return tasuki.Manifest{}, err
	}
	return newManifest(b, d.MediaType, d.Digest)
}

func (l *layout) blob(_ context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	r, _, err := l.open(blobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failed(tasuki.ErrMissing, "the layout lacks the blob %s", d.Digest.Short())
	}
	return r, err
}

// blobPath returns where a layout has a blob.
func blobPath(digest tasuki.Digest) string {
	return "blobs/" + strings.Replace(digest.String(), ":", "/", 1)
}
