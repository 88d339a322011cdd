package tasuki

import (
	"errors"
	"fmt"
)

// The kinds of failure that the protocol tells apart; test with [errors.Is]. An
// adapter that cannot tell says [ErrUnavailable]: what could not be read is never
// the same as what is missing.
var (
	// ErrMissing: the service answered that the thing does not exist.
	ErrMissing = errors.New("missing")
	// ErrDenied: the caller may not do this.
	ErrDenied = errors.New("access denied")
	// ErrThrottled: the service asked to slow down, and went on asking through the
	// retries. Nothing was done.
	ErrThrottled = errors.New("throttled")
	// ErrConflict: somebody else changed the thing, or is changing it.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: no usable answer: timed out, cut off, or the service's own fault.
	// What was to be changed may have been.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: what was given, or what was read, is malformed.
	ErrInvalid = errors.New("invalid")
	// ErrRefused: well-formed, but the protocol or Lambda's rules forbid it.
	ErrRefused = errors.New("refused")
)

// Side says which part of the relay an operation was about.
type Side string

// The sides of the relay.
const (
	SideTag      Side = "tag parameter"
	SideContract Side = "contract"
	SideImage    Side = "image"
	SideFunction Side = "function"
	SideSource   Side = "source image"
	SideCaller   Side = "caller"
	SideStack    Side = "stack"
	SideSecret   Side = "secret"
)

// Error is a failure of the relay: what was being done, to what, on which side,
// what kind of failure it was, and what a person can do about it.
type Error struct {
	Op      string // what was being done, as in "read" or "update"
	Side    Side   // what part of the relay it was done to
	Subject string // which one: a parameter's name, an image, a function
	Kind    error  // one of ErrMissing, ErrDenied, …
	Err     error  // the cause; may be nil
	Hint    string // what to do about it, as a sentence for a person; may be empty
}

// Error returns what happened, without the hint.
func (e *Error) Error() string {
	what := e.Op
	if e.Side != "" {
		what += " " + string(e.Side)
	}
	if e.Subject != "" {
		what += " " + e.Subject
	}
	if e.Err == nil {
		return fmt.Sprintf("%s: %v", what, e.Kind)
	}
	// A refusal's or an invalid value's cause is a sentence of its own.
	if e.Kind == nil || e.Kind == ErrInvalid || e.Kind == ErrRefused {
		return fmt.Sprintf("%s: %v", what, e.Err)
	}
	return fmt.Sprintf("%s: %v: %v", what, e.Kind, e.Err)
}

// Unwrap returns the kind and the cause, so that errors.Is finds both.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// HintOf returns the outermost hint in err's tree, or "".
func HintOf(err error) string {
	switch e := err.(type) {
	case nil:
		return ""
	case *Error:
		if e.Hint != "" {
			return e.Hint
		}
	case *UndoError:
		return e.Hint
	case *sentence:
		return e.hint
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return HintOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if hint := HintOf(inner); hint != "" {
				return hint
			}
		}
	}
	return ""
}

// UndoError is a failure whose effects could not be undone: a person must look.
type UndoError struct {
	Err  error  // why the command failed
	Undo error  // why undoing failed
	Hint string // which command mends it
}

// Error says both what failed and that it was not undone.
func (e *UndoError) Error() string {
	return fmt.Sprintf("%v; and this could not be undone: %v", e.Err, e.Undo)
}

// Unwrap returns both causes.
func (e *UndoError) Unwrap() []error { return []error{e.Err, e.Undo} }

// sentence is an ErrInvalid whose text is the whole message.
type sentence struct{ text, hint string }

func (s *sentence) Error() string        { return s.text }
func (s *sentence) Is(target error) bool { return target == ErrInvalid }

// invalid returns an error of kind ErrInvalid that reads as the given sentence.
func invalid(format string, args ...any) error {
	return &sentence{text: fmt.Sprintf(format, args...)}
}

// tooNew says that a document is of a later version of its specification.
func tooNew(what string, version, known int) error {
	return &sentence{fmt.Sprintf("the %s is of version %d, and this program knows version %d only", what, version, known), "Upgrade tasuki."}
}
