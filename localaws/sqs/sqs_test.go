package sqs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sqs"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// endpoint is a running endpoint and the SDK's own client of its SQS.
type endpoint struct {
	*testing.T
	*sdk.Client
}

func start(t *testing.T) endpoint {
	t.Helper()
	return endpoint{t, sdk.NewFromConfig(localawstest.Config(localawstest.Start(t, localaws.Options{})))}
}

func (e endpoint) attributes(url *string) map[string]string {
	e.Helper()
	return localawstest.Call(e, e.GetQueueAttributes, &sdk.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{"All"}}).Attributes
}

func TestQueues(t *testing.T) {
	e := start(t)
	name := aws.String("orders")
	_, err := e.GetQueueUrl(t.Context(), &sdk.GetQueueUrlInput{QueueName: name})
	var missing *types.QueueDoesNotExist
	if !errors.As(err, &missing) || missing.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("a queue that is not there: %v", err)
	}
	url := localawstest.Call(e, e.CreateQueue, &sdk.CreateQueueInput{QueueName: name, Attributes: map[string]string{"VisibilityTimeout": "60"}, Tags: map[string]string{"a": "1"}}).QueueUrl
	if again := localawstest.Call(e, e.CreateQueue, &sdk.CreateQueueInput{QueueName: name, Attributes: map[string]string{"VisibilityTimeout": "60"}}).QueueUrl; *again != *url || !strings.HasSuffix(*url, "/000000000000/orders") {
		t.Errorf("its URL is %s, and again %s", *url, *again)
	}
	localawstest.Fails(e, "QueueAlreadyExists", e.CreateQueue, &sdk.CreateQueueInput{QueueName: name, Attributes: map[string]string{"VisibilityTimeout": "30"}})
	localawstest.Fails(e, "InvalidAttributeValue", e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "43201"}})
	localawstest.Fails(e, "InvalidAttributeName", e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"Colour": "red"}})
	localawstest.Fails(e, "InvalidParameterValue", e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("a b")})
	localawstest.Fails(e, "NotImplemented", e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("q.fifo")})
	localawstest.Fails(e, "InvalidAttributeValue", e.SetQueueAttributes, &sdk.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":"3"}`}})
	localawstest.Call(e, e.SetQueueAttributes, &sdk.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"DelaySeconds": "5", "Policy": `{}`}})
	got := e.attributes(url)
	for attribute, want := range map[string]string{
		"VisibilityTimeout": "60", "DelaySeconds": "5", "Policy": `{}`, "MessageRetentionPeriod": "345600", "ApproximateNumberOfMessages": "0", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:orders",
	} {
		if got[attribute] != want {
			t.Errorf("%s is %q, want %q", attribute, got[attribute], want)
		}
	}
	localawstest.Call(e, e.SetQueueAttributes, &sdk.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"Policy": ""}})
	if _, found := e.attributes(url)["Policy"]; found {
		t.Error("the policy is still there")
	}
	localawstest.Call(e, e.TagQueue, &sdk.TagQueueInput{QueueUrl: url, Tags: map[string]string{"b": "2"}})
	localawstest.Call(e, e.UntagQueue, &sdk.UntagQueueInput{QueueUrl: url, TagKeys: []string{"a"}})
	if tags := localawstest.Call(e, e.ListQueueTags, &sdk.ListQueueTagsInput{QueueUrl: url}).Tags; len(tags) != 1 || tags["b"] != "2" {
		t.Errorf("its tags are %v", tags)
	}
	localawstest.Call(e, e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("others")})
	if urls := localawstest.Call(e, e.ListQueues, &sdk.ListQueuesInput{QueueNamePrefix: aws.String("ord")}).QueueUrls; len(urls) != 1 || urls[0] != *url {
		t.Errorf("listed are %v", urls)
	}
	localawstest.Call(e, e.DeleteQueue, &sdk.DeleteQueueInput{QueueUrl: url})
	localawstest.Fails(e, "AWS.SimpleQueueService.NonExistentQueue", e.DeleteQueue, &sdk.DeleteQueueInput{QueueUrl: url})
}

func TestMessages(t *testing.T) {
	e := start(t)
	url := localawstest.Call(e, e.CreateQueue, &sdk.CreateQueueInput{QueueName: aws.String("orders")}).QueueUrl
	text := func(s string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	sent := localawstest.Call(e, e.SendMessage, &sdk.SendMessageInput{QueueUrl: url, MessageBody: aws.String("hello"), MessageAttributes: map[string]types.MessageAttributeValue{"a.b": text("c")}})
	localawstest.Fails(e, "InvalidParameterValue", e.SendMessage, &sdk.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{"a": {DataType: aws.String("Odd")}}})
	received := localawstest.Call(e, e.ReceiveMessage, &sdk.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"a.*"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}}).Messages
	if len(received) != 1 || *received[0].MessageId != *sent.MessageId || *received[0].Body != "hello" || *received[0].MessageAttributes["a.b"].StringValue != "c" ||
		received[0].Attributes["ApproximateReceiveCount"] != "1" || *received[0].MD5OfMessageAttributes != *sent.MD5OfMessageAttributes {
		t.Fatalf("it is %+v", received)
	}
	if again := localawstest.Call(e, e.ReceiveMessage, &sdk.ReceiveMessageInput{QueueUrl: url}).Messages; len(again) != 0 {
		t.Errorf("it is in sight: %+v", again)
	}
	if got := e.attributes(url); got["ApproximateNumberOfMessagesNotVisible"] != "1" {
		t.Errorf("the attributes are %v", got)
	}
	localawstest.Call(e, e.ChangeMessageVisibility, &sdk.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: received[0].ReceiptHandle, VisibilityTimeout: 0})
	again := localawstest.Call(e, e.ReceiveMessage, &sdk.ReceiveMessageInput{QueueUrl: url}).Messages
	if len(again) != 1 {
		t.Fatal("it is not in sight again")
	}
	localawstest.Call(e, e.DeleteMessage, &sdk.DeleteMessageInput{QueueUrl: url, ReceiptHandle: received[0].ReceiptHandle})
	if got := e.attributes(url); got["ApproximateNumberOfMessagesNotVisible"] != "1" {
		t.Error("an earlier receipt deletes it")
	}
	localawstest.Fails(e, "InvalidParameterValue", e.ChangeMessageVisibility, &sdk.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: received[0].ReceiptHandle, VisibilityTimeout: 1})
	localawstest.Fails(e, "ReceiptHandleIsInvalid", e.DeleteMessage, &sdk.DeleteMessageInput{QueueUrl: url, ReceiptHandle: aws.String("nonsense")})
	localawstest.Call(e, e.DeleteMessage, &sdk.DeleteMessageInput{QueueUrl: url, ReceiptHandle: again[0].ReceiptHandle})

	entry := func(id, body string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
	}
	batch := localawstest.Call(e, e.SendMessageBatch, &sdk.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{entry("1", "a"), entry("2", strings.Repeat("x", 1<<20+1)), entry("3", "c")}})
	if len(batch.Successful) != 2 || len(batch.Failed) != 1 || *batch.Failed[0].Id != "2" {
		t.Errorf("it answers %+v", batch)
	}
	localawstest.Fails(e, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", e.SendMessageBatch, &sdk.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{entry("1", "a"), entry("1", "b")}})
	localawstest.Fails(e, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", e.SendMessageBatch, &sdk.SendMessageBatchInput{QueueUrl: url, Entries: func() (all []types.SendMessageBatchRequestEntry) {
		for i := range 11 {
			all = append(all, entry(fmt.Sprint(i), "x"))
		}
		return all
	}()})
	var receipts []types.DeleteMessageBatchRequestEntry
	for i, m := range localawstest.Call(e, e.ReceiveMessage, &sdk.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}).Messages {
		receipts = append(receipts, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	receipts = append(receipts, types.DeleteMessageBatchRequestEntry{Id: aws.String("bad"), ReceiptHandle: aws.String("nonsense")})
	if out := localawstest.Call(e, e.DeleteMessageBatch, &sdk.DeleteMessageBatchInput{QueueUrl: url, Entries: receipts}); len(out.Successful) != 2 || len(out.Failed) != 1 {
		t.Errorf("it answers %+v", out)
	}
	localawstest.Call(e, e.SendMessage, &sdk.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")})
	localawstest.Call(e, e.PurgeQueue, &sdk.PurgeQueueInput{QueueUrl: url})
	if got := e.attributes(url); got["ApproximateNumberOfMessages"] != "0" {
		t.Errorf("the attributes are %v", got)
	}
}

// bubble is a service whose time a test makes pass.
func bubble(t *testing.T, do func(t *testing.T, s *sqs.Service, url *string, dead *string)) {
	synctest.Test(t, func(t *testing.T) {
		store, err := state.Temporary()
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s := sqs.New(sqs.Options{Store: store, Account: "000000000000", Region: "us-east-1", URL: func() string { return "http://localhost" }})
		dead, err := s.CreateQueue(t.Context(), &sdk.CreateQueueInput{QueueName: aws.String("dead")})
		if err != nil {
			t.Fatal(err)
		}
		live, err := s.CreateQueue(t.Context(), &sdk.CreateQueueInput{QueueName: aws.String("live"), Attributes: map[string]string{
			"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"2"}`, "MessageRetentionPeriod": "600",
		}})
		if err != nil {
			t.Fatal(err)
		}
		do(t, s, live.QueueUrl, dead.QueueUrl)
	})
}

// receive receives one message, and says after how long.
func receive(t *testing.T, s *sqs.Service, url *string, wait int32) (body string, took time.Duration) {
	t.Helper()
	began := time.Now()
	out, err := s.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: wait})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Messages) > 0 {
		body = *out.Messages[0].Body
	}
	return body, time.Since(began)
}

func send(t *testing.T, s *sqs.Service, url *string, body string, delay int32) {
	t.Helper()
	if _, err := s.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: url, MessageBody: &body, DelaySeconds: delay}); err != nil {
		t.Fatal(err)
	}
}

func TestVisibility(t *testing.T) {
	bubble(t, func(t *testing.T, s *sqs.Service, url, dead *string) {
		if body, took := receive(t, s, url, 20); body != "" || took != 20*time.Second {
			t.Errorf("an empty queue answers %q after %s", body, took)
		}
		send(t, s, url, "m", 5)
		if body, took := receive(t, s, url, 20); body != "m" || took != 5*time.Second {
			t.Errorf("a delayed message: %q after %s", body, took)
		}
		// Out of sight for 30 s, of which a poll waits 20.
		if body, took := receive(t, s, url, 20); body != "" || took != 20*time.Second {
			t.Errorf("a message out of sight: %q after %s", body, took)
		}
		if body, took := receive(t, s, url, 20); body != "m" || took != 10*time.Second {
			t.Errorf("a message in sight again: %q after %s", body, took)
		}
		time.Sleep(30 * time.Second)
		if body, _ := receive(t, s, url, 0); body != "" {
			t.Errorf("a message that was received twice: %q", body)
		}
		if body, _ := receive(t, s, dead, 0); body != "m" {
			t.Errorf("the dead-letter queue has %q", body)
		}
	})
}

func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T, s *sqs.Service, url, _ *string) {
		send(t, s, url, "old", 0)
		time.Sleep(10*time.Minute + time.Second)
		if body, _ := receive(t, s, url, 0); body != "" {
			t.Errorf("a message that is too old: %q", body)
		}
	})
}

func TestWaitingIsWokenUp(t *testing.T) {
	bubble(t, func(t *testing.T, s *sqs.Service, url, _ *string) {
		got := make(chan string)
		go func() {
			body, took := receive(t, s, url, 20)
			got <- body + " after " + took.String()
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		send(t, s, url, "m", 0)
		if answer := <-got; answer != "m after 3s" {
			t.Errorf("it is %s", answer)
		}
	})
}

// A poll that finds nothing writes nothing: pollers that wait would hold up every
// other service.
func TestLookingWritesNothing(t *testing.T) {
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := sqs.New(sqs.Options{Store: store, Account: "000000000000", Region: "us-east-1", URL: func() string { return "http://localhost" }})
	q, err := s.CreateQueue(t.Context(), &sdk.CreateQueueInput{QueueName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	send(t, s, q.QueueUrl, "later", 900)
	looked := make(chan error, 1)
	err = store.Update(func(*state.Tx) error { // nobody else can write meanwhile
		go func() {
			_, err := s.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: q.QueueUrl})
			looked <- err
		}()
		select {
		case err := <-looked:
			return err
		case <-time.After(time.Minute):
			return errors.New("the poll waits to write")
		}
	})
	if err != nil {
		t.Error(err)
	}
}
