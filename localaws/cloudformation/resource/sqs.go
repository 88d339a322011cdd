package resource

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const longestQueueName = 80 // characters

// queueAttributes returns the properties of a queue that SQS has as attributes, with
// SQS's values for those that a template leaves out
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html).
func queueAttributes() map[string]string {
	return map[string]string{
		"DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
		"ReceiveMessageWaitTimeSeconds": "0", "RedriveAllowPolicy": "", "RedrivePolicy": "", "SqsManagedSseEnabled": "true", "VisibilityTimeout": "30",
	}
}

// queue is AWS::SQS::Queue, of the kind that is no FIFO queue. Its physical id is its
// URL.
func queue() Type {
	return Type{
		Name: "AWS::SQS::Queue",
		Properties: map[string]Property{
			"DelaySeconds": integer(), "MaximumMessageSize": integer(), "MessageRetentionPeriod": integer(),
			"QueueName": text(), "ReceiveMessageWaitTimeSeconds": integer(), "RedriveAllowPolicy": document(), "RedrivePolicy": document(),
			"SqsManagedSseEnabled": boolean(), "Tags": tagList(), "VisibilityTimeout": integer(),
		},
		CreateOnly: []string{"QueueName"},
		Attributes: []string{"Arn", "QueueName", "QueueUrl"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			attributes, err := r.queueAttributes(func(string, string) (string, bool) { return "", false })
			if err != nil {
				return Result{}, err
			}
			client, name := sqs.NewFromConfig(r.AWS), r.named("QueueName", longestQueueName)
			if r.text("QueueName") != "" { // SQS creates a queue again that is alike
				if err := r.unless(name, func() error {
					_, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
					return err
				}); err != nil {
					return Result{}, err
				}
			}
			out, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes, Tags: r.tags()})
			if err != nil {
				return Result{}, err
			}
			return queueResult(ctx, r, aws.ToString(out.QueueUrl))
		},
		Update: updateQueue,
		Read:   readQueue,
		Delete: func(ctx context.Context, r Request) error {
			_, err := sqs.NewFromConfig(r.AWS).DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

func updateQueue(ctx context.Context, r Request) (Result, error) {
	client := sqs.NewFromConfig(r.AWS)
	attributes, err := r.queueAttributes(func(name, otherwise string) (string, bool) { return otherwise, r.changed(name) })
	if err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	if len(attributes) > 0 {
		if _, err := client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &r.PhysicalID, Attributes: attributes}); err != nil {
			return Result{PhysicalID: r.PhysicalID}, err
		}
	}
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &r.PhysicalID, TagKeys: gone}); err != nil {
			return Result{PhysicalID: r.PhysicalID}, err
		}
	}
	if r.retagged() {
		if _, err := client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &r.PhysicalID, Tags: r.tags()}); err != nil {
			return Result{PhysicalID: r.PhysicalID}, err
		}
	}
	return queueResult(ctx, r, r.PhysicalID)
}

// queueAttributes returns the queue's attributes: what the template says, and of the
// others those that otherwise gives a value.
func (r Request) queueAttributes(otherwise func(name, value string) (string, bool)) (map[string]string, error) {
	attributes := map[string]string{}
	for name, value := range queueAttributes() {
		given, is := r.Properties[name]
		if !is {
			if value, is := otherwise(name, value); is {
				attributes[name] = value
			}
			continue
		}
		s, isScalar := scalar(given)
		if !isScalar {
			document, err := documentText(given)
			if err != nil {
				return nil, err
			}
			s = *document
		}
		attributes[name] = s
	}
	return attributes, nil
}

func queueResult(ctx context.Context, r Request, url string) (Result, error) {
	result := Result{PhysicalID: url}
	out, err := sqs.NewFromConfig(r.AWS).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return result, err
	}
	arn := out.Attributes[string(types.QueueAttributeNameQueueArn)]
	result.Attributes = map[string]any{"Arn": arn, "QueueName": arn[strings.LastIndexByte(arn, ':')+1:], "QueueUrl": url}
	return result, nil
}

// queuePolicy is AWS::SQS::QueuePolicy: one policy of several queues.
func queuePolicy() Type {
	return Type{
		Name:       "AWS::SQS::QueuePolicy",
		Properties: map[string]Property{"PolicyDocument": required(document()), "Queues": required(texts())},
		Attributes: []string{"Id"},
		Create:     putQueuePolicy,
		Update:     putQueuePolicy,
		Delete: func(ctx context.Context, r Request) error {
			return r.setQueuePolicy(ctx, r.texts("Queues"), "")
		},
	}
}

func putQueuePolicy(ctx context.Context, r Request) (Result, error) {
	if r.PhysicalID == "" {
		r.PhysicalID = r.name(255, "")
	}
	result := Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{"Id": r.PhysicalID}}
	policy, err := documentText(r.Properties["PolicyDocument"])
	if err != nil {
		return result, err
	}
	if err := r.setQueuePolicy(ctx, lost(textsOf(r.Previous["Queues"]), r.texts("Queues")), ""); err != nil {
		return result, err
	}
	return result, r.setQueuePolicy(ctx, r.texts("Queues"), *policy)
}

// setQueuePolicy gives queues a policy, "" for none. Of a queue that is gone, none.
func (r Request) setQueuePolicy(ctx context.Context, urls []string, policy string) error {
	for _, url := range urls {
		_, err := sqs.NewFromConfig(r.AWS).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": policy}})
		if policy == "" {
			err = unlessMissing(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
