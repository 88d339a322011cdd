package resource

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

const longestRuleName = 64 // characters

// rule is AWS::Events::Rule. Its physical id is its name, after its bus's and a bar
// where that is not the default one.
func rule() Type {
	return Type{
		Name: "AWS::Events::Rule",
		Properties: map[string]Property{
			"Description": text(), "EventBusName": text(), "EventPattern": document(), "Name": text(), "RoleArn": text(), "ScheduleExpression": text(), "State": text(),
			"Tags": tagList(),
			"Targets": listOf(object(map[string]Property{
				"Arn": required(text()), "DeadLetterConfig": object(map[string]Property{"Arn": text()}), "Id": required(text()), "Input": text(), "InputPath": text(),
				"InputTransformer": object(map[string]Property{"InputPathsMap": mapOf(text()), "InputTemplate": required(text())}),
				"RetryPolicy":      object(map[string]Property{"MaximumEventAgeInSeconds": integer(), "MaximumRetryAttempts": integer()}),
				"RoleArn":          text(),
			})),
		},
		CreateOnly: []string{"EventBusName", "Name"},
		Attributes: []string{"Arn"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			r.PhysicalID = r.named("Name", longestRuleName)
			if bus := r.text("EventBusName"); bus != "" && bus != "default" {
				r.PhysicalID = bus + "|" + r.PhysicalID
			}
			client, name := eventbridge.NewFromConfig(r.AWS), r.ruleName()
			if err := r.unless(name, func() error {
				_, err := client.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: &name, EventBusName: r.optional("EventBusName")})
				return err
			}); err != nil {
				return Result{}, err
			}
			return putRule(ctx, r)
		},
		Update: putRule,
		Delete: deleteRule,
	}
}

// ruleName returns the name within the physical id.
func (r Request) ruleName() string { return r.PhysicalID[strings.LastIndexByte(r.PhysicalID, '|')+1:] }

// putRule writes a rule and its targets. It is the same for a new one and for an old.
func putRule(ctx context.Context, r Request) (Result, error) {
	client, name, result := eventbridge.NewFromConfig(r.AWS), r.ruleName(), Result{PhysicalID: r.PhysicalID}
	in := &eventbridge.PutRuleInput{}
	if err := decode(without(r.Properties, "EventPattern", "Tags", "Targets"), in); err != nil {
		return result, err
	}
	pattern, err := documentText(r.Properties["EventPattern"])
	if err != nil {
		return result, err
	}
	in.Name, in.EventPattern = &name, pattern
	in.Tags = pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
	out, err := client.PutRule(ctx, in)
	if err != nil {
		return Result{}, err
	}
	result.Attributes = map[string]any{"Arn": aws.ToString(out.RuleArn)}
	if err := r.removeTargets(ctx, lost(targetIDs(r.Previous), targetIDs(r.Properties))); err != nil {
		return result, err
	}
	if r.Properties["Targets"] == nil || !r.changed("Targets") {
		return result, r.tagRule(ctx, aws.ToString(out.RuleArn))
	}
	targets := &eventbridge.PutTargetsInput{}
	if err := decode(pick(r.Properties, "Targets"), targets); err != nil {
		return result, err
	}
	targets.Rule, targets.EventBusName = &name, r.optional("EventBusName")
	put, err := client.PutTargets(ctx, targets)
	if err != nil {
		return result, err
	}
	for _, failed := range put.FailedEntries {
		return result, errors.New("target " + aws.ToString(failed.TargetId) + ": " + aws.ToString(failed.ErrorMessage))
	}
	return result, r.tagRule(ctx, aws.ToString(out.RuleArn))
}

// tagRule brings a rule's tags up to date: PutRule tags new rules only.
func (r Request) tagRule(ctx context.Context, arn string) error {
	if r.Previous == nil || !r.retagged() {
		return nil
	}
	client := eventbridge.NewFromConfig(r.AWS)
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.UntagResource(ctx, &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	_, err := client.TagResource(ctx, &eventbridge.TagResourceInput{
		ResourceARN: &arn, Tags: pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }),
	})
	return err
}

func (r Request) removeTargets(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	name := r.ruleName()
	_, err := eventbridge.NewFromConfig(r.AWS).RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: r.optional("EventBusName"), Ids: ids})
	return unlessMissing(err)
}

func deleteRule(ctx context.Context, r Request) error {
	if err := r.removeTargets(ctx, targetIDs(r.Properties)); err != nil {
		return err
	}
	name := r.ruleName()
	_, err := eventbridge.NewFromConfig(r.AWS).DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &name, EventBusName: r.optional("EventBusName")})
	return unlessMissing(err)
}

func targetIDs(properties map[string]any) (ids []string) {
	targets, _ := properties["Targets"].([]any)
	for _, element := range targets {
		target, _ := element.(map[string]any)
		if id, ok := scalar(target["Id"]); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
