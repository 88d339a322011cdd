package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// killSeed is the variable that repeats a run of TestEveryKill with the seed it printed.
const killSeed = "TASUKI_PROOF_SEED"

// kill is where a release is killed: at a call, or after a time.
type kill struct {
	call    int // from 1; 0 for a time
	carried bool
	after   float64 // the time, as a share of what the release before it took
}

func (k kill) String() string {
	switch {
	case k.call == 0:
		return fmt.Sprintf("after %.0f %% of its time", 100*k.after)
	case k.carried:
		return fmt.Sprintf("at call %d, which was carried out", k.call)
	}
	return fmt.Sprintf("at call %d, which was not carried out", k.call)
}

// TestEveryKill kills releases while the function and its alias are invoked all the
// time, and releases again. TASUKI_PROOF_FULL kills each call both before and after
// it is carried out, and at five times as many moments.
func TestEveryKill(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(killSeed); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", killSeed, err)
		}
	}
	t.Logf("seed %d: %s=%d repeats it", seed, killSeed, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	first := newKilling(t)
	calls, took := first.uninterrupted(t)
	var kills []kill
	moments := 40
	for call := 1; call <= calls; call++ {
		kills = append(kills, kill{call: call, carried: call%2 == 0})
		if os.Getenv(everyFault) != "" {
			kills = append(kills, kill{call: call, carried: call%2 != 0})
		}
	}
	if os.Getenv(everyFault) != "" {
		moments = 200
	}
	for range moments {
		kills = append(kills, kill{after: random.Float64()})
	}
	tally := &killTally{}
	next := make(chan kill)
	var group sync.WaitGroup
	for _, k := range []*killing{first, newKilling(t), newKilling(t)} {
		group.Go(func() {
			for kill := range next {
				k.release(t, kill, tally)
			}
			k.stop()
			tally.invoked.Add(k.invoked.Load())
			tally.failed.Add(k.failed.Load())
		})
	}
	for _, kill := range kills {
		next <- kill
	}
	close(next)
	group.Wait()
	t.Logf("a release makes %d calls and takes %v", calls, took.Round(time.Millisecond))
	t.Logf("%d releases: %d killed at a call, %d at a moment, %d had ended before; %d of those killed were done, %d had changed something, %d nothing; %d invocations, %d failed",
		len(kills), tally.atCall.Load(), tally.atMoment.Load(), tally.ended.Load(), tally.done.Load(), tally.partly.Load(), tally.nothing.Load(), tally.invoked.Load(), tally.failed.Load())
}

type killTally struct {
	atCall, atMoment, ended atomic.Int64
	done, partly, nothing   atomic.Int64
	invoked, failed         atomic.Int64
}

// killing is an endpoint whose function is released to, and invoked all the time.
type killing struct {
	*world
	gate    *gate
	current atomic.Int64 // number of the version that is being released, or was last
	invoked atomic.Int64
	failed  atomic.Int64
	stop    func() // ends the invocations

	took   time.Duration // by the last release that was not killed: the machine may be slower now than at first
	oldest int           // of the function's versions that are still there
}

func newKilling(t *testing.T) *killing {
	t.Helper()
	k := &killing{world: open(t, ""), oldest: 1}
	t.Cleanup(func() { k.close(t) })
	k.gate = newGate(t, k.server)
	k.deploy(t, true, "--alias", alias)
	for range 2 {
		started := time.Now()
		tag, image := k.next(t)
		if end := k.program(t, k.server.URL(), tag, image).wait(t); end.code != 0 {
			t.Fatalf("an uninterrupted release: %s", end)
		}
		k.took = time.Since(started)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	k.stop = func() { cancel(); group.Wait() }
	t.Cleanup(k.stop)
	for _, qualifier := range []string{"", "", alias, alias} {
		group.Go(func() { k.load(ctx, t, qualifier) })
	}
	return k
}

// load invokes the function until ctx ends. Each answer must be of a version that was
// released, or being released, while it was invoked.
func (k *killing) load(ctx context.Context, t *testing.T, qualifier string) {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		oldest := k.current.Load() - 1
		answer, err := k.invoke(context.WithoutCancel(ctx), qualifier)
		newest := k.current.Load()
		k.invoked.Add(1)
		number, notNumber := strconv.ParseInt(strings.TrimPrefix(answer, "v"), 10, 64)
		if err != nil || notNumber != nil || number < oldest || number > newest {
			k.failed.Add(1)
			t.Errorf("invoking %q while versions %d to %d were in force: %q, %v", qualifier, oldest, newest, answer, err)
		}
	}
}

// next makes the image of the next version.
func (k *killing) next(t *testing.T) (tag string, image layout) {
	t.Helper()
	tag = fmt.Sprintf("v%d", k.current.Add(1))
	return tag, versions.version(t, tag)
}

// running is a program under way.
type running struct {
	cmd         *exec.Cmd
	out, errors localawstest.Log
	done        chan struct{} // closed when it has ended
}

// program starts a release, in a process of its own.
func (w *world) program(t *testing.T, url, tag string, image layout, environ ...string) *running {
	t.Helper()
	path, err := tasukiAt()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: exec.Command(path, "release", "orders", "--image", image.source(), "--tag", tag, "--smoke", smokeTest), done: make(chan struct{})}
	r.cmd.Env = append(w.server.Environ(os.Environ()), append([]string{"AWS_ENDPOINT_URL=" + url}, environ...)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errors
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the exit code tells
		close(r.done)
	}()
	return r
}

// wait waits for the program's end.
func (r *running) wait(t *testing.T) ended {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Errorf("a release does not end:\n%s", &r.errors)
		_ = r.cmd.Process.Kill() // it may have ended just now
		<-r.done
	}
	return ended{r.cmd.ProcessState.ExitCode(), r.out.String(), r.errors.String()}
}

// uninterrupted returns how many calls a release makes, and how long it takes.
func (k *killing) uninterrupted(t *testing.T) (calls int, took time.Duration) {
	t.Helper()
	k.gate.cut(0, false)
	started := time.Now()
	tag, image := k.next(t)
	if end := k.program(t, k.gate.URL, tag, image).wait(t); end.code != 0 {
		t.Fatalf("an uninterrupted release: %s", end)
	}
	return k.gate.count(), time.Since(started)
}

// release releases the next version, is killed, and releases it again.
func (k *killing) release(t *testing.T, at kill, tally *killTally) {
	before, err := k.snapshot(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	held, free := k.gate.cut(at.call, at.carried)
	defer free()
	var moment <-chan time.Time
	if at.call == 0 {
		moment = time.After(time.Duration(at.after * float64(k.took)))
	}
	tag, image := k.next(t)
	program := k.program(t, k.gate.URL, tag, image)
	select {
	case <-held:
		tally.atCall.Add(1)
	case <-moment:
		tally.atMoment.Add(1)
	case <-program.done: // it made fewer calls, or was faster
		tally.ended.Add(1)
	}
	_ = program.cmd.Process.Kill() // it may have ended just now
	<-program.done
	free()
	left, err := k.snapshot(t.Context())
	if err != nil {
		t.Errorf("killed %s: %v", at, err)
	}
	switch {
	case left == before:
		tally.nothing.Add(1)
	case left.Function == image.digest && left.Digest == image.digest && left.Alias == image.digest:
		tally.done.Add(1)
	default:
		tally.partly.Add(1)
	}
	started := time.Now()
	again := k.program(t, k.server.URL(), tag, image).wait(t)
	k.took = time.Since(started)
	after, err := k.snapshot(t.Context())
	if err != nil || again.code != 0 || after.Tag != tag || after.Digest != image.digest || after.Function != image.digest || after.Alias != image.digest {
		t.Errorf("%s killed %s, and released again: %+v, %v: %s", tag, at, after, err, again)
	}
	k.forget(t)
}

// kept is how many versions there are before the one that is served: an invocation may
// be on its way to one of them.
const kept = 4

// forget deletes the versions before those: each keeps a process waiting for another
// invocation, for minutes, and there are two versions or so for each release.
func (k *killing) forget(t *testing.T) {
	served, err := k.lambda.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: aws.String("orders"), Name: aws.String(alias)})
	if err != nil {
		t.Error(err)
		return
	}
	number, err := strconv.Atoi(aws.ToString(served.FunctionVersion))
	if err != nil {
		t.Error(err)
	}
	for ; k.oldest < number-kept; k.oldest++ {
		if _, err := k.lambda.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("orders"), Qualifier: aws.String(strconv.Itoa(k.oldest))}); err != nil {
			t.Error(err)
		}
	}
}
