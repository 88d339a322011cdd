package ecr

import (
	"context"
	"errors"
	"io"
	"time"

	"cuelabs.dev/go/oci/ociregistry"

	"github.com/tasuki-dev/tasuki/localaws/ecr/blobs"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// upload is a request's hold on an upload to a repository.
type upload struct {
	*blobs.Upload
	service *Service
	name    string
}

var _ ociregistry.BlobWriter = (*upload)(nil)

// ChunkSize implements [ociregistry.BlobWriter]: pieces may have any size.
func (u *upload) ChunkSize() int { return 1 }

// Commit implements [ociregistry.BlobWriter]. The blob's file is complete before the
// repository sees it.
func (u *upload) Commit(digest ociregistry.Digest) (ociregistry.Descriptor, error) {
	size, err := u.Upload.Commit(string(digest))
	if errors.Is(err, blobs.ErrDigest) {
		return ociregistry.Descriptor{}, ociregistry.ErrDigestInvalid
	}
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	err = u.service.store.Update(func(tx *state.Tx) error {
		return u.service.addLayer(tx, u.name, string(digest), size)
	})
	return ociregistry.Descriptor{MediaType: octetStream, Digest: digest, Size: size}, registryError(err)
}

// addLayer lets a repository see a blob.
func (s *Service) addLayer(tx *state.Tx, name, digest string, size int64) error {
	r, err := s.repository(tx, nil, &name)
	if err != nil {
		return err
	}
	return layers.Put(tx, r.Name+"@"+digest, layer{Size: size, Pushed: time.Now().UTC()})
}

// PushBlobChunked implements [ociregistry.Writer].
func (b *backend) PushBlobChunked(_ context.Context, name string, _ int) (ociregistry.BlobWriter, error) {
	if err := b.within(name, func(*state.Tx, repository) error { return nil }); err != nil {
		return nil, err
	}
	u, err := b.service.blobs.Create(name)
	if err != nil {
		return nil, err
	}
	return &upload{u, b.service, name}, nil
}

// PushBlobChunkedResume implements [ociregistry.Writer]. Bytes that come without a
// range belong at the end of what has arrived; a range must begin exactly there.
func (b *backend) PushBlobChunkedResume(ctx context.Context, name, id string, offset int64, _ int) (ociregistry.BlobWriter, error) {
	u, err := b.service.blobs.Resume(ctx, name, id)
	if errors.Is(err, blobs.ErrUploadUnknown) {
		return nil, ociregistry.ErrBlobUploadUnknown
	}
	if err != nil {
		return nil, err
	}
	if isRanged(ctx) && offset != u.Size() {
		return nil, errors.Join(ociregistry.ErrRangeInvalid, u.Close())
	}
	return &upload{u, b.service, name}, nil
}

// PushBlob implements [ociregistry.Writer]: a whole blob in one request.
func (b *backend) PushBlob(ctx context.Context, name string, desc ociregistry.Descriptor, content io.Reader) (ociregistry.Descriptor, error) {
	w, err := b.PushBlobChunked(ctx, name, 0)
	if err != nil {
		return ociregistry.Descriptor{}, err
	}
	defer w.Cancel()
	if _, err := io.Copy(w, content); err != nil {
		return ociregistry.Descriptor{}, err
	}
	return w.Commit(desc.Digest)
}
