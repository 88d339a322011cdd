package provider

import (
	"encoding/json"

	"github.com/tasuki-dev/tasuki"
)

// request is what CloudFormation asks of a custom resource ("Custom resource request
// types", AWS CloudFormation User Guide). The properties before an update are not
// looked at: what there is in AWS says more.
type request struct {
	RequestType        string
	RequestID          string `json:"RequestId"`
	ResponseURL        string
	ResourceType       string
	LogicalResourceID  string `json:"LogicalResourceId"`
	StackID            string `json:"StackId"`
	PhysicalResourceID string `json:"PhysicalResourceId"`
	ResourceProperties map[string]json.RawMessage
}

// The types of requests.
const (
	create = "Create"
	update = "Update"
	remove = "Delete"
)

// result is what became of a request.
type result struct {
	physicalID string // another one than before makes CloudFormation delete the old
	attributes map[string]string
	warnings   []string
}

// failedID returns the physical id of a resource whose request failed. That of a
// creation is no resource's, so that the deletion that follows finds nothing to delete.
func (r request) failedID() string {
	if r.PhysicalResourceID != "" {
		return r.PhysicalResourceID
	}
	return "tasuki-not-created/" + r.RequestID
}

// explain returns what a person reads of err in CloudFormation's console.
func explain(err error) string {
	if hint := tasuki.HintOf(err); hint != "" {
		return err.Error() + ". " + hint
	}
	return err.Error()
}
