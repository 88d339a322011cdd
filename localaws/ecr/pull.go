package ecr

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// pullPrecision is how often the time of an image's last pull is recorded: ECR
// refreshes it once in 24 hours (ImageDetail.lastRecordedPullTime).
const pullPrecision = 24 * time.Hour

// recordPull notes that an image is being pulled.
func (s *Service) recordPull(name string, img image) error {
	now := time.Now().UTC()
	if now.Sub(img.Pulled) < pullPrecision {
		return nil
	}
	return s.store.Update(func(tx *state.Tx) error {
		// Read again: it may have been deleted meanwhile, and must stay so.
		current, found, err := images.Get(tx, name+"@"+img.Digest)
		if err != nil || !found {
			return err
		}
		current.Pulled = now
		return images.Put(tx, name+"@"+img.Digest, current)
	})
}

func (s *Service) batchGetImage(_ context.Context, in *api.BatchGetImageInput) (*api.BatchGetImageOutput, error) {
	if err := checkImageIDs(in.ImageIds); err != nil {
		return nil, err
	}
	out := &api.BatchGetImageOutput{Images: []types.Image{}, Failures: []types.ImageFailure{}}
	var pulled []image
	err := s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		for _, id := range in.ImageIds {
			img, failure, err := lookup(tx, r.Name, id)
			if err != nil {
				return err
			}
			if failure == nil && len(in.AcceptedMediaTypes) > 0 && !slices.Contains(in.AcceptedMediaTypes, img.MediaType) {
				// ECR would convert between OCI's and Docker's format, which changes the
				// digest. A client that is told so accepts what is stored.
				failure = &types.ImageFailure{
					FailureCode:   types.ImageFailureCodeImageNotFound,
					FailureReason: aws.String(fmt.Sprintf("Requested image is a %s, which is not among the accepted media types; tasuki local does not convert manifests", img.MediaType)),
					ImageId:       &id,
				}
			}
			if failure != nil {
				out.Failures = append(out.Failures, *failure)
				continue
			}
			out.Images = append(out.Images, s.answer(r.Name, img, id.ImageTag))
			pulled = append(pulled, img)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, img := range pulled {
		if err := s.recordPull(*in.RepositoryName, img); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// answer returns an image with its manifest; the tag may be nil.
func (s *Service) answer(name string, img image, tag *string) types.Image {
	return types.Image{
		ImageId:                &types.ImageIdentifier{ImageDigest: aws.String(img.Digest), ImageTag: tag},
		ImageManifest:          aws.String(string(img.Manifest)),
		ImageManifestMediaType: aws.String(img.MediaType),
		RegistryId:             aws.String(s.account),
		RepositoryName:         aws.String(name),
	}
}
