package awsbackend

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.EventSources = (*Functions)(nil)

// EnableEventSource implements [tasuki.EventSources]. A mapping that is being created
// or changed answers ErrConflict.
func (f *Functions) EnableEventSource(ctx context.Context, uuid string) (bool, error) {
	c := call{
		op: "read event source mapping of", side: tasuki.SideFunction, subject: uuid, action: "lambda:GetEventSourceMapping",
		missing: []string{"ResourceNotFoundException"},
	}
	out, err := f.api.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: aws.String(uuid)})
	if err != nil {
		return false, c.failed(err)
	}
	// The states are in the API's words: Creating, Enabling, Enabled, Disabling,
	// Disabled, Updating or Deleting.
	if state := aws.ToString(out.State); state == "Enabled" || state == "Enabling" {
		return false, nil
	}
	c.op, c.action = "enable event source mapping of", "lambda:UpdateEventSourceMapping"
	if _, err := f.api.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: aws.String(uuid), Enabled: aws.Bool(true)}); err != nil {
		return false, c.failed(err)
	}
	return true, nil
}
