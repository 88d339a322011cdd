package customresource

import "encoding/json"

// ReconcileVersion is the version of [Reconcile] that this package knows.
const ReconcileVersion = "1"

// Reconcile is the input that EventBridge rules give the provider: which handoff to
// reconcile, and why now. It carries the contract whole, so that the provider keeps no
// state and needs no permission to read it.
type Reconcile struct {
	Version             string          `json:"tasukiReconcile"` // [ReconcileVersion]; tells this event from others
	Trigger             Trigger         `json:"trigger"`
	Contract            json.RawMessage `json:"contract"`
	EventSourceMappings []string        `json:"eventSourceMappings,omitempty"` // UUIDs; enabled once there is a release
}

// Trigger is what asks for a reconciliation.
type Trigger string

// The triggers. A schedule leaves event source mappings as they are: somebody on call
// may have disabled one. It leaves a stack alone that is being changed, too: the end of
// that is a trigger. A stack's event publishes the functions' versions again,
// because their configuration may have changed.
const (
	TriggerStack     Trigger = "stack"     // the stack has come to an end of an operation
	TriggerParameter Trigger = "parameter" // the tag parameter has changed
	TriggerSchedule  Trigger = "schedule"
)
