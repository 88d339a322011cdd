package wire

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// JSON is a service of the awsJson protocol, where the header X-Amz-Target names the
// operation.
type JSON struct {
	Service    string // as in "ssm"
	Target     string // the header's prefix, as in "AmazonSSM"
	Version    string // of the protocol; "" for 1.1
	Casing     Casing
	Operations map[string]Handler

	// QueryCodes has the codes that the errors of a service have for clients which
	// still go by those of awsQuery, where they are others; nil for a service that has
	// always spoken JSON.
	QueryCodes map[string]string
}

// Name implements [Service].
func (s *JSON) Name() string { return s.Service }

// Operation implements [Service].
func (s *JSON) Operation(r *Request) (string, bool) {
	target, operation, _ := strings.Cut(r.HTTP.Header.Get("X-Amz-Target"), ".")
	if target != s.Target {
		return "", false
	}
	_, provided := s.Operations[operation]
	return operation, provided
}

// Serve implements [Service].
func (s *JSON) Serve(ctx context.Context, operation string, r *Request) Answer {
	out, err := s.Operations[operation](ctx, r.Body)
	if err != nil {
		return s.Fail(r, err)
	}
	if out == nil {
		return Answer{Status: http.StatusOK, Header: s.header(r)}
	}
	body, err := Marshal(out, s.Casing)
	if err != nil {
		return s.Fail(r, err)
	}
	return Answer{Status: http.StatusOK, Header: s.header(r), Body: body}
}

// Fail implements [Service].
func (s *JSON) Fail(r *Request, err error) Answer {
	e := asError(err)
	header := s.header(r)
	if s.QueryCodes != nil {
		code, blame := e.Code, "Sender"
		if s.QueryCodes[code] != "" {
			code = s.QueryCodes[code]
		}
		if e.Status >= http.StatusInternalServerError {
			blame = "Receiver"
		}
		header.Set("X-Amzn-Query-Error", code+";"+blame)
	}
	return Answer{Status: e.Status, Header: header, Body: errorBody("__type", "message", e), Code: e.Code}
}

func (s *JSON) header(r *Request) http.Header {
	version := s.Version
	if version == "" {
		version = "1.1"
	}
	return http.Header{"Content-Type": {"application/x-amz-json-" + version}, "X-Amzn-Requestid": {r.ID}}
}

// errorBody encodes an error with its code under one key and its message under another.
func errorBody(codeKey, messageKey string, e *Error) []byte {
	members := map[string]any{codeKey: e.Code, messageKey: e.Message}
	for name, value := range e.Members {
		members[name] = value
	}
	body, err := json.Marshal(members)
	if err != nil {
		panic(err) // members are strings and numbers of our own
	}
	return body
}
