package ssm

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// DeleteParameter removes a parameter with its versions, labels and tags. The name
// can be used again at once, and begins again at version 1.
func (s *Service) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	name, err := s.checkName("name", in.Name)
	if err != nil {
		return nil, err
	}
	var kind types.ParameterType
	err = s.store.Update(func(tx *state.Tx) error {
		kind, err = s.remove(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.tell("Delete", name, kind)
	return new(ssm.DeleteParameterOutput), nil
}

// DeleteParameters removes several parameters, and says which of the names name nothing.
func (s *Service) DeleteParameters(_ context.Context, in *ssm.DeleteParametersInput) (*ssm.DeleteParametersOutput, error) {
	if err := checkCount("names", in.Names, mostNames); err != nil {
		return nil, err
	}
	out := &ssm.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	kinds := map[string]types.ParameterType{} // of what is deleted, by name
	err := s.store.Update(func(tx *state.Tx) error {
		for _, given := range in.Names {
			name, err := s.checkName("names", &given)
			var kind types.ParameterType
			if err == nil {
				kind, err = s.remove(tx, name)
			}
			switch {
			case err == nil:
				kinds[name] = kind
				out.DeletedParameters = append(out.DeletedParameters, given)
			case isNotFound(err):
				out.InvalidParameters = append(out.InvalidParameters, given)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		s.tell("Delete", name, kinds[name])
	}
	return out, nil
}

// remove removes a parameter, and returns its type.
func (s *Service) remove(tx *state.Tx, name string) (types.ParameterType, error) {
	old, found, err := s.now.Get(tx, name)
	if err != nil {
		return "", err
	}
	if !found {
		return "", errNotFound()
	}
	last, err := s.version(tx, name, old.Last)
	if err != nil {
		return "", err
	}
	return last.Type, s.write(tx, name, &old, nil)
}
