package localaws_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tasuki-dev/tasuki/placeholder"
)

// missing describes a blob that no registry has.
var missing = v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: digest.FromString("missing"), Size: 7}

// registry returns a repository of the endpoint's registry, with a client that tries
// each request once.
func (c clients) registry(ctx context.Context, name string) (*remote.Repository, error) {
	out, err := c.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return nil, err
	}
	token, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return nil, err
	}
	user, password, _ := strings.Cut(string(token), ":")
	endpoint, err := url.Parse(*out.AuthorizationData[0].ProxyEndpoint)
	if err != nil {
		return nil, err
	}
	repository, err := remote.NewRepository(endpoint.Host + "/" + name)
	if err != nil {
		return nil, err
	}
	header := map[string][]string{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
	repository.PlainHTTP, repository.SkipReferrersGC = true, true
	repository.Client = &auth.Client{Client: &http.Client{Transport: &http.Transport{}}, Header: header}
	return repository, nil
}

// picture is a small image, complete.
type picture struct {
	manifest  v1.Descriptor
	content   []byte // of the manifest
	blobs     map[digest.Digest][]byte
	described []v1.Descriptor // the blobs
}

// newPicture returns an image of one layer.
func newPicture(layer []byte) picture {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["` + digest.FromBytes(layer).String() + `"]}}`)
	p := picture{blobs: map[digest.Digest][]byte{}}
	p.described = []v1.Descriptor{content.NewDescriptorFromBytes(v1.MediaTypeImageConfig, config), content.NewDescriptorFromBytes(v1.MediaTypeImageLayer, layer)}
	p.blobs[p.described[0].Digest], p.blobs[p.described[1].Digest] = config, layer
	document, err := json.Marshal(v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: p.described[0], Layers: p.described[1:]})
	if err != nil {
		panic(err) // strings and numbers only
	}
	p.content, p.manifest = document, content.NewDescriptorFromBytes(v1.MediaTypeImageManifest, document)
	return p
}

// placeholderPicture returns a placeholder image, which a function can run.
func placeholderPicture(built placeholder.Image) picture {
	p := picture{blobs: map[digest.Digest][]byte{}, content: built.Manifest.Bytes, manifest: content.NewDescriptorFromBytes(built.Manifest.MediaType, built.Manifest.Bytes)}
	for _, blob := range [][]byte{built.Config, built.Layer} {
		d := content.NewDescriptorFromBytes("application/octet-stream", blob)
		p.described, p.blobs[d.Digest] = append(p.described, d), blob
	}
	return p
}

// push sends what the repository lacks, and the manifest under tag.
func (p picture) push(ctx context.Context, repository *remote.Repository, tag string) error {
	for _, blob := range p.described {
		if there, err := repository.Blobs().Exists(ctx, blob); err != nil {
			return err
		} else if there {
			continue
		}
		if err := repository.Blobs().Push(ctx, blob, bytes.NewReader(p.blobs[blob.Digest])); err != nil {
			return err
		}
	}
	return repository.Manifests().PushReference(ctx, p.manifest, bytes.NewReader(p.content), tag)
}

// pull reads an image by tag or digest, every byte of it, and returns its manifest's
// digest. Everything must have the digest it is named by.
func pull(ctx context.Context, repository *remote.Repository, reference string) (digest.Digest, error) {
	manifest, err := repository.Resolve(ctx, reference)
	if err != nil {
		return "", err
	}
	document, err := content.FetchAll(ctx, repository, manifest)
	if err != nil {
		return "", err
	}
	var parsed v1.Manifest
	if err := json.Unmarshal(document, &parsed); err != nil {
		return "", err
	}
	if len(parsed.Layers) == 0 {
		return "", errors.New("the manifest has no layers")
	}
	for _, blob := range append(parsed.Layers, parsed.Config) {
		if _, err := content.FetchAll(ctx, repository.Blobs(), blob); err != nil {
			return "", fmt.Errorf("blob %s of %s: %w", blob.Digest, reference, err)
		}
	}
	return manifest.Digest, nil
}
