package resource

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// eventSourceMapping is AWS::Lambda::EventSourceMapping. Its physical id is its UUID.
func eventSourceMapping() Type {
	return Type{
		Name: "AWS::Lambda::EventSourceMapping",
		Properties: map[string]Property{
			"BatchSize": integer(), "Enabled": boolean(), "EventSourceArn": text(), "FunctionName": required(text()), "FunctionResponseTypes": texts(),
			"MaximumBatchingWindowInSeconds": integer(), "Tags": tagList(),
		},
		CreateOnly: []string{"EventSourceArn"},
		Attributes: []string{"EventSourceMappingArn", "Id"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			in := &lambda.CreateEventSourceMappingInput{}
			if err := decode(without(r.Properties, "Tags"), in); err != nil {
				return Result{}, err
			}
			in.Tags = r.tags()
			client := lambda.NewFromConfig(r.AWS)
			if r.Again {
				if id, err := ownMapping(ctx, client, r); err != nil || id != "" {
					return stableMapping(ctx, client, id, err)
				}
			}
			out, err := client.CreateEventSourceMapping(ctx, in)
			if err != nil {
				return Result{}, err
			}
			return stableMapping(ctx, client, aws.ToString(out.UUID), nil)
		},
		Update: func(ctx context.Context, r Request) (Result, error) {
			in := &lambda.UpdateEventSourceMappingInput{}
			if err := decode(without(r.Properties, "Tags"), in); err != nil {
				return Result{PhysicalID: r.PhysicalID}, err
			}
			in.UUID = &r.PhysicalID
			if in.Enabled == nil {
				in.Enabled = aws.Bool(true) // unless a template says otherwise
			}
			client := lambda.NewFromConfig(r.AWS)
			if _, err := client.UpdateEventSourceMapping(ctx, in); err != nil {
				return Result{PhysicalID: r.PhysicalID}, err
			}
			result, err := stableMapping(ctx, client, r.PhysicalID, nil)
			if err != nil {
				return result, err
			}
			return result, tagFunction(ctx, client, r, result.Attributes["EventSourceMappingArn"].(string))
		},
		Delete: func(ctx context.Context, r Request) error {
			client := lambda.NewFromConfig(r.AWS)
			if _, err := client.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: &r.PhysicalID}); err != nil {
				return unlessMissing(err)
			}
			return poll(ctx, func() (bool, error) {
				_, err := client.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &r.PhysicalID})
				return missing(err), unlessMissing(err)
			})
		},
		Read:   readEventSourceMapping,
		Unread: []string{"FunctionName", "Tags"},
	}
}

// ownMapping returns the mapping that an earlier call of this creation made: there is
// one at most from a source to a function.
func ownMapping(ctx context.Context, client *lambda.Client, r Request) (id string, err error) {
	out, err := client.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{
		EventSourceArn: r.optional("EventSourceArn"), FunctionName: aws.String(r.text("FunctionName")),
	})
	if err != nil || len(out.EventSourceMappings) == 0 {
		return "", err
	}
	return aws.ToString(out.EventSourceMappings[0].UUID), nil
}

// stableMapping waits until a mapping is enabled or disabled.
func stableMapping(ctx context.Context, client *lambda.Client, id string, err error) (Result, error) {
	result := Result{PhysicalID: id}
	if err != nil {
		return result, err
	}
	err = poll(ctx, func() (bool, error) {
		m, err := client.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &id})
		if err != nil {
			return false, err
		}
		result.Attributes = map[string]any{"Id": id, "EventSourceMappingArn": aws.ToString(m.EventSourceMappingArn)}
		state := aws.ToString(m.State)
		return state == "Enabled" || state == "Disabled", nil
	})
	return result, err
}

func destination() Property { return object(map[string]Property{"Destination": text()}) }

// eventInvokeConfig is AWS::Lambda::EventInvokeConfig: what becomes of a function's
// asynchronous events.
func eventInvokeConfig() Type {
	return Type{
		Name: "AWS::Lambda::EventInvokeConfig",
		Properties: map[string]Property{
			"DestinationConfig": object(map[string]Property{"OnFailure": destination(), "OnSuccess": destination()}),
			"FunctionName":      required(text()), "MaximumEventAgeInSeconds": integer(), "MaximumRetryAttempts": integer(), "Qualifier": required(text()),
		},
		CreateOnly: []string{"FunctionName", "Qualifier"},
		Attributes: []string{},
		Create: func(ctx context.Context, r Request) (Result, error) {
			if err := r.unless(eventInvokeConfigID(r), func() error {
				_, err := lambda.NewFromConfig(r.AWS).GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{
					FunctionName: aws.String(r.text("FunctionName")), Qualifier: aws.String(r.text("Qualifier")),
				})
				return err
			}); err != nil {
				return Result{}, err
			}
			return putEventInvokeConfig(ctx, r)
		},
		Update: putEventInvokeConfig,
		Delete: func(ctx context.Context, r Request) error {
			_, err := lambda.NewFromConfig(r.AWS).DeleteFunctionEventInvokeConfig(ctx, &lambda.DeleteFunctionEventInvokeConfigInput{
				FunctionName: aws.String(r.text("FunctionName")), Qualifier: aws.String(r.text("Qualifier")),
			})
			return unlessMissing(err)
		},
	}
}

// putEventInvokeConfig writes the whole configuration.
func putEventInvokeConfig(ctx context.Context, r Request) (Result, error) {
	in := &lambda.PutFunctionEventInvokeConfigInput{}
	if err := decode(r.Properties, in); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	_, err := lambda.NewFromConfig(r.AWS).PutFunctionEventInvokeConfig(ctx, in)
	return Result{PhysicalID: eventInvokeConfigID(r)}, err
}

func eventInvokeConfigID(r Request) string { return r.text("FunctionName") + "|" + r.text("Qualifier") }
