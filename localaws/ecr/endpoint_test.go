package ecr_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/ecr"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

const (
	account = "000000000000"
	region  = "eu-west-1"
)

// endpoint serves one registry, as the local endpoint's dispatcher does.
type endpoint struct {
	*api.Client
	service *ecr.Service
	url     string
	host    string
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return serve(t, store)
}

func serve(t *testing.T, store *state.Store) *endpoint {
	t.Helper()
	e := &endpoint{}
	service, err := ecr.New(ecr.Options{Store: store, Account: account, Region: region, URL: func() string { return e.url }})
	if err != nil {
		t.Fatal(err)
	}
	registry, protocol := service.Registry(), service.Wire()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			registry.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request := &wire.Request{HTTP: r, Body: body, ID: "1"}
		operation, provided := protocol.Operation(request)
		answer := protocol.Fail(request, wire.NotProvided("ecr", operation))
		if provided {
			answer = protocol.Serve(wire.WithRequest(r.Context(), request), operation, request)
		}
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body)
	}))
	t.Cleanup(server.Close)
	e.service, e.url, e.host = service, server.URL, strings.TrimPrefix(server.URL, "http://")
	e.Client = api.New(api.Options{
		BaseEndpoint:     aws.String(server.URL),
		Region:           region,
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:       sdkhttp.New(),
		RetryMaxAttempts: 1,
	})
	return e
}

// repository creates a repository.
func (e *endpoint) repository(t *testing.T, name string) {
	t.Helper()
	if _, err := e.CreateRepository(t.Context(), &api.CreateRepositoryInput{RepositoryName: &name}); err != nil {
		t.Fatal(err)
	}
}

// password returns a password of GetAuthorizationToken.
func (e *endpoint) password(t *testing.T) string {
	t.Helper()
	out, err := e.GetAuthorizationToken(t.Context(), &api.GetAuthorizationTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(token), ":")
	if user != "AWS" {
		t.Fatalf("the token is of user %q", user)
	}
	return password
}

// send sends a request to the registry with good credentials.
func (e *endpoint) send(t *testing.T, method, path string, header http.Header, body io.Reader) *http.Response {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = e.url + path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.SetBasicAuth("AWS", e.password(t))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// expect fails unless the response has the status; it returns the body.
func expect(t *testing.T, response *http.Response, status int) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", response.Request.Method, response.Request.URL.Path, response.StatusCode, status, body)
	}
	return string(body)
}

// expectCode fails unless err is an error of the API with the code, and with the
// message where one is given.
func expectCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	if message != "" && e.ErrorMessage() != message {
		t.Fatalf("got %q, want %q", e.ErrorMessage(), message)
	}
}
