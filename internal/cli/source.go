package cli

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki/image"
)

// sourceFlags say how an image from outside the repository is reached.
type sourceFlags struct {
	ImageSecret string `placeholder:"ARN" help:"Secret in AWS Secrets Manager with the user and password for the registry of --image, as {\"username\", \"password\"} or user:password; default: what docker login has stored, and ECR's own."`
}

// open opens the image that a flag names, bound to ECR's registry. The caller closes
// its Source.
func (f *sourceFlags) open(s *session, reference string) (image.Release, error) {
	options, err := f.options(s, reference)
	if err != nil {
		return image.Release{}, err
	}
	source, err := image.Open(s.ctx, reference, options)
	if err != nil {
		return image.Release{}, err
	}
	return image.Release{Source: source, Registry: s.registry, Options: image.PushOptions{Progress: s.progress(pushes)}}, nil
}

// options returns what a source is opened with: the credentials of a secret, else, for
// ECR's own registries, the password that ECR gives the caller. ECR Public is logged in to
// where it does not serve who has not.
func (f *sourceFlags) options(s *session, reference string) (image.OpenOptions, error) {
	if f.ImageSecret != "" && !strings.HasPrefix(reference, "docker:") {
		return image.OpenOptions{}, usage("a secret is for a registry, and %s is in none", reference)
	}
	backend, err := s.backend()
	if err != nil {
		return image.OpenOptions{}, err
	}
	options := image.OpenOptions{LateLogin: s.lateLogin(reference), S3: image.S3{
		Credentials: backend.Config.Credentials, Region: backend.Region, Endpoint: aws.ToString(backend.Config.BaseEndpoint),
	}}
	ecr, isECR := image.RepositoryOf(reference)
	switch {
	case f.ImageSecret != "":
		text, err := backend.Secrets.Secret(s.ctx, f.ImageSecret)
		if err != nil {
			return options, err
		}
		if options.Username, options.Password, err = image.ParseLogin(text); err != nil {
			return options, fmt.Errorf("secret %s: %w", f.ImageSecret, err)
		}
	case isECR:
		registry, err := s.registry(s.ctx, ecr)
		if err != nil {
			return options, err
		}
		options.Registry = &registry
	}
	return options, nil
}
