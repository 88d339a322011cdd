package events_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// endpoint is a running endpoint and the SDK's own client of its EventBridge.
type endpoint struct {
	*testing.T
	*sdk.Client
}

func start(t *testing.T) endpoint {
	t.Helper()
	return endpoint{t, sdk.NewFromConfig(localawstest.Config(localawstest.Start(t, localaws.Options{})))}
}

const queue = "arn:aws:sqs:us-east-1:000000000000:q"

func TestRules(t *testing.T) {
	e := start(t)
	name := aws.String("tag")
	localawstest.Fails(e, "ResourceNotFoundException", e.DescribeRule, &sdk.DescribeRuleInput{Name: name})
	localawstest.Fails(e, "ValidationException", e.PutRule, &sdk.PutRuleInput{Name: name})
	localawstest.Fails(e, "InvalidEventPatternException", e.PutRule, &sdk.PutRuleInput{Name: name, EventPattern: aws.String(`{"source":[{"wildcard":"*"}]}`)})
	localawstest.Fails(e, "ResourceNotFoundException", e.PutRule, &sdk.PutRuleInput{Name: name, EventBusName: aws.String("other"), ScheduleExpression: aws.String("rate(1 hour)")})
	for _, schedule := range []string{"rate(0 minutes)", "rate(1 minutes)", "rate(2 hour)", "cron(* * *)", "hourly"} {
		localawstest.Fails(e, "ValidationException", e.PutRule, &sdk.PutRuleInput{Name: name, ScheduleExpression: &schedule})
	}
	for _, schedule := range []string{"rate(1 minute)", "rate(15 minutes)", "cron(0 12 * * ? *)"} {
		localawstest.Call(e, e.PutRule, &sdk.PutRuleInput{Name: name, ScheduleExpression: &schedule})
	}
	out := localawstest.Call(e, e.PutRule, &sdk.PutRuleInput{Name: name, EventPattern: aws.String(`{"source":["test"]}`), Description: aws.String("d")})
	if *out.RuleArn != "arn:aws:events:us-east-1:000000000000:rule/tag" {
		t.Errorf("its ARN is %s", *out.RuleArn)
	}
	if got := localawstest.Call(e, e.DescribeRule, &sdk.DescribeRuleInput{Name: name}); got.State != "ENABLED" || *got.EventPattern != `{"source":["test"]}` || got.ScheduleExpression != nil || *got.EventBusName != "default" {
		t.Errorf("it is %+v", got)
	}
	localawstest.Call(e, e.DisableRule, &sdk.DisableRuleInput{Name: name})
	if got := localawstest.Call(e, e.ListRules, &sdk.ListRulesInput{NamePrefix: aws.String("t")}).Rules; len(got) != 1 || got[0].State != "DISABLED" {
		t.Errorf("listed are %+v", got)
	}
	localawstest.Call(e, e.EnableRule, &sdk.EnableRuleInput{Name: name})
	localawstest.Call(e, e.TagResource, &sdk.TagResourceInput{ResourceARN: out.RuleArn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}})
	localawstest.Call(e, e.UntagResource, &sdk.UntagResourceInput{ResourceARN: out.RuleArn, TagKeys: []string{"a"}})
	if got := localawstest.Call(e, e.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceARN: out.RuleArn}).Tags; len(got) != 1 || *got[0].Key != "b" {
		t.Errorf("its tags are %v", got)
	}
	target := types.Target{Id: aws.String("1"), Arn: aws.String(queue), RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(2)}}
	localawstest.Call(e, e.PutTargets, &sdk.PutTargetsInput{Rule: name, Targets: []types.Target{target}})
	target.Input = aws.String(`{"x":1}`)
	localawstest.Call(e, e.PutTargets, &sdk.PutTargetsInput{Rule: name, Targets: []types.Target{target}})
	if got := localawstest.Call(e, e.ListTargetsByRule, &sdk.ListTargetsByRuleInput{Rule: name}).Targets; len(got) != 1 || *got[0].Input != `{"x":1}` || *got[0].RetryPolicy.MaximumRetryAttempts != 2 {
		t.Errorf("its targets are %+v", got)
	}
	for member, edit := range map[string]func(*types.Target){
		"Arn": func(t *types.Target) { t.Arn = aws.String("arn:aws:sns:us-east-1:000000000000:t") }, "InputPath": func(t *types.Target) { t.InputPath = aws.String("$.detail") },
		"InputTransformer": func(t *types.Target) { t.InputTransformer = &types.InputTransformer{InputTemplate: aws.String("x")} },
	} {
		refused := target
		edit(&refused)
		t.Run(member, func(t *testing.T) {
			localawstest.Fails(endpoint{t, e.Client}, "NotImplemented", e.PutTargets, &sdk.PutTargetsInput{Rule: name, Targets: []types.Target{refused}})
		})
	}
	localawstest.Fails(e, "ValidationException", e.DeleteRule, &sdk.DeleteRuleInput{Name: name})
	removed := localawstest.Call(e, e.RemoveTargets, &sdk.RemoveTargetsInput{Rule: name, Ids: []string{"1", "2"}})
	if removed.FailedEntryCount != 1 || *removed.FailedEntries[0].TargetId != "2" {
		t.Errorf("it answers %+v", removed)
	}
	localawstest.Call(e, e.DeleteRule, &sdk.DeleteRuleInput{Name: name})
	localawstest.Call(e, e.DeleteRule, &sdk.DeleteRuleInput{Name: name})
}

func TestEntriesThatAreRefused(t *testing.T) {
	e := start(t)
	entry := func(source, detail string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{Source: &source, DetailType: aws.String("t"), Detail: &detail}
	}
	out := localawstest.Call(e, e.PutEvents, &sdk.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("test", `{}`), entry("aws.ssm", `{}`), entry("test", `[]`), entry("", `{}`)}})
	var codes []string
	for _, got := range out.Entries {
		codes = append(codes, aws.ToString(got.ErrorCode))
	}
	if want := []string{"", "NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument"}; !slices.Equal(codes, want) || out.FailedEntryCount != 3 || out.Entries[0].EventId == nil {
		t.Errorf("it answers %v, want %v", codes, want)
	}
	localawstest.Fails(e, "ValidationException", e.PutEvents, &sdk.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, 11)})
}

// arrivals is where deliveries arrive.
type arrivals struct {
	mu  sync.Mutex
	all []string
}

func (a *arrivals) deliver(_ context.Context, _ string, payload []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, string(payload))
	return nil
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

func TestLateEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := state.Temporary()
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		arrived := new(arrivals)
		s := events.New(events.Options{Store: store, Account: "000000000000", Region: "us-east-1", Deliver: arrived.deliver})
		defer s.Close()
		name := aws.String("r")
		if _, err := s.PutRule(t.Context(), &sdk.PutRuleInput{Name: name, EventPattern: aws.String(`{"detail":{"n":[1]}}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutTargets(t.Context(), &sdk.PutTargetsInput{Rule: name, Targets: []types.Target{{Id: name, Arn: aws.String(queue)}}}); err != nil {
			t.Fatal(err)
		}
		s.Disturb(events.Disturbance{Late: time.Minute, Copies: 2})
		if err := s.Emit(t.Context(), events.Event{Source: "aws.test", DetailType: "Test", Detail: map[string]int{"n": 1}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if n := arrived.count(); n != 0 {
			t.Errorf("%d events have arrived before their time", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := arrived.count(); n != 2 {
			t.Errorf("%d events have arrived, want one twice", n)
		}
		var event struct {
			ID, Version, Time string
			Resources         []string
		}
		if err := json.Unmarshal([]byte(arrived.all[0]), &event); err != nil || event.ID == "" || event.Version != "0" || event.Resources == nil {
			t.Errorf("it is %s, %v", arrived.all[0], err)
		}
		if err := s.Fire(t.Context(), "r"); err == nil {
			t.Error("a rule without a schedule fires")
		}
	})
}
