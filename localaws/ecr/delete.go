package ecr

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

func (s *Service) batchDeleteImage(_ context.Context, in *api.BatchDeleteImageInput) (*api.BatchDeleteImageOutput, error) {
	if err := checkImageIDs(in.ImageIds); err != nil {
		return nil, err
	}
	out := &api.BatchDeleteImageOutput{ImageIds: []types.ImageIdentifier{}, Failures: []types.ImageFailure{}}
	err := s.store.Update(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		for _, id := range in.ImageIds {
			deleted, failure, err := remove(tx, r.Name, id)
			switch {
			case err != nil:
				return err
			case failure != nil:
				out.Failures = append(out.Failures, *failure)
			default:
				out.ImageIds = append(out.ImageIds, deleted...)
			}
		}
		return nil
	})
	return out, err
}

// remove removes a tag, or an image with all its tags, and returns what was removed.
// An image loses itself with its last tag, unless an index still needs it
// (BatchDeleteImage: "when you remove the last tag from an image, the image is deleted").
func remove(tx *state.Tx, name string, id types.ImageIdentifier) ([]types.ImageIdentifier, *types.ImageFailure, error) {
	img, failure, err := lookup(tx, name, id)
	if err != nil || failure != nil {
		return nil, failure, err
	}
	list, tagged, err := all(tx, name)
	if err != nil {
		return nil, nil, err
	}
	var indexes []string
	for _, other := range list {
		if slices.Contains(other.Children, img.Digest) {
			indexes = append(indexes, other.Digest)
		}
	}
	doomed := tagged[img.Digest]
	if id.ImageTag != nil {
		doomed = []string{*id.ImageTag}
	} else if len(indexes) > 0 {
		return nil, &types.ImageFailure{
			FailureCode:   types.ImageFailureCodeImageReferencedByManifestList,
			FailureReason: aws.String("Requested image referenced by manifest list: [" + strings.Join(indexes, ", ") + "]"),
			ImageId:       &id,
		}, nil
	}
	for _, tag := range doomed {
		if err := tags.Delete(tx, name+":"+tag); err != nil {
			return nil, nil, err
		}
	}
	if len(doomed) == len(tagged[img.Digest]) && len(indexes) == 0 {
		if err := images.Delete(tx, name+"@"+img.Digest); err != nil {
			return nil, nil, err
		}
	}
	return identifiers(img.Digest, doomed), nil, nil
}
