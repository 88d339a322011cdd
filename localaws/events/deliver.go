package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Event is an event on the bus.
type Event struct {
	Source     string // as in "aws.ssm"
	DetailType string // as in "Parameter Store Change"
	Detail     any    // an object when it is encoded as JSON
	Resources  []string
	Time       time.Time // the zero time for now
}

// envelope is an event as targets get it.
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// delivery is an event on its way to a target, durable until the target has it.
type delivery struct {
	ID      string
	Rule    string
	Target  string // ARN
	Dead    string // the ARN of the queue for what cannot be delivered; "" for none
	Payload []byte
}

// largestEntry bounds an entry of PutEvents, in bytes (Amazon EventBridge quotas).
const largestEntry = 256 << 10

// mostEntries is how many events a request puts at most.
const mostEntries = 10

func isJSON(text string) bool { return json.Valid([]byte(text)) }

// PutEvents puts events on the bus. Entries that are not valid fail by themselves.
func (s *Service) PutEvents(_ context.Context, in *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
	if len(in.Entries) == 0 || len(in.Entries) > mostEntries {
		return nil, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length from 1 to %d", mostEntries)
	}
	out := &eventbridge.PutEventsOutput{Entries: []types.PutEventsResultEntry{}}
	for _, entry := range in.Entries {
		code, message := s.checkEntry(entry)
		if code != "" {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, types.PutEventsResultEntry{ErrorCode: &code, ErrorMessage: &message})
			continue
		}
		id, err := s.publish(Event{
			Source: *entry.Source, DetailType: *entry.DetailType, Detail: json.RawMessage(*entry.Detail), Resources: entry.Resources, Time: aws.ToTime(entry.Time),
		})
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: &id})
	}
	return out, nil
}

// checkEntry returns what is wrong with an entry; no code where nothing is.
func (s *Service) checkEntry(entry types.PutEventsRequestEntry) (code, message string) {
	var detail map[string]any
	switch {
	case aws.ToString(entry.Source) == "":
		return "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."
	case aws.ToString(entry.DetailType) == "":
		return "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."
	case entry.Detail == nil:
		return "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."
	case json.Unmarshal([]byte(*entry.Detail), &detail) != nil:
		return "MalformedDetail", "Detail is malformed."
	case strings.HasPrefix(*entry.Source, "aws."):
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	case len(*entry.Source)+len(*entry.DetailType)+len(*entry.Detail) > largestEntry:
		return "InvalidArgument", fmt.Sprintf("Total size of the entry is greater than %d bytes.", largestEntry)
	case s.checkBus(entry.EventBusName) != nil:
		return "InternalException", fmt.Sprintf("Event bus %s does not exist.", *entry.EventBusName)
	}
	return "", ""
}

// Emit puts an event of the endpoint's own services on the bus. When it returns, the
// event is not lost any more.
func (s *Service) Emit(_ context.Context, e Event) error {
	_, err := s.publish(e)
	return err
}

// Fire lets a rule with a schedule fire once, now.
func (s *Service) Fire(_ context.Context, name string) error {
	r, err := s.rule(nil, name)
	if err != nil {
		return err
	}
	if r.Schedule == nil {
		return fmt.Errorf("rule %s has no schedule", name)
	}
	_, content, _, err := s.enclose(Event{Source: "aws.events", DetailType: "Scheduled Event", Detail: struct{}{}, Resources: []string{s.arn(name)}})
	if err != nil || r.State == types.RuleStateDisabled {
		return err
	}
	return s.send([]rule{r}, content)
}

// enclose makes the envelope of an event.
func (s *Service) enclose(e Event) (id string, content []byte, tree map[string]any, err error) {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return "", nil, nil, err
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Resources == nil {
		e.Resources = []string{}
	}
	id = wire.NewID()
	content, err = json.Marshal(envelope{
		Version: "0", ID: id, DetailType: e.DetailType, Source: e.Source, Account: s.o.Account, Time: e.Time.UTC().Format(time.RFC3339),
		Region: s.o.Region, Resources: e.Resources, Detail: detail,
	})
	if err != nil {
		return "", nil, nil, err
	}
	return id, content, tree, json.Unmarshal(content, &tree)
}

// publish sends an event to the targets of every rule that it matches.
func (s *Service) publish(e Event) (id string, err error) {
	id, content, tree, err := s.enclose(e)
	if err != nil {
		return "", err
	}
	var matched []rule
	if err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, r := range s.rules.All(tx, "", &err) {
			if r.Pattern == nil || r.State == types.RuleStateDisabled {
				continue
			}
			pattern, err := ParsePattern(*r.Pattern)
			if err != nil {
				return err // it was checked when it was put
			}
			if pattern.Matches(tree) {
				matched = append(matched, r)
			}
		}
		return err
	}); err != nil {
		return "", err
	}
	return id, s.send(matched, content)
}

// send stores the deliveries of an event to the targets of rules, and begins them.
func (s *Service) send(rules []rule, content []byte) error {
	var deliveries []delivery
	for _, r := range rules {
		for _, t := range r.Targets {
			d := delivery{ID: wire.NewID(), Rule: r.Name, Target: *t.Arn, Payload: content}
			if t.Input != nil {
				d.Payload = []byte(*t.Input)
			}
			if t.DeadLetterConfig != nil {
				d.Dead = aws.ToString(t.DeadLetterConfig.Arn)
			}
			deliveries = append(deliveries, d)
		}
	}
	if len(deliveries) == 0 {
		return nil
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		for _, d := range deliveries {
			if err := s.deliveries.Put(tx, d.ID, d); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for _, d := range deliveries {
		s.begin(d)
	}
	return nil
}

// Resume begins the deliveries that were on their way when the last process ended.
func (s *Service) Resume() error {
	var left []delivery
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, d := range s.deliveries.All(tx, "", &err) {
			left = append(left, d)
		}
		return err
	})
	for _, d := range left {
		s.begin(d)
	}
	return err
}

// begin begins a delivery, or holds it back.
func (s *Service) begin(d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holding {
		s.held = append(s.held, d)
		return
	}
	disturbance := s.disturbance
	if s.ctx.Err() == nil {
		s.tasks.Go(func() { s.deliver(d, disturbance) })
	}
}

// deliver hands an event to its target or, where that cannot be, to the target's
// dead-letter queue. What fails within one process would fail again: AWS would try
// for a day. Where the service ends meanwhile, the event is left to the next process.
func (s *Service) deliver(d delivery, how Disturbance) {
	select {
	case <-s.ctx.Done():
		return
	case <-time.After(how.Late):
	}
	for range max(1, how.Copies) {
		err := s.o.Deliver(s.ctx, d.Target, d.Payload)
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			s.logf("rule %s: deliver to %s: %v", d.Rule, d.Target, err)
		}
		if err == nil || d.Dead == "" {
			continue
		}
		if err := s.o.Deliver(s.ctx, d.Dead, d.Payload); err != nil {
			s.logf("rule %s: deliver to %s: %v", d.Rule, d.Dead, err)
		}
	}
	if err := s.o.Store.Update(func(tx *state.Tx) error { return s.deliveries.Delete(tx, d.ID) }); err != nil {
		s.logf("rule %s: %v", d.Rule, err)
	}
}
