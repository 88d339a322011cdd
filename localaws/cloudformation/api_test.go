package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	sdkssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// tagged has a parameter that reads SSM.
const tagged = `{
  "Parameters": {"Tag": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/tag"}},
  "Resources": {"A": {"Type": "Test::Thing", "Properties": {"Value": {"Ref": "Tag"}}}}
}`

// The value of a parameter that reads SSM is the one from when the change set was made.
func TestParametersAreFrozen(t *testing.T) {
	w := newWorld(t)
	if _, err := w.tryChangeSet(name, deployment{template: tagged}); code(err) != "ValidationError" || !strings.Contains(err.Error(), "Unable to fetch parameters [/tag] from parameter store for this account.") {
		t.Errorf("without the parameter it answers %v", err)
	}
	if status := w.status(name); status != "" {
		t.Errorf("there is a stack, in %s", status)
	}
	w.put("/tag", "v1")
	c := w.changeSet(name, deployment{template: tagged})
	w.put("/tag", "v2")
	w.execute(deployment{}, c)
	if status := w.rest(); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	if got := w.things.values(); got["a-1"] != "v1" {
		t.Errorf("there is %v, and the change set was made of v1", got)
	}
	if p := w.stack().Parameters[0]; *p.ParameterValue != "/tag" || *p.ResolvedValue != "v1" {
		t.Errorf("the stack has %s = %s", *p.ParameterValue, *p.ResolvedValue)
	}
	if status := w.deploy(deployment{template: tagged}); status != "UPDATE_COMPLETE" || w.things.values()["a-1"] != "v2" {
		t.Errorf("it ends in %s with %v", status, w.things.values())
	}
	_, err := sdkssm.NewFromConfig(w.aws).DeleteParameter(t.Context(), &sdkssm.DeleteParameterInput{Name: aws.String("/tag")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryChangeSet(name, deployment{template: tagged}); code(err) != "ValidationError" {
		t.Errorf("after the parameter was deleted it answers %v", err)
	}
}

// A rollback goes back to the value that was read for the last deployment, and not to
// what SSM has now.
func TestRollbackKeepsFrozenValues(t *testing.T) {
	w := newWorld(t)
	w.put("/tag", "v1")
	w.deploy(deployment{template: tagged})
	w.put("/tag", "v2")
	w.failAt("after update A")
	if status := w.deploy(deployment{template: tagged}); status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Fatal(status)
	}
	if got := w.things.values()["a-1"]; got != "v1" {
		t.Errorf("it has %s", got)
	}
	if p := w.stack().Parameters[0]; *p.ResolvedValue != "v1" {
		t.Errorf("the stack has %s", *p.ResolvedValue)
	}
}

// A dynamic reference is read when a resource is changed, and does not change it.
func TestDynamicReferences(t *testing.T) {
	w := newWorld(t)
	dynamic := func(fixed string) deployment {
		return deployment{template: one(`"Value": "{{resolve:ssm:/tag}}!", "Tags": [{"fixed": "`+fixed+`"}]`, "")}
	}
	w.put("/tag", "v1")
	w.deploy(dynamic("x"))
	w.put("/tag", "v2")
	if status := w.deploy(dynamic("x")); !strings.HasPrefix(status, "FAILED: The submitted information didn't contain changes.") {
		t.Errorf("with another value it ends in %s", status)
	}
	if got := w.things.values()["a-1"]; got != "v1!" {
		t.Errorf("it has %s", got)
	}
	w.failAt("after update A")
	w.deploy(dynamic("y"))
	if diff := cmp.Diff([]string{"create A=v1!", "update A=v2! from v1!", "update A=v1! from v2!"}, w.things.did()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// What a change set says of each kind of change.
func TestChanges(t *testing.T) {
	w := newWorld(t)
	before := `{
	  "Parameters": {"V": {"Type": "String", "Default": "1"}},
	  "Resources": {
	    "Same": {"Type": "Test::Thing", "Properties": {"Value": "x"}},
	    "Gone": {"Type": "Test::Thing"},
	    "Kept": {"Type": "Test::Thing", "DeletionPolicy": "Retain"},
	    "Replaced": {"Type": "Test::Thing", "Properties": {"Fixed": {"Ref": "V"}}},
	    "Follows": {"Type": "Test::Thing", "Properties": {"Value": {"Ref": "Replaced"}}},
	    "Perhaps": {"Type": "Test::Thing", "Properties": {"Fixed": {"Fn::GetAtt": ["Answers", "Answer"]}}},
	    "Answers": {"Type": "Custom::Thing", "Properties": {"Value": "1"}},
	    "Described": {"Type": "Test::Thing", "Metadata": {"of": "1"}}
	  }
	}`
	w.deploy(deployment{template: before})
	after := strings.NewReplacer(`"Gone": {"Type": "Test::Thing"},`, `"New": {"Type": "Test::Thing"},`, `"Kept": {"Type": "Test::Thing", "DeletionPolicy": "Retain"},`, "",
		`"Properties": {"Value": "1"}`, `"Properties": {"Value": "2"}`, `"of": "1"`, `"of": "2"`).Replace(before)
	c := w.changeSet(name, deployment{template: after, parameters: v2})
	var got []string
	for _, change := range c.Changes {
		r := change.ResourceChange
		line := fmt.Sprintf("%s %s", r.Action, *r.LogicalResourceId)
		for _, word := range []string{string(r.Replacement), string(r.PolicyAction)} {
			if word != "" {
				line += " " + word
			}
		}
		for _, d := range r.Details {
			line += fmt.Sprintf(", %s %s by %s %s %s", d.Target.Attribute, aws.ToString(d.Target.Name), d.ChangeSource, aws.ToString(d.CausingEntity), d.Evaluation)
		}
		got = append(got, line)
	}
	want := []string{
		"Modify Answers False, Properties Value by DirectModification  Static",
		"Modify Described False, Metadata  by DirectModification  Static",
		"Modify Follows False, Properties Value by ResourceReference Replaced Dynamic",
		"Remove Gone Delete",
		"Remove Kept Retain",
		"Add New",
		"Modify Perhaps Conditional, Properties Fixed by ResourceAttribute Answers.Answer Dynamic",
		"Modify Replaced True ReplaceAndDelete, Properties Fixed by ParameterReference V Static",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestExports(t *testing.T) {
	w := newWorld(t)
	exporting := func(value string) deployment {
		return deployment{template: `{"Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {"O": {"Value": "` + value + `", "Export": {"Name": "shared"}}}}`}
	}
	importing := deployment{template: `{"Resources": {"B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::ImportValue": "shared"}}}}}`}
	if status := w.deployTo("user", importing); !strings.Contains(status, "No export named shared found.") {
		t.Errorf("without the export it ends in %s", status)
	}
	if _, err := w.DeleteStack(t.Context(), &sdk.DeleteStackInput{StackName: aws.String("user")}); err != nil {
		t.Fatal(err)
	}
	w.rest()
	w.deploy(exporting("1"))
	if status := w.deployTo("user", importing); status != "CREATE_COMPLETE" || w.things.values()["b-2"] != "1" {
		t.Fatalf("it ends in %s with %v", status, w.things.values())
	}
	if status := w.deploy(exporting("2")); status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("a change of what is imported ends in %s", status)
	}
	before := len(w.eventsOf(name))
	if status := w.destroy(); status != "UPDATE_ROLLBACK_COMPLETE" { // which it was in
		t.Errorf("deleting what is imported ends in %s", status)
	}
	if diff := cmp.Diff([]string{"web DELETE_IN_PROGRESS [User Initiated]", "web UPDATE_ROLLBACK_COMPLETE [Delete canceled. Cannot delete export shared as it is in use by user.]"}, w.eventsOf(name)[before:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if reason := aws.ToString(w.stack().StackStatusReason); reason != "Delete canceled. Cannot delete export shared as it is in use by user." {
		t.Errorf("it says %q", reason)
	}
	imports, err := w.ListImports(t.Context(), &sdk.ListImportsInput{ExportName: aws.String("shared")})
	if err != nil || !cmp.Equal(imports.Imports, []string{"user"}) {
		t.Errorf("the importers are %v, %v", imports, err)
	}
	if status := w.deployTo("other", exporting("1")); status != "ROLLBACK_COMPLETE" {
		t.Errorf("a second export of the name ends in %s", status)
	}
	const reason = "other ROLLBACK_IN_PROGRESS [Export with name shared is already exported by stack web. Rollback requested by user.]"
	if !slices.Contains(w.eventsOf("other"), reason) {
		t.Errorf("the events are\n%s", strings.Join(w.eventsOf("other"), "\n"))
	}
}

// A stack is deleted while it is created, and what was begun is deleted too.
func TestDeleteWhileCreating(t *testing.T) {
	w := newWorld(t)
	w.beginCreation()
	if status := w.destroy(); status != "DELETE_COMPLETE" {
		t.Fatal(status)
	}
	if got := w.things.values(); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	if events := strings.Join(w.events(), "\n"); !strings.Contains(events, "B CREATE_FAILED [Resource creation cancelled]") {
		t.Errorf("the events are\n%s", events)
	}
}

// A stack whose deletion fails is deleted without what cannot be.
func TestDeleteFailed(t *testing.T) {
	for name, test := range map[string]struct {
		in     sdk.DeleteStackInput
		events []string
	}{
		"retained": {sdk.DeleteStackInput{RetainResources: []string{"B"}}, []string{
			"web DELETE_IN_PROGRESS [User Initiated]", "B DELETE_SKIPPED", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE", "web DELETE_COMPLETE",
		}},
		"forced": {sdk.DeleteStackInput{DeletionMode: types.DeletionModeForceDeleteStack}, []string{
			"web DELETE_IN_PROGRESS [User Initiated]", "B DELETE_IN_PROGRESS", "B DELETE_FAILED [it was told to fail]",
			"A DELETE_IN_PROGRESS", "A DELETE_COMPLETE", "web DELETE_COMPLETE",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deploy(deployment{template: chain})
			test.in.StackName = aws.String("web")
			if _, err := w.DeleteStack(t.Context(), &test.in); code(err) != "ValidationError" {
				t.Errorf("before it has failed, it answers %v", err)
			}
			w.at(func(_ context.Context, at cloudformation.Point) error {
				if at.LogicalID == "B" && at.Phase == cloudformation.BeforeDelete {
					return errors.New("it was told to fail")
				}
				return nil
			})
			if status := w.destroy(); status != "DELETE_FAILED" {
				t.Fatal(status)
			}
			if reason := *w.stack().StackStatusReason; reason != "The following resource(s) failed to delete: [B]. " {
				t.Errorf("it says %q", reason)
			}
			kept := sdk.DeleteStackInput{StackName: aws.String("web"), RetainResources: []string{"B", "C"}}
			if _, err := w.DeleteStack(t.Context(), &kept); code(err) != "ValidationError" { // C is gone
				t.Errorf("retaining what has not failed: %v", err)
			}
			before := len(w.events())
			if _, err := w.DeleteStack(t.Context(), &test.in); err != nil {
				t.Fatal(err)
			}
			if status := w.rest(); status != "DELETE_COMPLETE" {
				t.Fatal(status)
			}
			if diff := cmp.Diff(test.events, w.since(before)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{"b-2": "1"}, w.things.values()); diff != "" {
				t.Errorf("what exists (-want +got):\n%s", diff)
			}
		})
	}
}

// What is refused, and in which words.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.deploy(deployment{template: chain})
	protect := func(on bool) {
		if _, err := w.UpdateTerminationProtection(t.Context(), &sdk.UpdateTerminationProtectionInput{StackName: aws.String(name), EnableTerminationProtection: &on}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, missing := t.Context(), aws.String("missing")
	create := func(template string, change func(*sdk.CreateStackInput)) func() error {
		return func() error {
			in := &sdk.CreateStackInput{StackName: aws.String("other"), TemplateBody: &template}
			if change != nil {
				change(in)
			}
			_, err := w.CreateStack(ctx, in)
			return err
		}
	}
	for name, test := range map[string]struct {
		do   func() error
		want string
	}{
		"protected": {func() error {
			protect(true)
			defer protect(false)
			_, err := w.DeleteStack(ctx, deleteInput())
			return err
		}, "ValidationError: Stack [web] cannot be deleted while TerminationProtection is enabled"},
		"no changes": {func() error {
			_, err := w.UpdateStack(ctx, &sdk.UpdateStackInput{StackName: aws.String(name), UsePreviousTemplate: aws.Bool(true)})
			return err
		}, "ValidationError: No updates are to be performed."},
		"there is one":       {create(chain, func(in *sdk.CreateStackInput) { in.StackName = aws.String(name) }), "AlreadyExistsException: Stack [web] already exists"},
		"no template":        {create("", func(in *sdk.CreateStackInput) { in.TemplateBody = nil }), "ValidationError: Either Template URL or Template Body must be specified."},
		"unknown attributes": {create(`{"Resources": {"A": {"Type": "Test::Thing"}, "B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Nothing"]}}}}}`, nil), "ValidationError: Template error: resource A does not support attribute type Nothing in Fn::GetAtt"},
		"unknown types":      {create(`{"Resources": {"A": {"Type": "AWS::EC2::VPC"}}}`, nil), "ValidationError: Template format error: Unrecognized resource types: [AWS::EC2::VPC]. They are not provided by tasuki local."},
		"unknown members":    {create(`{"Resources": {"A": {"Type": "Test::Thing", "Properties": {"Colour": "red"}}}}`, nil), "ValidationError: Encountered unsupported property Colour. It is not provided by tasuki local."},
		"missing parameters": {create(`{"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "Test::Thing"}}}`, nil), "ValidationError: Parameters: [P] must have values"},
		"foreign parameters": {create(chain, func(in *sdk.CreateStackInput) {
			in.Parameters = []types.Parameter{{ParameterKey: aws.String("Q"), ParameterValue: aws.String("1")}}
		}), "ValidationError: Parameters: [Q] do not exist in the template"},
		"circles": {create(`{"Resources": {"A": {"Type": "Test::Thing", "DependsOn": "B"}, "B": {"Type": "Test::Thing", "DependsOn": "A"}}}`, nil), "ValidationError: Circular dependency between resources: [A, B]"},
		"what is left out by its condition": {
			create(`{"Conditions": {"No": {"Fn::Equals": ["a", "b"]}}, "Resources": {
				"A": {"Type": "Test::Thing", "Condition": "No"}, "Z": {"Type": "Test::Thing", "Condition": "No"}, "C": {"Type": "Test::Thing"},
				"B": {"Type": "Test::Thing", "DependsOn": "Z", "Properties": {"Value": {"Fn::Sub": "${C}-${A}"}}}}}`, nil),
			"ValidationError: Template format error: Unresolved resource dependencies [A] in the Resources block of the template",
		},
		"output of what is left out": {
			create(`{"Conditions": {"No": {"Fn::Equals": ["a", "b"]}}, "Resources": {"A": {"Type": "Test::Thing", "Condition": "No"}, "B": {"Type": "Test::Thing"}},
				"Outputs": {"Not": {"Condition": "No", "Value": {"Ref": "A"}}, "Is": {"Value": {"Fn::If": ["No", {"Ref": "B"}, {"Ref": "A"}]}}}}`, nil),
			"ValidationError: Template format error: Unresolved resource dependencies [A] in the Outputs block of the template",
		},
		"output of a list": {
			create(`{"Parameters": {"L": {"Type": "CommaDelimitedList", "Default": "a,b"}}, "Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {"O": {"Value": {"Ref": "L"}}}}`, nil),
			"ValidationError: Template format error: The Value field of every Outputs member must evaluate to a String.",
		},
		"output of nothing": {
			create(`{"Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {"O": {"Value": {"Ref": "AWS::NoValue"}}}}`, nil),
			"ValidationError: Template format error: The Value field of every Outputs member must evaluate to a String.",
		},
		"export's name": {
			create(`{"Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {"O": {"Value": "1", "Export": {"Name": {"Fn::Sub": "${AWS::StackName}.x"}}}}}`, nil),
			"ValidationError: Template format error: Output O is malformed. The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens.",
		},
		"export twice": {
			create(`{"Resources": {"A": {"Type": "Test::Thing"}}, "Outputs": {"O": {"Value": {"Ref": "A"}, "Export": {"Name": "x"}}, "P": {"Value": "1", "Export": {"Name": "x"}}}}`, nil),
			"ValidationError: Template format error: Output P is malformed. Output O exports the name x too.",
		},
		"two values": {func() error {
			_, err := w.UpdateStack(ctx, &sdk.UpdateStackInput{StackName: aws.String(name), UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{
				{ParameterKey: aws.String("V"), ParameterValue: aws.String("2"), UsePreviousValue: aws.Bool(true)},
			}})
			return err
		}, "ValidationError: Invalid input for parameter key V. Cannot specify usePreviousValue as true and non empty value for a parameter"},
		"long templates": {create(strings.Repeat(" ", 51201), nil), "ValidationError: 1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200"},
		"long values": {create(chain, func(in *sdk.CreateStackInput) {
			in.Parameters = []types.Parameter{{ParameterKey: aws.String("V"), ParameterValue: aws.String(strings.Repeat("x", 4097))}}
		}), "ValidationError: 1 validation error detected: Value at 'parameters.1.member.parameterValue' failed to satisfy constraint: Member must have length less than or equal to 4096"},
		"many tags": {create(chain, func(in *sdk.CreateStackInput) {
			for i := range 51 {
				in.Tags = append(in.Tags, types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("")})
			}
		}), "ValidationError: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50"},
		"name of no parameter": {
			create(`{"Parameters": {"P": {"Type": "AWS::SSM::Parameter::Name", "Default": "/missing"}}, "Resources": {"A": {"Type": "Test::Thing"}}}`, nil),
			"ValidationError: Unable to fetch parameters [/missing] from parameter store for this account.",
		},
		"update of a missing stack": {func() error {
			_, err := w.UpdateStack(ctx, &sdk.UpdateStackInput{StackName: missing, TemplateBody: aws.String(chain)})
			return err
		}, "ValidationError: Stack [missing] does not exist"},
		"snapshots": {create(one("", `, "DeletionPolicy": "Snapshot"`), nil), "ValidationError: Template error: resource type Test::Thing of A does not support the policy Snapshot"},
		"express":   {create(chain, func(in *sdk.CreateStackInput) { in.DeploymentConfig = &types.DeploymentConfig{Mode: "EXPRESS"} }), "NotImplemented: the deployment mode EXPRESS of cloudformation is not provided by tasuki local."},
		"missing stack": {func() error {
			_, err := w.DescribeStacks(ctx, &sdk.DescribeStacksInput{StackName: missing})
			return err
		}, "ValidationError: Stack with id missing does not exist"},
		"missing stack's events": {func() error {
			_, err := w.DescribeStackEvents(ctx, &sdk.DescribeStackEventsInput{StackName: missing})
			return err
		}, "ValidationError: Stack [missing] does not exist"},
		"missing change set": {func() error {
			_, err := w.DescribeChangeSet(ctx, &sdk.DescribeChangeSetInput{StackName: aws.String(name), ChangeSetName: missing})
			return err
		}, "ChangeSetNotFound: ChangeSet [missing] does not exist"},
		"nothing to continue": {func() error {
			_, err := w.ContinueUpdateRollback(ctx, &sdk.ContinueUpdateRollbackInput{StackName: aws.String(name)})
			return err
		}, "is in CREATE_COMPLETE state and can not be continued to rollback."},
		"no changes to execute": {func() error {
			c := w.changeSet("web", deployment{template: chain})
			_, err := w.ExecuteChangeSet(ctx, &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId})
			return err
		}, "cannot be executed in its current status of [FAILED]"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.do(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it answers %v, want %s", err, test.want)
			}
		})
	}
}

// A request that is sent again, because its answer was lost, is answered like the first.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	c := w.changeSet(name, deployment{template: chain})
	for range 2 {
		if _, err := w.ExecuteChangeSet(t.Context(), &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId, ClientRequestToken: aws.String("token")}); err != nil {
			t.Fatal(err)
		}
	}
	if status := w.rest(); status != "CREATE_COMPLETE" {
		t.Error(status)
	}
}

// The answer to a request that is sent again names the stack that the first one made.
func TestTokensOfStacks(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for range 2 {
		created, err := w.CreateStack(t.Context(), &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain), ClientRequestToken: aws.String("create")})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *created.StackId)
	}
	if status := w.rest(); status != "CREATE_COMPLETE" {
		t.Error(status)
	}
	for range 2 {
		updated, err := w.UpdateStack(t.Context(), &sdk.UpdateStackInput{StackName: aws.String(name), TemplateBody: aws.String(one("", "")), ClientRequestToken: aws.String("update")})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *updated.StackId)
	}
	if status := w.rest(); status != "UPDATE_COMPLETE" {
		t.Error(status)
	}
	for _, id := range ids {
		if id != *w.stack().StackId {
			t.Errorf("an answer names %s, and the stack is %s", id, *w.stack().StackId)
		}
	}
}

// A token is one operation's: another one is not taken for it.
func TestTokensOfOtherOperations(t *testing.T) {
	w := newWorld(t)
	if _, err := w.CreateStack(t.Context(), &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain), ClientRequestToken: aws.String("token")}); err != nil {
		t.Fatal(err)
	}
	w.rest()
	in := deleteInput()
	in.ClientRequestToken = aws.String("token")
	if _, err := w.DeleteStack(t.Context(), in); code(err) != "TokenAlreadyExistsException" {
		t.Errorf("deletion with the creation's token: %v", err)
	}
	if _, err := w.UpdateStack(t.Context(), &sdk.UpdateStackInput{StackName: aws.String(name), TemplateBody: aws.String(one("", "")), ClientRequestToken: aws.String("token")}); code(err) != "TokenAlreadyExistsException" {
		t.Errorf("update with the creation's token: %v", err)
	}
	in.ClientRequestToken = aws.String("another")
	for range 2 {
		if _, err := w.DeleteStack(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	if status := w.rest(); status != "DELETE_COMPLETE" {
		t.Error(status)
	}
}

// A parameter of type AWS::SSM::Parameter::Name is a name, of a secret too.
func TestNamesOfParameters(t *testing.T) {
	w := newWorld(t)
	if _, err := sdkssm.NewFromConfig(w.aws).PutParameter(t.Context(), &sdkssm.PutParameterInput{Name: aws.String("/secret"), Value: aws.String("hunter2"), Type: "SecureString"}); err != nil {
		t.Fatal(err)
	}
	status := w.deploy(deployment{template: `{
	  "Parameters": {"P": {"Type": "AWS::SSM::Parameter::Name", "Default": "/secret"}},
	  "Resources": {"A": {"Type": "Test::Thing", "Properties": {"Value": {"Ref": "P"}}}}
	}`})
	if diff := cmp.Diff(map[string]string{"a-1": "/secret"}, w.things.values()); status != "CREATE_COMPLETE" || diff != "" {
		t.Errorf("it ends in %s (-want +got):\n%s", status, diff)
	}
}

// An update in which a condition does not hold any more is refused where what it leaves
// out is still referred to, and nothing is deleted.
func TestLeftOutWhileReferredTo(t *testing.T) {
	w := newWorld(t)
	template := `{
	  "Parameters": {"On": {"Type": "String"}},
	  "Conditions": {"On": {"Fn::Equals": [{"Ref": "On"}, "yes"]}},
	  "Resources": {"A": {"Type": "Test::Thing", "Condition": "On"}, "B": {"Type": "Test::Thing", "Properties": {"Value": {"Ref": "A"}}}}
	}`
	if status := w.deploy(deployment{template: template, parameters: map[string]string{"On": "yes"}}); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	_, err := w.tryChangeSet(name, deployment{template: template, parameters: map[string]string{"On": "no"}})
	if code(err) != "ValidationError" || !strings.Contains(err.Error(), "Unresolved resource dependencies [A] in the Resources block") {
		t.Errorf("it answers %v", err)
	}
	if diff := cmp.Diff(map[string]string{"a-1": "<nil>", "b-2": "a-1"}, w.things.values()); diff != "" {
		t.Errorf("what exists (-want +got):\n%s", diff)
	}
}

// What becomes of a stack whose creation fails, as CreateStack says.
func TestOnFailure(t *testing.T) {
	for onFailure, want := range map[types.OnFailure]string{"": "ROLLBACK_COMPLETE", types.OnFailureRollback: "ROLLBACK_COMPLETE", types.OnFailureDelete: "DELETE_COMPLETE", types.OnFailureDoNothing: "CREATE_FAILED"} {
		t.Run(string(onFailure), func(t *testing.T) {
			w := newWorld(t)
			w.failAt("before create B")
			if _, err := w.CreateStack(t.Context(), &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain), OnFailure: onFailure}); err != nil {
				t.Fatal(err)
			}
			if status := w.rest(); status != want {
				t.Errorf("it ends in %s, want %s", status, want)
			}
			if exists := len(w.things.values()) > 0; exists != (onFailure == types.OnFailureDoNothing) {
				t.Errorf("there is %v", w.things.values())
			}
		})
	}
}

// A change set of what the stack was is gone when the stack is another.
func TestChangeSetsAreForgotten(t *testing.T) {
	w := newWorld(t)
	w.deploy(deployment{template: chain})
	c := w.changeSet(name, deployment{template: chain, parameters: v2})
	if _, err := w.UpdateStack(t.Context(), &sdk.UpdateStackInput{
		StackName: aws.String(name), UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{{ParameterKey: aws.String("V"), ParameterValue: aws.String("3")}},
	}); err != nil {
		t.Fatal(err)
	}
	if status := w.rest(); status != "UPDATE_COMPLETE" || w.things.values()["a-1"] != "3" {
		t.Fatalf("it ends in %s with %v", status, w.things.values())
	}
	if _, err := w.ExecuteChangeSet(t.Context(), &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId}); code(err) != "ChangeSetNotFound" {
		t.Errorf("the change set is executed with %v", err)
	}
}

// during calls do in the middle of the next call of SSM.
type during struct {
	http.RoundTripper
	do *func()
}

func (d during) RoundTrip(r *http.Request) (*http.Response, error) {
	if do := *d.do; do != nil {
		*d.do = nil
		do()
	}
	return d.RoundTripper.RoundTrip(r)
}

// A change set is made of what the stack was when that was asked for: an update that
// begins meanwhile makes it obsolete.
func TestChangeSetsBecomeObsolete(t *testing.T) {
	w := newWorld(t)
	var meanwhile func()
	w.aws.HTTPClient = &http.Client{Transport: during{w.aws.HTTPClient.(*http.Client).Transport, &meanwhile}}
	w.restart()
	w.put("/tag", "1")
	w.deploy(deployment{template: tagged})
	w.put("/tag", "2")
	meanwhile = func() {
		if _, err := w.UpdateStack(t.Context(), &sdk.UpdateStackInput{StackName: aws.String(name), TemplateBody: aws.String(strings.Replace(tagged, `{"Ref": "Tag"}`, `"3"`, 1))}); err != nil {
			t.Fatal(err)
		}
		w.rest()
	}
	c := w.changeSet(name, deployment{template: tagged})
	if c.Status != types.ChangeSetStatusCreateComplete || c.ExecutionStatus != types.ExecutionStatusObsolete {
		t.Errorf("the change set is %s and %s", c.Status, c.ExecutionStatus)
	}
	if _, err := w.ExecuteChangeSet(t.Context(), &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId}); code(err) != "InvalidChangeSetStatus" || !strings.Contains(err.Error(), "OBSOLETE") {
		t.Errorf("the change set is executed with %v", err)
	}
	if again := w.deploy(deployment{template: tagged}); again != "UPDATE_COMPLETE" || w.things.values()["a-1"] != "2" {
		t.Errorf("another one ends in %s with %v", again, w.things.values())
	}
}

func code(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// What the states in which a stack's operation has failed leave to do.
func TestStatesThatRefuse(t *testing.T) {
	v2 := deployment{template: chain, parameters: v2}
	paused := v2
	paused.noRollback = true
	for status, test := range map[string]struct {
		steps  []step
		update string // how an update is refused
		roll   string // how a rollback is refused; "" where it is begun
	}{
		"ROLLBACK_COMPLETE": {
			[]step{{do: failing(deployment{template: chain}, "before create C"), status: "ROLLBACK_COMPLETE"}},
			"is in ROLLBACK_COMPLETE state and can not be updated.", "is in ROLLBACK_COMPLETE state and can not be rolled back.",
		},
		"ROLLBACK_FAILED": {
			[]step{{do: failing(deployment{template: chain}, "before create C", "before delete A"), status: "ROLLBACK_FAILED"}},
			"is in ROLLBACK_FAILED state and can not be updated.", "is in ROLLBACK_FAILED state and can not be rolled back.",
		},
		"UPDATE_ROLLBACK_FAILED": {
			[]step{
				{do: deploy(deployment{template: chain}), status: "CREATE_COMPLETE"},
				{do: failing(v2, "before update C", "before update B#2"), status: "UPDATE_ROLLBACK_FAILED"},
			},
			"is in UPDATE_ROLLBACK_FAILED state and can not be updated.", "is in UPDATE_ROLLBACK_FAILED state and can not be rolled back.",
		},
		"UPDATE_FAILED": {
			[]step{
				{do: deploy(deployment{template: chain}), status: "CREATE_COMPLETE"},
				{do: failing(paused, "before update B"), status: "UPDATE_FAILED"},
			},
			"This stack is currently in a non-terminal [UPDATE_FAILED] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API.", "",
		},
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run(t, w, test.steps)
			refused := func(what string, err error, want string) {
				t.Helper()
				if code(err) != "ValidationError" || !strings.Contains(err.Error(), want) {
					t.Errorf("%s is answered %v, want %s", what, err, want)
				}
			}
			_, err := w.UpdateStack(t.Context(), &sdk.UpdateStackInput{StackName: aws.String(name), TemplateBody: aws.String(one("", ""))})
			refused("an update", err, test.update)
			if _, err := w.CreateStack(t.Context(), &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain)}); code(err) != "AlreadyExistsException" {
				t.Errorf("a creation is answered %v", err)
			}
			if status != "UPDATE_FAILED" {
				_, err = w.CreateChangeSet(t.Context(), &sdk.CreateChangeSetInput{StackName: aws.String(name), ChangeSetName: aws.String("c"), TemplateBody: aws.String(chain)})
				refused("a change set", err, test.update)
			}
			if _, err = w.RollbackStack(t.Context(), &sdk.RollbackStackInput{StackName: aws.String(name)}); test.roll != "" {
				refused("a rollback", err, test.roll)
			} else if err != nil || w.rest() != "UPDATE_ROLLBACK_COMPLETE" {
				t.Errorf("a rollback is answered %v, and the stack is %s", err, w.status(name))
			}
			if status := w.destroy(); status != "DELETE_COMPLETE" {
				t.Errorf("its deletion ends in %s", status)
			}
		})
	}
}
