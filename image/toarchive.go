package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
)

// toArchive is a tar archive of a layout, and of one that Docker reads where its
// manifest.json is written too. The file takes its place when it is whole; until then it
// has another name beside it, by which the next copy finds and overwrites what a killed
// one left.
type toArchive struct {
	file string
	tag  string // org.opencontainers.image.ref.name; "" for none

	docker bool   // docker save's manifest.json is written
	name   string // of the image in it, with its tag; "" for none
}

func newToArchive(file, tag string) (*toArchive, error) {
	if tag != "" && !refName.MatchString(tag) {
		return nil, badTag(tag)
	}
	return &toArchive{file: file, tag: tag}, nil
}

// newToDockerArchive writes what docker save does since version 25: a layout, and a
// manifest.json for older engines that names the same blobs.
func newToDockerArchive(file, name string) (*toArchive, error) {
	a := &toArchive{file: file, docker: true, name: name}
	if name == "" {
		return a, nil
	}
	named, err := parseRemote(name)
	if err != nil || strings.Contains(named.Reference, ":") {
		return nil, misnamed("it is not the name of an image: give docker-archive:FILE:NAME:TAG")
	}
	a.tag = named.Reference
	if named.Reference == "latest" && !strings.HasSuffix(name, ":latest") {
		a.name += ":latest"
	}
	return a, nil
}

// receive implements receiver.
func (a *toArchive) receive(ctx context.Context, source *Source, manifest tasuki.Manifest, o PushOptions) (Copied, error) {
	if a.docker && manifest.IsIndex() {
		return Copied{}, failed(tasuki.ErrInvalid, "an archive of docker save holds an image, and not an index: choose one of its images, or copy to an oci-archive:")
	}
	bundle, err := gather(ctx, source, manifest)
	if err != nil {
		return Copied{}, err
	}
	documents, err := a.documents(bundle.root)
	if err != nil {
		return Copied{}, err
	}
	plan, err := newPlan(documents, bundle)
	if err != nil {
		return Copied{}, &sourceFault{err}
	}
	if info, err := os.Stat(a.file); err == nil && !info.Mode().IsRegular() {
		return Copied{}, failed(tasuki.ErrInvalid, "%s is there already, and is not a regular file", a.file)
	}
	f, err := begin(ctx, a.unfinished())
	if err != nil {
		return Copied{}, err
	}
	t := newTransfer(source, o)
	err = a.fill(ctx, f, plan, t, bundle.blobs)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), a.file)
	} else {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	// The lock ends with it, and so the file has its name by then.
	return t.copied(manifest.Digest), errors.Join(err, f.Close())
}

// unfinished is the archive's name until it is whole.
func (a *toArchive) unfinished() string {
	dir, base := filepath.Split(a.file)
	return dir + "." + base + unfinished
}

// begin opens a file that no other copy writes, and empties it.
func begin(ctx context.Context, name string) (*os.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// The copy that had the lock before has given the file its place, or removed it.
		ours, err := f.Stat()
		there, statErr := os.Stat(name)
		if err == nil && statErr == nil && os.SameFile(ours, there) {
			if err := f.Truncate(0); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// fill writes the whole archive. Every blob's place is known, so that they are written at
// the same time.
func (a *toArchive) fill(ctx context.Context, f *os.File, p *plan, t *transfer, blobs []tasuki.Descriptor) error {
	for _, written := range p.known {
		if _, err := f.WriteAt(written.bytes, written.at); err != nil {
			return err
		}
	}
	if err := f.Truncate(p.size); err != nil {
		return err
	}
	return atOnce(ctx, t.source, blobs, func(ctx context.Context, blob tasuki.Descriptor, streams int) error {
		err := t.write(ctx, io.NewOffsetWriter(f, p.blobs[blob.Digest]), blob, streams)
		if err == nil {
			t.written(blob)
		}
		return err
	})
}

// documents returns the files that say what is in the archive. They come first, for who
// reads it as a stream.
func (a *toArchive) documents(root tasuki.Manifest) ([]document, error) {
	annotations := map[string]string{}
	if a.tag != "" {
		annotations[ocispec.AnnotationRefName] = a.tag
	}
	if a.name != "" {
		annotations[containerdName] = wholeName(a.name)
	}
	index, err := json.Marshal(struct {
		SchemaVersion int                 `json:"schemaVersion"`
		Manifests     []tasuki.Descriptor `json:"manifests"`
	}{2, []tasuki.Descriptor{entryOf(root, annotations)}})
	if err != nil {
		return nil, err
	}
	documents := []document{{ocispec.ImageLayoutFile, []byte(layoutMark)}, {ocispec.ImageIndexFile, index}}
	if !a.docker {
		return documents, nil
	}
	config, layers, err := parts(root)
	if err != nil {
		return nil, &sourceFault{err}
	}
	entry := dockerEntry{Config: blobPath(config.Digest), Layers: []string{}}
	if a.name != "" {
		entry.RepoTags = []string{a.name}
	}
	for _, layer := range layers {
		entry.Layers = append(entry.Layers, blobPath(layer.Digest))
	}
	manifest, err := json.Marshal([]dockerEntry{entry})
	return append(documents, document{"manifest.json", manifest}), err
}

// explain implements receiver.
func (a *toArchive) explain(err error) error { return explainFile(a.file, err) }

func (a *toArchive) close() {}
