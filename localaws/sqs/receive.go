package sqs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The bounds of a request to receive.
const (
	mostMessages = 10
	longestWait  = 20 // seconds
)

// ReceiveMessage returns messages that are in sight, and puts them out of sight for
// the visibility timeout. Where there are none it waits for some, as long as the
// request says or the queue.
func (s *Service) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	most := 1
	if in.MaxNumberOfMessages != 0 {
		most = int(in.MaxNumberOfMessages)
	}
	switch {
	case most < 1 || most > mostMessages:
		return nil, invalid("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and %d, if provided.", most, mostMessages)
	case in.WaitTimeSeconds < 0 || in.WaitTimeSeconds > longestWait:
		return nil, invalid("Value %d for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= %d, if provided.", in.WaitTimeSeconds, longestWait)
	case in.VisibilityTimeout < 0 || int(in.VisibilityTimeout) > limits["VisibilityTimeout"].most:
		return nil, invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and %d.", in.VisibilityTimeout, limits["VisibilityTimeout"].most)
	}
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q, err := s.queue(name)
	if err != nil {
		return nil, err
	}
	wait, timeout := q.seconds("ReceiveMessageWaitTimeSeconds"), q.seconds("VisibilityTimeout")
	if in.VisibilityTimeout != 0 || wire.Given(ctx, "VisibilityTimeout") {
		timeout = time.Duration(in.VisibilityTimeout) * time.Second
	}
	if in.WaitTimeSeconds > 0 || wire.Given(ctx, "WaitTimeSeconds") {
		wait = time.Duration(in.WaitTimeSeconds) * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	received, err := s.receive(limited, name, most, &timeout)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return &sqs.ReceiveMessageOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := &sqs.ReceiveMessageOutput{}
	for _, m := range received {
		out.Messages = append(out.Messages, m.answered(in))
	}
	return out, nil
}

// Received is a message that one of the endpoint's other services received.
type Received struct {
	ID                string
	Receipt           string
	Body              string
	MD5               string
	Attributes        map[string]string // the system's
	MessageAttributes map[string]types.MessageAttributeValue
}

// Receive waits until the queue of an ARN has messages in sight and returns some of
// them, most at the most. They are out of sight for the queue's visibility timeout.
// The error has the code QueueDoesNotExist where there is no such queue.
func (s *Service) Receive(ctx context.Context, arn string, most int) ([]Received, error) {
	name, ours := s.nameIn(arn)
	if !ours {
		return nil, errNoQueue()
	}
	received, err := s.receive(ctx, name, most, nil)
	if err != nil {
		return nil, err
	}
	var all []Received
	for _, m := range received {
		all = append(all, Received{m.ID, m.Receipt, m.Body, sumOf(m.Body), m.system(), m.Attributes})
	}
	return all, nil
}

// Remove deletes messages that [Service.Receive] returned, by their receipts.
func (s *Service) Remove(_ context.Context, arn string, receipts []string) error {
	name, ours := s.nameIn(arn)
	if !ours {
		return errNoQueue()
	}
	return s.edit(aws.String(s.url(name)), func(tx *state.Tx, q *queue) error {
		for _, receipt := range receipts {
			if err := s.deleteIn(tx, *q, receipt); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) queue(name string) (q queue, err error) {
	err = s.o.Store.View(func(tx *state.Tx) error {
		q, err = s.find(tx, name)
		return err
	})
	return q, err
}

// receive takes messages of a queue as soon as there are some. It returns ctx's error
// where there are none until ctx ends. A timeout that is nil is the queue's own.
func (s *Service) receive(ctx context.Context, name string, most int, timeout *time.Duration) ([]message, error) {
	for {
		changed := s.change() // before looking: what comes meanwhile closes it
		received, next, err := s.take(name, most, timeout)
		if err != nil || len(received) > 0 {
			return received, err
		}
		if err := s.await(ctx, changed, next); err != nil {
			return nil, err
		}
	}
}

// await waits for a change, for the time that the next message comes into sight,
// which is zero for never, or for ctx.
func (s *Service) await(ctx context.Context, changed <-chan struct{}, next time.Time) error {
	var due <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-due:
	}
	return nil
}

// take takes the messages that are in sight now, and says when the next one comes
// into sight. Messages that were received too often go to the dead-letter queue, and
// those that are too old are dropped. It writes only where there is something to do.
func (s *Service) take(name string, most int, timeout *time.Duration) (received []message, next time.Time, err error) {
	now := time.Now().UTC()
	var found survey
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		found, err = s.survey(tx, name, most, timeout, now)
		return err
	})
	if err != nil || len(found.changes) == 0 {
		return nil, found.next, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) (err error) {
		if found, err = s.survey(tx, name, most, timeout, now); err != nil { // another one may have been faster
			return err
		}
		for key, m := range found.changes {
			if m == nil {
				err = s.messages.Delete(tx, key)
			} else {
				err = s.messages.Put(tx, key, *m)
			}
			if err != nil {
				return err
			}
		}
		return s.bury(tx, found.target, found.dead, now)
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(found.dead) > 0 {
		s.wake()
	}
	return found.received, found.next, nil
}

// survey is what there is to do in a queue at a time.
type survey struct {
	received []message
	changes  map[string]*message // by key; nil to delete
	dead     []message           // of those that are deleted, for the queue target
	target   string              // the dead-letter queue's ARN
	next     time.Time           // when the next message comes into sight; zero for none
}

func (s *Service) survey(tx *state.Tx, name string, most int, timeout *time.Duration, now time.Time) (found survey, err error) {
	q, err := s.find(tx, name)
	if err != nil {
		return found, err
	}
	hidden := q.seconds("VisibilityTimeout")
	if timeout != nil {
		hidden = *timeout
	}
	retention := q.seconds("MessageRetentionPeriod")
	target, tooOften := q.redrive()
	found.target, found.changes = target, map[string]*message{}
	for key, m := range s.messages.All(tx, q.prefix(), &err) {
		switch {
		case now.Sub(m.Sent) > retention:
			found.changes[key] = nil
		case m.VisibleAt.After(now):
			if found.next.IsZero() || m.VisibleAt.Before(found.next) {
				found.next = m.VisibleAt
			}
		case tooOften > 0 && m.Receives >= tooOften:
			found.changes[key] = nil
			found.dead = append(found.dead, m)
		case len(found.received) < most:
			if m.Receives++; m.Receives == 1 {
				m.First = now
			}
			m.VisibleAt, m.Receipt = now.Add(hidden), receipt(key)
			found.received = append(found.received, m)
			found.changes[key] = &m
		}
		if len(found.received) == most {
			break
		}
	}
	return found, err
}

// bury puts messages into a dead-letter queue, as new to it but for when they were
// sent. Where the queue is gone they are lost, as on AWS.
func (s *Service) bury(tx *state.Tx, target string, dead []message, now time.Time) error {
	name, ours := s.nameIn(target)
	if !ours {
		return nil
	}
	for _, m := range dead {
		q, found, err := s.queues.Get(tx, name)
		if err != nil || !found {
			return err
		}
		m.Receives, m.Receipt, m.First, m.VisibleAt = 0, "", time.Time{}, now
		if err := s.append(tx, name, q, m); err != nil {
			return err
		}
	}
	return nil
}

// system returns a message's system attributes.
func (m message) system() map[string]string {
	all := map[string]string{
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.First.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.Receives),
		"SenderId":                         m.Sender,
		"SentTimestamp":                    strconv.FormatInt(m.Sent.UnixMilli(), 10),
	}
	for name, value := range m.System {
		all[name] = value
	}
	return all
}

// answered is a message with the attributes that a request asks for.
func (m message) answered(in *sqs.ReceiveMessageInput) types.Message {
	out := types.Message{MessageId: &m.ID, Body: &m.Body, ReceiptHandle: &m.Receipt, MD5OfBody: aws.String(sumOf(m.Body))}
	var asked []string
	//lint:ignore SA1019 clients still send it
	for _, name := range in.AttributeNames {
		asked = append(asked, string(name))
	}
	for _, name := range in.MessageSystemAttributeNames {
		asked = append(asked, string(name))
	}
	for name, value := range m.system() {
		if slices.Contains(asked, name) || slices.Contains(asked, "All") {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	for name, value := range m.Attributes {
		wanted := slices.ContainsFunc(in.MessageAttributeNames, func(pattern string) bool {
			start, isPrefix := strings.CutSuffix(pattern, ".*")
			return pattern == "All" || pattern == ".*" || pattern == name || isPrefix && strings.HasPrefix(name, start+".")
		})
		if wanted {
			if out.MessageAttributes == nil {
				out.MessageAttributes = map[string]types.MessageAttributeValue{}
			}
			out.MessageAttributes[name] = value
		}
	}
	out.MD5OfMessageAttributes = sumOfAttributes(out.MessageAttributes)
	return out
}
