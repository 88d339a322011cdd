package tasuki

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// stackAnswersWithin bounds how long a verb waits for the status of a stack, retries
	// included: where CloudFormation cannot be reached, as in a VPC without an endpoint
	// for it, a release is not to stand still for what only protects the stack.
	stackAnswersWithin = 10 * time.Second
	// stackRestsWithin bounds how long a verb waits for a stack to come to rest. An
	// update with a distribution or a database may take longer than that; a person is
	// better told so than left waiting.
	stackRestsWithin = 30 * time.Minute
)

// withStackAtRest runs the reads that a verb begins with while nobody is changing the
// handoff's stack: CloudFormation's own update of a function fails, and with it the
// stack's, when it meets a release's. The stack's status is read at the same time as
// the rest. Where the stack is being changed, what is read meanwhile counts for
// nothing, neither answers nor failures, and is read again when it is at rest.
func (r Reconciler) withStackAtRest(ctx context.Context, h Handoff, read func(context.Context) error) error {
	if r.Stack == "" {
		return read(ctx)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var status string
	var asking sync.WaitGroup
	asking.Go(func() {
		if status = r.stackStatus(ctx, h); beingChanged(status) {
			stop()
		}
	})
	err := read(reading)
	asking.Wait()
	if !beingChanged(status) {
		return err
	}
	if err := r.awaitStack(ctx, h, status); err != nil {
		return err
	}
	return read(ctx)
}

// awaitStack waits for the end of what is being done to the handoff's stack.
func (r Reconciler) awaitStack(ctx context.Context, h Handoff, status string) error {
	name := stackName(r.Stack)
	r.say(h, "waiting for stack %s that is being changed (%s)", name, status)
	between := pause{next: time.Second, longest: 10 * time.Second}
	for began := time.Now(); beingChanged(status); status = r.stackStatus(ctx, h) {
		if time.Since(began) >= stackRestsWithin {
			return &Error{
				Op: "wait for", Side: SideStack, Subject: name, Kind: ErrConflict,
				Err:  fmt.Errorf("it is still %s after %.0f minutes", status, stackRestsWithin.Minutes()),
				Hint: "Nothing was changed. Look at the stack's events in CloudFormation, and run the command again when it is at rest.",
			}
		}
		if err := between.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stackStatus returns the status of the handoff's stack, "" where there is none or it
// is not known. That it is not known is no reason to stop: it protects the stack, and
// decides nothing.
func (r Reconciler) stackStatus(ctx context.Context, h Handoff) string {
	asking, stop := context.WithTimeout(ctx, stackAnswersWithin)
	defer stop()
	status, err := r.Stacks.StackStatus(asking, r.Stack)
	if err != nil && !errors.Is(err, ErrMissing) && ctx.Err() == nil {
		r.warn(h, fmt.Sprintf("it is not known whether stack %s is being changed, and this does not wait for it: %v", stackName(r.Stack), err))
	}
	if err != nil {
		return ""
	}
	return status
}

// beingChanged reports whether CloudFormation may be changing the functions of a stack
// that has a status. REVIEW_IN_PROGRESS is a change set that nobody has executed; of a
// stack that is being deleted, the functions say what is the matter.
func beingChanged(status string) bool {
	return strings.HasSuffix(status, "_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS" && !strings.HasPrefix(status, "DELETE_")
}

// stackName returns the name of the stack of an id, which is an ARN that ends in
// ":stack/NAME/UUID"; a name is returned as it is.
func stackName(id string) string {
	_, path, is := strings.Cut(id, ":stack/")
	if !is {
		return id
	}
	name, _, _ := strings.Cut(path, "/")
	return name
}
