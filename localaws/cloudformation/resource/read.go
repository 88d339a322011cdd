package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// IsMissing reports whether a handler's error says that the resource does not exist.
func IsMissing(err error) bool { return missing(err) }

// plain returns an answer of the SDK's as properties: without what is not set.
func plain(answer any) (map[string]any, error) {
	b, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var properties map[string]any
	if err := d.Decode(&properties); err != nil {
		return nil, err
	}
	maps.DeleteFunc(properties, func(_ string, value any) bool { return value == nil || value == "" })
	for _, value := range properties {
		if object, is := value.(map[string]any); is {
			maps.DeleteFunc(object, func(_ string, member any) bool { return member == nil || member == "" })
		}
	}
	return properties, nil
}

// ownTags returns the tags of a resource that are not its stack's, as its type has them.
func (r Request) ownTags(tags map[string]string) any {
	own, given := maps.Clone(tags), mergeTags(nil, r.Properties["Tags"])
	maps.DeleteFunc(own, func(key, _ string) bool {
		_, isStacks := r.Tags[key]
		_, isOwn := given[key]
		return isStacks && !isOwn
	})
	if _, isMap := r.Properties["Tags"].(map[string]any); isMap {
		found := map[string]any{}
		for key, value := range own {
			found[key] = value
		}
		return found
	}
	found := []any{}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		found = append(found, map[string]any{"Key": key, "Value": own[key]})
	}
	return found
}

// readFunction reads a function. Its code cannot be read: CloudFormation's schema has
// Code as write-only.
func readFunction(ctx context.Context, r Request) (map[string]any, error) {
	out, err := lambda.NewFromConfig(r.AWS).GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	properties, err := plain(out.Configuration)
	if err != nil {
		return nil, err
	}
	if config := out.Configuration.ImageConfigResponse; config != nil && config.ImageConfig != nil {
		if properties["ImageConfig"], err = plain(config.ImageConfig); err != nil {
			return nil, err
		}
	}
	properties["Tags"] = r.ownTags(out.Tags)
	return properties, nil
}

func readAlias(ctx context.Context, r Request) (map[string]any, error) {
	function, name := splitQualifier(r.PhysicalID)
	out, err := lambda.NewFromConfig(r.AWS).GetAlias(ctx, &lambda.GetAliasInput{FunctionName: &function, Name: &name})
	if err != nil {
		return nil, err
	}
	properties, err := plain(out)
	if err != nil {
		return nil, err
	}
	weights := []any{}
	if out.RoutingConfig != nil {
		for _, version := range slices.Sorted(maps.Keys(out.RoutingConfig.AdditionalVersionWeights)) {
			weights = append(weights, map[string]any{"FunctionVersion": version, "FunctionWeight": out.RoutingConfig.AdditionalVersionWeights[version]})
		}
	}
	properties["RoutingConfig"] = map[string]any{"AdditionalVersionWeights": weights}
	return properties, nil
}

// readEventSourceMapping reads a mapping. Which function it is for is in another form in
// the answer than templates have it in.
func readEventSourceMapping(ctx context.Context, r Request) (map[string]any, error) {
	out, err := lambda.NewFromConfig(r.AWS).GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	properties, err := plain(out)
	if err != nil {
		return nil, err
	}
	properties["Enabled"] = aws.ToString(out.State) == "Enabled"
	return properties, nil
}

func readParameter(ctx context.Context, r Request) (map[string]any, error) {
	client := ssm.NewFromConfig(r.AWS)
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	properties, err := plain(out.Parameter)
	if err != nil {
		return nil, err
	}
	tags, err := client.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, tag := range tags.TagList {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	properties["Tags"] = r.ownTags(all)
	return properties, nil
}

func readRepository(ctx context.Context, r Request) (map[string]any, error) {
	client := ecr.NewFromConfig(r.AWS)
	out, err := client.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{r.PhysicalID}})
	if err != nil {
		return nil, err
	}
	if len(out.Repositories) != 1 {
		return nil, errors.New("DescribeRepositories answered without the repository " + r.PhysicalID)
	}
	properties, err := plain(out.Repositories[0])
	if err != nil {
		return nil, err
	}
	filters := []any{}
	for _, filter := range out.Repositories[0].ImageTagMutabilityExclusionFilters {
		filters = append(filters, map[string]any{"ImageTagMutabilityExclusionFilterType": string(filter.FilterType), "ImageTagMutabilityExclusionFilterValue": aws.ToString(filter.Filter)})
	}
	properties["ImageTagMutabilityExclusionFilters"] = filters
	policy, err := client.GetRepositoryPolicy(ctx, &ecr.GetRepositoryPolicyInput{RepositoryName: &r.PhysicalID})
	if unlessMissing(err) != nil {
		return nil, err
	}
	if err == nil {
		properties["RepositoryPolicyText"] = aws.ToString(policy.PolicyText)
	}
	lifecycle, err := client.GetLifecyclePolicy(ctx, &ecr.GetLifecyclePolicyInput{RepositoryName: &r.PhysicalID})
	if unlessMissing(err) != nil {
		return nil, err
	}
	if err == nil {
		properties["LifecyclePolicy"] = map[string]any{"LifecyclePolicyText": aws.ToString(lifecycle.LifecyclePolicyText), "RegistryId": aws.ToString(lifecycle.RegistryId)}
	}
	tags, err := client.ListTagsForResource(ctx, &ecr.ListTagsForResourceInput{ResourceArn: out.Repositories[0].RepositoryArn})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, tag := range tags.Tags {
		all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	properties["Tags"] = r.ownTags(all)
	return properties, nil
}

func readQueue(ctx context.Context, r Request) (map[string]any, error) {
	client := sqs.NewFromConfig(r.AWS)
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &r.PhysicalID, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		return nil, err
	}
	properties := map[string]any{"QueueName": r.PhysicalID[strings.LastIndexByte(r.PhysicalID, '/')+1:]}
	for name := range queueAttributes() {
		if value, has := out.Attributes[name]; has {
			properties[name] = value
		}
	}
	tags, err := client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	properties["Tags"] = r.ownTags(tags.Tags)
	return properties, nil
}
