// Package sdkhttp is what the AWS SDK's requests are sent with.
package sdkhttp

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// New returns the SDK's own HTTP client, made whole, with connections of its own.
func New() Whole { return Whole{awshttp.NewBuildableClient()} }

// Whole sends requests whose body is in memory, and known to be. Of any other body
// net/http sends the headers first, and looks for more of the body when all is sent; a
// server nearby can answer before it has looked. By then the SDK has closed the body,
// whose reading is an error from there on: net/http closes the connection for it, and the
// rest of the answer is lost (aws-sdk-go-v2 issue 2737; smithy-go's safeWriteToReadCloser).
// The SDK tries again, and a parameter is written twice; or it finds half an answer, and
// fails. All bodies here are small.
type Whole struct{ aws.HTTPClient }

// Do implements [aws.HTTPClient].
func (c Whole) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.HTTPClient.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return c.HTTPClient.Do(r)
}

// WithTimeout returns the client with another time for each attempt, where that is
// known how to do: where it is the SDK's own.
func (c Whole) WithTimeout(timeout time.Duration) Whole {
	if client, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		return Whole{client.WithTimeout(timeout)}
	}
	return c
}

// Bound returns client made whole, nil being the SDK's own. Each attempt of the SDK's own
// client ends after the time given, unless it has one of its own.
func Bound(client aws.HTTPClient, timeout time.Duration) Whole {
	whole, ok := client.(Whole)
	switch {
	case client == nil:
		whole = New()
	case !ok:
		whole = Whole{client}
	}
	if own, ok := whole.HTTPClient.(*awshttp.BuildableClient); ok && own.GetTimeout() != 0 {
		return whole
	}
	return whole.WithTimeout(timeout)
}
