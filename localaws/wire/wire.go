// Package wire speaks AWS's wire protocols: it tells which operation a request
// asks for, decodes the request into the SDK's own types, and encodes the answer
// or the error as the service would. Each protocol stands here once.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Request is an AWS API request as the dispatcher read it.
type Request struct {
	HTTP      *http.Request
	Body      []byte
	ID        string // the request id, as in x-amzn-RequestId
	Service   string // from the signature's credential scope; "" where unsigned
	Region    string // likewise
	Principal string // see Principal
}

// Answer is an encoded answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Stream io.ReadCloser // what is sent instead of Body, of the length in Header; nil for Body
	Code   string        // the error code, for the call log; "" for success
}

// Service answers the operations of one AWS service in one protocol.
type Service interface {
	// Name returns the service's name as it stands in signatures, as in "ssm".
	Name() string
	// Operation names the operation that r asks for, and whether the service
	// provides it. The name is "" where r is none of the service's requests.
	Operation(r *Request) (name string, provided bool)
	// Serve carries out a provided operation.
	Serve(ctx context.Context, operation string, r *Request) Answer
	// Fail encodes err, which need not be an [Error], in the service's protocol.
	Fail(r *Request, err error) Answer
}

// Error is an error that a service answers with.
type Error struct {
	Code    string
	Message string
	Status  int            // HTTP status; 400 where 0
	Members map[string]any // further members of the error's shape
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf returns an Error of the given code with status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus returns e with another HTTP status.
func (e *Error) WithStatus(status int) *Error {
	e.Status = status
	return e
}

// asError returns err as an Error, an InternalFailure where it is none.
func asError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	if e.Status == 0 {
		e = &Error{e.Code, e.Message, http.StatusBadRequest, e.Members}
	}
	return e
}

// NotProvided is the error for an operation that the local endpoint does not have.
func NotProvided(service, operation string) *Error {
	if operation == "" {
		operation = "this request"
	}
	return &Error{
		Code:    "NotImplemented",
		Message: fmt.Sprintf("%s of %s is not provided by tasuki local.", operation, service),
		Status:  http.StatusNotImplemented,
	}
}

// Handler carries out one operation: it decodes the body, and returns the
// operation's output, a pointer to a struct.
type Handler func(ctx context.Context, body []byte) (any, error)

// Silent makes h one of an operation that has no output in the service's model, and
// so answers without a body. An operation whose output has no members is another
// matter: it answers an empty object.
func Silent(h Handler) Handler {
	return func(ctx context.Context, body []byte) (any, error) {
		_, err := h(ctx, body)
		return nil, err
	}
}

// Given reports whether the request under ctx has a member at its top level, which an
// input with a number or a boolean of Go's cannot tell from one that is 0 or false. A
// call that no request of a service in JSON asked for has none.
func Given(ctx context.Context, member string) bool {
	r, ok := ctx.Value(requestKey{}).(*Request)
	if !ok {
		return false
	}
	var members map[string]json.RawMessage
	return json.Unmarshal(r.Body, &members) == nil && members[member] != nil
}

// Handle makes a Handler of a function over the SDK's input and output types.
func Handle[In, Out any](f func(context.Context, *In) (*Out, error)) Handler {
	return func(ctx context.Context, body []byte) (any, error) {
		in := new(In)
		if err := Unmarshal(body, in); err != nil {
			return nil, Errorf("SerializationException", "%v", err)
		}
		return f(ctx, in)
	}
}

// Scope is what a request's signature says of itself.
type Scope struct{ AccessKey, Region, Service string }

// SignatureScope reads the credential scope of AWS Signature Version 4, from the
// header or, for pre-signed URLs, from the query. The signature is not verified.
func SignatureScope(r *http.Request) Scope {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if header := r.Header.Get("Authorization"); strings.HasPrefix(header, "AWS4-HMAC-SHA256") {
		_, after, _ := strings.Cut(header, "Credential=")
		credential, _, _ = strings.Cut(after, ",")
	}
	parts := strings.Split(credential, "/")
	if query := r.URL.Query(); credential == "" && query.Has("AWSAccessKeyId") && query.Has("Signature") {
		// The signature before version 4, of S3's URLs only: the AWS CLI 1 still makes it.
		return Scope{AccessKey: query.Get("AWSAccessKeyId"), Service: "s3"}
	}
	if len(parts) != 5 {
		return Scope{}
	}
	return Scope{AccessKey: parts[0], Region: parts[2], Service: parts[3]}
}

type requestKey struct{}

// WithRequest lets handlers of an operation see the request that asked for it.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}
