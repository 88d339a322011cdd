package localaws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// patience is how long a client waits that is to give up: long enough that its request
// has arrived by then, on a machine that is busy too.
const patience = time.Second

// faulty starts an endpoint whose parameter /tag has been v1 and is v2, and then puts
// a fault in force.
func faulty(t *testing.T, rule fault.Rule) (*localaws.Server, clients) {
	t.Helper()
	server, c := start(t, localaws.Options{})
	for _, value := range []string{"v1", "v2"} {
		if _, err := c.put(t.Context(), "/tag", value); err != nil {
			t.Fatal(err)
		}
	}
	server.Calls().Reset()
	server.Faults().Add(rule)
	return server, c
}

// expectValue fails unless the parameter has the value, once no fault is in force.
func expectValue(t *testing.T, server *localaws.Server, c clients, want string) {
	t.Helper()
	server.Faults().Clear()
	if got, err := c.get(t.Context(), "/tag"); got != want {
		t.Errorf("the parameter is %q, %v, want %q", got, err, want)
	}
}

func TestFaultsOfCalls(t *testing.T) {
	for _, test := range []struct {
		kind                fault.Kind
		status, code, value string
	}{
		{fault.Error, "500", "InternalFailure", "v2"},
		{fault.Throttle, "400", "ThrottlingException", "v2"},
		{fault.Denied, "400", "AccessDeniedException", "v2"},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			server, c := faulty(t, fault.Rule{Operation: "ssm:Put*", Kind: test.kind})
			_, err := c.put(t.Context(), "/tag", "v3")
			expectCode(t, err, test.code, "")
			expectCalls(t, server, "ssm:PutParameter "+test.status+" "+test.code)
			if got, err := c.get(t.Context(), "/tag"); got != "v2" {
				t.Errorf("another operation gives %q, %v", got, err)
			}
			expectValue(t, server, c, test.value)
		})
	}
	t.Run("denied says who may not do what", func(t *testing.T) {
		_, c := faulty(t, fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Denied})
		_, err := c.get(t.Context(), "/tag")
		expectCode(t, err, "AccessDeniedException", "infra is not authorized to perform: ssm:GetParameter")
	})
	t.Run("timeout", func(t *testing.T) {
		server, c := faulty(t, fault.Rule{Operation: "ssm:PutParameter", Kind: fault.Timeout})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := c.put(ctx, "/tag", "v3"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the client's own deadline", err)
		}
		expectCalls(t, server, "ssm:PutParameter 0")
		expectValue(t, server, c, "v2")
	})
	t.Run("lost answer", func(t *testing.T) {
		server, c := faulty(t, fault.Rule{Operation: "ssm:PutParameter", Kind: fault.LostAnswer})
		_, err := c.put(t.Context(), "/tag", "v3")
		if !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want a connection that breaks", err)
		}
		expectCalls(t, server, "ssm:PutParameter 0")
		expectValue(t, server, c, "v3")
	})
	t.Run("stale", func(t *testing.T) {
		server, c := faulty(t, fault.Rule{Operation: "ssm:Get*", Kind: fault.Stale})
		if got, err := c.get(t.Context(), "/tag"); got != "v1" {
			t.Errorf("the stale read gives %q, %v", got, err)
		}
		expectCalls(t, server, "ssm:GetParameter 200")
		expectValue(t, server, c, "v2")
	})
	// What a fault strikes is the operation, in every protocol and in its words.
	for operation, code := range map[string]string{
		"sts:GetCallerIdentity": "AccessDenied", "lambda:ListFunctions": "AccessDeniedException", "ecr:DescribeRepositories": "AccessDeniedException",
	} {
		t.Run(operation, func(t *testing.T) {
			_, c := faulty(t, fault.Rule{Operation: operation, Kind: fault.Denied})
			var err error
			switch operation {
			case "sts:GetCallerIdentity":
				_, err = c.sts.GetCallerIdentity(t.Context(), nil)
			case "lambda:ListFunctions":
				_, err = c.lambda.ListFunctions(t.Context(), nil)
			case "ecr:DescribeRepositories":
				_, err = c.ecr.DescribeRepositories(t.Context(), nil)
			}
			expectCode(t, err, code, operation)
		})
	}
}

// Lambda has statuses of its own, and its own word for too many requests.
func TestFaultsInLambdasWords(t *testing.T) {
	for kind, want := range map[fault.Kind]string{
		fault.Error:    "500 ServiceException",
		fault.Throttle: "429 TooManyRequestsException",
		fault.Denied:   "403 AccessDeniedException",
	} {
		t.Run(string(kind), func(t *testing.T) {
			server, c := faulty(t, fault.Rule{Operation: "lambda:ListFunctions", Kind: kind})
			_, err := c.lambda.ListFunctions(t.Context(), nil)
			_, code, _ := strings.Cut(want, " ")
			expectCode(t, err, code, "")
			if limited := new(lambdatypes.TooManyRequestsException); kind == fault.Throttle && (!errors.As(err, &limited) || limited.Reason != lambdatypes.ThrottleReasonCallerRateLimitExceeded) {
				t.Errorf("the client reads %#v", err)
			}
			expectCalls(t, server, "lambda:ListFunctions "+want)
		})
	}
}

// The SDK takes the throttling error for one, waits and tries again; so it does where
// the service fails or the answer is lost.
func TestTheSDKRetries(t *testing.T) {
	for _, test := range []struct {
		kind  fault.Kind
		calls []string
	}{
		{fault.Throttle, []string{"ssm:PutParameter 400 ThrottlingException", "ssm:PutParameter 400 ThrottlingException", "ssm:PutParameter 200"}},
		{fault.Error, []string{"ssm:PutParameter 500 InternalFailure", "ssm:PutParameter 500 InternalFailure", "ssm:PutParameter 200"}},
		{fault.LostAnswer, []string{"ssm:PutParameter 0", "ssm:PutParameter 0", "ssm:PutParameter 200"}},
		{fault.Denied, []string{"ssm:PutParameter 400 AccessDeniedException"}},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			server, _ := faulty(t, fault.Rule{Operation: "ssm:PutParameter", Kind: test.kind, Times: 2})
			patient := connect(server.URL(), server.Region(), func(c *sdkaws.Config) {
				c.RetryMaxAttempts = 0
				c.Retryer = func() sdkaws.Retryer {
					return retry.NewStandard(func(o *retry.StandardOptions) {
						o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
					})
				}
			})
			_, err := patient.put(t.Context(), "/tag", "v3")
			if succeeded := err == nil; succeeded != (test.kind != fault.Denied) {
				t.Errorf("got %v", err)
			}
			expectCalls(t, server, test.calls...)
			if test.kind == fault.LostAnswer {
				// Each attempt was carried out: 2 versions before, 3 now.
				out, err := patient.ssm.GetParameterHistory(t.Context(), &ssm.GetParameterHistoryInput{Name: sdkaws.String("/tag")})
				if err != nil || len(out.Parameters) != 5 {
					t.Errorf("got %v, %v", out, err)
				}
			}
		})
	}
}

func TestFaultsCountCalls(t *testing.T) {
	_, c := faulty(t, fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Error, Nth: 2, Times: 1})
	for i, want := range []bool{true, false, true} {
		if _, err := c.get(t.Context(), "/tag"); (err == nil) != want {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}

// Faults that are given at the start strike the first call already.
func TestFaultsFromTheStart(t *testing.T) {
	_, c := start(t, localaws.Options{Faults: []fault.Rule{{Operation: "ssm:PutParameter", Kind: fault.Denied, Times: 1}}})
	_, err := c.put(t.Context(), "/tag", "v1")
	expectCode(t, err, "AccessDeniedException", "")
	if _, err := c.put(t.Context(), "/tag", "v1"); err != nil {
		t.Error(err)
	}
}

func TestFaultsOfTheRegistry(t *testing.T) {
	const operation = "PUT manifests"
	for _, test := range []struct {
		kind   fault.Kind
		status int
		there  bool // afterwards
	}{
		{fault.Error, http.StatusInternalServerError, false},
		{fault.Throttle, http.StatusTooManyRequests, false},
		{fault.Denied, http.StatusForbidden, false},
		{fault.Timeout, 0, false},
		{fault.LostAnswer, 0, true},
		// A registry's reads are consistent, in ECR and here: there is nothing to be stale.
		{fault.Stale, http.StatusCreated, true},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			server, c := start(t, localaws.Options{})
			c.repository(t, "orders")
			repository, err := c.registry(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			server.Faults().Add(fault.Rule{Operation: "registry:" + operation, Kind: test.kind})
			p := newPicture([]byte("layer"))
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if test.kind == fault.Timeout {
				ctx, cancel = context.WithTimeout(ctx, 2*patience)
			}
			defer cancel()
			err = p.push(ctx, repository, "v1")
			var answered *errcode.ErrorResponse
			switch {
			case test.kind == fault.Timeout && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("got %v, want the client's own deadline", err)
			case test.kind == fault.LostAnswer && !errors.Is(err, io.EOF):
				t.Errorf("got %v, want a connection that breaks", err)
			case test.kind == fault.Stale && err != nil:
				t.Error(err)
			case test.status >= 400 && (!errors.As(err, &answered) || answered.StatusCode != test.status):
				t.Errorf("got %v, want status %d", err, test.status)
			}
			eventually(t, "the call is in the log", func() bool { return server.Calls().Count("registry:"+operation) == 1 })
			for _, call := range server.Calls().All() {
				if call.Operation == operation && call.Status != test.status {
					t.Errorf("the log has status %d, want %d", call.Status, test.status)
				}
			}
			server.Faults().Clear()
			got, err := pull(t.Context(), repository, "v1")
			if there := err == nil && got == p.manifest.Digest; there != test.there {
				t.Errorf("the image is there: %t, %v; want %t", there, err, test.there)
			}
			if err := p.push(t.Context(), repository, "v1"); err != nil {
				t.Errorf("the push is done again: %v", err)
			}
			if _, err := pull(t.Context(), repository, p.manifest.Digest.String()); err != nil {
				t.Errorf("and pulled: %v", err)
			}
		})
	}
}

// Errors of the registry are in the form that its clients read.
func TestFaultsOfTheRegistryCanBeRead(t *testing.T) {
	server, _ := start(t, localaws.Options{})
	for kind, code := range map[fault.Kind]string{fault.Error: "UNKNOWN", fault.Throttle: "TOOMANYREQUESTS", fault.Denied: "DENIED"} {
		server.Faults().Clear()
		server.Faults().Add(fault.Rule{Operation: "registry:GET base", Kind: kind})
		response, err := http.Get(server.URL() + "/v2/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), `"code":"`+code+`"`) {
			t.Errorf("%s: got %s %s, %v", kind, response.Header.Get("Content-Type"), body, err)
		}
	}
}

// A client that gives up while its body is still on the way is noticed too.
func TestATimeoutOfTheRegistryEndsWithItsClient(t *testing.T) {
	server, c := start(t, localaws.Options{})
	c.repository(t, "orders")
	server.Faults().Add(fault.Rule{Operation: "registry:P*", Kind: fault.Timeout})
	for name, body := range map[string]io.Reader{
		"whole": bytes.NewReader(make([]byte, 1<<20)),
		"part":  io.MultiReader(bytes.NewReader(make([]byte, 1<<16)), never{}),
	} {
		t.Run(name, func(t *testing.T) {
			server.Calls().Reset()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPatch, server.URL()+"/v2/orders/blobs/uploads/x", withContext{ctx, body})
			if err != nil {
				t.Fatal(err)
			}
			if response, err := http.DefaultClient.Do(r); err == nil {
				response.Body.Close()
				t.Fatalf("got %s", response.Status)
			}
			eventually(t, "the call has ended", func() bool { return server.Calls().Count("registry:PATCH uploads") == 1 })
		})
	}
}

// never is a body that has more to come.
type never struct{}

func (never) Read([]byte) (int, error) { return 0, nil }

// withContext is a reader that ends with a context.
type withContext struct {
	ctx context.Context
	io.Reader
}

func (r withContext) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n == 0 && err == nil {
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	}
	return n, err
}
