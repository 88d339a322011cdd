package cloudformation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// rows returns how many rows of the store's tables have a stack's ARN in their keys.
func (w *world) rows(arn string) (n int) {
	w.t.Helper()
	err := w.store.View(func(tx *state.Tx) (err error) {
		for _, table := range []string{"stacks", "resources", "events", "changesets", "detections"} {
			for key := range (state.Table[json.RawMessage]{Name: "cloudformation." + table}).All(tx, "", &err) {
				if strings.HasPrefix(key, arn) {
					n++
				}
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// What is over is kept for 90 days, and not longer: whether the service runs all that
// time or is started again.
func TestWhatIsOverIsPruned(t *testing.T) {
	for name, restarts := range map[string]bool{"running": false, "started again": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			// Something begins each time: that is when a service that runs looks.
			begins := func(value string) {
				t.Helper()
				if restarts {
					w.restart()
				}
				if status := w.deployTo("stays", deployment{template: one(`"Name": "stays", "Value": "`+value+`"`, "")}); status != "UPDATE_COMPLETE" {
					t.Fatal(status)
				}
			}
			w.deployTo("stays", deployment{template: one(`"Name": "stays"`, "")})
			w.deploy(deployment{template: chain})
			gone := *w.stack().StackId
			w.changeSet("web", deployment{template: chain, parameters: v2})
			w.destroy()

			w.pass(89)
			begins("1")
			out, err := w.DescribeStackEvents(t.Context(), &sdk.DescribeStackEventsInput{StackName: &gone})
			if err != nil || len(out.StackEvents) == 0 {
				t.Errorf("after 89 days, the deleted stack has the events %v, %v", out, err)
			}
			w.pass(2)
			begins("2")
			if _, err := w.DescribeStackEvents(t.Context(), &sdk.DescribeStackEventsInput{StackName: &gone}); code(err) != "ValidationError" {
				t.Errorf("after 91 days, the deleted stack's events are answered with %v", err)
			}
			if n := w.rows(gone); n != 0 {
				t.Errorf("after 91 days, the store has %d rows of the deleted stack", n)
			}
			// Of the other stack, the events of its creation are gone.
			out, err = w.DescribeStackEvents(t.Context(), &sdk.DescribeStackEventsInput{StackName: aws.String("stays")})
			if err != nil || len(out.StackEvents) != 10 {
				t.Errorf("the stack that stays has %d events, want the ten of its updates, %v", len(out.StackEvents), err)
			}
			if w.status("stays") != "UPDATE_COMPLETE" || w.things.values()["stays"] != "2" {
				t.Errorf("the stack that stays is in %s, with %v", w.status("stays"), w.things.values())
			}
		})
	}
}

// A folder that is used for years does not grow for ever.
func TestStateDoesNotGrow(t *testing.T) {
	w := newWorld(t)
	var most int
	for i := range 40 {
		stack := fmt.Sprintf("branch-%d", i)
		if status := w.deployTo(stack, deployment{template: chain}); status != "CREATE_COMPLETE" {
			t.Fatal(status)
		}
		if _, err := w.DeleteStack(t.Context(), &sdk.DeleteStackInput{StackName: &stack}); err != nil {
			t.Fatal(err)
		}
		if status := w.rest(); status != "DELETE_COMPLETE" {
			t.Fatal(status)
		}
		w.pass(10)
		if rows := w.rows(""); i < 20 {
			most = max(most, rows)
		} else if rows > most {
			t.Fatalf("after %d stacks there are %d rows, and there were %d at most after the first 20", i+1, rows, most)
		}
	}
}
