package provider

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// event asks to reconcile the handoff.
func (r *relay) event(trigger customresource.Trigger, mappings ...string) customresource.Reconcile {
	r.t.Helper()
	h := r.handoff
	h.Functions = []tasuki.FunctionTarget{{Name: function, Architecture: tasuki.ARM64, Alias: "live"}}
	contract, err := json.Marshal(tasuki.Contract{Handoff: h, Account: "111122223333", Region: "eu-west-1", StackID: stackID})
	if err != nil {
		r.t.Fatal(err)
	}
	return customresource.Reconcile{Version: customresource.ReconcileVersion, Trigger: trigger, Contract: contract, EventSourceMappings: mappings}
}

// TestReconcile is S18 and S23: late, doubled, mid-update, while the stack is deleted.
func TestReconcile(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(r *relay)
		runs    string // the tag that the function runs in the end; "" for no function
		alias   string // the alias's version
		err     string
		took    time.Duration // at least
	}{
		"the registered image": {runs: "v2", alias: "1"},
		"waits for the stack": {
			prepare: func(r *relay) {
				r.stacks.status, r.stacks.then = "UPDATE_IN_PROGRESS", []string{"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"}
			},
			runs: "v2", alias: "1", took: 10 * time.Second,
		},
		"the stack goes on for too long": {
			prepare: func(r *relay) { r.stacks.status = "UPDATE_ROLLBACK_IN_PROGRESS" },
			runs:    "v1", err: "UPDATE_ROLLBACK_IN_PROGRESS", took: 4 * time.Minute,
		},
		"the stack is being deleted": {prepare: func(r *relay) { r.stacks.status = "DELETE_IN_PROGRESS" }, runs: "v1"},
		"the stack is gone":          {prepare: func(r *relay) { r.stacks.status = "" }, runs: "v1"},
		"the stack is unreadable":    {prepare: func(r *relay) { r.stacks.statusErr = failure(tasuki.ErrDenied) }, runs: "v1", err: "access denied"},
		"the function is gone":       {prepare: func(r *relay) { r.DeleteFunction(function) }},
		"S6: the parameter is unreadable": {
			prepare: func(r *relay) { r.failing("ReadTag", tasuki.ErrDenied) }, runs: "v1", err: "access denied",
		},
		"S7: the registered image is gone": {
			prepare: func(r *relay) { r.DeleteImage(r.handoff.Repository, memoryDigest(tasuki.ARM64, "v2", nil)) },
			runs:    "v1", err: "not in repository",
		},
		"mid-update": {
			prepare: func(r *relay) { r.UpdateTakes = 3 * time.Second },
			runs:    "v2", alias: "1", took: 3 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.stacks.status = "UPDATE_COMPLETE"
				r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
				r.release("v2", tasuki.ARM64)
				if test.prepare != nil {
					test.prepare(r)
				}
				ctx, cancel := contextWithin(t, 5*time.Minute)
				defer cancel()
				began := time.Now()
				err := r.send(ctx, r.event(customresource.TriggerParameter))
				if failed := err != nil; failed != (test.err != "") || failed && !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v, want %q", err, test.err)
				}
				if took := time.Since(began); took < test.took || took >= 5*time.Minute {
					t.Errorf("it took %v", took)
				}
				r.Before = nil
				if test.runs == "" {
					return
				}
				if got, want := r.runs(), memoryDigest(tasuki.ARM64, test.runs, nil); got != want {
					t.Errorf("the function runs %s, want %s", got, want)
				}
				if a, _ := r.alias("live"); a.Version != test.alias {
					t.Errorf("the alias is on %q, want %q", a.Version, test.alias)
				}
				if err == nil && test.alias != "" {
					before := r.runs()
					if err := r.send(t.Context(), r.event(customresource.TriggerSchedule)); err != nil || r.runs() != before {
						t.Errorf("again: %v, runs %s", err, r.runs())
					}
				}
			})
		})
	}
}

// TestTheScheduleLeavesABusyStackAlone: the end of what is being done to it asks again, and
// a schedule that fails through a long update fills the dead-letter queue.
func TestTheScheduleLeavesABusyStackAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
		r.release("v2", tasuki.ARM64)
		for _, status := range []string{"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"} {
			r.stacks.status = status
			began := time.Now()
			ctx, cancel := contextWithin(t, 5*time.Minute)
			err := r.send(ctx, r.event(customresource.TriggerSchedule))
			cancel()
			if took := time.Since(began); err != nil || took > 0 {
				t.Errorf("%s: %v, after %v", status, err, took)
			}
			if got, want := r.runs(), memoryDigest(tasuki.ARM64, "v1", nil); got != want {
				t.Errorf("%s: the function runs %s, want %s", status, got, want)
			}
		}
	})
}

func TestAStacksEventPublishesTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.stacks.status = "UPDATE_COMPLETE"
		r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
		for _, step := range []struct {
			change  bool
			trigger customresource.Trigger
			version string
		}{
			{false, customresource.TriggerStack, "1"},
			{false, customresource.TriggerStack, "1"},
			{true, customresource.TriggerSchedule, "1"},
			{false, customresource.TriggerParameter, "1"},
			{false, customresource.TriggerStack, "2"},
			{false, customresource.TriggerStack, "2"},
		} {
			if step.change {
				r.ChangeFunction(function, func(*tasuki.Function) {})
			}
			if err := r.send(t.Context(), r.event(step.trigger)); err != nil {
				t.Fatal(err)
			}
			if a, _ := r.alias("live"); a.Version != step.version {
				t.Errorf("after %+v the alias is on %q", step, a.Version)
			}
		}
	})
}

func TestEventSourcesWaitForARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.stacks.status = "CREATE_COMPLETE"
		r.sources["uuid"] = false
		placeholder := r.ask(create, customresource.TypeImage, "", imageProperties())
		r.create(must(t, tasuki.ParseDigest, placeholder.Data["Digest"]), tasuki.ARM64)
		for _, step := range []struct {
			release string
			trigger customresource.Trigger
			enabled bool
		}{
			{"", customresource.TriggerStack, false},
			{"v1", customresource.TriggerSchedule, false},
			{"", customresource.TriggerParameter, true},
		} {
			if step.release != "" {
				r.release(step.release, tasuki.ARM64)
			}
			if err := r.send(t.Context(), r.event(step.trigger, "uuid", "gone")); err != nil {
				t.Fatal(err)
			}
			if r.sources["uuid"] != step.enabled {
				t.Errorf("after %+v the event source is enabled: %v", step, r.sources["uuid"])
			}
		}
		if got, want := r.runs(), memoryDigest(tasuki.ARM64, "v1", nil); got != want {
			t.Errorf("the function runs %s, want %s", got, want)
		}
	})
}

// Lambda writes what the handler returns into the log, and beside the event in the
// dead-letter queue.
func TestAFailedReconciliationQuotesNoSignedURL(t *testing.T) {
	r := newRelay(t)
	r.stacks.status = "UPDATE_COMPLETE"
	r.Before = func(string, string) error {
		return errors.New("no answer from https://bucket.s3.amazonaws.com/key?X-Amz-Signature=" + secretMark)
	}
	if err := r.send(t.Context(), r.event(customresource.TriggerStack)); err == nil || !strings.Contains(err.Error(), "bucket.s3.amazonaws.com/key?…") {
		t.Errorf("got %v", err)
	}
}
