// Package sqs is the local endpoint's Amazon SQS: standard queues with visibility
// timeouts, delays, retention and dead-letter queues that really work.
package sqs

import (
	"sync"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Options is what the service works with.
type Options struct {
	Store   *state.Store
	Account string
	Region  string
	URL     func() string // of the endpoint, which queues' URLs begin with
}

// Service is the local SQS.
type Service struct {
	o        Options
	queues   state.Table[queue]   // by name
	messages state.Table[message] // by messageKey

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when a message may have come into sight
}

// New returns the service with its queues in the store.
func New(o Options) *Service {
	return &Service{
		o:        o,
		queues:   state.Table[queue]{Name: "sqs.queues"},
		messages: state.Table[message]{Name: "sqs.messages"},
		changed:  make(chan struct{}),
	}
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.JSON{
		Service: "sqs",
		Target:  "AmazonSQS",
		Version: "1.0",
		Casing:  wire.Upper,
		Operations: map[string]wire.Handler{
			"ChangeMessageVisibility": wire.Silent(wire.Handle(wire.Checked(s.ChangeMessageVisibility, "QueueUrl", "ReceiptHandle"))),
			"CreateQueue":             wire.Handle(wire.Checked(s.CreateQueue, "QueueName")),
			"DeleteMessage":           wire.Silent(wire.Handle(wire.Checked(s.DeleteMessage, "QueueUrl", "ReceiptHandle"))),
			"DeleteMessageBatch":      wire.Handle(wire.Checked(s.DeleteMessageBatch, "QueueUrl", "Entries", "Entries.Id", "Entries.ReceiptHandle")),
			"DeleteQueue":             wire.Silent(wire.Handle(wire.Checked(s.DeleteQueue, "QueueUrl"))),
			"GetQueueAttributes":      wire.Handle(wire.Checked(s.GetQueueAttributes, "QueueUrl")),
			"GetQueueUrl":             wire.Handle(wire.Checked(s.GetQueueURL, "QueueName")),
			"ListQueueTags":           wire.Handle(wire.Checked(s.ListQueueTags, "QueueUrl")),
			"ListQueues":              wire.Handle(wire.Checked(s.ListQueues)),
			"PurgeQueue":              wire.Silent(wire.Handle(wire.Checked(s.PurgeQueue, "QueueUrl"))),
			"ReceiveMessage":          wire.Handle(wire.Checked(s.ReceiveMessage, "QueueUrl")),
			"SendMessage":             wire.Handle(wire.Checked(s.SendMessage, "QueueUrl", "MessageBody")),
			"SendMessageBatch":        wire.Handle(wire.Checked(s.SendMessageBatch, "QueueUrl", "Entries", "Entries.Id", "Entries.MessageBody")),
			"SetQueueAttributes":      wire.Silent(wire.Handle(wire.Checked(s.SetQueueAttributes, "QueueUrl", "Attributes"))),
			"TagQueue":                wire.Silent(wire.Handle(wire.Checked(s.TagQueue, "QueueUrl", "Tags"))),
			"UntagQueue":              wire.Silent(wire.Handle(wire.Checked(s.UntagQueue, "QueueUrl", "TagKeys"))),
		},
		// SQS spoke another protocol before, whose codes clients still go by.
		QueryCodes: map[string]string{
			"BatchEntryIdsNotDistinct":       "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
			"EmptyBatchRequest":              "AWS.SimpleQueueService.EmptyBatchRequest",
			"InvalidParameterValueException": "InvalidParameterValue",
			"MessageNotInflight":             "AWS.SimpleQueueService.MessageNotInflight",
			"QueueDoesNotExist":              "AWS.SimpleQueueService.NonExistentQueue",
			"QueueNameExists":                "QueueAlreadyExists",
			"TooManyEntriesInBatchRequest":   "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
			"UnsupportedOperation":           "AWS.SimpleQueueService.UnsupportedOperation",
		},
	}
}

// wake makes everybody who waits for a message look again.
func (s *Service) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// change returns a channel that is closed at the next change.
func (s *Service) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
