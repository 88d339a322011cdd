package cli

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/tasuki-dev/tasuki"
)

// statusReader reads the status of the handoffs that were asked for, as often as it is
// asked.
type statusReader struct {
	*session
	flags *handoffsFlags

	names []string         // those that were named, prefixes included
	all   []tasuki.Handoff // all that have a contract, where none was named
}

// read reads the status of those that were named, or of all that have a contract.
// Which these are is found out once.
func (r *statusReader) read() ([]outcome[handoffStatus], error) {
	if len(r.flags.Handoffs) == 0 {
		if r.all == nil {
			return r.readAll()
		}
		return r.survey(r.ctx, slices.Values(r.all)), nil
	}
	if r.names == nil {
		names, err := r.flags.names(r.session)
		if err != nil {
			return nil, err
		}
		r.names = names
		r.together(names)
	}
	return r.readNamed(), nil
}

// readAll reads the status of all that have a contract, while their contracts are being
// listed: page follows page there, and takes as long as all the rest.
func (r *statusReader) readAll() ([]outcome[handoffStatus], error) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var errs []error
	outcomes := r.survey(ctx, func(yield func(tasuki.Handoff) bool) {
		for contract, err := range r.aws.Contracts.All(r.ctx) {
			if err != nil {
				errs = append(errs, err)
				cancel() // nothing will be printed but such errors
				continue
			}
			r.all = append(r.all, contract.Handoff)
			if !yield(contract.Handoff) {
				return
			}
		}
	})
	if len(errs) > 0 {
		r.all = nil
		return nil, errors.Join(errs...)
	}
	slices.SortFunc(outcomes, func(a, b outcome[handoffStatus]) int { return cmp.Compare(a.handoff, b.handoff) })
	slices.SortFunc(r.all, func(a, b tasuki.Handoff) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	return outcomes, nil
}

// readNamed reads the status of those that were named, in that order.
func (r *statusReader) readNamed() []outcome[handoffStatus] {
	loaded := each(r.session, r.names, func(name string) (tasuki.Handoff, error) { return r.flags.load(r.session, name) })
	outcomes := make([]outcome[handoffStatus], len(loaded))
	var places []int
	var handoffs []tasuki.Handoff
	for i, l := range loaded {
		if l.err != nil {
			outcomes[i] = outcome[handoffStatus]{handoff: l.handoff, err: l.err}
			continue
		}
		places, handoffs = append(places, i), append(handoffs, l.result)
	}
	for i, o := range r.survey(r.ctx, slices.Values(handoffs)) {
		outcomes[places[i]] = o
	}
	return outcomes
}

// survey reads the status of handoffs, and returns the outcomes in their order.
func (r *statusReader) survey(ctx context.Context, handoffs iter.Seq[tasuki.Handoff]) []outcome[handoffStatus] {
	var mu sync.Mutex
	var outcomes []outcome[handoffStatus]
	r.surveyor().Survey(ctx, handoffs, func(i int, h tasuki.Handoff, status tasuki.Status, err error) {
		mu.Lock()
		defer mu.Unlock()
		if short := i + 1 - len(outcomes); short > 0 {
			outcomes = append(outcomes, make([]outcome[handoffStatus], short)...)
		}
		outcomes[i] = outcome[handoffStatus]{h.Name.String(), printedStatus(h, status), err}
	})
	return outcomes
}
