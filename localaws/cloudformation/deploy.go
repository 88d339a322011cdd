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
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// deploy makes the resources what the revision says.
func (r *run) deploy(ctx context.Context) error {
	t, err := template.Parse([]byte(r.st.Deployed.Template))
	if err != nil {
		return err
	}
	env := r.environment(t, &r.st.Deployed)
	want, err := wanted(t, env)
	if err != nil {
		return r.deployFailed(err.Error())
	}
	failedBefore := r.st.Operation.Deleting || failures(r.records, r.st.Operation.mark()) != ""
	needs := map[string][]string{}
	for id := range want {
		switch {
		case !failedBefore:
			needs[id] = t.References(id)
		case r.records[id].Token != "":
			// The last process was in the middle of it: what was made must be known.
			needs[id] = nil
		}
	}
	unmade := walk(ctx, needs, !failedBefore, func(ctx context.Context, id string) error { return r.deployOne(ctx, t, env, id) })
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	problem := failures(r.all(), r.st.Operation.mark())
	switch {
	case problem != "" || failedBefore || ctx.Err() != nil:
		return r.deployFailed(problem)
	case len(unmade) > 0:
		return errors.Join(slices.Collect(maps.Values(unmade))...) // and not on record
	}
	outputs, _, err := evaluateOutputs(t, env)
	if err != nil {
		return r.deployFailed(err.Error())
	}
	var refused *refusedExport
	switch err := r.putOutputs(outputs); {
	case errors.As(err, &refused):
		return r.deployFailed(err.Error())
	case err != nil:
		return err
	}
	if r.st.Operation.Kind == types.OperationTypeCreateStack {
		return r.rest(types.StackStatusCreateComplete)
	}
	return r.turn(func(_ *state.Tx, st *stack) (types.StackStatus, string, error) {
		st.Operation.Stage = stageClean
		return types.StackStatusUpdateCompleteCleanupInProgress, "", nil
	})
}

// putOutputs writes a deployment's outputs. From now on the stack exports these, so that
// what it may export is looked at in the same transaction.
func (r *run) putOutputs(outputs []output) error {
	return r.keep(func(tx *state.Tx, st *stack) error {
		if err := r.s.checkExports(tx, st.ID, outputs); err != nil {
			return err
		}
		st.Deployed.Outputs, st.Operation.Published = outputs, true
		return nil
	})
}

// keep changes a stack without telling.
func (r *run) keep(change func(tx *state.Tx, st *stack) error) error {
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	return r.s.o.Store.Update(func(tx *state.Tx) error {
		st, _, err := r.s.stacks.Get(tx, r.st.ID)
		if err != nil {
			return err
		}
		if err := change(tx, &st); err != nil {
			return err
		}
		return r.s.stacks.Put(tx, st.ID, st)
	})
}

// deployFailed goes on as the operation was told to when it fails.
func (r *run) deployFailed(problem string) error {
	st := r.st
	switch {
	case st.Operation.OnFailure == types.OnStackFailureDoNothing:
		return r.turn(func(*state.Tx, *stack) (types.StackStatus, string, error) {
			return statusOf(st, types.StackStatusCreateFailed, types.StackStatusUpdateFailed), problem, nil
		})
	case st.Operation.OnFailure == types.OnStackFailureDelete:
		return r.next(stageDelete, types.OperationTypeDeleteStack, types.StackStatusDeleteInProgress, problem+" Delete requested by user.")
	case st.Stable == nil:
		return r.next(stageUndo, types.OperationTypeRollback, types.StackStatusRollbackInProgress, problem+" Rollback requested by user.")
	}
	return r.next(stageRevert, types.OperationTypeRollback, types.StackStatusUpdateRollbackInProgress, problem)
}

// deployOne makes one resource what the revision says.
func (r *run) deployOne(ctx context.Context, t *template.Template, env *environment, id string) error {
	mark := r.st.Operation.mark()
	rec := r.record(id)
	if rec.Done == mark {
		return nil // before the last process ended
	}
	written := t.Resources[id]
	target := deployed{
		Type: written.Type, References: t.References(id), Metadata: written.Metadata,
		DeletionPolicy: written.DeletionPolicy, UpdateReplacePolicy: written.UpdateReplacePolicy,
	}
	kind := r.s.typeFor(target.Type)
	if takesTags(kind) {
		target.Tags = tagMap(r.st.Deployed.Tags)
	}
	if err := target.evaluate(t, env, id, r.dynamic(ctx)); err != nil {
		return r.failed(ctx, id, target, err)
	}
	switch {
	case rec.Live == nil || rec.Status == types.ResourceStatusCreateFailed:
		// What is left of a creation that failed is not to be relied on, and may have the name.
		if err := r.removeRemains(ctx, id); err != nil {
			return r.failed(ctx, id, target, err)
		}
		return r.create(ctx, id, target)
	case rec.isAs(*rec.Live, target) && rec.Status != types.ResourceStatusUpdateFailed && rec.Token == "":
		return r.unchanged(id, target)
	}
	if changed := replacing(kind, rec.Live.Properties, target.Properties); len(changed) > 0 {
		if name, keeps := keepsName(kind, *rec.Live, target.Properties, changed); keeps {
			return r.failed(ctx, id, target, fmt.Errorf("CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again.", name)) //lint:ignore ST1005 CloudFormation's own words
		}
		return r.replace(ctx, id, target, "Requested update requires the creation of a new physical resource; hence creating one.")
	}
	return r.update(ctx, id, target)
}

// removeRemains deletes what is left of a resource whose creation failed. That it is
// not what is there any more is on record first: the next process goes on here.
func (r *run) removeRemains(ctx context.Context, id string) error {
	if r.record(id).Live != nil {
		if err := r.write(id, func(tx *state.Tx, rec *record) error {
			touch(rec)
			rec.Old, rec.Live = append(rec.Old, *rec.Live), nil
			return r.s.putRecord(tx, r.st.ID, *rec)
		}); err != nil {
			return err
		}
	}
	for _, remains := range r.record(id).Old {
		if err := r.removeOne(ctx, doomed{id, remains, false, r.keepsCreated(remains)}); err != nil {
			return err
		}
	}
	return nil
}

// touch notes what was there when the stack was last at rest.
func touch(rec *record) {
	if !rec.Touched {
		rec.Touched, rec.Before = true, rec.Live
	}
}

// unchanged takes over what is no property. Nothing is told: CloudFormation has no
// event for it.
func (r *run) unchanged(id string, target deployed) error {
	live := *r.record(id).Live
	target.PhysicalID, target.Properties, target.Given = live.PhysicalID, live.Properties, live.Given
	target.Attributes, target.NoEcho = live.Attributes, live.NoEcho
	if slices.Equal(live.References, target.References) && same(live.Metadata, target.Metadata) &&
		live.DeletionPolicy == target.DeletionPolicy && live.UpdateReplacePolicy == target.UpdateReplacePolicy {
		return nil
	}
	return r.write(id, func(tx *state.Tx, rec *record) error {
		touch(rec)
		rec.Live, rec.Done = &target, r.st.Operation.mark()
		return r.s.putRecord(tx, r.st.ID, *rec)
	})
}

// begin puts a call on record that is about to be made, and returns its token. A call
// that the last process was in the middle of keeps its own.
func (r *run) begin(id string, typeName string, status types.ResourceStatus, reason string) (token string, again bool, err error) {
	if rec := r.record(id); r.resumed && rec.Token != "" && rec.Status == status {
		return rec.Token, true, nil
	}
	token = wire.NewID()
	return token, false, r.write(id, r.tellOf(status, reason, func(rec *record) {
		touch(rec)
		rec.Type, rec.Token = typeName, token
	}))
}

func (r *run) create(ctx context.Context, id string, target deployed) error {
	token, again, err := r.begin(id, target.Type, types.ResourceStatusCreateInProgress, "")
	if err != nil {
		return err
	}
	if again {
		ctx = r.s.ctx // what the last process made must be known, whatever else fails
	}
	if err := r.callCreate(ctx, id, &target, token, again); err != nil {
		return r.failed(ctx, id, target, err)
	}
	return r.write(id, func(tx *state.Tx, rec *record) error {
		rec.Live, rec.Token, rec.Done = &target, "", r.st.Operation.mark()
		if err := r.s.tellResource(tx, &r.st, rec, types.ResourceStatusCreateInProgress, "Resource creation Initiated"); err != nil {
			return err
		}
		return r.s.tellResource(tx, &r.st, rec, types.ResourceStatusCreateComplete, "")
	})
}

// replace creates a resource beside the one that is there, which stays until the stack
// is at rest.
func (r *run) replace(ctx context.Context, id string, target deployed, reason string) error {
	token, again, err := r.begin(id, target.Type, types.ResourceStatusUpdateInProgress, reason)
	if err != nil {
		return err
	}
	if again {
		ctx = r.s.ctx
	}
	if err := r.callCreate(ctx, id, &target, token, again); err != nil {
		return r.failed(ctx, id, target, err)
	}
	return r.write(id, func(tx *state.Tx, rec *record) error {
		rec.Old = append(rec.Old, *rec.Live)
		rec.Live, rec.Token, rec.Done = &target, "", r.st.Operation.mark()
		if err := r.s.tellResource(tx, &r.st, rec, types.ResourceStatusUpdateInProgress, "Resource creation Initiated"); err != nil {
			return err
		}
		return r.s.tellResource(tx, &r.st, rec, types.ResourceStatusUpdateComplete, "")
	})
}

func (r *run) update(ctx context.Context, id string, target deployed) error {
	token, again, err := r.begin(id, target.Type, types.ResourceStatusUpdateInProgress, "")
	if err != nil {
		return err
	}
	rec := r.record(id)
	previous := rec.uncertain(*rec.Live, target)
	if err := r.callUpdate(ctx, id, &target, previous, token, again); err != nil {
		return r.failed(ctx, id, target, err)
	}
	return r.write(id, r.tellOf(types.ResourceStatusUpdateComplete, "", func(rec *record) {
		if target.PhysicalID != previous.PhysicalID {
			rec.Old = append(rec.Old, *rec.Live) // a custom resource says so itself
		}
		// It may have gone back to one that it was before.
		rec.Old = slices.DeleteFunc(rec.Old, func(old deployed) bool { return old.PhysicalID == target.PhysicalID })
		rec.Tried = slices.DeleteFunc(rec.Tried, func(tried deployed) bool { return tried.PhysicalID == target.PhysicalID })
		rec.Live, rec.Token, rec.Done = &target, "", r.st.Operation.mark()
	}))
}

// isAs reports whether a physical resource is certain to be as the target has it.
func (r record) isAs(physical, target deployed) bool {
	isTried := slices.ContainsFunc(r.Tried, func(tried deployed) bool { return tried.PhysicalID == physical.PhysicalID })
	return !isTried && same(physical.Properties, target.Properties) && maps.Equal(physical.Tags, target.Tags)
}

// uncertain returns a physical resource so that a handler which looks for differences
// finds each property and each tag that is not certain to be as the target has it:
// updates that failed may have been carried out in part.
func (r record) uncertain(physical, target deployed) deployed {
	properties, tags := []values{physical.given()}, []map[string]string{physical.Tags}
	for _, tried := range r.Tried {
		if tried.PhysicalID == physical.PhysicalID {
			properties, tags = append(properties, tried.given()), append(tags, tried.Tags)
		}
	}
	if len(properties) == 1 {
		return physical
	}
	physical.Properties, physical.Given = differing(properties, target.given()), nil
	physical.Tags = differing(tags, target.Tags)
	return physical
}

// differing returns a member's value out of one of several, whichever is not as the target
// has it: that it is not there is also a value.
func differing[M ~map[string]V, V any](several []M, target M) M {
	found := M{}
	for _, from := range several {
		for name, value := range from {
			if _, known := found[name]; !known || same(found[name], target[name]) {
				found[name] = value
			}
		}
	}
	for name, value := range target {
		isLacking := slices.ContainsFunc(several, func(from M) bool { _, has := from[name]; return !has })
		if isLacking && same(found[name], value) {
			delete(found, name)
		}
	}
	return found
}

// failed puts a failure on record. What was made in spite of it is deleted later.
func (r *run) failed(ctx context.Context, id string, target deployed, cause error) error {
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	status, reason := types.ResourceStatusUpdateFailed, cause.Error()
	if r.record(id).Live == nil {
		status = types.ResourceStatusCreateFailed
	}
	if ctx.Err() != nil {
		reason = "Resource update cancelled"
		if status == types.ResourceStatusCreateFailed {
			reason = "Resource creation cancelled"
		}
	}
	err := r.write(id, r.tellOf(status, reason, func(rec *record) {
		touch(rec)
		switch {
		case target.PhysicalID == "": // nothing was made
		case rec.Live == nil:
			rec.Live = &target
		case target.PhysicalID == rec.Live.PhysicalID:
			rec.Tried = append(rec.Tried, target)
		default:
			rec.Old = append(rec.Old, target)
		}
		rec.Type, rec.Token, rec.Done = target.Type, "", r.st.Operation.mark()
	}))
	return errors.Join(cause, err)
}
