package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// between is how long a stack is left alone before its status is read again.
const between = 5 * time.Second

// reconcileLogged reconciles, and logs what became of it.
func (h *Handler) reconcileLogged(ctx context.Context, e customresource.Reconcile) error {
	began := time.Now()
	done, err := inTime(ctx, h.Log, func(ctx context.Context) (string, error) { return h.reconcile(ctx, e) })
	line := []any{"type", "reconcile", "trigger", e.Trigger, "seconds", time.Since(began).Seconds()}
	if err != nil {
		h.Log.Error(explain(err), line...)
		// Lambda writes it into the log as well, and beside the event in the dead-letter queue.
		return errors.New(redact(err.Error()))
	}
	h.Log.Info(done, line...)
	return nil
}

// reconcile makes the functions run what is registered, once CloudFormation is
// through with their stack, and says what was done.
func (h *Handler) reconcile(ctx context.Context, e customresource.Reconcile) (string, error) {
	if h.broken != nil {
		return "", h.broken
	}
	if e.Version != customresource.ReconcileVersion {
		return "", fmt.Errorf("the event is of version %q, and this provider knows version %s only: deploy the stack again, with one version of Tasuki", e.Version, customresource.ReconcileVersion)
	}
	contract, err := tasuki.ParseContract(e.Contract)
	if err != nil {
		return "", err
	}
	idle, err := h.settle(ctx, contract.StackID, e.Trigger)
	if err != nil {
		return "", err
	}
	if idle != "" {
		return idle, nil
	}
	if contract.Functions, err = h.existing(ctx, contract.Functions); err != nil {
		return "", err
	}
	if len(contract.Functions) == 0 {
		return "nothing to do: there is no function any more", nil
	}
	reconciler, done := h.reconciler(contract.Name, "")
	defer done()
	reconciler.Refresh = e.Trigger == customresource.TriggerStack
	end, err := reconciler.Reconcile(ctx, contract.Handoff)
	if err != nil {
		return "", err
	}
	for _, warning := range end.Warnings {
		h.observe(tasuki.Event{Handoff: contract.Name, Warning: true, Text: warning})
	}
	if end.Release != nil && e.Trigger != customresource.TriggerSchedule {
		if err := h.enable(ctx, e.EventSourceMappings); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("handoff %s is on %s (%s)", contract.Name, end.Image, end.Origin), nil
}

// settle waits until nothing is being done to a stack; "" is none. It says why where
// there is nothing to reconcile: the stack is gone, or the schedule has met one that is
// being changed, whose end asks again.
func (h *Handler) settle(ctx context.Context, stack string, trigger customresource.Trigger) (idle string, err error) {
	if stack == "" {
		return "", nil
	}
	for {
		status, err := h.Stacks.StackStatus(ctx, stack)
		switch {
		case errors.Is(err, tasuki.ErrMissing):
			return "nothing to do: the stack is gone", nil
		case err != nil:
			return "", err
		case strings.HasPrefix(status, "DELETE_"):
			return "nothing to do: the stack is " + status, nil
		case !strings.HasSuffix(status, "_IN_PROGRESS"):
			return "", nil
		case trigger == customresource.TriggerSchedule:
			return "nothing to do yet: the stack is " + status, nil
		}
		if err := wait(ctx, between); err != nil {
			return "", fmt.Errorf("the stack is still %s: %w", status, err)
		}
	}
}

// existing returns the functions that there are.
func (h *Handler) existing(ctx context.Context, functions []tasuki.FunctionTarget) (there []tasuki.FunctionTarget, err error) {
	for _, f := range functions {
		_, err := h.Reconciler.Updater.Function(ctx, f.Name)
		switch {
		case err == nil:
			there = append(there, f)
		case !errors.Is(err, tasuki.ErrMissing):
			return nil, err
		}
	}
	return there, nil
}

// enable lets Lambda poll the event sources that were held back for the first release.
func (h *Handler) enable(ctx context.Context, mappings []string) error {
	for _, uuid := range mappings {
		changed, err := h.EventSources.EnableEventSource(ctx, uuid)
		switch {
		case errors.Is(err, tasuki.ErrMissing):
			h.Log.Warn("there is no event source mapping " + uuid)
		case err != nil:
			return err
		case changed:
			h.Log.Info("event source mapping " + uuid + " is enabled, now that there is a release")
		}
	}
	return nil
}
