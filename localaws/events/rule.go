package events

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// rule is a rule as it is stored.
type rule struct {
	Name        string
	Description *string
	Pattern     *string // the event pattern; nil for none
	Schedule    *string // nil for none
	Role        *string
	State       types.RuleState
	Tags        map[string]string
	Targets     []types.Target
}

// mostTargets is how many targets a rule has at most (Amazon EventBridge quotas).
const mostTargets = 5

var (
	ruleGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\.\-_A-Za-z0-9]{1,64}$`) })
	rateGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^rate\((\d+) (minutes?|hours?|days?)\)$`) })
	cronGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^cron\(\S+ \S+ \S+ \S+ \S+ \S+\)$`) })
)

// checkSchedule checks the form of a schedule. That the fields of a cron expression
// have values that there are is not checked.
func checkSchedule(schedule string) error {
	m := rateGrammar().FindStringSubmatch(schedule)
	if m == nil {
		if cronGrammar().MatchString(schedule) {
			return nil
		}
		return invalid("Parameter ScheduleExpression is not valid.")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 || (n == 1) == strings.HasSuffix(m[2], "s") { // rate(1 hour), rate(2 hours)
		return invalid("Parameter ScheduleExpression is not valid.")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationException", format, args...)
}

func (s *Service) arn(name string) string {
	return "arn:aws:events:" + s.o.Region + ":" + s.o.Account + ":rule/" + name
}

func (s *Service) find(tx *state.Tx, name string) (rule, error) {
	r, found, err := s.rules.Get(tx, name)
	if err == nil && !found {
		err = wire.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", name, bus)
	}
	return r, err
}

// edit changes a rule.
func (s *Service) edit(busName *string, name string, do func(*rule) error) error {
	if err := s.checkBus(busName); err != nil {
		return err
	}
	return s.o.Store.Update(func(tx *state.Tx) error {
		r, err := s.find(tx, name)
		if err != nil {
			return err
		}
		if err := do(&r); err != nil {
			return err
		}
		return s.rules.Put(tx, name, r)
	})
}

// PutRule makes a rule, or changes one and leaves its targets and tags. What the
// request leaves out is taken away.
func (s *Service) PutRule(_ context.Context, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	if err := s.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	next := rule{Name: *in.Name, Description: in.Description, Pattern: in.EventPattern, Schedule: in.ScheduleExpression, Role: in.RoleArn, State: in.State}
	if next.State == "" {
		next.State = types.RuleStateEnabled
	}
	switch {
	case !ruleGrammar().MatchString(next.Name):
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", next.Name)
	case next.Pattern == nil && next.Schedule == nil:
		return nil, invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case next.State == types.RuleStateEnabledWithAllCloudtrailManagementEvents:
		return nil, wire.NotProvided("events", "PutRule with State "+string(next.State))
	}
	if next.Pattern != nil {
		if _, err := ParsePattern(*next.Pattern); err != nil {
			return nil, wire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
		}
	}
	if next.Schedule != nil {
		if err := checkSchedule(*next.Schedule); err != nil {
			return nil, err
		}
	}
	err := s.o.Store.Update(func(tx *state.Tx) error {
		old, found, err := s.rules.Get(tx, next.Name)
		if err != nil {
			return err
		}
		next.Targets, next.Tags = old.Targets, old.Tags
		if !found {
			next.Tags = withTags(nil, in.Tags)
		}
		return s.rules.Put(tx, next.Name, next)
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.PutRuleOutput{RuleArn: aws.String(s.arn(next.Name))}, nil
}

func withTags(tags map[string]string, further []types.Tag) map[string]string {
	all := map[string]string{}
	maps.Copy(all, tags)
	for _, tag := range further {
		all[*tag.Key] = *tag.Value
	}
	return all
}

// DeleteRule deletes a rule without targets; one that is not there is no error.
func (s *Service) DeleteRule(_ context.Context, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	if err := s.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	err := s.o.Store.Update(func(tx *state.Tx) error {
		r, found, err := s.rules.Get(tx, *in.Name)
		if err != nil || !found {
			return err
		}
		if len(r.Targets) > 0 {
			return invalid("Rule can't be deleted since it has targets.")
		}
		return s.rules.Delete(tx, *in.Name)
	})
	if err != nil {
		return nil, err
	}
	return new(eventbridge.DeleteRuleOutput), nil
}

// DescribeRule returns a rule, without its targets.
func (s *Service) DescribeRule(_ context.Context, in *eventbridge.DescribeRuleInput) (*eventbridge.DescribeRuleOutput, error) {
	r, err := s.rule(in.EventBusName, *in.Name)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeRuleOutput{
		Arn: aws.String(s.arn(r.Name)), Name: &r.Name, EventBusName: aws.String(bus), Description: r.Description, EventPattern: r.Pattern,
		ScheduleExpression: r.Schedule, RoleArn: r.Role, State: r.State, CreatedBy: &s.o.Account,
	}, nil
}

func (s *Service) rule(busName *string, name string) (r rule, err error) {
	if err := s.checkBus(busName); err != nil {
		return r, err
	}
	err = s.o.Store.View(func(tx *state.Tx) error {
		r, err = s.find(tx, name)
		return err
	})
	return r, err
}

// pageSize returns how many items a page has.
func pageSize(asked *int32) (int, error) {
	const most = 100
	if asked == nil {
		return most, nil
	}
	if *asked < 1 || *asked > most {
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", *asked, most)
	}
	return int(*asked), nil
}

// ListRules returns the rules whose names begin with a prefix.
func (s *Service) ListRules(_ context.Context, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	if err := s.checkBus(in.EventBusName); err != nil {
		return nil, err
	}
	most, err := pageSize(in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListRulesOutput{Rules: []types.Rule{}}
	if err := s.o.Store.View(func(tx *state.Tx) (err error) {
		last := ""
		for name, r := range s.rules.All(tx, aws.ToString(in.NamePrefix), &err) {
			if name <= aws.ToString(in.NextToken) {
				continue
			}
			if len(out.Rules) == most {
				out.NextToken = &last
				return err
			}
			out.Rules, last = append(out.Rules, types.Rule{
				Arn: aws.String(s.arn(name)), Name: &r.Name, EventBusName: aws.String(bus), Description: r.Description, EventPattern: r.Pattern,
				ScheduleExpression: r.Schedule, RoleArn: r.Role, State: r.State,
			}), name
		}
		return err
	}); err != nil {
		return nil, err
	}
	return out, nil
}

// EnableRule lets a rule's events be delivered.
func (s *Service) EnableRule(_ context.Context, in *eventbridge.EnableRuleInput) (*eventbridge.EnableRuleOutput, error) {
	return new(eventbridge.EnableRuleOutput), s.setState(in.EventBusName, *in.Name, types.RuleStateEnabled)
}

// DisableRule ends that a rule's events are delivered.
func (s *Service) DisableRule(_ context.Context, in *eventbridge.DisableRuleInput) (*eventbridge.DisableRuleOutput, error) {
	return new(eventbridge.DisableRuleOutput), s.setState(in.EventBusName, *in.Name, types.RuleStateDisabled)
}

func (s *Service) setState(busName *string, name string, to types.RuleState) error {
	return s.edit(busName, name, func(r *rule) error {
		r.State = to
		return nil
	})
}

// checkTarget checks that a target is of a kind that is provided, with nothing that
// is not.
func checkTarget(t types.Target) error {
	parts := strings.SplitN(*t.Arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return invalid("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", *t.Arn)
	}
	if parts[2] != "lambda" && parts[2] != "sqs" {
		return wire.NotProvided("events", "A target in "+parts[2])
	}
	for member, set := range map[string]bool{
		"AppSyncParameters": t.AppSyncParameters != nil, "BatchParameters": t.BatchParameters != nil, "EcsParameters": t.EcsParameters != nil,
		"HttpParameters": t.HttpParameters != nil, "InputPath": t.InputPath != nil, "InputTransformer": t.InputTransformer != nil,
		"KinesisParameters": t.KinesisParameters != nil, "RedshiftDataParameters": t.RedshiftDataParameters != nil,
		"RunCommandParameters": t.RunCommandParameters != nil, "SageMakerPipelineParameters": t.SageMakerPipelineParameters != nil,
		"SqsParameters": t.SqsParameters != nil,
	} {
		if set {
			return wire.NotProvided("events", "A target's "+member)
		}
	}
	if t.Input != nil && !isJSON(*t.Input) {
		return invalid("Parameter Input is not valid. Reason: it is not JSON.")
	}
	return nil
}

// PutTargets adds targets to a rule, or replaces those with the same ids.
func (s *Service) PutTargets(_ context.Context, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	for _, t := range in.Targets {
		if err := checkTarget(t); err != nil {
			return nil, err
		}
	}
	err := s.edit(in.EventBusName, *in.Rule, func(r *rule) error {
		for _, t := range in.Targets {
			r.Targets = slices.DeleteFunc(r.Targets, func(old types.Target) bool { return *old.Id == *t.Id })
			r.Targets = append(r.Targets, t)
		}
		if len(r.Targets) > mostTargets {
			return wire.Errorf("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}, nil
}

// RemoveTargets removes targets from a rule; ids that it does not have are answered
// as failed entries.
func (s *Service) RemoveTargets(_ context.Context, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	out := &eventbridge.RemoveTargetsOutput{FailedEntries: []types.RemoveTargetsResultEntry{}}
	err := s.edit(in.EventBusName, *in.Rule, func(r *rule) error {
		for _, id := range in.Ids {
			kept := slices.DeleteFunc(slices.Clone(r.Targets), func(t types.Target) bool { return *t.Id == id })
			if len(kept) == len(r.Targets) {
				out.FailedEntryCount++
				out.FailedEntries = append(out.FailedEntries, types.RemoveTargetsResultEntry{
					TargetId: &id, ErrorCode: aws.String("ResourceNotFoundException"), ErrorMessage: aws.String(fmt.Sprintf("Rule %s does not have target %s.", r.Name, id)),
				})
			}
			r.Targets = kept
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTargetsByRule returns a rule's targets: five at most, which are one page.
func (s *Service) ListTargetsByRule(_ context.Context, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	if _, err := pageSize(in.Limit); err != nil {
		return nil, err
	}
	r, err := s.rule(in.EventBusName, *in.Rule)
	if err != nil {
		return nil, err
	}
	if r.Targets == nil {
		r.Targets = []types.Target{}
	}
	return &eventbridge.ListTargetsByRuleOutput{Targets: r.Targets}, nil
}

// tagged returns the name of the rule that a request about tags is about.
func (s *Service) tagged(arn *string) (string, error) {
	name, ours := strings.CutPrefix(*arn, s.arn(""))
	name = strings.TrimPrefix(name, bus+"/")
	if !ours || strings.Contains(name, "/") {
		return "", wire.Errorf("ResourceNotFoundException", "%s is no rule of tasuki local.", *arn)
	}
	return name, nil
}

// TagResource adds tags to a rule, or replaces their values.
func (s *Service) TagResource(_ context.Context, in *eventbridge.TagResourceInput) (*eventbridge.TagResourceOutput, error) {
	name, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return new(eventbridge.TagResourceOutput), s.edit(nil, name, func(r *rule) error {
		r.Tags = withTags(r.Tags, in.Tags)
		return nil
	})
}

// UntagResource removes tags from a rule; keys that it does not have are no error.
func (s *Service) UntagResource(_ context.Context, in *eventbridge.UntagResourceInput) (*eventbridge.UntagResourceOutput, error) {
	name, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return new(eventbridge.UntagResourceOutput), s.edit(nil, name, func(r *rule) error {
		maps.DeleteFunc(r.Tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return nil
	})
}

// ListTagsForResource returns a rule's tags.
func (s *Service) ListTagsForResource(_ context.Context, in *eventbridge.ListTagsForResourceInput) (*eventbridge.ListTagsForResourceOutput, error) {
	name, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	r, err := s.rule(nil, name)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String(r.Tags[key])})
	}
	return out, nil
}
