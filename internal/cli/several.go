package cli

import (
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// severalAtOnce is how many handoffs a command works on at the same time. Lambda's
// own update takes most of a release's time; the adapters keep within AWS's limits.
const severalAtOnce = 8

// outcome is how a command ended for one of several handoffs.
type outcome[T any] struct {
	handoff string
	result  T
	err     error
}

// namedFailure is a failure of one of several handoffs, as programs get it.
type namedFailure struct {
	Handoff string `json:"handoff"`
	failure
}

// each runs a command for several handoffs. One that fails neither stops nor hides
// another.
func each[T any](s *session, names []string, run func(name string) (T, error)) []outcome[T] {
	outcomes := make([]outcome[T], len(names))
	var group errgroup.Group
	group.SetLimit(severalAtOnce)
	for i, name := range names {
		group.Go(func() error {
			result, err := run(name)
			outcomes[i] = outcome[T]{name, result, err}
			return nil
		})
	}
	_ = group.Wait() // the errors are in the outcomes
	return outcomes
}

// printEach prints the outcomes in the order of their names: one object for a
// program, and each failure for a person. The error is the worst exit code.
func printEach[T any](s *session, outcomes []outcome[T], text func(io.Writer, T)) error {
	var errs []error
	var results struct {
		Results []any `json:"results"`
	}
	results.Results = []any{}
	for _, o := range outcomes {
		if o.err != nil {
			err := interrupted(s.ctx, o.err)
			errs = append(errs, err)
			s.complain(o.handoff+": ", err)
			results.Results = append(results.Results, namedFailure{o.handoff, failureOf(err)})
			continue
		}
		results.Results = append(results.Results, o.result)
	}
	err := s.result(results, func(w io.Writer) {
		for _, o := range outcomes {
			if o.err == nil {
				text(w, o.result)
			}
		}
	})
	if joined := errors.Join(errs...); joined != nil && err == nil {
		return exitError(exitCode(joined))
	}
	return err
}
