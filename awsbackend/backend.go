// Package awsbackend carries out every port of package tasuki on AWS, over the AWS
// SDK for Go. Credentials, regions and endpoints are the SDK's default chain and
// nothing of its own.
//
// Every failure leaves the package as a [tasuki.Error], sorted by one classifier
// into missing, denied, throttled, conflict and the rest. What could not be read is
// never reported as missing.
package awsbackend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
)

const (
	// defaultAttempts is two more than the SDK's: PutParameter is throttled at
	// about 3 calls a second, which several releases at once reach, and the pauses
	// before the fourth and fifth attempt (up to 4 s and 8 s) outlast that.
	defaultAttempts = 5
	// defaultAttemptTimeout is far above what any of the calls takes (under a second),
	// and low enough for five attempts at a dead endpoint to end within about a minute.
	defaultAttemptTimeout = 10 * time.Second
	// longestInvocation is Lambda's longest timeout, and a cold start before it.
	longestInvocation = 16 * time.Minute
)

// Options say how to reach AWS. The zero value is the SDK's default chain.
type Options struct {
	Region  string // "" for the default chain's
	Profile string // "" for the default chain's

	// RetryMaxAttempts is how often a call is attempted at most; 0 means what the
	// environment or the profile says (AWS_MAX_ATTEMPTS), else 5.
	RetryMaxAttempts int
	// AttemptTimeout bounds each attempt, from dialing to the answer's last byte; 0
	// means 10 s. An attempt that takes longer is retried as others are.
	AttemptTimeout time.Duration

	// Unpaced lets calls go as fast as they come. Without it they are kept under AWS's
	// default limits for an account and region, which the calls of one handoff's verb
	// never reach: SSM 40 reads and 3 writes a second, Lambda 100 GetFunction and 15
	// other control calls a second. It is for accounts with higher limits, and for
	// endpoints that have none.
	Unpaced bool

	// Config takes the place of the default chain for a caller that has a
	// configuration already; nil for the chain. Profile is then not looked at, and
	// AttemptTimeout only where the Config's HTTP client is the SDK's own, without a
	// time of its own, or none.
	Config *aws.Config
}

// Backend is AWS, in one region and as one caller.
type Backend struct {
	Region    string
	Tags      *Parameters
	Contracts *Contracts
	Images    *Images
	Functions *Functions
	Secrets   *Secrets
	Stacks    *Stacks

	// Config is what the clients are made of, for requests that no client makes.
	Config aws.Config

	sts *sts.Client
}

// Load reads the configuration and makes the clients. It calls no AWS service:
// credentials are looked for at the first call.
func Load(ctx context.Context, o Options) (*Backend, error) {
	cfg, err := o.load(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, noRegion("no region is configured: give --region, set AWS_REGION, or set a region in the AWS profile")
	}
	return checked(backendOf(cfg))
}

// noRegion says why it is not known which region is meant.
func noRegion(why string, args ...any) error {
	return &tasuki.Error{Op: "find the AWS region", Kind: tasuki.ErrInvalid, Err: fmt.Errorf(why, args...)}
}

// checked returns the backend, or what is wrong with the addresses that its calls would
// go to: the SDK finds out at the first call, and then takes it for an answer that
// did not come.
func checked(b *Backend) (*Backend, error) {
	if !smithyhttp.ValidHostLabel(b.Region) {
		return nil, noRegion("%q is not the name of an AWS region: give one such as eu-west-1", b.Region)
	}
	for _, endpoint := range []*string{
		b.Tags.api.Options().BaseEndpoint, b.Images.api.Options().BaseEndpoint, b.Functions.api.Options().BaseEndpoint,
		b.Secrets.api.Options().BaseEndpoint, b.Stacks.api.Options().BaseEndpoint, b.sts.Options().BaseEndpoint,
	} {
		if err := checkEndpoint(aws.ToString(endpoint)); err != nil {
			return nil, configurationError(err)
		}
	}
	return b, nil
}

// backendOf makes the clients.
func backendOf(cfg aws.Config) *Backend {
	parameters := ssm.NewFromConfig(cfg, func(o *ssm.Options) {
		// SSM refused the write because another one was under way: it has not been
		// done, and is as right a moment later. The SDK would not try again.
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, "TooManyUpdates")
	})
	downloads := retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = cfg.RetryMaxAttempts })
	invoker := lambda.NewFromConfig(cfg, func(o *lambda.Options) {
		o.Retryer = onlyThrottled(cfg.RetryMaxAttempts)
		if client, ok := o.HTTPClient.(sdkhttp.Whole); ok {
			o.HTTPClient = client.WithTimeout(longestInvocation)
		}
	})
	return &Backend{
		Region:    cfg.Region,
		Tags:      &Parameters{parameters},
		Contracts: &Contracts{parameters},
		Images:    &Images{api: ecr.NewFromConfig(cfg), http: cfg.HTTPClient, retryer: downloads},
		Functions: &Functions{api: lambda.NewFromConfig(cfg), invoker: invoker, region: cfg.Region},
		Secrets:   &Secrets{secretsmanager.NewFromConfig(cfg)},
		Stacks:    &Stacks{cloudformation.NewFromConfig(cfg)},
		Config:    cfg,
		sts:       sts.NewFromConfig(cfg),
	}
}

// onlyThrottled retries what was refused for coming too often, and so was not done.
func onlyThrottled(attempts int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	})
}

// load returns the configuration that all clients are made of.
func (o Options) load(ctx context.Context) (aws.Config, error) {
	if o.Config != nil {
		return o.complete(*o.Config), nil
	}
	// What the SDK would log, such as which way it looked for credentials, is in the error
	// that follows, where it matters.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(o.Profile), config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(o.attemptTimeout())), config.WithLogger(logging.Nop{}))
	if err != nil {
		return cfg, configurationError(err)
	}
	return o.complete(cfg), nil
}

func (o Options) attemptTimeout() time.Duration {
	return cmp.Or(o.AttemptTimeout, defaultAttemptTimeout)
}

// complete returns a copy of cfg with what the options and the package add to it.
func (o Options) complete(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.HTTPClient = sdkhttp.Bound(cfg.HTTPClient, o.attemptTimeout())
	if o.Region != "" {
		cfg.Region = o.Region
	}
	if o.RetryMaxAttempts > 0 {
		cfg.RetryMaxAttempts = o.RetryMaxAttempts
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = defaultAttempts
	}
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), tellRepeats)
	if !o.Unpaced {
		cfg.APIOptions = append(cfg.APIOptions, newPace().addTo)
	}
	if cfg.Credentials != nil {
		cfg.Credentials = credentials{cfg.Credentials}
	}
	return cfg
}

// checkEndpoint returns an error where endpoint is given, and is no address.
func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the AWS endpoint %q (AWS_ENDPOINT_URL, the same for one service, or endpoint_url of the AWS profile) is not a URL: give one such as http://127.0.0.1:4566", endpoint)
	}
	return nil
}

// configurationError says what is wrong with the AWS configuration files.
func configurationError(err error) error {
	const op = "load the AWS configuration"
	if errors.Is(err, context.Canceled) {
		return &tasuki.Error{Op: op, Err: context.Canceled}
	}
	cause := errors.New(clean(err.Error()))
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		cause = fmt.Errorf("there is no AWS profile %q: give another with --profile, or add it to ~/.aws/config", missing.Profile)
	}
	if _, ok := errors.AsType[config.AssumeRoleTokenProviderNotSetError](err); ok {
		cause = errors.New(`the AWS profile asks for an MFA code, and Tasuki cannot: get credentials first, as with 'eval "$(aws configure export-credentials --format env)"', and unset AWS_PROFILE`)
	}
	return &tasuki.Error{Op: op, Kind: tasuki.ErrInvalid, Err: cause}
}

// credentials marks what a provider fails with, because the SDK wraps it without a
// type, and it must not be taken for the service's own answer.
type credentials struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return found, &credentialsError{err}
	}
	return found, nil
}

// credentialsError says that the caller has no usable credentials.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no usable credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// RetryableError tells the SDK not to try the call again: the provider has tried already,
// as often as it thinks right, and each of its attempts may take long.
func (e *credentialsError) RetryableError() bool { return false }
