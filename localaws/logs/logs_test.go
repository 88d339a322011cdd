package logs_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// endpoint is a running endpoint and the SDK's own client of its CloudWatch Logs.
type endpoint struct {
	*testing.T
	*sdk.Client
}

func TestLogGroups(t *testing.T) {
	e := endpoint{t, sdk.NewFromConfig(localawstest.Config(localawstest.Start(t, localaws.Options{})))}
	name, arn := aws.String("/aws/lambda/orders"), aws.String("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/orders")
	localawstest.Fails(e, "ResourceNotFoundException", e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)})
	localawstest.Fails(e, "InvalidParameterException", e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: aws.String("a b")})
	localawstest.Call(e, e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"a": "1"}})
	localawstest.Call(e, e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: aws.String("/other")})
	localawstest.Fails(e, "ResourceAlreadyExistsException", e.CreateLogGroup, &sdk.CreateLogGroupInput{LogGroupName: name})
	localawstest.Fails(e, "InvalidParameterException", e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(2)})
	localawstest.Call(e, e.PutRetentionPolicy, &sdk.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(7)})
	got := localawstest.Call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String("/aws/")}).LogGroups
	if len(got) != 1 || *got[0].RetentionInDays != 7 || *got[0].LogGroupArn != *arn || *got[0].Arn != *arn+":*" || got[0].LogGroupClass != "STANDARD" {
		t.Errorf("it is %+v", got)
	}
	page := localawstest.Call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{Limit: aws.Int32(1)})
	if next := localawstest.Call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{NextToken: page.NextToken}); len(next.LogGroups) != 1 || *next.LogGroups[0].LogGroupName != "/other" {
		t.Errorf("the second page is %+v", next.LogGroups)
	}
	localawstest.Call(e, e.TagResource, &sdk.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "2"}})
	localawstest.Call(e, e.UntagResource, &sdk.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	if tags := localawstest.Call(e, e.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceArn: arn}).Tags; len(tags) != 1 || tags["b"] != "2" {
		t.Errorf("its tags are %v", tags)
	}
	localawstest.Call(e, e.DeleteRetentionPolicy, &sdk.DeleteRetentionPolicyInput{LogGroupName: name})
	if got := localawstest.Call(e, e.DescribeLogGroups, &sdk.DescribeLogGroupsInput{LogGroupNamePrefix: name}).LogGroups; got[0].RetentionInDays != nil {
		t.Errorf("it is kept %d days", *got[0].RetentionInDays)
	}
	localawstest.Call(e, e.DeleteLogGroup, &sdk.DeleteLogGroupInput{LogGroupName: name})
	localawstest.Fails(e, "ResourceNotFoundException", e.DeleteLogGroup, &sdk.DeleteLogGroupInput{LogGroupName: name})
	localawstest.Fails(e, "NotImplemented", e.CreateLogStream, &sdk.CreateLogStreamInput{LogGroupName: name, LogStreamName: name})
}
