package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// How long Lambda keeps trying to hand an event over, unless the function's event
// invoke configuration says otherwise (Lambda developer guide, "Invoking a function
// asynchronously").
const (
	defaultRetries = 2
	longestAge     = 6 * time.Hour
)

// events holds the events that were accepted and are not done with, by their id.
var events = state.Table[event]{Name: "lambda.events"}

// event is an asynchronous invocation: durable from when it was accepted until the
// function, or the destination for what failed, has it.
type event struct {
	ID            string
	Function      string
	Qualifier     string
	Payload       []byte
	ClientContext string
	Accepted      time.Time
	Attempts      int // that failed
}

func (e event) reference() reference { return reference{e.Function, e.Qualifier} }

// Invoke hands a payload to the function of an ARN asynchronously: what the
// endpoint's other services do. When it returns, the event is not lost any more.
func (s *Service) Invoke(_ context.Context, arn string, payload []byte) error {
	ref, err := s.parseReference(arn, "")
	if err != nil {
		return err
	}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		_, err := s.find(tx, ref)
		return err
	}); err != nil {
		return err
	}
	payload, err = checkPayload(types.InvocationTypeEvent, payload)
	if err != nil {
		return err
	}
	return s.accept(event{ID: wire.NewID(), Function: ref.name, Qualifier: ref.qualifier, Payload: payload})
}

// accept stores an event and begins to deliver it.
func (s *Service) accept(e event) error {
	e.Accepted = time.Now().UTC()
	if err := s.keep(e); err != nil {
		return err
	}
	s.tasks.Go(func() { s.deliver(e) })
	return nil
}

func (s *Service) keep(e event) error {
	return s.o.Store.Update(func(tx *state.Tx) error { return events.Put(tx, e.ID, e) })
}

// accepted returns the events that the process before was not done with.
func (s *Service) accepted() (left []event, err error) {
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, e := range events.All(tx, "", &err) {
			left = append(left, e)
		}
		return err
	})
	return left, err
}

// deliver hands an event to the function, again where it fails, and what came of it
// to a destination where there is one. It leaves the event to the next process where
// the service ends meanwhile.
func (s *Service) deliver(e event) {
	for wait := s.o.RetryDelay; ; wait *= 2 {
		done, err := s.try(&e, wait)
		if s.ctx.Err() != nil {
			return
		}
		if err != nil {
			s.logs.write(e.Function, []byte("RequestId: "+e.ID+" "+err.Error()+"\n"))
		}
		if done {
			return
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// try runs the function once, and reports whether the event is done with: because it
// succeeded, because it will not be tried again, or because the function is gone.
func (s *Service) try(e *event, wait time.Duration) (done bool, err error) {
	f, err := s.routed(e.reference())
	if isNotFound(err) {
		return true, errors.Join(err, s.drop(e))
	}
	if err != nil {
		return false, err
	}
	out, err := s.runEvent(e, &f)
	if s.ctx.Err() != nil {
		return false, nil
	}
	config, configErr := s.eventConfig(e.reference())
	if configErr != nil {
		return false, errors.Join(err, configErr)
	}
	e.Attempts++
	switch condition := config.exhausted(e, wait); {
	case err == nil && !out.failed:
		return true, errors.Join(s.pass(e, &f, out, "Success", config.OnSuccess), s.drop(e))
	case condition != "":
		return true, errors.Join(err, s.pass(e, &f, out, condition, config.OnFailure), s.passDead(e, &f, out), s.drop(e))
	}
	return false, errors.Join(err, s.keep(*e))
}

func (s *Service) runEvent(e *event, f *function) (outcome, error) {
	if f.State != types.StateActive {
		return outcome{}, notIn(f.State)
	}
	return s.run(s.ctx, invocation{e.ID, f.key(), f.Current, e.Payload, e.ClientContext})
}

func isNotFound(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == "ResourceNotFoundException"
}

// drop forgets an event that is done with.
func (s *Service) drop(e *event) error {
	return s.o.Store.Update(func(tx *state.Tx) error { return events.Delete(tx, e.ID) })
}

// exhausted returns why an event that failed is not tried again after wait, in the
// words of a destination's record; "" where it is.
func (c eventConfig) exhausted(e *event, wait time.Duration) string {
	retries, age := defaultRetries, longestAge
	if c.Retries != nil {
		retries = int(*c.Retries)
	}
	if c.Age != nil {
		age = time.Duration(*c.Age) * time.Second
	}
	switch {
	case e.Attempts > retries:
		return "RetriesExhausted"
	case time.Since(e.Accepted)+wait > age:
		return "EventAgeExceeded"
	}
	return ""
}

// destinationRecord is what a destination gets (Lambda developer guide, "Capturing
// records of Lambda asynchronous invocations").
type destinationRecord struct {
	Version        string          `json:"version"`
	Timestamp      string          `json:"timestamp"`
	RequestContext requestContext  `json:"requestContext"`
	RequestPayload json.RawMessage `json:"requestPayload"`
	Response       responseContext `json:"responseContext"`
	Payload        json.RawMessage `json:"responsePayload,omitempty"`
}

type requestContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	Invocations int    `json:"approximateInvokeCount"`
}

type responseContext struct {
	Status   int    `json:"statusCode"`
	Executed string `json:"executedVersion"`
	Error    string `json:"functionError,omitempty"`
}

// pass hands a record of an event to a destination, if there is one.
func (s *Service) pass(e *event, f *function, out outcome, condition, destination string) error {
	if destination == "" {
		return nil
	}
	ref := e.reference()
	if ref.qualifier == "" {
		ref.qualifier = latest
	}
	record := destinationRecord{
		Version: "1.0", Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestContext: requestContext{e.ID, s.arn(ref), condition, e.Attempts}, RequestPayload: e.Payload,
		Response: responseContext{Status: 200, Executed: f.label()},
	}
	if out.failed {
		record.Response.Error = "Unhandled"
	}
	if json.Valid(out.payload) {
		record.Payload = out.payload
	}
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if strings.Contains(destination, ":lambda:") {
		err = s.Invoke(s.ctx, destination, body)
	} else {
		err = s.o.Queues.Send(s.ctx, destination, body, nil)
	}
	if err != nil {
		return fmt.Errorf("hand the record to %s: %w", destination, err)
	}
	return nil
}

// passDead hands the event itself to the function's dead-letter queue, if there is one.
func (s *Service) passDead(e *event, f *function, out outcome) error {
	queue := f.Current.DeadLetters
	if queue == "" {
		return nil
	}
	var fault struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(out.payload, &fault) // a function may answer anything; then there is no message
	attributes := map[string]string{"RequestID": e.ID, "ErrorCode": "200", "ErrorMessage": fault.Message}
	if err := s.o.Queues.Send(s.ctx, queue, e.Payload, attributes); err != nil {
		return fmt.Errorf("hand the event to %s: %w", queue, err)
	}
	return nil
}
