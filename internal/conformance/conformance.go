// Package conformance holds one test suite for each port of package tasuki. Every
// implementation passes the same suite: AWS behind the local endpoint, and the one
// in memory that the protocol's own tests use. So what the protocol is tested
// against is what it runs on.
//
// Each suite takes a function that opens an implementation over an empty store.
// It is called once for each subtest.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// settle bounds how long a suite waits for what was written to be read: the time
// that the protocol itself allows for.
const settle = 5 * time.Second

// eventually calls done until it reports true, and fails the test when it has not
// within settle. why says what is still wrong.
func eventually(t *testing.T, done func() (ok bool, why string)) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(settle)
	defer deadline.Stop()
	for {
		ok, why := done()
		if ok {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("after %v: %s", settle, why)
		}
	}
}

// wantKind fails the test unless err is of the kind, and a *tasuki.Error that says
// what was being done.
func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one of kind %q", err, kind)
	}
	if e, ok := errors.AsType[*tasuki.Error](err); !ok || e.Op == "" || e.Subject == "" {
		t.Errorf("the error %#v does not say what was being done to what", err)
	}
}

// wantCanceled fails the test unless f, called with a context that is done, returns
// context.Canceled and no kind of its own.
func wantCanceled(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call returned %v, want context.Canceled", err)
	}
	if errors.Is(err, tasuki.ErrMissing) {
		t.Errorf("a cancelled call says that the thing is missing: %v", err)
	}
}

// must returns what a parser of package tasuki gives for s.
func must[T any](t *testing.T, parse func(string) (T, error), s string) T {
	t.Helper()
	v, err := parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tagOf returns the n-th of a row of tags.
func tagOf(t *testing.T, n int) tasuki.Tag {
	t.Helper()
	return must(t, tasuki.ParseTag, fmt.Sprintf("v%d", n))
}
