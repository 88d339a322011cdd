package provider

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/internal/builtin"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// images is the ImageStore of AWS: it reads registries and S3, and writes to ECR.
type images struct {
	secrets tasuki.Secrets
	s3      image.S3
	// register logs in to the registry of a repository, which may be another account's.
	register func(context.Context, tasuki.Repository) (image.Registry, error)
}

func newImages(backend *awsbackend.Backend) images {
	return images{
		secrets: backend.Secrets,
		s3:      image.S3{Credentials: backend.Config.Credentials, Region: backend.Region, Endpoint: aws.ToString(backend.Config.BaseEndpoint)},
		register: func(ctx context.Context, repository tasuki.Repository) (image.Registry, error) {
			r, err := backend.Images.Registry(ctx, repository)
			return image.Registry{Host: r.Host, PlainHTTP: r.PlainHTTP, Username: r.User, Password: r.Password}, err
		},
	}
}

// Open implements [ImageStore].
func (s images) Open(handoff tasuki.HandoffName, reference string) tasuki.ImageSource {
	if reference == "" {
		return &builtin.Source{Handoff: handoff, Registry: s.register}
	}
	return &later{images: s, reference: reference}
}

// later is an image that is opened when it is needed: a placeholder's source may be
// long gone when nothing asks for it.
type later struct {
	images    images
	reference string

	mu     sync.Mutex
	opened *image.Source
}

// String implements [tasuki.ImageSource].
func (l *later) String() string { return l.reference }

// Inspect implements [tasuki.ImageSource].
func (l *later) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	source, err := l.open(ctx)
	if err != nil {
		return tasuki.Image{}, err
	}
	return source.Inspect(ctx, arch)
}

// Push implements [tasuki.ImageSource].
func (l *later) Push(ctx context.Context, inspected tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	source, err := l.open(ctx)
	if err != nil {
		return err
	}
	return image.Release{Source: source, Registry: l.images.register}.Push(ctx, inspected, repository, tag)
}

func (l *later) open(ctx context.Context) (*image.Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		return l.opened, nil
	}
	source, err := l.images.open(ctx, l.reference, "")
	if err == nil {
		l.opened = source
	}
	return source, err
}

// Close implements io.Closer.
func (l *later) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened == nil {
		return nil
	}
	return l.opened.Close()
}

// open opens the image that a reference names, with the credentials of a secret; ""
// for none, which ECR's own registries do without.
func (s images) open(ctx context.Context, reference, secret string) (*image.Source, error) {
	o := image.OpenOptions{S3: s.s3, NoDockerLogin: true}
	ecr, isECR := image.RepositoryOf(reference)
	switch {
	case secret != "":
		text, err := s.secrets.Secret(ctx, secret)
		if err != nil {
			return nil, err
		}
		if o.Username, o.Password, err = image.ParseLogin(text); err != nil {
			return nil, fmt.Errorf("secret %s: %w", secret, err)
		}
	case isECR:
		registry, err := s.register(ctx, ecr)
		if err != nil {
			return nil, err
		}
		o.Registry = &registry
	}
	return image.Open(ctx, reference, o)
}

// Deploy implements [ImageStore].
func (s images) Deploy(ctx context.Context, d Deployment) (tasuki.Digest, []string, error) {
	source, err := s.open(ctx, d.Source, d.SourceSecret)
	if err != nil {
		return tasuki.Digest{}, nil, err
	}
	// What is open is only read.
	defer source.Close()
	registry, err := s.register(ctx, d.Destination)
	if err != nil {
		return tasuki.Digest{}, nil, err
	}
	if d.Architecture == "" && !d.ForLambda {
		digest, err := registry.Copy(ctx, source, d.Destination, d.Tag, image.PushOptions{})
		return digest, nil, err
	}
	chosen, err := source.Inspect(ctx, d.Architecture)
	if err != nil {
		return tasuki.Digest{}, nil, err
	}
	var warnings []string
	if d.ForLambda {
		for _, finding := range lambdaimage.Check(chosen, d.Architecture) {
			if finding.Severity == tasuki.SeverityError {
				return tasuki.Digest{}, nil, &tasuki.Error{
					Op: "check", Side: tasuki.SideSource, Subject: source.String(), Kind: tasuki.ErrRefused, Err: errors.New(finding.Summary), Hint: finding.Fix,
				}
			}
			warnings = append(warnings, finding.Summary)
		}
	}
	return chosen.Digest(), warnings, registry.Push(ctx, source, chosen, d.Destination, d.Tag, image.PushOptions{})
}
