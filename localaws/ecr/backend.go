package ecr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// backend lets ociserver read and write a Service's state. Its Deleter is the
// embedded one, which refuses everything; the gate does so before.
type backend struct {
	*ociregistry.Funcs
	service *Service
}

var _ ociregistry.Interface = (*backend)(nil)

// registryError translates an error of the API into the registry's: ECR's text under
// the distribution specification's code.
func registryError(err error) error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case codeRepositoryNotFound:
		return ociregistry.NewError(e.Message, ociregistry.ErrNameUnknown.Code(), nil)
	case codeImageTagExists:
		// The specification has no such code, so ociregistry knows no status for it.
		return ociregistry.NewHTTPError(ociregistry.NewError(e.Message, "TAG_INVALID", nil), http.StatusBadRequest, nil, nil)
	case codeLayersNotFound:
		return ociregistry.NewError(e.Message, ociregistry.ErrBlobUnknown.Code(), nil)
	case codeReferencedNotFound:
		return ociregistry.NewError(e.Message, ociregistry.ErrManifestBlobUnknown.Code(), nil)
	}
	return manifestInvalid(e.Message)
}

// within runs f in a transaction that reads, with the repository.
func (b *backend) within(name string, f func(*state.Tx, repository) error) error {
	return registryError(b.service.store.View(func(tx *state.Tx) error {
		r, err := b.service.repository(tx, nil, &name)
		if err != nil {
			return err
		}
		return f(tx, r)
	}))
}

// octetStream is the media type of blobs: they have none of their own.
const octetStream = "application/octet-stream"

// ResolveBlob implements [ociregistry.Reader].
func (b *backend) ResolveBlob(_ context.Context, name string, digest ociregistry.Digest) (desc ociregistry.Descriptor, err error) {
	err = b.within(name, func(tx *state.Tx, r repository) error {
		l, found, err := layers.Get(tx, r.Name+"@"+string(digest))
		if err == nil && !found {
			err = ociregistry.ErrBlobUnknown
		}
		desc = ociregistry.Descriptor{MediaType: octetStream, Digest: digest, Size: l.Size}
		return err
	})
	return desc, err
}

// GetBlob implements [ociregistry.Reader].
func (b *backend) GetBlob(ctx context.Context, name string, digest ociregistry.Digest) (ociregistry.BlobReader, error) {
	desc, err := b.ResolveBlob(ctx, name, digest)
	if err != nil {
		return nil, err
	}
	file, err := b.open(digest)
	if err != nil {
		return nil, err
	}
	return &reader{Reader: file, Closer: file, desc: desc}, nil
}

// GetBlobRange implements [ociregistry.Reader].
func (b *backend) GetBlobRange(ctx context.Context, name string, digest ociregistry.Digest, start, end int64) (ociregistry.BlobReader, error) {
	desc, err := b.ResolveBlob(ctx, name, digest)
	if err != nil {
		return nil, err
	}
	if start >= desc.Size {
		return nil, ociregistry.ErrRangeInvalid
	}
	if end < 0 || end > desc.Size {
		end = desc.Size
	}
	file, err := b.open(digest)
	if err != nil {
		return nil, err
	}
	return &reader{Reader: io.NewSectionReader(file, start, end-start), Closer: file, desc: desc}, nil
}

// open opens a blob that a repository sees.
func (b *backend) open(digest ociregistry.Digest) (*os.File, error) {
	file, err := b.service.blobs.Blob(string(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ociregistry.ErrBlobUnknown
	}
	return file, err
}

// reader reads a blob or a manifest.
type reader struct {
	io.Reader
	io.Closer
	desc ociregistry.Descriptor
}

// Descriptor implements [ociregistry.BlobReader].
func (r *reader) Descriptor() ociregistry.Descriptor { return r.desc }

// image returns the image that an identifier names.
func (b *backend) image(name string, id types.ImageIdentifier) (img image, err error) {
	err = b.within(name, func(tx *state.Tx, r repository) error {
		var failure *types.ImageFailure
		if img, failure, err = lookup(tx, r.Name, id); err != nil {
			return err
		}
		if failure != nil {
			return ociregistry.NewError(*failure.FailureReason, ociregistry.ErrManifestUnknown.Code(), nil)
		}
		return nil
	})
	return img, err
}

func (b *backend) pull(name string, id types.ImageIdentifier) (ociregistry.BlobReader, error) {
	img, err := b.image(name, id)
	if err != nil {
		return nil, err
	}
	if err := b.service.recordPull(name, img); err != nil {
		return nil, err
	}
	return &reader{Reader: bytes.NewReader(img.Manifest), Closer: io.NopCloser(nil), desc: img.descriptor()}, nil
}

// descriptor describes the manifest itself.
func (i image) descriptor() ociregistry.Descriptor {
	return ociregistry.Descriptor{MediaType: i.MediaType, Digest: ociregistry.Digest(i.Digest), Size: int64(len(i.Manifest))}
}

// GetManifest implements [ociregistry.Reader].
func (b *backend) GetManifest(_ context.Context, name string, digest ociregistry.Digest) (ociregistry.BlobReader, error) {
	return b.pull(name, types.ImageIdentifier{ImageDigest: aws.String(string(digest))})
}

// GetTag implements [ociregistry.Reader].
func (b *backend) GetTag(_ context.Context, name, tag string) (ociregistry.BlobReader, error) {
	return b.pull(name, types.ImageIdentifier{ImageTag: aws.String(tag)})
}

// ResolveManifest implements [ociregistry.Reader].
func (b *backend) ResolveManifest(_ context.Context, name string, digest ociregistry.Digest) (ociregistry.Descriptor, error) {
	img, err := b.image(name, types.ImageIdentifier{ImageDigest: aws.String(string(digest))})
	return img.descriptor(), err
}

// ResolveTag implements [ociregistry.Reader].
func (b *backend) ResolveTag(_ context.Context, name, tag string) (ociregistry.Descriptor, error) {
	img, err := b.image(name, types.ImageIdentifier{ImageTag: aws.String(tag)})
	return img.descriptor(), err
}

// PushManifest implements [ociregistry.Writer].
func (b *backend) PushManifest(_ context.Context, name, tag string, contents []byte, mediaType string) (ociregistry.Descriptor, error) {
	if mediaType == octetStream { // ociserver's word for a request that does not say
		mediaType = ""
	}
	img, err := parseManifest(contents, mediaType)
	if err != nil {
		return ociregistry.Descriptor{}, registryError(err)
	}
	err = b.service.store.Update(func(tx *state.Tx) error {
		r, err := b.service.repository(tx, nil, &name)
		if err != nil {
			return err
		}
		_, err = b.service.push(tx, r, img, tag)
		return err
	})
	return img.descriptor(), registryError(err)
}

// mountable reports whether a blob can be mounted from a repository: it is there, and
// a manifest names it (containers-roadmap #2860).
func (b *backend) mountable(from, digest string) (mountable bool, err error) {
	err = b.service.store.View(func(tx *state.Tx) error {
		_, found, err := layers.Get(tx, from+"@"+digest)
		if err != nil || !found {
			return err
		}
		_, mountable, err = reference(tx, from, digest)
		return err
	})
	return mountable, err
}

// MountBlob implements [ociregistry.Writer]. The gate lets nothing through that
// cannot be mounted.
func (b *backend) MountBlob(_ context.Context, from, to string, digest ociregistry.Digest) (desc ociregistry.Descriptor, err error) {
	err = b.service.store.Update(func(tx *state.Tx) error {
		l, found, err := layers.Get(tx, from+"@"+string(digest))
		if err != nil {
			return err
		}
		if !found {
			return ociregistry.ErrBlobUnknown
		}
		desc = ociregistry.Descriptor{MediaType: octetStream, Digest: digest, Size: l.Size}
		return b.service.addLayer(tx, to, string(digest), l.Size)
	})
	return desc, registryError(err)
}

// Repositories implements [ociregistry.Lister].
func (b *backend) Repositories(_ context.Context, startAfter string) iter.Seq2[string, error] {
	var names []string
	err := b.service.store.View(func(tx *state.Tx) (err error) {
		for name := range repositories.All(tx, "", &err) {
			if name > startAfter {
				names = append(names, name)
			}
		}
		return err
	})
	return sequence(names, err)
}

// Tags implements [ociregistry.Lister].
func (b *backend) Tags(_ context.Context, name, startAfter string) iter.Seq2[string, error] {
	var list []string
	err := b.within(name, func(tx *state.Tx, r repository) (err error) {
		for key := range tags.All(tx, r.Name+":", &err) {
			if tag := key[len(r.Name)+1:]; tag > startAfter {
				list = append(list, tag)
			}
		}
		return err
	})
	return sequence(list, err)
}

// Referrers implements [ociregistry.Lister].
func (b *backend) Referrers(_ context.Context, name string, digest ociregistry.Digest, artifactType string) iter.Seq2[ociregistry.Descriptor, error] {
	var list []ociregistry.Descriptor
	err := b.within(name, func(tx *state.Tx, r repository) (err error) {
		for _, img := range images.All(tx, r.Name+"@", &err) {
			if img.Subject != string(digest) || artifactType != "" && img.ArtifactType != artifactType {
				continue
			}
			var doc document
			if err := json.Unmarshal(img.Manifest, &doc); err != nil {
				return err
			}
			desc := img.descriptor()
			desc.ArtifactType, desc.Annotations = img.ArtifactType, doc.Annotations
			list = append(list, desc)
		}
		return err
	})
	return sequence(list, err)
}

// sequence yields what was read, or the error that reading ended in. Nothing is
// yielded within a transaction, because a slow client must not hold one open.
func sequence[T any](list []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for _, item := range list {
			if !yield(item, nil) {
				return
			}
		}
	}
}
