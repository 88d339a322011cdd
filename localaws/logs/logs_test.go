package logs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/localaws"
)

// endpoint is a running endpoint and the SDK's own client of its CloudWatch Logs.
type endpoint struct {
	*testing.T
	*sdk.Client
}

// call carries out an operation that must succeed.
func call[In, Out any](e endpoint, operation func(context.Context, *In, ...func(*sdk.Options)) (*Out, error), in *In) *Out {
	e.Helper()
	out, err := operation(e.Context(), in)
	if err != nil {
		e.Fatalf("%T: %v", in, err)
	}
	return out
}

// fails carries out an operation that must fail with a code.
func fails[In, Out any](e endpoint, code string, operation func(context.Context, *In, ...func(*sdk.Options)) (*Out, error), in *In) {
	e.Helper()
	_, err := operation(e.Context(), in)
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		e.Errorf("%T: got %v, want %s", in, err, code)
	}
}

func TestLogGroups(t *testing.T) {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	e := endpoint{t, sdk.New(sdk.Options{
		BaseEndpoint: aws.String(server.URL()), Region: server.Region(), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("alice", "secret", ""),
	})}
	name, arn := aws.String("/aws/lambda/orders"), aws.String("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/orders")
	fails(e, "ResourceNotFoundException", e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)})
	fails(e, "InvalidParameterException", e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: aws.String("a b")})
	call(e, e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"a": "1"}})
	call(e, e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: aws.String("/other")})
	fails(e, "ResourceAlreadyExistsException", e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: name})
	fails(e, "InvalidParameterException", e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(2)})
	call(e, e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)})
	got := call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/")}).LogGroups
	if len(got) != 1 || *got[0].RetentionInDays != 7 || *got[0].LogGroupArn != *arn || *got[0].Arn != *arn+":*" || got[0].LogGroupClass != "STANDARD" {
		t.Errorf("it is %+v", got)
	}
	page := call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{Limit: aws.Int32(1)})
	if next := call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{NextToken: page.NextToken}); len(next.LogGroups) != 1 || *next.LogGroups[0].LogGroupName != "/other" {
		t.Errorf("the second page is %+v", next.LogGroups)
	}
	call(e, e.TagResource, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "2"}})
	call(e, e.UntagResource, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	if tags := call(e, e.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arn}).Tags; len(tags) != 1 || tags["b"] != "2" {
		t.Errorf("its tags are %v", tags)
	}
	call(e, e.DeleteRetentionPolicy, &sdk.DeleteRetentionPolicyInput{LogGroupName: name})
	if got := call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: name}).LogGroups; got[0].RetentionInDays != nil {
		t.Errorf("it is kept %d days", *got[0].RetentionInDays)
	}
	call(e, e.DeleteLogGroup, &sdk.DeleteLogGroupInput{LogGroupName: name})
	fails(e, "ResourceNotFoundException", e.DeleteLogGroup, &sdk.DeleteLogGroupInput{LogGroupName: name})
	fails(e, "NotImplemented", e.CreateLogStream, &sdk.CreateLogStreamInput{LogGroupName: name, LogStreamName: name})
}
