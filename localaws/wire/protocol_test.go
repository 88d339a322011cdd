package wire_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/localaws/wire"
	"github.com/tasuki-dev/tasuki/localaws/wire/wiretest"
)

// failing is the error that each protocol must bring to the client whole.
var failing = wire.Errorf("TooManyUpdates", "a <message> with \"quotes\" & more")

// Each protocol's errors must reach the SDK's client with code, message and blame.
func TestErrors(t *testing.T) {
	services := map[string]struct {
		service func(err error) wire.Service
		call    func(ctx context.Context, url string) error
		broken  string // the code of an error that is none of the API's
	}{
		"JSON": {
			func(err error) wire.Service {
				return &wire.JSON{Service: "ssm", Target: "AmazonSSM", Operations: map[string]wire.Handler{
					"GetParameter": wire.Handle(func(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) { return nil, err }),
				}}
			},
			func(ctx context.Context, url string) error {
				_, err := ssm.NewFromConfig(config(), to[ssm.Options](url), once[ssm.Options]).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("a")})
				return err
			},
			"InternalFailure",
		},
		"query": {
			func(err error) wire.Service {
				return &wire.Query{Service: "sts", Namespace: "urn:test", Operations: map[string]wire.Handler{
					"GetCallerIdentity": func(context.Context, []byte) (any, error) { return nil, err },
				}}
			},
			func(ctx context.Context, url string) error {
				_, err := sts.NewFromConfig(config(), to[sts.Options](url), once[sts.Options]).GetCallerIdentity(ctx, nil)
				return err
			},
			"InternalFailure",
		},
		"REST": {
			func(err error) wire.Service {
				return &wire.REST{Service: "lambda", Routes: []wire.Route{{
					Operation: "GetFunction", Method: http.MethodGet, Path: "/2015-03-31/functions/{FunctionName}",
					Handle: func(context.Context, *wire.Request, map[string]string) (wire.Answer, error) {
						return wire.Answer{}, err
					},
				}}}
			},
			func(ctx context.Context, url string) error {
				_, err := lambda.NewFromConfig(config(), to[lambda.Options](url), once[lambda.Options]).GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("f")})
				return err
			},
			"ServiceException",
		},
	}
	tests := []struct {
		name    string
		err     error
		code    string // "" for that of what is broken
		message string
	}{
		{"an error of AWS", failing, failing.Code, failing.Message},
		{"a wrapped one", errors.Join(failing), failing.Code, failing.Message},
		{"any other", errors.New("disk on fire"), "", "disk on fire"},
	}
	for protocol, s := range services {
		for _, test := range tests {
			t.Run(protocol+"/"+test.name, func(t *testing.T) {
				server := httptest.NewServer(wiretest.Handler(s.service(test.err)))
				defer server.Close()
				var got smithy.APIError
				if err := s.call(t.Context(), server.URL); !errors.As(err, &got) {
					t.Fatalf("got %v, want an error of the API", err)
				}
				if want := cmp.Or(test.code, s.broken); got.ErrorCode() != want || got.ErrorMessage() != test.message {
					t.Errorf("got %s %q, want %s %q", got.ErrorCode(), got.ErrorMessage(), want, test.message)
				}
			})
		}
	}
}

// once is an option without retries: a 500 is the answer that is tested.
func once[Options any](o *Options) {
	switch o := any(o).(type) {
	case *ssm.Options:
		o.Retryer = aws.NopRetryer{}
	case *sts.Options:
		o.Retryer = aws.NopRetryer{}
	case *lambda.Options:
		o.Retryer = aws.NopRetryer{}
	}
}

func TestUnknownMemberIsRefused(t *testing.T) {
	service := &wire.JSON{Service: "ssm", Target: "AmazonSSM", Operations: map[string]wire.Handler{
		"GetParameter": wire.Handle(func(context.Context, *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
			return &ssm.GetParameterOutput{Parameter: &types.Parameter{}}, nil
		}),
	}}
	request := httptest.NewRequest(http.MethodPost, "/", nil)
	request.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
	answer := service.Serve(t.Context(), "GetParameter", &wire.Request{HTTP: request, Body: []byte(`{"Nmae":"a"}`)})
	if answer.Status != http.StatusBadRequest || answer.Code != "SerializationException" || !strings.Contains(string(answer.Body), "Nmae") {
		t.Errorf("got %d %s %s", answer.Status, answer.Code, answer.Body)
	}
}

func TestSignatureScope(t *testing.T) {
	header := httptest.NewRequest(http.MethodPost, "/", nil)
	header.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=alice/20260101/eu-west-1/ssm/aws4_request, SignedHeaders=host, Signature=0")
	tests := []struct {
		name    string
		request *http.Request
		want    wire.Scope
	}{
		{"header", header, wire.Scope{AccessKey: "alice", Region: "eu-west-1", Service: "ssm"}},
		{"query", httptest.NewRequest(http.MethodGet, "/?X-Amz-Credential=bob%2F20260101%2Fus-east-1%2Fs3%2Faws4_request", nil), wire.Scope{AccessKey: "bob", Region: "us-east-1", Service: "s3"}},
		{"unsigned", httptest.NewRequest(http.MethodGet, "/", nil), wire.Scope{}},
		{"malformed", httptest.NewRequest(http.MethodGet, "/?X-Amz-Credential=bob", nil), wire.Scope{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := wire.SignatureScope(test.request); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestCallerARN(t *testing.T) {
	ctx := wire.WithRequest(t.Context(), &wire.Request{Principal: "alice"})
	if got, want := wire.CallerARN(ctx, "123456789012"), "arn:aws:iam::123456789012:user/alice"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Amz-Security-Token", wire.SessionToken("deploy", "alice"))
	ctx = wire.WithRequest(t.Context(), &wire.Request{Principal: wire.Principal(r)})
	if got, want := wire.CallerARN(ctx, "123456789012"), "arn:aws:sts::123456789012:assumed-role/deploy/alice"; got != want {
		t.Errorf("a session: got %s, want %s", got, want)
	}
	if got, want := wire.CallerARN(t.Context(), "123456789012"), "arn:aws:iam::123456789012:user/anonymous"; got != want {
		t.Errorf("unsigned: got %s, want %s", got, want)
	}
}
