package ecr

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// ECR's limits of a resource's tags ("Tagging a private repository").
const (
	mostTags        = 50
	longestTagKey   = 128
	longestTagValue = 256
)

// mergeTags returns the resource tags old with added put over them. Only CloudFormation
// gives tags that AWS has reserved.
func mergeTags(ctx context.Context, old map[string]string, added []types.Tag) (map[string]string, error) {
	merged := maps.Clone(old)
	for _, tag := range added {
		switch {
		case tag.Key == nil || tag.Value == nil || *tag.Key == "":
			return nil, wire.Errorf(codeInvalidTagParameter, "Invalid parameter at 'tags' failed to satisfy constraint: 'a tag has a Key and a Value'")
		case utf8.RuneCountInString(*tag.Key) > longestTagKey || utf8.RuneCountInString(*tag.Value) > longestTagValue:
			return nil, wire.Errorf(codeInvalidTagParameter, "Invalid parameter at 'tags' failed to satisfy constraint: 'a Key has at most 128 characters and a Value at most 256'")
		case strings.HasPrefix(strings.ToLower(*tag.Key), "aws:") && !wire.FromCloudFormation(ctx):
			return nil, wire.Errorf(codeInvalidTagParameter, "Invalid parameter at 'tags' failed to satisfy constraint: 'a Key does not begin with aws:'")
		}
		if merged == nil {
			merged = map[string]string{}
		}
		merged[*tag.Key] = *tag.Value
	}
	if len(merged) > mostTags {
		return nil, wire.Errorf(codeTooManyTags, "The repository would have %d tags, and the limit is %d", len(merged), mostTags)
	}
	return merged, nil
}

// named returns the name of the repository that an ARN is of.
func (s *Service) named(arn *string) (*string, error) {
	if arn == nil {
		return nil, invalidParameter("resourceArn", "Member must not be null")
	}
	name, found := strings.CutPrefix(*arn, s.arn(""))
	if !found {
		return nil, invalidParameter("resourceArn", "must be the ARN of a repository of this account and region")
	}
	return &name, nil
}

func (s *Service) tagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if in.Tags == nil {
		return nil, invalidParameter("tags", "Member must not be null")
	}
	err = s.change(nil, name, func(r *repository) (err error) {
		r.Tags, err = mergeTags(ctx, r.Tags, in.Tags)
		return err
	})
	return &api.TagResourceOutput{}, err
}

func (s *Service) untagResource(_ context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if in.TagKeys == nil {
		return nil, invalidParameter("tagKeys", "Member must not be null")
	}
	err = s.change(nil, name, func(r *repository) error {
		maps.DeleteFunc(r.Tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return nil
	})
	return &api.UntagResourceOutput{}, err
}

// listTagsOutput stands for the SDK's output type: a Tag's members are the only ones
// in ECR's model that begin with a capital, and a map keeps them so.
type listTagsOutput struct{ Tags []map[string]string }

func (s *Service) listTagsForResource(_ context.Context, in *api.ListTagsForResourceInput) (*listTagsOutput, error) {
	name, err := s.named(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &listTagsOutput{Tags: []map[string]string{}}
	err = s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, nil, name)
		for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
			out.Tags = append(out.Tags, map[string]string{"Key": key, "Value": r.Tags[key]})
		}
		return err
	})
	return out, err
}
