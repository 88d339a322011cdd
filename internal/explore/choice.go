package explore

import (
	"cmp"
	"slices"
)

// choice is one way to go on: an operation with its verdict, or Lambda's finishing of
// the update of a function.
type choice struct {
	req     *request // nil for Lambda
	verdict verdict
	settles string // function
}

// label tells a choice from every other one of the same state. As long as its actor has
// not gone on, it is the label of the same choice in later states.
func (c choice) label() string {
	if c.req == nil {
		return c.settles
	}
	return c.req.attempt.name + "\n" + c.req.op.name + "\n" + c.req.op.subject + "\n" + string(c.verdict)
}

// choices returns every way to go on, in an order that depends on the schedule alone.
func (r *run) choices() []choice {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.waiting, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.attempt.name, b.attempt.name), cmp.Compare(a.op.name, b.op.name), cmp.Compare(a.op.subject, b.op.subject))
	})
	var all []choice
	var held *request
	for _, req := range r.waiting {
		updating := req.op.function != "" && r.account.updating(req.op.function)
		switch {
		case updating && req.op.patient:
		case updating && req.op.name == readFunction.name && req.at.polling && !r.unreduced:
			// It would look again. All that can happen to it is a fault.
			all = append(all, r.verdicts(req)[1:]...)
		case updating && req.op.name == readFunction.name && req.attempt.looks[req.op.function] >= mostLooks:
		case req.op.name == updateCode.name && req.attempt.updates[req.op.function] >= r.scenario.updates():
			if held == nil {
				held = req
			}
		case r.independent(req):
			return r.verdicts(req)
		default:
			all = append(all, r.verdicts(req)...)
		}
	}
	if r.scenario.Switches != 0 && r.switches >= max(r.scenario.Switches, 0) && r.canGoOn(all) {
		all = slices.DeleteFunc(all, func(c choice) bool { return c.req.attempt != r.last })
	}
	for _, target := range r.account.fix.handoff.Functions {
		if r.account.updating(target.Name) {
			all = append(all, choice{settles: target.Name})
		}
	}
	if len(all) == 0 && held != nil {
		return r.verdicts(held)
	}
	return all
}

// canGoOn reports whether the last actor has a choice.
func (r *run) canGoOn(all []choice) bool {
	return slices.ContainsFunc(all, func(c choice) bool { return c.req != nil && c.req.attempt == r.last })
}

// independent reports whether an operation commutes with whatever others may still do.
func (r *run) independent(req *request) bool {
	if r.unreduced {
		return false
	}
	switch req.op.name {
	case readImages.name, readConfig.name:
		return !r.scenario.Start.NoSeed
	case readTag.name, readHistory.name:
		return !r.othersWrite(req.attempt)
	}
	return req.op.fixed
}

// othersWrite reports whether somebody else may still write the parameter.
func (r *run) othersWrite(attempt *attempt) bool {
	return slices.ContainsFunc(r.actors, func(other *actor) bool {
		return other.attempt != attempt && slices.ContainsFunc(other.commands[other.next:], func(c Command) bool {
			return c.Kind == Releases || c.Kind == Registers || c.Kind == Writes
		})
	})
}

// verdicts returns what may happen to one operation.
func (r *run) verdicts(req *request) []choice {
	all := []choice{{req: req}}
	if r.faults >= r.scenario.Most || req.op.service {
		return all
	}
	for _, fault := range r.scenario.Faults {
		switch {
		case fault == Crash && (req.op.uses.writes != 0 || r.unreduced):
			all = append(all, choice{req: req, verdict: diesAfter})
			if r.unreduced {
				all = append(all, choice{req: req, verdict: dies})
			}
		case fault == Denied:
			all = append(all, choice{req: req, verdict: isDenied})
		case fault == Lost:
			all = append(all, choice{req: req, verdict: isLost})
			if req.op.name == updateCode.name || req.op.name == writeTag.name {
				all = append(all, choice{req: req, verdict: isConflict})
			}
		case fault == Stale && req.op.name == readTag.name && !req.attempt.lastStale && len(r.account.writers) > 0:
			all = append(all, choice{req: req, verdict: isStale})
		}
	}
	return all
}

// step is what a choice that was taken has done.
type step struct {
	actor int // whose it was; -1 for Lambda
	uses  footprint
}

// apart reports whether two steps, either of which could be taken, come to the same in
// both orders. Those of one actor do when they are about different functions, which it
// changes at once.
func (s step) apart(other step) bool {
	const shared = theFunction - 1
	both := s.uses.and(other.uses)
	return !s.uses.disturbs(other.uses) && (s.actor != other.actor || (both.reads|both.writes)&shared == 0)
}
