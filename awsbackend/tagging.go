package awsbackend

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.ImageTagger = (*Images)(nil)

// TagImage implements [tasuki.ImageTagger]: to put a manifest that ECR has under
// another tag moves no layer.
func (s *Images) TagImage(ctx context.Context, repository tasuki.Repository, manifest tasuki.Manifest, tag tasuki.Tag) error {
	c := imageCall("tag", "ecr:PutImage", repository)
	_, err := s.api.PutImage(ctx, &ecr.PutImageInput{
		RegistryId:             aws.String(repository.Account()),
		RepositoryName:         aws.String(repository.Name()),
		ImageManifest:          aws.String(string(manifest.Bytes)),
		ImageManifestMediaType: aws.String(manifest.MediaType),
		ImageDigest:            aws.String(manifest.Digest.String()),
		ImageTag:               aws.String(tag.String()),
	}, in(repository))
	if _, same := errors.AsType[*types.ImageAlreadyExistsException](err); same {
		return nil
	}
	if err != nil {
		return c.failed(err)
	}
	return nil
}
