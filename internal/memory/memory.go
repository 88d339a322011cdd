// Package memory implements the domain's ports in memory: what AWS would answer,
// without AWS, for tests of the protocol. The conformance suites hold it to the
// same behaviour as the real adapters.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// AWS is an account that has nothing yet. The zero value is ready.
type AWS struct {
	mu           sync.Mutex
	parameters   map[tasuki.ParameterName][]tasuki.ParameterVersion // ascending
	contracts    map[tasuki.HandoffName]tasuki.Contract
	repositories map[tasuki.Repository]*repository
	functions    map[string]*function
	stacks       map[string]string // statuses
	revision     int

	// Before, when set, is called before each operation with its name and its
	// subject; an error that it returns is the operation's, and nothing is done. It
	// may call the AWS again: nothing is locked.
	Before func(operation, subject string) error
	// After, when set, is called when an operation has been done; an error that it
	// returns takes the answer's place, as if the answer had been lost.
	After func(operation, subject string) error
	// UpdateTakes is how long a function stays InProgress after UpdateCode. A change
	// is for the updates under way as well.
	UpdateTakes time.Duration
	// Answers, when set, is what an image answers to an invocation; otherwise every
	// image answers {}.
	Answers func(digest tasuki.Digest, payload []byte) tasuki.Answer
	// UpdateFails, when set, says why Lambda does not take an image; "" takes it.
	UpdateFails func(digest tasuki.Digest) string
}

var (
	_ tasuki.Tags                = (*AWS)(nil)
	_ tasuki.TagBatchReader      = (*AWS)(nil)
	_ tasuki.Contracts           = (*AWS)(nil)
	_ tasuki.ContractBatchReader = (*AWS)(nil)
	_ tasuki.Images              = (*AWS)(nil)
	_ tasuki.Repositories        = (*AWS)(nil)
	_ tasuki.ImageTagger         = (*AWS)(nil)
	_ tasuki.FunctionUpdater     = (*AWS)(nil)
	_ tasuki.VersionPublisher    = (*AWS)(nil)
	_ tasuki.AliasDeleter        = (*AWS)(nil)
	_ tasuki.Invoker             = (*AWS)(nil)
	_ tasuki.StackReader         = (*AWS)(nil)
)

// do runs an operation between the hooks.
func (a *AWS) do(ctx context.Context, operation, subject string, f func() error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.Before != nil {
		if err := a.Before(operation, subject); err != nil {
			return err
		}
	}
	a.mu.Lock()
	err := f()
	a.mu.Unlock()
	if a.After != nil {
		if lost := a.After(operation, subject); lost != nil {
			return lost
		}
	}
	return err
}

// SetStack puts a stack into a status, whether or not it exists.
func (a *AWS) SetStack(id, status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stacks == nil {
		a.stacks = map[string]string{}
	}
	a.stacks[id] = status
}

// StackStatus implements [tasuki.StackReader].
func (a *AWS) StackStatus(ctx context.Context, id string) (status string, err error) {
	err = a.do(ctx, "StackStatus", id, func() error {
		var there bool
		if status, there = a.stacks[id]; !there {
			return missing(tasuki.SideStack, id)
		}
		return nil
	})
	return status, err
}

func missing(side tasuki.Side, subject string) error {
	return &tasuki.Error{Op: "read", Side: side, Subject: subject, Kind: tasuki.ErrMissing}
}
