package image

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// remoteImage is an image in a registry.
type remoteImage struct {
	repository *remote.Repository
	idle       func() // closes idle connections
}

// openRemote prepares to read the image that reference names. It sends nothing.
func openRemote(reference registry.Reference, o OpenOptions) (*remoteImage, error) {
	// docker login's store. Nothing is asked for a password that Docker would not ask.
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, failed(tasuki.ErrInvalid, "Docker's configuration could not be read for credentials: %s", redact(err.Error()))
	}
	transport, idle := o.Transport, func() {}
	if transport == nil {
		own := newTransport()
		transport, idle = own, own.CloseIdleConnections
	}
	inner := &auth.Client{
		Client:     &http.Client{Transport: transport},
		Header:     http.Header{"User-Agent": {userAgent}},
		Credential: credentials.Credential(store),
		Cache:      auth.NewCache(),
		ClientID:   userAgent,
	}
	local := loopback(reference.Registry)
	if local {
		// A registry on this machine may send us to a token service on this machine.
		inner.BlockedRealmPrefixes = []netip.Prefix{}
	}
	return &remoteImage{&remote.Repository{
		Client:             &client{inner: inner},
		Reference:          reference,
		PlainHTTP:          local,
		ManifestMediaTypes: tasuki.ManifestMediaTypes(),
		MaxMetadataBytes:   MaxDocument,
	}, idle}, nil
}

func (r *remoteImage) root(ctx context.Context) (tasuki.Manifest, error) {
	return r.fetch(ctx, r.repository.Reference.Reference)
}

func (r *remoteImage) manifest(ctx context.Context, d tasuki.Descriptor) (tasuki.Manifest, error) {
	return r.fetch(ctx, d.Digest.String())
}

func (r *remoteImage) fetch(ctx context.Context, reference string) (manifest tasuki.Manifest, err error) {
	want, _ := tasuki.ParseDigest(reference) // the zero digest for a tag
	err = retry(ctx, func() error {
		d, body, err := r.repository.Manifests().FetchReference(ctx, reference)
		if err != nil {
			return r.explain(err)
		}
		defer body.Close()
		b, err := readDocument(body, "the manifest "+reference)
		if err != nil {
			return err
		}
		// The digest that the registry says is compared too: a tag has no other.
		said, err := tasuki.ParseDigest(d.Digest.String())
		if err != nil {
			return err
		}
		manifest, err = newManifest(b, d.MediaType, cmp.Or(want, said))
		return err
	})
	return manifest, err
}

func (r *remoteImage) blob(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	body, err := r.repository.Blobs().Fetch(ctx, toOCI(d))
	return body, r.explain(err)
}

// explain says what to do about a registry's refusal.
func (r *remoteImage) explain(err error) error {
	if err == nil || transient(err) {
		return err
	}
	host := r.repository.Reference.Registry
	if errors.Is(err, errdef.ErrNotFound) {
		return failed(tasuki.ErrMissing, "%s holds no such image, or hides it from who is not logged in", host)
	}
	f := classify(err)
	if f.kind == tasuki.ErrDenied && f.hint == "" {
		return &failure{f.kind, f.text, "Log in with 'docker login " + host + "', whose credentials are used.", err}
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
