package localaws

import (
	"strconv"
	"testing"
)

// An endpoint that runs for long does not keep every call, but the last ones, in order.
func TestCallLogIsBounded(t *testing.T) {
	var log CallLog
	const n = mostCalls + 10
	for i := range n {
		log.add(Call{Service: "ssm", Operation: strconv.Itoa(i)})
	}
	calls := log.All()
	if len(calls) > mostCalls || len(calls) < mostCalls/2 {
		t.Fatalf("%d calls are kept", len(calls))
	}
	for i, c := range calls {
		if want := strconv.Itoa(n - len(calls) + i); c.Operation != want {
			t.Fatalf("at %d there is call %s, want %s", i, c.Operation, want)
		}
	}
}
