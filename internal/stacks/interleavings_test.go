//go:build cdk

package stacks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki/localaws"
	engine "github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// S8: a release comes in at every step of a deploy, of one that succeeds and of one
// that is rolled back, in both ways in which a deploy gets its image.
func TestReleaseDuringDeploy(t *testing.T) {
	t.Parallel()
	families(t, func(w *world, f family) {
		w.released(f.base, "v0")
		n := w.releaseAtEachStep(0, f.failing, f.failing, "UPDATE_ROLLBACK_COMPLETE")
		w.releaseAtEachStep(n, f.configured, f.base, "UPDATE_COMPLETE")
		if sent := w.calls("lambda:UpdateFunctionCode", wire.CloudFormation); sent > 0 && f == onCreate && w.values == engine.Cached {
			w.Errorf("CloudFormation sent the code %d times, and has it on record once", sent)
		}
	})
}

// releaseAtEachStep deploys as often as a deploy has steps, and releases another version
// at another of them each time. The versions count on from n; it returns the last.
func (w *world) releaseAtEachStep(n int, shape, other string, want types.StackStatus) int {
	w.Helper()
	for target := 1; ; target++ {
		version := fmt.Sprintf("v%d", n+1)
		args := w.releasingUnaware(version)
		var mu sync.Mutex // resources are changed at the same time; one at a time waits for the release
		var steps int
		var where string
		w.during(func(_ context.Context, p engine.Point) error {
			mu.Lock()
			defer mu.Unlock()
			if steps++; steps == target {
				where = fmt.Sprintf("%s of %s", p.Phase, p.LogicalID)
				if code, said := w.try(args...); code != 0 {
					w.Errorf("a release at step %d of %s, %s, ends with code %d:\n%s", target, shape, where, code, said)
				}
			}
			return nil
		}, func() { w.deploy(shape, want) })
		if where == "" {
			return n
		}
		w.deliver(1)
		w.runs(version)
		w.registered(version)
		if w.Failed() {
			w.Fatalf("a release at step %d of %s, %s, is lost", target, shape, where)
		}
		w.Logf("%s: release at step %d, %s: %s", shape, target, where, version)
		shape, other = other, shape
		n++
	}
}

// S18: reconcile has read the tag parameter, a release completes, reconcile writes what
// it has read. A stale read makes it so.
func TestReleaseDuringReconcile(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.release("v2")
		w.server.Faults().Add( // which go together: what disagrees is read again
			fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Stale, Times: 1},
			fault.Rule{Operation: "ssm:GetParameterHistory", Kind: fault.Stale, Times: 1},
		)
		before := w.server.Calls().Count("lambda:UpdateFunctionCode")
		w.deliver(1)
		w.server.Faults().Clear()
		if n := w.server.Calls().Count("lambda:UpdateFunctionCode") - before; n != 2 {
			w.Errorf("the code was updated %d times, want twice: to what was read, and back", n)
		}
		w.runs("v2")

		// Where every read is stale, reconcile is wrong, until the next one.
		w.release("v3")
		w.server.Faults().Add(fault.Rule{Operation: "ssm:GetParameter*", Kind: fault.Stale})
		w.deliver(1)
		w.server.Faults().Clear()
		w.runs("v2")
		w.fires()
		w.runs("v3")
		w.registered("v3")
	})
}

// S23: events that come late, twice, in the middle of an update, and while the stack is
// being deleted, or is gone.
func TestLateEvents(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.deploy("Base", "CREATE_COMPLETE")
		w.release("v1")
		w.deploy("Configured", "UPDATE_COMPLETE")
		w.release("v2")
		w.deploy("Failing", "UPDATE_ROLLBACK_COMPLETE")
		w.deliver(2) // all of them, twice, at the same time
		w.runs("v2")
		w.registered("v2")

		w.release("v3")
		w.meet(engine.BeforeUpdate, func() { w.deploy("Base", "UPDATE_COMPLETE") })
		w.deliver(1)
		w.runs("v3")

		w.release("v4")
		w.untouched(func() { w.meet(engine.BeforeDelete, w.destroy) })
		w.registered("v4")
	})
}

// meet lets the events that were held back arrive when the function is at a phase of
// what is done meanwhile, which goes on when the provider has seen what the stack is at.
func (w *world) meet(phase engine.Phase, do func()) {
	w.Helper()
	awaited := w.reconciliations() + w.server.Events().Held()
	var once sync.Once
	w.during(func(_ context.Context, p engine.Point) error {
		if p.LogicalID != functionID || p.Phase != phase {
			return nil
		}
		once.Do(func() {
			seen := w.looks()
			w.letGo()
			if !w.poll(func() bool { return w.looks() > seen }) {
				w.Error("the provider does not ask what the stack is at")
			}
		})
		return nil
	}, do)
	w.eventually("the provider has dealt with the events", func() bool { return w.reconciliations() >= awaited })
}

// looks returns how often the provider has asked what the stack is at.
func (w *world) looks() (n int) {
	for _, c := range w.server.Calls().All() {
		if c.Name() == "cloudformation:DescribeStacks" && c.Principal != principal {
			n++
		}
	}
	return n
}

// S23: events of a stack that is gone when they arrive, and its provider with it.
func TestEventsOfADeletedStack(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.release("v2")
		w.untouched(func() {
			w.destroy()
			w.server.Events().Release()
			w.eventually("the event has nowhere to go", func() bool { return strings.Contains(w.logs.String(), "rule tasuki-orders-parameter: deliver to") })
		})
		w.registered("v2")
	})
}

// S24: a stack with a function of the CDK's own adopts the construct, and that is
// rolled back first.
func TestAdoption(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		if _, err := w.ecr.CreateRepository(w.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")}); err != nil {
			w.Fatal(err)
		}
		w.tasuki("copy", versions.version(w, "v1"), "docker://"+localaws.Account+".dkr.ecr."+localaws.DefaultRegion+".amazonaws.com/orders:v1")
		w.deploy("Plain", "CREATE_COMPLETE")
		w.runs("v1", "-")
		image := w.image()
		// CloudFormation itself sends the image, by its digest in place of its tag, and back.
		w.sends(2, func() { w.deploy("AdoptedFailing", "UPDATE_ROLLBACK_COMPLETE") })
		w.failed("Refused")
		w.deliver(1)
		w.runs("v1", "-")
		w.sends(1, func() {
			w.deploy("Imported", "UPDATE_COMPLETE")
			w.deliver(1)
		})
		w.runs("v1")
		if now := w.image(); now != image {
			w.Errorf("the function's image was %s and is %s", image, now)
		}
		w.release("v2")
		w.runs("v2")
	})
}
