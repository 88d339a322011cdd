package resource

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const longestFunctionName = 64 // characters

// function is AWS::Lambda::Function. Its code is sent again when Code or Architectures
// changed, and only then: with the image that CloudFormation has on record, whatever
// the function runs meanwhile.
func function() Type {
	return Type{
		Name: "AWS::Lambda::Function",
		Properties: map[string]Property{
			"Architectures": texts(),
			"Code": required(object(map[string]Property{
				"ImageUri": text(), "S3Bucket": text(), "S3Key": text(), "S3ObjectVersion": text(),
			})),
			"DeadLetterConfig": object(map[string]Property{"TargetArn": text()}),
			"Description":      text(),
			"Environment":      object(map[string]Property{"Variables": mapOf(text())}),
			"EphemeralStorage": object(map[string]Property{"Size": required(integer())}),
			"FunctionName":     text(),
			"Handler":          text(),
			"ImageConfig":      object(map[string]Property{"Command": texts(), "EntryPoint": texts(), "WorkingDirectory": text()}),
			"LoggingConfig": object(map[string]Property{
				"ApplicationLogLevel": text(), "LogFormat": text(), "LogGroup": text(), "SystemLogLevel": text(),
			}),
			"MemorySize":    integer(),
			"PackageType":   text(),
			"Role":          required(text()),
			"Runtime":       text(),
			"Tags":          tagList(),
			"Timeout":       integer(),
			"TracingConfig": object(map[string]Property{"Mode": text()}),
		},
		CreateOnly: []string{"FunctionName", "PackageType"},
		Attributes: []string{"Arn"},
		Create:     createFunction,
		Update:     updateFunction,
		Read:       readFunction,
		Unread:     []string{"Code"},
		Delete: func(ctx context.Context, r Request) error {
			_, err := lambda.NewFromConfig(r.AWS).DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

func createFunction(ctx context.Context, r Request) (Result, error) {
	in := &lambda.CreateFunctionInput{}
	if err := decode(without(r.Properties, "Tags"), in); err != nil {
		return Result{}, err
	}
	in.FunctionName = aws.String(r.named("FunctionName", longestFunctionName))
	in.Tags = r.tags()
	client := lambda.NewFromConfig(r.AWS)
	if _, err := client.CreateFunction(ctx, in); err != nil && !r.mine(err) {
		return Result{}, err
	}
	return stableFunction(ctx, client, *in.FunctionName)
}

// stableFunction waits until a function is neither being created nor being updated.
func stableFunction(ctx context.Context, client *lambda.Client, name string) (Result, error) {
	result := Result{PhysicalID: name}
	var c *lambda.GetFunctionConfigurationOutput
	err := poll(ctx, func() (done bool, err error) {
		c, err = client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err == nil && c.State != types.StatePending && c.LastUpdateStatus != types.LastUpdateStatusInProgress, err
	})
	if err != nil {
		return result, err
	}
	result.Attributes = map[string]any{"Arn": aws.ToString(c.FunctionArn)}
	switch {
	case c.State == types.StateFailed:
		return result, unstable(name, aws.ToString(c.StateReason), string(c.StateReasonCode))
	case c.LastUpdateStatus == types.LastUpdateStatusFailed:
		return result, unstable(name, aws.ToString(c.LastUpdateStatusReason), string(c.LastUpdateStatusReasonCode))
	}
	return result, nil
}

// mostConflicts is how often a call is made that others' updates get in the way of.
const mostConflicts = 10

// betweenUpdates makes a call that Lambda refuses while the function is being updated, and
// makes it again when that has ended. CloudFormation's documents have such a conflict as
// one that is tried again, and do not say how often
// (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html).
func (r Request) betweenUpdates(ctx context.Context, client *lambda.Client, name string, call func() error) error {
	for n := 1; ; n++ {
		err := call()
		var conflict *types.ResourceConflictException
		if !errors.As(err, &conflict) || r.Yields || n == mostConflicts {
			return err
		}
		// How the other update ends does not matter.
		var failure refusal
		if _, err := stableFunction(ctx, client, name); err != nil && !errors.As(err, &failure) {
			return err
		}
	}
}

func unstable(name, reason, code string) error {
	return refusal(fmt.Sprintf("Lambda function %s reached terminal FAILED state due to %s(%s) and failed to stabilize", name, code, reason))
}

// configurationProperties are the properties that UpdateFunctionConfiguration takes,
// with what stands for each where a template says nothing of it
// (https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html).
func configurationProperties(name string) map[string]any {
	return map[string]any{
		"DeadLetterConfig": map[string]any{"TargetArn": ""},
		"Description":      "",
		"Environment":      map[string]any{"Variables": map[string]any{}},
		"EphemeralStorage": map[string]any{"Size": 512},
		"Handler":          "",
		"ImageConfig":      map[string]any{},
		"LoggingConfig":    map[string]any{"LogFormat": "Text", "LogGroup": "/aws/lambda/" + name},
		"MemorySize":       128,
		"Role":             nil, // is required
		"Runtime":          nil, // is required where a function has one
		"Timeout":          3,
		"TracingConfig":    map[string]any{"Mode": "PassThrough"},
	}
}

func updateFunction(ctx context.Context, r Request) (Result, error) {
	client := lambda.NewFromConfig(r.AWS)
	name := r.PhysicalID
	result := Result{PhysicalID: name}
	if r.Again {
		// The update under way, if one is, is the earlier call's; how it ends does not matter.
		var failure refusal
		if _, err := stableFunction(ctx, client, name); err != nil && !errors.As(err, &failure) {
			return result, err
		}
	}
	if r.changed("Code", "Architectures") {
		in := &lambda.UpdateFunctionCodeInput{}
		if err := decode(r.Properties["Code"], in); err != nil {
			return result, err
		}
		in.FunctionName = &name
		for _, arch := range r.texts("Architectures") {
			in.Architectures = append(in.Architectures, types.Architecture(arch))
		}
		if err := r.betweenUpdates(ctx, client, name, func() error {
			_, err := client.UpdateFunctionCode(ctx, in)
			return err
		}); err != nil {
			return result, err
		}
		if _, err := stableFunction(ctx, client, name); err != nil {
			return result, err
		}
	}
	configuration := map[string]any{}
	for property, otherwise := range configurationProperties(name) {
		if !r.changed(property) {
			continue
		}
		configuration[property] = otherwise
		if given, is := r.Properties[property]; is {
			configuration[property] = given
		}
	}
	if len(configuration) > 0 {
		in := &lambda.UpdateFunctionConfigurationInput{FunctionName: &name}
		if err := decode(configuration, in); err != nil {
			return result, err
		}
		if err := r.betweenUpdates(ctx, client, name, func() error {
			_, err := client.UpdateFunctionConfiguration(ctx, in)
			return err
		}); err != nil {
			return result, err
		}
	}
	result, err := stableFunction(ctx, client, name)
	if err != nil {
		return result, err
	}
	return result, tagFunction(ctx, client, r, result.Attributes["Arn"].(string))
}

// tagFunction brings a function's, or an event source mapping's, tags up to date.
func tagFunction(ctx context.Context, client *lambda.Client, r Request, arn string) error {
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.UntagResource(ctx, &lambda.UntagResourceInput{Resource: &arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if !r.retagged() {
		return nil
	}
	_, err := client.TagResource(ctx, &lambda.TagResourceInput{Resource: &arn, Tags: r.tags()})
	return err
}
