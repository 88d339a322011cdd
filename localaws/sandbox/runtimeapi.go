package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Invocation is one event for a function.
type Invocation struct {
	ID       string // the request id
	Payload  []byte
	Deadline time.Time
	TraceID  string // X-Ray's trace header; may be empty

	ClientContext string // a mobile client's, as JSON; may be empty
}

// answer is what a runtime says to an invocation.
type answer struct {
	payload []byte
	failed  bool   // reported as an error
	fault   *Fault // the answer could not be taken; the environment lives on
}

// runtimeAPI is the Lambda Runtime API, version 2018-06-01, of one environment.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	function string          // ARN
	ready    chan struct{}   // holds one: the runtime has asked for an invocation
	work     chan Invocation // to the runtime that asked
	initFail chan []byte     // holds one: the runtime's report that it cannot initialise

	mu      sync.Mutex
	current string      // the invocation that has no answer yet; "" for none
	answers chan answer // holds one, the current invocation's
}

func newRuntimeAPI(function string) *runtimeAPI {
	return &runtimeAPI{
		function: function,
		ready:    make(chan struct{}, 1),
		work:     make(chan Invocation),
		initFail: make(chan []byte, 1),
		answers:  make(chan answer, 1),
	}
}

// expect makes an invocation the one that answers are taken for.
func (a *runtimeAPI) expect(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.current = id
}

// take hands an answer to the invocation that waits for it, if that is the current one.
func (a *runtimeAPI) take(id string, given answer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == "" || a.current != id {
		return false
	}
	a.current = ""
	a.answers <- given
	return true
}

// handler returns the API's HTTP side.
func (a *runtimeAPI) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", a.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", a.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", a.initError)
	mux.HandleFunc("/2020-01-01/extension/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotImplemented, "Extension.NotProvided", "The Extensions API is not provided by tasuki local: extensions do not run here.")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "NotProvided", fmt.Sprintf("%s %s of the Runtime API is not provided by tasuki local.", r.Method, r.URL.Path))
	})
	return mux
}

func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	select {
	case a.ready <- struct{}{}:
	default: // asked twice
	}
	select {
	case <-r.Context().Done():
	case invocation := <-a.work:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", invocation.ID)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(invocation.Deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", a.function)
		if invocation.TraceID != "" {
			h.Set("Lambda-Runtime-Trace-Id", invocation.TraceID)
		}
		if invocation.ClientContext != "" {
			h.Set("Lambda-Runtime-Client-Context", invocation.ClientContext)
		}
		h.Set("Content-Length", strconv.Itoa(len(invocation.Payload)))
		_, _ = w.Write(invocation.Payload) // a runtime that hung up does not answer, and times out
	}
}

func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	payload, err := readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		a.take(r.PathValue("id"), answer{fault: &Fault{
			Type:    FaultTooLarge,
			Message: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", LargestPayload),
		}})
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", LargestPayload))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	given := answer{payload: payload}
	// A runtime that streams its response says behind it that it went wrong.
	if r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "" {
		given.failed = true
		if body, err := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body")); err == nil {
			given.payload = body
		}
	}
	a.accept(w, r, given)
}

func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	payload, err := readBody(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	a.accept(w, r, answer{payload: orErrorType(payload, r), failed: true})
}

func (a *runtimeAPI) initError(w http.ResponseWriter, r *http.Request) {
	payload, err := readBody(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	select {
	case a.initFail <- orErrorType(payload, r):
	default: // the first report counts
	}
	accepted(w)
}

func (a *runtimeAPI) accept(w http.ResponseWriter, r *http.Request, given answer) {
	if !a.take(r.PathValue("id"), given) {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	accepted(w)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, LargestPayload))
}

// orErrorType returns the report of an error, made of the header where the body
// is empty.
func orErrorType(payload []byte, r *http.Request) []byte {
	if len(payload) > 0 {
		return payload
	}
	body, err := json.Marshal(map[string]string{"errorType": r.Header.Get("Lambda-Runtime-Function-Error-Type")})
	if err != nil {
		panic(err) // a string
	}
	return body
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	body, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		panic(err) // strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
