package cloudformation

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestS3Location(t *testing.T) {
	for address, want := range map[string]string{
		"https://s3.us-east-1.amazonaws.com/bucket/a/b.json":        "bucket a/b.json",
		"https://s3.amazonaws.com/bucket/a.json":                    "bucket a.json",
		"https://bucket.s3.us-east-1.amazonaws.com/a/b.json":        "bucket a/b.json",
		"https://a.dotted.bucket.s3-eu-west-1.amazonaws.com/a.json": "a.dotted.bucket a.json",
		"http://127.0.0.1:4566/bucket/a.json":                       "bucket a.json",
		"https://s3.us-east-1.amazonaws.com/bucket":                 "",
		"ftp://bucket.s3.amazonaws.com/a.json":                      "",
		"file:///etc/passwd":                                        "",
		"":                                                          "",
	} {
		bucket, key, ok := s3Location(address)
		if got := strings.TrimSpace(bucket + " " + key); ok != (want != "") || ok && got != want {
			t.Errorf("%s is %q (%v), want %q", address, got, ok, want)
		}
	}
}

// A walk visits what is needed first, and does not reach what needs a failure.
func TestWalk(t *testing.T) {
	needs := map[string][]string{"a": nil, "b": {"a"}, "c": {"b"}, "d": {"a", "elsewhere"}, "e": {"c", "d"}}
	for name, test := range map[string]struct {
		needs   map[string][]string
		failing string
		want    []string // in any order that the graph allows
		failed  []string
	}{
		"all":      {needs, "", []string{"a", "b", "c", "d", "e"}, nil},
		"failing":  {needs, "b", []string{"a", "b", "d"}, []string{"b", "c", "e"}},
		"backward": {reversed(needs), "c", []string{"c", "d", "e"}, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var visited []string
			failures := walk(t.Context(), test.needs, false, func(_ context.Context, id string) error {
				mu.Lock()
				defer mu.Unlock()
				for _, other := range test.needs[id] {
					if _, known := test.needs[other]; known && !slices.Contains(visited, other) {
						t.Errorf("%s is visited before %s", id, other)
					}
				}
				visited = append(visited, id)
				if id == test.failing {
					return errors.New("it fails")
				}
				return nil
			})
			slices.Sort(visited)
			if diff := cmp.Diff(test.want, visited); diff != "" {
				t.Errorf("visited (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.failed, sortedKeys(failures)); diff != "" {
				t.Errorf("failed (-want +got):\n%s", diff)
			}
		})
	}
}

// Nodes that need each other are visited, each once, and so is what needs them.
func TestWalkCircle(t *testing.T) {
	var mu sync.Mutex
	var visited []string
	failures := walk(t.Context(), map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"b"}}, false, func(_ context.Context, id string) error {
		mu.Lock()
		defer mu.Unlock()
		visited = append(visited, id)
		return nil
	})
	if diff := cmp.Diff([]string{"a", "b", "c"}, visited); diff != "" || len(failures) > 0 {
		t.Errorf("it fails with %v; visited (-want +got):\n%s", failures, diff)
	}
}

// With stop, the first failure ends the context of the visits under way.
func TestWalkStops(t *testing.T) {
	begun := make(chan struct{})
	failures := walk(t.Context(), map[string][]string{"slow": nil, "fails": nil, "after": {"slow"}}, true, func(ctx context.Context, id string) error {
		if id == "slow" {
			close(begun)
			<-ctx.Done()
			return nil
		}
		<-begun
		return errors.New("it fails")
	})
	if !errors.Is(failures["after"], errSkipped) || failures["slow"] != nil || failures["fails"] == nil {
		t.Errorf("it fails with %v", failures)
	}
}

func TestAnswers(t *testing.T) {
	a := newAnswers(nil)
	server := httptest.NewServer(a)
	defer server.Close()
	a.endpoint = func() string { return server.URL }
	url, answer, forget := a.Expect()
	send := func(method, url, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	if status := send(http.MethodGet, url, ""); status != http.StatusMethodNotAllowed {
		t.Errorf("reading answers %d", status)
	}
	for _, body := range []string{"first", "second"} {
		if status := send(http.MethodPut, url, body); status != http.StatusOK {
			t.Errorf("the %s answer is taken with %d", body, status)
		}
	}
	if got := string(<-answer); got != "first" {
		t.Errorf("the answer is %q", got)
	}
	forget()
	if status := send(http.MethodPut, url, "late"); status != http.StatusForbidden {
		t.Errorf("an answer that nobody waits for is taken with %d", status)
	}
}
