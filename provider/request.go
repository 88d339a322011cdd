package provider

import (
	"bytes"
	"encoding/json"
	"maps"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// request is what CloudFormation asks of a custom resource ("Custom resource request
// types", AWS CloudFormation User Guide). The properties before an update say only
// whether it is about other resources: of those, what there is in AWS says more.
type request struct {
	RequestType           string
	RequestID             string `json:"RequestId"`
	ResponseURL           string
	ResourceType          string
	LogicalResourceID     string `json:"LogicalResourceId"`
	StackID               string `json:"StackId"`
	PhysicalResourceID    string `json:"PhysicalResourceId"`
	ResourceProperties    map[string]json.RawMessage
	OldResourceProperties map[string]json.RawMessage // of an update
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

// aboutOthers reports whether a request may be about resources that the provider had
// nothing to do with before, so that its permissions for them are new: any creation's,
// and those of an update that changes more than a nonce.
func (r request) aboutOthers() bool {
	switch r.RequestType {
	case create:
		return true
	case update:
		was, is := maps.Clone(r.OldResourceProperties), maps.Clone(r.ResourceProperties)
		delete(was, customresource.PropertyNonce)
		delete(is, customresource.PropertyNonce)
		return !maps.EqualFunc(was, is, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
	}
	return false
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
