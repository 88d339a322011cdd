package localaws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// buildCaller compiles the test function once.
var buildCaller = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "caller-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "./testdata/caller")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the function: %w\n%s", err, out)
	}
	return os.ReadFile(file)
})

// stage is an endpoint whose services use each other, and a function on it that hands
// its events to the test.
type stage struct {
	*testing.T
	server *localaws.Server
	s3     *s3.Client
	sqs    *sqs.Client
	events *eventbridge.Client
	lambda *lambda.Client
	called *httptest.Server

	mu     sync.Mutex
	seen   []string
	answer func(event string) (result string, err error)
}

func newStage(t *testing.T, o localaws.Options) *stage {
	t.Helper()
	if o.RetryDelay == 0 {
		o.RetryDelay = time.Millisecond
	}
	server, _ := start(t, o)
	s := &stage{T: t, answer: func(string) (string, error) { return "null", nil }}
	s.called = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, string(event))
		answer := s.answer
		s.mu.Unlock()
		result, err := answer(string(event))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, result)
	}))
	t.Cleanup(s.called.Close)
	s.on(server)
	return s
}

// on points the clients at an endpoint.
func (s *stage) on(server *localaws.Server) {
	config := server.Config("tester")
	s.server, s.s3, s.sqs = server, s3.NewFromConfig(config), sqs.NewFromConfig(config)
	s.events, s.lambda = eventbridge.NewFromConfig(config), lambda.NewFromConfig(config)
}

// answers says what the function answers from now on.
func (s *stage) answers(answer func(event string) (string, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func failing(string) (string, error) { return "", errors.New("no release yet") }

// received returns the events that the function was invoked with.
func (s *stage) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// wait waits until the function was invoked n times, and returns with what.
func (s *stage) wait(n int) []string {
	s.Helper()
	eventually(s.T, fmt.Sprintf("%d events", n), func() bool { return len(s.received()) >= n })
	return s.received()
}

// ok returns a call's output, which must succeed.
func ok[T any](out T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// function makes the function of that name, with its code in S3, and returns its ARN.
func (s *stage) function(name string, edit func(*lambda.CreateFunctionInput)) string {
	s.Helper()
	content, err := buildCaller()
	if err != nil {
		s.Fatal(err)
	}
	ok(s.s3.CreateBucket(s.Context(), &s3.CreateBucketInput{Bucket: aws.String("assets")}))(s)
	ok(s.s3.PutObject(s.Context(), &s3.PutObjectInput{Bucket: aws.String("assets"), Key: aws.String("caller.zip"), Body: bytes.NewReader(localawstest.Package(s, content))}))(s)
	in := &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/caller"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code:        &lambdatypes.FunctionCode{S3Bucket: aws.String("assets"), S3Key: aws.String("caller.zip")},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"CALL": s.called.URL}},
	}
	if edit != nil {
		edit(in)
	}
	out := ok(s.lambda.CreateFunction(s.Context(), in))(s)
	s.active(name)
	return *out.FunctionArn
}

// active waits until a function can be invoked.
func (s *stage) active(name string) {
	s.Helper()
	eventually(s.T, name+" is active", func() bool {
		f := ok(s.lambda.GetFunctionConfiguration(s.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &name}))(s)
		if f.State == lambdatypes.StateFailed {
			s.Fatalf("%s failed: %s", name, aws.ToString(f.StateReason))
		}
		return f.State == lambdatypes.StateActive && f.LastUpdateStatus != lambdatypes.LastUpdateStatusInProgress
	})
}

// queue makes a queue and returns its URL and its ARN.
func (s *stage) queue(name string, attributes map[string]string) (url *string, arn string) {
	s.Helper()
	out := ok(s.sqs.CreateQueue(s.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes}))(s)
	return out.QueueUrl, "arn:aws:sqs:" + s.server.Region() + ":" + localaws.Account + ":" + name
}

func (s *stage) send(url *string, body string) {
	s.Helper()
	ok(s.sqs.SendMessage(s.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}))(s)
}

// next waits for a message of a queue.
func (s *stage) next(url *string) sqstypes.Message {
	s.Helper()
	out := ok(s.sqs.ReceiveMessage(s.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20, MessageAttributeNames: []string{"All"}}))(s)
	if len(out.Messages) == 0 {
		s.Fatal("there is no message after 20 s")
	}
	return out.Messages[0]
}

// left returns how many messages a queue has, in sight or not.
func (s *stage) left(url *string) string {
	s.Helper()
	out := ok(s.sqs.GetQueueAttributes(s.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{"All"}}))(s)
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func TestCodeInS3(t *testing.T) {
	s := newStage(t, localaws.Options{})
	s.function("caller", nil)
	s.answers(func(event string) (string, error) { return event, nil })
	out := ok(s.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("caller"), Payload: []byte(`{"a":1}`)}))(t)
	if string(out.Payload) != `{"a":1}` {
		t.Errorf("it answers %s", out.Payload)
	}
	update := &lambda.UpdateFunctionCodeInput{FunctionName: aws.String("caller"), S3Bucket: aws.String("assets"), S3Key: aws.String("missing.zip")}
	_, err := s.lambda.UpdateFunctionCode(t.Context(), update)
	expectCode(t, err, "InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchKey.")
	update.S3Bucket = aws.String("missing")
	_, err = s.lambda.UpdateFunctionCode(t.Context(), update)
	expectCode(t, err, "InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchBucket.")
	update.S3Bucket, update.S3Key = aws.String("assets"), aws.String("caller.zip")
	ok(s.lambda.UpdateFunctionCode(t.Context(), update))(t)
	s.active("caller")
}

func (s *stage) rule(name, pattern string, targets ...eventtypes.Target) {
	s.Helper()
	ok(s.events.PutRule(s.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}))(s)
	ok(s.events.PutTargets(s.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: targets}))(s)
}

func target(id, arn string) eventtypes.Target { return eventtypes.Target{Id: &id, Arn: &arn} }

func TestParameterEvents(t *testing.T) {
	s := newStage(t, localaws.Options{})
	function := s.function("caller", nil)
	s.rule("tag", `{"source":["aws.ssm"],"detail-type":["Parameter Store Change"],"detail":{"name":["/orders/tag"],"operation":["Create","Update"]}}`, target("f", function))
	c := connect(s.server.URL(), s.server.Region())
	for _, name := range []string{"/other", "/orders/tag"} {
		if _, err := c.put(t.Context(), name, "v1"); err != nil {
			t.Fatal(err)
		}
	}
	var event struct {
		Source, Account, Region string
		Resources               []string
		DetailType              string `json:"detail-type"`
		Detail                  map[string]string
	}
	if err := json.Unmarshal([]byte(s.wait(1)[0]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Source != "aws.ssm" || event.DetailType != "Parameter Store Change" || event.Account != localaws.Account || event.Resources[0] != "arn:aws:ssm:us-east-1:000000000000:parameter/orders/tag" {
		t.Errorf("it is %+v", event)
	}
	if d := event.Detail; d["operation"] != "Create" || d["name"] != "/orders/tag" || d["type"] != "String" {
		t.Errorf("its detail is %v", d)
	}

	// Held back, doubled, and released.
	bus := s.server.Events()
	bus.Hold()
	bus.Disturb(events.Disturbance{Copies: 2})
	if _, err := c.put(t.Context(), "/orders/tag", "v2"); err != nil {
		t.Fatal(err)
	}
	if bus.Held() != 1 || len(s.received()) != 1 {
		t.Errorf("%d are held back, %d were delivered", bus.Held(), len(s.received()))
	}
	bus.Release()
	for _, event := range s.wait(3)[1:] {
		if !strings.Contains(event, `"operation":"Update"`) {
			t.Errorf("it is %s", event)
		}
	}
	bus.Disturb(events.Disturbance{})
	ok(s.events.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("tag")}))(t)
	if _, err := c.put(t.Context(), "/orders/tag", "v3"); err != nil {
		t.Fatal(err)
	}
	ok(s.events.EnableRule(t.Context(), &eventbridge.EnableRuleInput{Name: aws.String("tag")}))(t)
	if _, err := c.put(t.Context(), "/orders/tag", "v4"); err != nil {
		t.Fatal(err)
	}
	if got := len(s.wait(4)); got != 4 {
		t.Errorf("%d events came, want those of v1, v2 twice, and v4", got)
	}
}

func TestScheduleAndDeadLetters(t *testing.T) {
	s := newStage(t, localaws.Options{})
	function := s.function("caller", nil)
	dead, deadARN := s.queue("dead", nil)
	ok(s.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("often"), ScheduleExpression: aws.String("rate(15 minutes)")}))(t)
	to := target("f", function)
	to.Input, to.DeadLetterConfig = aws.String(`{"reconcile":true}`), &eventtypes.DeadLetterConfig{Arn: &deadARN}
	ok(s.events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("often"), Targets: []eventtypes.Target{to}}))(t)
	if err := s.server.Events().Fire(t.Context(), "often"); err != nil {
		t.Fatal(err)
	}
	if got := s.wait(1)[0]; got != `{"reconcile":true}` {
		t.Errorf("it is invoked with %s", got)
	}
	ok(s.lambda.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("caller")}))(t)
	if err := s.server.Events().Fire(t.Context(), "often"); err != nil {
		t.Fatal(err)
	}
	if got := *s.next(dead).Body; got != `{"reconcile":true}` {
		t.Errorf("the dead-letter queue has %s", got)
	}
}

func (s *stage) mapping(source string, edit func(*lambda.CreateEventSourceMappingInput)) *string {
	s.Helper()
	in := &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("caller"), EventSourceArn: &source}
	if edit != nil {
		edit(in)
	}
	return ok(s.lambda.CreateEventSourceMapping(s.Context(), in))(s).UUID
}

func TestQueueToFunction(t *testing.T) {
	s := newStage(t, localaws.Options{})
	s.function("caller", nil)
	dead, deadARN := s.queue("dead", nil)
	url, arn := s.queue("orders", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":2}`})
	id := s.mapping(arn, nil)
	s.send(url, "one")
	var event struct {
		Records []struct {
			Body, EventSource, EventSourceARN string
			Attributes                        map[string]string
		}
	}
	if err := json.Unmarshal([]byte(s.wait(1)[0]), &event); err != nil {
		t.Fatal(err)
	}
	if r := event.Records[0]; r.Body != "one" || r.EventSource != "aws:sqs" || r.EventSourceARN != arn || r.Attributes["ApproximateReceiveCount"] != "1" {
		t.Errorf("it is invoked with %+v", event)
	}
	eventually(t, "the queue is empty", func() bool { return s.left(url) == "0+0" })
	_, err := s.lambda.CreateEventSourceMapping(t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("caller"), EventSourceArn: &arn})
	expectCode(t, err, "ResourceConflictException", "already exists")

	// What the function fails on comes back, and ends in the dead-letter queue.
	s.answers(failing)
	s.send(url, "two")
	if got := *s.next(dead).Body; got != "two" {
		t.Errorf("the dead-letter queue has %q", got)
	}
	if got := len(s.received()); got != 3 {
		t.Errorf("the function was invoked %d times, want once and twice", got)
	}
	m := ok(s.lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: id}))(t)
	if *m.State != "Enabled" || *m.LastProcessingResult != "PROBLEM: Function call failed" {
		t.Errorf("the mapping is %s, %s", *m.State, *m.LastProcessingResult)
	}

	// Held: nothing is taken from the queue until the mapping is enabled.
	ok(s.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(false)}))(t)
	s.answers(func(string) (string, error) { return "null", nil })
	s.send(url, "three")
	if got := ok(s.lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: id}))(t); *got.State != "Disabled" || s.left(url) != "1+0" {
		t.Errorf("the mapping is %s, the queue has %s", *got.State, s.left(url))
	}
	ok(s.lambda.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(true)}))(t)
	s.wait(4)
	listed := ok(s.lambda.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("caller")}))(t)
	if len(listed.EventSourceMappings) != 1 {
		t.Errorf("%d mappings are listed", len(listed.EventSourceMappings))
	}
	ok(s.lambda.DeleteEventSourceMapping(t.Context(), &lambda.DeleteEventSourceMappingInput{UUID: id}))(t)
	_, err = s.lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: id})
	expectCode(t, err, "ResourceNotFoundException", "")
}

func TestPartOfABatchFails(t *testing.T) {
	s := newStage(t, localaws.Options{})
	s.function("caller", nil)
	dead, deadARN := s.queue("dead", nil)
	url, arn := s.queue("orders", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":1}`})
	s.answers(func(event string) (string, error) {
		var e struct {
			Records []struct{ MessageID, Body string }
		}
		if err := json.Unmarshal([]byte(event), &e); err != nil {
			return "", err
		}
		for _, r := range e.Records {
			if r.Body == "bad" {
				return `{"batchItemFailures":[{"itemIdentifier":"` + r.MessageID + `"}]}`, nil
			}
		}
		return `{"batchItemFailures":[]}`, nil
	})
	for _, body := range []string{"good", "bad", "fine"} {
		s.send(url, body)
	}
	s.mapping(arn, func(in *lambda.CreateEventSourceMappingInput) {
		in.FunctionResponseTypes = []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures}
	})
	if got := *s.next(dead).Body; got != "bad" {
		t.Errorf("the dead-letter queue has %q", got)
	}
	eventually(t, "the queue is empty", func() bool { return s.left(url) == "0+0" })
}

func (s *stage) invokeEvent(payload string) {
	s.Helper()
	out := ok(s.lambda.Invoke(s.Context(), &lambda.InvokeInput{FunctionName: aws.String("caller"), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(payload)}))(s)
	if out.StatusCode != http.StatusAccepted {
		s.Errorf("it answers %d", out.StatusCode)
	}
}

func TestFailedEvents(t *testing.T) {
	s := newStage(t, localaws.Options{})
	dead, deadARN := s.queue("dead", nil)
	failed, failedARN := s.queue("failed", nil)
	done, doneARN := s.queue("done", nil)
	s.function("caller", func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &lambdatypes.DeadLetterConfig{TargetArn: &deadARN}
	})
	s.answers(failing)
	s.invokeEvent(`{"n":1}`)
	m := s.next(dead)
	if *m.Body != `{"n":1}` || aws.ToString(m.MessageAttributes["ErrorMessage"].StringValue) != "no release yet" {
		t.Errorf("the dead-letter queue has %s, %v", *m.Body, m.MessageAttributes)
	}
	if got := len(s.received()); got != 3 {
		t.Errorf("it was invoked %d times, want 3", got)
	}
	ok(s.lambda.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: aws.String("caller"), MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: &failedARN}, OnSuccess: &lambdatypes.OnSuccess{Destination: &doneARN}},
	}))(t)
	config := ok(s.lambda.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("caller")}))(t)
	if *config.MaximumRetryAttempts != 0 || *config.DestinationConfig.OnFailure.Destination != failedARN || !strings.HasSuffix(*config.FunctionArn, ":$LATEST") {
		t.Errorf("it is %+v", config)
	}
	s.invokeEvent(`{"n":2}`)
	type record struct {
		RequestContext  struct{ Condition string }
		RequestPayload  struct{ N int }
		ResponseContext struct{ FunctionError string }
		ResponsePayload struct{ ErrorMessage string }
	}
	read := func(url *string) (r record) {
		t.Helper()
		if err := json.Unmarshal([]byte(*s.next(url).Body), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := read(failed); r.RequestContext.Condition != "RetriesExhausted" || r.RequestPayload.N != 2 || r.ResponseContext.FunctionError != "Unhandled" || r.ResponsePayload.ErrorMessage != "no release yet" {
		t.Errorf("the record is %+v", r)
	}
	if got := len(s.received()); got != 4 {
		t.Errorf("it was invoked %d times, want once more only", got)
	}
	s.answers(func(string) (string, error) { return `{"errorMessage":"none"}`, nil })
	s.invokeEvent(`{"n":3}`)
	if r := read(done); r.RequestContext.Condition != "Success" || r.RequestPayload.N != 3 || r.ResponseContext.FunctionError != "" {
		t.Errorf("the record is %+v", r)
	}
	ok(s.lambda.DeleteFunctionEventInvokeConfig(t.Context(), &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: aws.String("caller")}))(t)
	_, err := s.lambda.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("caller")})
	expectCode(t, err, "ResourceNotFoundException", "doesn't have an EventInvokeConfig")
}

// An event that was accepted is not lost when the process ends before the function
// has taken it.
func TestEventsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := localaws.Start(localaws.Options{Dir: dir, RetryDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, localaws.Options{})
	s.on(first)
	function := s.function("caller", nil)
	s.answers(failing)
	s.invokeEvent(`{"n":1}`)
	s.wait(1)
	s.rule("late", `{"source":["test"]}`, target("f", function))
	first.Events().Hold()
	ok(s.events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{Source: aws.String("test"), DetailType: aws.String("t"), Detail: aws.String(`{}`)}}}))(t)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.answers(func(string) (string, error) { return "null", nil })
	start(t, localaws.Options{Dir: dir, RetryDelay: time.Millisecond})
	seen := strings.Join(s.wait(3)[1:], "\n")
	if !strings.Contains(seen, `{"n":1}`) || !strings.Contains(seen, `"source":"test"`) {
		t.Errorf("the events that came again are\n%s", seen)
	}
}

func TestFunctionURL(t *testing.T) {
	s := newStage(t, localaws.Options{})
	s.function("caller", nil)
	created := ok(s.lambda.CreateFunctionUrlConfig(t.Context(), &lambda.CreateFunctionUrlConfigInput{FunctionName: aws.String("caller"), AuthType: lambdatypes.FunctionUrlAuthTypeNone}))(t)
	s.answers(func(string) (string, error) {
		return `{"statusCode":201,"headers":{"X-Own":"yes"},"cookies":["a=b"],"body":"bWFkZQ==","isBase64Encoded":true}`, nil
	})
	request := func(method, url, body string) (int, http.Header, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		response := ok(http.DefaultClient.Do(r))(t)
		defer response.Body.Close()
		return response.StatusCode, response.Header, string(ok(io.ReadAll(response.Body))(t))
	}
	status, header, body := request("POST", *created.FunctionUrl+"orders/7?a=1&a=2", "hello")
	if status != http.StatusCreated || header.Get("X-Own") != "yes" || header.Get("Set-Cookie") != "a=b" || body != "made" {
		t.Errorf("it answers %d %v %q", status, header, body)
	}
	var event struct {
		Version, RawPath, RawQueryString, Body string
		QueryStringParameters                  map[string]string
		IsBase64Encoded                        bool
		RequestContext                         struct{ HTTP struct{ Method string } }
	}
	if err := json.Unmarshal([]byte(s.wait(1)[0]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Version != "2.0" || event.RawPath != "/orders/7" || event.QueryStringParameters["a"] != "1,2" || event.Body != "hello" || event.IsBase64Encoded || event.RequestContext.HTTP.Method != "POST" {
		t.Errorf("the function got %+v", event)
	}
	s.answers(func(string) (string, error) { return `{"plain":true}`, nil })
	if status, header, body := request("GET", *created.FunctionUrl, ""); status != http.StatusOK || header.Get("Content-Type") != "application/json" || body != `{"plain":true}` {
		t.Errorf("it answers %d %v %q", status, header, body)
	}
	s.answers(failing)
	if status, _, _ := request("GET", *created.FunctionUrl, ""); status != http.StatusBadGateway {
		t.Errorf("a function that fails answers %d", status)
	}
	ok(s.lambda.UpdateFunctionUrlConfig(t.Context(), &lambda.UpdateFunctionUrlConfigInput{FunctionName: aws.String("caller"), AuthType: lambdatypes.FunctionUrlAuthTypeAwsIam}))(t)
	if status, _, _ := request("GET", *created.FunctionUrl, ""); status != http.StatusForbidden {
		t.Errorf("without a signature it answers %d", status)
	}
	if got := ok(s.lambda.GetFunctionUrlConfig(t.Context(), &lambda.GetFunctionUrlConfigInput{FunctionName: aws.String("caller")}))(t); got.AuthType != lambdatypes.FunctionUrlAuthTypeAwsIam || *got.FunctionUrl != *created.FunctionUrl {
		t.Errorf("it is %+v", got)
	}
	ok(s.lambda.DeleteFunctionUrlConfig(t.Context(), &lambda.DeleteFunctionUrlConfigInput{FunctionName: aws.String("caller")}))(t)
	if status, _, _ := request("GET", *created.FunctionUrl, ""); status != http.StatusForbidden {
		t.Errorf("a URL that is gone answers %d", status)
	}
	if n := s.server.Calls().Count("lambda:InvokeFunctionUrl"); n != 5 {
		t.Errorf("%d requests are in the log of calls", n)
	}
}

func TestPermissions(t *testing.T) {
	s := newStage(t, localaws.Options{})
	function := s.function("caller", func(in *lambda.CreateFunctionInput) {
		in.LoggingConfig = &lambdatypes.LoggingConfig{LogGroup: aws.String("/own")}
	})
	name := aws.String("caller")
	_, err := s.lambda.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: name})
	expectCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
	add := func(id, action, principal string, edit func(*lambda.AddPermissionInput)) (string, error) {
		in := &lambda.AddPermissionInput{FunctionName: name, StatementId: &id, Action: &action, Principal: &principal}
		if edit != nil {
			edit(in)
		}
		out, err := s.lambda.AddPermission(t.Context(), in)
		if err != nil {
			return "", err
		}
		return *out.Statement, nil
	}
	rule := "arn:aws:events:us-east-1:000000000000:rule/r"
	if got := ok(add("rule", "lambda:InvokeFunction", "events.amazonaws.com", func(in *lambda.AddPermissionInput) { in.SourceArn = &rule }))(t); got !=
		`{"Sid":"rule","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"`+function+`","Condition":{"ArnLike":{"AWS:SourceArn":"`+rule+`"}}}` {
		t.Errorf("the statement is %s", got)
	}
	if got := ok(add("url", "lambda:InvokeFunctionUrl", "*", func(in *lambda.AddPermissionInput) { in.FunctionUrlAuthType = lambdatypes.FunctionUrlAuthTypeNone }))(t); !strings.Contains(got, `"Principal":"*"`) || !strings.Contains(got, `{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}`) {
		t.Errorf("the statement is %s", got)
	}
	if got := ok(add("account", "lambda:GetFunction", "111111111111", nil))(t); !strings.Contains(got, `{"AWS":"arn:aws:iam::111111111111:root"}`) {
		t.Errorf("the statement is %s", got)
	}
	_, err = add("rule", "lambda:InvokeFunction", "events.amazonaws.com", nil)
	expectCode(t, err, "ResourceConflictException", "The statement id (rule) provided already exists.")
	_, err = add("odd", "s3:GetObject", "*", nil)
	expectCode(t, err, "ValidationException", "'action'")
	_, err = add("stale", "lambda:InvokeFunction", "*", func(in *lambda.AddPermissionInput) { in.RevisionId = aws.String("stale") })
	expectCode(t, err, "PreconditionFailedException", "")
	for _, id := range []string{"rule", "url"} {
		ok(s.lambda.RemovePermission(t.Context(), &lambda.RemovePermissionInput{FunctionName: name, StatementId: &id}))(t)
	}
	_, err = s.lambda.RemovePermission(t.Context(), &lambda.RemovePermissionInput{FunctionName: name, StatementId: aws.String("rule")})
	expectCode(t, err, "ResourceNotFoundException", "Statement rule is not found in resource policy.")
	var document struct{ Statement []struct{ Sid string } }
	if err := json.Unmarshal([]byte(*ok(s.lambda.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: name}))(t).Policy), &document); err != nil || len(document.Statement) != 1 || document.Statement[0].Sid != "account" {
		t.Errorf("the policy is %+v, %v", document, err)
	}
	if f := ok(s.lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: name}))(t); *f.LoggingConfig.LogGroup != "/own" {
		t.Errorf("it logs to %s", *f.LoggingConfig.LogGroup)
	}
	// A function of the same name later begins without what belonged to this one.
	ok(s.lambda.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: name}))(t)
	s.function("caller", nil)
	_, err = s.lambda.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: name})
	expectCode(t, err, "ResourceNotFoundException", "")
}
