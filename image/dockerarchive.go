package image

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
	"golang.org/x/sync/errgroup"
)

// dockerArchive is what docker save writes: layers, configurations, and a
// manifest.json that says which belong together. It holds no manifest of a
// registry's kind, so one is made: Docker's version 2, schema 2, which names the
// layers as they are where they are compressed, and with gzip's fastest level
// otherwise. The same archive always gives the same manifest.
//
// go-containerregistry's tarball package reads such archives too, but follows an
// archive's links without end, holds any configuration in memory, and takes the
// first layer's compression for that of all.
type dockerArchive struct {
	files
	entry dockerEntry

	mu     sync.Mutex
	made   tasuki.Manifest                // zero until it has been made
	config []byte                         // verbatim
	layers map[tasuki.Digest]archiveLayer // by the digests in made
}

// dockerEntry is one image in manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type archiveLayer struct {
	name       string
	descriptor tasuki.Descriptor
	plain      bool // not compressed in the archive
}

// The types of the manifest that is made.
const (
	dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	// mostLayers bounds the work that a hostile manifest.json can ask for.
	mostLayers = 1000
)

// openSaved opens the image that pick names in what docker save wrote. Since version 25
// that is a layout as well, with the digests that the engine would push; but where layers
// are not compressed in it, as Docker Engine's own store keeps them, they are compressed
// here, and a manifest is made of them. buildx writes an archive for Docker without a
// manifest.json where the image has attestations.
func openSaved(ctx context.Context, a *archive, pick selector) (store, error) {
	_, isDockers := a.members["manifest.json"]
	if _, isLayout := a.members[ocispec.ImageLayoutFile]; isLayout {
		at, err := openLayout(a, pick)
		if err == nil && (!isDockers || at.compressed(ctx)) {
			return at, nil
		}
		if !isDockers {
			return nil, err
		}
	}
	return openDockerArchive(a, pick)
}

// compressed reports whether the image that was chosen has no layer that is a plain tar
// archive. Of an index this is true: only stores that keep what was pulled or built as it
// was have indexes.
func (l *layout) compressed(ctx context.Context) bool {
	root, err := l.root(ctx)
	if err != nil {
		return false
	}
	if root.IsIndex() {
		return true
	}
	_, layers, err := parts(root)
	if err != nil {
		return false
	}
	for _, layer := range layers {
		if strings.HasSuffix(layer.MediaType, ".tar") {
			return false
		}
	}
	return true
}

// openDockerArchive chooses the image that pick names in the archive of f.
func openDockerArchive(f files, pick selector) (*dockerArchive, error) {
	b, err := readFile(f, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failed(tasuki.ErrInvalid, "it is not an archive of docker save: it has no file manifest.json")
	}
	if err != nil {
		return nil, err
	}
	entry, err := chooseEntry(b, pick)
	if err != nil {
		return nil, err
	}
	return &dockerArchive{files: f, entry: entry}, nil
}

// chooseEntry returns the entry of a manifest.json that pick names.
func chooseEntry(manifest []byte, pick selector) (dockerEntry, error) {
	var entries []dockerEntry
	if err := json.Unmarshal(manifest, &entries); err != nil {
		return dockerEntry{}, failed(tasuki.ErrInvalid, "its manifest.json is not that of docker save: %s", printable(err.Error()))
	}
	var names []string
	var found []dockerEntry
	for _, entry := range entries {
		for _, name := range entry.RepoTags {
			names = append(names, printable(name))
		}
		// An archive names images by tags alone.
		if pick.isZero() || slices.ContainsFunc(entry.RepoTags, func(name string) bool { return pick.matches(tasuki.Digest{}, "", name) }) {
			found = append(found, entry)
		}
	}
	switch {
	case len(entries) == 0:
		return dockerEntry{}, failed(tasuki.ErrMissing, "it holds no image")
	case len(found) == 0:
		return dockerEntry{}, failed(tasuki.ErrMissing, "it holds no image %s; its images: %s", pick, list(names))
	case len(found) > 1:
		return dockerEntry{}, failed(tasuki.ErrInvalid, "it holds %d images: say which one with its name and tag (%s)", len(found), list(names))
	case len(found[0].Layers) > mostLayers:
		return dockerEntry{}, failed(tasuki.ErrInvalid, "it has %d layers, and no image has so many", len(found[0].Layers))
	}
	return found[0], nil
}

func (a *dockerArchive) root(ctx context.Context) (tasuki.Manifest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.made.Digest.IsZero() {
		return a.made, nil
	}
	config, diffIDs, err := a.readConfig()
	if err != nil {
		return tasuki.Manifest{}, err
	}
	layers := make([]archiveLayer, len(a.entry.Layers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0)) // each is decompressed and hashed
	for i, name := range a.entry.Layers {
		group.Go(func() (err error) {
			layers[i], err = a.examine(ctx, name, diffIDs[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return tasuki.Manifest{}, err
	}
	document := struct {
		SchemaVersion int                 `json:"schemaVersion"`
		MediaType     string              `json:"mediaType"`
		Config        tasuki.Descriptor   `json:"config"`
		Layers        []tasuki.Descriptor `json:"layers"`
	}{2, tasuki.MediaTypeDockerManifest,
		tasuki.Descriptor{MediaType: tasuki.MediaTypeDockerConfig, Digest: tasuki.DigestOf(config), Size: int64(len(config))},
		[]tasuki.Descriptor{}}
	a.layers = map[tasuki.Digest]archiveLayer{}
	for _, layer := range layers {
		document.Layers = append(document.Layers, layer.descriptor)
		a.layers[layer.descriptor.Digest] = layer
	}
	b, err := json.Marshal(document)
	if err != nil {
		return tasuki.Manifest{}, err
	}
	manifest, err := newManifest(b, tasuki.MediaTypeDockerManifest, tasuki.DigestOf(b))
	if err != nil {
		return tasuki.Manifest{}, err
	}
	a.config, a.made = config, manifest
	return manifest, nil
}

// hexDigest is how docker save names configurations: by their digests.
var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// readConfig returns the image's configuration, and the digests that it gives of
// the uncompressed layers.
func (a *dockerArchive) readConfig() (config []byte, diffIDs []tasuki.Digest, err error) {
	name := a.entry.Config
	config, err = readFile(a.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, failed(tasuki.ErrInvalid, "the archive's manifest.json names the configuration %q, which is not in the archive", printable(name))
	}
	if err != nil {
		return nil, nil, err
	}
	digest := strings.TrimSuffix(path.Base(name), ".json")
	if hexDigest.MatchString(digest) && tasuki.DigestOf(config).String() != "sha256:"+digest {
		return nil, nil, broken("the image's configuration does not have the digest that it is named by, sha256:%s…: it is damaged, or was changed", digest[:12])
	}
	var document struct {
		RootFS struct {
			DiffIDs []tasuki.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &document); err != nil {
		return nil, nil, failed(tasuki.ErrInvalid, "the image's configuration is not JSON of its form: %s", printable(err.Error()))
	}
	if len(document.RootFS.DiffIDs) != len(a.entry.Layers) {
		return nil, nil, failed(tasuki.ErrInvalid, "the image's configuration tells of %d layers, and the archive has %d", len(document.RootFS.DiffIDs), len(a.entry.Layers))
	}
	return config, document.RootFS.DiffIDs, nil
}

// examine reads a layer once, compares its uncompressed digest, and returns what
// it will be in the registry.
func (a *dockerArchive) examine(ctx context.Context, name string, diffID tasuki.Digest) (archiveLayer, error) {
	r, _, err := a.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return archiveLayer{}, failed(tasuki.ErrInvalid, "the archive's manifest.json names the layer %q, which is not in the archive", printable(name))
	}
	if err != nil {
		return archiveLayer{}, err
	}
	defer r.Close()
	var begin [4]byte
	n, err := io.ReadFull(r, begin[:])
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return archiveLayer{}, err
	}
	from := interruptible{ctx, io.MultiReader(bytes.NewReader(begin[:n]), r)}
	plain, compressed := sha256.New(), &counter{hash: sha256.New()}
	layer := archiveLayer{name: name}
	switch {
	case bytes.HasPrefix(begin[:], []byte("\x1f\x8b")):
		err = inflate(plain, io.TeeReader(from, compressed))
	case bytes.HasPrefix(begin[:], []byte("\x28\xb5\x2f\xfd")):
		return archiveLayer{}, failed(tasuki.ErrInvalid, "the layer %s is compressed with zstd, which AWS does not say that Lambda takes: build with gzip", printable(name))
	default:
		layer.plain = true
		err = deflate(compressed, io.TeeReader(from, plain))
	}
	if err != nil {
		return archiveLayer{}, err
	}
	if got := digestOf(plain); got != diffID {
		return archiveLayer{}, broken("the layer %s has the digest %s, and the image's configuration says %s: it is damaged, or was changed", printable(name), got.Short(), diffID.Short())
	}
	layer.descriptor = tasuki.Descriptor{MediaType: dockerLayerGzip, Digest: digestOf(compressed.hash), Size: compressed.n}
	return layer, nil
}

// counter hashes and counts what is written to it.
type counter struct {
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Write(p)
}

func digestOf(h hash.Hash) tasuki.Digest {
	digest, err := tasuki.ParseDigest("sha256:" + hex.EncodeToString(h.Sum(nil)))
	if err != nil {
		panic(err) // a SHA-256 in hexadecimal is a digest
	}
	return digest
}

// inflate writes to w what r has compressed, and reads r to its end.
func inflate(w io.Writer, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err == nil {
		_, err = io.Copy(w, z)
	}
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return broken("a layer is not what gzip writes: %v", err)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return err
}

// deflate writes r to w, compressed.
func deflate(w io.Writer, r io.Reader) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	return z.Close()
}

func (a *dockerArchive) manifest(context.Context, tasuki.Descriptor) (tasuki.Manifest, error) {
	panic("unreachable: a docker archive's root is no index")
}

func (a *dockerArchive) blob(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	manifest, err := a.root(ctx)
	if err != nil {
		return nil, err
	}
	config, _, err := manifest.ConfigAndLayers()
	if err != nil {
		return nil, err
	}
	if d.Digest == config.Digest {
		return io.NopCloser(bytes.NewReader(a.config)), nil
	}
	layer, found := a.layers[d.Digest]
	if !found {
		return nil, failed(tasuki.ErrMissing, "the archive lacks the blob %s", d.Digest.Short())
	}
	r, _, err := a.open(layer.name)
	if err != nil || !layer.plain {
		return r, err
	}
	compressed, w := io.Pipe()
	go func() {
		defer r.Close()
		w.CloseWithError(deflate(w, r)) // ends when the reader is closed, too
	}()
	return compressed, nil
}
