//go:build cdk

package stacks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws"
	engine "github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// slowly has the update of a function take so long that somebody else's meets it.
func slowly(o *localaws.Options) { o.UpdateDelay = 400 * time.Millisecond }

// S8 at its narrowest: at every step of a deploy, the deploy goes on while Lambda carries
// out the update of a release. Releases wait for a stack that is not at rest; these have
// read its status just before the deploy began.
func TestReleaseOverlapsDeploy(t *testing.T) {
	t.Parallel()
	families(t, func(w *world, f family) {
		w.released(f.base, "v0")
		n := w.overlapEachStep(0, f.failing, f.failing, "UPDATE_ROLLBACK_COMPLETE")
		w.overlapEachStep(n, f.configured, f.base, "UPDATE_COMPLETE")
		if w.conflicts(wire.CloudFormation) == 0 {
			w.Error("no release was in CloudFormation's way")
		}
	}, slowly)
}

// overlapEachStep is releaseAtEachStep for releases that the deploy does not wait for,
// but until Lambda is at their update.
func (w *world) overlapEachStep(n int, shape, other string, want types.StackStatus) int {
	w.Helper()
	for target := 1; ; target++ {
		version := fmt.Sprintf("v%d", n+1)
		var mu sync.Mutex
		var steps int
		var where string
		ended, args := func() {}, w.releasingUnaware(version)
		before := w.events()
		w.during(func(_ context.Context, p engine.Point) error {
			mu.Lock()
			defer mu.Unlock()
			if steps++; steps == target {
				where = fmt.Sprintf("%s of %s", p.Phase, p.LogicalID)
				ended = w.beginRelease(version, args)
			}
			return nil
		}, func() { w.deploy(shape, want) })
		if where == "" {
			return n
		}
		ended()
		w.eventually("the stack's event is on the bus", func() bool { return w.events() == before+1 })
		w.deliver(1)
		w.runs(version)
		w.registered(version)
		if w.Failed() {
			w.Fatalf("a release that overlaps %s from step %d, %s, is lost", shape, target, where)
		}
		w.Logf("%s: release from step %d, %s: %s; CloudFormation met %d conflicts, releases %d", shape, target, where, version, w.conflicts(wire.CloudFormation), w.conflicts(principal))
		shape, other = other, shape
		n++
	}
}

// beginRelease begins a release that does not wait for the stack, with the arguments of
// releasingUnaware, and returns when Lambda is at its update. The result waits for the
// release's end.
func (w *world) beginRelease(version string, args []string) (ended func()) {
	w.Helper()
	updates, done := w.calls("lambda:UpdateFunctionCode", principal), make(chan struct{})
	var code int
	var said string
	go func() {
		defer close(done)
		code, said = w.try(args...)
	}()
	begun := w.poll(func() bool {
		select {
		case <-done:
			return true
		default:
			return w.calls("lambda:UpdateFunctionCode", principal) > updates
		}
	})
	if !begun {
		w.Errorf("the release of %s does not come to its update", version)
	}
	return func() {
		w.Helper()
		<-done
		if code != 0 {
			w.Errorf("the release of %s ends with code %d:\n%s", version, code, said)
		}
	}
}

// calls returns how many calls of somebody's had an answer that was no error.
func (w *world) calls(name, of string) (n int) {
	for _, c := range w.server.Calls().All() {
		if c.Name() == name && c.Principal == of && c.Code == "" {
			n++
		}
	}
	return n
}

// conflicts returns how many calls of somebody's Lambda has refused because another
// update was under way.
func (w *world) conflicts(of string) (n int) {
	for _, c := range w.server.Calls().All() {
		if c.Service == "lambda" && c.Code == "ResourceConflictException" && c.Principal == of {
			n++
		}
	}
	return n
}

// S8 the other way round: a release begins while Lambda carries out CloudFormation's own
// update of the function, in a deploy and in its rollback.
func TestReleaseMeetsFunctionUpdate(t *testing.T) {
	t.Parallel()
	families(t, func(w *world, f family) {
		w.released(f.base, "v1")
		for i, test := range []struct {
			shape string
			nth   int // of CloudFormation's updates of the function
			want  types.StackStatus
		}{
			{f.configured, 1, "UPDATE_COMPLETE"},
			{f.base, 1, "UPDATE_COMPLETE"},
			{f.failing, 1, "UPDATE_ROLLBACK_COMPLETE"},
			{f.failing, 2, "UPDATE_ROLLBACK_COMPLETE"},
		} {
			version := fmt.Sprintf("v%d", i+2)
			args := w.releasingUnaware(version)
			var updates int
			var released sync.WaitGroup
			before := w.events()
			w.during(func(_ context.Context, p engine.Point) error {
				if p.LogicalID != functionID || p.Phase != engine.BeforeUpdate {
					return nil
				}
				if updates++; updates == test.nth {
					begun := w.ownUpdates()
					released.Go(func() {
						if !w.poll(func() bool { return w.ownUpdates() > begun }) {
							w.Error("CloudFormation does not come to its update")
						}
						if code, said := w.try(args...); code != 0 {
							w.Errorf("the release of %s ends with code %d:\n%s", version, code, said)
						}
					})
				}
				return nil
			}, func() { w.deploy(test.shape, test.want) })
			if updates < test.nth {
				w.Fatalf("%s updates the function %d times", test.shape, updates)
			}
			released.Wait()
			w.eventually("the stack's event is on the bus", func() bool { return w.events() == before+1 })
			w.deliver(1)
			w.runs(version)
			w.registered(version)
		}
	}, slowly)
}

// ownUpdates returns how many updates of functions Lambda has taken from CloudFormation.
func (w *world) ownUpdates() int {
	return w.calls("lambda:UpdateFunctionConfiguration", wire.CloudFormation) + w.calls("lambda:UpdateFunctionCode", wire.CloudFormation)
}

// isBusy reports whether an update of the function is under way.
func (w *world) isBusy() bool {
	out, err := w.lambda.GetFunctionConfiguration(w.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(w.resource(functionID))})
	return err == nil && out.LastUpdateStatus == lambdatypes.LastUpdateStatusInProgress
}

// S8 where CloudFormation does not try again what a release is in the way of, as it was
// reported to do: the deploy fails, its rollback too when the release is in the way of
// that as well, and the way out is to continue the rollback.
func TestReleaseFailsDeploy(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		deploy := func(version string, meets int, want types.StackStatus) {
			w.Helper()
			var updates int
			ended, args := func() {}, w.releasingUnaware(version)
			before := w.events()
			w.during(func(_ context.Context, p engine.Point) error {
				if p.LogicalID != functionID || p.Phase != engine.BeforeUpdate {
					return nil
				}
				switch updates++; updates {
				case 1:
					ended = w.beginRelease(version, args)
				case meets + 1:
					ended()
				}
				return nil
			}, func() { w.deploy("Configured", want) })
			ended()
			w.failed("An update is in progress for resource: ")
			w.eventually("the stack's event is on the bus", func() bool { return w.events() == before+1 })
			w.deliver(1)
			w.runs(version)
			w.registered(version)
		}
		deploy("v2", 1, "UPDATE_ROLLBACK_COMPLETE")
		deploy("v3", 2, "UPDATE_ROLLBACK_FAILED")

		if _, err := w.cfn.ContinueUpdateRollback(w.Context(), &cloudformation.ContinueUpdateRollbackInput{StackName: &w.stack}); err != nil {
			w.Fatal(err)
		}
		w.rests("UPDATE_ROLLBACK_COMPLETE")
		w.deliver(1)
		w.runs("v3")
		w.untouched(func() { w.deploy("Configured", "UPDATE_COMPLETE") })
		w.deliver(1)
		w.runs("v3")
		w.registered("v3")
	}, slowly, func(o *localaws.Options) { o.StackConflicts = engine.Failed })
}

// A release that knows its stack keeps out of its way: it waits until the stack is at
// rest, and CloudFormation meets nobody.
func TestReleaseWaitsForDeploy(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.releasesAfter("v2", "Failing", "UPDATE_ROLLBACK_COMPLETE")
		w.releasesAfter("v3", "Configured", "UPDATE_COMPLETE")
	}, slowly, func(o *localaws.Options) { o.StackConflicts = engine.Failed })
}

// releasesAfter begins a release in the middle of a deploy, which must be carried out
// after it.
func (w *world) releasesAfter(version, shape string, want types.StackStatus) {
	w.Helper()
	looks := w.calls("cloudformation:DescribeStacks", waiting)
	updates := w.calls("lambda:UpdateFunctionCode", waiting)
	var code int
	var said string
	var released sync.WaitGroup
	var once sync.Once
	before := w.events()
	w.during(func(_ context.Context, p engine.Point) error {
		if p.LogicalID == functionID && p.Phase == engine.BeforeUpdate {
			once.Do(func() {
				released.Go(func() { code, said = w.tryAs(waiting, w.releasing(version)...) })
				if !w.poll(func() bool { return w.calls("cloudformation:DescribeStacks", waiting) > looks }) {
					w.Error("the release does not ask what the stack is at")
				}
			})
		}
		if w.calls("lambda:UpdateFunctionCode", waiting) > updates {
			w.Errorf("the release has updated the code at %s of %s", p.Phase, p.LogicalID)
		}
		return nil
	}, func() { w.deploy(shape, want) })
	released.Wait()
	if code != 0 || !strings.Contains(said, "UPDATE_IN_PROGRESS") {
		w.Errorf("the release ends with code %d, and says:\n%s", code, said)
	}
	w.eventually("the stack's event is on the bus", func() bool { return w.events() == before+1 })
	w.deliver(1)
	w.runs(version)
	w.registered(version)
	if n := w.conflicts(wire.CloudFormation) + w.conflicts(waiting); n != 0 {
		w.Errorf("there were %d conflicts", n)
	}
}
