package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// arrivals are the times at which attempts arrived.
type arrivals struct {
	mu    sync.Mutex
	times []time.Time
}

// recording answers as answer does, and notes the time.
func (a *arrivals) recording(answer operation) operation {
	return func(w http.ResponseWriter, in map[string]any) {
		a.mu.Lock()
		a.times = append(a.times, time.Now())
		a.mu.Unlock()
		answer(w, in)
	}
}

// check fails the test if an attempt came before a bucket that was full at started,
// holds so many tokens, and gets rate more each second, had one for it.
func (a *arrivals) check(t *testing.T, started time.Time, rate, holds float64) {
	t.Helper()
	for i, at := range a.times {
		earliest := max(0, (float64(i+1)-holds)/rate)
		if took := at.Sub(started).Seconds(); took < earliest-0.001 {
			t.Errorf("attempt %d came after %.3f s, and its bucket allows it after %.3f s", i+1, took, earliest)
		}
	}
}

// atOnce makes the calls n times, all at once.
func atOnce(t *testing.T, n int, calls ...func(context.Context) error) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		for _, call := range calls {
			group.Go(func() {
				if err := call(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
}

func TestPace(t *testing.T) {
	name := tagParameter(t)
	orders := parse(t, tasuki.ParseHandoffName, "orders")
	for _, c := range []struct {
		what        string
		operations  map[string]operation
		calls       func(*Backend) []func(context.Context) error
		rate, holds float64 // 0 for no limit
	}{
		{"all reads of parameters share a limit, whoever makes them", map[string]operation{
			"GetParameter": fail(400, "ParameterNotFound", ""), "GetParameters": ok(`{"Parameters":[]}`), "GetParametersByPath": ok(`{"Parameters":[]}`), "GetParameterHistory": history(1, 1),
		}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{
				func(ctx context.Context) error { _, err := b.Tags.ReadTags(ctx, name); return err },
				func(ctx context.Context) error { _, err := b.Tags.TagHistory(ctx, name); return err },
				func(ctx context.Context) error { _, err := b.Contracts.ListContracts(ctx); return err },
				func(ctx context.Context) error {
					if _, err := b.Contracts.ReadContract(ctx, orders); !errors.Is(err, tasuki.ErrMissing) {
						return err
					}
					return nil
				},
			}
		}, 40, 20},
		{"writes of parameters", map[string]operation{"PutParameter": ok(`{"Version":1}`)}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{func(ctx context.Context) error {
				_, err := b.Tags.WriteTag(ctx, name, parse(t, tasuki.ParseTag, "v1"), "")
				return err
			}}
		}, 3, 3},
		{"reads of functions", map[string]operation{"GetFunction": ok(`{"Configuration":{%s}}`, configuration(`,"PackageType":"Zip"`))}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{func(ctx context.Context) error { _, err := b.Functions.Function(ctx, "orders"); return err }}
		}, 100, 50},
		{"changes of functions", map[string]operation{"UpdateFunctionCode": ok(`{%s}`, configuration(``))}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{func(ctx context.Context) error { _, err := b.Functions.UpdateCode(ctx, update(t)); return err }}
		}, 15, 15},
		{"invocations", map[string]operation{"POST /2015-03-31/functions/orders/invocations": ok(`{}`)}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{func(ctx context.Context) error { _, err := b.Functions.Invoke(ctx, "orders", "", nil); return err }}
		}, 0, 0},
		{"reads of images", map[string]operation{"BatchGetImage": ok(`{"failures":[{"failureCode":"ImageNotFound","imageId":{"imageTag":"v1"}}]}`)}, func(b *Backend) []func(context.Context) error {
			return []func(context.Context) error{func(ctx context.Context) error {
				_, err := b.Images.Manifests(ctx, parse(t, tasuki.ParseRepository, image), tasuki.ByTag(parse(t, tasuki.ParseTag, "v1")))
				return err
			}}
		}, 0, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, unpaced := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					var all arrivals
					recorded := map[string]operation{}
					for name, answer := range c.operations {
						recorded[name] = all.recording(answer)
					}
					backend, _ := inProcess(t, Options{Unpaced: unpaced}, recorded)
					calls := c.calls(backend)
					const n = 200
					started := time.Now()
					atOnce(t, n/len(calls), calls...)
					took := time.Since(started).Seconds()
					if len(all.times) != n {
						t.Fatalf("%d attempts arrived, want %d", len(all.times), n)
					}
					if c.rate == 0 || unpaced {
						if took != 0 {
							t.Errorf("unpaced: %v: it took %.3f s", unpaced, took)
						}
						return
					}
					all.check(t, started, c.rate, c.holds)
					if want := (n - c.holds) / c.rate; took < want-0.001 || took > want+0.1 {
						t.Errorf("it took %.3f s, want %.3f s: calls waited for longer than their limit asks", took, want)
					}
				})
			}
		})
	}
}

// What one handoff's verb calls does not wait: a release of three functions with an
// alias and a long history makes no more than these calls, even all at once.
func TestOneReleaseIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, _ := inProcess(t, Options{}, map[string]operation{
			"GetParameter": current(100), "GetParameterHistory": history(1, 100), "PutParameter": ok(`{"Version":101}`),
			"GetFunction": ok(`{"Configuration":{%s}}`, configuration(`,"PackageType":"Zip"`)), "UpdateFunctionCode": ok(`{%s}`, configuration(``)),
		})
		started := time.Now()
		atOnce(t, 5, func(ctx context.Context) error { _, err := backend.Tags.ReadTag(ctx, tagParameter(t)); return err })
		atOnce(t, 1, func(ctx context.Context) error {
			_, err := backend.Tags.WriteTag(ctx, tagParameter(t), parse(t, tasuki.ParseTag, "v1"), "")
			return err
		})
		atOnce(t, 15,
			func(ctx context.Context) error { _, err := backend.Functions.Function(ctx, "orders"); return err },
			func(ctx context.Context) error { _, err := backend.Functions.UpdateCode(ctx, update(t)); return err })
		if took := time.Since(started); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// An attempt is an attempt: AWS counts the second one as well.
func TestRetriesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all arrivals
		var mu sync.Mutex
		tried := map[any]bool{}
		failsFirst := func(w http.ResponseWriter, in map[string]any) {
			mu.Lock()
			again := tried[in["Name"]]
			tried[in["Name"]] = true
			mu.Unlock()
			if !again {
				fail(500, "InternalServerError", "")(w, in)
				return
			}
			ok(`{"Version":1}`)(w, in)
		}
		backend, _ := inProcess(t, Options{RetryMaxAttempts: 2}, map[string]operation{"PutParameter": all.recording(failsFirst)})
		const n = 12
		var calls []func(context.Context) error
		for i := range n {
			calls = append(calls, func(ctx context.Context) error {
				_, err := backend.Tags.WriteTag(ctx, parse(t, tasuki.ParseParameterName, fmt.Sprintf("t%d", i)), parse(t, tasuki.ParseTag, "v1"), "")
				return err
			})
		}
		started := time.Now()
		atOnce(t, 1, calls...)
		if len(all.times) != 2*n {
			t.Fatalf("%d attempts arrived, want %d", len(all.times), 2*n)
		}
		all.check(t, started, 3, 3)
	})
}

// Who gives up waiting says so as anywhere else, and takes no turn from the others.
func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, fake := inProcess(t, Options{}, map[string]operation{"PutParameter": ok(`{"Version":1}`)})
		write := func(ctx context.Context) error {
			_, err := backend.Tags.WriteTag(ctx, tagParameter(t), parse(t, tasuki.ParseTag, "v1"), "")
			return err
		}
		atOnce(t, 3, write)
		started := time.Now()

		soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		wantKind(t, write(soon), tasuki.ErrUnavailable)
		if took := time.Since(started); took != 100*time.Millisecond {
			t.Errorf("it gave up after %v", took)
		}
		interrupted, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, interrupt)
		if err := write(interrupted); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was interrupted", err)
		}
		if err := write(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(started).Round(time.Millisecond); took > 334*time.Millisecond {
			t.Errorf("the next one waited until %v, and its turn was after 333 ms", took)
		}
		if n := fake.count("PutParameter"); n != 4 {
			t.Errorf("%d attempts arrived, want 4", n)
		}
	})
}
