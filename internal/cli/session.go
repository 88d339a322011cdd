package cli

import (
	"context"
	"iter"
	"maps"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// session is what a command runs with.
type session struct {
	ctx     context.Context
	region  string // as the flag says; "" for none
	options awsbackend.Options
	*printer
	aws   *awsbackend.Backend                    // nil until it is needed
	known map[tasuki.HandoffName]tasuki.Contract // contracts that were read together, before each is asked for
}

// backend returns AWS, its configuration read at the first use.
func (s *session) backend() (*awsbackend.Backend, error) {
	if s.aws != nil {
		return s.aws, nil
	}
	var err error
	s.aws, err = awsbackend.Load(s.ctx, s.options)
	return s.aws, err
}

// together reads contracts, ten a call, for [session.contract] to return. Those that
// cannot be read so are read alone, when they are asked for, and then say why.
func (s *session) together(names []string) {
	var unknown []tasuki.HandoffName
	for _, name := range names {
		if parsed, err := tasuki.ParseHandoffName(name); err == nil {
			if _, known := s.known[parsed]; !known {
				unknown = append(unknown, parsed)
			}
		}
	}
	if len(unknown) < 2 {
		return
	}
	if contracts, err := s.aws.Contracts.ReadContracts(s.ctx, unknown...); err == nil {
		s.keep(maps.Values(contracts))
	}
}

// keep keeps contracts for [session.contract] to return.
func (s *session) keep(contracts iter.Seq[tasuki.Contract]) {
	if s.known == nil {
		s.known = map[tasuki.HandoffName]tasuki.Contract{}
	}
	for contract := range contracts {
		s.known[contract.Name] = contract
	}
}

// contract returns a handoff's contract.
func (s *session) contract(name tasuki.HandoffName) (tasuki.Contract, error) {
	if contract, known := s.known[name]; known {
		return contract, nil
	}
	return tasuki.FindContract(s.ctx, s.aws.Contracts, name)
}

// resolver wires the domain to AWS. With a handoff's name, the built-in placeholder
// is at hand.
func (s *session) resolver(placeholder tasuki.ImageSource) tasuki.Resolver {
	return tasuki.Resolver{
		Tags: s.aws.Tags, Functions: s.aws.Functions, Images: s.aws.Images,
		Rules: lambdaimage.Check, Placeholder: placeholder, Observe: s.observe,
	}
}

func (s *session) reconciler(placeholder tasuki.ImageSource) tasuki.Reconciler {
	return tasuki.Reconciler{
		Resolver: s.resolver(placeholder), Updater: s.aws.Functions, Versions: s.aws.Functions, Tagger: s.aws.Images,
	}
}

// changing is reconciler for the commands that wait while the handoff's stack, "" for
// none, is being changed.
func (s *session) changing(stack string, placeholder tasuki.ImageSource) tasuki.Reconciler {
	r := s.reconciler(placeholder)
	r.Stack, r.Stacks = stack, s.aws.Stacks
	return r
}

func (s *session) surveyor() tasuki.Surveyor {
	return tasuki.Surveyor{Reconciler: s.reconciler(nil), Batch: s.aws.Tags, History: s.aws.Tags}
}

// registry logs in to the ECR registry of a repository.
func (s *session) registry(ctx context.Context, repository tasuki.Repository) (image.Registry, error) {
	r, err := s.aws.Images.Registry(ctx, repository)
	return image.Registry{Host: r.Host, PlainHTTP: r.PlainHTTP, Username: r.User, Password: r.Password}, err
}
