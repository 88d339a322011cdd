package ecr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// Why [Service.Resolve] finds no image; test with [errors.Is].
var (
	// ErrNotHere: the URI does not name an image of this account's registry in this region.
	ErrNotHere = errors.New("not an image URI of this registry")
	// ErrRepositoryMissing: the registry has no such repository.
	ErrRepositoryMissing = errors.New("the repository does not exist")
	// ErrImageMissing: the repository has no such image.
	ErrImageMissing = errors.New("the image does not exist")
	// ErrLambdaDenied: the repository's policy denies Lambda its images.
	ErrLambdaDenied = errors.New("the repository's policy denies Lambda its images")
)

// Resolve returns the manifest that an image URI names to Lambda, verbatim. The URI ends
// in ":tag" or "@sha256:…", and its host is the registry's or the local endpoint's own.
// The errors are [ErrNotHere], [ErrRepositoryMissing], [ErrImageMissing] and
// [ErrLambdaDenied].
func (s *Service) Resolve(_ context.Context, imageURI string) (digest string, manifest []byte, mediaType string, err error) {
	name, id, err := s.parseImageURI(imageURI)
	if err != nil {
		return "", nil, "", err
	}
	var img image
	err = s.store.View(func(tx *state.Tx) error {
		r, found, err := repositories.Get(tx, name)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("%w: %s", ErrRepositoryMissing, imageURI)
		case deniesLambda(r.Policy):
			return fmt.Errorf("%w: %s", ErrLambdaDenied, imageURI)
		}
		var failure *types.ImageFailure
		if img, failure, err = lookup(tx, name, id); err != nil {
			return err
		}
		if failure != nil {
			return fmt.Errorf("%w: %s", ErrImageMissing, imageURI)
		}
		return nil
	})
	if err != nil {
		return "", nil, "", err
	}
	return img.Digest, img.Manifest, img.MediaType, s.recordPull(name, img)
}

func (s *Service) parseImageURI(uri string) (name string, id types.ImageIdentifier, err error) {
	host, rest, _ := strings.Cut(uri, "/")
	local, err := url.Parse(s.url())
	if err != nil {
		return "", id, err
	}
	if host != s.host() && host != local.Host {
		return "", id, fmt.Errorf("%w: %s", ErrNotHere, uri)
	}
	name, ref, byDigest := strings.Cut(rest, "@")
	grammar := digestPattern
	id.ImageDigest = &ref
	if !byDigest {
		name, ref, _ = strings.Cut(rest, ":")
		grammar = tagPattern()
		id = types.ImageIdentifier{ImageTag: &ref}
	}
	if checkRepositoryName(&name) != nil || !grammar.MatchString(ref) {
		return "", id, fmt.Errorf("%w: %s", ErrNotHere, uri)
	}
	return name, id, nil
}

// OpenBlob opens a layer or a configuration, whichever repository it was pushed to.
// The error is fs.ErrNotExist where there is none. The caller closes it.
func (s *Service) OpenBlob(_ context.Context, digest string) (io.ReadCloser, error) {
	file, err := s.blobs.Blob(digest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("blob %s: %w", digest, fs.ErrNotExist)
	case err != nil:
		return nil, err
	}
	return file, nil
}
