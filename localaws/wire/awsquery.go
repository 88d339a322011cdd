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
	Namespace  string // of the answers, as in "https://sts.amazonaws.com/doc/2011-06-15/"
	Operations map[string]func(ctx context.Context, form url.Values) (any, error)
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
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return s.Fail(r, Errorf("MalformedQueryString", "%v", err))
	}
	out, err := s.Operations[operation](ctx, form)
	if err != nil {
		return s.Fail(r, err)
	}
	var b bytes.Buffer
	e := xml.NewEncoder(&b)
	response := xml.StartElement{Name: xml.Name{Local: operation + "Response"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: s.Namespace}}}
	type metadata struct{ RequestId string }
	for _, encode := range []func() error{
		func() error { return e.EncodeToken(response) },
		func() error {
			return e.EncodeElement(out, xml.StartElement{Name: xml.Name{Local: operation + "Result"}})
		},
		func() error {
			return e.EncodeElement(metadata{r.ID}, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}})
		},
		func() error { return e.EncodeToken(response.End()) },
		e.Flush,
	} {
		if err := encode(); err != nil {
			return s.Fail(r, err)
		}
	}
	return Answer{Status: http.StatusOK, Header: queryHeader(r), Body: b.Bytes()}
}

// Fail implements [Service].
func (s *Query) Fail(r *Request, err error) Answer {
	e := asError(err)
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
