package awsbackend

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
)

var (
	_ tasuki.Repositories       = (*Images)(nil)
	_ tasuki.RepositoryPolicies = (*Images)(nil)
	_ tasuki.StoredImages       = (*Images)(nil)
)

// RepositorySettings implements [tasuki.Repositories], in one round trip.
func (s *Images) RepositorySettings(ctx context.Context, repository tasuki.Repository) (settings tasuki.RepositorySettings, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		c := imageCall("read", "ecr:DescribeRepositories", repository)
		out, err := s.api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{
			RegistryId: aws.String(repository.Account()), RepositoryNames: []string{repository.Name()},
		}, in(repository))
		if err != nil {
			return c.failed(err)
		}
		if len(out.Repositories) != 1 {
			return c.wrong(tasuki.ErrUnavailable, "ECR's answer holds %d repositories", len(out.Repositories))
		}
		found := out.Repositories[0]
		settings.Mutability = string(found.ImageTagMutability)
		for _, filter := range found.ImageTagMutabilityExclusionFilters {
			settings.Exclusions = append(settings.Exclusions, aws.ToString(filter.Filter))
		}
		if found.EncryptionConfiguration != nil {
			settings.Encryption = string(found.EncryptionConfiguration.EncryptionType)
			settings.KMSKey = aws.ToString(found.EncryptionConfiguration.KmsKey)
		}
		return nil
	})
	group.Go(func() error {
		c := imageCall("read lifecycle policy of", "ecr:GetLifecyclePolicy", repository)
		out, err := s.api.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{
			RegistryId: aws.String(repository.Account()), RepositoryName: aws.String(repository.Name()),
		}, in(repository))
		if _, none := errors.AsType[*types.LifecyclePolicyNotFoundException](err); none {
			return nil
		}
		if err != nil {
			return c.failed(err)
		}
		settings.LifecyclePolicy = aws.ToString(out.LifecyclePolicyText)
		return nil
	})
	return settings, group.Wait()
}

// RepositoryPolicy implements [tasuki.RepositoryPolicies].
func (s *Images) RepositoryPolicy(ctx context.Context, repository tasuki.Repository) (string, error) {
	c := imageCall("read policy of", "ecr:GetRepositoryPolicy", repository)
	out, err := s.api.GetRepositoryPolicy(ctx, &ecr.GetRepositoryPolicyInput{
		RegistryId: aws.String(repository.Account()), RepositoryName: aws.String(repository.Name()),
	}, in(repository))
	if _, none := errors.AsType[*types.RepositoryPolicyNotFoundException](err); none {
		return "", nil
	}
	if err != nil {
		return "", c.failed(err)
	}
	return aws.ToString(out.PolicyText), nil
}

// describedAtOnce is how many images are described at the same time.
const describedAtOnce = 8

// StoredImages implements [tasuki.StoredImages]. ECR refuses to describe several images
// at once where one of them is not there, so that each is a call.
func (s *Images) StoredImages(ctx context.Context, repository tasuki.Repository, digests ...tasuki.Digest) (map[tasuki.Digest]tasuki.StoredImage, error) {
	found := make([]*tasuki.StoredImage, len(digests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describedAtOnce)
	for i, digest := range digests {
		group.Go(func() (err error) {
			found[i], err = s.stored(ctx, repository, digest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	stored := map[tasuki.Digest]tasuki.StoredImage{}
	for i, digest := range digests {
		if found[i] != nil {
			stored[digest] = *found[i]
		}
	}
	return stored, nil
}

// stored describes one image; nil where it is not there.
func (s *Images) stored(ctx context.Context, repository tasuki.Repository, digest tasuki.Digest) (*tasuki.StoredImage, error) {
	c := imageCall("describe images of", "ecr:DescribeImages", repository)
	out, err := s.api.DescribeImages(ctx, &ecr.DescribeImagesInput{
		RegistryId: aws.String(repository.Account()), RepositoryName: aws.String(repository.Name()),
		ImageIds: []types.ImageIdentifier{identifier(tasuki.ByDigest(digest))},
		Filter:   &types.DescribeImagesFilter{ImageStatus: types.ImageStatusFilterAny},
	}, in(repository))
	if _, missing := errors.AsType[*types.ImageNotFoundException](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, c.failed(err)
	}
	if len(out.ImageDetails) != 1 {
		return nil, c.wrong(tasuki.ErrUnavailable, "ECR's answer about %s has %d images", digest.Short(), len(out.ImageDetails))
	}
	detail := out.ImageDetails[0]
	return &tasuki.StoredImage{Status: string(detail.ImageStatus), Tags: detail.ImageTags}, nil
}
