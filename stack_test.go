package tasuki_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

const stackID = "arn:aws:cloudformation:us-east-1:000000000000:stack/Orders/5f0c4a10-7d3e-11f0-8de9-0242ac120002"

// stackVerbs are the verbs that wait for the stack of id, as they make the function run v2.
func (r *relay) stackVerbs(id string, stacks tasuki.StackReader) map[string]func(context.Context) error {
	reconciler := r.reconciler()
	reconciler.Stack, reconciler.Stacks = id, stacks
	return map[string]func(context.Context) error{
		"release": func(ctx context.Context) error {
			releaser := tasuki.Releaser{Reconciler: reconciler, Writer: r.AWS}
			_, err := releaser.Release(ctx, r.handoff, tasuki.ReleaseRequest{Tag: mustTag("v2")})
			return err
		},
		"rollback": func(ctx context.Context) error {
			rollbacker := tasuki.Rollbacker{Reconciler: reconciler, History: r.AWS, Writer: r.AWS}
			_, err := rollbacker.Rollback(ctx, r.handoff, tasuki.RollbackRequest{To: mustTag("v2")})
			return err
		},
		"reconcile": func(ctx context.Context) error {
			_, err := reconciler.Reconcile(ctx, r.handoff)
			return err
		},
	}
}

// forEachStackVerb runs a test of each verb that waits for a stack, on a function that
// is to go from v3 to v2. The operations are all that the verb does, in their order.
func forEachStackVerb(t *testing.T, id string, test func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string)) {
	for _, verb := range []string{"release", "rollback", "reconcile"} {
		t.Run(verb, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1", "v2", "v3")
				if verb == "reconcile" {
					r.mustRelease("v2")
					r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = digests[2] })
				}
				r.events = nil
				var mu sync.Mutex
				var done []string
				r.Before = func(operation, _ string) error {
					mu.Lock()
					defer mu.Unlock()
					done = append(done, operation)
					return nil
				}
				test(t, r, r.stackVerbs(id, r.AWS)[verb], func() []string {
					mu.Lock()
					defer mu.Unlock()
					return slices.Clone(done)
				})
			})
		})
	}
}

// changes returns those of the operations that change something.
func changes(operations []string) []string {
	return slices.DeleteFunc(operations, func(operation string) bool {
		return !slices.Contains([]string{"UpdateCode", "WriteTag", "TagImage", "PublishVersion"}, operation)
	})
}

func (r *relay) said(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if strings.Contains(e.Text, text) {
			n++
		}
	}
	return n
}

func TestVerbsWaitForTheStack(t *testing.T) {
	forEachStackVerb(t, stackID, func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
		v2 := r.source("v2").Manifest.Digest
		r.SetStack(stackID, "UPDATE_IN_PROGRESS")
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- run(t.Context()) }()
		time.Sleep(5 * time.Minute)
		r.SetStack(stackID, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
		time.Sleep(time.Minute)
		if changed := changes(operations()); len(changed) > 0 || len(ended) > 0 {
			t.Fatalf("while the stack is being changed: %v", changed)
		}
		// Its deploy has changed the function.
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.RevisionID = "of the deploy" })
		r.SetStack(stackID, "UPDATE_COMPLETE")
		if err := <-ended; err != nil || r.runs() != v2 || r.registered() != "v2" {
			t.Fatalf("%v; runs %s, registered %q", err, r.runs(), r.registered())
		}
		if waited := time.Since(began); waited < 6*time.Minute || waited > 6*time.Minute+20*time.Second {
			t.Errorf("it took %s", waited)
		}
		if n := r.said("waiting for stack Orders that is being changed (UPDATE_IN_PROGRESS)"); n != 1 || r.said("stack") != 1 {
			t.Errorf("it was said %d times that it waits: %v", n, r.events)
		}
		// The pauses grow from 1 s to 10 s, of which 6 minutes have 36.
		if n := count(operations(), "StackStatus"); n < 36 || n > 45 {
			t.Errorf("the status was read %d times", n)
		}
	})
}

// What fails while the stack is being changed, may be there when it is at rest.
func TestWhatFailsMeanwhileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		v2 := r.push("v2")
		r.SetStack(stackID, "CREATE_IN_PROGRESS")
		ended := make(chan error, 1)
		go func() { ended <- r.stackVerbs(stackID, r.AWS)["release"](t.Context()) }()
		time.Sleep(time.Minute)
		r.deploy()
		r.SetStack(stackID, "CREATE_COMPLETE")
		if err := <-ended; err != nil || r.runs() != v2 {
			t.Errorf("%v; runs %s", err, r.runs())
		}
	})
}

func TestVerbsGiveUpOnAStack(t *testing.T) {
	forEachStackVerb(t, stackID, func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
		r.SetStack(stackID, "UPDATE_ROLLBACK_IN_PROGRESS")
		began := time.Now()
		err := run(t.Context())
		var e *tasuki.Error
		var undo *tasuki.UndoError
		if !errors.As(err, &e) || e.Kind != tasuki.ErrConflict || e.Side != tasuki.SideStack || e.Subject != "Orders" || errors.As(err, &undo) {
			t.Fatalf("got %#v", err)
		}
		if !strings.Contains(err.Error(), "still UPDATE_ROLLBACK_IN_PROGRESS after 30 minutes") || !strings.Contains(e.Hint, "Nothing was changed") {
			t.Errorf("it says: %v; %s", err, e.Hint)
		}
		if waited := time.Since(began); waited < 30*time.Minute || waited > 30*time.Minute+10*time.Second {
			t.Errorf("after %s", waited)
		}
		if changed := changes(operations()); len(changed) > 0 {
			t.Errorf("it changed something: %v", changed)
		}
	})
}

func TestInterruptedWaitForAStack(t *testing.T) {
	forEachStackVerb(t, stackID, func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
		r.SetStack(stackID, "UPDATE_IN_PROGRESS")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) || len(changes(operations())) > 0 || len(r.warned()) > 0 {
			t.Errorf("%v; changed %v, warned %q", err, changes(operations()), r.warned())
		}
	})
}

// A status that leaves nothing to wait for, and one that cannot be read, cost one call
// that nothing waits for.
func TestVerbsGoOn(t *testing.T) {
	for name, status := range map[string]string{
		"complete": "UPDATE_COMPLETE", "failed": "UPDATE_ROLLBACK_FAILED", "change set": "REVIEW_IN_PROGRESS", "being deleted": "DELETE_IN_PROGRESS", "deleted": "DELETE_COMPLETE", "missing": "",
	} {
		t.Run(name, func(t *testing.T) {
			forEachStackVerb(t, stackID, func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
				if status != "" {
					r.SetStack(stackID, status)
				}
				if err := run(t.Context()); err != nil || r.registered() != "v2" || count(operations(), "StackStatus") != 1 || r.said("stack") > 0 {
					t.Errorf("%v; did %v, said %v", err, operations(), r.events)
				}
			})
		})
	}
}

func TestUnreadableStackIsAWarning(t *testing.T) {
	denied := &tasuki.Error{Op: "read", Side: tasuki.SideStack, Subject: stackID, Kind: tasuki.ErrDenied}
	for name, stacks := range map[string]unreadable{
		"denied":      func(context.Context) error { return denied },
		"unavailable": func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("no answer: %w", ctx.Err()) },
	} {
		for _, verb := range []string{"release", "rollback", "reconcile"} {
			t.Run(verb+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, _ := released(t, "v1", "v2", "v3")
					if verb == "reconcile" {
						r.mustRelease("v2")
					}
					began := time.Now()
					if err := r.stackVerbs(stackID, stacks)[verb](t.Context()); err != nil || r.registered() != "v2" {
						t.Errorf("%v; registered %q", err, r.registered())
					}
					if warned := r.warned(); len(warned) != 1 || !strings.Contains(warned[0], "not known whether stack Orders is being changed") {
						t.Errorf("warned %q", warned)
					}
					if took := time.Since(began); took > 15*time.Second {
						t.Errorf("it took %s", took)
					}
				})
			})
		}
	}
}

// unreadable is a stack whose status cannot be read.
type unreadable func(context.Context) error

// StackStatus implements [tasuki.StackReader].
func (u unreadable) StackStatus(ctx context.Context, _ string) (string, error) { return "", u(ctx) }

func TestWithoutAStackNothingIsAsked(t *testing.T) {
	forEachStackVerb(t, "", func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
		if err := run(t.Context()); err != nil || r.registered() != "v2" || count(operations(), "StackStatus") != 0 {
			t.Errorf("%v; did %v", err, operations())
		}
	})
}

// What was begun is ended, whatever is being done to the stack by then.
func TestUndoDoesNotWaitForTheStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		v2 := r.push("v2")
		r.SetStack(stackID, "UPDATE_COMPLETE")
		r.UpdateFails = func(digest tasuki.Digest) string {
			if digest != v2 {
				return ""
			}
			go r.SetStack(stackID, "UPDATE_IN_PROGRESS") // as the account is locked here
			return "it cannot be run"
		}
		began := time.Now()
		err := r.stackVerbs(stackID, r.AWS)["release"](t.Context())
		var undo *tasuki.UndoError
		if !errors.Is(err, tasuki.ErrRefused) || errors.As(err, &undo) || r.runs() != digests[0] || r.registered() != "v1" || time.Since(began) > time.Minute {
			t.Errorf("%v after %s; runs %s, registered %q", err, time.Since(began), r.runs(), r.registered())
		}
	})
}

func TestOnlyTheFirstPassLooksAtTheStack(t *testing.T) {
	forEachStackVerb(t, stackID, func(t *testing.T, r *relay, run func(context.Context) error, operations func() []string) {
		r.SetStack(stackID, "UPDATE_COMPLETE")
		record, changed := r.Before, false
		r.Before = func(operation, subject string) error {
			if operation == "UpdateCode" && !changed {
				changed = true
				r.SetStack(stackID, "UPDATE_IN_PROGRESS")
				r.ChangeFunction("orders", func(*tasuki.Function) {}) // a conflict
			}
			return record(operation, subject)
		}
		if err := run(t.Context()); err != nil || !changed || count(operations(), "StackStatus") != 1 || count(operations(), "UpdateCode") != 2 {
			t.Errorf("%v; did %v", err, operations())
		}
	})
}

func count(list []string, of string) (n int) {
	for _, s := range list {
		if s == of {
			n++
		}
	}
	return n
}
