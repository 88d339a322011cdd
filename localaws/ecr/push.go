package ecr

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// tagPattern is the <reference> of the OCI distribution specification 1.1, which ECR
// keeps for its tags; the 300 characters of its model are never all taken. It is made
// when it is first used: 128 repetitions take longer than many a program's start.
var tagPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) })

// push puts an image into a repository, and a tag on it unless that is "". It
// reports whether anything changed: pushing the same again is a success in the
// registry and an error in the API.
func (s *Service) push(tx *state.Tx, r repository, img image, tag string) (changed bool, err error) {
	if tag != "" && !tagPattern().MatchString(tag) {
		return false, invalidParameter("imageTag", "must satisfy regular expression '"+tagPattern().String()+"'")
	}
	if err := s.checkParts(tx, r, img); err != nil {
		return false, err
	}
	if tag != "" {
		current, found, err := tags.Get(tx, r.Name+":"+tag)
		if err != nil {
			return false, err
		}
		if found && current != img.Digest && r.Mutability.immutable(tag) {
			return false, wire.Errorf(codeImageTagExists, "The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", tag, r.Name)
		}
		if current != img.Digest {
			changed = true
			if err := tags.Put(tx, r.Name+":"+tag, img.Digest); err != nil {
				return false, err
			}
		}
	}
	if _, found, err := images.Get(tx, r.Name+"@"+img.Digest); err != nil || found {
		return changed, err
	}
	img.Pushed = time.Now().UTC()
	return true, images.Put(tx, r.Name+"@"+img.Digest, img)
}

// checkParts checks that all that a manifest points to is in the repository.
func (s *Service) checkParts(tx *state.Tx, r repository, img image) error {
	var missing []string
	for _, blob := range img.Blobs {
		_, found, err := layers.Get(tx, r.Name+"@"+blob.Digest)
		if err != nil {
			return err
		}
		if !found && blob.present() && !slices.Contains(missing, blob.Digest) {
			missing = append(missing, blob.Digest)
		}
	}
	if len(missing) > 0 {
		return wire.Errorf(codeLayersNotFound, "Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", strings.Join(missing, ", "), r.Name, s.account)
	}
	for _, child := range img.Children {
		_, found, err := images.Get(tx, r.Name+"@"+child)
		if err != nil {
			return err
		}
		if !found && !slices.Contains(missing, child) {
			missing = append(missing, child)
		}
	}
	if len(missing) > 0 {
		return wire.Errorf(codeReferencedNotFound, "Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", strings.Join(missing, ", "), r.Name, s.account)
	}
	return nil
}

func (s *Service) putImage(_ context.Context, in *api.PutImageInput) (*api.PutImageOutput, error) {
	if aws.ToString(in.ImageManifest) == "" {
		return nil, invalidParameter("imageManifest", "Member must have length greater than or equal to 1")
	}
	if in.ImageTag != nil && *in.ImageTag == "" {
		return nil, invalidParameter("imageTag", "Member must have length greater than or equal to 1")
	}
	img, err := parseManifest([]byte(*in.ImageManifest), aws.ToString(in.ImageManifestMediaType))
	if err != nil {
		return nil, err
	}
	if in.ImageDigest != nil && *in.ImageDigest != img.Digest {
		return nil, wire.Errorf(codeImageDigestMismatch, "The provided image digest '%s' does not match the digest '%s' of the manifest", *in.ImageDigest, img.Digest)
	}
	err = s.store.Update(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		changed, err := s.push(tx, r, img, aws.ToString(in.ImageTag))
		if err != nil || changed {
			return err
		}
		return wire.Errorf(codeImageAlreadyExists, "Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", img.Digest, aws.ToString(in.ImageTag), r.Name, s.account)
	})
	if err != nil {
		return nil, err
	}
	answer := s.answer(*in.RepositoryName, img, in.ImageTag)
	return &api.PutImageOutput{Image: &answer}, nil
}
