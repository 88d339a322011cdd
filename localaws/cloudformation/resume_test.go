package cloudformation_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
)

// haltAt ends the service at the n-th step of an operation, from 1, before the step is
// through, and starts another. It reports whether there is such a step.
func (w *world) haltAt(n int, operate func() error) (halted bool) {
	w.t.Helper()
	reached, seen := make(chan struct{}), 0
	w.at(func(ctx context.Context, _ cloudformation.Point) error {
		w.mu.Lock()
		seen++
		here := seen == n
		w.mu.Unlock()
		if !here {
			return nil
		}
		close(reached)
		<-ctx.Done()
		return ctx.Err()
	})
	if err := operate(); err != nil {
		w.t.Fatal(err)
	}
	select {
	case <-reached:
		w.restart()
		return true
	case status := <-w.rested:
		w.rested <- status
		return false
	}
}

// An operation that the process's end interrupts, at whatever step, comes to the same
// end when the next process takes it up.
func TestResume(t *testing.T) {
	first := deployment{template: `{
	  "Parameters": {"V": {"Type": "String", "Default": "1"}, "Last": {"Type": "String", "Default": "no"}},
	  "Conditions": {"Last": {"Fn::Equals": [{"Ref": "Last"}, "yes"]}},
	  "Resources": {
	    "A": {"Type": "Test::Thing", "Properties": {"Fixed": {"Ref": "V"}, "Value": {"Ref": "V"}}},
	    "B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Value"]}}},
	    "C": {"Type": "Test::Thing", "Condition": "Last", "Properties": {"Value": {"Ref": "B"}}}
	  },
	  "Outputs": {"O": {"Value": {"Fn::GetAtt": ["B", "Value"]}, "Export": {"Name": "shared"}}}
	}`}
	second := first
	second.parameters = map[string]string{"V": "2", "Last": "yes"}
	// Its last resource cannot be created: there is one of that name already.
	third := second
	third.template = `{
	  "Parameters": {"V": {"Type": "String", "Default": "1"}, "Last": {"Type": "String", "Default": "no"}},
	  "Resources": {
	    "A": {"Type": "Test::Thing", "Properties": {"Fixed": {"Ref": "V"}, "Value": {"Ref": "V"}}},
	    "B": {"Type": "Test::Thing", "Properties": {"Value": {"Fn::GetAtt": ["A", "Value"]}}},
	    "C": {"Type": "Test::Thing", "DependsOn": "B", "Properties": {"Name": "taken"}}
	  }
	}`
	for name, test := range map[string]struct {
		before  *deployment
		then    *deployment // nil to delete
		status  string
		values  []string // of what exists in the end
		exports []string // in the end
	}{
		"create":            {nil, &first, "CREATE_COMPLETE", []string{"1", "1"}, []string{"shared=1"}},
		"update":            {&first, &second, "UPDATE_COMPLETE", []string{"2", "2", "b-2"}, []string{"shared=2"}},
		"create that fails": {nil, &third, "ROLLBACK_COMPLETE", nil, nil},
		"update that fails": {&first, &third, "UPDATE_ROLLBACK_COMPLETE", []string{"1", "1"}, []string{"shared=1"}},
		"delete":            {&second, nil, "DELETE_COMPLETE", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := 0
			for n := 1; ; n++ {
				w := newWorld(t)
				w.things.all["taken"] = &thing{id: "taken"}
				if test.before != nil {
					w.deploy(*test.before)
				}
				halted := w.haltAt(n, func() error {
					if test.then == nil {
						_, err := w.DeleteStack(t.Context(), deleteInput())
						return err
					}
					w.execute(*test.then, w.changeSet("web", *test.then))
					return nil
				})
				if status := w.rest(); status != test.status {
					t.Fatalf("halted at step %d, it ends in %s, want %s", n, status, test.status)
				}
				w.things.mu.Lock()
				delete(w.things.all, "taken")
				w.things.mu.Unlock()
				var values []string
				for _, id := range sortedKeys(w.things.values()) {
					values = append(values, w.things.values()[id])
				}
				if diff := cmp.Diff(test.values, values); diff != "" {
					t.Fatalf("halted at step %d, there is in the end (-want +got):\n%s\nafter %v", n, diff, w.things.did())
				}
				if diff := cmp.Diff(test.exports, w.exports()); diff != "" {
					t.Fatalf("halted at step %d, it exports in the end (-want +got):\n%s", n, diff)
				}
				if !halted {
					break
				}
				steps = n
			}
			if steps < 4 {
				t.Errorf("it has %d steps only", steps)
			}
			t.Logf("halted at each of %d steps", steps)
		})
	}
}

// What is left of a creation that failed makes way for another one, wherever the process
// ends in between.
func TestResumeAfterRemains(t *testing.T) {
	again := deployment{template: one(`"Name": "only", "Value": "2"`, ""), noRollback: true}
	endsWith(t, map[string]string{"only": "2"}, 4, again, func(w *world) {
		w.failAt("after create A")
		if status := w.deploy(deployment{template: one(`"Name": "only"`, ""), noRollback: true}); status != "CREATE_FAILED" {
			t.Fatal(status)
		}
	})
}

// An update puts right what one that failed has left, wherever the process ends in
// between.
func TestResumeAfterAFailedUpdate(t *testing.T) {
	again := deployment{template: one(`"Value": "1"`, ""), noRollback: true}
	endsWith(t, map[string]string{"a-1": "1"}, 3, again, func(w *world) {
		w.deploy(again)
		w.failAt("after update A")
		if status := w.deploy(deployment{template: one(`"Value": "2"`, ""), noRollback: true}); status != "UPDATE_FAILED" {
			t.Fatal(status)
		}
	})
}

// endsWith halts an update of what before has left at each of its steps, which are so
// many at least, and wants these values in the end.
func endsWith(t *testing.T, want map[string]string, least int, d deployment, before func(w *world)) {
	t.Helper()
	for n := 1; ; n++ {
		w := newWorld(t)
		before(w)
		halted := w.haltAt(n, func() error {
			w.execute(d, w.changeSet(name, d))
			return nil
		})
		if status := w.rest(); status != "UPDATE_COMPLETE" {
			t.Fatalf("halted at step %d, it ends in %s:\n%v", n, status, w.events())
		}
		if diff := cmp.Diff(want, w.things.values()); diff != "" {
			t.Fatalf("halted at step %d, there is in the end (-want +got):\n%s", n, diff)
		}
		if !halted {
			if n <= least {
				t.Errorf("it has %d steps only", n-1)
			}
			return
		}
	}
}

// What was under way when the process ended, beside a failure that is on record, is
// known afterwards, and deleted.
func TestResumeBesideAFailure(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.at(func(_ context.Context, at cloudformation.Point) error {
		switch {
		case at.LogicalID == "Slow" && at.Phase == cloudformation.AfterCreate:
			<-release
			return context.Canceled
		case at.LogicalID == "Fails" && at.Phase == cloudformation.BeforeCreate:
			return errors.New("it was told to fail")
		}
		return nil
	})
	d := deployment{template: `{"Resources": {"Slow": {"Type": "Test::Thing"}, "Fails": {"Type": "Test::Thing"}}}`}
	w.execute(d, w.changeSet(name, d))
	eventually(t, func() bool {
		return slices.Contains(w.events(), "Fails CREATE_FAILED [it was told to fail]") && len(w.things.values()) == 1
	})
	closed := make(chan struct{})
	go func() {
		w.Close()
		close(closed)
	}()
	eventually(t, func() bool { return w.Ended() })
	close(release)
	<-closed
	w.at(nil)
	w.start()
	if status := w.rest(); status != "ROLLBACK_COMPLETE" {
		t.Fatal(status)
	}
	if got := w.things.values(); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it does not come to hold within a minute")
		}
	}
}
