package tasukicdk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// rulePrefix begins the names of all rules, so that one statement lets them invoke the
// provider.
const rulePrefix = "tasuki-"

// reconcileMinutes is how often a handoff is reconciled without any reason: the change
// events of SSM are best effort, and its reads eventually consistent.
const reconcileMinutes = 15

// finalStatuses are those in which a stack may have left another image on a function
// than the registered one. A stack that is deleted has no function.
var finalStatuses = [...]string{
	"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED",
	"IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_FAILED",
}

// rule is one reason to reconcile. Its target is set again where event source mappings
// are held, once these are known.
type rule struct {
	resource awsevents.CfnRule
	trigger  customresource.Trigger
}

// addRules has the provider reconcile the handoff when the stack or the tag parameter
// has changed, and on a schedule.
func (f *ImageFunction) addRules(props *ImageFunctionProps, needs []constructs.IDependable) []rule {
	stackEvents := map[string]any{
		"source":      jsii.Strings("aws.cloudformation"),
		"detail-type": jsii.Strings("CloudFormation Stack Status Change"),
		"detail": map[string]any{
			"stack-id":       []any{awscdk.Stack_Of(f).StackId()},
			"status-details": map[string]any{"status": jsii.Strings(finalStatuses[:]...)},
		},
	}
	parameterEvents := map[string]any{
		"source":      jsii.Strings("aws.ssm"),
		"detail-type": jsii.Strings("Parameter Store Change"),
		"detail": map[string]any{
			"name":      jsii.Strings(f.names.tagParameter),
			"operation": jsii.Strings("Create", "Update"),
		},
	}
	rules := []rule{
		f.addRule("StackRule", customresource.TriggerStack, needs, &awsevents.CfnRuleProps{
			Description:  jsii.String("Reconciles handoff " + f.names.handoff.String() + " when its stack has been changed"),
			EventPattern: stackEvents,
		}),
		f.addRule("ParameterRule", customresource.TriggerParameter, needs, &awsevents.CfnRuleProps{
			Description:  jsii.String("Reconciles handoff " + f.names.handoff.String() + " when a release has been registered"),
			EventPattern: parameterEvents,
		}),
	}
	if !props.NoSchedule {
		rules = append(rules, f.addRule("ScheduleRule", customresource.TriggerSchedule, needs, &awsevents.CfnRuleProps{
			Description:        jsii.String("Reconciles handoff " + f.names.handoff.String()),
			ScheduleExpression: awsevents.Schedule_Rate(f.reconcilePeriod(props)).ExpressionString(),
		}))
	} else if props.ReconcileEvery != nil {
		mistake(f.scope, "ReconcileEvery and NoSchedule are both set: give a period, or leave the schedule out")
	}
	return rules
}

func (f *ImageFunction) reconcilePeriod(props *ImageFunctionProps) awscdk.Duration {
	usual := awscdk.Duration_Minutes(jsii.Number(reconcileMinutes))
	if props.ReconcileEvery == nil {
		return usual
	}
	if *props.ReconcileEvery.IsUnresolved() {
		return props.ReconcileEvery
	}
	minutes := *props.ReconcileEvery.ToMinutes(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)})
	if minutes < 1 || minutes != math.Trunc(minutes) {
		mistake(f.scope, "ReconcileEvery is %v minutes, and EventBridge's schedules have whole minutes, one at least", minutes)
		return usual
	}
	return props.ReconcileEvery
}

func (f *ImageFunction) addRule(id string, trigger customresource.Trigger, needs []constructs.IDependable, props *awsevents.CfnRuleProps) rule {
	props.Name = jsii.String(ruleName(f.names.handoff, trigger))
	r := rule{awsevents.NewCfnRule(f.scope, jsii.String(id), props), trigger}
	r.resource.Node().AddDependency(needs...)
	f.target(r, nil)
	return r
}

// target has a rule ask the provider for a reconciliation that enables event source
// mappings, given by their UUIDs.
func (f *ImageFunction) target(r rule, mappings []string) {
	contract, err := json.Marshal(f.contract())
	if err != nil {
		panic(err) // strings and a number
	}
	target := &awsevents.CfnRule_TargetProperty{
		Id:  jsii.String("Provider"),
		Arn: f.Provider.FunctionArn(),
		Input: awscdk.Stack_Of(f).ToJsonString(customresource.Properties(customresource.Reconcile{
			Version: customresource.ReconcileVersion, Trigger: r.trigger, Contract: contract, EventSourceMappings: mappings,
		}), nil),
		// An hour is long for an event whose reason may be gone: the next one says more.
		RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
			MaximumEventAgeInSeconds: jsii.Number(3600), MaximumRetryAttempts: jsii.Number(30),
		},
	}
	if queue := f.Provider.DeadLetterQueue; queue != nil {
		target.DeadLetterConfig = &awsevents.CfnRule_DeadLetterConfigProperty{Arn: queue.QueueArn()}
	}
	r.resource.SetTargets([]any{target})
}

// ruleName returns the name of a handoff's rule, unique among handoffs. Names of rules
// have 64 characters, and no '/'.
func ruleName(handoff tasuki.HandoffName, trigger customresource.Trigger) string {
	const longest = 64
	name := handoff.String()
	room := longest - len(rulePrefix) - len("-") - len(trigger)
	if strings.Contains(name, "/") || len(name) > room {
		sum := sha256.Sum256([]byte(name))
		suffix := "-" + hex.EncodeToString(sum[:4])
		name = strings.ReplaceAll(name, "/", ".")
		name = name[:min(len(name), room-len(suffix))] + suffix
	}
	return fmt.Sprintf("%s%s-%s", rulePrefix, name, trigger)
}
