package cli

import (
	"context"

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
	aws *awsbackend.Backend // nil until it is needed
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

// registry logs in to ECR's registry.
func (s *session) registry(ctx context.Context) (image.Registry, error) {
	r, err := s.aws.Images.Registry(ctx)
	return image.Registry{Host: r.Host, PlainHTTP: r.PlainHTTP, Username: r.User, Password: r.Password}, err
}
