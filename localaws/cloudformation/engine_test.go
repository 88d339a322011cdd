package cloudformation_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
)

// chain is three things, each of which has what the one before has.
const chain = `{
  "Parameters": {"V": {"Type": "String", "Default": "1"}},
  "Resources": {
    "A": {"Type": "Test::Thing", "Properties": {"Value": {"Ref": "V"}}},
    "B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Value"]}}},
    "C": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::Sub": "${A}/${B.Value}"}}}
  },
  "Outputs": {"C": {"Value": {"Fn::GetAtt": ["C", "Value"]}}}
}`

// before is a thing, and another that has its value.
func before(properties string) string {
	return `{"Resources": {
		"A": {"Type": "Test::Thing", "Properties": {` + properties + `}},
		"B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Value"]}}}}}`
}

// one is one thing, with parts of its template to fill in.
func one(properties, rest string) string {
	return `{"Resources": {"A": {"Type": "Test::Thing", "Properties": {` + properties + `}` + rest + `}}}`
}

// replacer is a custom resource that makes something of another id, and a thing behind
// it.
func replacer(id, value string) string {
	return `{"Resources": {"A": {"Type": "Custom::Thing", "Properties": {"Id": "` + id + `"}}, "B": {"Type": "Test::Thing", "DependsOn": "A", "Properties": {"Value": "` + value + `"}}}}`
}

// step is one thing that is done to a stack, and what must come of it.
type step struct {
	do     func(w *world) string // returns the stack's status
	status string
	calls  []string
	events []string // of the step; nil for whatever they are
	things map[string]string
}

func deploy(d deployment) func(w *world) string {
	return func(w *world) string { return w.deploy(d) }
}

func failing(d deployment, steps ...string) func(w *world) string {
	return func(w *world) string {
		w.failAt(steps...)
		defer w.at(nil)
		return w.deploy(d)
	}
}

func continuing(skip ...string) func(w *world) string {
	return func(w *world) string {
		if _, err := w.ContinueUpdateRollback(w.t.Context(), &sdk.ContinueUpdateRollbackInput{StackName: aws.String(name), ResourcesToSkip: skip}); err != nil {
			w.t.Fatal(err)
		}
		return w.rest()
	}
}

func rollingBack(w *world) string {
	if _, err := w.RollbackStack(w.t.Context(), &sdk.RollbackStackInput{StackName: aws.String(name)}); err != nil {
		w.t.Fatal(err)
	}
	return w.rest()
}

func destroying(w *world) string { return w.destroy() }

var v2 = map[string]string{"V": "2"}

func TestEngine(t *testing.T) {
	tests := map[string][]step{
		"create, change, delete": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE",
				[]string{"create A=1", "create B=1", "create C=a-1/1"},
				[]string{
					"web REVIEW_IN_PROGRESS [User Initiated]",
					"web CREATE_IN_PROGRESS [User Initiated]",
					"A CREATE_IN_PROGRESS", "A CREATE_IN_PROGRESS [Resource creation Initiated]", "A CREATE_COMPLETE",
					"B CREATE_IN_PROGRESS", "B CREATE_IN_PROGRESS [Resource creation Initiated]", "B CREATE_COMPLETE",
					"C CREATE_IN_PROGRESS", "C CREATE_IN_PROGRESS [Resource creation Initiated]", "C CREATE_COMPLETE",
					"web CREATE_COMPLETE",
				},
				map[string]string{"a-1": "1", "b-2": "1", "c-3": "a-1/1"}},
			{deploy(deployment{template: chain, parameters: v2}), "UPDATE_COMPLETE",
				[]string{"update A=2 from 1", "update B=2 from 1", "update C=a-1/2 from a-1/1"},
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]",
					"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE", "C UPDATE_IN_PROGRESS", "C UPDATE_COMPLETE",
					"web UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "web UPDATE_COMPLETE",
				},
				map[string]string{"a-1": "2", "b-2": "2", "c-3": "a-1/2"}},
			{destroying, "DELETE_COMPLETE",
				[]string{"delete C c-3", "delete B b-2", "delete A a-1"},
				[]string{
					"web DELETE_IN_PROGRESS [User Initiated]",
					"C DELETE_IN_PROGRESS", "C DELETE_COMPLETE", "B DELETE_IN_PROGRESS", "B DELETE_COMPLETE", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
					"web DELETE_COMPLETE",
				},
				map[string]string{}},
		},
		"nothing to change": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", []string{"create A=1", "create B=1", "create C=a-1/1"}, nil, nil},
			{deploy(deployment{template: chain}), "FAILED: The submitted information didn't contain changes. Submit different information to create a change set.", nil, []string{}, nil},
		},
		"an update that reaches one resource only": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", []string{"create A=1", "create B=1", "create C=a-1/1"}, nil, nil},
			{deploy(deployment{template: `{"Resources": {
				"A": {"Type": "Test::Thing", "Properties": {"Value": 1}},
				"B": {"Type": "Test::Thing", "Properties": {"Value": "new"}},
				"C": {"Type": "Test::Thing", "Properties": {"Value": "a-1/1"}}}}`}), "UPDATE_COMPLETE", []string{"update B=new from 1"}, nil, nil},
		},
		"replacement": {
			{deploy(deployment{template: one(`"Fixed": "x", "Value": "1"`, "")}), "CREATE_COMPLETE", []string{"create A=1"}, nil, map[string]string{"a-1": "1"}},
			{deploy(deployment{template: one(`"Fixed": "y", "Value": "2"`, "")}), "UPDATE_COMPLETE",
				[]string{"create A=2", "delete A a-1"},
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]",
					"A UPDATE_IN_PROGRESS [Requested update requires the creation of a new physical resource; hence creating one.]",
					"A UPDATE_IN_PROGRESS [Resource creation Initiated]", "A UPDATE_COMPLETE",
					"web UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE", "web UPDATE_COMPLETE",
				},
				map[string]string{"a-2": "2"}},
		},
		"replacement of a named resource": {
			{deploy(deployment{template: one(`"Name": "n", "Fixed": "x"`, "")}), "CREATE_COMPLETE", []string{"create A=<nil>"}, nil, nil},
			{deploy(deployment{template: one(`"Name": "n", "Fixed": "y"`, "")}), "UPDATE_ROLLBACK_COMPLETE", nil,
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]",
					"A UPDATE_FAILED [CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename n and update the stack again.]",
					"web UPDATE_ROLLBACK_IN_PROGRESS [The following resource(s) failed to update: [A].]",
					"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE",
					"web UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "web UPDATE_ROLLBACK_COMPLETE",
				}, map[string]string{"n": "<nil>"}},
		},
		"replacement that is kept": {
			{deploy(deployment{template: one(`"Fixed": "x"`, "")}), "CREATE_COMPLETE", []string{"create A=<nil>"}, nil, nil},
			{deploy(deployment{template: one(`"Fixed": "y"`, `, "UpdateReplacePolicy": "Retain"`)}), "UPDATE_COMPLETE", []string{"create A=<nil>"}, nil, map[string]string{"a-1": "<nil>", "a-2": "<nil>"}},
		},
		"creation fails": {
			{failing(deployment{template: chain}, "before create C"), "ROLLBACK_COMPLETE",
				[]string{"create A=1", "create B=1", "delete B b-2", "delete A a-1"},
				[]string{
					"web REVIEW_IN_PROGRESS [User Initiated]",
					"web CREATE_IN_PROGRESS [User Initiated]",
					"A CREATE_IN_PROGRESS", "A CREATE_IN_PROGRESS [Resource creation Initiated]", "A CREATE_COMPLETE",
					"B CREATE_IN_PROGRESS", "B CREATE_IN_PROGRESS [Resource creation Initiated]", "B CREATE_COMPLETE",
					"C CREATE_IN_PROGRESS", "C CREATE_FAILED [it was told to fail before create C]",
					"web ROLLBACK_IN_PROGRESS [The following resource(s) failed to create: [C]. Rollback requested by user.]",
					"C DELETE_COMPLETE", "B DELETE_IN_PROGRESS", "B DELETE_COMPLETE", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
					"web ROLLBACK_COMPLETE",
				},
				map[string]string{}},
			{destroying, "DELETE_COMPLETE", nil, []string{"web DELETE_IN_PROGRESS [User Initiated]", "web DELETE_COMPLETE"}, nil},
		},
		"creation fails behind the call": {
			{failing(deployment{template: chain}, "after create B"), "ROLLBACK_COMPLETE", []string{"create A=1", "create B=1", "delete B b-2", "delete A a-1"}, nil, map[string]string{}},
		},
		"creation fails, and stays": {
			{failing(deployment{template: chain, noRollback: true}, "after create B"), "CREATE_FAILED", []string{"create A=1", "create B=1"}, nil, map[string]string{"a-1": "1", "b-2": "1"}},
			{deploy(deployment{template: chain, noRollback: true}), "UPDATE_COMPLETE", []string{"delete B b-2", "create B=1", "create C=a-1/1"}, nil, map[string]string{"a-1": "1", "b-3": "1", "c-4": "a-1/1"}},
		},
		"creation of what has a name fails, and stays": {
			{failing(deployment{template: one(`"Name": "only"`, ""), noRollback: true}, "after create A"), "CREATE_FAILED", []string{"create A=<nil>"}, nil, map[string]string{"only": "<nil>"}},
			{failing(deployment{template: one(`"Name": "only", "Value": "2"`, ""), noRollback: true}, "before delete A"), "UPDATE_FAILED", nil,
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]", "A DELETE_IN_PROGRESS", "A DELETE_FAILED [it was told to fail before delete A]",
					"A CREATE_FAILED [it was told to fail before delete A]", "web UPDATE_FAILED [The following resource(s) failed to create: [A].]",
				}, map[string]string{"only": "<nil>"}},
			{deploy(deployment{template: one(`"Name": "only", "Value": "3"`, ""), noRollback: true}), "UPDATE_COMPLETE", []string{"delete A only", "create A=3"}, nil, map[string]string{"only": "3"}},
			{destroying, "DELETE_COMPLETE", []string{"delete A only"}, nil, map[string]string{}},
		},
		"creation of what has a name fails, and cannot be deleted": {
			{failing(deployment{template: one(`"Name": "only"`, ""), noRollback: true}, "after create A"), "CREATE_FAILED", nil, nil, nil},
			{failing(deployment{template: one(`"Name": "only", "Value": "2"`, ""), noRollback: true}, "before delete A"), "UPDATE_FAILED", nil, nil, nil},
			{destroying, "DELETE_COMPLETE", []string{"delete A only"}, nil, map[string]string{}},
		},
		"rollback of a creation fails": {
			{failing(deployment{template: chain}, "before create C", "before delete A"), "ROLLBACK_FAILED", []string{"create A=1", "create B=1", "delete B b-2"}, nil, map[string]string{"a-1": "1"}},
			{destroying, "DELETE_COMPLETE", []string{"delete A a-1"}, nil, map[string]string{}},
		},
		"update fails": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", []string{"create A=1", "create B=1", "create C=a-1/1"}, nil, nil},
			{failing(deployment{template: chain, parameters: v2}, "after update C"), "UPDATE_ROLLBACK_COMPLETE",
				[]string{"update A=2 from 1", "update B=2 from 1", "update C=a-1/2 from a-1/1", "update A=1 from 2", "update B=1 from 2", "update C=a-1/1 from a-1/2"},
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]",
					"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE",
					"C UPDATE_IN_PROGRESS", "C UPDATE_FAILED [it was told to fail after update C]",
					"web UPDATE_ROLLBACK_IN_PROGRESS [The following resource(s) failed to update: [C].]",
					"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE", "B UPDATE_IN_PROGRESS", "B UPDATE_COMPLETE", "C UPDATE_IN_PROGRESS", "C UPDATE_COMPLETE",
					"web UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "web UPDATE_ROLLBACK_COMPLETE",
				},
				map[string]string{"a-1": "1", "b-2": "1", "c-3": "a-1/1"}},
			{deploy(deployment{template: chain}), "FAILED: The submitted information didn't contain changes. Submit different information to create a change set.", nil, []string{}, nil},
		},
		"update fails after resources were made, replaced and left out": {
			{deploy(deployment{template: `{"Resources": {"A": {"Type": "Test::Thing", "Properties": {"Fixed": "x", "Value": "1"}}, "Gone": {"Type": "Test::Thing", "DependsOn": "A"}}}`}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: `{"Resources": {
				"A": {"Type": "Test::Thing", "Properties": {"Fixed": "y", "Value": "2"}},
				"New": {"Type": "Test::Thing", "DependsOn": "A"},
				"Last": {"Type": "Test::Thing", "DependsOn": "New"}}}`}, "before create Last"), "UPDATE_ROLLBACK_COMPLETE",
				nil,
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]",
					"A UPDATE_IN_PROGRESS [Requested update requires the creation of a new physical resource; hence creating one.]",
					"A UPDATE_IN_PROGRESS [Resource creation Initiated]", "A UPDATE_COMPLETE",
					"New CREATE_IN_PROGRESS", "New CREATE_IN_PROGRESS [Resource creation Initiated]", "New CREATE_COMPLETE",
					"Last CREATE_IN_PROGRESS", "Last CREATE_FAILED [it was told to fail before create Last]",
					"web UPDATE_ROLLBACK_IN_PROGRESS [The following resource(s) failed to create: [Last].]",
					"A UPDATE_IN_PROGRESS", "A UPDATE_COMPLETE",
					"web UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
					"New DELETE_IN_PROGRESS", "New DELETE_COMPLETE", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE",
					"web UPDATE_ROLLBACK_COMPLETE",
				},
				map[string]string{"a-1": "1", "gone-2": "<nil>"}},
		},
		"rollback fails, and goes on": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: chain, parameters: v2}, "before update C", "before update B#2"), "UPDATE_ROLLBACK_FAILED", nil, nil, map[string]string{"a-1": "1", "b-2": "2", "c-3": "a-1/1"}},
			{continuing(), "UPDATE_ROLLBACK_COMPLETE", []string{"update B=1 from 2", "update C=a-1/1 from a-1/2"}, nil, map[string]string{"a-1": "1", "b-2": "1", "c-3": "a-1/1"}},
		},
		"rollback fails, and goes on without": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: chain, parameters: v2}, "before update C", "before update B#2"), "UPDATE_ROLLBACK_FAILED", nil, nil, nil},
			{continuing("B"), "UPDATE_ROLLBACK_COMPLETE", []string{"update C=a-1/1 from a-1/2"}, nil, map[string]string{"a-1": "1", "b-2": "2", "c-3": "a-1/1"}},
		},
		"update fails, stays, and is rolled back": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: chain, parameters: v2, noRollback: true}, "before update B"), "UPDATE_FAILED", []string{"update A=2 from 1"}, nil, map[string]string{"a-1": "2", "b-2": "1", "c-3": "a-1/1"}},
			{rollingBack, "UPDATE_ROLLBACK_COMPLETE", []string{"update A=1 from 2", "update B=1 from 2"}, nil, map[string]string{"a-1": "1", "b-2": "1", "c-3": "a-1/1"}},
		},
		"update fails, stays, and is tried again": {
			{deploy(deployment{template: chain}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: chain, parameters: v2, noRollback: true}, "before update B"), "UPDATE_FAILED", []string{"update A=2 from 1"}, nil, nil},
			{deploy(deployment{template: chain, parameters: v2, noRollback: true}), "UPDATE_COMPLETE", []string{"update B=2 from 1", "update C=a-1/2 from a-1/1"}, nil, map[string]string{"a-1": "2", "b-2": "2", "c-3": "a-1/2"}},
		},
		"two updates fail, stay, and are rolled back": {
			{deploy(deployment{template: one(`"Value": "1"`, "")}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: one(`"Value": "2"`, ""), noRollback: true}, "after update A"), "UPDATE_FAILED", nil, nil, map[string]string{"a-1": "2"}},
			{failing(deployment{template: one(`"Value": "1"`, ""), noRollback: true}, "before update A"), "UPDATE_FAILED", nil, nil, map[string]string{"a-1": "2"}},
			{rollingBack, "UPDATE_ROLLBACK_COMPLETE", []string{"update A=1 from 2"}, nil, map[string]string{"a-1": "1"}},
		},
		"updated, replaced, and rolled back": {
			{deploy(deployment{template: before(`"Value": "1", "Fixed": "x"`)}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: before(`"Value": "2", "Fixed": "x"`), noRollback: true}, "before update B"), "UPDATE_FAILED", []string{"update A=2 from 1"}, nil, nil},
			{failing(deployment{template: before(`"Value": "3", "Fixed": "y"`), noRollback: true}, "before update B"), "UPDATE_FAILED", []string{"create A=3"}, nil, nil},
			{rollingBack, "UPDATE_ROLLBACK_COMPLETE", []string{"update A=1 from 2", "update B=1 from 2", "delete A a-3"}, nil, map[string]string{"a-1": "1", "b-2": "1"}},
		},
		"a custom resource that goes back to what it was": {
			{deploy(deployment{template: replacer("one", "1")}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: replacer("two", "2"), noRollback: true}, "before update B"), "UPDATE_FAILED", nil, nil, map[string]string{"one": "<nil>", "two": "<nil>", "b-2": "1"}},
			{deploy(deployment{template: replacer("one", "3"), noRollback: true}), "UPDATE_COMPLETE", nil, nil, map[string]string{"one": "<nil>", "b-2": "3"}},
		},
		"kept when deleted": {
			{deploy(deployment{template: one(`"Value": "1"`, `, "DeletionPolicy": "Retain"`)}), "CREATE_COMPLETE", []string{"create A=1"}, nil, nil},
			{destroying, "DELETE_COMPLETE", nil, []string{"web DELETE_IN_PROGRESS [User Initiated]", "A DELETE_SKIPPED", "web DELETE_COMPLETE"}, map[string]string{"a-1": "1"}},
		},
		"kept when left out": {
			{deploy(deployment{template: `{"Resources": {"A": {"Type": "Test::Thing", "DeletionPolicy": "Retain"}, "B": {"Type": "Test::Thing", "DependsOn": "A"}}}`}), "CREATE_COMPLETE", nil, nil, nil},
			{deploy(deployment{template: `{"Resources": {"B": {"Type": "Test::Thing"}}}`}), "UPDATE_COMPLETE", nil, nil, map[string]string{"a-1": "<nil>", "b-2": "<nil>"}},
		},
		"retained when its creation fails": {
			{failing(deployment{template: one("", `, "DeletionPolicy": "Retain"`)}, "after create A"), "ROLLBACK_COMPLETE", []string{"create A=<nil>"}, nil, map[string]string{"a-1": "<nil>"}},
		},
		"retained except on create": {
			{failing(deployment{template: one("", `, "DeletionPolicy": "RetainExceptOnCreate"`)}, "after create A"), "ROLLBACK_COMPLETE", []string{"create A=<nil>", "delete A a-1"}, nil, map[string]string{}},
		},
		"retained except on create, as the request says": {
			{failing(deployment{template: one("", `, "DeletionPolicy": "Retain"`), retain: true}, "after create A"), "ROLLBACK_COMPLETE", []string{"create A=<nil>", "delete A a-1"}, nil, map[string]string{}},
		},
		"cleanup fails": {
			{deploy(deployment{template: `{"Resources": {"A": {"Type": "Test::Thing"}, "B": {"Type": "Test::Thing", "DependsOn": "A"}}}`}), "CREATE_COMPLETE", nil, nil, nil},
			{failing(deployment{template: `{"Resources": {"B": {"Type": "Test::Thing"}}}`}, "before delete A"), "UPDATE_COMPLETE", nil,
				[]string{
					"web UPDATE_IN_PROGRESS [User Initiated]", "web UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
					"A DELETE_IN_PROGRESS", "A DELETE_FAILED [it was told to fail before delete A]",
					"web UPDATE_COMPLETE [Update successful. One or more resources could not be deleted.]",
				}, map[string]string{"a-1": "<nil>", "b-2": "<nil>"}},
		},
		"a custom resource that replaces what it stands for": {
			{deploy(deployment{template: replacer("one", "1")}), "CREATE_COMPLETE", []string{"create A=<nil>", "create B=1"}, nil, nil},
			{deploy(deployment{template: replacer("two", "1")}), "UPDATE_COMPLETE", []string{"update A=<nil> from <nil>", "delete A one"}, nil, map[string]string{"two": "<nil>", "b-2": "1"}},
			{failing(deployment{template: replacer("three", "2")}, "before update B"), "UPDATE_ROLLBACK_COMPLETE",
				[]string{"update A=<nil> from <nil>", "update A=<nil> from <nil>", "update B=1 from 2", "delete A three"}, nil, map[string]string{"two": "<nil>", "b-2": "1"}},
		},
		"tags reach what takes them": {
			{deploy(deployment{template: one("", ""), tags: map[string]string{"team": "a"}}), "CREATE_COMPLETE", []string{"create A=<nil>"}, nil, nil},
			{deploy(deployment{template: one("", ""), tags: map[string]string{"team": "b"}}), "UPDATE_COMPLETE", []string{"update A=<nil> from <nil>"}, nil, nil},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, newWorld(t), steps)
		})
	}
}

func run(t *testing.T, w *world, steps []step) {
	t.Helper()
	for i, step := range steps {
		before := 0
		if i > 0 {
			before = len(w.events())
		}
		w.things.did()
		if status := step.do(w); status != step.status {
			t.Fatalf("step %d ends in %s, want %s", i, status, step.status)
		}
		if diff := cmp.Diff(step.calls, w.things.did()); diff != "" && step.calls != nil {
			t.Errorf("calls of step %d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(step.events, w.since(before)); diff != "" && step.events != nil {
			t.Errorf("events of step %d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(step.things, w.things.values()); diff != "" && step.things != nil {
			t.Errorf("what exists after step %d (-want +got):\n%s", i, diff)
		}
	}
}

// customChain is a custom resource and one that has its answer.
const customChain = `{
  "Parameters": {"V": {"Type": "String", "Default": "1"}, "W": {"Type": "String", "Default": "1"}},
  "Resources": {
    "A": {"Type": "Custom::Thing", "Properties": {"Value": {"Ref": "V"}}},
    "B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Answer"]}}},
    "C": {"Type": "Test::Thing", "DependsOn": "B", "Properties": {"Value": {"Ref": "W"}}}
  }
}`

// A custom resource that answers something new in a rollback: what others get of it
// depends on the option.
func TestRollbackValues(t *testing.T) {
	for name, test := range map[string]struct {
		values cloudformation.RollbackValues
		calls  []string
	}{
		"cached": {cloudformation.Cached, []string{"update A=2 from 1", "update B=answer 2 from answer 1", "update A=1 from 2", "update B=answer 1 from answer 2", "update C=1 from 2"}},
		"fresh":  {cloudformation.Fresh, []string{"update A=2 from 1", "update B=answer 2 from answer 1", "update A=1 from 2", "update B=answer 3 from answer 2", "update C=1 from 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.fresh = test.values
			w.restart()
			answers := 0
			w.things.answer = func(r resource.Request) string {
				if r.LogicalID == "A" {
					answers++
				}
				return fmt.Sprintf("answer %d", answers)
			}
			run(t, w, []step{
				{do: deploy(deployment{template: customChain}), status: "CREATE_COMPLETE"},
				{do: failing(deployment{template: customChain, parameters: map[string]string{"V": "2", "W": "2"}}, "before update C"), status: "UPDATE_ROLLBACK_COMPLETE", calls: test.calls},
			})
		})
	}
}
