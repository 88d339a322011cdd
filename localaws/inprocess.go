package localaws

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// cloudFormation is the access key id that CloudFormation calls services with: the call
// log tells its calls from its users' by it.
const cloudFormation = wire.CloudFormation

// clientConfig returns what SDK clients within the endpoint are made of. Their calls go
// through the dispatcher like all others, and not through the network.
func (s *Server) clientConfig(principal string) aws.Config {
	config := s.Config(principal)
	config.HTTPClient = &http.Client{Transport: inProcess{s}}
	return config
}

// inProcess carries requests to the dispatcher. A call that has begun is always carried
// out and answered: its context ends waiting only.
type inProcess struct{ s *Server }

// errBroken is what the caller sees where a client would see its connection break.
var errBroken = errors.New("the connection broke before the answer")

// RoundTrip implements [http.RoundTripper].
func (t inProcess) RoundTrip(r *http.Request) (response *http.Response, err error) {
	answer := &recorded{header: http.Header{}}
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case http.ErrAbortHandler:
			response, err = nil, errBroken
		default:
			panic(cause)
		}
	}()
	served := r.Clone(r.Context())
	served.RequestURI, served.RemoteAddr = r.URL.RequestURI(), "in process"
	if served.Body == nil {
		served.Body = http.NoBody
	}
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	t.s.calling.ServeHTTP(answer, served)
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.header, Body: io.NopCloser(&answer.body), ContentLength: int64(answer.body.Len()), Request: r,
	}, nil
}

// recorded is an answer that stays within the process.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header { return r.header }

func (r *recorded) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorded) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}
