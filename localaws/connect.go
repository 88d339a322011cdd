package localaws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/s3"
	"github.com/tasuki-dev/tasuki/localaws/sqs"
	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// objects lets Lambda read what S3 holds, without either knowing the other.
type objects struct{ *s3.Service }

// Open implements [lambda.Objects].
func (o objects) Open(_ context.Context, bucket, key string) (io.ReadCloser, int64, error) {
	content, size, err := o.Service.Open(bucket, key)
	switch {
	case errors.Is(err, s3.ErrNoBucket):
		err = lambda.ErrNoBucket
	case errors.Is(err, s3.ErrNoObject):
		err = lambda.ErrNoObject
	}
	return content, size, err
}

// queues lets Lambda take messages from SQS and send some, without either knowing the other.
type queues struct{ *sqs.Service }

// Receive implements [lambda.Queues].
func (q queues) Receive(ctx context.Context, arn string, most int) ([]lambda.Message, error) {
	received, err := q.Service.Receive(ctx, arn, most)
	if isCode(err, "QueueDoesNotExist") {
		return nil, lambda.ErrNoQueue
	}
	if err != nil {
		return nil, err
	}
	var messages []lambda.Message
	for _, m := range received {
		attributes, err := messageAttributes(m)
		if err != nil {
			return nil, err
		}
		messages = append(messages, lambda.Message{ID: m.ID, Receipt: m.Receipt, Body: m.Body, MD5: m.MD5, Attributes: m.Attributes, MessageAttributes: attributes})
	}
	return messages, nil
}

// messageAttributes are a message's attributes as functions get them.
func messageAttributes(m sqs.Received) (json.RawMessage, error) {
	type attribute struct {
		String       *string  `json:"stringValue,omitempty"`
		Binary       []byte   `json:"binaryValue,omitempty"`
		StringValues []string `json:"stringListValues"`
		BinaryValues [][]byte `json:"binaryListValues"`
		Type         *string  `json:"dataType"`
	}
	all := map[string]attribute{}
	for name, value := range m.MessageAttributes {
		all[name] = attribute{value.StringValue, value.BinaryValue, []string{}, [][]byte{}, value.DataType}
	}
	return json.Marshal(all)
}

// Remove implements [lambda.Queues].
func (q queues) Remove(ctx context.Context, arn string, receipts []string) error {
	return q.Service.Remove(ctx, arn, receipts)
}

func isCode(err error, code string) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == code
}

// deliver hands an event to the queue or the function of an ARN.
func (s *Server) deliver(ctx context.Context, arn string, payload []byte) error {
	parts := strings.SplitN(arn, ":", 4)
	if len(parts) < 4 {
		return fmt.Errorf("%q is no ARN", arn)
	}
	switch service := parts[2]; service {
	case "sqs":
		return s.sqs.Send(ctx, arn, payload, nil)
	case "lambda":
		return s.lambda.Invoke(ctx, arn, payload)
	default:
		return wire.NotProvided(service, "Delivery to "+arn)
	}
}

// tellParameter puts a parameter's change on the event bus. As on AWS this is best
// effort: a write that is durable does not fail for its event's sake.
func (s *Server) tellParameter(c ssm.Change) {
	_ = s.events.Emit(context.Background(), events.Event{
		Source: "aws.ssm", DetailType: "Parameter Store Change", Resources: []string{c.ARN},
		Detail: map[string]any{"operation": c.Operation, "name": c.Name, "type": c.Type},
	})
}

// stackEvents puts what happens to stacks on the event bus, without CloudFormation
// knowing it.
type stackEvents struct{ server *Server }

// Put implements [cloudformation.Events]. The event is best effort, as on AWS.
func (e stackEvents) Put(ctx context.Context, detailType string, detail map[string]any) {
	stack, _ := detail["stack-id"].(string)
	_ = e.server.events.Emit(ctx, events.Event{Source: "aws.cloudformation", DetailType: detailType, Resources: []string{stack}, Detail: detail})
}

// hasRole lets STS know which roles there are, without it knowing IAM.
func (s *Server) hasRole(ctx context.Context, name string) (bool, error) {
	_, err := s.iam.GetRole(ctx, &sdkiam.GetRoleInput{RoleName: &name})
	if isCode(err, "NoSuchEntity") {
		return false, nil
	}
	return err == nil, err
}
