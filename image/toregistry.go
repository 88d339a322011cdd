package image

import (
	"context"
	"errors"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// toRegistry is a repository in a registry, and the tag to copy to.
type toRegistry struct {
	repository string
	host       string // as a person knows it
	tag        string // "" for none
	denied     string // what to do about a denial
	to         *connection
}

// openRegistry prepares to copy to HOST/NAME:TAG.
func openRegistry(name string, o OpenOptions) (*toRegistry, error) {
	named, err := parseRemote(name)
	if err != nil {
		return nil, err
	}
	if named.Reference == "latest" && !strings.HasSuffix(name, ":latest") || strings.Contains(named.Reference, ":") {
		return nil, misnamed("a copy needs a tag: give docker://HOST/NAME:TAG")
	}
	to, err := connect(named, o)
	if err != nil {
		return nil, err
	}
	r := &toRegistry{repository: named.Repository, host: named.Registry, tag: named.Reference, denied: ecrActions, to: to}
	if o.Registry == nil {
		r.denied = o.loginHint(named.Registry)
	}
	return r, nil
}

// destination returns the repository by that name on r. The canonical AWS host in name
// is not where the bytes go when the registry is a local one.
func (r Registry) destination(name tasuki.Repository, tag tasuki.Tag) (*Destination, error) {
	to := &toRegistry{repository: name.Name(), host: name.Host(), tag: tag.String(), denied: ecrActions}
	d := &Destination{name.String(), to}
	if to.tag != "" {
		d.name += ":" + to.tag
	}
	if name.IsZero() {
		return nil, d.failed(failed(tasuki.ErrInvalid, "a push needs a repository"))
	}
	var err error
	to.to, err = connect(registry.Reference{Registry: r.Host, Repository: name.Name()}, OpenOptions{Registry: &r, Transport: r.Transport, NoDockerLogin: true})
	if err != nil {
		return nil, d.failed(err)
	}
	return d, nil
}

// receive implements receiver.
func (r *toRegistry) receive(ctx context.Context, source *Source, manifest tasuki.Manifest, o PushOptions) (Copied, error) {
	p := newPusher(source, r.to, o)
	before := r.to.requests.n.Load()
	err := p.tree(ctx, manifest, r.tag, deepestIndex)
	copied := p.copied(manifest.Digest)
	copied.Requests = r.to.requests.n.Load() - before
	return copied, err
}

// ecrActions is what to do about a denial of ECR's.
const ecrActions = "Allow the caller ecr:GetAuthorizationToken, and on the repository ecr:BatchGetImage, ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage."

// explain implements receiver.
func (r *toRegistry) explain(err error) error {
	f := *classify(err)
	switch {
	case f.kind == tasuki.ErrConflict:
		f.hint = "The tag " + r.tag + " names another image, and is immutable: release under a tag of its own, such as the commit hash."
	case f.kind == tasuki.ErrMissing && lacksRepository(err):
		f.text = "the repository " + r.repository + " does not exist in " + r.host
		f.hint = "Deploy the infra side first, which creates the repository, or check the repository's name."
	case f.kind == tasuki.ErrDenied && expired(err):
		f.hint = "Run it again with a new login: what is there already is not sent again."
	case f.kind == tasuki.ErrDenied:
		f.hint = r.denied
	}
	return &f
}

// expired reports whether a registry answered that the login was good once. ECR's is for
// 12 hours: "Your authorization token has expired. Reauthenticate and try again."
func expired(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) && strings.Contains(answer.message, "token has expired")
}

// lacksRepository reports whether a registry answered that there is no repository.
func lacksRepository(err error) bool {
	var answer *responseError
	return errors.As(err, &answer) && (answer.code == errcode.ErrorCodeNameUnknown || answer.code == "")
}

func (r *toRegistry) close() { r.to.idle() }
