// Package events is the local endpoint's Amazon EventBridge: rules on the default
// event bus, a matcher of event patterns, and delivery to functions and queues.
//
// Events arrive in no order and at least once, as on AWS; for tests they can be made
// late, doubled, or held back until they are released. Schedules are recorded, and
// fire when [Service.Fire] says so.
package events

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Options is what the service works with.
type Options struct {
	Store   *state.Store
	Account string
	Region  string
	Logs    io.Writer // gets a line for each event that could not be delivered; nil for nobody

	// Deliver hands an event to the function or the queue of an ARN, which has it
	// durably when Deliver returns.
	Deliver func(ctx context.Context, arn string, payload []byte) error
}

// Service is the local EventBridge.
type Service struct {
	o          Options
	rules      state.Table[rule]     // by name
	deliveries state.Table[delivery] // by id: what is on its way

	ctx   context.Context // ends with the service
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu          sync.Mutex
	disturbance Disturbance
	holding     bool
	held        []delivery
}

// New returns the service with its rules in the store. [Service.Resume] takes up what
// was on its way when the last process ended.
func New(o Options) *Service {
	if o.Logs == nil {
		o.Logs = io.Discard
	}
	ctx, end := context.WithCancel(context.Background())
	return &Service{
		o: o, rules: state.Table[rule]{Name: "events.rules"}, deliveries: state.Table[delivery]{Name: "events.deliveries"}, ctx: ctx, end: end,
	}
}

// Close ends deliveries, and returns when none is under way any more.
func (s *Service) Close() {
	s.mu.Lock()
	s.end() // no delivery begins after it
	s.mu.Unlock()
	s.tasks.Wait()
}

// Disturbance is how deliveries go wrong.
type Disturbance struct {
	Late   time.Duration // how long each takes
	Copies int           // how often each arrives; 0 means once
}

// Disturb makes the deliveries that begin from now on go wrong in a way; the zero
// Disturbance ends that.
func (s *Service) Disturb(d Disturbance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disturbance = d
}

// Hold holds back the deliveries that begin from now on.
func (s *Service) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = true
}

// Held returns how many deliveries are held back.
func (s *Service) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// Release begins the deliveries that were held back, and holds back none any more.
func (s *Service) Release() {
	s.mu.Lock()
	held := s.held
	s.holding, s.held = false, nil
	s.mu.Unlock()
	for _, d := range held {
		s.begin(d)
	}
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.JSON{
		Service: "events",
		Target:  "AWSEvents",
		Casing:  wire.Upper,
		Operations: map[string]wire.Handler{
			"DeleteRule":          wire.Silent(wire.Handle(wire.Checked(s.DeleteRule, "Name"))),
			"DescribeRule":        wire.Handle(wire.Checked(s.DescribeRule, "Name")),
			"DisableRule":         wire.Silent(wire.Handle(wire.Checked(s.DisableRule, "Name"))),
			"EnableRule":          wire.Silent(wire.Handle(wire.Checked(s.EnableRule, "Name"))),
			"ListRules":           wire.Handle(wire.Checked(s.ListRules)),
			"ListTagsForResource": wire.Handle(wire.Checked(s.ListTagsForResource, "ResourceARN")),
			"ListTargetsByRule":   wire.Handle(wire.Checked(s.ListTargetsByRule, "Rule")),
			"PutEvents":           wire.Handle(wire.Checked(s.PutEvents, "Entries")),
			"PutRule":             wire.Handle(wire.Checked(s.PutRule, "Name", "Tags.Key", "Tags.Value")),
			"PutTargets":          wire.Handle(wire.Checked(s.PutTargets, "Rule", "Targets", "Targets.Id", "Targets.Arn")),
			"RemoveTargets":       wire.Handle(wire.Checked(s.RemoveTargets, "Rule", "Ids")),
			"TagResource":         wire.Handle(wire.Checked(s.TagResource, "ResourceARN", "Tags", "Tags.Key", "Tags.Value")),
			"UntagResource":       wire.Handle(wire.Checked(s.UntagResource, "ResourceARN", "TagKeys")),
		},
	}
}

// bus is the event bus that every account has.
const bus = "default"

// checkBus refuses any other event bus.
func (s *Service) checkBus(name *string) error {
	if name == nil || *name == bus || *name == "arn:aws:events:"+s.o.Region+":"+s.o.Account+":event-bus/"+bus {
		return nil
	}
	return wire.Errorf("ResourceNotFoundException", "Event bus %s does not exist.", *name)
}

func (s *Service) logf(format string, args ...any) {
	fmt.Fprintf(s.o.Logs, "[events] "+format+"\n", args...)
}
