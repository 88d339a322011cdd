package proof

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/localaws"
)

// TestReleaseDuringReconcile lets a whole release lie between two calls of a reconcile
// that has something to do: before each call of it in turn (scenario S18).
func TestReleaseDuringReconcile(t *testing.T) {
	t.Parallel()
	w := open(t, "")
	defer w.close(t)
	w.deploy(t, true)
	for _, tag := range []string{"old", "new"} {
		w.must(t, "release", "orders", "--image", versions.version(t, tag).source(), "--tag", tag)
	}
	gate := newGate(t, w.server)
	for hold := 1; ; hold++ {
		// The function runs one release, and another one is registered.
		w.must(t, "release", "orders", "--tag", "new")
		w.must(t, "register", "orders", "--tag", "old")
		held, resume := gate.delay(hold)
		reconcile := make(chan ended, 1)
		go func() { reconcile <- w.tasuki(t.Context(), gated(w, gate), "reconcile", "orders") }()
		var end ended
		reached := false
		select {
		case <-held:
			reached = true
		case end = <-reconcile:
		}
		tag := fmt.Sprintf("release-%d", hold)
		w.must(t, "release", "orders", "--image", versions.version(t, tag).source(), "--tag", tag)
		resume()
		if reached {
			end = <-reconcile
		}
		if end.code != 0 {
			t.Errorf("reconcile held at call %d: %s", hold, end)
		}
		w.runs(t, tag, fmt.Sprintf("reconcile held at call %d", hold))
		if !reached {
			t.Logf("a reconcile makes %d calls", hold-1)
			return
		}
	}
}

// TestReconcileDuringRelease lets a whole reconcile lie between two calls of a release
// that tests its image, before each call of it in turn: what is registered was tested,
// and not what reconcile had put in its place (scenario S25).
func TestReconcileDuringRelease(t *testing.T) {
	t.Parallel()
	w := open(t, "")
	defer w.close(t)
	w.deploy(t, true)
	w.must(t, "release", "orders", "--image", versions.version(t, "before").source(), "--tag", "before")
	gate := newGate(t, w.server)
	put := 0 // how often reconcile has taken the image away that was being tried
	for hold := 1; ; hold++ {
		held, resume := gate.delay(hold)
		tag := fmt.Sprintf("tested-%d", hold)
		w.server.Calls().Reset()
		release := w.program(t, gate.URL, tag, versions.version(t, tag), "AWS_ACCESS_KEY_ID=release")
		reached := false
		select {
		case <-held:
			reached = true
		case <-release.done:
		}
		w.must(t, "reconcile", "orders")
		resume()
		if end := release.wait(t); end.code != 0 {
			t.Errorf("release held at call %d: %s", hold, end)
		}
		w.runs(t, tag, fmt.Sprintf("release held at call %d", hold))
		calls := w.server.Calls().All()
		put += countOf(calls, "lambda:UpdateFunctionCode", "proof")
		if !testedItself(calls) {
			t.Errorf("release held at call %d: %s was registered, and something else was tested", hold, tag)
		}
		if !reached {
			t.Logf("a release makes %d calls; reconcile put the registered image back %d times", hold-1, put)
			break
		}
	}
	if put == 0 {
		t.Error("no reconcile met an image that was being tried")
	}
}

// gated reaches the endpoint through a gate.
func gated(w *world, g *gate) awsbackend.Options {
	options := w.patient()
	options.Config.BaseEndpoint = aws.String(g.URL)
	return options
}

// runs holds the function and the parameter against a release, and invokes the function.
func (w *world) runs(t *testing.T, tag, when string) {
	t.Helper()
	digest := versions.version(t, tag).digest
	now, err := w.snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.invoke(t.Context(), "")
	if now.Tag != tag || now.Digest != digest || now.Function != digest || answer != tag || err != nil {
		t.Errorf("%s: %+v, answers %q, %v; want %s", when, now, answer, err, tag)
	}
}

func countOf(calls []localaws.Call, name, principal string) (n int) {
	for _, c := range calls {
		if c.Name() == name && c.Principal == principal {
			n++
		}
	}
	return n
}

// testedItself reports whether the last invocation by the release before it registered was
// of what it had put into the function itself.
func testedItself(calls []localaws.Call) bool {
	var tested, registered, changed localaws.Call
	for _, c := range calls {
		if c.Name() == "ssm:PutParameter" && c.Principal == "release" {
			registered = c
		}
	}
	for _, c := range calls {
		if c.Name() == "lambda:Invoke" && c.Principal == "release" && c.Started.Before(registered.Started) && c.Started.After(tested.Started) {
			tested = c
		}
	}
	for _, c := range calls {
		if c.Name() == "lambda:UpdateFunctionCode" && c.Status < 300 && c.Started.Before(tested.Started.Add(tested.Took)) && c.Started.After(changed.Started) {
			changed = c
		}
	}
	return changed.Principal == "release"
}
