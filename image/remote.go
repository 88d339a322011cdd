package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// remoteImage is an image in a registry.
type remoteImage struct {
	*connection
	hint     string // what to do where the registry wants another caller
	portions portions

	// elsewhere is where a blob's bytes were found to be, by digest: ECR and Docker Hub
	// send readers on to a storage service, and a blob may take many requests.
	elsewhere sync.Map
}

// openRemote prepares to read the image that reference names. It sends nothing.
func openRemote(reference registry.Reference, o OpenOptions) (*remoteImage, error) {
	c, err := connect(reference, o)
	if err != nil {
		return nil, err
	}
	return &remoteImage{connection: c, hint: o.loginHint(c.Reference.Registry), portions: cmp.Or(o.portions, portions{worthRanges, rangeSize})}, nil
}

// loginHint says what to do where a registry wants another caller.
func (o OpenOptions) loginHint(host string) string {
	if o.NoDockerLogin {
		return "Give the credentials that " + host + " wants, or check those that were given."
	}
	return "Log in with 'docker login " + host + "', whose credentials are used."
}

// credential returns who knows what to log in with at host.
func (o OpenOptions) credential(host string) (auth.CredentialFunc, error) {
	if o.Username != "" || o.Password != "" || o.NoDockerLogin {
		return auth.StaticCredential(host, auth.Credential{Username: o.Username, Password: o.Password}), nil
	}
	// docker login's store. Nothing is asked for a password that Docker would not ask.
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, failed(tasuki.ErrInvalid, "Docker's configuration could not be read for credentials: %s", told(err.Error()))
	}
	return credentials.Credential(store), nil
}

func (r *remoteImage) root(ctx context.Context) (tasuki.Manifest, error) {
	return r.fetch(ctx, r.Reference.Reference)
}

func (r *remoteImage) manifest(ctx context.Context, d tasuki.Descriptor) (tasuki.Manifest, error) {
	return r.fetch(ctx, d.Digest.String())
}

func (r *remoteImage) fetch(ctx context.Context, reference string) (manifest tasuki.Manifest, err error) {
	want, _ := tasuki.ParseDigest(reference) // the zero digest for a tag
	err = retry(ctx, func() error {
		b, mediaType, said, err := r.readManifest(ctx, reference)
		if err != nil {
			return r.explain(err)
		}
		// The digest that the registry says is compared too: a tag has no other.
		manifest, err = newManifest(b, mediaType, cmp.Or(want, said, tasuki.DigestOf(b)))
		return err
	})
	return manifest, err
}

// blob opens a blob, which is opened again where its connection fails.
func (r *remoteImage) blob(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	return r.blobFrom(ctx, d, 0, 1)
}

// blobFrom implements [ranger].
func (r *remoteImage) blobFrom(ctx context.Context, d tasuki.Descriptor, offset int64, streams int) (io.ReadCloser, error) {
	if streams > 1 && d.Size-offset > r.portions.each {
		return r.inRanges(ctx, d, offset, streams)
	}
	from, _, err := r.get(ctx, d, offset, d.Size)
	if err != nil {
		return nil, err
	}
	return r.resuming(ctx, d, from, offset, d.Size), nil
}

// resuming reads on from a blob's body, which begins at offset and is opened again
// where it breaks off before end.
func (r *remoteImage) resuming(ctx context.Context, d tasuki.Descriptor, from io.ReadCloser, offset, end int64) *resumed {
	return &resumed{ctx: ctx, from: from, at: offset, end: end, open: func(offset int64) (io.ReadCloser, error) {
		from, _, err := r.get(ctx, d, offset, end)
		return from, err
	}}
}

// get asks for a blob's bytes from offset until before end. A registry that knows no
// ranges gives more than was asked for, and the answer is then not partial.
func (r *remoteImage) get(ctx context.Context, d tasuki.Descriptor, offset, end int64) (from io.ReadCloser, partial bool, err error) {
	response, err := r.askFor(ctx, d, offset, end)
	if err != nil {
		return nil, false, r.explain(err)
	}
	defer func() {
		if err != nil {
			response.Body.Close()
		}
	}()
	switch response.StatusCode {
	case http.StatusNotFound:
		return nil, false, r.explain(errdef.ErrNotFound)
	case http.StatusPartialContent:
		var first int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-", &first); err != nil || first != offset {
			return nil, false, failed(tasuki.ErrUnavailable, "%s answered another part of the blob %s than was asked for", r.Reference.Registry, d.Digest.Short())
		}
		return response.Body, true, nil
	case http.StatusOK:
		if n := response.ContentLength; n >= 0 && n != d.Size {
			return nil, false, broken("the blob %s has %d bytes in %s, and the manifest says %d", d.Digest.Short(), n, r.Reference.Registry, d.Size)
		}
		if _, err := io.CopyN(io.Discard, response.Body, offset); err != nil {
			return nil, false, err
		}
		return response.Body, false, nil
	}
	return nil, false, &responseError{status: response.StatusCode}
}

// askFor requests a part of a blob: from where the registry sent us for it before, if that
// still answers; a pre-signed address is good for some minutes only.
func (r *remoteImage) askFor(ctx context.Context, d tasuki.Descriptor, offset, end int64) (*http.Response, error) {
	request := func(address string) (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err == nil && (offset > 0 || end < d.Size) {
			request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, end-1))
		}
		return request, err
	}
	if address, known := r.elsewhere.Load(d.Digest); known {
		direct, err := request(address.(string)) // nothing else is stored
		if err != nil {
			return nil, err
		}
		response, err := r.client.bare(direct)
		if err == nil {
			return response, nil
		}
		r.elsewhere.CompareAndDelete(d.Digest, address) // the registry may know another by now
		var refusal *responseError
		if !errors.As(err, &refusal) || transient(err) {
			return nil, err
		}
	}
	named := r.Reference
	named.Reference = d.Digest.String()
	address := r.address("/blobs/" + d.Digest.String())
	first, err := request(address.String())
	if err != nil {
		return nil, err
	}
	response, err := r.client.Do(first.WithContext(auth.AppendRepositoryScope(ctx, named, auth.ActionPull)))
	if err == nil && response.Request != nil && response.Request.URL.Host != address.Host {
		r.elsewhere.Store(d.Digest, response.Request.URL.String())
	}
	return response, err
}

// explain says what to do about a registry's refusal.
func (r *remoteImage) explain(err error) error {
	if err == nil || transient(err) {
		return err
	}
	host := r.Reference.Registry
	if errors.Is(err, errdef.ErrNotFound) {
		return failed(tasuki.ErrMissing, "%s holds no such image, or hides it from who is not logged in", host)
	}
	f := classify(err)
	if f.kind == tasuki.ErrDenied && f.hint == "" {
		return &failure{f.kind, f.text, r.hint, err}
	}
	return err
}

func (r *remoteImage) close() error {
	r.idle()
	return nil
}

// toOCI returns d as oras takes it.
func toOCI(d tasuki.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: digest.Digest(d.Digest.String()), Size: d.Size}
}
