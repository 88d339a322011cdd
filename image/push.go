package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/tasuki-dev/tasuki"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// parallelBlobs is how many blobs are read or sent at the same time. More is
// slower: one connection to ECR uses a good part of a build machine's network.
const parallelBlobs = 4

// PushOptions changes how an image is pushed. The zero PushOptions is usual.
type PushOptions struct {
	// AssumeAbsent saves the requests that ask what is there already. It is for
	// small images into new repositories; what is there is sent again, to no harm.
	AssumeAbsent bool
	// Progress is told of each blob, one call at a time; nil for nobody. It must not block.
	Progress func(Progress)
}

// Progress is how far a blob is. Done goes back where an attempt failed and the
// blob is sent again.
type Progress struct {
	Digest  tasuki.Digest
	Done    int64 // bytes; equal to Total when the registry has the blob
	Total   int64 // bytes
	Present bool  // it was there already, and is not sent
}

// Push copies image, which source's Inspect returned, into the repository of the
// given name on r under tag, its manifest's bytes verbatim.
//
// It converges: what is there is not sent again, and an image that has the tag
// already costs one request. A registry that refuses the manifest, because it has
// not got a blob that it said it had, is sent all of them. Blobs go four at a time,
// largest first; each request is tried five times, waiting as the registry asks.
//
// An error is a [*tasuki.Error]: of [tasuki.SideSource] where the source could not
// be read, of [tasuki.SideImage] otherwise, and of kind ErrConflict when the tag is
// immutable and names another image, ErrMissing when there is no such repository.
func (r Registry) Push(ctx context.Context, source *Source, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag, o PushOptions) error {
	err := r.push(ctx, source, image, repository, tag, o)
	var fromSource *sourceFault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fromSource) && ctx.Err() == nil:
		return sourceError("read", source.name, fromSource.error)
	}
	return newError("push", tasuki.SideImage, tasuki.ImageURI{Repository: repository, Ref: tasuki.ByTag(tag)}.String(), explain(err, repository, tag))
}

// sourceFault is an error that the source made while the destination was written.
type sourceFault struct{ error }

func (f *sourceFault) Unwrap() error { return f.error }

func (r Registry) push(ctx context.Context, source *Source, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag, o PushOptions) error {
	if repository.IsZero() || tag.IsZero() {
		return failed(tasuki.ErrInvalid, "a push needs a repository and a tag")
	}
	manifest, err := newManifest(image.Manifest.Bytes, image.Manifest.MediaType, image.Manifest.Digest)
	if err != nil {
		return &sourceFault{err}
	}
	blobs, err := blobsOf(manifest)
	if err != nil {
		return &sourceFault{err}
	}
	transport := r.Transport
	if transport == nil {
		own := newTransport()
		defer own.CloseIdleConnections()
		transport = own
	}
	to, err := r.repository(repository, transport)
	if err != nil {
		return err
	}
	p := &pusher{source: source, to: to, progress: o.Progress}
	if !o.AssumeAbsent {
		there, err := p.tagged(ctx, tag)
		if err != nil {
			return err
		}
		if there == manifest.Digest {
			return nil
		}
	}
	if err := p.copyBlobs(ctx, blobs, !o.AssumeAbsent); err != nil {
		return err
	}
	err = p.tag(ctx, manifest, tag)
	if lacksBlob(err) && !o.AssumeAbsent {
		if err := p.copyBlobs(ctx, blobs, false); err != nil {
			return err
		}
		err = p.tag(ctx, manifest, tag)
	}
	// The tag may be immutable and ours: from a push at the same time, or one of
	// our own whose answer was lost.
	if err != nil && classify(err).kind == tasuki.ErrConflict {
		if there, e := p.tagged(ctx, tag); e == nil && there == manifest.Digest {
			return nil
		}
	}
	return err
}

// blobsOf returns the blobs of an image, each once, largest first, so that the
// last to end is not the one that takes longest.
func blobsOf(manifest tasuki.Manifest) ([]tasuki.Descriptor, error) {
	if manifest.IsIndex() {
		return nil, failed(tasuki.ErrInvalid, "the manifest %s is an index, and Lambda runs images", manifest.Digest.Short())
	}
	config, layers, err := parts(manifest)
	if err != nil {
		return nil, err
	}
	blobs := append([]tasuki.Descriptor{config}, layers...)
	slices.SortStableFunc(blobs, func(a, b tasuki.Descriptor) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), strings.Compare(a.Digest.String(), b.Digest.String()))
	})
	return slices.CompactFunc(blobs, func(a, b tasuki.Descriptor) bool { return a.Digest == b.Digest }), nil
}

// pusher pushes one image.
type pusher struct {
	source   *Source
	to       *remote.Repository
	mu       sync.Mutex // held while progress is told
	progress func(Progress)
}

// tagged returns the digest that tag has, or the zero Digest.
func (p *pusher) tagged(ctx context.Context, tag tasuki.Tag) (digest tasuki.Digest, err error) {
	err = retry(ctx, func() error {
		d, err := p.to.Manifests().Resolve(ctx, tag.String())
		if errors.Is(err, errdef.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		digest, err = tasuki.ParseDigest(d.Digest.String())
		return err
	})
	return digest, err
}

// copyBlobs copies the blobs that the registry lacks; all of them where ask is false.
func (p *pusher) copyBlobs(ctx context.Context, blobs []tasuki.Descriptor, ask bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelBlobs)
	for _, blob := range blobs {
		group.Go(func() error {
			return retry(ctx, func() error { return p.copyBlob(ctx, blob, ask) })
		})
	}
	return group.Wait()
}

func (p *pusher) copyBlob(ctx context.Context, blob tasuki.Descriptor, ask bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ask {
		there, err := p.to.Blobs().Exists(ctx, toOCI(blob))
		if err != nil {
			return err
		}
		if there {
			p.tell(Progress{blob.Digest, blob.Size, blob.Size, true})
			return nil
		}
	}
	from, err := p.source.blob(ctx, blob)
	if err != nil {
		return &sourceFault{err}
	}
	done := int64(0)
	b := &body{from: from, count: func(n int) {
		done += int64(n)
		if done < blob.Size { // the last byte counts when the registry has it
			p.tell(Progress{blob.Digest, done, blob.Size, false})
		}
	}}
	defer b.Close()
	p.tell(Progress{blob.Digest, 0, blob.Size, false})
	err = p.to.Blobs().Push(ctx, toOCI(blob), b)
	if fault := b.failure(); err != nil && fault != nil {
		return &sourceFault{fault}
	}
	if err != nil {
		return err
	}
	p.tell(Progress{blob.Digest, blob.Size, blob.Size, false})
	return nil
}

func (p *pusher) tell(progress Progress) {
	if p.progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress(progress)
}

// tag puts the manifest under tag.
func (p *pusher) tag(ctx context.Context, manifest tasuki.Manifest, tag tasuki.Tag) error {
	d := toOCI(tasuki.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: int64(len(manifest.Bytes))})
	return retry(ctx, func() error {
		return p.to.Manifests().PushReference(ctx, d, bytes.NewReader(manifest.Bytes), tag.String())
	})
}

// lacksBlob reports whether a registry refused a manifest because of a blob that it
// has not got: an existence check that was stale, or a blob that was expired since.
func lacksBlob(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) &&
		(answer.code == errcode.ErrorCodeManifestBlobUnknown || answer.code == errcode.ErrorCodeBlobUnknown)
}

// lacksRepository reports whether a registry answered that there is no repository.
func lacksRepository(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) && (answer.code == errcode.ErrorCodeNameUnknown || answer.code == "")
}

// explain says what to do about the destination's refusal.
func explain(err error, repository tasuki.Repository, tag tasuki.Tag) error {
	f := *classify(err)
	switch {
	case f.kind == tasuki.ErrConflict:
		f.hint = "The tag " + tag.String() + " names another image, and is immutable: release under a tag of its own, such as the commit hash."
	case f.kind == tasuki.ErrMissing && lacksRepository(err):
		f.text = "the repository " + repository.Name() + " does not exist in " + repository.Host()
		f.hint = "Deploy the infra side first, which creates the repository, or check the repository's name."
	case f.kind == tasuki.ErrDenied:
		f.hint = "Allow the caller ecr:GetAuthorizationToken, and on the repository ecr:BatchGetImage, ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage."
	}
	return &f
}
