package ecr

import (
	"context"
	"path"
	"regexp"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mutability says which tags of a repository can be moved to another image.
type mutability struct {
	Mode      types.ImageTagMutability
	Exclusion []string // wildcard patterns of the tags that are treated the other way
}

// exclusionPattern and mostExclusions are the model's. The pattern is made when it is
// first used, as tagPattern is.
var exclusionPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-zA-Z._*-]{1,128}$`) })

const mostExclusions = 5

// newMutability checks a mode and its filters; no mode means MUTABLE.
func newMutability(mode types.ImageTagMutability, filters []types.ImageTagMutabilityExclusionFilter) (mutability, error) {
	if mode == "" {
		mode = types.ImageTagMutabilityMutable
	}
	if !slices.Contains(mode.Values(), mode) {
		return mutability{}, notInEnum("imageTagMutability", mode.Values())
	}
	m := mutability{Mode: mode}
	excluding := mode == types.ImageTagMutabilityMutableWithExclusion || mode == types.ImageTagMutabilityImmutableWithExclusion
	if excluding != (len(filters) > 0) {
		return mutability{}, wire.Errorf(codeInvalidParameter, "Invalid parameter: 'imageTagMutabilityExclusionFilters' must be given with MUTABLE_WITH_EXCLUSION or IMMUTABLE_WITH_EXCLUSION, and with these only")
	}
	if len(filters) > mostExclusions {
		return mutability{}, invalidParameter("imageTagMutabilityExclusionFilters", "Member must have length less than or equal to 5")
	}
	for _, f := range filters {
		if f.FilterType != types.ImageTagMutabilityExclusionFilterTypeWildcard {
			return mutability{}, notInEnum("imageTagMutabilityExclusionFilters.filterType", f.FilterType.Values())
		}
		if f.Filter == nil || !exclusionPattern().MatchString(*f.Filter) {
			return mutability{}, invalidParameter("imageTagMutabilityExclusionFilters.filter", "must satisfy regular expression '"+exclusionPattern().String()+"'")
		}
		m.Exclusion = append(m.Exclusion, *f.Filter)
	}
	return m, nil
}

// immutable reports whether the tag, once it names an image, has to stay.
func (m mutability) immutable(tag string) bool {
	// A tag has no '/', and a filter has no special character but '*': path.Match
	// is exactly ECR's wildcard here, and its error cannot occur.
	excluded := slices.ContainsFunc(m.Exclusion, func(pattern string) bool {
		matched, _ := path.Match(pattern, tag)
		return matched
	})
	immutable := m.Mode == types.ImageTagMutabilityImmutable || m.Mode == types.ImageTagMutabilityImmutableWithExclusion
	return immutable != excluded
}

func (m mutability) filters() []types.ImageTagMutabilityExclusionFilter {
	var filters []types.ImageTagMutabilityExclusionFilter
	for _, pattern := range m.Exclusion {
		filters = append(filters, types.ImageTagMutabilityExclusionFilter{
			Filter: aws.String(pattern), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard,
		})
	}
	return filters
}

func (s *Service) putImageTagMutability(_ context.Context, in *api.PutImageTagMutabilityInput) (*api.PutImageTagMutabilityOutput, error) {
	if in.ImageTagMutability == "" {
		return nil, invalidParameter("imageTagMutability", "Member must not be null")
	}
	m, err := newMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	err = s.change(in.RegistryId, in.RepositoryName, func(r *repository) error {
		r.Mutability = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutImageTagMutabilityOutput{
		ImageTagMutability:                 m.Mode,
		ImageTagMutabilityExclusionFilters: m.filters(),
		RegistryId:                         aws.String(s.account),
		RepositoryName:                     in.RepositoryName,
	}, nil
}

// change changes a repository's own row.
func (s *Service) change(registry, name *string, f func(*repository) error) error {
	return s.store.Update(func(tx *state.Tx) error {
		r, err := s.repository(tx, registry, name)
		if err != nil {
			return err
		}
		if err := f(&r); err != nil {
			return err
		}
		return repositories.Put(tx, r.Name, r)
	})
}
