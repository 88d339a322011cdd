package wire

import (
	"bytes"
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
)

// Query is a service of the awsQuery protocol: a form with an Action, answered in XML.
type Query struct {
	Service    string
	Namespace  string             // of the answers, as in "https://sts.amazonaws.com/doc/2011-06-15/"
	Operations map[string]Handler // made by HandleQuery
}

// HandleQuery makes a Handler of a function over the SDK's input and output types,
// for a service of the awsQuery protocol.
func HandleQuery[In, Out any](f func(context.Context, *In) (*Out, error)) Handler {
	return func(ctx context.Context, body []byte) (any, error) {
		in := new(In)
		if err := UnmarshalForm(body, in); err != nil {
			return nil, Errorf("ValidationError", "%v", err)
		}
		return f(ctx, in)
	}
}

// Name implements [Service].
func (s *Query) Name() string { return s.Service }

// Operation implements [Service].
func (s *Query) Operation(r *Request) (string, bool) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || r.Service != s.Service {
		return "", false
	}
	operation := form.Get("Action")
	_, provided := s.Operations[operation]
	return operation, provided
}

// Serve implements [Service].
func (s *Query) Serve(ctx context.Context, operation string, r *Request) Answer {
	out, err := s.Operations[operation](ctx, r.Body)
	if err != nil {
		return s.Fail(r, err)
	}
	var b bytes.Buffer
	b.WriteString(`<` + operation + `Response xmlns="` + s.Namespace + `">`)
	if err := encodeElement(&b, operation+"Result", out); err != nil {
		return s.Fail(r, err)
	}
	b.WriteString(`<ResponseMetadata><RequestId>` + r.ID + `</RequestId></ResponseMetadata></` + operation + `Response>`)
	return Answer{Status: http.StatusOK, Header: queryHeader(r), Body: b.Bytes()}
}

// queryWords are the codes of awsQuery for what the services in JSON call otherwise.
var queryWords = map[string]Error{
	"ThrottlingException":   {Code: "Throttling", Status: http.StatusBadRequest},
	"AccessDeniedException": {Code: "AccessDenied", Status: http.StatusForbidden},
	"ValidationException":   {Code: "ValidationError", Status: http.StatusBadRequest},
}

// Fail implements [Service].
func (s *Query) Fail(r *Request, err error) Answer {
	e := *asError(err)
	if own, found := queryWords[e.Code]; found {
		e.Code, e.Status = own.Code, own.Status
	}
	type detail struct{ Type, Code, Message string }
	response := struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Namespace string   `xml:"xmlns,attr"`
		Error     detail
		RequestId string
	}{Namespace: s.Namespace, Error: detail{"Sender", e.Code, e.Message}, RequestId: r.ID}
	if e.Status >= http.StatusInternalServerError {
		response.Error.Type = "Receiver"
	}
	body, err := xml.Marshal(response)
	if err != nil {
		panic(err) // strings only
	}
	return Answer{Status: e.Status, Header: queryHeader(r), Body: body, Code: e.Code}
}

func queryHeader(r *Request) http.Header {
	return http.Header{"Content-Type": {"text/xml"}, "X-Amzn-Requestid": {r.ID}}
}
