package template

import (
	"errors"
	"fmt"
)

// ErrUnknown is what an [Environment] returns for a value that is known only after
// something was deployed. Evaluate's error wraps it.
var ErrUnknown = errors.New("the value is known only after the deployment")

// Error is what is wrong with a template.
type Error struct {
	Format bool   // whether the template's form is wrong, and not what it refers to
	Bare   bool   // whether it is given without an introduction
	Place  string // as in "/Resources/Function/Properties/Code"; "" where CloudFormation names none
	Text   string
}

// Error returns the message in CloudFormation's form.
func (e *Error) Error() string {
	text := "Template error: "
	switch {
	case e.Bare:
		text = ""
	case e.Format:
		text = "Template format error: "
	}
	if e.Place != "" {
		text += "[" + e.Place + "] "
	}
	return text + e.Text
}

// malformed is an error of the template's form.
func malformed(place, format string, args ...any) *Error {
	return &Error{Format: true, Place: place, Text: fmt.Sprintf(format, args...)}
}

// bare is an error that CloudFormation gives without any introduction.
func bare(format string, args ...any) *Error {
	return &Error{Bare: true, Text: fmt.Sprintf(format, args...)}
}

// wrong is an error of what the template's functions say.
func wrong(place, format string, args ...any) *Error {
	return &Error{Place: place, Text: fmt.Sprintf(format, args...)}
}

// notProvided refuses what CloudFormation has and this package has not.
func notProvided(place, what string) *Error {
	return malformed(place, "%s is not provided by tasuki local.", what)
}
