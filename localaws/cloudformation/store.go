package cloudformation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// tables is all that the service knows.
type tables struct {
	stacks     state.Table[stack]     // by ARN; deleted ones too
	names      state.Table[string]    // the ARNs of stacks that are not deleted, by name
	resources  state.Table[record]    // by partKey of the stack's ARN and the logical id
	events     state.Table[event]     // by partKey of the stack's ARN and the time
	changeSets state.Table[changeSet] // by partKey of the stack's ARN and the change set's
	detections state.Table[detection] // by partKey of the stack's ARN and the time
}

func newTables() tables {
	return tables{
		stacks:     state.Table[stack]{Name: "cloudformation.stacks"},
		names:      state.Table[string]{Name: "cloudformation.names"},
		resources:  state.Table[record]{Name: "cloudformation.resources"},
		events:     state.Table[event]{Name: "cloudformation.events"},
		changeSets: state.Table[changeSet]{Name: "cloudformation.changesets"},
		detections: state.Table[detection]{Name: "cloudformation.detections"},
	}
}

// partKey is the key of what belongs to a stack. No ARN is another one's prefix in it.
func partKey(stackID, part string) string { return stackID + "\x00" + part }

// stack is a stack.
type stack struct {
	ID       string
	Name     string
	Status   types.StackStatus
	Reason   string `json:",omitempty"`
	Created  time.Time
	Updated  time.Time `json:",omitzero"`
	Deleted  time.Time `json:",omitzero"`
	Deployed revision  // what is deployed, or being deployed
	// Stable is what the stack goes back to when an operation fails; nil where it had
	// nothing when it was last at rest.
	Stable                *revision           `json:",omitempty"`
	ChangeSetID           string              `json:",omitempty"`
	TerminationProtection bool                `json:",omitempty"`
	DisableRollback       bool                `json:",omitempty"` // as the last operation was told
	DeletionMode          string              `json:",omitempty"`
	LastToken             string              `json:",omitempty"` // of the last operation, from whoever asked for it
	LastAsked             types.OperationType `json:",omitempty"` // what was asked for with LastToken

	Drift        types.StackDriftStatus `json:",omitempty"` // as it was last detected
	DriftChecked time.Time              `json:",omitzero"`

	Operation *operation `json:",omitempty"` // under way; nil for none
	Last      *operation `json:",omitempty"` // the one before
}

// revision is what a stack is made of.
type revision struct {
	Template         string // as it was given
	Description      string `json:",omitempty"`
	Parameters       []parameter
	Tags             []types.Tag        `json:",omitempty"`
	Capabilities     []types.Capability `json:",omitempty"`
	RoleARN          string             `json:",omitempty"`
	NotificationARNs []string           `json:",omitempty"`
	Outputs          []output           `json:",omitempty"`
	Imports          []string           `json:",omitempty"` // the exports that it uses
}

// parameter is a parameter's value. Resolved is frozen when a change set is made.
type parameter struct {
	Key      string
	Value    string
	Resolved *string `json:",omitempty"` // of one that reads SSM
	Hidden   bool    `json:",omitempty"` // by NoEcho
}

// text returns the text that the template gets.
func (p parameter) text() string {
	if p.Resolved != nil {
		return *p.Resolved
	}
	return p.Value
}

type output struct {
	Key, Value  string
	Description string `json:",omitempty"`
	Export      string `json:",omitempty"`
}

// values are a resource's properties or attributes. Numbers keep the form that they
// were written in.
type values map[string]any

// UnmarshalJSON implements [json.Unmarshaler].
func (v *values) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(v))
}

// deployed is a physical resource.
type deployed struct {
	Type                string
	PhysicalID          string
	Properties          values            // evaluated, with dynamic references as they stand in the template
	Given               values            `json:",omitempty"` // what the last call got, where that differs: dynamic references resolved
	Shown               values            `json:",omitempty"` // Properties as they are shown, where that differs
	Attributes          values            `json:",omitempty"`
	NoEcho              bool              `json:",omitempty"` // the attributes are not to be shown
	Tags                map[string]string `json:",omitempty"` // of the stack, without CloudFormation's own
	DeletionPolicy      string            `json:",omitempty"`
	UpdateReplacePolicy string            `json:",omitempty"`
	References          []string
	Metadata            any `json:",omitempty"`
}

// given returns the properties that the last call got.
func (d *deployed) given() values {
	if d.Given != nil {
		return d.Given
	}
	return d.Properties
}

// shown returns the properties as they are shown.
func (d *deployed) shown() values {
	if d.Shown != nil {
		return d.Shown
	}
	return d.Properties
}

// record is a resource of a stack, by its logical id.
type record struct {
	LogicalID string
	Type      string
	Status    types.ResourceStatus
	Reason    string `json:",omitempty"`
	At        time.Time

	Live   *deployed  `json:",omitempty"` // what is there; nil for nothing
	Before *deployed  `json:",omitempty"` // where Touched: what was there when the stack was last at rest
	Old    []deployed `json:",omitempty"` // what Live has replaced and was not deleted yet

	Gone string `json:",omitempty"` // the physical id of what was deleted last

	Touched bool       `json:",omitempty"` // since the stack was last at rest
	Tried   []deployed `json:",omitempty"` // what updates that failed would have made of it
	Token   string     `json:",omitempty"` // of the call that is under way
	Drift   *drift     `json:",omitempty"` // as it was last detected; nil since the resource was changed
	Done    string     `json:",omitempty"` // the operation and the stage that the resource is through with: see operation.mark
}

// physicalID returns the id of what is there, or was, or "".
func (r record) physicalID() string {
	if r.Live == nil {
		return r.Gone
	}
	return r.Live.PhysicalID
}

// failed reports whether the last thing that was done to the resource failed.
func (r record) failed() bool {
	switch r.Status {
	case types.ResourceStatusCreateFailed, types.ResourceStatusUpdateFailed, types.ResourceStatusDeleteFailed:
		return true
	}
	return false
}

// event is an event of a stack.
type event struct {
	ID         string
	At         time.Time
	Operation  string              `json:",omitempty"`
	Kind       types.OperationType `json:",omitempty"` // of the operation
	LogicalID  string
	PhysicalID string `json:",omitempty"`
	Type       string
	Status     types.ResourceStatus
	Reason     string `json:",omitempty"`
	Properties string `json:",omitempty"` // JSON
	Token      string `json:",omitempty"` // of whoever asked for the operation
}

// stackType is the type of a stack's own events.
const stackType = "AWS::CloudFormation::Stack"

// stackOf returns the stack that a name or an ARN means. A deleted stack has its ARN
// only.
func (s *Service) stackOf(tx *state.Tx, nameOrID string) (stack, bool, error) {
	id, named, err := s.names.Get(tx, nameOrID)
	if err != nil {
		return stack{}, false, err
	}
	if !named {
		id = nameOrID
	}
	return s.stacks.Get(tx, id)
}

// mustStack is stackOf, with CloudFormation's error where there is none.
func (s *Service) mustStack(tx *state.Tx, nameOrID string) (stack, error) {
	if nameOrID == "" {
		return stack{}, invalid("1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
	}
	st, found, err := s.stackOf(tx, nameOrID)
	if err == nil && !found {
		err = invalid("Stack with id %s does not exist", nameOrID)
	}
	return st, err
}

// records returns a stack's resources.
func (s *Service) records(tx *state.Tx, stackID string) (found map[string]record, err error) {
	found = map[string]record{}
	for _, r := range s.resources.All(tx, partKey(stackID, ""), &err) {
		found[r.LogicalID] = r
	}
	return found, err
}

func (s *Service) putRecord(tx *state.Tx, stackID string, r record) error {
	return s.resources.Put(tx, partKey(stackID, r.LogicalID), r)
}

// eventKey sorts by time.
func eventKey(stackID string, at time.Time) string {
	return partKey(stackID, fmt.Sprintf("%019d", at.UnixMilli()))
}

// tell writes a stack's status and its event, as one of what is being done to it.
func (s *Service) tell(tx *state.Tx, st *stack, status types.StackStatus, reason string) error {
	return s.tellAs(tx, st, st.task(), status, reason)
}

// tellAs writes a stack's status and its event, as one of a task.
func (s *Service) tellAs(tx *state.Tx, st *stack, of task, status types.StackStatus, reason string) error {
	st.Status, st.Reason = status, reason
	at := s.clock.now()
	e := event{
		ID: wire.NewID(), At: at, Operation: of.ID, Kind: of.Kind, LogicalID: st.Name, PhysicalID: st.ID, Type: stackType,
		Status: types.ResourceStatus(status), Reason: reason, Token: st.LastToken,
	}
	if err := s.events.Put(tx, eventKey(st.ID, at), e); err != nil {
		return err
	}
	return s.stacks.Put(tx, st.ID, *st)
}

// publish hands a stack's status to whoever listens.
func (s *Service) publish(st stack) {
	if s.o.Events == nil {
		return
	}
	s.o.Events.Put(s.ctx, "CloudFormation Stack Status Change", map[string]any{
		"stack-id":             st.ID,
		"client-request-token": st.LastToken,
		"status-details":       map[string]any{"status": string(st.Status), "status-reason": st.Reason},
	})
}

// tellResource writes a resource's status and its event.
func (s *Service) tellResource(tx *state.Tx, st *stack, r *record, status types.ResourceStatus, reason string) error {
	r.Status, r.Reason, r.At, r.Drift = status, reason, s.clock.now(), nil
	physical := r.physicalID()
	if err := s.tellPhysical(tx, st, r.At, r.LogicalID, r.Type, physical, status, reason, r.Live); err != nil {
		return err
	}
	return s.putRecord(tx, st.ID, *r)
}

// tellPhysical writes an event of a resource, and not its status: that of one which
// has been replaced already.
func (s *Service) tellPhysical(tx *state.Tx, st *stack, at time.Time, logicalID, typeName, physicalID string, status types.ResourceStatus, reason string, d *deployed) error {
	of := st.task()
	e := event{
		ID:        fmt.Sprintf("%s-%s-%s", logicalID, status, at.Format("2006-01-02T15:04:05.000Z")),
		At:        at,
		Operation: of.ID, Kind: of.Kind, LogicalID: logicalID, PhysicalID: physicalID, Type: typeName, Status: status, Reason: reason, Token: st.LastToken,
	}
	if d != nil {
		b, err := json.Marshal(d.shown())
		if err != nil {
			return err
		}
		e.Properties = string(b)
	}
	return s.events.Put(tx, eventKey(st.ID, at), e)
}

// operationID returns the id of the operation under way, or "".
func (st *stack) operationID() string {
	if st.Operation != nil {
		return st.Operation.ID
	}
	return ""
}

// lastOperationID returns the id of the operation under way, or of the one before, or "".
func (st *stack) lastOperationID() string {
	if st.Operation == nil && st.Last != nil {
		return st.Last.ID
	}
	return st.operationID()
}

// task is an operation as CloudFormation tells of it: what one of ours turns into by
// itself, as a rollback, is another one.
type task struct {
	ID   string
	Kind types.OperationType
}

// tasks returns what an operation is told as, the last first.
func (o *operation) tasks() []task {
	found := []task{{o.ID, o.Kind}}
	if o.Turned != nil {
		found = []task{*o.Turned, {o.ID, o.Began}}
	}
	return found
}

// task returns what is being done to the stack.
func (st *stack) task() task {
	if st.Operation == nil {
		return task{}
	}
	return st.Operation.tasks()[0]
}

// sortedRecords returns records in the order of their logical ids.
func sortedRecords(records map[string]record) []record {
	return slices.SortedFunc(maps.Values(records), func(a, b record) int { return compareText(a.LogicalID, b.LogicalID) })
}

// eachStack calls do with every stack that is not deleted, in the order of their names.
func (s *Service) eachStack(tx *state.Tx, do func(stack)) (err error) {
	for _, id := range s.names.All(tx, "", &err) {
		st, _, err := s.stacks.Get(tx, id)
		if err != nil {
			return err
		}
		do(st)
	}
	return err
}
