package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"github.com/tasuki-dev/tasuki"
)

// printer writes results to stdout, and all else to stderr.
type printer struct {
	streams Streams
	format  string // text, json or flat
	debug   bool
	bars    *bars // nil where stderr is no terminal
	several bool  // lines say which handoff they are about
	mu      sync.Mutex
}

// result prints a command's result: v as JSON, or what text writes. A result that
// nobody can read is an error; a reader that has seen enough, and is gone, is none.
func (p *printer) result(v any, text func(io.Writer)) error {
	p.bars.clear() // one whose layer was not read to its end would be erased later, and this with it
	var result bytes.Buffer
	if p.format == "text" {
		text(&result)
	} else {
		encoder := json.NewEncoder(&result)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			return err
		}
	}
	if _, err := p.streams.Out.Write(result.Bytes()); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("the command did what it was to do, but its result could not be written: %w", err)
	}
	return nil
}

// observe prints what is being done.
func (p *printer) observe(e tasuki.Event) {
	about := ""
	if p.several {
		about = e.Handoff.String() + ": "
	}
	if e.Warning {
		p.warn(about + e.Text)
		return
	}
	p.say("%s%s", about, e.Text)
}

// stderr is where lines go that are about what is being done.
func (p *printer) stderr() io.Writer {
	if p.bars != nil {
		return p.bars
	}
	return p.streams.Err
}

// say prints a line about what is being done.
func (p *printer) say(format string, args ...any) {
	p.mu.Lock() // functions and handoffs are worked on at once
	defer p.mu.Unlock()
	fmt.Fprintf(p.stderr(), "tasuki: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

// warn prints warnings.
func (p *printer) warn(warnings ...string) {
	for _, w := range warnings {
		p.say("warning: %s", w)
	}
}

// warnOf prints warnings about a handoff.
func (p *printer) warnOf(handoff tasuki.HandoffName, warnings []string) {
	for _, text := range warnings {
		p.observe(tasuki.Event{Handoff: handoff, Warning: true, Text: text})
	}
}

// failed prints why a command failed: for a person on stderr, and, where stdout is
// read by a program, as the one object there.
func (p *printer) failed(err error) {
	var exit exitError
	if errors.As(err, &exit) {
		return
	}
	p.bars.clear()
	p.complain("", err)
	if p.format != "text" {
		_ = p.result(failureOf(err), nil) // to a stdout that is gone there is nothing to say
	}
}

// complain prints an error and what to do about it.
func (p *printer) complain(about string, err error) {
	p.say("error: %s%v", about, err)
	if hint := tasuki.HintOf(err); hint != "" {
		p.say("hint: %s", hint)
	}
	if p.debug {
		p.causes(err, 1)
	}
}

// failure is an error as programs get it.
type failure struct {
	Error string `json:"error"`
	Kind  string `json:"kind"`
	Hint  string `json:"hint,omitempty"`
}

func failureOf(err error) failure {
	return failure{oneLine(err.Error()), kindOf(err), tasuki.HintOf(err)}
}

// causes prints the tree of errors, for whoever debugs.
func (p *printer) causes(err error, depth int) {
	fmt.Fprintf(p.stderr(), "%s%T: %s\n", strings.Repeat("  ", depth), err, oneLine(err.Error()))
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			p.causes(inner, depth+1)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			p.causes(inner, depth+1)
		}
	}
}

// oneLine keeps a text that others wrote, a registry or who registered a release, in its
// line, and from driving the terminal. Errors that are joined stay apart in it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "\n", "; "))
}

// kindOf names an error's kind, for programs.
func kindOf(err error) string {
	var undo *tasuki.UndoError
	var usage *usageError
	switch {
	case errors.As(err, &undo):
		return "not-undone"
	case errors.As(err, &usage):
		return "usage"
	}
	for _, kind := range []struct {
		name string
		err  error
	}{ // of several, what keeps a person from going on comes first
		{"denied", tasuki.ErrDenied}, {"refused", tasuki.ErrRefused}, {"invalid", tasuki.ErrInvalid}, {"missing", tasuki.ErrMissing},
		{"conflict", tasuki.ErrConflict}, {"throttled", tasuki.ErrThrottled}, {"unavailable", tasuki.ErrUnavailable},
	} {
		if errors.Is(err, kind.err) {
			return kind.name
		}
	}
	return "failed"
}

func usage(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}
