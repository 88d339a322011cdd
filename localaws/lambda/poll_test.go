package lambda

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// emptyQueues have no messages, and count who asks for some.
type emptyQueues struct {
	Queues
	asked atomic.Int32
}

func (q *emptyQueues) Receive(ctx context.Context, _ string, _ int) ([]Message, error) {
	q.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// No message is received for a function that cannot be invoked: each time would bring
// it nearer to the dead-letter queue.
func TestNothingIsReceivedForAFunctionThatIsNotReady(t *testing.T) {
	for before, result := range map[types.State]string{types.StatePending: neverPolled, types.StateFailed: "PROBLEM: " + notIn(types.StateFailed).Error()} {
		t.Run(string(before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := state.Temporary()
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				put := func(now types.State) {
					t.Helper()
					if err := store.Update(func(tx *state.Tx) error { return functions.Put(tx, "orders", function{Name: "orders", State: now}) }); err != nil {
						t.Fatal(err)
					}
				}
				put(before)
				if err := store.Update(func(tx *state.Tx) error {
					return mappings.Put(tx, "1", mapping{ID: "1", Function: "orders", Enabled: true, Batch: 1, LastResult: neverPolled})
				}); err != nil {
					t.Fatal(err)
				}
				queues := &emptyQueues{}
				s, err := New(Options{Store: store, Queues: queues})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				time.Sleep(5 * pollPause)
				synctest.Wait()
				if asked := queues.asked.Load(); asked > 0 {
					t.Errorf("messages were asked for %d times", asked)
				}
				var m mapping
				if err := store.View(func(tx *state.Tx) (err error) { m, _, err = mappings.Get(tx, "1"); return err }); err != nil || m.LastResult != result {
					t.Errorf("the result is %q, %v, want %q", m.LastResult, err, result)
				}
				put(types.StateActive)
				time.Sleep(2 * pollPause)
				synctest.Wait()
				if asked := queues.asked.Load(); asked != 1 {
					t.Errorf("once it is ready messages are asked for %d times", asked)
				}
			})
		})
	}
}
