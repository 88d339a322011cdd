package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// Of several handoffs, too, it is said that they were interrupted, and what to do.
func TestInterruptedWithSeveral(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for name, print := range map[string]func(*session) error{
		"release": func(s *session) error {
			return printEach(s, []outcome[releaseResult]{{handoff: "orders", err: context.Canceled}, {handoff: "billing"}}, nil)
		},
		"status": func(s *session) error {
			return printStatus(s, []outcome[handoffStatus]{{handoff: "orders", err: context.Canceled}, {handoff: "billing"}})
		},
	} {
		var out, said bytes.Buffer
		err := print(&session{ctx: ctx, printer: &printer{streams: Streams{Out: &out, Err: &said}, format: "json"}})
		if err != exitError(exitFailed) || !strings.HasPrefix(said.String(), "tasuki: error: orders: interrupted: context canceled\ntasuki: hint: Run the command again") ||
			!strings.Contains(out.String(), `{"handoff":"orders","error":"interrupted: context canceled","kind":"failed","hint":"Run the command again`) {
			t.Errorf("%s: %v\n%s%s", name, err, said.String(), out.String())
		}
	}
}
