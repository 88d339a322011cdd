package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go/middleware"

	"github.com/tasuki-dev/tasuki"
)

// The SDK tries a call again whose answer was lost, and returns the last attempt's error.
// Where that one was refused, as for coming too often, the lost one may have been carried
// out all the same: what a refusal says of a call that changes something holds for its
// last attempt only.

// repeatedError is the error of a call's last attempt, after one whose answer was lost.
type repeatedError struct{ error }

func (r *repeatedError) Unwrap() error { return r.error }

// lostAnswers is what a call's attempts tell: whether the last one's answer was lost, and
// whether one's before it was.
type lostAnswers struct{ last, before bool }

type lostAnswersKey struct{}

// tellRepeats has the calls' errors say whether an attempt's answer was lost.
func tellRepeats(stack *middleware.Stack) error {
	all := middleware.FinalizeMiddlewareFunc("TellRepeats", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		var lost lostAnswers
		out, metadata, err := next.HandleFinalize(middleware.WithStackValue(ctx, lostAnswersKey{}, &lost), in)
		if err != nil && lost.before && !lost.last {
			err = &repeatedError{err}
		}
		return out, metadata, err
	})
	each := middleware.FinalizeMiddlewareFunc("NoteLostAnswer", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if lost, ok := middleware.GetStackValue(ctx, lostAnswersKey{}).(*lostAnswers); ok {
			lost.before = lost.before || lost.last
			lost.last = err != nil && call{}.explained(err).Kind == tasuki.ErrUnavailable
		}
		return out, metadata, err
	})
	return errors.Join(stack.Finalize.Insert(all, "Retry", middleware.Before), stack.Finalize.Insert(each, "Retry", middleware.After))
}

// changes reports whether the call changes something.
func (c call) changes() bool {
	_, operation, _ := strings.Cut(c.action, ":")
	return !slices.ContainsFunc([]string{"Get", "List", "Describe", "Batch"}, func(verb string) bool { return strings.HasPrefix(operation, verb) })
}

// unsure returns e, which a call's last attempt ended in, for the whole of the call: that
// it is not known what happened. A conflict may be with the lost attempt, which is for
// the caller to find out; what is missing now is so whatever happened.
func (c call) unsure(e *tasuki.Error) *tasuki.Error {
	if !c.changes() || e.Kind == nil || e.Kind == tasuki.ErrConflict || e.Kind == tasuki.ErrMissing || e.Kind == tasuki.ErrUnavailable {
		return e
	}
	e.Err = fmt.Errorf("an attempt got no answer, and may have been carried out; the last one was refused: %w", e.Err)
	e.Kind = tasuki.ErrUnavailable
	return e
}
