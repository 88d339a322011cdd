package awsbackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tasuki-dev/tasuki"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	secret  = "SECRET-session-token"
)

// operation is a canned answer to one operation's request.
type operation func(w http.ResponseWriter, in map[string]any)

// fakeAWS answers each operation with the function of its name, and counts.
type fakeAWS struct {
	t          *testing.T
	operations map[string]operation

	mu    sync.Mutex
	calls []string
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := operationOf(r)
	f.mu.Lock()
	f.calls = append(f.calls, name)
	f.mu.Unlock()
	answer := f.operations[name]
	if answer == nil {
		f.t.Errorf("the operation %s was called", name)
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	var in map[string]any
	var body []byte
	var err error
	if r.Body != nil { // nil for a GET that came without a network
		body, err = io.ReadAll(r.Body)
	}
	if err == nil && strings.HasPrefix(string(body), "{") {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		f.t.Errorf("the request of %s: %v", name, err)
	}
	answer(w, in)
}

// count returns how often an operation was called.
func (f *fakeAWS) count(name string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		if call == name {
			n++
		}
	}
	return n
}

// operationOf names the operation that a request is for.
func operationOf(r *http.Request) string {
	if _, name, found := strings.Cut(r.Header.Get("X-Amz-Target"), "."); found {
		return name
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") && r.Method == http.MethodGet:
		return "GetFunction"
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") && r.Method == http.MethodPut:
		return "UpdateFunctionCode"
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		return "GetCallerIdentity"
	}
	return r.Method + " " + r.URL.Path
}

// ok answers with a JSON document.
func ok(format string, args ...any) operation {
	return func(w http.ResponseWriter, _ map[string]any) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		fmt.Fprintf(w, format, args...)
	}
}

// fail answers with an error in the form of all three JSON services at once.
func fail(status int, code, message string) operation {
	return func(w http.ResponseWriter, _ map[string]any) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
		_, _ = w.Write(body)
	}
}

// then answers with each of the operations once, and with the last from then on.
func then(answers ...operation) operation {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, in map[string]any) {
		mu.Lock()
		answer := answers[min(n, len(answers)-1)]
		n++
		mu.Unlock()
		answer(w, in)
	}
}

// serve opens a backend on a real server that answers with the operations.
func serve(t *testing.T, o Options, operations map[string]operation) (*Backend, *fakeAWS) {
	t.Helper()
	fake := &fakeAWS{t: t, operations: operations}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return connect(t, o, server.URL), fake
}

// connect opens a backend on an endpoint. Calls are attempted once where o says nothing.
func connect(t *testing.T, o Options, endpoint string) *Backend {
	t.Helper()
	if o.Config == nil {
		o.Config = &aws.Config{Region: region, BaseEndpoint: aws.String(endpoint), Credentials: awscredentials.NewStaticCredentialsProvider("AKID", "key", secret)}
	}
	if o.RetryMaxAttempts == 0 {
		o.RetryMaxAttempts = 1
	}
	backend, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// inProcess opens a backend that reaches the operations without a network, for
// tests in a bubble of testing/synctest.
func inProcess(t *testing.T, o Options, operations map[string]operation) (*Backend, *fakeAWS) {
	t.Helper()
	fake := &fakeAWS{t: t, operations: operations}
	o.Config = &aws.Config{
		Region: region, Credentials: awscredentials.NewStaticCredentialsProvider("AKID", "key", secret),
		HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			recorder := httptest.NewRecorder()
			fake.ServeHTTP(recorder, r)
			return recorder.Result(), nil
		}),
	}
	return connect(t, o, ""), fake
}

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// kinds are all kinds of failure.
var kinds = []error{
	tasuki.ErrMissing, tasuki.ErrDenied, tasuki.ErrThrottled, tasuki.ErrConflict, tasuki.ErrUnavailable, tasuki.ErrInvalid, tasuki.ErrRefused,
}

// wantKind fails the test unless err is of the kind, of no other, and fit for a person.
func wantKind(t *testing.T, err, kind error) *tasuki.Error {
	t.Helper()
	e, ok := errors.AsType[*tasuki.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *tasuki.Error", err)
	}
	for _, k := range kinds {
		if errors.Is(err, k) != (k == kind) {
			t.Errorf("errors.Is(%q, %q) is %v", err, k, k != kind)
		}
	}
	if e.Op == "" {
		t.Errorf("%#v does not say what was being done", e)
	}
	for _, unfit := range []string{"operation error", "https response error", "StatusCode", "RequestID", "X-Amz-", secret, "exceeded maximum number of attempts", "\n"} {
		if strings.Contains(err.Error()+e.Hint, unfit) {
			t.Errorf("the error contains %q: %s (%s)", unfit, err, e.Hint)
		}
	}
	return e
}

func parse[T any](t *testing.T, parser func(string) (T, error), s string) T {
	t.Helper()
	v, err := parser(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// canceled returns a context that is done.
func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
