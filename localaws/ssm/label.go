package ssm

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// mostLabels is how many labels one version can have.
const mostLabels = 10

var labelGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z_.-][a-zA-Z0-9_.-]*$`) })

// LabelParameterVersion attaches labels to a version, the latest where none is
// given, and takes them from other versions. Labels that cannot be labels are
// listed, and the others attached.
func (s *Service) LabelParameterVersion(_ context.Context, in *ssm.LabelParameterVersionInput) (*ssm.LabelParameterVersionOutput, error) {
	out := &ssm.LabelParameterVersionOutput{InvalidLabels: []string{}}
	err := s.relabel(in.Name, in.Labels, func(name string, p *parameter) error {
		n := p.Last
		if in.ParameterVersion != nil {
			n = *in.ParameterVersion
		}
		if !p.holds(n) {
			return errVersionNotFound(name, n)
		}
		out.ParameterVersion = n
		for _, label := range in.Labels {
			if !labelGrammar().MatchString(label) || hasPrefixFold(label, "aws") || hasPrefixFold(label, "ssm") {
				out.InvalidLabels = append(out.InvalidLabels, label)
				continue
			}
			p.Labels[label] = n
		}
		if len(p.labels(n)) > mostLabels {
			return wire.Errorf("ParameterVersionLabelLimitExceeded", "A parameter version can have maximum %d labels. Move one or more labels to another version and try again.", mostLabels)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UnlabelParameterVersion takes labels from a version. Labels that the version
// does not have are listed.
func (s *Service) UnlabelParameterVersion(_ context.Context, in *ssm.UnlabelParameterVersionInput) (*ssm.UnlabelParameterVersionOutput, error) {
	if _, err := required("parameterVersion", in.ParameterVersion); err != nil {
		return nil, err
	}
	out := &ssm.UnlabelParameterVersionOutput{InvalidLabels: []string{}, RemovedLabels: []string{}}
	err := s.relabel(in.Name, in.Labels, func(name string, p *parameter) error {
		n := aws.ToInt64(in.ParameterVersion)
		if !p.holds(n) {
			return errVersionNotFound(name, n)
		}
		for _, label := range in.Labels {
			if !slices.Contains(p.labels(n), label) {
				out.InvalidLabels = append(out.InvalidLabels, label)
				continue
			}
			delete(p.Labels, label)
			out.RemovedLabels = append(out.RemovedLabels, label)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// relabel writes a parameter with its labels changed.
func (s *Service) relabel(given *string, labels []string, change func(name string, p *parameter) error) error {
	name, err := s.checkName("name", given)
	if err != nil {
		return err
	}
	if err := checkCount("labels", labels, mostLabels); err != nil {
		return err
	}
	for _, label := range labels {
		if err := checkLength("labels", label, 1, 100); err != nil {
			return err
		}
	}
	return s.store.Update(func(tx *state.Tx) error {
		old, found, err := s.now.Get(tx, name)
		if err != nil {
			return err
		}
		if !found {
			return errNotFound()
		}
		next := old
		next.Labels = map[string]int64{}
		maps.Copy(next.Labels, old.Labels)
		if err := change(name, &next); err != nil {
			return err
		}
		return s.write(tx, name, &old, &next)
	})
}
