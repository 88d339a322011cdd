package image

import (
	"context"
	"errors"

	"github.com/tasuki-dev/tasuki"
)

// Destination is where an image is copied to: a tag of a repository in a registry, a
// layout, or an archive. It is to be closed.
type Destination struct {
	name string // in errors
	to   receiver
}

// receiver is a place that takes images. Its errors are of use to classify.
type receiver interface {
	// receive takes a manifest, and all that it lists before it.
	receive(ctx context.Context, source *Source, manifest tasuki.Manifest, o PushOptions) (Copied, error)
	// explain says what to do about an error of the receiver's own.
	explain(err error) error
	close()
}

// destinations is how a reference to a destination begins, and what follows.
const destinations = "docker://HOST/NAME:TAG, oci:DIR:TAG, oci-archive:FILE:TAG or docker-archive:FILE:NAME:TAG"

// OpenDestination prepares to copy to what reference names, in one of the forms in the
// package's comment. A registry is ECR's with o.Registry, and any other one with what
// docker login has stored for it, or o has. It sends and writes nothing. An error is a
// [*tasuki.Error] of [tasuki.SideImage].
func OpenDestination(reference string, o OpenOptions) (*Destination, error) {
	d, err := openDestination(reference, o)
	if err != nil {
		return nil, newError("copy to", tasuki.SideImage, told(reference), err)
	}
	return d, nil
}

func openDestination(reference string, o OpenOptions) (*Destination, error) {
	transport, rest, err := splitTransport(reference)
	if err != nil || transport == "docker-daemon" || transport == "s3" {
		return nil, misnamed("it does not say where to copy to: give %s", destinations)
	}
	if transport == "docker" {
		to, err := openRegistry(rest, o)
		if err != nil {
			return nil, err
		}
		return &Destination{rest, to}, nil
	}
	file, pick, err := splitPath(rest)
	if err != nil {
		return nil, err
	}
	if !pick.digest.IsZero() {
		return nil, misnamed("a copy has the digest of what is copied: give a tag, or nothing")
	}
	var to receiver
	switch transport {
	case "oci":
		to, err = newToLayout(file, pick.tag)
	case "oci-archive":
		to, err = newToArchive(file, pick.tag)
	default:
		to, err = newToDockerArchive(file, pick.tag)
	}
	if err != nil {
		return nil, err
	}
	return &Destination{reference, to}, nil
}

// String returns the destination as it was given; a registry's without docker://.
func (d *Destination) String() string { return d.name }

// Close closes idle connections.
func (d *Destination) Close() error {
	d.to.close()
	return nil
}

// Push copies image, which source's Inspect returned, as [Registry.Push] does.
func (d *Destination) Push(ctx context.Context, source *Source, image tasuki.Image, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func() (tasuki.Manifest, error) {
		manifest, err := newManifest(image.Manifest.Bytes, image.Manifest.MediaType, image.Manifest.Digest)
		if err == nil && manifest.IsIndex() {
			err = failed(tasuki.ErrInvalid, "the manifest %s is an index, and Lambda runs images", manifest.Digest.Short())
		}
		return manifest, err
	})
}

// CopyImage copies the image that source names; of an index, the one for arch, and where
// arch is "", the only one for linux. Into a registry it does as [Registry.Push].
//
// A layout is merged with what is in it already: the tag's former image stays, without
// its tag. An archive takes the place of a file by its name. Either is whole or not there,
// whenever the copy ends, and a copy that is made again goes on with the blobs that a
// layout has. What is there already is read, and what does not have its digest replaced.
func (d *Destination) CopyImage(ctx context.Context, source *Source, arch tasuki.Architecture, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func() (tasuki.Manifest, error) {
		root, err := source.at.root(ctx)
		if err != nil {
			return tasuki.Manifest{}, err
		}
		return source.child(ctx, root, arch)
	})
}

// Copy copies what source names, an image or an index with all that it lists, as
// [Registry.Copy] and [Destination.CopyImage] do.
func (d *Destination) Copy(ctx context.Context, source *Source, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func() (tasuki.Manifest, error) { return source.at.root(ctx) })
}

// deliver copies what choose finds in the source, and says on which side it failed.
func (d *Destination) deliver(ctx context.Context, source *Source, o PushOptions, choose func() (tasuki.Manifest, error)) (Copied, error) {
	before := source.requests()
	manifest, err := choose()
	if err != nil {
		return Copied{}, d.blame(ctx, source, &sourceFault{err})
	}
	copied, err := d.to.receive(ctx, source, manifest, o)
	copied.Requests += source.requests() - before
	if err != nil {
		return copied, d.blame(ctx, source, err)
	}
	return copied, nil
}

// requests returns how many requests a source has sent to its registry until now.
func (s *Source) requests() int64 {
	if at, ok := s.at.(*remoteImage); ok {
		return at.requests.n.Load()
	}
	return 0
}

// blame says on which side err happened.
func (d *Destination) blame(ctx context.Context, source *Source, err error) error {
	var fromSource *sourceFault
	if errors.As(err, &fromSource) && ctx.Err() == nil {
		return sourceError("read", source.name, fromSource.error)
	}
	return d.failed(d.to.explain(err))
}

func (d *Destination) failed(err error) error {
	op := "push"
	if _, isRegistry := d.to.(*toRegistry); !isRegistry {
		op = "write"
	}
	return newError(op, tasuki.SideImage, d.name, err)
}
