package awsbackend

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

// A retry's refusal says nothing of the attempt before it, whose answer was lost.
func TestRefusedAfterALostAnswer(t *testing.T) {
	lost := func(http.ResponseWriter, map[string]any) { panic(http.ErrAbortHandler) }
	broken := fail(500, "InternalServerError", "")
	throttled, denied := fail(400, "ThrottlingException", "Rate exceeded"), fail(400, "AccessDeniedException", "no")
	for name, c := range map[string]struct {
		first, last operation
		kind        error // of what changes something
		read        error
	}{
		"lost, then throttled":     {lost, throttled, tasuki.ErrUnavailable, tasuki.ErrThrottled},
		"lost, then denied":        {lost, denied, tasuki.ErrUnavailable, tasuki.ErrDenied},
		"a 500, then throttled":    {broken, throttled, tasuki.ErrUnavailable, tasuki.ErrThrottled},
		"lost, then a conflict":    {lost, fail(409, "ResourceConflictException", ""), tasuki.ErrConflict, tasuki.ErrConflict},
		"lost, then missing":       {lost, fail(404, "ResourceNotFoundException", ""), tasuki.ErrMissing, tasuki.ErrMissing},
		"throttled":                {throttled, throttled, tasuki.ErrThrottled, tasuki.ErrThrottled},
		"throttled, and then lost": {throttled, lost, tasuki.ErrUnavailable, tasuki.ErrUnavailable},
		"throttled, then denied":   {throttled, denied, tasuki.ErrDenied, tasuki.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits as long as the SDK does between attempts
			answers := func() operation { return then(c.first, c.last) }
			backend, _ := serve(t, Options{RetryMaxAttempts: 2}, map[string]operation{"UpdateFunctionCode": answers(), "GetFunction": answers()})
			_, err := backend.Functions.UpdateCode(t.Context(), update(t))
			wantKind(t, err, c.kind)
			const unsure = "an attempt got no answer, and may have been carried out; the last one was refused: "
			if sure := c.kind == c.read; sure == strings.Contains(err.Error(), unsure) {
				t.Errorf("got %v", err)
			}
			_, err = backend.Functions.Function(t.Context(), "orders")
			wantKind(t, err, c.read)
		})
	}
}
