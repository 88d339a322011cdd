package cloudformation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"
)

// operationEvents returns what DescribeEvents tells, a line each.
func (w *world) operationEvents(in *sdk.DescribeEventsInput) (lines []string) {
	w.t.Helper()
	out, err := w.DescribeEvents(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range out.OperationEvents {
		if aws.ToString(e.OperationId) == "" || *e.StackId == "" || *e.EventId == "" || e.Timestamp == nil {
			w.t.Errorf("an event has no operation, stack, id or time: %+v", e)
		}
		words := []string{string(e.OperationType), string(e.EventType)}
		for _, word := range []string{string(e.OperationStatus), aws.ToString(e.LogicalResourceId), string(e.ResourceStatus), string(e.ValidationStatus)} {
			if word != "" {
				words = append(words, word)
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// operations returns the kinds of the stack's last operations, and their ids by kind.
func (w *world) operations() (kinds []string, ids map[string]string) {
	w.t.Helper()
	ids = map[string]string{}
	for _, o := range w.stack().LastOperations {
		kinds = append(kinds, string(o.OperationType))
		ids[string(o.OperationType)] = *o.OperationId
	}
	return kinds, ids
}

// Who begins an operation is told its id, by which its events are found. A rollback that
// nobody asked for has an id of its own.
func TestOperationIDs(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	created, err := w.CreateStack(ctx, &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain)})
	if err != nil {
		t.Fatal(err)
	}
	w.rest()
	kinds, ids := w.operations()
	if diff := cmp.Diff([]string{"CREATE_STACK"}, kinds); diff != "" || *created.OperationId != ids["CREATE_STACK"] {
		t.Errorf("the creation is %s, and the operations are %v", *created.OperationId, ids)
	}
	update := func(noRollback bool) string {
		t.Helper()
		updated, err := w.UpdateStack(ctx, &sdk.UpdateStackInput{
			StackName: aws.String(name), UsePreviousTemplate: aws.Bool(true), DisableRollback: &noRollback,
			Parameters: []types.Parameter{{ParameterKey: aws.String("V"), ParameterValue: aws.String("2")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.rest()
		return *updated.OperationId
	}
	w.failAt("before update B")
	updated := update(false)
	kinds, ids = w.operations()
	if diff := cmp.Diff([]string{"ROLLBACK", "UPDATE_STACK"}, kinds); diff != "" || ids["UPDATE_STACK"] != updated || ids["ROLLBACK"] == updated {
		t.Errorf("the update is %s, and the operations are %v", updated, ids)
	}
	for id, want := range map[string][]string{
		updated: {
			"UPDATE_STACK PROVISIONING_ERROR B UPDATE_FAILED", "UPDATE_STACK PROGRESS_EVENT B UPDATE_IN_PROGRESS",
			"UPDATE_STACK PROGRESS_EVENT A UPDATE_COMPLETE", "UPDATE_STACK PROGRESS_EVENT A UPDATE_IN_PROGRESS", "UPDATE_STACK STACK_EVENT IN_PROGRESS web UPDATE_IN_PROGRESS",
		},
		ids["ROLLBACK"]: {
			"ROLLBACK STACK_EVENT SUCCEEDED web UPDATE_ROLLBACK_COMPLETE", "ROLLBACK STACK_EVENT IN_PROGRESS web UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
			"ROLLBACK PROGRESS_EVENT B UPDATE_COMPLETE", "ROLLBACK PROGRESS_EVENT B UPDATE_IN_PROGRESS", "ROLLBACK PROGRESS_EVENT A UPDATE_COMPLETE", "ROLLBACK PROGRESS_EVENT A UPDATE_IN_PROGRESS",
			"ROLLBACK STACK_EVENT IN_PROGRESS web UPDATE_ROLLBACK_IN_PROGRESS",
		},
	} {
		if diff := cmp.Diff(want, w.operationEvents(&sdk.DescribeEventsInput{OperationId: &id})); diff != "" {
			t.Errorf("events of %s (-want +got):\n%s", id, diff)
		}
	}
	failed := w.operationEvents(&sdk.DescribeEventsInput{StackName: aws.String(name), Filters: &types.EventFilter{FailedEvents: aws.Bool(true)}})
	if diff := cmp.Diff([]string{"UPDATE_STACK PROVISIONING_ERROR B UPDATE_FAILED"}, failed); diff != "" {
		t.Errorf("what failed (-want +got):\n%s", diff)
	}

	w.failAt("before update B")
	update(true)
	rolledBack, err := w.RollbackStack(ctx, &sdk.RollbackStackInput{StackName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	w.rest()
	kinds, ids = w.operations()
	if diff := cmp.Diff([]string{"ROLLBACK"}, kinds); diff != "" || ids["ROLLBACK"] != *rolledBack.OperationId {
		t.Errorf("the rollback is %s, and the operations are %v", *rolledBack.OperationId, ids)
	}
	events, err := w.DescribeStackEvents(ctx, &sdk.DescribeStackEventsInput{StackName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		if aws.ToString(e.OperationId) == "" {
			t.Errorf("%s of %s has no operation", e.ResourceStatus, *e.LogicalResourceId)
		}
	}
	if _, err := w.DescribeEvents(ctx, &sdk.DescribeEventsInput{}); code(err) != "ValidationError" {
		t.Errorf("without a stack, an operation and a change set it answers %v", err)
	}
}

// The deletion of a stack that is being created is an operation of its own, and goes on
// as one in the next process.
func TestOperationIDOfACreationThatIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.beginCreation()
	id := *w.stack().StackId
	if status := w.destroy(); status != "DELETE_COMPLETE" {
		t.Fatal(status)
	}
	out, err := w.DescribeStacks(t.Context(), &sdk.DescribeStacksInput{StackName: &id})
	if err != nil || len(out.Stacks[0].LastOperations) != 2 {
		t.Fatalf("the operations are %+v, %v", out, err)
	}
	last, first := out.Stacks[0].LastOperations[0], out.Stacks[0].LastOperations[1]
	if last.OperationType != types.OperationTypeDeleteStack || first.OperationType != types.OperationTypeCreateStack || *last.OperationId == *first.OperationId {
		t.Errorf("the operations are %+v, %+v", last, first)
	}
	told := w.operationEvents(&sdk.DescribeEventsInput{OperationId: last.OperationId})
	if told[0] != "DELETE_STACK STACK_EVENT SUCCEEDED web DELETE_COMPLETE" || told[len(told)-1] != "DELETE_STACK STACK_EVENT IN_PROGRESS web DELETE_IN_PROGRESS" {
		t.Errorf("the deletion's events are\n%s", strings.Join(told, "\n"))
	}
}

// What DescribeEvents tells of change sets.
func TestEventsOfChangeSets(t *testing.T) {
	for name, test := range map[string]struct {
		template string
		all      []string
		failed   []string
		reason   string
	}{
		"made": {one(`"Value": "2"`, ""), []string{"CREATE_CHANGESET STACK_EVENT SUCCEEDED"}, nil, ""},
		"without changes": {
			one(`"Value": "1"`, ""), []string{"CREATE_CHANGESET STACK_EVENT FAILED"}, nil, "",
		},
		"with a property that there is not": {
			one(`"Value": "2", "Colour": "red"`, ""), []string{"CREATE_CHANGESET STACK_EVENT FAILED", "CREATE_CHANGESET VALIDATION_ERROR A FAILED"},
			[]string{"CREATE_CHANGESET VALIDATION_ERROR A FAILED"}, "Encountered unsupported property Colour. It is not provided by tasuki local.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.deploy(deployment{template: one(`"Value": "1"`, "")})
			c := w.changeSet("web", deployment{template: test.template})
			// By its ARN, by its name and the stack's, and by the operation's id.
			in := &sdk.DescribeEventsInput{ChangeSetName: c.ChangeSetId}
			if diff := cmp.Diff(test.all, w.operationEvents(in)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			out, err := w.DescribeEvents(t.Context(), &sdk.DescribeEventsInput{ChangeSetName: c.ChangeSetName, StackName: c.StackName})
			if err != nil || len(out.OperationEvents) != len(test.all) {
				t.Fatalf("by its name: %+v, %v", out, err)
			}
			if diff := cmp.Diff(test.all, w.operationEvents(&sdk.DescribeEventsInput{OperationId: out.OperationEvents[0].OperationId})); diff != "" {
				t.Errorf("events of the operation (-want +got):\n%s", diff)
			}
			in.Filters = &types.EventFilter{FailedEvents: aws.Bool(true)}
			if diff := cmp.Diff(test.failed, w.operationEvents(in)); diff != "" {
				t.Errorf("what failed (-want +got):\n%s", diff)
			}
			last := out.OperationEvents[len(out.OperationEvents)-1]
			if got := aws.ToString(last.ValidationStatusReason); got != test.reason {
				t.Errorf("the reason is %q, want %q", got, test.reason)
			}
		})
	}
	w := newWorld(t)
	if _, err := w.DescribeEvents(t.Context(), &sdk.DescribeEventsInput{ChangeSetName: aws.String("arn:missing")}); code(err) != "ChangeSetNotFound" {
		t.Errorf("of one that does not exist: %v", err)
	}
	// The stack that a change set brings is reviewed in the course of its creation.
	w.changeSet(name, deployment{template: chain})
	if got := fmt.Sprint(w.operationEvents(&sdk.DescribeEventsInput{StackName: aws.String(name)})); got != "[CREATE_CHANGESET STACK_EVENT IN_PROGRESS web REVIEW_IN_PROGRESS]" {
		t.Errorf("a stack in review has the events %s", got)
	}
}
