package ssm_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire/wiretest"
)

const (
	account = "123456789012"
	region  = "eu-west-1"
	prefix  = "arn:aws:ssm:eu-west-1:123456789012:parameter"
)

// endpoint is a Parameter Store behind HTTP, and the SDK's own client of it.
type endpoint struct {
	*testing.T
	*sdk.Client
	stale *atomic.Bool // whether reads are stale
}

func start(t *testing.T) endpoint {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, store)
}

func serve(t *testing.T, store *state.Store) endpoint {
	t.Helper()
	service := wiretest.Handler(ssm.New(store, account, region).Wire())
	stale := new(atomic.Bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stale.Load() {
			r = r.WithContext(fault.WithStale(r.Context()))
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	client := sdk.New(sdk.Options{
		BaseEndpoint: &server.URL,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider("alice", "secret", ""),
		HTTPClient:   sdkhttp.New(),
		Retryer:      aws.NopRetryer{},
	})
	return endpoint{t, client, stale}
}

// put writes a String over what is there, and returns its version.
func (e endpoint) put(name, value string) int64 {
	e.Helper()
	return localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true)}).Version
}

// value returns what a read of name answers: the value, or the error's code.
func (e endpoint) value(name string) string {
	e.Helper()
	out, err := e.GetParameter(e.Context(), &sdk.GetParameterInput{Name: &name})
	if err != nil {
		return e.code(err)
	}
	return *out.Parameter.Value
}

// stalely runs f with stale reads.
func (e endpoint) stalely(f func()) {
	e.stale.Store(true)
	defer e.stale.Store(false)
	f()
}

// code returns the code of an error of the API.
func (e endpoint) code(err error) string {
	e.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		e.Fatalf("got %v, want an error of the API", err)
	}
	return api.ErrorCode()
}

// unmodelled are the codes that are common to all services, and so have no type in SSM's model.
var unmodelled = map[string]bool{"ValidationException": true, "AccessDeniedException": true, "NotImplemented": true}

// fails checks an error's code and message, and that the client knows its type.
func (e endpoint) fails(err error, code, message string) {
	e.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		e.Fatalf("got %v, want %s", err, code)
	}
	if api.ErrorCode() != code || api.ErrorMessage() != message {
		e.Errorf("got  %s %q\nwant %s %q", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
	var generic *smithy.GenericAPIError
	if errors.As(err, &generic) && !unmodelled[code] {
		e.Errorf("the client does not know %s: it is not in the service's model", code)
	}
}
