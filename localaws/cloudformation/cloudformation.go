// Package cloudformation is the local endpoint's CloudFormation: stacks, change sets
// whose parameters are frozen when they are made, and an engine that creates,
// updates, replaces, rolls back and deletes what a template has, with the statuses
// and the events of the real one.
//
// The engine changes resources through the local endpoint's own APIs (package
// resource). What it knows of a stack is written before each call and after it, so
// that a new process goes on where the last one ended, in the middle of an operation
// too.
package cloudformation

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Events takes what happens to stacks, as EventBridge gets it.
type Events interface {
	// Put takes an event of source aws.cloudformation. The detail is its JSON object.
	Put(ctx context.Context, detailType string, detail map[string]any)
}

// RollbackValues says which answer of a custom resource other resources get in a
// rollback: AWS documents neither.
type RollbackValues string

// The values of RollbackValues.
const (
	Cached RollbackValues = ""      // the one from before the update: what is reported of AWS
	Fresh  RollbackValues = "fresh" // the one that the rollback's own call gave
)

// Conflicts says what becomes of a function's update that Lambda refuses because somebody
// else's is under way.
type Conflicts string

// The values of Conflicts.
const (
	// Retried is what AWS documents of a handler's error ResourceConflict: the call is made
	// again when the other update has ended.
	Retried Conflicts = ""
	// Failed is what was reported of AWS in 2018: the resource fails, in a rollback too.
	Failed Conflicts = "failed"
)

// Options is what the service works with.
type Options struct {
	Store    *state.Store
	Account  string
	Region   string
	Types    map[string]resource.Type // by name, as resource.Types gives them
	AWS      aws.Config               // reaches the endpoint's services; its HTTPClient is set
	Endpoint func() string            // where custom resources answer to
	Events   Events                   // nil for nobody

	RollbackValues RollbackValues
	Conflicts      Conflicts
	Step           Step             // nil for none
	Now            func() time.Time // nil for time.Now
}

// Step is called at every step of the engine, and may hold it up. An error makes the
// step fail with it: a call is not made, or its answer counts as a failure. A test
// forces interleavings and failures with it.
type Step func(ctx context.Context, at Point) error

// Point is where the engine is.
type Point struct {
	Stack     string // its name
	LogicalID string // the resource's; the stack's name for its own status
	Phase     Phase
}

// Phase is what the engine is about to do, or has just done.
type Phase string

// The phases of a resource. A step before a call comes when the call is on record
// and not made; one after it when it is answered and the answer is not on record.
const (
	BeforeCreate Phase = "before create"
	AfterCreate  Phase = "after create"
	BeforeUpdate Phase = "before update"
	AfterUpdate  Phase = "after update"
	BeforeDelete Phase = "before delete"
	AfterDelete  Phase = "after delete"
)

// BeforeStatus is the phase of a stack before its next status is written. An error ends
// the operation in a status of failure.
const BeforeStatus Phase = "before status"

// Service is the local CloudFormation.
type Service struct {
	o       Options
	answers *answers
	clock   clock
	tables

	ctx   context.Context // ends with the service
	end   context.CancelFunc
	tasks sync.WaitGroup // operations under way

	cancels   sync.Map   // by the stack's ARN: a context.CancelFunc for what was done to it last
	admitting sync.Mutex // held while an operation begins, and while the service ends
	pruned    time.Time  // when the service last looked for what is kept too long; under admitting
}

// New returns the service over what the store holds. Operations that were under way
// when the last process ended go on when [Service.Resume] is called.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, end := context.WithCancel(context.Background())
	return &Service{o: o, answers: newAnswers(o.Endpoint), clock: clock{time: o.Now}, tables: newTables(), ctx: ctx, end: end}
}

// Resume takes up the operations that were under way when the last process ended, and
// deletes what has been kept for long enough. It is called when the endpoint's services
// can be reached.
func (s *Service) Resume() error {
	s.admitting.Lock()
	err := s.pruneIfDue()
	s.admitting.Unlock()
	if err != nil {
		return fmt.Errorf("take up the stacks of %s: %w", s.o.Store.Dir(), err)
	}
	var unfinished []stack
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, st := range s.stacks.All(tx, "", &err) {
			if st.Operation != nil {
				unfinished = append(unfinished, st)
			}
		}
		if err != nil {
			return err
		}
		for _, e := range s.events.All(tx, "", &err) {
			s.clock.past(e.At)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("take up the stacks of %s: %w", s.o.Store.Dir(), err)
	}
	for _, st := range unfinished {
		s.tasks.Go(func() { s.operate(st.ID, st.Operation.ID, true) })
	}
	return nil
}

// Close ends operations under way where they are, and returns when nothing of the
// service runs any more.
func (s *Service) Close() {
	s.admitting.Lock() // whatever is admitted is waited for
	s.end()
	s.admitting.Unlock()
	s.tasks.Wait()
}

// Answers is where custom resources send their answers, below [resource.AnswerPath].
func (s *Service) Answers() http.Handler { return s.answers }

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.Query{
		Service:   "cloudformation",
		Namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
		Operations: map[string]wire.Handler{
			"ContinueUpdateRollback":            wire.HandleQuery(wire.Checked(s.ContinueUpdateRollback, "StackName")),
			"CreateChangeSet":                   wire.HandleQuery(wire.Checked(s.CreateChangeSet, "StackName", "ChangeSetName", "Tags.Key", "Tags.Value")),
			"CreateStack":                       wire.HandleQuery(wire.Checked(s.CreateStack, "StackName", "Tags.Key", "Tags.Value")),
			"DeleteChangeSet":                   wire.HandleQuery(wire.Checked(s.DeleteChangeSet, "ChangeSetName")),
			"DeleteStack":                       wire.HandleQuery(wire.Checked(s.DeleteStack, "StackName")),
			"DescribeChangeSet":                 wire.HandleQuery(wire.Checked(s.DescribeChangeSet, "ChangeSetName")),
			"DescribeEvents":                    wire.HandleQuery(wire.Checked(s.DescribeEvents)),
			"DescribeStackDriftDetectionStatus": wire.HandleQuery(wire.Checked(s.DescribeStackDriftDetectionStatus, "StackDriftDetectionId")),
			"DescribeStackEvents":               wire.HandleQuery(wire.Checked(s.DescribeStackEvents, "StackName")),
			"DescribeStackResource":             wire.HandleQuery(wire.Checked(s.DescribeStackResource, "StackName", "LogicalResourceId")),
			"DescribeStackResourceDrifts":       wire.HandleQuery(wire.Checked(s.DescribeStackResourceDrifts, "StackName")),
			"DescribeStackResources":            wire.HandleQuery(wire.Checked(s.DescribeStackResources)),
			"DescribeStacks":                    wire.HandleQuery(wire.Checked(s.DescribeStacks)),
			"DetectStackDrift":                  wire.HandleQuery(wire.Checked(s.DetectStackDrift, "StackName")),
			"DetectStackResourceDrift":          wire.HandleQuery(wire.Checked(s.DetectStackResourceDrift, "StackName", "LogicalResourceId")),
			"ExecuteChangeSet":                  wire.HandleQuery(wire.Checked(s.ExecuteChangeSet, "ChangeSetName")),
			"GetTemplate":                       wire.HandleQuery(wire.Checked(s.GetTemplate)),
			"GetTemplateSummary":                wire.HandleQuery(wire.Checked(s.GetTemplateSummary)),
			"ListChangeSets":                    wire.HandleQuery(wire.Checked(s.ListChangeSets, "StackName")),
			"ListExports":                       wire.HandleQuery(wire.Checked(s.ListExports)),
			"ListImports":                       wire.HandleQuery(wire.Checked(s.ListImports, "ExportName")),
			"ListStackResources":                wire.HandleQuery(wire.Checked(s.ListStackResources, "StackName")),
			"ListStacks":                        wire.HandleQuery(wire.Checked(s.ListStacks)),
			"RollbackStack":                     wire.HandleQuery(wire.Checked(s.RollbackStack, "StackName")),
			"UpdateStack":                       wire.HandleQuery(wire.Checked(s.UpdateStack, "StackName", "Tags.Key", "Tags.Value")),
			"UpdateTerminationProtection":       wire.HandleQuery(wire.Checked(s.UpdateTerminationProtection, "StackName", "EnableTerminationProtection")),
			"ValidateTemplate":                  wire.HandleQuery(wire.Checked(s.ValidateTemplate)),
		},
	}
}

// clock gives every event a time of its own, in the milliseconds that answers have: the
// CDK CLI sorts events by their times.
type clock struct {
	time func() time.Time
	mu   sync.Mutex
	last time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.time().UTC().Truncate(time.Millisecond)
	if !now.After(c.last) {
		now = c.last.Add(time.Millisecond)
	}
	c.last = now
	return now
}

// past has the clock go on behind a time that was given out before.
func (c *clock) past(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.last) {
		c.last = t
	}
}

// invalid is the error that CloudFormation gives for most of what is wrong.
func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationError", format, args...)
}
