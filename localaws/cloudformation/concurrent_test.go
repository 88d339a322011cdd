package cloudformation_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"
)

// writers is how many update one stack at the same time.
const writers = 8

// shared is a thing for each of the writers, which has what that one's parameter says.
// Tag makes whoever plans an update read SSM.
func shared() string {
	var parameters, resources []string
	for i := range writers {
		parameters = append(parameters, fmt.Sprintf(`"P%d": {"Type": "String", "Default": "before"}`, i))
		resources = append(resources, fmt.Sprintf(`"A%d": {"Type": "Test::Thing", "Properties": {"Name": "a%[1]d", "Value": {"Ref": "P%[1]d"}}}`, i))
	}
	return `{"Parameters": {"Tag": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/tag"}, ` + strings.Join(parameters, ", ") + `}, "Resources": {` + strings.Join(resources, ", ") + `}}`
}

// updateOne updates one parameter of the stack, and leaves the others as they are.
func (w *world) updateOne(i int) error {
	in := &sdk.UpdateStackInput{StackName: aws.String(name), UsePreviousTemplate: aws.Bool(true)}
	for other := range writers {
		p := types.Parameter{ParameterKey: aws.String(fmt.Sprintf("P%d", other)), UsePreviousValue: aws.Bool(true)}
		if other == i {
			p.UsePreviousValue, p.ParameterValue = nil, aws.String("after")
		}
		in.Parameters = append(in.Parameters, p)
	}
	_, err := w.UpdateStack(w.t.Context(), in)
	return err
}

// after is what the things have when these writers are through.
func after(updated ...int) map[string]string {
	want := map[string]string{}
	for i := range writers {
		want[fmt.Sprintf("a%d", i)] = "before"
	}
	for _, i := range updated {
		want[fmt.Sprintf("a%d", i)] = "after"
	}
	return want
}

// Updates that are asked for at the same time are carried out one after the other, and
// none undoes another one's change.
func TestUpdatesAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("/tag", "1")
	w.deploy(deployment{template: shared()})
	var all sync.WaitGroup
	var updated []int
	for i := range writers {
		updated = append(updated, i)
		all.Go(func() {
			for deadline := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
				switch err := w.updateOne(i); {
				case err == nil:
					return
				case time.Now().After(deadline) || !strings.Contains(err.Error(), "_IN_PROGRESS state and can not be updated."):
					t.Errorf("writer %d is answered %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	for range writers {
		if status := w.rest(); status != "UPDATE_COMPLETE" {
			t.Error(status)
		}
	}
	if diff := cmp.Diff(after(updated...), w.things.values()); diff != "" {
		t.Errorf("there is (-want +got):\n%s", diff)
	}
}

// An update that is planned while another one is carried out from its beginning to its
// end is planned again, on what that one has made of the stack.
func TestUpdateIsPlannedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var meanwhile func()
	w.aws.HTTPClient = &http.Client{Transport: during{w.aws.HTTPClient.(*http.Client).Transport, &meanwhile}}
	w.restart()
	w.put("/tag", "1")
	w.deploy(deployment{template: shared()})
	meanwhile = func() {
		meanwhile = func() { // the other one is planned again too
			if err := w.updateOne(2); err != nil {
				t.Error(err)
			}
			w.rest()
		}
		if err := w.updateOne(1); err != nil {
			t.Error(err)
		}
		w.rest()
	}
	if err := w.updateOne(0); err != nil {
		t.Fatal(err)
	}
	if status := w.rest(); status != "UPDATE_COMPLETE" {
		t.Error(status)
	}
	if diff := cmp.Diff(after(0, 1, 2), w.things.values()); diff != "" {
		t.Errorf("there is (-want +got):\n%s", diff)
	}
}

// Of stacks of one name that are created at the same time, there is one.
func TestCreationsAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		all.Go(func() {
			_, errs[i] = w.CreateStack(t.Context(), &sdk.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(chain)})
		})
	}
	all.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else if code(err) != "AlreadyExistsException" {
			t.Error(err)
		}
	}
	if status := w.rest(); status != "CREATE_COMPLETE" || created != 1 || len(w.things.values()) != 3 {
		t.Errorf("%d creations are admitted; the stack is %s, and there is %v", created, status, w.things.values())
	}
}

// A change set that was made of a stack whose update had failed is gone when the stack
// has been rolled back.
func TestRollbackForgetsChangeSets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deploy(deployment{template: chain})
	w.failAt("before update B")
	if status := w.deploy(deployment{template: chain, parameters: v2, noRollback: true}); status != "UPDATE_FAILED" {
		t.Fatal(status)
	}
	w.at(nil)
	c := w.changeSet(name, deployment{template: chain, parameters: v2})
	if status := rollingBack(w); status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Fatal(status)
	}
	if _, err := w.ExecuteChangeSet(t.Context(), &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId}); code(err) != "ChangeSetNotFound" {
		t.Errorf("the change set is executed with %v", err)
	}
	if diff := cmp.Diff(map[string]string{"a-1": "1", "b-2": "1", "c-3": "a-1/1"}, w.things.values()); diff != "" {
		t.Errorf("there is (-want +got):\n%s", diff)
	}
}
