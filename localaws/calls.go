package localaws

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/authorization"
)

// Call is one request that the endpoint answered, or left unanswered.
type Call struct {
	Service   string        `json:"service"`             // as in "ssm"; "registry" for the OCI registry
	Operation string        `json:"operation"`           // as in "GetParameter"; "PUT manifests" for the registry
	Principal string        `json:"principal,omitempty"` // an access key id, or "assumed-role/ROLE/SESSION"
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took"`   // nanoseconds
	Status    int           `json:"status"` // HTTP status; 0 where no answer was sent
	Code      string        `json:"code,omitempty"`
	// Needs are the IAM actions that the call needs on AWS, and on what, to hold a policy
	// against; none where everybody may make it. They are found out where policies are
	// enforced, or calls are written ([Options.Calls]).
	Needs []authorization.Need `json:"needs,omitempty"`
}

// Name returns the call as faults name it, as in "ssm:GetParameter".
func (c Call) Name() string { return c.Service + ":" + c.Operation }

// mostCalls is how many calls a log keeps in memory: an endpoint may run for weeks.
const mostCalls = 1 << 18

// CallLog is what was called, in the order of the answers: the last 100,000 calls at
// least.
type CallLog struct {
	mu    sync.Mutex
	calls []Call
	to    io.Writer // gets each call as a line of JSON; nil for nobody
}

func (l *CallLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) == mostCalls {
		l.calls = append([]Call(nil), l.calls[mostCalls/2:]...)
	}
	l.calls = append(l.calls, c)
	if l.to != nil {
		// What cannot be written to the log must not keep a call from its answer.
		_ = json.NewEncoder(l.to).Encode(c)
	}
}

// All returns the calls so far.
func (l *CallLog) All() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Call(nil), l.calls...)
}

// Count returns how many calls had one of the names; all calls where none is given.
func (l *CallLog) Count(names ...string) (n int) {
	for _, c := range l.All() {
		for _, name := range names {
			if c.Name() == name {
				n++
			}
		}
		if len(names) == 0 {
			n++
		}
	}
	return n
}

// Reset forgets the calls so far.
func (l *CallLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = nil
}
