package image

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// longestErrorBody bounds what is read of a registry's error.
const longestErrorBody = 64 << 10

// client is the HTTP client under oras's repositories. It sends credentials
// before they are asked for, where it has them, and makes errors of answers that
// are errors, so that Retry-After is not lost.
type client struct {
	inner         *auth.Client
	authorization string // "" to wait for the registry's challenge
	late          *lateLogin
}

// Do implements remote.Client. A GET or HEAD that finds nothing is an answer.
func (c *client) Do(request *http.Request) (*http.Response, error) {
	if c.authorization != "" && request.Header.Get("Authorization") == "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", c.authorization) // inner drops it where a redirect leaves the host
	}
	response, err := c.send(request)
	if err != nil {
		return nil, err
	}
	reading := request.Method == http.MethodGet || request.Method == http.MethodHead
	if response.StatusCode == http.StatusNotFound && reading {
		return response, nil
	}
	return unlessError(response)
}

func (c *client) send(request *http.Request) (*http.Response, error) {
	if c.late != nil {
		return c.late.do(c.inner, request)
	}
	return c.inner.Do(request)
}

// bare sends a request without credentials, to where a registry has sent us.
func (c *client) bare(request *http.Request) (*http.Response, error) {
	request.Header.Set("User-Agent", userAgent)
	response, err := c.inner.Client.Do(request)
	if err != nil {
		return nil, err
	}
	return unlessError(response)
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
		return text + ": " + redact(printable(e.message))
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
