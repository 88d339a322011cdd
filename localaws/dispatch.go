package localaws

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// longestBody bounds an API request, in bytes: Lambda's zip upload, 50 MiB, in base64.
const longestBody = 69905067

// dispatcher sends each request to the service that it is meant for, and applies
// latency, faults and the call log to all of them alike.
type dispatcher struct {
	services []wire.Service
	registry http.Handler
	urls     http.Handler // of functions
	answers  http.Handler // of custom resources
	region   string
	latency  time.Duration
	faults   *fault.Plan
	calls    *CallLog

	reference authorization.Reference
	needed    bool                       // whether anybody sees what calls need: that takes a look at stacks and roles
	pusher    func(*http.Request) string // who a request to the registry is from; "" for nobody
	enforced  *enforcement               // nil where policies are not enforced

	serving sync.RWMutex // each request reads; who writes waits for their end, and ends serving
}

func (d *dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.serving.TryRLock() {
		panic(http.ErrAbortHandler) // the server is closing: its connections are gone already
	}
	defer d.serving.RUnlock()
	if r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/") {
		d.serveRegistry(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, resource.AnswerPath) {
		d.serveAnswer(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, lambda.URLPrefix) {
		d.serveURL(w, r)
		return
	}
	scope := wire.SignatureScope(r)
	request := &wire.Request{HTTP: r, ID: wire.NewID(), Service: scope.Service, Region: scope.Region, Principal: wire.Principal(r)}
	if !d.streams(scope.Service) {
		body, err := io.ReadAll(io.LimitReader(r.Body, longestBody+1)) // and so one that is too long is told
		if err != nil {
			http.Error(w, "the request's body could not be read: "+err.Error(), http.StatusBadRequest)
			return
		}
		request.Body = body
	}
	service, operation, provided := d.find(request)
	if service == nil {
		d.refuse(w, request)
		return
	}
	call := Call{Service: service.Name(), Operation: operation, Principal: request.Principal, Started: time.Now()}
	defer func() {
		call.Took = time.Since(call.Started)
		d.calls.add(call)
	}()
	if provided && d.needed {
		call.Needs = d.reference.Needs(request, call.Service, operation)
	}
	answer, sent := d.answer(service, call, provided, request)
	if !sent {
		// The client sees the connection break, as it would when a network does.
		panic(http.ErrAbortHandler)
	}
	call.Status, call.Code = answer.Status, answer.Code
	// A client that is still sending reads no answer, and would see the connection break.
	_, _ = io.Copy(io.Discard, r.Body)
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	if answer.Stream != nil {
		defer answer.Stream.Close()
		w.WriteHeader(answer.Status)
		_, _ = io.Copy(w, answer.Stream) // a client that hung up needs no answer
		return
	}
	if r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(answer.Body)))
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // a client that hung up needs no answer
}

// streams reports whether a service reads its requests' bodies itself.
func (d *dispatcher) streams(name string) bool {
	for _, service := range d.services {
		if s, ok := service.(interface{ Streams() bool }); ok && service.Name() == name {
			return s.Streams()
		}
	}
	return false
}

func (d *dispatcher) find(r *wire.Request) (wire.Service, string, bool) {
	for _, service := range d.services {
		if r.Service != "" && r.Service != service.Name() {
			continue
		}
		if operation, provided := service.Operation(r); operation != "" {
			return service, operation, provided
		}
	}
	return nil, "", false
}

// delay waits for the latency of a call, and reports whether its client still waits.
func (d *dispatcher) delay(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d.latency):
		return true
	}
}

// answer carries out one call as the faults in force would have it. The second
// result is false where the client is to get no answer.
func (d *dispatcher) answer(service wire.Service, call Call, provided bool, r *wire.Request) (wire.Answer, bool) {
	ctx := wire.WithRequest(r.HTTP.Context(), r)
	if !d.delay(ctx) {
		return wire.Answer{}, false
	}
	if !provided {
		return service.Fail(r, wire.NotProvided(call.Service, call.Operation)), true
	}
	if len(r.Body) > longestBody {
		return service.Fail(r, wire.Errorf("RequestEntityTooLargeException", "Request must be smaller than %d bytes for the %s operation", longestBody, call.Operation).WithStatus(http.StatusRequestEntityTooLarge)), true
	}
	const global = "iam" // whose requests are signed for one region, wherever they come from
	if r.Region != "" && r.Region != d.region && r.Service != global {
		return service.Fail(r, wire.Errorf("InvalidRegion", "This tasuki local serves region %s only, and the request is for %s. Start it with --region %s.", d.region, r.Region, r.Region)), true
	}
	if refused := d.refusal(call); refused != nil {
		return service.Fail(r, refused), true
	}
	name := call.Name()
	switch kind := d.faults.Next(name); kind {
	case fault.Error:
		return service.Fail(r, wire.Errorf("InternalFailure", "A fault of tasuki local: %s fails.", name).WithStatus(http.StatusInternalServerError)), true
	case fault.Throttle:
		return service.Fail(r, wire.Errorf("ThrottlingException", "Rate exceeded")), true
	case fault.Denied:
		return service.Fail(r, wire.Errorf("AccessDeniedException", "User: %s is not authorized to perform: %s because no identity-based policy allows the %s action", wire.PrincipalARN(r.Principal, Account), name, name)), true
	case fault.Timeout:
		// That a client hangs up is noticed by reading: its body, and then what follows.
		if _, err := io.Copy(io.Discard, r.HTTP.Body); err == nil {
			<-ctx.Done()
		}
		return wire.Answer{}, false
	case fault.LostAnswer:
		if lost := service.Serve(ctx, call.Operation, r); lost.Stream != nil {
			_ = lost.Stream.Close() // it was read only
		}
		return wire.Answer{}, false
	case fault.Stale:
		ctx = fault.WithStale(ctx)
	}
	return service.Serve(ctx, call.Operation, r), true
}

// refusal returns the error that policies refuse a call with; nil where they do not, or
// are not enforced.
func (d *dispatcher) refusal(c Call) *wire.Error {
	if d.enforced == nil {
		return nil
	}
	return d.enforced.refusal(c.Principal, c.Needs)
}

// refuse answers a request that is none of the provided services', by name.
func (d *dispatcher) refuse(w http.ResponseWriter, r *wire.Request) {
	service, operation := r.Service, ""
	if target, op, found := strings.Cut(r.HTTP.Header.Get("X-Amz-Target"), "."); found {
		operation = op
		if service == "" {
			service = target
		}
	} else if strings.HasPrefix(r.HTTP.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		for _, pair := range strings.Split(string(r.Body), "&") {
			if action, found := strings.CutPrefix(pair, "Action="); found {
				operation = action
			}
		}
	}
	if service == "" {
		service = "this endpoint"
	}
	if operation == "" {
		operation = r.HTTP.Method + " " + r.HTTP.URL.Path
	}
	err := wire.NotProvided(service, operation)
	d.calls.add(Call{Service: service, Operation: operation, Principal: r.Principal, Started: time.Now(), Status: err.Status, Code: err.Code})
	// Every SDK reads the code from the header, and the CLI prints the body of an
	// answer that it cannot parse; XML is what the protocols without JSON parse.
	w.Header().Set("X-Amzn-Errortype", err.Code)
	answer := struct {
		XMLName xml.Name `json:"-" xml:"ErrorResponse"`
		Code    string   `json:"__type" xml:"Error>Code"`
		Message string   `json:"message" xml:"Error>Message"`
	}{Code: err.Code, Message: err.Message}
	encode, contentType := xml.Marshal, "text/xml"
	if r.HTTP.Header.Get("X-Amz-Target") != "" {
		encode, contentType = json.Marshal, "application/x-amz-json-1.1"
	}
	body, fault := encode(answer)
	if fault != nil {
		panic(fault) // strings only
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(err.Status)
	_, _ = w.Write(body) // a client that hung up needs no answer
}

// serveRegistry hands a request to the OCI registry, whose blobs are streamed. Its
// reads are consistent, as ECR's are: a stale one is one like any other.
func (d *dispatcher) serveRegistry(w http.ResponseWriter, r *http.Request) {
	call := Call{Service: "registry", Operation: registryOperation(r), Principal: d.pusher(r), Started: time.Now()}
	if call.Principal != "" && d.needed { // without a login there is a challenge, or a URL that was signed for what it gives
		call.Needs = d.reference.Registry(r)
		call.Needs = append(call.Needs, d.mount(call.Principal, r)...)
	}
	recorder := &statusRecorder{ResponseWriter: w}
	defer func() {
		call.Took, call.Status = time.Since(call.Started), recorder.status
		d.calls.add(call)
	}()
	if !d.delay(r.Context()) {
		return
	}
	if refused := d.refusal(call); refused != nil {
		call.Code = "DENIED"
		failRegistry(recorder, http.StatusForbidden, call.Code, refused.Message)
		return
	}
	switch d.faults.Next(call.Name()) {
	case fault.Error:
		failRegistry(recorder, http.StatusInternalServerError, "UNKNOWN", "A fault of tasuki local: "+call.Name()+" fails.")
	case fault.Throttle:
		failRegistry(recorder, http.StatusTooManyRequests, "TOOMANYREQUESTS", "Rate exceeded")
	case fault.Denied:
		failRegistry(recorder, http.StatusForbidden, "DENIED", "User is not authorized to perform: "+call.Name())
	case fault.Timeout:
		// That a client hangs up is noticed by reading: its body, and then what follows.
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	case fault.LostAnswer:
		d.registry.ServeHTTP(&nowhere{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	default:
		d.registry.ServeHTTP(recorder, r)
	}
}

// mount returns what a request needs to mount a layer of another repository. One who may
// not read that repository is given an upload instead, as where there is no such layer.
func (d *dispatcher) mount(principal string, r *http.Request) []authorization.Need {
	needs := d.reference.Mount(r)
	if d.enforced == nil || d.enforced.refusal(principal, needs) == nil {
		return needs
	}
	query := r.URL.Query()
	query.Del("mount")
	query.Del("from")
	r.URL.RawQuery = query.Encode()
	return nil
}

// serveAnswer takes the answer of a custom resource, which AWS takes at an S3 URL.
func (d *dispatcher) serveAnswer(w http.ResponseWriter, r *http.Request) {
	call := Call{Service: "cloudformation", Operation: r.Method + " answer", Started: time.Now()}
	recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		call.Took, call.Status = time.Since(call.Started), recorder.status
		d.calls.add(call)
	}()
	d.answers.ServeHTTP(recorder, r)
}

// failRegistry answers with an error in the form of the OCI distribution specification.
func failRegistry(w http.ResponseWriter, status int, code, message string) {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string][]detail{"errors": {{code, message}}})
	if err != nil {
		panic(err) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up needs no answer
}

// serveURL hands a request to the function that the URL is of, as faults would have it.
func (d *dispatcher) serveURL(w http.ResponseWriter, r *http.Request) {
	call := Call{Service: "lambda", Operation: "InvokeFunctionUrl", Principal: wire.Principal(r), Started: time.Now()}
	recorder := &statusRecorder{ResponseWriter: w}
	defer func() {
		call.Took, call.Status = time.Since(call.Started), recorder.status
		d.calls.add(call)
	}()
	if !d.delay(r.Context()) {
		return
	}
	switch d.faults.Next(call.Name()) {
	case fault.Error:
		http.Error(recorder, `{"Message":"Internal Server Error"}`, http.StatusBadGateway)
	case fault.Throttle:
		http.Error(recorder, `{"Message":"Too Many Requests"}`, http.StatusTooManyRequests)
	case fault.Denied:
		http.Error(recorder, `{"Message":"Forbidden"}`, http.StatusForbidden)
	case fault.Timeout:
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	case fault.LostAnswer:
		d.urls.ServeHTTP(&nowhere{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	default:
		d.urls.ServeHTTP(recorder, r)
	}
}

// registryOperation names a registry request by its method and by what it is about,
// as in "PUT manifests" or "POST uploads".
func registryOperation(r *http.Request) string {
	_, about := authorization.RegistryPath(r.URL.Path)
	if about == "" {
		about = "base"
	}
	return r.Method + " " + about
}

// nowhere is an answer that nobody gets.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// statusRecorder remembers the status that a handler wrote.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
