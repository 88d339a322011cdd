package sqs

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// message is a message as it is stored.
type message struct {
	ID         string
	Body       string
	Attributes map[string]types.MessageAttributeValue `json:",omitempty"` // the sender's
	System     map[string]string                      `json:",omitempty"` // the sender's too: AWSTraceHeader
	Sender     string
	Sent       time.Time
	VisibleAt  time.Time
	Receives   int
	First      time.Time // received
	Receipt    string    // of the last time it was received
}

// prefix is what the keys of a queue's messages begin with.
func (q queue) prefix() string { return q.ID + ":" }

// messageKey is a message's key: a queue's messages are in the order of their numbers.
func (q queue) messageKey(number int64) string { return fmt.Sprintf("%s%019d", q.prefix(), number) }

// sending is what a request says of a message to be sent.
type sending struct {
	body       *string
	delay      *int32 // seconds; nil for the queue's own
	attributes map[string]types.MessageAttributeValue
	system     map[string]types.MessageSystemAttributeValue
	group      *string
	duplicate  *string
}

// SendMessage puts a message into a queue.
func (s *Service) SendMessage(ctx context.Context, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	var delay *int32
	if in.DelaySeconds != 0 || wire.Given(ctx, "DelaySeconds") {
		delay = &in.DelaySeconds
	}
	m, err := s.send(ctx, name, sending{in.MessageBody, delay, in.MessageAttributes, in.MessageSystemAttributes, in.MessageGroupId, in.MessageDeduplicationId})
	if err != nil {
		return nil, err
	}
	return &sqs.SendMessageOutput{MessageId: &m.ID, MD5OfMessageBody: aws.String(sumOf(m.Body)), MD5OfMessageAttributes: sumOfAttributes(m.Attributes)}, nil
}

func (s *Service) send(ctx context.Context, name string, given sending) (m message, err error) {
	if given.group != nil || given.duplicate != nil {
		return m, wire.NotProvided("sqs", "A message of a FIFO queue")
	}
	now := time.Now().UTC()
	m = message{ID: wire.NewID(), Body: *given.body, Attributes: given.attributes, Sender: wire.CallerARN(ctx, s.o.Account), Sent: now}
	for name, value := range given.system {
		if m.System == nil {
			m.System = map[string]string{}
		}
		m.System[name] = aws.ToString(value.StringValue)
	}
	if err := m.check(); err != nil {
		return m, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		q, err := s.find(tx, name)
		if err != nil {
			return err
		}
		if most := q.number("MaximumMessageSize"); m.size() > most {
			return invalid("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", most)
		}
		const longestDelay = 900
		m.VisibleAt = now.Add(q.seconds("DelaySeconds"))
		if given.delay != nil {
			if *given.delay < 0 || *given.delay > longestDelay {
				return invalid("Value %d for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= %d.", *given.delay, longestDelay)
			}
			m.VisibleAt = now.Add(time.Duration(*given.delay) * time.Second)
		}
		return s.append(tx, name, q, m)
	})
	if err == nil {
		s.wake()
	}
	return m, err
}

// append puts a message at the end of a queue.
func (s *Service) append(tx *state.Tx, name string, q queue, m message) error {
	q.Sent++
	if err := s.messages.Put(tx, q.messageKey(q.Sent), m); err != nil {
		return err
	}
	return s.queues.Put(tx, name, q)
}

// check checks a message's text and attributes.
func (m message) check() error {
	switch {
	case m.Body == "":
		return wire.Errorf("MissingParameter", "The request must contain the parameter MessageBody.")
	case !utf8.ValidString(m.Body):
		return wire.Errorf("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.")
	case len(m.Attributes) > 10:
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [10].", len(m.Attributes))
	}
	for name, value := range m.Attributes {
		kind, _, _ := strings.Cut(aws.ToString(value.DataType), ".")
		switch {
		case kind == "String" && aws.ToString(value.StringValue) != "", kind == "Binary" && len(value.BinaryValue) > 0:
		case kind == "Number":
			if _, err := strconv.ParseFloat(aws.ToString(value.StringValue), 64); err != nil {
				return invalid("Can't cast the value of message (user) attribute '%s' to a number.", name)
			}
		default:
			return invalid("The message (user) attribute '%s' must contain a non-empty value of type String, Number or Binary.", name)
		}
	}
	return nil
}

// size is what the queue's limit is about, in bytes.
func (m message) size() int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len(aws.ToString(value.DataType)) + len(aws.ToString(value.StringValue)) + len(value.BinaryValue)
	}
	return n
}

func sumOf(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sumOfAttributes is the hash of a message's attributes (Amazon SQS developer guide,
// "Calculating the MD5 message digest for message attributes").
func sumOfAttributes(attributes map[string]types.MessageAttributeValue) *string {
	if len(attributes) == 0 {
		return nil
	}
	var b []byte
	add := func(text []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		add([]byte(name))
		add([]byte(aws.ToString(value.DataType)))
		if value.BinaryValue != nil {
			b = append(b, 2)
			add(value.BinaryValue)
			continue
		}
		b = append(b, 1)
		add([]byte(aws.ToString(value.StringValue)))
	}
	return aws.String(sumOf(string(b)))
}

// mostEntries is how many entries a batch has at most.
const mostEntries = 10

// checkBatch checks the ids of a batch's entries.
func checkBatch(ids []string) error {
	switch {
	case len(ids) == 0:
		return wire.Errorf("EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(ids) > mostEntries:
		return wire.Errorf("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", mostEntries, len(ids))
	}
	sorted := slices.Sorted(slices.Values(ids))
	if len(slices.Compact(sorted)) < len(ids) {
		return wire.Errorf("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
	}
	return nil
}

// failedEntry is an entry that did not go through, for a reason of its own.
func failedEntry(id *string, err error) (types.BatchResultErrorEntry, error) {
	var e *wire.Error
	if !errors.As(err, &e) || e.Code == "QueueDoesNotExist" {
		return types.BatchResultErrorEntry{}, err
	}
	return types.BatchResultErrorEntry{Id: id, Code: &e.Code, Message: &e.Message, SenderFault: true}, nil
}

// SendMessageBatch puts up to ten messages into a queue.
func (s *Service) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput) (*sqs.SendMessageBatchOutput, error) {
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, entry := range in.Entries {
		ids = append(ids, *entry.Id)
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	out := &sqs.SendMessageBatchOutput{Successful: []types.SendMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	for _, e := range in.Entries {
		var delay *int32
		if e.DelaySeconds != 0 { // 0 in an entry is the queue's own: it cannot be told from none
			delay = &e.DelaySeconds
		}
		m, err := s.send(ctx, name, sending{e.MessageBody, delay, e.MessageAttributes, e.MessageSystemAttributes, e.MessageGroupId, e.MessageDeduplicationId})
		if err == nil {
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id, MessageId: &m.ID, MD5OfMessageBody: aws.String(sumOf(m.Body)), MD5OfMessageAttributes: sumOfAttributes(m.Attributes)})
			continue
		}
		failed, err := failedEntry(e.Id, err)
		if err != nil {
			return nil, err
		}
		out.Failed = append(out.Failed, failed)
	}
	return out, nil
}

// Send puts a message into the queue of an ARN: what the endpoint's other services do.
func (s *Service) Send(ctx context.Context, arn string, body []byte, attributes map[string]string) error {
	name, ours := s.nameIn(arn)
	if !ours {
		return errNoQueue()
	}
	text := string(body)
	values := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		if value != "" {
			values[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
		}
	}
	_, err := s.send(ctx, name, sending{body: &text, attributes: values})
	return err
}

// receipt names a message, and the time that it was received.
func receipt(key string) string {
	return base64.StdEncoding.EncodeToString([]byte(key + "/" + wire.NewID()))
}

// keyIn returns the key of the message that a receipt is for.
func (q queue) keyIn(receipt string) (string, error) {
	content, err := base64.StdEncoding.DecodeString(receipt)
	key, _, found := strings.Cut(string(content), "/")
	if err != nil || !found || !strings.HasPrefix(key, q.prefix()) {
		return "", wire.Errorf("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle.", receipt)
	}
	return key, nil
}

// DeleteMessage deletes a message that was received. With the receipt of an earlier
// time it is no error, and deletes nothing.
func (s *Service) DeleteMessage(_ context.Context, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	if err := s.edit(in.QueueUrl, func(tx *state.Tx, q *queue) error { return s.deleteIn(tx, *q, *in.ReceiptHandle) }); err != nil {
		return nil, err
	}
	return new(sqs.DeleteMessageOutput), nil
}

func (s *Service) deleteIn(tx *state.Tx, q queue, receipt string) error {
	key, err := q.keyIn(receipt)
	if err != nil {
		return err
	}
	m, found, err := s.messages.Get(tx, key)
	if err != nil || !found || m.Receipt != receipt {
		return err
	}
	return s.messages.Delete(tx, key)
}

// DeleteMessageBatch deletes up to ten messages.
func (s *Service) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput) (*sqs.DeleteMessageBatchOutput, error) {
	var ids []string
	for _, entry := range in.Entries {
		ids = append(ids, *entry.Id)
	}
	if err := checkBatch(ids); err != nil {
		return nil, err
	}
	out := &sqs.DeleteMessageBatchOutput{Successful: []types.DeleteMessageBatchResultEntry{}, Failed: []types.BatchResultErrorEntry{}}
	err := s.edit(in.QueueUrl, func(tx *state.Tx, q *queue) error {
		for _, entry := range in.Entries {
			err := s.deleteIn(tx, *q, *entry.ReceiptHandle)
			if err == nil {
				out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: entry.Id})
				continue
			}
			failed, err := failedEntry(entry.Id, err)
			if err != nil {
				return err
			}
			out.Failed = append(out.Failed, failed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangeMessageVisibility sets when a message that was received comes into sight
// again, in seconds from now.
func (s *Service) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput) (*sqs.ChangeMessageVisibilityOutput, error) {
	if in.VisibilityTimeout == 0 && !wire.Given(ctx, "VisibilityTimeout") {
		return nil, wire.Errorf("ValidationException", "1 validation error detected: Value null at 'visibilityTimeout' failed to satisfy constraint: Member must not be null")
	}
	if most := limits["VisibilityTimeout"].most; in.VisibilityTimeout < 0 || int(in.VisibilityTimeout) > most {
		return nil, invalid("Value %d for parameter VisibilityTimeout is invalid. Reason: VisibilityTimeout must be an integer between 0 and %d.", in.VisibilityTimeout, most)
	}
	err := s.edit(in.QueueUrl, func(tx *state.Tx, q *queue) error {
		key, err := q.keyIn(*in.ReceiptHandle)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		m, found, err := s.messages.Get(tx, key)
		switch {
		case err != nil:
			return err
		case !found || m.Receipt != *in.ReceiptHandle || !m.VisibleAt.After(now):
			return invalid("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", *in.ReceiptHandle)
		}
		m.VisibleAt = now.Add(time.Duration(in.VisibilityTimeout) * time.Second)
		return s.messages.Put(tx, key, m)
	})
	if err != nil {
		return nil, err
	}
	return new(sqs.ChangeMessageVisibilityOutput), nil
}
