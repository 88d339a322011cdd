package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/internal/memory"
	"github.com/tasuki-dev/tasuki/lambdaimage"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

const (
	stackID     = "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/6a6e2930-c8a1-11f0-9d3c-0a1b2c3d4e5f"
	responseURL = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws/shop?X-Amz-Security-Token=" + secretMark + "&X-Amz-Signature=" + secretMark
	// secretMark stands wherever a secret does in these tests, and nowhere in a log.
	secretMark = "5ec4e7-5ec4e7-5ec4e7"
	repository = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders"
	parameter  = "/tasuki/orders/image-tag"
	function   = "orders"
)

// stacks are CloudFormation's stacks: one, with its resources' physical ids.
type stacks struct {
	status    string // "" for a stack that does not exist
	statusErr error
	resources map[string]string
	err       error // of StackResource
	then      []string
}

func (s *stacks) StackStatus(context.Context, string) (string, error) {
	switch {
	case s.statusErr != nil:
		return "", s.statusErr
	case s.status == "":
		return "", failure(tasuki.ErrMissing)
	}
	status := s.status
	if len(s.then) > 0 {
		s.status, s.then = s.then[0], s.then[1:]
	}
	return status, nil
}

func (s *stacks) StackResource(_ context.Context, _, logicalID string) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	if id := s.resources[logicalID]; id != "" {
		return id, nil
	}
	return "", failure(tasuki.ErrMissing)
}

func failure(kind error) error {
	return &tasuki.Error{Op: "read", Side: tasuki.SideTag, Subject: parameter, Kind: kind, Err: errors.New("as the test wants it")}
}

// mappings are event source mappings by their UUIDs: whether they are enabled.
type mappings map[string]bool

func (m mappings) EnableEventSource(_ context.Context, uuid string) (bool, error) {
	enabled, there := m[uuid]
	if !there {
		return false, failure(tasuki.ErrMissing)
	}
	m[uuid] = true
	return !enabled, nil
}

// store is an ImageStore whose placeholder is the memory's.
type store struct {
	relay  *relay
	deploy func(Deployment) (tasuki.Digest, []string, error)
}

func (s store) Open(_ tasuki.HandoffName, reference string) tasuki.ImageSource {
	labels := map[string]string{tasuki.PlaceholderLabel: "orders"}
	if reference != "" {
		labels = nil
	}
	return &builtFor{s.relay, "placeholder" + reference, labels}
}

func (s store) Deploy(_ context.Context, d Deployment) (tasuki.Digest, []string, error) {
	return s.deploy(d)
}

// builtFor is a source of an image for each architecture.
type builtFor struct {
	relay  *relay
	name   string
	labels map[string]string
}

func (b *builtFor) source(arch tasuki.Architecture) *memory.Source {
	manifest, config := memory.Image(arch, b.name, b.labels)
	return &memory.Source{AWS: &b.relay.AWS, Name: b.name, Manifest: manifest, Config: config}
}
func (b *builtFor) String() string { return b.name }
func (b *builtFor) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	return b.source(arch).Inspect(ctx, arch)
}
func (b *builtFor) Push(ctx context.Context, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	arch, _ := tasuki.ArchitectureFromOCI(image.Facts.Architecture)
	return b.source(arch).Push(ctx, image, repository, tag)
}

// relay is a handoff in memory, and the provider over it.
type relay struct {
	memory.AWS
	t       *testing.T
	stacks  *stacks
	sources mappings
	handler *Handler
	handoff tasuki.Handoff
	log     *localawstest.Log // looked through for secrets when the test ends

	mu      sync.Mutex
	answers []answer
	before  map[string]any                              // properties of the resource before an update, where it changes more than a nonce
	sendTo  func(*http.Request) (*http.Response, error) // nil takes every answer
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{t: t, stacks: &stacks{status: "UPDATE_IN_PROGRESS", resources: map[string]string{}}, sources: mappings{}, log: &localawstest.Log{}}
	r.handoff = tasuki.Handoff{
		Name: must(t, tasuki.ParseHandoffName, "orders"), Repository: must(t, tasuki.ParseRepository, repository),
		TagParameter: must(t, tasuki.ParseParameterName, parameter), PlaceholderTag: tasuki.DefaultPlaceholderTag,
	}
	r.CreateRepository(r.handoff.Repository)
	r.handler = &Handler{
		Reconciler: tasuki.Reconciler{
			Resolver: tasuki.Resolver{Tags: &r.AWS, Functions: &r.AWS, Images: &r.AWS, Rules: lambdaimage.Check},
			Updater:  &r.AWS, Versions: &r.AWS, Tagger: &r.AWS,
		},
		Aliases: &r.AWS, Stacks: r.stacks, EventSources: r.sources, Images: store{relay: r}, Log: newLog(r.log), Transport: r,
	}
	t.Cleanup(func() {
		if strings.Contains(r.log.String(), secretMark) {
			t.Errorf("the log has a secret in it:\n%s", r.log)
		}
	})
	return r
}

// RoundTrip is where answers go.
func (r *relay) RoundTrip(request *http.Request) (*http.Response, error) {
	if r.sendTo != nil {
		response, err := r.sendTo(request)
		if response == nil || response.StatusCode != http.StatusOK {
			return response, err
		}
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || len(body) > longestAnswer {
		r.t.Errorf("CloudFormation cannot take the answer of %d bytes: %v", len(body), err)
	}
	if request.Method != http.MethodPut || request.Header.Get("Content-Type") != "" {
		r.t.Errorf("the signature is not for %s with Content-Type %q", request.Method, request.Header.Get("Content-Type"))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
	return status(http.StatusOK), nil
}

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}}
}

func must[T any](t *testing.T, parse func(string) (T, error), s string) T {
	t.Helper()
	v, err := parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// push puts an image into ECR under tag.
func (r *relay) push(tag string, arch tasuki.Architecture) tasuki.Digest {
	r.t.Helper()
	manifest, config := memory.Image(arch, tag, nil)
	if err := r.Push(r.handoff.Repository, must(r.t, tasuki.ParseTag, tag), [][]byte{config}, manifest); err != nil {
		r.t.Fatal(err)
	}
	return manifest.Digest
}

// release pushes an image and registers it, as a release does.
func (r *relay) release(tag string, arch tasuki.Architecture) tasuki.Digest {
	r.t.Helper()
	digest := r.push(tag, arch)
	record, err := tasuki.Record{Tag: must(r.t, tasuki.ParseTag, tag), Digest: digest, Repository: r.handoff.Repository}.Description()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.WriteTag(r.t.Context(), r.handoff.TagParameter, must(r.t, tasuki.ParseTag, tag), record); err != nil {
		r.t.Fatal(err)
	}
	return digest
}

// create makes the function, as the stack's resource Fn, on the image of a digest.
func (r *relay) create(digest tasuki.Digest, arch tasuki.Architecture) {
	r.CreateFunction(function, tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digest)}, arch)
	r.stacks.resources["Fn"] = function
}

func (r *relay) runs() tasuki.Digest {
	r.t.Helper()
	f, err := r.Function(r.t.Context(), function)
	if err != nil {
		r.t.Fatal(err)
	}
	return f.Digest
}

// imageProperties are those of the handoff's Custom::TasukiImage.
func imageProperties() customresource.Image {
	return customresource.Image{
		Handoff: "orders", Repository: repository, TagParameter: parameter, PlaceholderTag: "initial", Architecture: "arm64",
		Functions: []customresource.ImageFunction{{LogicalID: "Fn"}},
	}
}

// ask sends CloudFormation's request for a resource and returns the answer.
func (r *relay) ask(requestType, resourceType, physicalID string, properties any) answer {
	r.t.Helper()
	return r.askWithin(r.t.Context(), requestType, resourceType, physicalID, customresource.Properties(properties))
}

func (r *relay) askWithin(ctx context.Context, requestType, resourceType, physicalID string, properties map[string]any) answer {
	r.t.Helper()
	all := maps.Clone(properties)
	all["ServiceToken"] = "arn:aws:lambda:eu-west-1:111122223333:function:provider"
	event := map[string]any{
		"RequestType": requestType, "ResponseURL": responseURL, "StackId": stackID, "RequestId": "4f2c0f0e-1", "LogicalResourceId": "Resource",
		"ResourceType": resourceType, "ResourceProperties": all,
	}
	if physicalID != "" {
		event["PhysicalResourceId"] = physicalID
	}
	if requestType == update {
		old := maps.Clone(all)
		old[customresource.PropertyNonce] = "before"
		maps.Copy(old, r.before)
		event["OldResourceProperties"] = old
	}
	before := len(r.answers)
	if err := r.send(ctx, event); err != nil {
		r.t.Fatalf("the handler failed: %v", err)
	}
	if len(r.answers) != before+1 {
		r.t.Fatalf("CloudFormation got %d answers, want one", len(r.answers)-before)
	}
	a := r.answers[before]
	if a.StackID != stackID || a.RequestID != "4f2c0f0e-1" || a.LogicalResourceID != "Resource" || a.PhysicalResourceID == "" {
		r.t.Errorf("the answer is not to the request: %+v", a)
	}
	return a
}

func (r *relay) send(ctx context.Context, event any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = r.handler.Invoke(ctx, payload)
	if err != nil && strings.Contains(err.Error(), secretMark) {
		r.t.Errorf("the error has a secret in it: %v", err)
	}
	return err
}

func (a answer) String() string {
	return fmt.Sprintf("%s %s (%s) %v", a.Status, a.PhysicalResourceID, a.Reason, a.Data)
}

// wantSuccess fails unless CloudFormation was given the image of a digest.
func (r *relay) wantSuccess(a answer, digest tasuki.Digest, origin tasuki.Origin) {
	r.t.Helper()
	if a.Status != success || a.Data["Digest"] != digest.String() || a.Data["Origin"] != string(origin) ||
		"sha256:"+a.Data["DigestHex"] != digest.String() || a.Data["ImageUri"] != repository+"@"+digest.String() {
		r.t.Errorf("answered %s, want %s from the %s", a, digest, origin)
	}
}

func (r *relay) wantFailed(a answer, texts ...string) {
	r.t.Helper()
	if a.Status != failed || len(a.Data) > 0 {
		r.t.Errorf("answered %s, want a failure", a)
	}
	for _, text := range texts {
		if !strings.Contains(a.Reason, text) {
			r.t.Errorf("the reason %q does not have %q", a.Reason, text)
		}
	}
}
