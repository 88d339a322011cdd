package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// urls holds function URLs, by subject.
var urls = state.Table[functionURL]{Name: "lambda.urls"}

// URLPrefix is what the paths of function URLs begin with on the endpoint, which has
// one host name only: on AWS every function URL has a host of its own.
const URLPrefix = "/_url/"

// functionURL is the URL of a function or of an alias.
type functionURL struct {
	ID       string
	Function string
	Alias    string
	Auth     types.FunctionUrlAuthType
	Created  time.Time
	Modified time.Time
}

func (u functionURL) reference() reference { return reference{u.Function, u.Alias} }

// urlSubject reads which function or alias a request about a URL is for.
func (s *Service) urlSubject(r *wire.Request, path map[string]string) (reference, error) {
	ref, err := s.subjectOf(r, path)
	if err == nil && numberGrammar.MatchString(ref.qualifier) {
		err = constraint(ref.qualifier, "qualifier", `satisfy regular expression pattern: (^\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))`)
	}
	return ref, err
}

func (s *Service) createURL(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.CreateFunctionUrlConfigInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := wire.Check(in, "AuthType"); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{"Cors": in.Cors != nil, "InvokeMode " + string(in.InvokeMode): in.InvokeMode == types.InvokeModeResponseStream}); err != nil {
		return wire.Answer{}, err
	}
	ref, err := s.urlSubject(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	now := time.Now().UTC()
	u := functionURL{ID: strings.ReplaceAll(wire.NewID(), "-", ""), Function: ref.name, Alias: ref.qualifier, Auth: in.AuthType, Created: now, Modified: now}
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, ref); err != nil {
			return err
		}
		if _, found, err := urls.Get(tx, subject(ref)); err != nil || found {
			return errors.Join(err, conflict("Failed to create function url config for [functionArn = %s]. Error message:  FunctionUrlConfig exists for this Lambda function", s.arn(ref)))
		}
		return urls.Put(tx, subject(ref), u)
	}); err != nil {
		return wire.Answer{}, err
	}
	shown := s.shownURL(u)
	return wire.JSONAnswer(http.StatusCreated, &sdk.CreateFunctionUrlConfigOutput{
		FunctionArn: shown.FunctionArn, FunctionUrl: shown.FunctionUrl, AuthType: shown.AuthType, CreationTime: shown.CreationTime, InvokeMode: shown.InvokeMode,
	})
}

func (s *Service) shownURL(u functionURL) *sdk.GetFunctionUrlConfigOutput {
	arn, address := s.arn(u.reference()), URLPrefix+u.ID+"/"
	if s.o.Endpoint != nil {
		address = s.o.Endpoint() + address
	}
	const format = "2006-01-02T15:04:05.000000000Z"
	created, modified := u.Created.Format(format), u.Modified.Format(format)
	return &sdk.GetFunctionUrlConfigOutput{
		FunctionArn: &arn, FunctionUrl: &address, AuthType: u.Auth, CreationTime: &created, LastModifiedTime: &modified, InvokeMode: types.InvokeModeBuffered,
	}
}

const noURL = "The resource you requested does not exist. (no function URL of %s)"

func (s *Service) getURL(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.urlSubject(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	var u functionURL
	if err := s.o.Store.View(func(tx *state.Tx) error {
		u, err = belonging(tx, s, urls, ref, noURL)
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.shownURL(u))
}

func (s *Service) updateURL(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.UpdateFunctionUrlConfigInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := wire.Check(in); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseMembers(map[string]bool{"Cors": in.Cors != nil, "InvokeMode " + string(in.InvokeMode): in.InvokeMode == types.InvokeModeResponseStream}); err != nil {
		return wire.Answer{}, err
	}
	ref, err := s.urlSubject(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	var u functionURL
	if err := s.o.Store.Update(func(tx *state.Tx) error {
		if u, err = belonging(tx, s, urls, ref, noURL); err != nil {
			return err
		}
		if in.AuthType != "" {
			u.Auth = in.AuthType
		}
		u.Modified = time.Now().UTC()
		return urls.Put(tx, subject(ref), u)
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.JSONAnswer(http.StatusOK, s.shownURL(u))
}

func (s *Service) deleteURL(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.urlSubject(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Status: http.StatusNoContent}, s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := belonging(tx, s, urls, ref, noURL); err != nil {
			return err
		}
		return urls.Delete(tx, subject(ref))
	})
}

// urlEvent is a request as the function gets it: payload format 2.0 (Lambda developer
// guide, "Invoking Lambda function URLs").
type urlEvent struct {
	Version         string            `json:"version"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQuery        string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies,omitempty"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"queryStringParameters,omitempty"`
	Context         urlContext        `json:"requestContext"`
	Body            string            `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

type urlContext struct {
	AccountID    string  `json:"accountId"`
	APIID        string  `json:"apiId"`
	DomainName   string  `json:"domainName"`
	DomainPrefix string  `json:"domainPrefix"`
	HTTP         urlHTTP `json:"http"`
	RequestID    string  `json:"requestId"`
	RouteKey     string  `json:"routeKey"`
	Stage        string  `json:"stage"`
	Time         string  `json:"time"`
	TimeEpoch    int64   `json:"timeEpoch"`
}

type urlHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// ServeURL invokes the function that a URL below [URLPrefix] is of, and answers with
// what it returns.
func (s *Service) ServeURL(w http.ResponseWriter, r *http.Request) {
	id, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, URLPrefix), "/")
	u, found, err := s.urlOf(id)
	switch {
	case err != nil:
		answerURL(w, http.StatusInternalServerError, "Internal Server Error")
		return
	case !found, u.Auth == types.FunctionUrlAuthTypeAwsIam && wire.SignatureScope(r).Service != "lambda":
		answerURL(w, http.StatusForbidden, "Forbidden")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestRequest))
	if err != nil {
		answerURL(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	f, err := s.routed(u.reference())
	if err != nil || f.State != types.StateActive {
		answerURL(w, http.StatusBadGateway, "Bad Gateway")
		return
	}
	event, requestID := s.urlEvent(r, u, "/"+path, body), wire.NewID()
	event.Context.RequestID = requestID
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings only
	}
	s.tasks.Add(1)
	defer s.tasks.Done()
	out, err := s.run(s.ctx, invocation{id: requestID, key: f.key(), version: f.Current, payload: payload})
	w.Header().Set("X-Amzn-Requestid", requestID)
	if err != nil || out.failed {
		// The URL says no more than this of a function that fails.
		answerURL(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	writeURL(w, out.payload)
}

func (s *Service) urlOf(id string) (u functionURL, found bool, err error) {
	err = s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, candidate := range urls.All(tx, "", &err) {
			if candidate.ID == id {
				u, found = candidate, true
			}
		}
		return err
	})
	return u, found, err
}

func (s *Service) urlEvent(r *http.Request, u functionURL, path string, body []byte) urlEvent {
	const route = "$default"
	now := time.Now().UTC()
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	e := urlEvent{
		Version: "2.0", RouteKey: route, RawPath: path, RawQuery: r.URL.RawQuery, Headers: map[string]string{"host": r.Host},
		Context: urlContext{
			AccountID: "anonymous", APIID: u.ID, DomainName: r.Host, DomainPrefix: u.ID, RouteKey: route, Stage: route,
			Time: now.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: urlHTTP{Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: source, UserAgent: r.UserAgent()},
		},
	}
	if u.Auth == types.FunctionUrlAuthTypeAwsIam {
		e.Context.AccountID = s.o.Account
	}
	for name, values := range r.Header {
		if name != "Cookie" {
			e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	for _, cookie := range r.Cookies() {
		e.Cookies = append(e.Cookies, cookie.Name+"="+cookie.Value)
	}
	if query := r.URL.Query(); len(query) > 0 {
		e.Query = map[string]string{}
		for name, values := range query {
			e.Query[name] = strings.Join(values, ",")
		}
	}
	if len(body) > 0 {
		e.Body, e.IsBase64Encoded = string(body), !isText(r.Header.Get("Content-Type")) || !utf8.Valid(body)
	}
	if e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	}
	return e
}

// isText reports whether a body of a content type reaches the function as it is; any
// other is base64.
func isText(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{"application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded"}, kind)
}

// writeURL answers with what a function returned: a response in payload format 2.0
// or, where there is no status code in it, the body itself.
func writeURL(w http.ResponseWriter, payload []byte) {
	var response struct {
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &response); err != nil || response.StatusCode == 0 {
		w.Header().Set("Content-Type", "application/json")
		var text string
		if json.Unmarshal(payload, &text) == nil {
			payload = []byte(text) // a string is the body without its quotes
		}
		_, _ = w.Write(payload) // a client that hung up needs no answer
		return
	}
	body := []byte(response.Body)
	if response.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(response.Body); err != nil {
			answerURL(w, http.StatusBadGateway, "Internal Server Error")
			return
		}
	}
	if response.StatusCode < 200 || response.StatusCode > 599 {
		answerURL(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range response.Headers {
		switch http.CanonicalHeaderKey(name) {
		case "Connection", "Content-Length", "Transfer-Encoding": // are the endpoint's to say
		default:
			w.Header().Set(name, value)
		}
	}
	for _, cookie := range response.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(body) // a client that hung up needs no answer
}

// answerURL answers for the URL, without the function.
func answerURL(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(struct{ Message string }{message})
	if err != nil {
		panic(err) // a string
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up needs no answer
}
