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

var _ tasuki.Repositories = (*Images)(nil)

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
		settings.Mutability = string(out.Repositories[0].ImageTagMutability)
		for _, filter := range out.Repositories[0].ImageTagMutabilityExclusionFilters {
			settings.Exclusions = append(settings.Exclusions, aws.ToString(filter.Filter))
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
