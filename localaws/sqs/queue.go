package sqs

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// queue is a queue as it is stored.
type queue struct {
	ID         string            // a new one for each queue: a queue of the same name later is another
	Attributes map[string]string // that were set
	Tags       map[string]string
	Created    time.Time
	Modified   time.Time
	Sent       int64 // how many messages have come, which orders them
}

var nameGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`) })

// CreateQueue makes a queue. One that exists with the same attributes is no error.
func (s *Service) CreateQueue(_ context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	name := *in.QueueName
	if strings.HasSuffix(name, ".fifo") || in.Attributes["FifoQueue"] != "" {
		return nil, wire.NotProvided("sqs", "A FIFO queue")
	}
	if !nameGrammar().MatchString(name) {
		return nil, invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	out := &sqs.CreateQueueOutput{QueueUrl: aws.String(s.url(name))}
	err := s.o.Store.Update(func(tx *state.Tx) error {
		if err := s.checkAttributes(tx, in.Attributes); err != nil {
			return err
		}
		old, found, err := s.queues.Get(tx, name)
		if err != nil {
			return err
		}
		if found {
			return sameAttributes(old, in.Attributes)
		}
		now := time.Now().UTC().Truncate(time.Second)
		return s.queues.Put(tx, name, queue{ID: wire.NewID(), Attributes: withoutEmpty(in.Attributes), Tags: in.Tags, Created: now, Modified: now})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func sameAttributes(q queue, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if q.attribute(name) != given[name] {
			return wire.Errorf("QueueNameExists", "A queue already exists with the same name and a different value for attribute %s", name)
		}
	}
	return nil
}

// url returns a queue's URL.
func (s *Service) url(name string) string { return s.o.URL() + "/" + s.o.Account + "/" + name }

// arn returns a queue's ARN.
func (s *Service) arn(name string) string {
	return "arn:aws:sqs:" + s.o.Region + ":" + s.o.Account + ":" + name
}

// nameOf returns the name in a queue's URL, whose host is any that leads here.
func (s *Service) nameOf(url *string) (string, error) {
	parts := strings.Split(aws.ToString(url), "/")
	if len(parts) < 2 {
		return "", wire.Errorf("InvalidAddress", "The address %s is not valid for this endpoint.", aws.ToString(url))
	}
	if account := parts[len(parts)-2]; account != s.o.Account {
		return "", errNoQueue()
	}
	return parts[len(parts)-1], nil
}

// nameIn returns the name in a queue's ARN.
func (s *Service) nameIn(arn string) (string, bool) {
	return strings.CutPrefix(arn, s.arn(""))
}

func errNoQueue() *wire.Error {
	return wire.Errorf("QueueDoesNotExist", "The specified queue does not exist.")
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidParameterValueException", format, args...)
}

// find returns a queue, or SQS's error.
func (s *Service) find(tx *state.Tx, name string) (queue, error) {
	q, found, err := s.queues.Get(tx, name)
	if err == nil && !found {
		err = errNoQueue()
	}
	return q, err
}

// edit changes a queue.
func (s *Service) edit(url *string, do func(tx *state.Tx, q *queue) error) error {
	name, err := s.nameOf(url)
	if err != nil {
		return err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		q, err := s.find(tx, name)
		if err != nil {
			return err
		}
		if err := do(tx, &q); err != nil {
			return err
		}
		return s.queues.Put(tx, name, q)
	})
	if err == nil {
		s.wake()
	}
	return err
}

// GetQueueURL returns a queue's URL.
func (s *Service) GetQueueURL(_ context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	if owner := aws.ToString(in.QueueOwnerAWSAccountId); owner != "" && owner != s.o.Account {
		return nil, errNoQueue()
	}
	if err := s.o.Store.View(func(tx *state.Tx) error {
		_, err := s.find(tx, *in.QueueName)
		return err
	}); err != nil {
		return nil, err
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(s.url(*in.QueueName))}, nil
}

// ListQueues returns the URLs of the queues whose names begin with the prefix, a page
// of them at a time where the size of one is asked for.
func (s *Service) ListQueues(_ context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	most := 1000
	if in.MaxResults != nil {
		most = min(most, int(*in.MaxResults))
		if most < 1 {
			return nil, invalid("MaxResults must be an integer between 1 and 1000")
		}
	}
	out := &sqs.ListQueuesOutput{QueueUrls: []string{}}
	err := s.o.Store.View(func(tx *state.Tx) (err error) {
		last := ""
		for name := range s.queues.All(tx, aws.ToString(in.QueueNamePrefix), &err) {
			if name <= aws.ToString(in.NextToken) {
				continue
			}
			if len(out.QueueUrls) == most {
				if in.MaxResults != nil {
					out.NextToken = &last
				}
				return err
			}
			out.QueueUrls, last = append(out.QueueUrls, s.url(name)), name
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteQueue deletes a queue with its messages. Its name can be used again at once.
func (s *Service) DeleteQueue(_ context.Context, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	err = s.o.Store.Update(func(tx *state.Tx) error {
		q, err := s.find(tx, name)
		if err != nil {
			return err
		}
		if err := s.purge(tx, q); err != nil {
			return err
		}
		return s.queues.Delete(tx, name)
	})
	if err != nil {
		return nil, err
	}
	s.wake()
	return new(sqs.DeleteQueueOutput), nil
}

// PurgeQueue deletes a queue's messages at once; AWS takes up to a minute.
func (s *Service) PurgeQueue(_ context.Context, in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
	if err := s.edit(in.QueueUrl, func(tx *state.Tx, q *queue) error { return s.purge(tx, *q) }); err != nil {
		return nil, err
	}
	return new(sqs.PurgeQueueOutput), nil
}

func (s *Service) purge(tx *state.Tx, q queue) (err error) {
	var keys []string
	for key := range s.messages.All(tx, q.prefix(), &err) {
		keys = append(keys, key)
	}
	for _, key := range keys {
		if err := s.messages.Delete(tx, key); err != nil {
			return err
		}
	}
	return err
}

// SetQueueAttributes changes a queue's attributes; an empty value takes one away.
func (s *Service) SetQueueAttributes(_ context.Context, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	err := s.edit(in.QueueUrl, func(tx *state.Tx, q *queue) error {
		if err := s.checkAttributes(tx, in.Attributes); err != nil {
			return err
		}
		if q.Attributes == nil {
			q.Attributes = map[string]string{}
		}
		maps.Copy(q.Attributes, in.Attributes)
		q.Attributes = withoutEmpty(q.Attributes)
		q.Modified = time.Now().UTC().Truncate(time.Second)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(sqs.SetQueueAttributesOutput), nil
}

// GetQueueAttributes returns the attributes that are asked for.
func (s *Service) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &sqs.GetQueueAttributesOutput{}
	err = s.o.Store.View(func(tx *state.Tx) error {
		q, err := s.find(tx, name)
		if err != nil {
			return err
		}
		all, err := s.attributes(tx, name, q)
		if err != nil {
			return err
		}
		for _, asked := range in.AttributeNames {
			if asked == types.QueueAttributeNameAll {
				out.Attributes = all
				return nil
			}
			if value, found := all[string(asked)]; found {
				if out.Attributes == nil {
					out.Attributes = map[string]string{}
				}
				out.Attributes[string(asked)] = value
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// attributes returns all attributes that a queue has.
func (s *Service) attributes(tx *state.Tx, name string, q queue) (map[string]string, error) {
	all := map[string]string{}
	for attribute := range limits {
		all[attribute] = q.attribute(attribute)
	}
	for attribute, value := range q.Attributes {
		all[attribute] = value
	}
	var err error
	visible, delayed, hidden := 0, 0, 0
	now := time.Now()
	for _, m := range s.messages.All(tx, q.prefix(), &err) {
		switch {
		case !m.VisibleAt.After(now):
			visible++
		case m.Receives == 0:
			delayed++
		default:
			hidden++
		}
	}
	all["ApproximateNumberOfMessages"] = strconv.Itoa(visible)
	all["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(delayed)
	all["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(hidden)
	all["CreatedTimestamp"] = strconv.FormatInt(q.Created.Unix(), 10)
	all["LastModifiedTimestamp"] = strconv.FormatInt(q.Modified.Unix(), 10)
	all["QueueArn"] = s.arn(name)
	if all["KmsMasterKeyId"] == "" {
		all["SqsManagedSseEnabled"] = q.attribute("SqsManagedSseEnabled")
	}
	return all, err
}

// TagQueue adds tags to a queue, or replaces their values.
func (s *Service) TagQueue(_ context.Context, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	if err := s.edit(in.QueueUrl, func(_ *state.Tx, q *queue) error {
		if q.Tags == nil {
			q.Tags = map[string]string{}
		}
		maps.Copy(q.Tags, in.Tags)
		return nil
	}); err != nil {
		return nil, err
	}
	return new(sqs.TagQueueOutput), nil
}

// UntagQueue removes tags from a queue; keys that it does not have are no error.
func (s *Service) UntagQueue(_ context.Context, in *sqs.UntagQueueInput) (*sqs.UntagQueueOutput, error) {
	if err := s.edit(in.QueueUrl, func(_ *state.Tx, q *queue) error {
		for _, key := range in.TagKeys {
			delete(q.Tags, key)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return new(sqs.UntagQueueOutput), nil
}

// ListQueueTags returns a queue's tags.
func (s *Service) ListQueueTags(_ context.Context, in *sqs.ListQueueTagsInput) (*sqs.ListQueueTagsOutput, error) {
	name, err := s.nameOf(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := &sqs.ListQueueTagsOutput{}
	err = s.o.Store.View(func(tx *state.Tx) error {
		q, err := s.find(tx, name)
		out.Tags = q.Tags
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
