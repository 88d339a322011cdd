package awsbackend

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
)

var (
	_ tasuki.VersionPublisher = (*Functions)(nil)
	_ tasuki.AliasDeleter     = (*Functions)(nil)
	_ tasuki.Invoker          = (*Functions)(nil)
)

// PublishVersion implements [tasuki.VersionPublisher]. Of an image function,
// CodeSha256 is the image's digest without its algorithm.
func (f *Functions) PublishVersion(ctx context.Context, function string, digest tasuki.Digest, revisionID string) (string, error) {
	c := f.call("publish", "lambda:PublishVersion", function)
	out, err := f.api.PublishVersion(ctx, &lambda.PublishVersionInput{
		FunctionName: aws.String(function),
		CodeSha256:   aws.String(strings.TrimPrefix(digest.String(), "sha256:")),
		RevisionId:   aws.String(revisionID),
	})
	if err != nil {
		failed := c.failed(err)
		// Lambda calls another image than the expected one an invalid parameter.
		if e, ok := failed.(*tasuki.Error); ok && e.Kind == tasuki.ErrRefused && strings.Contains(e.Err.Error(), "CodeSHA256") {
			e.Kind, e.Hint = tasuki.ErrConflict, ""
		}
		return "", failed
	}
	if aws.ToString(out.Version) == "" {
		return "", c.wrong(tasuki.ErrUnavailable, "Lambda's answer has no version")
	}
	return *out.Version, nil
}

// Alias implements [tasuki.VersionPublisher].
func (f *Functions) Alias(ctx context.Context, function, alias string) (tasuki.Alias, error) {
	c := f.call("read alias of", "lambda:GetAlias", function+":"+alias)
	out, err := f.api.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: aws.String(function), Name: aws.String(alias)})
	if err != nil {
		return tasuki.Alias{}, c.failed(err)
	}
	if out.FunctionVersion == nil || out.RevisionId == nil {
		return tasuki.Alias{}, c.wrong(tasuki.ErrUnavailable, "Lambda's answer has no version or no revision")
	}
	return tasuki.Alias{Version: *out.FunctionVersion, RevisionID: *out.RevisionId, Description: aws.ToString(out.Description)}, nil
}

// MoveAlias implements [tasuki.VersionPublisher]. Weights that shared the alias's
// traffic with another version are taken away: a release is for all of it.
func (f *Functions) MoveAlias(ctx context.Context, move tasuki.AliasMove) error {
	subject := move.Function + ":" + move.Alias
	if move.RevisionID == "" {
		in := &lambda.CreateAliasInput{FunctionName: aws.String(move.Function), Name: aws.String(move.Alias), FunctionVersion: aws.String(move.Version)}
		if move.Description != "" {
			in.Description = aws.String(move.Description)
		}
		_, err := f.api.CreateAlias(ctx, in)
		if err != nil {
			return f.call("create alias of", "lambda:CreateAlias", subject).failed(err)
		}
		return nil
	}
	_, err := f.api.UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: aws.String(move.Function), Name: aws.String(move.Alias), FunctionVersion: aws.String(move.Version),
		RevisionId: aws.String(move.RevisionID), RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}},
	})
	if err != nil {
		return f.call("move alias of", "lambda:UpdateAlias", subject).failed(err)
	}
	return nil
}

// Invoke implements [tasuki.Invoker]. It is attempted again only where it was throttled:
// an invocation whose answer was lost may have had its effect.
func (f *Functions) Invoke(ctx context.Context, function, version string, payload []byte) (tasuki.Answer, error) {
	in := &lambda.InvokeInput{FunctionName: aws.String(function), Payload: payload}
	if version != "" {
		in.Qualifier = aws.String(version)
	}
	out, err := f.invoker.Invoke(ctx, in)
	if err != nil {
		return tasuki.Answer{}, f.call("invoke", "lambda:InvokeFunction", function).failed(err)
	}
	return tasuki.Answer{Payload: out.Payload, Failure: aws.ToString(out.FunctionError)}, nil
}

// DeleteAlias implements [tasuki.AliasDeleter].
func (f *Functions) DeleteAlias(ctx context.Context, function, alias string) error {
	_, err := f.api.DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: aws.String(function), Name: aws.String(alias)})
	if err == nil {
		return nil
	}
	failed := f.call("delete alias of", "lambda:DeleteAlias", function+":"+alias).failed(err)
	if errors.Is(failed, tasuki.ErrMissing) {
		return nil
	}
	return failed
}
