package awsbackend

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// LoadInFunction is [Load] for a program that is a Lambda function. Of the SDK's
// default chain it has the part that there is within a function, the environment: the
// files, the sign-in and the metadata services of the rest are not linked, which makes
// the function's package smaller by 400 kB. Of the options, Profile and Config are not
// looked at.
func LoadInFunction(o Options) (*Backend, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return nil, configurationError(err)
	}
	if o.Region == "" && env.Region == "" {
		return nil, noRegion("AWS_REGION is not set, which Lambda sets for every function")
	}
	cfg := aws.Config{
		Region: env.Region, RetryMaxAttempts: env.RetryMaxAttempts, ConfigSources: []any{env},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if !env.Credentials.HasKeys() {
				return aws.Credentials{}, errors.New("the environment has no AWS credentials, which Lambda sets for every function that has a role")
			}
			return env.Credentials, nil
		}),
	}
	if env.BaseEndpoint != "" && !aws.ToBool(env.IgnoreConfiguredEndpoints) {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	return checked(backendOf(o.complete(cfg)))
}
