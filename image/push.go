package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync/atomic"

	"github.com/tasuki-dev/tasuki"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// mostStreams is how many connections bring large blobs at the same time, shared out
	// by size: eight equal layers have one each, and a single one has all eight.
	mostStreams = 8
	// mostAtOnce is how many small blobs are on their way at the same time: they wait for
	// answers, and not for bytes.
	mostAtOnce = 16
	// smallBlob is the size in bytes up to which a blob is small.
	smallBlob = 1 << 20
)

// PushOptions changes how an image is pushed. The zero PushOptions is usual.
type PushOptions struct {
	// AssumeAbsent saves the requests that ask what is there already. It is for
	// small images into new repositories; what is there is sent again, to no harm.
	AssumeAbsent bool
	// Progress is told of each blob, one call at a time; nil for nobody. It must not block.
	Progress func(Progress)
}

// Progress is how far a blob is. Done goes back where the registry lost what it was
// sent, and the blob is sent again.
type Progress struct {
	Digest  tasuki.Digest
	Done    int64 // bytes; equal to Total when the registry has the blob
	Total   int64 // bytes
	Present bool  // it was there already, and is not sent
	Mounted bool  // the registry took it from another repository of its own, and it is not sent
}

// Copied is what a copy took.
type Copied struct {
	Digest   tasuki.Digest // of the image or the index
	Sent     int64         // bytes of blobs that were sent, those included that were sent again
	Mounted  int64         // bytes of blobs that the registry took from another repository of its own
	Present  int64         // bytes of blobs that were there already
	Requests int64         // to both registries, for tokens and by redirection too
}

// Push copies image, which source's Inspect returned, into the repository of the
// given name on r under tag, its manifest's bytes verbatim. The zero tag leaves it
// untagged, known by its digest.
//
// It converges: what is there is not sent again, and an image that has the tag
// already costs one request. A blob that another repository of the same registry has,
// the source's, is mounted where the registry does that. A registry that refuses the
// manifest, because it has not got a blob that it said it had, is sent all of them.
//
// Blobs go at the same time, largest first. A large one is read in several ranges at
// once where the source's registry serves them, at most 4 MiB each. Each blob is tried
// five times since it last got further, waiting as the registry asks, and goes on at
// the byte reached, on both sides.
//
// An error is a [*tasuki.Error]: of [tasuki.SideSource] where the source could not
// be read, of [tasuki.SideImage] otherwise, and of kind ErrConflict when the tag is
// immutable and names another image, ErrMissing when there is no such repository.
func (r Registry) Push(ctx context.Context, source *Source, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag, o PushOptions) error {
	to, err := r.destination(repository, tag)
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = to.Push(ctx, source, image, o)
	return err
}

// sourceFault is an error that the source made while the destination was written.
type sourceFault struct{ error }

func (f *sourceFault) Unwrap() error { return f.error }

// image pushes an image under tag; without a tag, under its digest alone.
func (p *pusher) image(ctx context.Context, manifest tasuki.Manifest, tag string) error {
	blobs, err := blobsOf(manifest)
	if err != nil {
		return &sourceFault{err}
	}
	reference := cmp.Or(tag, manifest.Digest.String())
	if p.ask {
		there, err := p.digestOf(ctx, reference)
		if err != nil {
			return err
		}
		if there == manifest.Digest {
			return nil
		}
	}
	if err := p.copyBlobs(ctx, blobs, false); err != nil {
		return err
	}
	err = p.put(ctx, manifest, reference)
	if lacksBlob(err) && !p.sendsAll() {
		if err := p.copyBlobs(ctx, blobs, true); err != nil {
			return err
		}
		err = p.put(ctx, manifest, reference)
	}
	return p.unlessThere(ctx, err, manifest, reference)
}

// unlessThere returns err, which a manifest's push ended in, unless the manifest is
// there all the same: the tag may be immutable and ours, from a push at the same time,
// or one of our own whose answer was lost.
func (p *pusher) unlessThere(ctx context.Context, err error, manifest tasuki.Manifest, reference string) error {
	if err != nil && classify(err).kind == tasuki.ErrConflict {
		if there, e := p.digestOf(ctx, reference); e == nil && there == manifest.Digest {
			return nil
		}
	}
	return err
}

// blobsOf returns the blobs of an image, each once, largest first.
func blobsOf(manifest tasuki.Manifest) ([]tasuki.Descriptor, error) {
	if manifest.IsIndex() {
		return nil, failed(tasuki.ErrInvalid, "the manifest %s is an index, and Lambda runs images", manifest.Digest.Short())
	}
	config, layers, err := parts(manifest)
	if err != nil {
		return nil, err
	}
	return eachOnce(append([]tasuki.Descriptor{config}, layers...)), nil
}

// pusher pushes from one source to one repository.
type pusher struct {
	source *Source
	to     *connection
	ask    bool   // what is there already
	from   string // repository of the same registry that the source is in; "" where it is elsewhere

	tally

	doubts atomic.Bool // the destination does not say which digest it has of what it was sent
}

// newPusher finds out whether blobs can be mounted.
func newPusher(source *Source, to *connection, o PushOptions) *pusher {
	p := &pusher{source: source, to: to, ask: !o.AssumeAbsent, tally: tally{progress: o.Progress}}
	if at, ok := source.at.(*remoteImage); ok && at.sameRegistry(to) {
		p.from = at.Reference.Repository
	}
	return p
}

// within reports whether source and destination are one repository.
func (p *pusher) within() bool { return p.from == p.to.Reference.Repository }

// sendsAll reports whether each blob is sent, whatever the registry may have.
func (p *pusher) sendsAll() bool { return !p.ask && p.from == "" }

// digestOf returns the digest of what a tag or a digest names, or the zero Digest.
func (p *pusher) digestOf(ctx context.Context, reference string) (digest tasuki.Digest, err error) {
	err = retry(ctx, func() (err error) {
		digest, err = p.to.resolve(ctx, reference)
		return err
	})
	return digest, err
}

// copyBlobs copies the blobs that the registry lacks; all of them, by sending them,
// where force is set.
func (p *pusher) copyBlobs(ctx context.Context, blobs []tasuki.Descriptor, force bool) error {
	return atOnce(ctx, p.source, blobs, func(ctx context.Context, blob tasuki.Descriptor, streams int) error {
		return p.copyBlob(ctx, blob, streams, force)
	})
}

// atOnce calls do for each blob, for as many of them at the same time as their sizes
// allow, with the number of streams to read each in.
func atOnce(ctx context.Context, source *Source, blobs []tasuki.Descriptor, do func(ctx context.Context, blob tasuki.Descriptor, streams int) error) error {
	var total int64
	for _, blob := range blobs {
		total += blob.Size
	}
	group, ctx := errgroup.WithContext(ctx)
	room := semaphore.NewWeighted(mostAtOnce)
	for _, blob := range blobs {
		streams := 1
		if blob.Size >= source.portions().worth {
			// Sizes that a manifest makes up may add up to anything.
			streams = min(max(1, int(float64(mostStreams)*float64(blob.Size)/float64(total))), mostStreams)
		}
		weight := int64(1)
		if blob.Size > smallBlob {
			weight = int64(streams) * mostAtOnce / mostStreams
		}
		if err := room.Acquire(ctx, weight); err != nil {
			group.Go(func() error { return err }) // another one's error came first, or the end of ctx
			break
		}
		group.Go(func() error {
			defer room.Release(weight)
			return do(ctx, blob, streams)
		})
	}
	return group.Wait()
}

func (p *pusher) copyBlob(ctx context.Context, blob tasuki.Descriptor, streams int, force bool) error {
	if p.within() && !force {
		p.there(blob) // or the manifest is refused
		return nil
	}
	if p.ask && !force {
		var there bool
		err := retry(ctx, func() (err error) {
			there, err = p.to.has(ctx, blob)
			return err
		})
		if err != nil {
			return err
		}
		if there {
			p.there(blob)
			return nil
		}
	}
	u := &upload{p: p, blob: blob, streams: streams, check: p.check(blob)}
	if !force {
		u.from = p.from
	}
	if err := u.do(ctx); err != nil {
		return err
	}
	if u.mounted {
		p.mounted.Add(blob.Size)
	}
	p.tell(Progress{Digest: blob.Digest, Done: blob.Size, Total: blob.Size, Mounted: u.mounted})
	return nil
}

// check returns who verifies a blob: the destination alone where the bytes come from a
// registry, and else we as well.
func (p *pusher) check(blob tasuki.Descriptor) *check {
	if _, isRegistry := p.source.at.(*remoteImage); isRegistry && !p.doubts.Load() {
		return &check{want: blob}
	}
	return newCheck(blob)
}

// put puts the manifest under a tag or its own digest.
func (p *pusher) put(ctx context.Context, manifest tasuki.Manifest, reference string) error {
	d := toOCI(tasuki.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: int64(len(manifest.Bytes))})
	return retry(ctx, func() error {
		return p.to.Manifests().PushReference(ctx, d, bytes.NewReader(manifest.Bytes), reference)
	})
}

// lacksBlob reports whether a registry refused a manifest because of a blob that it
// has not got: an existence check that was stale, or a blob that was expired since.
func lacksBlob(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) &&
		(answer.code == errcode.ErrorCodeManifestBlobUnknown || answer.code == errcode.ErrorCodeBlobUnknown)
}
