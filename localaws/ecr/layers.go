package ecr

import (
	"context"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// digestPattern is the model's LayerDigest.
var digestPattern = regexp.MustCompile(`^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$`)

// reference returns how a repository's manifests name a blob, and whether any does.
func reference(tx *state.Tx, name, digest string) (d descriptor, found bool, err error) {
	for _, img := range images.All(tx, name+"@", &err) {
		for _, blob := range img.Blobs {
			if blob.Digest == digest {
				return blob, true, nil
			}
		}
	}
	return descriptor{}, false, err
}

func (s *Service) getDownloadURLForLayer(_ context.Context, in *api.GetDownloadUrlForLayerInput) (*api.GetDownloadUrlForLayerOutput, error) {
	if in.LayerDigest == nil || !digestPattern.MatchString(*in.LayerDigest) {
		return nil, invalidParameter("layerDigest", "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	}
	err := s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		if _, found, err := layers.Get(tx, r.Name+"@"+*in.LayerDigest); err != nil {
			return err
		} else if !found {
			return wire.Errorf(codeLayersNotFound, "The layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'", *in.LayerDigest, r.Name, s.account)
		}
		if _, found, err := reference(tx, r.Name, *in.LayerDigest); err != nil || found {
			return err
		}
		return wire.Errorf(codeLayerInaccessible, "The layer with digest '%s' is not available because it is not associated with an image. Unassociated image layers may be cleaned up at any time.", *in.LayerDigest)
	})
	if err != nil {
		return nil, err
	}
	return &api.GetDownloadUrlForLayerOutput{
		DownloadUrl: aws.String(s.downloadURL(*in.RepositoryName, *in.LayerDigest)),
		LayerDigest: in.LayerDigest,
	}, nil
}

func (s *Service) batchCheckLayerAvailability(_ context.Context, in *api.BatchCheckLayerAvailabilityInput) (*api.BatchCheckLayerAvailabilityOutput, error) {
	if n := len(in.LayerDigests); n == 0 || n > 100 {
		return nil, invalidParameter("layerDigests", "Member must have length between 1 and 100")
	}
	out := &api.BatchCheckLayerAvailabilityOutput{Layers: []types.Layer{}, Failures: []types.LayerFailure{}}
	err := s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		for _, digest := range in.LayerDigests {
			if !digestPattern.MatchString(digest) {
				out.Failures = append(out.Failures, types.LayerFailure{
					FailureCode:   types.LayerFailureCodeInvalidLayerDigest,
					FailureReason: aws.String("Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
					LayerDigest:   aws.String(digest),
				})
				continue
			}
			answer := types.Layer{LayerDigest: aws.String(digest), LayerAvailability: types.LayerAvailabilityUnavailable}
			l, found, err := layers.Get(tx, r.Name+"@"+digest)
			if err != nil {
				return err
			}
			if found {
				answer.LayerAvailability = types.LayerAvailabilityAvailable
				answer.LayerSize = aws.Int64(l.Size)
				// A blob has no media type of its own, only the ones it is named with.
				if d, found, err := reference(tx, r.Name, digest); err != nil {
					return err
				} else if found {
					answer.MediaType = aws.String(d.MediaType)
				}
			}
			out.Layers = append(out.Layers, answer)
		}
		return nil
	})
	return out, err
}
