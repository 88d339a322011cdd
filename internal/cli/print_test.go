package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/tasuki-dev/tasuki"
)

// What others have written, into a release record or a registry's answer, drives no
// terminal, and passes for no line or column of Tasuki's own.
func TestWhatOthersWroteStaysInItsLine(t *testing.T) {
	const hostile = "ci\x1b[31m\n2\tv9\r\u009b2J\u202e"
	const harmless = "ci [31m; 2 v9  2J "
	printed := func(print func(io.Writer)) func(*printer) {
		return func(p *printer) {
			if err := p.result(nil, print); err != nil {
				t.Error(err)
			}
		}
	}
	for name, test := range map[string]struct {
		lines int
		print func(*printer)
	}{
		"history": {2, printed(historyResult{Entries: []historyEntry{{Version: 1, Tag: "v1", Actor: hostile, Commit: "c", Run: hostile}}}.print)},
		"status":  {3, printed(statusResult{Handoffs: []handoffStatus{{Handoff: "orders", Disagreements: []string{hostile}}}}.print)},
		"doctor": {5, printed(doctorResult{Handoff: "orders", Deep: true, Examined: []tasuki.Examined{{What: "w", Subject: "s", Found: hostile}},
			Findings: []tasuki.Finding{{Severity: tasuki.SeverityError, Subject: "v1", Summary: hostile, Fix: "fix"}}}.print)},
		"a line":     {1, func(p *printer) { p.say("waiting for %s", hostile) }},
		"a warning":  {1, func(p *printer) { p.warn(hostile) }},
		"an error":   {1, func(p *printer) { p.failed(errors.New(hostile)) }},
		"its causes": {2, func(p *printer) { p.debug = true; p.failed(errors.New(hostile)) }},
	} {
		var out bytes.Buffer
		test.print(&printer{streams: Streams{Out: &out, Err: &out}, format: "text"})
		got := out.String()
		if strings.Count(got, "\n") != test.lines || !strings.Contains(got, harmless) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
