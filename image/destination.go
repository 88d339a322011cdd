package image

import (
	"context"
	"errors"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Destination is a repository in a registry, and the tag to copy to. It is to be closed.
type Destination struct {
	name       string // in errors
	repository string
	host       string // as a person knows it
	tag        string // "" for none
	denied     string // what to do about a denial
	to         *connection
}

// OpenDestination prepares to copy to what reference names: docker://HOST/NAME:TAG, in
// ECR with o.Registry, and in any other registry with what docker login has stored for
// it. It sends nothing. An error is a [*tasuki.Error] of [tasuki.SideImage].
func OpenDestination(reference string, o OpenOptions) (*Destination, error) {
	d, err := openDestination(reference, o)
	if err != nil {
		return nil, newError("copy to", tasuki.SideImage, redact(printable(reference)), err)
	}
	return d, nil
}

func openDestination(reference string, o OpenOptions) (*Destination, error) {
	rest, found := strings.CutPrefix(reference, "docker://")
	if !found {
		return nil, failed(tasuki.ErrInvalid, "it does not say which registry: give docker://HOST/NAME:TAG")
	}
	named, err := parseRemote(rest)
	if err != nil {
		return nil, err
	}
	if named.Reference == "latest" && !strings.HasSuffix(rest, ":latest") || strings.Contains(named.Reference, ":") {
		return nil, failed(tasuki.ErrInvalid, "a copy needs a tag: give docker://HOST/NAME:TAG")
	}
	to, err := connect(named, o)
	if err != nil {
		return nil, err
	}
	d := &Destination{name: rest, repository: named.Repository, host: named.Registry, tag: named.Reference, denied: ecrActions, to: to}
	if o.Registry == nil {
		d.denied = o.loginHint(named.Registry)
	}
	return d, nil
}

// destination returns the repository by that name on r. The canonical AWS host in name
// is not where the bytes go when the registry is a local one.
func (r Registry) destination(name tasuki.Repository, tag tasuki.Tag) (*Destination, error) {
	d := &Destination{name: name.String(), repository: name.Name(), host: name.Host(), tag: tag.String(), denied: ecrActions}
	if d.tag != "" {
		d.name += ":" + d.tag
	}
	if name.IsZero() {
		return nil, d.failed(failed(tasuki.ErrInvalid, "a push needs a repository"))
	}
	to, err := connect(registry.Reference{Registry: r.Host, Repository: name.Name()}, OpenOptions{Registry: &r, Transport: r.Transport, NoDockerLogin: true})
	if err != nil {
		return nil, d.failed(err)
	}
	d.to = to
	return d, nil
}

// String returns the destination without its transport.
func (d *Destination) String() string { return d.name }

// Close closes idle connections.
func (d *Destination) Close() error {
	d.to.idle()
	return nil
}

// Push copies image, which source's Inspect returned, as [Registry.Push] does.
func (d *Destination) Push(ctx context.Context, source *Source, image tasuki.Image, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func(p *pusher) (tasuki.Digest, error) {
		manifest, err := newManifest(image.Manifest.Bytes, image.Manifest.MediaType, image.Manifest.Digest)
		if err != nil {
			return tasuki.Digest{}, &sourceFault{err}
		}
		return manifest.Digest, p.image(ctx, manifest, d.tag)
	})
}

// CopyImage copies the image that source names, as [Registry.Push] does; of an index,
// the one for arch, and where arch is "", the only one for linux.
func (d *Destination) CopyImage(ctx context.Context, source *Source, arch tasuki.Architecture, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func(p *pusher) (tasuki.Digest, error) {
		root, err := source.at.root(ctx)
		if err != nil {
			return tasuki.Digest{}, &sourceFault{err}
		}
		manifest, err := source.child(ctx, root, arch)
		if err != nil {
			return tasuki.Digest{}, &sourceFault{err}
		}
		return manifest.Digest, p.image(ctx, manifest, d.tag)
	})
}

// Copy copies what source names, an image or an index with all that it lists, as
// [Registry.Copy] does.
func (d *Destination) Copy(ctx context.Context, source *Source, o PushOptions) (Copied, error) {
	return d.deliver(ctx, source, o, func(p *pusher) (tasuki.Digest, error) {
		root, err := source.at.root(ctx)
		if err != nil {
			return tasuki.Digest{}, &sourceFault{err}
		}
		return root.Digest, p.tree(ctx, root, d.tag, deepestIndex)
	})
}

// deliver lets push do its work, and says on which side it failed.
func (d *Destination) deliver(ctx context.Context, source *Source, o PushOptions, push func(*pusher) (tasuki.Digest, error)) (Copied, error) {
	p := newPusher(source, d.to, o)
	before := d.to.requests.n.Load()
	digest, err := push(p)
	copied := Copied{Digest: digest, Sent: p.sent.Load(), Mounted: p.mounted.Load(), Present: p.present.Load(), Requests: d.to.requests.n.Load() - before}
	if at, ok := source.at.(*remoteImage); ok {
		copied.Requests += at.requests.n.Load()
	}
	var fromSource *sourceFault
	switch {
	case err == nil:
		return copied, nil
	case errors.As(err, &fromSource) && ctx.Err() == nil:
		return copied, sourceError("read", source.name, fromSource.error)
	}
	return copied, d.failed(d.explain(err))
}

func (d *Destination) failed(err error) error {
	return newError("push", tasuki.SideImage, d.name, err)
}

// ecrActions is what to do about a denial of ECR's.
const ecrActions = "Allow the caller ecr:GetAuthorizationToken, and on the repository ecr:BatchGetImage, ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage."

// explain says what to do about the destination's refusal.
func (d *Destination) explain(err error) error {
	f := *classify(err)
	switch {
	case f.kind == tasuki.ErrConflict:
		f.hint = "The tag " + d.tag + " names another image, and is immutable: release under a tag of its own, such as the commit hash."
	case f.kind == tasuki.ErrMissing && lacksRepository(err):
		f.text = "the repository " + d.repository + " does not exist in " + d.host
		f.hint = "Deploy the infra side first, which creates the repository, or check the repository's name."
	case f.kind == tasuki.ErrDenied:
		f.hint = d.denied
	}
	return &f
}

// lacksRepository reports whether a registry answered that there is no repository.
func lacksRepository(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) && (answer.code == errcode.ErrorCodeNameUnknown || answer.code == "")
}
