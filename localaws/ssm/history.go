package ssm

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// mostPerPage is how many elements a page of GetParameterHistory or
// DescribeParameters has at most.
const mostPerPage = 50

// GetParameterHistory returns the versions that are kept of a parameter, oldest first.
func (s *Service) GetParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	ref, err := s.parseReference("name", in.Name)
	if err != nil {
		return nil, err
	}
	if ref.selector != "" {
		return nil, invalid("Parameter name: a version or label can't be given to GetParameterHistory.")
	}
	size, err := pageSize(in.MaxResults, mostPerPage)
	if err != nil {
		return nil, err
	}
	last, err := lastKey(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &ssm.GetParameterHistoryOutput{Parameters: []types.ParameterHistory{}}
	err = s.store.View(func(tx *state.Tx) error {
		for _, name := range ref.names {
			p, found, err := s.seen(ctx).Get(tx, name)
			if err != nil {
				return err
			}
			if found {
				return s.history(tx, out, name, p, size, last, aws.ToBool(in.WithDecryption))
			}
		}
		return errNotFound()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// history fills a page with the versions of p whose keys lie behind last.
func (s *Service) history(tx *state.Tx, out *ssm.GetParameterHistoryOutput, name string, p parameter, size int, last string, decrypt bool) error {
	for n := p.First; n <= p.Last; n++ {
		key := versionKey(name, n)
		if key <= last {
			continue
		}
		if len(out.Parameters) == size {
			out.NextToken = nextToken(versionKey(name, n-1))
			return nil
		}
		v, err := s.version(tx, name, n)
		if err != nil {
			return err
		}
		out.Parameters = append(out.Parameters, types.ParameterHistory{
			AllowedPattern:   optional(v.AllowedPattern),
			DataType:         aws.String(dataType),
			Description:      optional(v.Description),
			KeyId:            optional(v.KeyID),
			Labels:           p.labels(n),
			LastModifiedDate: &v.ModifiedAt,
			LastModifiedUser: &v.ModifiedBy,
			Name:             &name,
			Policies:         []types.ParameterInlinePolicy{},
			Tier:             types.ParameterTierStandard,
			Type:             v.Type,
			Value:            aws.String(v.reveal(decrypt)),
			Version:          n,
		})
	}
	return nil
}

// labels returns the labels of the n-th version, sorted; an empty list for none.
func (p parameter) labels(n int64) []string {
	labels := []string{}
	for _, label := range slices.Sorted(maps.Keys(p.Labels)) {
		if p.Labels[label] == n {
			labels = append(labels, label)
		}
	}
	return labels
}

// optional returns s, or nil where it is empty: an absent member.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
