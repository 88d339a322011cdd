package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// doomed is a physical resource that is to be deleted, or let go.
type doomed struct {
	logicalID string
	physical  deployed
	live      bool // it is what the record has for Live
	keep      bool // let go: a policy or the request says so
}

// doomedKey names a physical resource in a walk.
func doomedKey(d doomed) string {
	if d.live {
		return d.logicalID
	}
	return d.logicalID + "\x00" + d.physical.PhysicalID
}

// clean deletes what was replaced or left out, and ends the operation. What cannot be
// deleted is let go, as CloudFormation does.
func (r *run) clean(ctx context.Context, status types.StackStatus) error {
	t, err := template.Parse([]byte(r.st.Deployed.Template))
	if err != nil {
		return err
	}
	want, err := wanted(t, r.environment(t, &r.st.Deployed))
	if err != nil {
		return err
	}
	reverting := r.st.Operation.Stage == stageRevertClean
	var all []doomed
	for _, rec := range sortedRecords(r.records) {
		for _, old := range rec.Old {
			keep := rec.Live != nil && rec.Live.UpdateReplacePolicy == "Retain"
			if reverting {
				keep = r.keepsCreated(old)
			}
			all = append(all, doomed{rec.LogicalID, old, false, keep})
		}
		if !want[rec.LogicalID] && rec.Live != nil {
			keep := retained(*rec.Live)
			if reverting {
				keep = r.keepsCreated(*rec.Live)
			}
			all = append(all, doomed{rec.LogicalID, *rec.Live, true, keep})
		}
	}
	failed := r.remove(ctx, all)
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	if len(failed) > 0 {
		if err := r.keep(func(_ *state.Tx, st *stack) error {
			st.Operation.Problem = "One or more resources could not be deleted."
			if !reverting {
				st.Operation.Problem = "Update successful. " + st.Operation.Problem
			}
			return nil
		}); err != nil {
			return err
		}
		return r.letAllGo(failed) // and clean again what needed them
	}
	return r.rest(status)
}

// letAllGo takes physical resources off the record that could not be deleted.
func (r *run) letAllGo(failed []doomed) error {
	for _, d := range failed {
		if err := r.write(d.logicalID, func(tx *state.Tx, rec *record) error { return r.letGo(tx, rec, d) }); err != nil {
			return err
		}
	}
	return nil
}

// retained reports whether a resource outlives its place in the template.
func retained(d deployed) bool {
	return d.DeletionPolicy == "Retain" || d.DeletionPolicy == "RetainExceptOnCreate"
}

// keepsCreated reports whether a resource outlives the rollback of what created it.
func (r *run) keepsCreated(d deployed) bool {
	return d.DeletionPolicy == "Retain" && !r.st.Operation.RetainExceptOnCreate
}

// removeAll deletes the stack's resources, because the stack is deleted or its creation
// failed.
func (r *run) removeAll(ctx context.Context) error {
	operation := r.st.Operation
	var refused *refusedExport
	switch err := r.endExports(); {
	case errors.As(err, &refused):
		return r.turn(func(*state.Tx, *stack) (types.StackStatus, string, error) {
			return cmp.Or(operation.From, types.StackStatusDeleteFailed), "Delete canceled. " + err.Error(), nil
		})
	case err != nil:
		return err
	}
	creating := operation.Stage == stageUndo || operation.Kind == types.OperationTypeCreateStack
	var all []doomed
	for _, rec := range sortedRecords(r.records) {
		for _, old := range rec.Old {
			all = append(all, doomed{rec.LogicalID, old, false, creating && r.keepsCreated(old)})
		}
		if rec.Live != nil {
			keep := retained(*rec.Live)
			if creating {
				keep = r.keepsCreated(*rec.Live)
			}
			all = append(all, doomed{rec.LogicalID, *rec.Live, true, keep || slices.Contains(operation.Keep, rec.LogicalID)})
		} else if rec.Gone == "" && rec.Status != types.ResourceStatusDeleteComplete {
			if err := r.write(rec.LogicalID, r.tellOf(types.ResourceStatusDeleteComplete, "", func(rec *record) { rec.Token = "" })); err != nil {
				return err // nothing of it was made
			}
		}
	}
	failed := r.remove(ctx, all)
	switch {
	case r.s.ctx.Err() != nil:
		return errEnded
	case ctx.Err() != nil:
		return nil // what was cancelled is the creation, which had just ended: once more
	}
	if len(failed) > 0 && operation.Force {
		return r.letAllGo(failed) // and delete again what needed them
	}
	if len(failed) > 0 {
		var names []string
		for _, d := range failed {
			if !slices.Contains(names, d.logicalID) {
				names = append(names, d.logicalID)
			}
		}
		status := types.StackStatusDeleteFailed
		if operation.Stage == stageUndo {
			status = types.StackStatusRollbackFailed
		}
		return r.turn(func(*state.Tx, *stack) (types.StackStatus, string, error) {
			return status, fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", joined(names)), nil
		})
	}
	if operation.Stage == stageUndo {
		return r.turn(func(_ *state.Tx, st *stack) (types.StackStatus, string, error) {
			return types.StackStatusRollbackComplete, "", nil
		})
	}
	return r.turn(func(tx *state.Tx, st *stack) (types.StackStatus, string, error) {
		st.Deleted = r.s.clock.now()
		if err := r.s.forgetChangeSets(tx, st.ID); err != nil {
			return "", "", err
		}
		return types.StackStatusDeleteComplete, "", r.s.names.Delete(tx, st.Name)
	})
}

// endExports has a stack that is deleted export nothing any more, unless another stack
// imports what it exports. A creation that failed has exported nothing.
func (r *run) endExports() error {
	if r.st.Operation.Stage != stageDelete {
		return nil
	}
	return r.keep(func(tx *state.Tx, st *stack) error {
		st.Operation.Published = true
		return r.s.checkExports(tx, st.ID, nil)
	})
}

// remove deletes physical resources, those that others need after the others. It
// returns the ones that could not be deleted; those that these need are left as well.
func (r *run) remove(ctx context.Context, all []doomed) (failed []doomed) {
	needs, byKey := map[string][]string{}, map[string]doomed{}
	for _, d := range all {
		var needed []string
		for _, other := range all {
			if slices.Contains(d.physical.References, other.logicalID) {
				needed = append(needed, doomedKey(other))
			}
		}
		needs[doomedKey(d)], byKey[doomedKey(d)] = needed, d
	}
	for key, err := range walk(ctx, reversed(needs), false, func(ctx context.Context, key string) error { return r.removeOne(ctx, byKey[key]) }) {
		if !errors.Is(err, errSkipped) {
			failed = append(failed, byKey[key])
		}
	}
	slices.SortFunc(failed, func(a, b doomed) int { return compareText(doomedKey(a), doomedKey(b)) })
	return failed
}

// removeOne deletes one physical resource. Deleting is the same the second time, so
// that nothing is on record of how far it came.
func (r *run) removeOne(ctx context.Context, d doomed) error {
	if d.keep {
		return r.write(d.logicalID, func(tx *state.Tx, rec *record) error {
			if err := r.tellDoomed(tx, rec, d, types.ResourceStatusDeleteSkipped, ""); err != nil {
				return err
			}
			return r.letGo(tx, rec, d)
		})
	}
	tell := func(status types.ResourceStatus, reason string) error {
		return r.write(d.logicalID, func(tx *state.Tx, rec *record) error { return r.tellDoomed(tx, rec, d, status, reason) })
	}
	if rec := r.record(d.logicalID); !r.resumed || rec.Status != types.ResourceStatusDeleteInProgress {
		if err := tell(types.ResourceStatusDeleteInProgress, ""); err != nil {
			return err
		}
	}
	if err := r.callDelete(ctx, d.logicalID, d.physical); err != nil {
		if r.s.ctx.Err() != nil {
			return errEnded
		}
		if told := tell(types.ResourceStatusDeleteFailed, err.Error()); told != nil {
			return told
		}
		return err
	}
	return r.write(d.logicalID, func(tx *state.Tx, rec *record) error {
		if err := r.tellDoomed(tx, rec, d, types.ResourceStatusDeleteComplete, ""); err != nil {
			return err
		}
		return r.letGo(tx, rec, d)
	})
}

// tellDoomed tells what happens to a physical resource. It is its record's status only
// where nothing has replaced it.
func (r *run) tellDoomed(tx *state.Tx, rec *record, d doomed, status types.ResourceStatus, reason string) error {
	if d.live {
		return r.s.tellResource(tx, &r.st, rec, status, reason)
	}
	return r.s.tellPhysical(tx, &r.st, r.s.clock.now(), d.logicalID, d.physical.Type, d.physical.PhysicalID, status, reason, &d.physical)
}

// letGo takes a physical resource off the record.
func (r *run) letGo(tx *state.Tx, rec *record, d doomed) error {
	if d.live {
		rec.Live, rec.Gone, rec.Token = nil, d.physical.PhysicalID, ""
	} else {
		rec.Old = slices.DeleteFunc(rec.Old, func(old deployed) bool { return old.PhysicalID == d.physical.PhysicalID })
	}
	return r.s.putRecord(tx, r.st.ID, *rec)
}
