package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// longestErrorBody bounds what is read of a registry's error.
const longestErrorBody = 64 << 10

// client is the HTTP client under oras's repositories. It sends credentials
// before they are asked for, where it has them, and makes errors of answers that
// are errors, so that Retry-After is not lost.
type client struct {
	inner         *auth.Client
	requests      *counting
	authorization string // "" to wait for the registry's challenge
	late          *lateLogin
}

// headers go with each request. Content is wanted as it is stored: the HTTP client would
// unpack what a server calls encoded with gzip, and layers are called so.
func headers() http.Header {
	return http.Header{"User-Agent": {userAgent}, "Accept-Encoding": {"identity"}}
}

// Do implements remote.Client. A GET or HEAD that finds nothing is an answer.
func (c *client) Do(request *http.Request) (*http.Response, error) {
	if c.authorization != "" && request.Header.Get("Authorization") == "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", c.authorization) // inner drops it where a redirect leaves the host
	}
	response, err := c.watched(request, c.send)
	if err != nil {
		return nil, err
	}
	reading := request.Method == http.MethodGet || request.Method == http.MethodHead
	if response.StatusCode == http.StatusNotFound && reading {
		return response, nil
	}
	return unlessError(response)
}

func (c *client) send(request *http.Request) (response *http.Response, err error) {
	if c.late != nil {
		response, err = c.late.do(c.inner, request)
	} else {
		response, err = c.inner.Do(request)
	}
	var token *errcode.ErrorResponse
	if errors.As(err, &token) {
		answer := answerOf(token)
		answer.server, answer.retryAfter = "the registry's token service", c.requests.askedToWait(token.URL)
		return nil, answer
	}
	return response, err
}

// bare sends a request without credentials, to where a registry has sent us.
func (c *client) bare(request *http.Request) (*http.Response, error) {
	for name, values := range headers() {
		request.Header[name] = values
	}
	response, err := c.watched(request, c.inner.Client.Do)
	if err != nil {
		return nil, err
	}
	return unlessError(response)
}

// watched sends a request. Its answer does not go silent for long.
func (c *client) watched(request *http.Request, send func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	response, err := send(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = newAnswer(response.Body, cancel)
	return response, nil
}

// unlessError makes an error of an answer that is one.
func unlessError(response *http.Response) (*http.Response, error) {
	if response.StatusCode < http.StatusBadRequest {
		return response, nil
	}
	defer response.Body.Close()
	return nil, readResponseError(response)
}

// responseError is a registry's answer that is an error.
type responseError struct {
	server     string // who answered; "" for the registry
	status     int
	code       string        // of the OCI distribution specification; "" where the body has none
	message    string        // the registry's own sentence
	retryAfter time.Duration // 0 where it does not say
}

func readResponseError(response *http.Response) *responseError {
	e := &responseError{status: response.StatusCode, retryAfter: retryAfter(response.Header, time.Now())}
	var body struct {
		Errors []struct{ Code, Message string }
	}
	b, err := io.ReadAll(io.LimitReader(response.Body, longestErrorBody))
	if err == nil && json.Unmarshal(b, &body) == nil && len(body.Errors) > 0 {
		e.code, e.message = body.Errors[0].Code, body.Errors[0].Message
	}
	return e
}

// answerOf returns an error of oras's as one of ours, without the URL that it quotes.
func answerOf(e *errcode.ErrorResponse) *responseError {
	answer := &responseError{status: e.StatusCode}
	if len(e.Errors) > 0 {
		answer.code, answer.message = e.Errors[0].Code, e.Errors[0].Message
	}
	return answer
}

// retryAfter reads the header of that name, which has seconds or a date (RFC 9110, 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

func (e *responseError) Error() string {
	text := fmt.Sprintf("%s answered %d", cmp.Or(e.server, "the registry"), e.status)
	switch {
	case e.message != "":
		return text + ": " + told(e.message)
	case e.code != "":
		return text + " " + printable(e.code)
	case http.StatusText(e.status) != "":
		return text + " " + http.StatusText(e.status)
	}
	return text
}

func (e *responseError) failure() *failure {
	return &failure{kind: kindOf(e.status, e.code, e.message), text: e.Error(), cause: e}
}
