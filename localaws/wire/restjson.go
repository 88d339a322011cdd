package wire

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Route is one operation of a REST service.
type Route struct {
	Operation string
	Method    string
	Path      string // as in "/2015-03-31/functions/{FunctionName}/code"
	Handle    func(ctx context.Context, r *Request, path map[string]string) (Answer, error)
}

// match returns the values of the path's variables, unescaped.
func (route *Route) match(r *http.Request) (map[string]string, bool) {
	if r.Method != route.Method {
		return nil, false
	}
	want := strings.Split(strings.Trim(route.Path, "/"), "/")
	have := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	if len(want) != len(have) {
		return nil, false
	}
	values := map[string]string{}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") {
			if want[i] != have[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(have[i])
		if err != nil || value == "" {
			return nil, false
		}
		values[strings.Trim(want[i], "{}")] = value
	}
	return values, true
}

// REST is a service of the restJson1 protocol.
type REST struct {
	Service string
	Routes  []Route
}

// Name implements [Service].
func (s *REST) Name() string { return s.Service }

func (s *REST) find(r *http.Request) (*Route, map[string]string) {
	for i := range s.Routes {
		if values, ok := s.Routes[i].match(r); ok {
			return &s.Routes[i], values
		}
	}
	return nil, nil
}

// Operation implements [Service]. An unknown request is named by its method and path.
func (s *REST) Operation(r *Request) (string, bool) {
	if route, _ := s.find(r.HTTP); route != nil {
		return route.Operation, true
	}
	if r.Service == s.Service {
		return r.HTTP.Method + " " + r.HTTP.URL.Path, false
	}
	return "", false
}

// Serve implements [Service].
func (s *REST) Serve(ctx context.Context, _ string, r *Request) Answer {
	route, values := s.find(r.HTTP)
	answer, err := route.Handle(ctx, r, values)
	if err != nil {
		return s.Fail(r, err)
	}
	if answer.Header == nil {
		answer.Header = http.Header{}
	}
	answer.Header.Set("X-Amzn-Requestid", r.ID)
	return answer
}

// restWords are Lambda's words and statuses for what the other services in JSON call or
// answer otherwise.
var restWords = map[string]Error{
	"ThrottlingException":   {Code: "TooManyRequestsException", Status: http.StatusTooManyRequests, Members: map[string]any{"Reason": "CallerRateLimitExceeded"}},
	"AccessDeniedException": {Code: "AccessDeniedException", Status: http.StatusForbidden},
	"InternalFailure":       {Code: "ServiceException", Status: http.StatusInternalServerError},
}

// Fail implements [Service]. Lambda's errors carry who is to blame.
func (s *REST) Fail(r *Request, err error) Answer {
	e := *asError(err)
	if own, found := restWords[e.Code]; found {
		own.Message = e.Message
		e = own
	}
	blame := "User"
	if e.Status >= http.StatusInternalServerError {
		blame = "Service"
	}
	body := &Error{Code: blame, Message: e.Message, Members: e.Members}
	return Answer{
		Status: e.Status,
		Header: http.Header{"Content-Type": {"application/json"}, "X-Amzn-Requestid": {r.ID}, "X-Amzn-Errortype": {e.Code}},
		Body:   errorBody("Type", "Message", body),
		Code:   e.Code,
	}
}

// JSONAnswer encodes an output of the SDK's as the body of an answer.
func JSONAnswer(status int, out any) (Answer, error) {
	body, err := Marshal(out, Upper)
	return Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, err
}
