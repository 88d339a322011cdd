package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// handoffFlags name a handoff, and take the contract's place where there is none.
type handoffFlags struct {
	Handoff string `arg:"" optional:"" env:"TASUKI_HANDOFF" help:"Name of the handoff, as in orders or stg/orders."`
	targetFlags
}

// load returns the handoff.
func (f *handoffFlags) load(s *session) (tasuki.Handoff, error) {
	return f.targetFlags.load(s, f.Handoff)
}

// handoffsFlags name several handoffs.
type handoffsFlags struct {
	Handoffs []string `arg:"" optional:"" env:"TASUKI_HANDOFF" help:"Names of the handoffs, as in orders or stg/orders; stg/ is all that begin with it and have a contract."`
	targetFlags
}

// names returns the names of the handoffs, those behind a prefix included.
func (f *handoffsFlags) names(s *session) ([]string, error) {
	var names []string
	var contracts []tasuki.Contract
	for _, name := range f.Handoffs {
		prefix, isPrefix := strings.CutSuffix(name, "/")
		if !isPrefix {
			names = append(names, name)
			continue
		}
		aws, err := s.backend()
		if err != nil {
			return nil, err
		}
		if contracts == nil {
			if contracts, err = aws.Contracts.ListContracts(s.ctx); err != nil {
				return nil, err
			}
			s.keep(slices.Values(contracts))
		}
		before := len(names)
		for _, contract := range contracts {
			if strings.HasPrefix(contract.Name.String(), prefix+"/") {
				names = append(names, contract.Name.String())
			}
		}
		if len(names) == before {
			return nil, usage("no handoff that has a contract begins with %s", name)
		}
	}
	names = distinct(names)
	if len(names) > 1 && f.targetFlags.given() {
		return nil, usage("flags that stand in for a contract are for one handoff, and %d are named", len(names))
	}
	return names, nil
}

// distinct returns names without those that came before: a handoff that is named, and
// behind a prefix as well, is one.
func distinct(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		before := seen[name]
		seen[name] = true
		return before
	})
}

// targetFlags take the contract's place where there is none.
type targetFlags struct {
	Repository     string   `placeholder:"NAME" help:"ECR repository, by name or in full, in place of the contract's."`
	Function       []string `placeholder:"NAME" help:"Lambda function, in place of the contract's; repeat for several."`
	Alias          string   `placeholder:"NAME" help:"Alias that follows releases, in place of the contract's."`
	Parameter      string   `env:"TASUKI_TAG_PARAMETER" placeholder:"NAME" help:"Tag parameter, in place of the contract's."`
	Architecture   string   `placeholder:"ARCH" help:"Architecture of the functions, x86_64 or arm64, in place of the contract's."`
	PlaceholderTag string   `placeholder:"TAG" help:"Tag of the placeholder image, in place of the contract's (initial)."`
}

// given reports whether a flag was given that is about one handoff alone.
func (f *targetFlags) given() bool {
	return f.Repository != "" || len(f.Function) > 0 || f.Parameter != ""
}

// load returns the handoff: the contract's, with what flags say in its place.
func (f *targetFlags) load(s *session, handoff string) (tasuki.Handoff, error) {
	h, _, err := f.loadWithStack(s, handoff)
	return h, err
}

// loadWithStack is load that also returns the id of the stack which the contract names,
// "" for none. The contract is not read when the flags say all that it could.
func (f *targetFlags) loadWithStack(s *session, handoff string) (h tasuki.Handoff, stack string, err error) {
	name, err := tasuki.ParseHandoffName(handoff)
	if err != nil {
		return h, "", &usageError{err}
	}
	aws, err := s.backend()
	if err != nil {
		return h, "", err
	}
	h = tasuki.Handoff{Name: name, TagParameter: name.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag}
	if f.Repository == "" || len(f.Function) == 0 {
		contract, err := s.contract(name)
		switch {
		case err == nil:
			h, stack = contract.Handoff, contract.StackID
		case !errors.Is(err, tasuki.ErrMissing):
			return h, "", err
		}
	}
	if err := f.overlay(&h); err != nil {
		return h, "", &usageError{err}
	}
	switch {
	case strings.Contains(f.Repository, ".amazonaws.") || strings.Contains(f.Repository, ".on.aws/"):
		if h.Repository, err = tasuki.ParseRepository(f.Repository); err != nil {
			return h, "", &usageError{err}
		}
	case f.Repository != "" || h.Repository.IsZero():
		repository := f.Repository
		if repository == "" {
			repository = name.String()
		}
		if err := tasuki.CheckRepositoryName(repository); err != nil {
			return h, "", &usageError{err}
		}
		h.Repository, err = aws.Images.Repository(s.ctx, repository)
		if f.Repository == "" && errors.Is(err, tasuki.ErrMissing) {
			return h, "", &tasuki.Error{
				Op: "find handoff", Subject: name.String(), Kind: tasuki.ErrMissing,
				Err:  fmt.Errorf("there is neither a contract %s nor an ECR repository %s", name.ContractParameter(), repository),
				Hint: "Check the handoff's name, --region and --profile; where the infra side writes no contract, give --repository and --function.",
			}
		}
		if err != nil {
			return h, "", err
		}
	}
	return h, stack, nil
}

// noFunction says of a handoff, which may be another than was meant, that no function of
// it was looked at.
func noFunction(handoff string) string {
	return fmt.Sprintf("no contract and no --function names a function of handoff %s, so that none is looked at", handoff)
}

// overlay puts what the flags say in place of what the contract said, the
// repository excepted.
func (f *targetFlags) overlay(h *tasuki.Handoff) (err error) {
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
			if slices.ContainsFunc(h.Functions, func(f tasuki.FunctionTarget) bool { return f.Name == name }) {
				return fmt.Errorf("--function %s is given twice", name)
			}
			h.Functions = append(h.Functions, tasuki.FunctionTarget{Name: name})
		}
	}
	if f.Alias != "" {
		if err := tasuki.CheckAliasName(f.Alias); err != nil {
			return err
		}
	}
	for i := range h.Functions {
		h.Functions[i].Architecture = cmp.Or(arch, h.Functions[i].Architecture)
		h.Functions[i].Alias = cmp.Or(f.Alias, h.Functions[i].Alias)
	}
	return nil
}
