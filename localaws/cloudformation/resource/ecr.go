package resource

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

const longestRepositoryName = 256 // characters

// repository is AWS::ECR::Repository.
func repository() Type {
	return Type{
		Name: "AWS::ECR::Repository",
		Properties: map[string]Property{
			"EmptyOnDelete":              boolean(),
			"EncryptionConfiguration":    object(map[string]Property{"EncryptionType": required(text()), "KmsKey": text()}),
			"ImageScanningConfiguration": object(map[string]Property{"ScanOnPush": boolean()}),
			"ImageTagMutability":         text(),
			"ImageTagMutabilityExclusionFilters": listOf(object(map[string]Property{
				"ImageTagMutabilityExclusionFilterType": required(text()), "ImageTagMutabilityExclusionFilterValue": required(text()),
			})),
			"LifecyclePolicy":      object(map[string]Property{"LifecyclePolicyText": text(), "RegistryId": text()}),
			"RepositoryName":       text(),
			"RepositoryPolicyText": document(),
			"Tags":                 tagList(),
		},
		CreateOnly: []string{"EncryptionConfiguration", "RepositoryName"},
		Attributes: []string{"Arn", "RepositoryUri"},
		Create:     createRepository,
		Update:     updateRepository,
		Delete:     deleteRepository,
		Read:       readRepository,
		Unread:     []string{"EmptyOnDelete"},
	}
}

func createRepository(ctx context.Context, r Request) (Result, error) {
	in := &ecr.CreateRepositoryInput{
		RepositoryName: aws.String(r.lower("RepositoryName", longestRepositoryName)),
		Tags:           r.repositoryTags(),
	}
	r.mutability(&in.ImageTagMutability, &in.ImageTagMutabilityExclusionFilters)
	if err := decode(pick(r.Properties, "EncryptionConfiguration", "ImageScanningConfiguration"), in); err != nil {
		return Result{}, err
	}
	if _, err := ecr.NewFromConfig(r.AWS).CreateRepository(ctx, in); err != nil && !r.mine(err) {
		return Result{}, err
	}
	r.PhysicalID = *in.RepositoryName
	if err := r.setRepositoryPolicies(ctx); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	return describeRepository(ctx, r)
}

func updateRepository(ctx context.Context, r Request) (Result, error) {
	client, result := ecr.NewFromConfig(r.AWS), Result{PhysicalID: r.PhysicalID}
	if r.changed("ImageTagMutability", "ImageTagMutabilityExclusionFilters") {
		in := &ecr.PutImageTagMutabilityInput{RepositoryName: &r.PhysicalID, ImageTagMutability: types.ImageTagMutabilityMutable}
		r.mutability(&in.ImageTagMutability, &in.ImageTagMutabilityExclusionFilters)
		if _, err := client.PutImageTagMutability(ctx, in); err != nil {
			return result, err
		}
	}
	if r.changed("ImageScanningConfiguration") {
		in := &ecr.PutImageScanningConfigurationInput{RepositoryName: &r.PhysicalID, ImageScanningConfiguration: &types.ImageScanningConfiguration{}}
		if err := decode(pick(r.Properties, "ImageScanningConfiguration"), in); err != nil {
			return result, err
		}
		if _, err := client.PutImageScanningConfiguration(ctx, in); err != nil {
			return result, err
		}
	}
	if err := r.setRepositoryPolicies(ctx); err != nil {
		return result, err
	}
	result, err := describeRepository(ctx, r)
	if err != nil || !r.retagged() {
		return result, err
	}
	arn := aws.String(result.Attributes["Arn"].(string))
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.UntagResource(ctx, &ecr.UntagResourceInput{ResourceArn: arn, TagKeys: gone}); err != nil {
			return result, err
		}
	}
	_, err = client.TagResource(ctx, &ecr.TagResourceInput{ResourceArn: arn, Tags: r.repositoryTags()})
	return result, err
}

// deleteRepository deletes a repository, which must be empty unless the template says
// otherwise.
func deleteRepository(ctx context.Context, r Request) error {
	_, err := ecr.NewFromConfig(r.AWS).DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: &r.PhysicalID, Force: r.text("EmptyOnDelete") == "true"})
	return unlessMissing(err)
}

func describeRepository(ctx context.Context, r Request) (Result, error) {
	result := Result{PhysicalID: r.PhysicalID}
	out, err := ecr.NewFromConfig(r.AWS).DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{r.PhysicalID}})
	if err != nil {
		return result, err
	}
	if len(out.Repositories) != 1 {
		return result, errors.New("DescribeRepositories answered without the repository " + r.PhysicalID)
	}
	result.Attributes = map[string]any{
		"Arn": aws.ToString(out.Repositories[0].RepositoryArn), "RepositoryUri": aws.ToString(out.Repositories[0].RepositoryUri),
	}
	return result, nil
}

// setRepositoryPolicies writes the policies that are not what they were.
func (r Request) setRepositoryPolicies(ctx context.Context) error {
	client := ecr.NewFromConfig(r.AWS)
	if r.changed("RepositoryPolicyText") {
		policy, err := documentText(r.Properties["RepositoryPolicyText"])
		switch {
		case err != nil:
		case policy == nil:
			_, err = client.DeleteRepositoryPolicy(ctx, &ecr.DeleteRepositoryPolicyInput{RepositoryName: &r.PhysicalID})
			err = unlessMissing(err)
		default:
			_, err = client.SetRepositoryPolicy(ctx, &ecr.SetRepositoryPolicyInput{RepositoryName: &r.PhysicalID, PolicyText: policy})
		}
		if err != nil {
			return err
		}
	}
	if !r.changed("LifecyclePolicy") {
		return nil
	}
	given, _ := r.Properties["LifecyclePolicy"].(map[string]any)
	policy, err := documentText(given["LifecyclePolicyText"])
	switch {
	case err != nil:
	case policy == nil:
		_, err = client.DeleteLifecyclePolicy(ctx, &ecr.DeleteLifecyclePolicyInput{RepositoryName: &r.PhysicalID})
		err = unlessMissing(err)
	default:
		_, err = client.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RepositoryName: &r.PhysicalID, LifecyclePolicyText: policy})
	}
	return err
}

// mutability takes what the template says of tags' mutability over.
func (r Request) mutability(to *types.ImageTagMutability, filters *[]types.ImageTagMutabilityExclusionFilter) {
	if given := r.text("ImageTagMutability"); given != "" {
		*to = types.ImageTagMutability(given)
	}
	elements, _ := r.Properties["ImageTagMutabilityExclusionFilters"].([]any)
	for _, element := range elements {
		filter, _ := element.(map[string]any)
		kind, _ := scalar(filter["ImageTagMutabilityExclusionFilterType"])
		value, _ := scalar(filter["ImageTagMutabilityExclusionFilterValue"])
		*filters = append(*filters, types.ImageTagMutabilityExclusionFilter{FilterType: types.ImageTagMutabilityExclusionFilterType(kind), Filter: &value})
	}
}

func (r Request) repositoryTags() []types.Tag {
	return pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}
