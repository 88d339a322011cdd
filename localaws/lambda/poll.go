package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Message is a message that was received from a queue.
type Message struct {
	ID                string
	Receipt           string
	Body              string
	MD5               string            // of the body, in hexadecimal
	Attributes        map[string]string // of the system's, as in "ApproximateReceiveCount"
	MessageAttributes json.RawMessage   // of the sender's, as events have them
}

// pollPause is how long a mapping waits after something that is not the function's
// fault: a queue or a function that is not there.
const pollPause = time.Second

// pollers are the mappings that are being followed, by their ids.
type pollers struct {
	mu   sync.Mutex
	stop map[string]context.CancelFunc
}

// pollAll follows every mapping that is enabled.
func (s *Service) pollAll() error {
	var ids []string
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for id := range mappings.All(tx, "", &err) {
			ids = append(ids, id)
		}
		return err
	})
	for _, id := range ids {
		err = errors.Join(err, s.follow(id))
	}
	return err
}

// follow begins to hand a queue's messages to the mapping's function, in the way the
// mapping says now, or ends it. An invocation under way is not ended. The mapping is
// read here, because of two changes at once the later one is to be followed.
func (s *Service) follow(id string) error {
	s.polling.mu.Lock()
	defer s.polling.mu.Unlock()
	var m mapping
	if err := s.o.Store.View(func(tx *state.Tx) (err error) {
		m, _, err = mappings.Get(tx, id)
		return err
	}); err != nil {
		return err
	}
	if stop := s.polling.stop[id]; stop != nil {
		stop()
		delete(s.polling.stop, id)
	}
	if !m.Enabled || s.ctx.Err() != nil { // one that is deleted is not enabled
		return nil
	}
	ctx, stop := context.WithCancel(s.ctx)
	if s.polling.stop == nil {
		s.polling.stop = map[string]context.CancelFunc{}
	}
	s.polling.stop[id] = stop
	s.tasks.Go(func() { s.poll(ctx, m) })
	return nil
}

// poll hands over one batch after the other until ctx ends.
func (s *Service) poll(ctx context.Context, m mapping) {
	for ctx.Err() == nil {
		err := s.pollOnce(ctx, m)
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.note(m, "PROBLEM: "+err.Error())
		waitToPoll(ctx)
	}
}

func waitToPoll(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(pollPause):
	}
}

// pollOnce hands one batch to the function. Messages that the function fails on stay
// in the queue, which shows them again after its visibility timeout, or moves them to
// its dead-letter queue.
func (s *Service) pollOnce(ctx context.Context, m mapping) error {
	switch f, err := s.ready(m); {
	case f.State == types.StatePending:
		waitToPoll(ctx) // it is no problem that anybody had to be told of
		return nil
	case err != nil:
		return err
	}
	batch, err := s.batch(ctx, m)
	if err != nil || len(batch) == 0 {
		return err
	}
	f, err := s.ready(m) // it may have changed while there were no messages
	if err != nil {
		return err
	}
	payload, err := json.Marshal(s.batchEvent(m, batch))
	if err != nil {
		return err
	}
	out, err := s.run(s.ctx, invocation{id: wire.NewID(), key: f.key(), version: f.Current, payload: payload})
	if err != nil {
		return err
	}
	done, result := batch, "OK"
	switch {
	case out.failed:
		done, result = nil, "PROBLEM: Function call failed"
	case m.ReportItems:
		done = succeeded(batch, out.payload)
	}
	s.note(m, result)
	receipts := make([]string, len(done))
	for i, message := range done {
		receipts[i] = message.Receipt
	}
	if len(receipts) == 0 {
		return nil
	}
	return s.o.Queues.Remove(s.ctx, m.Source, receipts) // also where the mapping has just ended: it is done
}

// ready returns the function that a batch is for, where it can be invoked. It is asked
// before messages are received too: to receive them for nobody would bring them nearer
// to the dead-letter queue.
func (s *Service) ready(m mapping) (function, error) {
	f, err := s.routed(m.reference())
	if err == nil && f.State != types.StateActive {
		err = notIn(f.State)
	}
	return f, err
}

// batch waits for messages and, where the mapping has a window, for more of them.
func (s *Service) batch(ctx context.Context, m mapping) ([]Message, error) {
	batch, err := s.o.Queues.Receive(ctx, m.Source, int(m.Batch))
	if err != nil || m.Window == 0 || len(batch) == 0 {
		return batch, err
	}
	window, cancel := context.WithTimeout(ctx, time.Duration(m.Window)*time.Second)
	defer cancel()
	for len(batch) < int(m.Batch) {
		more, err := s.o.Queues.Receive(window, m.Source, int(m.Batch)-len(batch))
		batch = append(batch, more...)
		if window.Err() != nil {
			return batch, ctx.Err()
		}
		if err != nil {
			return batch, err
		}
	}
	return batch, nil
}

// batchEvent is the event of a batch (Lambda developer guide, "Using Lambda with
// Amazon SQS").
func (s *Service) batchEvent(m mapping, batch []Message) any {
	type record struct {
		MessageID         string            `json:"messageId"`
		ReceiptHandle     string            `json:"receiptHandle"`
		Body              string            `json:"body"`
		Attributes        map[string]string `json:"attributes"`
		MessageAttributes json.RawMessage   `json:"messageAttributes"`
		MD5OfBody         string            `json:"md5OfBody"`
		EventSource       string            `json:"eventSource"`
		EventSourceARN    string            `json:"eventSourceARN"`
		AWSRegion         string            `json:"awsRegion"`
	}
	var records []record
	for _, message := range batch {
		attributes := message.MessageAttributes
		if attributes == nil {
			attributes = json.RawMessage("{}")
		}
		records = append(records, record{message.ID, message.Receipt, message.Body, message.Attributes, attributes, message.MD5, "aws:sqs", m.Source, s.o.Region})
	}
	return map[string]any{"Records": records}
}

// succeeded returns the messages that a function does not report. As on AWS, a report
// that names a message that is not in the batch, or that is none, fails all of them.
func succeeded(batch []Message, payload []byte) []Message {
	var report struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &report); err != nil {
		return nil
	}
	failed := map[string]bool{}
	for _, failure := range report.Failures {
		failed[failure.ID] = true
	}
	var done []Message
	for _, message := range batch {
		if !failed[message.ID] {
			done = append(done, message)
		}
		delete(failed, message.ID)
	}
	if len(failed) > 0 {
		return nil
	}
	return done
}

// note records what came of a mapping's last batch, for who asks. A mapping that has
// been changed or deleted meanwhile is left as it is.
func (s *Service) note(m mapping, result string) {
	err := s.o.Store.Update(func(tx *state.Tx) error {
		now, found, err := mappings.Get(tx, m.ID)
		if err != nil || !found || now.LastResult == result {
			return err
		}
		now.LastResult = result
		return mappings.Put(tx, m.ID, now)
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.logs.write(m.Function, []byte("event source mapping "+m.ID+": "+err.Error()+"\n"))
	}
}
