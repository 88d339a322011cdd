package wire

import (
	"context"
	"encoding/xml"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Level is what a request to S3 is about.
type Level int

// The levels, by what stands in a request's path.
const (
	AllBuckets Level = iota
	OneBucket
	OneObject
)

// XMLRoute is one operation of a service in the restXml protocol.
type XMLRoute struct {
	Operation string
	Method    string
	Level     Level
	Query     string // what the query must have, as in "uploads" or "list-type=2"; "" for no sub-resource
	Handle    func(ctx context.Context, r *Request, bucket, key string) (Answer, error)
}

// XML is a service of the restXml protocol as S3 speaks it: the path names a bucket
// and an object, and the query a part of them. Its requests and answers are not held
// in memory: the handlers read [Request.HTTP]'s body themselves.
type XML struct {
	Service string
	Routes  []XMLRoute
}

// subresources are the query's keys that make a request one about a part of a bucket
// or of an object (Amazon S3 API reference, "Actions").
var subresources = map[string]bool{
	"accelerate": true, "acl": true, "analytics": true, "attributes": true, "cors": true, "delete": true, "encryption": true,
	"intelligent-tiering": true, "inventory": true, "legal-hold": true, "lifecycle": true, "list-type": true, "location": true,
	"logging": true, "metadataConfiguration": true, "metadataTable": true, "metrics": true, "notification": true,
	"object-lock": true, "ownershipControls": true, "partNumber": true, "policy": true, "policyStatus": true,
	"publicAccessBlock": true, "renameObject": true, "replication": true, "requestPayment": true, "restore": true, "retention": true, "select": true,
	"session": true, "tagging": true, "torrent": true, "uploadId": true, "uploads": true, "versionId": true, "versioning": true,
	"versions": true, "website": true,
}

// Name implements [Service].
func (s *XML) Name() string { return s.Service }

// Streams tells the dispatcher to leave the requests' bodies unread.
func (s *XML) Streams() bool { return true }

// Operation implements [Service]. SDKs name the operation in the query too; where
// they do not, an unknown one is named by its method and what it is about.
func (s *XML) Operation(r *Request) (string, bool) {
	if r.Service != s.Service {
		return "", false
	}
	if route, _, _ := s.find(r.HTTP); route != nil {
		return route.Operation, true
	}
	query := r.HTTP.URL.Query()
	if name := query.Get("x-id"); name != "" {
		return name, false
	}
	for key := range query {
		if subresources[key] {
			return r.HTTP.Method + " ?" + key, false
		}
	}
	return r.HTTP.Method + " " + r.HTTP.URL.Path, false
}

func (s *XML) find(r *http.Request) (route *XMLRoute, bucket, key string) {
	bucket, key = BucketAndKey(r)
	level := AllBuckets
	switch {
	case key != "":
		level = OneObject
	case bucket != "":
		level = OneBucket
	}
	for i := range s.Routes {
		if route := &s.Routes[i]; route.Method == r.Method && route.Level == level && route.fits(r) {
			return route, bucket, key
		}
	}
	return nil, bucket, key
}

// fits reports whether a request is about the part that the route is for, and no other.
func (route *XMLRoute) fits(r *http.Request) bool {
	if r.Header.Get("X-Amz-Copy-Source") != "" || r.Header.Get("X-Amz-Rename-Source") != "" {
		return false // another operation, told by the header alone
	}
	query := r.URL.Query()
	wanted := map[string]bool{}
	for _, part := range strings.Split(route.Query, "&") {
		key, value, valued := strings.Cut(part, "=")
		if key == "" {
			continue
		}
		if wanted[key] = true; !query.Has(key) || valued && query.Get(key) != value {
			return false
		}
	}
	for key := range query {
		if subresources[key] && !wanted[key] {
			return false
		}
	}
	return true
}

// BucketAndKey returns what a request is about, in path style or, where the host is
// a bucket's name before ".localhost" or before one of S3's own hosts, in virtual-host
// style.
func BucketAndKey(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if bucket, found := strings.CutSuffix(host, ".localhost"); found {
		return bucket, path
	}
	for _, infix := range []string{".s3.", ".s3-"} {
		if bucket, rest, found := strings.Cut(host, infix); found && strings.Contains(rest, "amazonaws.com") {
			return bucket, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// Serve implements [Service].
func (s *XML) Serve(ctx context.Context, _ string, r *Request) Answer {
	route, bucket, key := s.find(r.HTTP)
	answer, err := route.Handle(ctx, r, bucket, key)
	if err != nil {
		return s.Fail(r, err)
	}
	if answer.Header == nil {
		answer.Header = http.Header{}
	}
	answer.Header.Set("X-Amz-Request-Id", r.ID)
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	return answer
}

// ownWords are S3's names for what the services in JSON call otherwise.
var ownWords = map[string]Error{
	"ThrottlingException":   {Code: "SlowDown", Status: http.StatusServiceUnavailable},
	"AccessDeniedException": {Code: "AccessDenied", Status: http.StatusForbidden},
	"InternalFailure":       {Code: "InternalError", Status: http.StatusInternalServerError},
}

// Fail implements [Service].
func (s *XML) Fail(r *Request, err error) Answer {
	e := *asError(err)
	if own, found := ownWords[e.Code]; found {
		e.Code, e.Status = own.Code, own.Status
	}
	header := http.Header{"X-Amz-Request-Id": {r.ID}}
	if r.HTTP.Method == http.MethodHead {
		return Answer{Status: e.Status, Header: header, Code: e.Code} // no body can follow
	}
	body, err := xml.Marshal(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		Resource  string
		RequestId string
	}{Code: e.Code, Message: e.Message, Resource: (&url.URL{Path: r.HTTP.URL.Path}).EscapedPath(), RequestId: r.ID})
	if err != nil {
		panic(err) // strings only
	}
	header.Set("Content-Type", "application/xml")
	return Answer{Status: e.Status, Header: header, Body: append([]byte(xml.Header), body...), Code: e.Code}
}

// XMLAnswer encodes out, whose XMLName is the answer's root element.
func XMLAnswer(out any) (Answer, error) {
	body, err := xml.Marshal(out)
	return Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}}, Body: append([]byte(xml.Header), body...)}, err
}
