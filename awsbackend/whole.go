package awsbackend

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// whole sends requests whose body is in memory, and known to be. Of any other body
// net/http sends the headers first, and a server nearby can answer before it has
// closed the body; then the SDK's own closing makes net/http take the connection for
// broken, and the answer is lost (aws-sdk-go-v2 issue 2737). The SDK tries again, and
// a parameter is written twice. All bodies here are small.
type whole struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c whole) Do(r *http.Request) (*http.Response, error) {
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

// withTimeout returns the client with another time for each attempt, where that is
// known how to do.
func (c whole) withTimeout(timeout time.Duration) aws.HTTPClient {
	if client, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		return whole{client.WithTimeout(timeout)}
	}
	return c
}
