package resource

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

const longestLogGroupName = 512 // characters

// logGroup is AWS::Logs::LogGroup.
func logGroup() Type {
	return Type{
		Name:       "AWS::Logs::LogGroup",
		Properties: map[string]Property{"LogGroupName": text(), "RetentionInDays": integer(), "Tags": tagList()},
		CreateOnly: []string{"LogGroupName"},
		Attributes: []string{"Arn"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			name := r.named("LogGroupName", longestLogGroupName)
			_, err := cloudwatchlogs.NewFromConfig(r.AWS).CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name, Tags: r.tags()})
			if err != nil && !r.mine(err) {
				return Result{}, err
			}
			r.PhysicalID = name
			return r.logGroupResult(), r.setRetention(ctx)
		},
		Update: func(ctx context.Context, r Request) (Result, error) {
			result := r.logGroupResult()
			if err := r.setRetention(ctx); err != nil {
				return result, err
			}
			client, arn := cloudwatchlogs.NewFromConfig(r.AWS), aws.String(r.logGroupARN())
			if gone := r.goneTags(); len(gone) > 0 {
				if _, err := client.UntagResource(ctx, &cloudwatchlogs.UntagResourceInput{ResourceArn: arn, TagKeys: gone}); err != nil {
					return result, err
				}
			}
			if !r.retagged() {
				return result, nil
			}
			_, err := client.TagResource(ctx, &cloudwatchlogs.TagResourceInput{ResourceArn: arn, Tags: r.tags()})
			return result, err
		},
		Delete: func(ctx context.Context, r Request) error {
			_, err := cloudwatchlogs.NewFromConfig(r.AWS).DeleteLogGroup(ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

func (r Request) setRetention(ctx context.Context) error {
	if !r.changed("RetentionInDays") {
		return nil
	}
	client := cloudwatchlogs.NewFromConfig(r.AWS)
	days, err := strconv.ParseInt(r.text("RetentionInDays"), 10, 32)
	if err != nil { // not given: for ever
		_, err := client.DeleteRetentionPolicy(ctx, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: &r.PhysicalID})
		return err
	}
	_, err = client.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &r.PhysicalID, RetentionInDays: aws.Int32(int32(days))})
	return err
}

// logGroupARN returns the ARN that tags take: without the :* that the attribute has.
func (r Request) logGroupARN() string {
	return "arn:aws:logs:" + r.Region + ":" + r.Account + ":log-group:" + r.PhysicalID
}

func (r Request) logGroupResult() Result {
	return Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{"Arn": r.logGroupARN() + ":*"}}
}
