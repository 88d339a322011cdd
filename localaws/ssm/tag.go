package ssm

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mostTags is how many tags a parameter can have.
const mostTags = 50

var tagGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`) })

// AddTagsToResource adds tags to a parameter, or replaces their values.
func (s *Service) AddTagsToResource(_ context.Context, in *ssm.AddTagsToResourceInput) (*ssm.AddTagsToResourceOutput, error) {
	if in.Tags == nil {
		_, err := required[string]("tags", nil)
		return nil, err
	}
	err := s.retag("AddTagsToResource", in.ResourceType, in.ResourceId, func(tags map[string]string) (map[string]string, error) {
		return withTags(tags, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return new(ssm.AddTagsToResourceOutput), nil
}

// RemoveTagsFromResource removes tags from a parameter; keys that it does not have
// are no error.
func (s *Service) RemoveTagsFromResource(_ context.Context, in *ssm.RemoveTagsFromResourceInput) (*ssm.RemoveTagsFromResourceOutput, error) {
	if in.TagKeys == nil {
		_, err := required[string]("tagKeys", nil)
		return nil, err
	}
	err := s.retag("RemoveTagsFromResource", in.ResourceType, in.ResourceId, func(tags map[string]string) (map[string]string, error) {
		kept := maps.Clone(tags)
		maps.DeleteFunc(kept, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return kept, nil
	})
	if err != nil {
		return nil, err
	}
	return new(ssm.RemoveTagsFromResourceOutput), nil
}

// ListTagsForResource returns a parameter's tags, sorted by key.
func (s *Service) ListTagsForResource(ctx context.Context, in *ssm.ListTagsForResourceInput) (*ssm.ListTagsForResourceOutput, error) {
	name, err := checkResource("ListTagsForResource", in.ResourceType, in.ResourceId)
	if err != nil {
		return nil, err
	}
	out := &ssm.ListTagsForResourceOutput{TagList: []types.Tag{}}
	err = s.store.View(func(tx *state.Tx) error {
		p, found, err := s.seen(ctx).Get(tx, name)
		if err != nil {
			return err
		}
		if !found {
			return errResource()
		}
		for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
			out.TagList = append(out.TagList, types.Tag{Key: aws.String(key), Value: aws.String(p.Tags[key])})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// retag writes a parameter with the tags that change makes of its tags.
func (s *Service) retag(operation string, kind types.ResourceTypeForTagging, id *string, change func(map[string]string) (map[string]string, error)) error {
	name, err := checkResource(operation, kind, id)
	if err != nil {
		return err
	}
	return s.store.Update(func(tx *state.Tx) error {
		old, found, err := s.now.Get(tx, name)
		if err != nil {
			return err
		}
		if !found {
			return errResource()
		}
		next := old
		if next.Tags, err = change(old.Tags); err != nil {
			return err
		}
		return s.write(tx, name, &old, &next)
	})
}

// checkResource returns the name of the parameter that a request about tags is about.
func checkResource(operation string, kind types.ResourceTypeForTagging, id *string) (string, error) {
	if err := checkEnum("resourceType", kind, kind.Values()); err != nil {
		return "", err
	}
	if kind != types.ResourceTypeForTaggingParameter {
		return "", wire.NotProvided("ssm", operation+" for a "+string(kind))
	}
	name, err := required("resourceId", id)
	return trim(name), err
}

func errResource() error {
	return wire.Errorf("InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
}

// withTags returns tags with further ones, and leaves tags as they are.
func withTags(tags map[string]string, further []types.Tag) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, tags)
	for _, tag := range further {
		key, err := required("tags.member.key", tag.Key)
		if err != nil {
			return nil, err
		}
		value, err := required("tags.member.value", tag.Value)
		if err != nil {
			return nil, err
		}
		if err := checkLength("tags.member.key", key, 1, 128); err != nil {
			return nil, err
		}
		if err := checkLength("tags.member.value", value, 0, 256); err != nil {
			return nil, err
		}
		for _, text := range []string{key, value} {
			if !tagGrammar().MatchString(text) {
				return nil, violation("tags", text, "Member must satisfy regular expression pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$")
			}
		}
		all[key] = value
	}
	if len(all) > mostTags {
		return nil, wire.Errorf("TooManyTagsError", "A parameter can have %d tags at most.", mostTags)
	}
	return all, nil
}
