package ssm

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mostNames is how many names one call can give.
const mostNames = 10

// GetParameter returns one version of one parameter.
func (s *Service) GetParameter(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	ref, err := s.parseReference("name", in.Name)
	if err != nil {
		return nil, err
	}
	out := new(ssm.GetParameterOutput)
	err = s.store.View(func(tx *state.Tx) error {
		out.Parameter, err = s.find(tx, s.seen(ctx), ref, aws.ToBool(in.WithDecryption))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetParameters returns one version each of several parameters, in the order of
// their names in the request, and which of the names name nothing.
func (s *Service) GetParameters(ctx context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	if err := checkCount("names", in.Names, mostNames); err != nil {
		return nil, err
	}
	out := &ssm.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
	err := s.store.View(func(tx *state.Tx) error {
		for i, name := range in.Names {
			if slices.Contains(in.Names[:i], name) {
				continue
			}
			ref, err := s.parseReference("names", &name)
			var found *types.Parameter
			if err == nil {
				found, err = s.find(tx, s.seen(ctx), ref, aws.ToBool(in.WithDecryption))
			}
			switch {
			case err == nil:
				out.Parameters = append(out.Parameters, *found)
			case isNotFound(err):
				out.InvalidParameters = append(out.InvalidParameters, name)
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

// isNotFound reports whether err says that there is no such parameter or version.
func isNotFound(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && (e.Code == "ParameterNotFound" || e.Code == "ParameterVersionNotFound")
}

// find returns the version that ref names.
func (s *Service) find(tx *state.Tx, parameters state.Table[parameter], ref reference, decrypt bool) (*types.Parameter, error) {
	for _, name := range ref.names {
		p, found, err := parameters.Get(tx, name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		n, err := p.selected(name, ref.selector)
		if err != nil {
			return nil, err
		}
		answer, err := s.describe(tx, name, n, decrypt)
		if ref.selector != "" {
			answer.Selector = aws.String(":" + ref.selector)
		}
		return &answer, err
	}
	return nil, errNotFound()
}

// selected returns the version that a selector means. Labels do not begin with a
// digit, so that none is mistaken for a version.
func (p parameter) selected(name, selector string) (int64, error) {
	if selector == "" {
		return p.Last, nil
	}
	if n, err := strconv.ParseInt(selector, 10, 64); err == nil {
		if !p.holds(n) {
			return 0, errVersionNotFound(name, n)
		}
		return n, nil
	}
	n, found := p.Labels[selector]
	if !found {
		return 0, wire.Errorf("ParameterVersionNotFound", "Systems Manager could not find label %s of %s. Verify the label and try again.", selector, name)
	}
	return n, nil
}

// describe returns the n-th version of a parameter as the reads answer it.
func (s *Service) describe(tx *state.Tx, name string, n int64, decrypt bool) (types.Parameter, error) {
	v, err := s.version(tx, name, n)
	return types.Parameter{
		ARN:              aws.String(s.arn(name)),
		DataType:         aws.String(dataType),
		LastModifiedDate: &v.ModifiedAt,
		Name:             &name,
		Type:             v.Type,
		Value:            aws.String(v.reveal(decrypt)),
		Version:          n,
	}, err
}
