// Package resource is what the local endpoint's CloudFormation knows of each type of
// resource: its properties, which of them replace it, its attributes, and how it is
// created, updated and deleted through its service's own API.
//
// The handlers call AWS with the SDK's clients, so that what calls them decides which
// endpoint they reach, and the calls are subject to its log and its faults. They may
// be called again after a lost answer; see [Request].
package resource

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Type is a type of resource.
type Type struct {
	Name       string              // as in AWS::ECR::Repository
	Properties map[string]Property // all that are provided; nil where any may be given
	CreateOnly []string            // properties whose change replaces the resource
	Attributes []string            // of Fn::GetAtt; nil where the resource itself says which it has

	// Create creates the resource. With an error it may return a physical id: the
	// resource exists then, and has to be deleted.
	Create func(context.Context, Request) (Result, error)
	// Update changes the resource from its previous properties. Where the result has
	// another physical id, the new resource has taken the place of the old one, which
	// has to be deleted.
	Update func(context.Context, Request) (Result, error)
	// Delete deletes the resource. One that is gone is deleted.
	Delete func(context.Context, Request) error
	// Read returns the properties that the resource has now, as its service tells them;
	// nil where drift of the type is not detected. See [IsMissing] for its errors.
	Read func(context.Context, Request) (map[string]any, error)
	// Unread are the properties that Read does not tell: those that CloudFormation's
	// schema has as write-only, and what only says which resource it is.
	Unread []string
}

// Request is a call of a type's handler.
type Request struct {
	Type       string // as the template has it: custom resources have names of their own
	StackID    string
	StackName  string
	LogicalID  string
	PhysicalID string            // of the resource that is there; "" to create one
	Properties map[string]any    // evaluated
	Previous   map[string]any    // evaluated, as they were last deployed or tried; for Update
	Tags       map[string]string // of the stack, CloudFormation's own included
	LastTags   map[string]string // as they were last deployed or tried; for Update
	Token      string            // the same when a call is made again: names are made from it
	Again      bool              // whether a call with the token was made, and its answer not seen

	// Yields has a call fail that Lambda refuses because somebody else's update of the
	// function is under way. Without it, it is made again when that has ended.
	Yields bool

	AWS     aws.Config // reaches the services, with CloudFormation's own credentials
	Account string
	Region  string
	Answers Answers // for custom resources
}

// Result is what a handler made of a resource.
type Result struct {
	PhysicalID string
	Attributes map[string]any
	NoEcho     bool // the attributes are not to be shown
}

// AnswerPath is the path on the endpoint below which [Answers] are taken.
const AnswerPath = "/cloudformation-custom-resource-response/"

// Answers takes the answers of custom resources.
type Answers interface {
	// Expect returns a URL below [AnswerPath] that takes one answer by PUT, the channel
	// that gets its body, and what ends the expectation.
	Expect() (url string, answer <-chan []byte, forget func())
}

// Types returns the types of resource that are provided, by their names. Those of
// custom resources are [Custom]'s.
func Types() map[string]Type {
	types := map[string]Type{}
	for _, t := range []Type{
		bucket(), bucketPolicy(),
		cdkMetadata(),
		repository(),
		rule(),
		managedPolicy(), policy(), role(),
		alias(), eventInvokeConfig(), eventSourceMapping(), function(), functionURL(), permission(), version(),
		logGroup(),
		queue(), queuePolicy(),
		parameter(),
	} {
		types[t.Name] = t.explained()
	}
	return types
}

// poll calls done until it is, or fails, or the context ends: at once, and then after
// pauses that grow.
func poll(ctx context.Context, done func() (bool, error)) error {
	const longest = 500 * time.Millisecond
	for pause := 5 * time.Millisecond; ; pause = min(longest, pause*3/2) {
		if is, err := done(); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// cdkMetadata is what the CDK adds to every stack: properties, and nothing that exists.
func cdkMetadata() Type {
	keep := func(_ context.Context, r Request) (Result, error) {
		if r.PhysicalID != "" {
			return Result{PhysicalID: r.PhysicalID}, nil
		}
		return Result{PhysicalID: r.name(255, "")}, nil
	}
	return Type{
		Name:       "AWS::CDK::Metadata",
		Attributes: []string{},
		Create:     keep, Update: keep,
		Delete: func(context.Context, Request) error { return nil },
	}
}
