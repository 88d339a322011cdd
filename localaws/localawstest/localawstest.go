// Package localawstest runs the local endpoint for tests that call it with the SDK's own
// clients.
package localawstest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/localaws"
)

// Start starts an endpoint that is closed at the end of the test.
func Start(t testing.TB, o localaws.Options) *localaws.Server {
	t.Helper()
	server, err := localaws.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// Config is what clients of the endpoint are made of. They are the user alice's, and
// attempt each call once.
func Config(server *localaws.Server) aws.Config {
	config := server.Config("alice")
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return config
}

// Log is what several goroutines write, and a test reads meanwhile. The zero Log is empty.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns what has been written until now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Call carries out an operation that must succeed.
func Call[In, Out, Options any](t testing.TB, operation func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) *Out {
	t.Helper()
	out, err := operation(t.Context(), in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return out
}

// Fails carries out an operation that must fail with a code of its API's.
func Fails[In, Out, Options any](t testing.TB, code string, operation func(context.Context, *In, ...func(*Options)) (*Out, error), in *In) {
	t.Helper()
	_, err := operation(t.Context(), in)
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != code {
		t.Errorf("%T: got %v, want %s", in, err, code)
	}
}
