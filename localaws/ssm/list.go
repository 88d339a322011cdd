package ssm

import (
	"context"
	"regexp"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mostByPath is how many parameters a page of GetParametersByPath has at most.
const mostByPath = 10

var pathGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(/[a-zA-Z0-9_.-]+)*/?$`) })

// GetParametersByPath returns the latest versions of the parameters under a path,
// by name: those directly under it, or all.
func (s *Service) GetParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	path, err := required("path", in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	for _, f := range in.ParameterFilters {
		if aws.ToString(f.Key) == "Label" {
			return nil, wire.NotProvided("ssm", "GetParametersByPath with a filter of labels")
		}
	}
	filters, err := parseFilters(in.ParameterFilters, "Type", "KeyId")
	if err != nil {
		return nil, err
	}
	option := optionOneLevel
	if aws.ToBool(in.Recursive) {
		option = optionRecursive
	}
	filters = append(filters, filter{key: "Path", option: option, values: []string{path}})
	out := &ssm.GetParametersByPathOutput{Parameters: []types.Parameter{}}
	out.NextToken, err = s.list(ctx, in.MaxResults, mostByPath, in.NextToken, filters, func(tx *state.Tx, name string, p parameter, _ version) error {
		answer, err := s.describe(tx, name, p.Last, aws.ToBool(in.WithDecryption))
		out.Parameters = append(out.Parameters, answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeParameters returns what is known of the parameters but their values, by name.
func (s *Service) DescribeParameters(ctx context.Context, in *ssm.DescribeParametersInput) (*ssm.DescribeParametersOutput, error) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	filters, err := parseFilters(in.ParameterFilters, "Path", "Name", "Type", "KeyId", "Tier", "DataType", tagKey)
	if err != nil {
		return nil, err
	}
	for _, old := range in.Filters {
		f, err := parseOldFilter(old)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	out := &ssm.DescribeParametersOutput{Parameters: []types.ParameterMetadata{}}
	if aws.ToBool(in.Shared) {
		return out, nil // no other account shares anything with this one
	}
	out.NextToken, err = s.list(ctx, in.MaxResults, mostPerPage, in.NextToken, filters, func(_ *state.Tx, name string, p parameter, v version) error {
		out.Parameters = append(out.Parameters, types.ParameterMetadata{
			ARN:              aws.String(s.arn(name)),
			AllowedPattern:   optional(v.AllowedPattern),
			DataType:         aws.String(dataType),
			Description:      optional(v.Description),
			KeyId:            optional(v.KeyID),
			LastModifiedDate: &v.ModifiedAt,
			LastModifiedUser: &v.ModifiedBy,
			Name:             &name,
			Policies:         []types.ParameterInlinePolicy{},
			Tier:             types.ParameterTierStandard,
			Type:             v.Type,
			Version:          p.Last,
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// list calls add for each parameter of one page, with its latest version, and
// returns the token of the next page.
func (s *Service) list(ctx context.Context, asked *int32, most int, token *string, filters []filter, add func(*state.Tx, string, parameter, version) error) (next *string, err error) {
	size, err := pageSize(asked, most)
	if err != nil {
		return nil, err
	}
	last, err := lastKey(token)
	if err != nil {
		return nil, err
	}
	err = s.store.View(func(tx *state.Tx) error {
		var broken error
		added := 0
		for name, p := range s.seen(ctx).All(tx, "", &broken) {
			if name <= last {
				continue
			}
			v, err := s.version(tx, name, p.Last)
			if err != nil {
				return err
			}
			if !matchAll(filters, name, p, v) {
				continue
			}
			if added == size {
				next = nextToken(last)
				return nil
			}
			if err := add(tx, name, p, v); err != nil {
				return err
			}
			last = name
			added++
		}
		return broken
	})
	return next, err
}

func checkPath(path string) error {
	if !pathGrammar().MatchString(path) || !strings.HasPrefix(path, "/") {
		return invalid(`The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`)
	}
	return nil
}
