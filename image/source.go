package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"

	"github.com/tasuki-dev/tasuki"
)

// userAgent names this program to registries.
const userAgent = "tasuki"

// OpenOptions changes how a source is opened. The zero OpenOptions is usual.
type OpenOptions struct {
	Transport http.RoundTripper // to registries and to S3; nil for one like http.DefaultTransport

	// Username and Password are what the source's registry wants; "" for what docker
	// login has stored for it, or for nobody where NoDockerLogin is set.
	Username, Password string
	NoDockerLogin      bool // docker login's store is not looked at: nobody has logged in
	// LateLogin gives credentials for a registry that serves everybody, up to a limit: it
	// is called once at most, when the registry refuses or throttles who has none, and
	// where it fails, or its credentials do, the registry's answer counts. Nil for nobody.
	LateLogin func(ctx context.Context) (username, password string, err error)
	// Registry is where a docker:// source is reached, and with what, in place of the
	// host that the reference names: ECR, whose name is not always its address. Nil
	// for what the reference says.
	Registry *Registry

	S3 S3 // how s3:// sources are reached

	portions portions // the zero portions for the usual ones
}

// Source is an image, or an index of images, somewhere. It may be used by many
// goroutines at a time. It is to be closed.
type Source struct {
	name string
	at   store
}

// store is where a source's content is. Its errors are of use to classify.
type store interface {
	// root returns the manifest or the index that the reference names.
	root(ctx context.Context) (tasuki.Manifest, error)
	// manifest returns a manifest that an index names.
	manifest(ctx context.Context, d tasuki.Descriptor) (tasuki.Manifest, error)
	// blob opens a blob, whose content the caller verifies.
	blob(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error)
	close() error
}

// Open opens the image that reference names, in one of the forms in the package's
// comment. It reads files' directories, and sends nothing to a registry yet.
func Open(ctx context.Context, reference string, o OpenOptions) (*Source, error) {
	at, err := open(ctx, reference, o)
	if err != nil {
		return nil, sourceError("open", told(reference), err)
	}
	return &Source{reference, at}, nil
}

func open(ctx context.Context, reference string, o OpenOptions) (store, error) {
	transport, rest, err := splitTransport(reference)
	if err != nil {
		return nil, err
	}
	switch transport {
	case "docker":
		named, err := parseRemote(rest)
		if err != nil {
			return nil, err
		}
		return openRemote(named, o)
	case "docker-daemon":
		return openDaemon(ctx, rest)
	case "s3":
		return openS3(ctx, rest, o)
	}
	file, pick, err := splitPath(rest)
	if err != nil {
		return nil, err
	}
	if transport == "docker-archive" && !pick.digest.IsZero() {
		return nil, misnamed("an archive of docker save has no digests to choose by: give the image's name and tag")
	}
	at, err := openFile(ctx, transport, file, pick)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failed(tasuki.ErrMissing, "there is no file %s", file)
	}
	return at, err
}

// openFile opens an image in a file or a directory.
func openFile(ctx context.Context, transport, file string, pick selector) (store, error) {
	if transport == "oci" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, failed(tasuki.ErrInvalid, "%s is not a directory: give an archive of a layout as oci-archive:%s", file, file)
		}
		return openLayout(directory(file), pick)
	}
	f, err := openArchive(ctx, file)
	if err != nil {
		return nil, err
	}
	var at store
	if transport == "oci-archive" {
		at, err = openLayout(f, pick)
	} else {
		at, err = openSaved(ctx, f, pick)
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return at, nil
}

// String returns the source as it was given. A reference has no credentials in it.
func (s *Source) String() string { return s.name }

// Close closes what the source has open.
func (s *Source) Close() error { return s.at.close() }

// Inspect returns what Lambda would run of the source on arch: the image, or the
// index's child for arch. It verifies the digests of all that it reads. An error
// is a [*tasuki.Error] of [tasuki.SideSource].
func (s *Source) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	image, err := s.inspect(ctx, arch)
	if err != nil {
		return tasuki.Image{}, sourceError("read", s.name, err)
	}
	return image, nil
}

func (s *Source) inspect(ctx context.Context, arch tasuki.Architecture) (image tasuki.Image, err error) {
	root, err := s.at.root(ctx)
	if err != nil {
		return image, err
	}
	if root.IsIndex() {
		image.Index = root.Digest
	}
	if image.Manifest, err = s.child(ctx, root, arch); err != nil {
		return image, err
	}
	if image.Config, image.Layers, err = parts(image.Manifest); err != nil {
		return image, err
	}
	config, err := s.config(ctx, image.Config)
	if err != nil {
		return image, err
	}
	if err := json.Unmarshal(config, &image.Facts); err != nil {
		return image, failed(tasuki.ErrInvalid, "the image's configuration %s is not JSON of its form: %s", image.Config.Digest.Short(), printable(err.Error()))
	}
	return image, nil
}

// child returns root, or where it is an index, the image for arch that it lists.
func (s *Source) child(ctx context.Context, root tasuki.Manifest, arch tasuki.Architecture) (tasuki.Manifest, error) {
	if !root.IsIndex() {
		return root, nil
	}
	d, err := root.Child(arch)
	if err != nil {
		return tasuki.Manifest{}, err
	}
	child, err := s.at.manifest(ctx, d)
	if err == nil && child.IsIndex() {
		err = failed(tasuki.ErrInvalid, "the index %s holds another index for %s, and not an image", root.Digest.Short(), arch)
	}
	return child, err
}

// config reads an image's configuration.
func (s *Source) config(ctx context.Context, d tasuki.Descriptor) (config []byte, err error) {
	if d.Size > MaxDocument {
		return nil, failed(tasuki.ErrInvalid, "the image's configuration has %d bytes, and %d MiB is the most that is read", d.Size, MaxDocument>>20)
	}
	err = retry(ctx, func() error {
		r, err := s.blob(ctx, d)
		if err != nil {
			return err
		}
		defer r.Close()
		config, err = io.ReadAll(r)
		return err
	})
	return config, err
}

// blob opens a blob that fails before its end where it is not what d says.
func (s *Source) blob(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	r, err := s.at.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	return verified(r, d), nil
}

// blobFrom opens a blob at offset, not verified, in so many streams where it is in a
// place that gives several.
func (s *Source) blobFrom(ctx context.Context, d tasuki.Descriptor, offset int64, streams int) (io.ReadCloser, error) {
	if at, ok := s.at.(ranger); ok {
		return at.blobFrom(ctx, d, offset, streams)
	}
	from, err := s.at.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, from, offset); err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return from, nil
}

// newManifest returns b as a manifest, if it has the digest want and is of one
// type only. The type that came with it may be missing, but not another one than
// it says of itself: a reader that believed the other would see another image
// (CVE-2021-41190).
func newManifest(b []byte, mediaType string, want tasuki.Digest) (tasuki.Manifest, error) {
	none := tasuki.Manifest{}
	if got := tasuki.DigestOf(b); got != want {
		return none, broken("the manifest has the digest %s, and %s was asked for: it is damaged, or was changed", got.Short(), want.Short())
	}
	var says struct {
		MediaType string            `json:"mediaType"`
		Config    json.RawMessage   `json:"config"`
		Layers    []json.RawMessage `json:"layers"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(b, &says); err != nil {
		return none, failed(tasuki.ErrInvalid, "the manifest %s is not JSON of a manifest's form: %s", want.Short(), printable(err.Error()))
	}
	if len(says.Manifests) > 0 && (len(says.Layers) > 0 || len(says.Config) > 0) {
		return none, failed(tasuki.ErrInvalid, "the manifest %s is both an image and an index, so it is refused", want.Short())
	}
	generic := mediaType == "" || mediaType == "application/json" || mediaType == "application/octet-stream" || mediaType == "text/plain"
	switch {
	case generic && says.MediaType != "":
		mediaType = says.MediaType
	case generic && len(says.Manifests) > 0:
		mediaType = tasuki.MediaTypeOCIIndex
	case generic:
		mediaType = tasuki.MediaTypeOCIManifest
	case says.MediaType != "" && says.MediaType != mediaType:
		return none, failed(tasuki.ErrInvalid, "the manifest %s came as %s and says that it is %s, so it is refused", want.Short(), printable(mediaType), printable(says.MediaType))
	}
	return tasuki.Manifest{Digest: want, MediaType: mediaType, Bytes: b}, nil
}

// parts returns what an image's manifest points to.
func parts(m tasuki.Manifest) (config tasuki.Descriptor, layers []tasuki.Descriptor, err error) {
	config, layers, err = m.ConfigAndLayers()
	if err != nil {
		return config, nil, err
	}
	for _, d := range append(layers[:len(layers):len(layers)], config) {
		if d.Size < 0 || d.Digest.IsZero() {
			return config, nil, failed(tasuki.ErrInvalid, "the manifest %s names a blob without a digest, or of %d bytes", m.Digest.Short(), d.Size)
		}
	}
	return config, layers, nil
}
