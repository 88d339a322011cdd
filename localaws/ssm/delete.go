package ssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// DeleteParameter removes a parameter with its versions, labels and tags. The name
// can be used again at once, and begins again at version 1.
func (s *Service) DeleteParameter(_ context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	name, err := s.checkName("name", in.Name)
	if err != nil {
		return nil, err
	}
	err = s.store.Update(func(tx *state.Tx) error { return s.remove(tx, name) })
	if err != nil {
		return nil, err
	}
	return new(ssm.DeleteParameterOutput), nil
}

// DeleteParameters removes several parameters, and says which of the names name nothing.
func (s *Service) DeleteParameters(_ context.Context, in *ssm.DeleteParametersInput) (*ssm.DeleteParametersOutput, error) {
	if err := checkCount("names", in.Names, 1, mostNames); err != nil {
		return nil, err
	}
	out := &ssm.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	err := s.store.Update(func(tx *state.Tx) error {
		for _, given := range in.Names {
			name, err := s.checkName("names", &given)
			if err == nil {
				err = s.remove(tx, name)
			}
			switch {
			case err == nil:
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
	return out, nil
}

func (s *Service) remove(tx *state.Tx, name string) error {
	old, found, err := s.now.Get(tx, name)
	if err != nil {
		return err
	}
	if !found {
		return errNotFound()
	}
	return s.write(tx, name, &old, nil)
}
