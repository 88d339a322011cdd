package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// revert makes the resources what they were when the stack was last at rest. What was
// made since stays until all are: others may depend on it.
func (r *run) revert(ctx context.Context) error {
	t, err := template.Parse([]byte(r.st.Stable.Template))
	if err != nil {
		return err
	}
	env := r.environment(t, r.st.Stable)
	needs := map[string][]string{}
	for id, rec := range r.records {
		if rec.Touched && rec.Before != nil {
			needs[id] = rec.Before.References
		} else if rec.Live != nil && r.s.o.RollbackValues == Fresh && !rec.Touched {
			needs[id] = rec.Live.References // one that it depends on may get other values
		}
	}
	unmade := walk(ctx, needs, false, func(ctx context.Context, id string) error { return r.revertOne(ctx, t, env, id) })
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	if problem := failures(r.all(), r.st.Operation.mark()); problem != "" {
		return r.turn(func(*state.Tx, *stack) (types.StackStatus, string, error) {
			return types.StackStatusUpdateRollbackFailed, problem, nil
		})
	}
	if len(unmade) > 0 {
		return errors.Join(slices.Collect(maps.Values(unmade))...) // and not on record
	}
	outputs := r.st.Stable.Outputs
	if r.s.o.RollbackValues == Fresh {
		if outputs, _, err = evaluateOutputs(t, env); err != nil {
			return err
		}
	}
	return r.turn(func(_ *state.Tx, st *stack) (types.StackStatus, string, error) {
		st.Deployed = *st.Stable
		st.Deployed.Outputs = outputs
		st.Operation.Stage = stageRevertClean
		return types.StackStatusUpdateRollbackCompleteCleanupInProgress, "", nil
	})
}

// revertOne makes one resource what it was.
func (r *run) revertOne(ctx context.Context, t *template.Template, env *environment, id string) error {
	rec := r.record(id)
	if rec.Done == r.st.Operation.mark() {
		return nil // before the last process ended
	}
	if !rec.Touched {
		rec.Before = rec.Live
	}
	target := *rec.Before
	if slices.Contains(r.st.Operation.Skip, id) {
		return r.write(id, r.tellOf(types.ResourceStatusUpdateComplete, "", func(rec *record) { r.restore(rec, target) }))
	}
	if r.s.o.RollbackValues == Fresh {
		if err := target.evaluate(t, env, id, r.dynamic(ctx)); err != nil {
			return r.revertFailed(id, err)
		}
	}
	if rec.Live == nil {
		return r.revertFailed(id, fmt.Errorf("%s is deleted already, and cannot be made what it was", target.PhysicalID))
	}
	previous := *rec.Live
	if previous.PhysicalID != rec.Before.PhysicalID && !isCustom(previous.Type) {
		// It is there still, as it was when it was replaced.
		previous = *rec.Before
		if i := slices.IndexFunc(rec.Old, func(old deployed) bool { return old.PhysicalID == previous.PhysicalID }); i >= 0 {
			previous = rec.Old[i]
		}
	}
	if rec.isAs(previous, target) {
		return r.revertQuietly(id, rec, target)
	}
	previous = rec.uncertain(previous, target)
	token, again, err := r.begin(id, target.Type, types.ResourceStatusUpdateInProgress, "")
	if err != nil {
		return err
	}
	if err := r.callUpdate(ctx, id, &target, previous, token, again); err != nil {
		return r.revertFailed(id, err)
	}
	return r.write(id, r.tellOf(types.ResourceStatusUpdateComplete, "", func(rec *record) { r.restore(rec, target) }))
}

// revertQuietly goes back where no call is needed: to a resource that was replaced and
// is there still, or to what is no property.
func (r *run) revertQuietly(id string, rec record, target deployed) error {
	if rec.Live.PhysicalID == target.PhysicalID && !rec.failed() {
		return r.write(id, func(tx *state.Tx, rec *record) error {
			r.restore(rec, target)
			return r.s.putRecord(tx, r.st.ID, *rec)
		})
	}
	return r.write(id, func(tx *state.Tx, rec *record) error {
		if err := r.s.tellResource(tx, &r.st, rec, types.ResourceStatusUpdateInProgress, ""); err != nil {
			return err
		}
		r.restore(rec, target)
		return r.s.tellResource(tx, &r.st, rec, types.ResourceStatusUpdateComplete, "")
	})
}

// restore puts a physical resource in the place of the one that is there. What else
// there is of the resource is deleted later.
func (r *run) restore(rec *record, target deployed) {
	others := slices.Clone(rec.Old)
	for _, other := range []*deployed{rec.Live, rec.Before} {
		if other != nil {
			others = append(others, *other)
		}
	}
	rec.Old = nil
	for _, other := range others {
		known := other.PhysicalID == target.PhysicalID || slices.ContainsFunc(rec.Old, func(d deployed) bool { return d.PhysicalID == other.PhysicalID })
		if !known {
			rec.Old = append(rec.Old, other)
		}
	}
	rec.Type, rec.Live, rec.Tried, rec.Token, rec.Done = target.Type, &target, nil, "", r.st.Operation.mark()
}

func (r *run) revertFailed(id string, cause error) error {
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	err := r.write(id, r.tellOf(types.ResourceStatusUpdateFailed, cause.Error(), func(rec *record) {
		rec.Token, rec.Done = "", r.st.Operation.mark()
	}))
	if err != nil {
		return err
	}
	return cause
}
