package image

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// A registry is asked here what it has, and not with oras: that wants the lengths and
// digests which the specification does not demand of answers ("SHOULD"), and which
// proxies and registries leave out.

// ask sends a request that reads, for path in the repository. What is not there is
// errdef.ErrNotFound.
func (c *connection) ask(ctx context.Context, method, path string) (*http.Response, error) {
	ctx = auth.AppendRepositoryScope(ctx, c.Reference, auth.ActionPull)
	request, err := http.NewRequestWithContext(ctx, method, c.address(path).String(), nil)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "/manifests/") {
		request.Header.Set("Accept", strings.Join(tasuki.ManifestMediaTypes(), ", "))
	}
	response, err := c.client.Do(request)
	if err != nil || response.StatusCode == http.StatusOK {
		return response, err
	}
	response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, errdef.ErrNotFound
	}
	return nil, &responseError{status: response.StatusCode}
}

// saidDigest returns the digest that an answer says its content has, or the zero Digest.
func saidDigest(response *http.Response) (tasuki.Digest, error) {
	said := response.Header.Get("Docker-Content-Digest")
	if said == "" {
		return tasuki.Digest{}, nil
	}
	return tasuki.ParseDigest(said)
}

// readManifest reads the manifest that a tag or a digest names, and what the registry
// says of it: its type, "" for none, and its digest.
func (c *connection) readManifest(ctx context.Context, reference string) (b []byte, mediaType string, said tasuki.Digest, err error) {
	response, err := c.ask(ctx, http.MethodGet, "/manifests/"+reference)
	if err != nil {
		return nil, "", said, err
	}
	defer response.Body.Close()
	if b, err = readDocument(response.Body, "the manifest "+reference); err != nil {
		return nil, "", said, err
	}
	if value := response.Header.Get("Content-Type"); value != "" {
		if mediaType, _, err = mime.ParseMediaType(value); err != nil {
			return nil, "", said, failed(tasuki.ErrInvalid, "the registry says that the manifest %s is of type %q, which is none", reference, printable(value))
		}
	}
	said, err = saidDigest(response)
	return b, mediaType, said, err
}

// resolve returns the digest of what a tag or a digest names, or the zero Digest.
func (c *connection) resolve(ctx context.Context, reference string) (tasuki.Digest, error) {
	response, err := c.ask(ctx, http.MethodHead, "/manifests/"+reference)
	if errors.Is(err, errdef.ErrNotFound) {
		return tasuki.Digest{}, nil
	}
	if err != nil {
		return tasuki.Digest{}, err
	}
	response.Body.Close()
	said, err := saidDigest(response)
	if err != nil || !said.IsZero() {
		return said, err
	}
	if named, err := tasuki.ParseDigest(reference); err == nil {
		return named, nil
	}
	b, _, _, err := c.readManifest(ctx, reference)
	if errors.Is(err, errdef.ErrNotFound) {
		return tasuki.Digest{}, nil // gone in between
	}
	return tasuki.DigestOf(b), err
}

// has reports whether the repository has a blob.
func (c *connection) has(ctx context.Context, blob tasuki.Descriptor) (bool, error) {
	response, err := c.ask(ctx, http.MethodHead, "/blobs/"+blob.Digest.String())
	if errors.Is(err, errdef.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	response.Body.Close()
	return true, nil
}
