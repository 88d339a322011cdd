// Package authorization says which IAM actions a request needs, and on which resources,
// as AWS's service authorization reference has them
// (https://docs.aws.amazon.com/service-authorization/latest/reference/). It decides
// nothing: the call log shows what it says, and policies are held against it.
package authorization

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Need is an action that a request needs to be allowed, on one resource.
type Need struct {
	Action   string `json:"action"`   // as in "ssm:GetParameter"
	Resource string `json:"resource"` // an ARN; "*" for an action that is on no resource
	// Context has the values of the condition keys that are this action's own, as in
	// "iam:PassedToService".
	Context map[string][]string `json:"-"`
}

// Reference knows the resources of one account in one region. What a request names
// otherwise than by its ARN is looked up; "" is returned for what there is not.
type Reference struct {
	Account string
	Region  string

	Stack     func(name string) (arn string)             // a stack that was not deleted
	ChangeSet func(changeSet, stack string) (arn string) // the stack of a change set; stack may be ""
	Role      func(name string) (arn string)
}

// Needs returns what an operation that is provided needs: nil where everybody may call
// it. An operation that has no entry here needs the action of its name, on "*".
func (f Reference) Needs(r *wire.Request, service, operation string) []Need {
	action := service + ":" + operation
	switch service {
	case "ssm":
		return f.ssm(action, membersOf(r.Body))
	case "ecr":
		return f.ecr(action, membersOf(r.Body))
	case "lambda":
		return f.lambda(action, r)
	case "cloudformation":
		return f.cloudformation(action, formOf(r.Body))
	case "s3":
		return s3(operation, r)
	case "iam":
		return f.iam(action, formOf(r.Body))
	case "sts":
		return sts(action, formOf(r.Body))
	case "events":
		return f.events(action, membersOf(r.Body))
	case "sqs":
		return f.sqs(action, membersOf(r.Body))
	case "logs":
		return f.logs(action, membersOf(r.Body))
	}
	return on(action, anything)
}

// anything is the resource of actions that are on none.
const anything = "*"

// on returns the need of one action on each of the resources.
func on(action string, resources ...string) (needs []Need) {
	for _, resource := range resources {
		needs = append(needs, Need{Action: action, Resource: resource})
	}
	return needs
}

func (f Reference) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + f.Region + ":" + f.Account + ":" + resource
}

// passRole is what it takes to give a role to a service; nothing where none is given.
func passRole(role, to string) []Need {
	if role == "" {
		return nil
	}
	return []Need{{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {to}}}}
}

// members are the top of a request in JSON. What is malformed is for the service to
// refuse: here it is not there.
type members map[string]json.RawMessage

func membersOf(body []byte) (m members) {
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	return m
}

func (m members) text(name string) (text string) {
	if json.Unmarshal(m[name], &text) != nil {
		return ""
	}
	return text
}

func (m members) texts(name string) (texts []string) {
	if json.Unmarshal(m[name], &texts) != nil {
		return nil
	}
	return texts
}

// has reports whether a member is given, and is neither null nor empty.
func (m members) has(name string) bool {
	switch string(m[name]) {
	case "", "null", "[]", "{}", `""`:
		return false
	}
	return true
}

// formOf returns a request of awsQuery.
func formOf(body []byte) url.Values {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return form
}

// last returns what is behind the last separator.
func last(text, separator string) string { return text[strings.LastIndex(text, separator)+1:] }
