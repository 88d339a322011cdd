package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// operation is what is being done to a stack.
type operation struct {
	ID      string
	Kind    types.OperationType
	Stage   stage
	Started time.Time

	// Turned is what the operation has become without being asked to: a rollback, or the
	// deletion of a stack that was being created. Its events have an id of their own.
	Turned *task               `json:",omitempty"`
	Began  types.OperationType `json:",omitempty"` // what Kind was before it turned

	OnFailure            types.OnStackFailure `json:",omitempty"` // of a creation or an update; "" for ROLLBACK
	RetainExceptOnCreate bool                 `json:",omitempty"`
	Keep                 []string             `json:",omitempty"` // of a deletion: the resources to leave
	Deleting             bool                 `json:",omitempty"` // of a creation: the stack is to be deleted instead
	Force                bool                 `json:",omitempty"` // of a deletion: leave what cannot be deleted
	Skip                 []string             `json:",omitempty"` // of a rollback that goes on: the resources to leave as they are
	Problem              string               `json:",omitempty"` // what could not be deleted, for the last status
	Published            bool                 `json:",omitempty"` // others import what it has made: a deployment its outputs, a deletion nothing
	From                 types.StackStatus    `json:",omitempty"` // of a deletion: the status that the stack had
}

// stage is how far an operation is. Each begins with a status of the stack, which is
// written together with it.
type stage string

const (
	stageDeploy      stage = "deploy"       // make the resources what Deployed says
	stageClean       stage = "clean"        // delete what was replaced or left out
	stageRevert      stage = "revert"       // make the resources what they were when the stack was last at rest
	stageRevertClean stage = "revert clean" // delete what was made since
	stageUndo        stage = "undo"         // delete all that a creation made
	stageDelete      stage = "delete"       // delete all
)

// become notes that the operation is now told as another one.
func (o *operation) become(kind types.OperationType) {
	o.Began, o.Turned = o.Kind, &task{wire.NewID(), kind}
}

// mark is how a record says that its resource is through with a stage.
func (o *operation) mark() string { return o.ID + "/" + string(o.Stage) }

// atRest returns the revision that a stack had when it was last at rest. Of one that
// has never been it has no outputs.
func (st *stack) atRest() *revision {
	if st.Stable != nil {
		return st.Stable
	}
	return &st.Deployed
}

// outputs returns a stack's outputs: those of when it was last at rest, until a
// deployment has made its own.
func (st *stack) outputs() []output {
	if o := st.Operation; o != nil && o.Published && o.Stage != stageDelete {
		return st.Deployed.Outputs
	}
	return st.atRest().Outputs
}

// errEnded is what the engine stops with when the service ends. Nothing is written
// any more: a new process goes on from what is on record.
var errEnded = errors.New("the local endpoint is closing")

// run is one process's part of an operation.
type run struct {
	s       *Service
	st      stack
	resumed bool // what is on record as under way may have been done

	// writing is held from when a record is read until it is on record as changed: two
	// physical resources of one logical id may be deleted at the same time.
	writing sync.Mutex
	mu      sync.Mutex
	records map[string]record
}

// operate carries out an operation of a stack.
func (s *Service) operate(stackID, operationID string, resumed bool) {
	for {
		// It can be cancelled before the stack is read: what is asked for meanwhile is
		// either read or heard.
		ctx, cancel := context.WithCancel(s.ctx)
		s.cancels.Store(stackID, cancel)
		r, err := s.newRun(stackID, resumed)
		if err == nil && r.st.operationID() != operationID {
			cancel()
			return // it has ended, and another one may have begun
		}
		if err == nil {
			err = r.stage(ctx)
		}
		cancel()
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			// What cannot be written cannot be told either: the stack stays in progress.
			if r == nil || r.giveUp(err) != nil {
				return
			}
		}
	}
}

// newRun reads what is on record.
func (s *Service) newRun(stackID string, resumed bool) (*run, error) {
	r := &run{s: s, resumed: resumed}
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		if r.st, _, err = s.stacks.Get(tx, stackID); err != nil {
			return err
		}
		r.records, err = s.records(tx, stackID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *run) stage(ctx context.Context) error {
	switch r.st.Operation.Stage {
	case stageDeploy:
		return r.deploy(ctx)
	case stageClean:
		return r.clean(ctx, statusOf(r.st, types.StackStatusCreateComplete, types.StackStatusUpdateComplete))
	case stageRevert:
		return r.revert(ctx)
	case stageRevertClean:
		return r.clean(ctx, types.StackStatusUpdateRollbackComplete)
	case stageUndo, stageDelete:
		return r.removeAll(ctx)
	}
	return fmt.Errorf("the operation is at %q, which this version does not know", r.st.Operation.Stage)
}

// statusOf returns one status for a stack that is being created, and another for one
// that was there.
func statusOf(st stack, creating, updating types.StackStatus) types.StackStatus {
	if st.Operation.Kind == types.OperationTypeCreateStack {
		return creating
	}
	return updating
}

// turn changes a stack in the middle or at the end of its operation.
func (r *run) turn(change func(tx *state.Tx, st *stack) (status types.StackStatus, reason string, err error)) error {
	if err := r.step(r.s.ctx, r.st.Name, BeforeStatus); err != nil {
		return err
	}
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	var told stack
	err := r.s.o.Store.Update(func(tx *state.Tx) error {
		st, _, err := r.s.stacks.Get(tx, r.st.ID) // its protection may have changed since
		if err != nil {
			return err
		}
		if st.Operation.Deleting {
			st.Operation.Deleting, st.Operation.Published = false, false
			st.Operation.Kind, st.Operation.Stage = types.OperationTypeDeleteStack, stageDelete
			return r.s.stacks.Put(tx, st.ID, st) // its status was told when that was asked for
		}
		status, reason, err := change(tx, &st)
		if err != nil {
			return err
		}
		if err := r.s.tell(tx, &st, status, reason); err != nil {
			return err
		}
		if final(status) {
			st.Last, st.Operation = st.Operation, nil
		}
		told = st
		return r.s.stacks.Put(tx, st.ID, st)
	})
	if err == nil && told.ID != "" {
		r.s.publish(told)
	}
	return err
}

// final reports whether an operation ends with a status.
func final(status types.StackStatus) bool { return !strings.HasSuffix(string(status), "_IN_PROGRESS") }

// next goes on with another stage, by which the operation becomes one of another kind.
func (r *run) next(stage stage, kind types.OperationType, status types.StackStatus, reason string) error {
	return r.turn(func(_ *state.Tx, st *stack) (types.StackStatus, string, error) {
		st.Operation.Stage = stage
		st.Operation.become(kind)
		return status, reason, nil
	})
}

// rest ends the operation with the stack at rest: nothing is left to go back to.
func (r *run) rest(status types.StackStatus) error {
	return r.turn(func(tx *state.Tx, st *stack) (types.StackStatus, string, error) {
		for _, rec := range r.records {
			if rec.Live == nil {
				if err := r.s.resources.Delete(tx, partKey(st.ID, rec.LogicalID)); err != nil {
					return "", "", err
				}
				continue
			}
			rec.Touched, rec.Before, rec.Old, rec.Tried, rec.Token, rec.Done = false, nil, nil, nil, "", ""
			if err := r.s.putRecord(tx, st.ID, rec); err != nil {
				return "", "", err
			}
		}
		st.Stable = nil
		return status, st.Operation.Problem, nil
	})
}

// giveUp ends an operation that the engine itself could not carry out.
func (r *run) giveUp(cause error) error {
	status := map[stage]types.StackStatus{
		stageDeploy:      statusOf(r.st, types.StackStatusCreateFailed, types.StackStatusUpdateFailed),
		stageClean:       types.StackStatusUpdateFailed,
		stageRevert:      types.StackStatusUpdateRollbackFailed,
		stageRevertClean: types.StackStatusUpdateRollbackFailed,
		stageUndo:        types.StackStatusRollbackFailed,
	}[r.st.Operation.Stage]
	if status == "" {
		status = types.StackStatusDeleteFailed
	}
	return r.turn(func(*state.Tx, *stack) (types.StackStatus, string, error) { return status, cause.Error(), nil })
}

// record returns what is on record of a resource.
func (r *run) record(id string) record {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, found := r.records[id]
	if !found {
		rec = record{LogicalID: id}
	}
	return rec
}

// write changes what is on record of a resource, and tells it.
func (r *run) write(id string, change func(tx *state.Tx, rec *record) error) error {
	if r.s.ctx.Err() != nil {
		return errEnded
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	rec := r.record(id)
	rec.Old, rec.Tried = slices.Clone(rec.Old), slices.Clone(rec.Tried)
	if err := r.s.o.Store.Update(func(tx *state.Tx) error { return change(tx, &rec) }); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[id] = rec
	return nil
}

// tellOf is a change that is told with a status.
func (r *run) tellOf(status types.ResourceStatus, reason string, change func(rec *record)) func(tx *state.Tx, rec *record) error {
	return func(tx *state.Tx, rec *record) error {
		change(rec)
		return r.s.tellResource(tx, &r.st, rec, status, reason)
	}
}

// all returns the records as they are now.
func (r *run) all() map[string]record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.records)
}

// environment returns what a revision's functions are evaluated in, with the resources
// as they are now.
func (r *run) environment(t *template.Template, revision *revision) *environment {
	return &environment{s: r.s, st: &r.st, t: t, revision: revision, live: func(id string, _ bool) (*deployed, error) {
		if rec := r.record(id); rec.Live != nil {
			return rec.Live, nil
		}
		return nil, fmt.Errorf("Unresolved resource dependencies [%s] in the Resources block of the template", id) //lint:ignore ST1005 CloudFormation's own words
	}}
}

// dynamic returns what resolves dynamic references.
func (r *run) dynamic(ctx context.Context) func(reference string) (string, error) {
	return func(reference string) (string, error) { return r.s.resolveDynamic(ctx, reference) }
}

// failures says which resources a stage failed with.
func failures(records map[string]record, mark string) string {
	names := map[string][]string{}
	for _, rec := range sortedRecords(records) {
		if rec.Done == mark && rec.failed() {
			verb := strings.ToLower(strings.TrimSuffix(string(rec.Status), "_FAILED"))
			names[verb] = append(names[verb], rec.LogicalID)
		}
	}
	var sentences []string
	for _, verb := range sortedKeys(names) {
		sentences = append(sentences, fmt.Sprintf("The following resource(s) failed to %s: [%s].", verb, strings.Join(names[verb], ", ")))
	}
	return strings.Join(sentences, " ")
}
