package awsbackend

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Stacks = (*Stacks)(nil)

// Stacks reads CloudFormation stacks.
type Stacks struct{ api *cloudformation.Client }

// StackStatus implements [tasuki.Stacks].
func (s *Stacks) StackStatus(ctx context.Context, stack string) (string, error) {
	c := stackCall("read", "cloudformation:DescribeStacks", stack, stack)
	out, err := s.api.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(stack)})
	if err != nil {
		return "", c.failedStack(err)
	}
	if len(out.Stacks) != 1 {
		return "", c.wrong(tasuki.ErrUnavailable, "CloudFormation's answer holds %d stacks", len(out.Stacks))
	}
	return string(out.Stacks[0].StackStatus), nil
}

// StackResource implements [tasuki.Stacks].
func (s *Stacks) StackResource(ctx context.Context, stack, logicalID string) (string, error) {
	c := stackCall("read resource of", "cloudformation:DescribeStackResource", stack, stack+" "+logicalID)
	out, err := s.api.DescribeStackResource(ctx, &cloudformation.DescribeStackResourceInput{
		StackName: aws.String(stack), LogicalResourceId: aws.String(logicalID),
	})
	if err != nil {
		return "", c.failedStack(err)
	}
	if out.StackResourceDetail == nil {
		return "", c.wrong(tasuki.ErrUnavailable, "CloudFormation's answer has no resource")
	}
	id := aws.ToString(out.StackResourceDetail.PhysicalResourceId)
	if id == "" {
		return "", c.wrong(tasuki.ErrMissing, "the stack has not created it yet")
	}
	return id, nil
}

func stackCall(op, action, stack, subject string) call {
	return call{op: op, side: tasuki.SideStack, subject: subject, action: action, resource: "stack " + stack}
}

// failedStack is failed, knowing that CloudFormation has no code of its own for what
// does not exist: it says so in the message of a ValidationError, as in "Stack with id
// orders does not exist" and "Resource Fn does not exist for stack orders".
func (c call) failedStack(err error) error {
	failed := c.failed(err)
	api, answered := errors.AsType[smithy.APIError](err)
	e, ours := failed.(*tasuki.Error)
	if answered && ours && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist") {
		e.Kind = tasuki.ErrMissing
	}
	return failed
}
