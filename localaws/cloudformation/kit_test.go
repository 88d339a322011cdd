package cloudformation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	sdkssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

const (
	account = "000000000000"
	region  = "us-east-1"
	name    = "web" // of the stack that most tests have
)

// world is a CloudFormation over things that a test can look at.
type world struct {
	*cloudformation.Service
	t      testing.TB
	store  *state.Store
	aws    aws.Config
	things *things
	rested chan string // the stack's statuses that end an operation
	fresh  cloudformation.RollbackValues

	mu   sync.Mutex
	step cloudformation.Step
	late time.Duration // how far the service's clock is ahead
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, things: newThings()}
	w.aws = config(ssm.New(store, account, region).Wire())
	t.Cleanup(func() {
		w.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.start()
	return w
}

// beginCreation begins to create the stack of a chain, and returns when its B has been
// created. It goes no further.
func (w *world) beginCreation() {
	w.t.Helper()
	reached := make(chan struct{})
	w.at(func(ctx context.Context, at cloudformation.Point) error {
		if at.LogicalID == "B" && at.Phase == cloudformation.AfterCreate {
			close(reached)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	w.execute(deployment{}, w.changeSet(name, deployment{template: chain}))
	<-reached
}

// start starts the service over what the store has, as a new process would.
func (w *world) start() {
	w.t.Helper()
	w.rested = make(chan string, 100)
	w.Service = cloudformation.New(cloudformation.Options{
		Store: w.store, Account: account, Region: region, Types: w.things.types(), AWS: w.aws, RollbackValues: w.fresh,
		Endpoint: func() string { return "http://localhost" }, Events: rests(w.rested), Now: w.now,
		Step: func(ctx context.Context, at cloudformation.Point) error {
			w.mu.Lock()
			step := w.step
			w.mu.Unlock()
			if step == nil {
				return nil
			}
			return step(ctx, at)
		},
	})
	if err := w.Resume(); err != nil {
		w.t.Fatal(err)
	}
}

// now is the service's clock.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.late)
}

// pass has days pass.
func (w *world) pass(days int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late += time.Duration(days) * 24 * time.Hour
}

// restart ends the service in the middle of what it does, and starts another.
func (w *world) restart() {
	w.t.Helper()
	w.Close()
	w.at(nil)
	w.start()
}

// at has a function called at every step from now on.
func (w *world) at(step cloudformation.Step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
}

// failAt makes steps fail, each once: "before create A" fails the first time, and
// "before create A#2" the second.
func (w *world) failAt(steps ...string) {
	seen := map[string]int{}
	var mu sync.Mutex
	w.at(func(_ context.Context, at cloudformation.Point) error {
		mu.Lock()
		defer mu.Unlock()
		step := string(at.Phase) + " " + at.LogicalID
		seen[step]++
		if seen[step] > 1 {
			step = fmt.Sprintf("%s#%d", step, seen[step])
		}
		if slices.Contains(steps, step) {
			return errors.New("it was told to fail " + step)
		}
		return nil
	})
}

// rests tells of the statuses that end operations.
type rests chan string

func (r rests) Put(_ context.Context, _ string, detail map[string]any) {
	status := detail["status-details"].(map[string]any)["status"].(string)
	if !strings.HasSuffix(status, "_IN_PROGRESS") {
		r <- status
	}
}

// rest waits until the operation under way ends, and returns the stack's status.
func (w *world) rest() string {
	w.t.Helper()
	select {
	case status := <-w.rested:
		return status
	case <-time.After(time.Minute):
		w.t.Fatalf("the stack is not at rest after a minute:\n%s", strings.Join(w.events(), "\n"))
		return ""
	}
}

// deployment is what a test deploys.
type deployment struct {
	template   string
	parameters map[string]string
	noRollback bool
	retain     bool // RetainExceptOnCreate
	tags       map[string]string
}

// deploy creates or updates the stack through a change set, and returns its status.
func (w *world) deploy(d deployment) string {
	w.t.Helper()
	return w.deployTo(name, d)
}

func (w *world) deployTo(stack string, d deployment) string {
	w.t.Helper()
	c := w.changeSet(stack, d)
	if c.Status != types.ChangeSetStatusCreateComplete {
		return string(c.Status) + ": " + aws.ToString(c.StatusReason)
	}
	w.execute(d, c)
	return w.rest()
}

func (w *world) execute(d deployment, c *sdk.DescribeChangeSetOutput) {
	w.t.Helper()
	in := &sdk.ExecuteChangeSetInput{ChangeSetName: c.ChangeSetId, RetainExceptOnCreate: &d.retain}
	if d.noRollback {
		in.DisableRollback = &d.noRollback
	}
	if _, err := w.ExecuteChangeSet(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) changeSet(stack string, d deployment) *sdk.DescribeChangeSetOutput {
	w.t.Helper()
	c, err := w.tryChangeSet(stack, d)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) tryChangeSet(stack string, d deployment) (*sdk.DescribeChangeSetOutput, error) {
	w.t.Helper()
	kind := types.ChangeSetTypeUpdate
	if status := w.status(stack); status == "" || status == "REVIEW_IN_PROGRESS" || status == "DELETE_COMPLETE" {
		kind = types.ChangeSetTypeCreate
	}
	in := &sdk.CreateChangeSetInput{StackName: &stack, ChangeSetName: aws.String("changes"), ChangeSetType: kind, TemplateBody: &d.template}
	for _, key := range slices.Sorted(maps.Keys(d.parameters)) {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: aws.String(key), ParameterValue: aws.String(d.parameters[key])})
	}
	for _, key := range slices.Sorted(maps.Keys(d.tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(d.tags[key])})
	}
	if kind == types.ChangeSetTypeUpdate {
		if _, err := w.DeleteChangeSet(w.t.Context(), &sdk.DeleteChangeSetInput{StackName: &stack, ChangeSetName: in.ChangeSetName}); err != nil {
			w.t.Fatal(err)
		}
	}
	made, err := w.CreateChangeSet(w.t.Context(), in)
	if err != nil {
		return nil, err
	}
	return w.DescribeChangeSet(w.t.Context(), &sdk.DescribeChangeSetInput{ChangeSetName: made.Id})
}

// status returns a stack's status, "" where there is none.
func (w *world) status(stack string) string {
	w.t.Helper()
	out, err := w.DescribeStacks(w.t.Context(), &sdk.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return ""
	}
	return string(out.Stacks[0].StackStatus)
}

func (w *world) stack() types.Stack {
	w.t.Helper()
	out, err := w.DescribeStacks(w.t.Context(), &sdk.DescribeStacksInput{StackName: aws.String(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Stacks[0]
}

// destroy deletes the stack, and returns its status.
func (w *world) destroy() string {
	w.t.Helper()
	if _, err := w.DeleteStack(w.t.Context(), deleteInput()); err != nil {
		w.t.Fatal(err)
	}
	return w.rest()
}

func deleteInput() *sdk.DeleteStackInput { return &sdk.DeleteStackInput{StackName: aws.String(name)} }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// events returns the stack's events in their order, as in "A CREATE_COMPLETE", with
// their reasons in brackets.
func (w *world) events() (lines []string) {
	w.t.Helper()
	id := name
	if out, err := w.ListStacks(context.Background(), &sdk.ListStacksInput{}); err == nil && len(out.StackSummaries) > 0 {
		id = *out.StackSummaries[0].StackId // a deleted stack has no name
	}
	return w.eventsOf(id)
}

// eventsOf is events for a stack.
func (w *world) eventsOf(id string) (lines []string) {
	w.t.Helper()
	var token *string
	for {
		out, err := w.DescribeStackEvents(context.Background(), &sdk.DescribeStackEventsInput{StackName: &id, NextToken: token})
		if err != nil {
			return []string{err.Error()}
		}
		for _, e := range out.StackEvents {
			line := fmt.Sprintf("%s %s", *e.LogicalResourceId, e.ResourceStatus)
			if e.ResourceStatusReason != nil {
				line += " [" + *e.ResourceStatusReason + "]"
			}
			lines = append(lines, line)
		}
		if token = out.NextToken; token == nil {
			slices.Reverse(lines)
			return lines
		}
	}
}

// since returns the events behind the first n, without the stack's first one.
func (w *world) since(n int) []string { return w.events()[n:] }

// put writes an SSM parameter.
func (w *world) put(parameter, value string) {
	w.t.Helper()
	_, err := sdkssm.NewFromConfig(w.aws).PutParameter(w.t.Context(), &sdkssm.PutParameterInput{Name: &parameter, Value: &value, Type: "String", Overwrite: aws.Bool(true)})
	if err != nil {
		w.t.Fatal(err)
	}
}

// thing is what a resource of the types Test::Thing and Custom::Thing is.
type thing struct {
	id         string
	token      string
	properties map[string]any
	tags       map[string]string
}

// things are all that exist, and what was done to them.
type things struct {
	mu    sync.Mutex
	all   map[string]*thing
	calls []string
	next  int
	quiet bool // NoEcho of custom resources
	// answer is what a custom resource returns for its attribute Answer.
	answer func(r resource.Request) string
}

func newThings() *things {
	return &things{all: map[string]*thing{}, answer: func(r resource.Request) string { return fmt.Sprint(r.Properties["Value"]) }}
}

func (s *things) types() map[string]resource.Type {
	value := resource.Property{Kind: resource.Text}
	plain := resource.Type{
		Name:       "Test::Thing",
		Properties: map[string]resource.Property{"Name": value, "Value": value, "Fixed": value, "Tags": {Kind: resource.List, Of: &resource.Property{Kind: resource.Map, Of: &value}}},
		CreateOnly: []string{"Name", "Fixed"},
		Attributes: []string{"Answer", "Id", "Value"},
		Create:     s.create, Update: s.update, Delete: s.delete, Read: s.read,
	}
	custom := plain
	custom.Name, custom.Properties, custom.CreateOnly, custom.Read = "Custom::Thing", nil, nil, nil
	return map[string]resource.Type{plain.Name: plain, custom.Name: custom}
}

func (s *things) log(format string, args ...any) {
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *things) create(_ context.Context, r resource.Request) (resource.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		if t.token == r.Token {
			s.log("create %s again", r.LogicalID)
			return s.result(t, r), nil
		}
	}
	s.next++
	id, _ := r.Properties["Name"].(string)
	if id == "" {
		id, _ = r.Properties["Id"].(string)
	}
	if id == "" {
		id = fmt.Sprintf("%s-%d", strings.ToLower(r.LogicalID), s.next)
	}
	s.log("create %s=%v", r.LogicalID, r.Properties["Value"])
	if s.all[id] != nil {
		return resource.Result{}, fmt.Errorf("%s already exists", id)
	}
	t := &thing{id: id, token: r.Token, properties: r.Properties, tags: r.Tags}
	s.all[id] = t
	return s.result(t, r), nil
}

func (s *things) result(t *thing, r resource.Request) resource.Result {
	return resource.Result{PhysicalID: t.id, Attributes: map[string]any{"Value": t.properties["Value"], "Answer": s.answer(r), "Id": t.id}, NoEcho: s.quiet && r.Type == "Custom::Thing"}
}

func (s *things) update(_ context.Context, r resource.Request) (resource.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log("update %s=%v from %v", r.LogicalID, r.Properties["Value"], r.Previous["Value"])
	t := s.all[r.PhysicalID]
	if t == nil {
		return resource.Result{}, fmt.Errorf("%s does not exist", r.PhysicalID)
	}
	if id, _ := r.Properties["Id"].(string); id != "" && id != t.id {
		// As a custom resource does that replaces what it stands for.
		t = &thing{id: id, token: r.Token}
		s.all[id] = t
	}
	// As handlers do that look for differences.
	changed := maps.Clone(t.properties)
	if changed == nil {
		changed = map[string]any{}
	}
	for name, value := range r.Properties {
		if was, given := r.Previous[name]; !given || !cmp.Equal(was, value) || t.properties == nil {
			changed[name] = value
		}
	}
	for name := range r.Previous {
		if _, still := r.Properties[name]; !still {
			delete(changed, name)
		}
	}
	t.properties, t.tags = changed, r.Tags
	return s.result(t, r), nil
}

func (s *things) delete(_ context.Context, r resource.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log("delete %s %s", r.LogicalID, r.PhysicalID)
	delete(s.all, r.PhysicalID)
	return nil
}

func (s *things) read(_ context.Context, r resource.Request) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t := s.all[r.PhysicalID]; {
	case t == nil:
		return nil, &smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: r.PhysicalID + " does not exist"}
	case t.properties["Value"] == "secret":
		return nil, errors.New("it may not be read")
	default:
		return maps.Clone(t.properties), nil
	}
}

// did returns what was done since it was last asked.
func (s *things) did() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// values returns the Value of everything that exists, by its id.
func (s *things) values() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]string{}
	for id, t := range s.all {
		found[id] = fmt.Sprint(t.properties["Value"])
	}
	return found
}

// config returns a client's configuration that reaches one service.
func config(service wire.Service) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String("http://localhost"), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: &http.Client{Transport: transport{service}},
	}
}

type transport struct{ wire.Service }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	request := &wire.Request{HTTP: r, Body: body, ID: "1", Service: t.Name(), Region: region, Principal: "test"}
	operation, provided := t.Operation(request)
	answer := t.Fail(request, wire.NotProvided(t.Name(), operation))
	if provided {
		answer = t.Serve(wire.WithRequest(r.Context(), request), operation, request)
	}
	return &http.Response{StatusCode: answer.Status, Header: answer.Header, Body: io.NopCloser(strings.NewReader(string(answer.Body))), Request: r}, nil
}
