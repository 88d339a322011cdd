package cloudformation

import (
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// kept is how long CloudFormation keeps what is over: deleted stacks, with all that it
// knows of them, and events
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html).
const kept = 90 * 24 * time.Hour

// pruneEvery is how often a service that runs looks for what it has kept for long enough.
const pruneEvery = 24 * time.Hour

// pruneIfDue prunes where that was not done for a day. The caller holds admitting.
func (s *Service) pruneIfDue() error {
	now := s.o.Now()
	if now.Sub(s.pruned) < pruneEvery {
		return nil
	}
	err := s.o.Store.Update(func(tx *state.Tx) error { return s.prune(tx, now) })
	if err == nil {
		s.pruned = now
	}
	return err
}

// prune deletes what was over too long ago.
func (s *Service) prune(tx *state.Tx, now time.Time) (err error) {
	before := now.Add(-kept)
	var gone, there []string // the ARNs of stacks
	for id, st := range s.stacks.All(tx, "", &err) {
		if !st.Deleted.IsZero() && st.Operation == nil && st.Deleted.Before(before) {
			gone = append(gone, id)
		} else {
			there = append(there, id)
		}
	}
	if err != nil {
		return err
	}
	for _, id := range there {
		if err := deleteWhile(s.events, tx, id, func(e event) bool { return e.At.Before(before) }); err != nil {
			return err
		}
		if err := deleteWhile(s.detections, tx, id, func(d detection) bool { return d.At.Before(before) }); err != nil {
			return err
		}
	}
	for _, id := range gone {
		if err := s.forgetStack(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// forgetStack deletes all that is on record of a stack that was deleted.
func (s *Service) forgetStack(tx *state.Tx, id string) error {
	if err := deleteWhile(s.events, tx, id, func(event) bool { return true }); err != nil {
		return err
	}
	if err := deleteWhile(s.resources, tx, id, func(record) bool { return true }); err != nil {
		return err
	}
	if err := deleteWhile(s.detections, tx, id, func(detection) bool { return true }); err != nil {
		return err
	}
	if err := s.forgetChangeSets(tx, id); err != nil {
		return err
	}
	return s.stacks.Delete(tx, id)
}

// deleteWhile deletes what a table has of a stack, in the order of its keys, until
// something is to stay.
func deleteWhile[T any](table state.Table[T], tx *state.Tx, stackID string, goes func(T) bool) (err error) {
	var keys []string
	for key, value := range table.All(tx, partKey(stackID, ""), &err) {
		if !goes(value) {
			break
		}
		keys = append(keys, key)
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := table.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
