package tasuki

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// confirmWithin is how long a read that may be stale is repeated before it is
// believed. SSM is eventually consistent, and names no bound; 5 s is far beyond
// what is reported (aws-cdk-cli issue 830: about one read in a hundred, right after
// a write).
const confirmWithin = 5 * time.Second

// pause is a delay that grows.
type pause struct {
	next, longest time.Duration
	random        func() float64 // shortens each delay by up to a half; nil leaves it whole
}

// wait sleeps for the next delay, or until ctx is done.
func (p *pause) wait(ctx context.Context) error {
	d := p.next
	p.next = min(p.next*3/2, p.longest)
	if p.random != nil {
		d -= time.Duration(p.random() * float64(d/2))
	}
	return sleep(ctx, d)
}

// sleep waits for d, or returns ctx's error when it is done before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// confirm calls read until it can be believed or 5 s have passed, and returns what
// the last one returned. A read that finds nothing (ErrMissing), or that does not
// believe what it found, is repeated; any other error ends it. The seconds count
// from the first answer to the beginning of the last read: one read that took five
// seconds is still only one.
func confirm(ctx context.Context, read func() (believed bool, err error)) (bool, error) {
	between := pause{next: 250 * time.Millisecond, longest: time.Second}
	var deadline time.Time
	for {
		began := time.Now()
		believed, err := read()
		if believed && err == nil {
			return true, nil
		}
		if err != nil && !errors.Is(err, ErrMissing) {
			return false, err
		}
		if deadline.IsZero() {
			deadline = time.Now().Add(confirmWithin)
		} else if !began.Before(deadline) {
			return false, err
		}
		if err := between.wait(ctx); err != nil {
			return false, err
		}
	}
}

// together runs the functions at once and waits for all of them. One failure
// cancels the others, and is not hidden by their being cancelled.
func together(ctx context.Context, functions ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return firstCause(atOnce(functions, func(f func(context.Context) error) error {
		err := f(ctx)
		if err != nil {
			cancel()
		}
		return err
	}))
}

// allTogether runs the functions at once and waits for all of them; one failure
// leaves the others to finish.
func allTogether(functions ...func() error) error {
	return errors.Join(atOnce(functions, func(f func() error) error { return f() })...)
}

// atOnce calls the functions by way of call, each in a goroutine of its own, and returns
// their errors when all have ended. A panic in one of them goes on in the caller: in its
// own goroutine nobody could recover from it, and the whole program would end, before
// the provider has answered.
func atOnce[F any](functions []F, call func(F) error) []error {
	errs := make([]error, len(functions))
	panics := make([]any, len(functions))
	var group sync.WaitGroup
	for i, f := range functions {
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics[i] = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
				}
			}()
			errs[i] = call(f)
		})
	}
	group.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
	return errs
}

// firstCause returns the first error that is not merely the echo of another's
// cancellation.
func firstCause(errs []error) error {
	var cancelled error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, context.Canceled):
			if cancelled == nil {
				cancelled = err
			}
		default:
			return err
		}
	}
	return cancelled
}
