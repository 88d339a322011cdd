package cli

import (
	"errors"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// handoffFlags name a handoff, and take the contract's place where there is none.
type handoffFlags struct {
	Handoff        string   `arg:"" optional:"" env:"TASUKI_HANDOFF" help:"Name of the handoff, as in orders or stg/orders."`
	Repository     string   `placeholder:"NAME" help:"ECR repository, by name or in full, in place of the contract's."`
	Function       []string `placeholder:"NAME" help:"Lambda function, in place of the contract's; repeat for several."`
	Parameter      string   `env:"TASUKI_TAG_PARAMETER" placeholder:"NAME" help:"Tag parameter, in place of the contract's."`
	Architecture   string   `placeholder:"ARCH" help:"Architecture of the functions, x86_64 or arm64, in place of the contract's."`
	PlaceholderTag string   `placeholder:"TAG" help:"Tag of the placeholder image, in place of the contract's (initial)."`
}

// load returns the handoff: the contract's, with what flags say in its place. The
// contract is not read when the flags say all that it could.
func (f *handoffFlags) load(s *session) (tasuki.Handoff, error) {
	name, err := tasuki.ParseHandoffName(f.Handoff)
	if err != nil {
		return tasuki.Handoff{}, &usageError{err}
	}
	aws, err := s.backend()
	if err != nil {
		return tasuki.Handoff{}, err
	}
	h := tasuki.Handoff{Name: name, TagParameter: name.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag}
	if f.Repository == "" || len(f.Function) == 0 {
		contract, err := tasuki.FindContract(s.ctx, aws.Contracts, name)
		switch {
		case err == nil:
			h = contract.Handoff
		case !errors.Is(err, tasuki.ErrMissing):
			return h, err
		}
	}
	if err := f.overlay(&h); err != nil {
		return h, &usageError{err}
	}
	switch {
	case strings.Contains(f.Repository, ".amazonaws.") || strings.Contains(f.Repository, ".on.aws/"):
		if h.Repository, err = tasuki.ParseRepository(f.Repository); err != nil {
			return h, &usageError{err}
		}
	case f.Repository != "" || h.Repository.IsZero():
		repository := f.Repository
		if repository == "" {
			repository = name.String()
		}
		if err := tasuki.CheckRepositoryName(repository); err != nil {
			return h, &usageError{err}
		}
		if h.Repository, err = aws.Images.Repository(s.ctx, repository); err != nil {
			return h, err
		}
	}
	return h, nil
}

// overlay puts what the flags say in place of what the contract said, the
// repository excepted.
func (f *handoffFlags) overlay(h *tasuki.Handoff) (err error) {
	if f.Parameter != "" {
		if h.TagParameter, err = tasuki.ParseParameterName(f.Parameter); err != nil {
			return err
		}
	}
	if f.PlaceholderTag != "" {
		if h.PlaceholderTag, err = tasuki.ParseTag(f.PlaceholderTag); err != nil {
			return err
		}
	}
	var arch tasuki.Architecture
	if f.Architecture != "" {
		if arch, err = tasuki.ParseArchitecture(f.Architecture); err != nil {
			return err
		}
	}
	if len(f.Function) > 0 {
		h.Functions = nil
		for _, name := range f.Function {
			if err := tasuki.CheckFunctionName(name); err != nil {
				return err
			}
			h.Functions = append(h.Functions, tasuki.FunctionTarget{Name: name})
		}
	}
	if arch != "" {
		for i := range h.Functions {
			h.Functions[i].Architecture = arch
		}
	}
	return nil
}
