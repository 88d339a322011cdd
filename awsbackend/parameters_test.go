package awsbackend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// current answers GetParameter with the n-th version of a parameter.
func current(n int) operation {
	return ok(`{"Parameter":{"Name":"/tasuki/orders/image-tag","Type":"String","Value":"v%d","Version":%d,"LastModifiedDate":1700000000.5}}`, n, n)
}

// history answers GetParameterHistory with versions from to n, 50 a page, as SSM
// does: ascending, with a token where there is more.
func history(from, n int) operation {
	return func(w http.ResponseWriter, in map[string]any) {
		start := from
		if token, ok := in["NextToken"].(string); ok {
			fmt.Sscanf(token, "from %d", &start)
		}
		end := min(start+49, n)
		out := map[string]any{}
		var versions []any
		for v := start; v <= end; v++ {
			versions = append(versions, map[string]any{
				"Name": "/tasuki/orders/image-tag", "Type": "String", "Value": fmt.Sprintf("v%d", v), "Version": v, "Description": fmt.Sprintf("description %d", v),
				"LastModifiedUser": "arn:aws:iam::123456789012:user/zoe", "LastModifiedDate": 1700000000.5, "Labels": []string{"ignored"},
			})
		}
		out["Parameters"] = versions
		if end < n {
			out["NextToken"] = fmt.Sprintf("from %d", end+1)
		}
		b, _ := json.Marshal(out)
		_, _ = w.Write(b)
	}
}

func notFound() operation { return fail(400, "ParameterNotFound", "") }

func tagParameter(t *testing.T) tasuki.ParameterName {
	return parse(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag")
}

func TestReadTag(t *testing.T) {
	stale := func(answer operation, times int, settled operation) operation {
		answers := []operation{}
		for range times {
			answers = append(answers, answer)
		}
		return then(append(answers, settled)...)
	}
	for _, c := range []struct {
		what     string
		current  operation
		history  operation
		version  int64 // read in the end
		kind     error // or why not
		currents int   // calls of GetParameter
		pages    int   // calls of GetParameterHistory
	}{
		{"agreed", current(3), history(1, 3), 3, nil, 1, 1},
		{"two pages", current(80), history(1, 80), 80, nil, 1, 2},
		{"a hundred versions of many", current(250), history(151, 250), 250, nil, 1, 2},
		{"the history is newer", current(2), history(1, 3), 3, nil, 1, 1},
		{"the history is behind twice", current(3), stale(history(1, 2), 2, history(1, 3)), 3, nil, 3, 3},
		{"the history is behind, then far ahead", current(3), stale(history(1, 2), 1, history(1, 5)), 5, nil, 2, 2},
		{"both fall behind what was seen", then(current(3), current(2), current(3)), then(history(1, 2), history(1, 2), history(1, 3)), 3, nil, 3, 3},
		{"the history stays behind", current(3), history(1, 2), 0, tasuki.ErrUnavailable, 7, 7},
		{"no parameter", notFound(), notFound(), 0, tasuki.ErrMissing, 1, 1},
		{"no parameter at first, but a history", then(notFound(), current(1)), history(1, 1), 1, nil, 2, 2},
		{"no history at first", current(1), then(notFound(), history(1, 1)), 1, nil, 2, 2},
		{"no parameter, but a history, to the end", notFound(), history(1, 1), 0, tasuki.ErrUnavailable, 7, 7},
		{"a parameter without a history, to the end", current(1), notFound(), 0, tasuki.ErrUnavailable, 7, 7},
		{"deleted meanwhile", then(current(1), notFound()), notFound(), 0, tasuki.ErrMissing, 2, 2},
		{"deleted and created again", current(1), stale(ok(`{"Parameters":[{"Type":"String","Value":"before","Version":1}]}`), 1, history(1, 1)), 1, nil, 2, 2},
		{"denied", fail(400, "AccessDeniedException", ""), notFound(), 0, tasuki.ErrDenied, 1, -1},
		{"the history denied", notFound(), fail(400, "AccessDeniedException", ""), 0, tasuki.ErrDenied, -1, 1},
		{"the history throttled", notFound(), fail(400, "ThrottlingException", ""), 0, tasuki.ErrThrottled, -1, 1},
		{"the history broken", notFound(), fail(500, "InternalServerError", ""), 0, tasuki.ErrUnavailable, -1, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend, fake := inProcess(t, Options{}, map[string]operation{"GetParameter": c.current, "GetParameterHistory": c.history})
				started := time.Now()
				got, err := backend.Tags.ReadTag(t.Context(), tagParameter(t))
				synctest.Wait()
				if took := time.Since(started); took > settleWithin {
					t.Errorf("it took %v", took)
				}
				if n := fake.count("GetParameter"); c.currents >= 0 && n != c.currents {
					t.Errorf("GetParameter was called %d times, want %d", n, c.currents)
				}
				if n := fake.count("GetParameterHistory"); c.pages >= 0 && n != c.pages {
					t.Errorf("GetParameterHistory was called %d times, want %d", n, c.pages)
				}
				if c.kind != nil {
					e := wantKind(t, err, c.kind)
					if e.Side != tasuki.SideTag || e.Subject != "/tasuki/orders/image-tag" {
						t.Errorf("the error is about %s %s", e.Side, e.Subject)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				want := tasuki.ParameterVersion{
					Name: tagParameter(t), Value: fmt.Sprintf("v%d", c.version), Type: "String", Version: c.version, Description: fmt.Sprintf("description %d", c.version),
					ModifiedBy: "arn:aws:iam::123456789012:user/zoe", ModifiedAt: got.ModifiedAt,
				}
				if got != want {
					t.Errorf("read %+v, want %+v", got, want)
				}
				if !got.ModifiedAt.Equal(time.UnixMilli(1700000000500)) {
					t.Errorf("modified at %v", got.ModifiedAt)
				}
			})
		})
	}
}

func TestReadTagStopsWaitingWhenCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend, _ := inProcess(t, Options{}, map[string]operation{"GetParameter": current(3), "GetParameterHistory": history(1, 2)})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(150*time.Millisecond, cancel)
		started := time.Now()
		_, err := backend.Tags.ReadTag(ctx, tagParameter(t))
		if !errors.Is(err, context.Canceled) || errors.Is(err, tasuki.ErrMissing) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if took := time.Since(started); took != 150*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// The domain refuses a SecureString; the adapter must let it see that it is one.
func TestSecureString(t *testing.T) {
	const parameter = `{"Name":"/tasuki/orders/image-tag","Type":"SecureString","Value":"AQICAHi...","Version":1,"LastModifiedDate":1700000000}`
	backend, _ := serve(t, Options{}, map[string]operation{
		"GetParameter": func(w http.ResponseWriter, in map[string]any) {
			if in["WithDecryption"] == true {
				t.Error("the value was asked for decrypted")
			}
			fmt.Fprint(w, `{"Parameter":`+parameter+`}`)
		},
		"GetParameterHistory": ok(`{"Parameters":[` + parameter + `]}`),
	})
	got, err := backend.Tags.ReadTag(t.Context(), tagParameter(t))
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != "SecureString" {
		t.Errorf("the type is %q", got.Type)
	}
	if _, err := got.Release(); !errors.Is(err, tasuki.ErrInvalid) {
		t.Errorf("it was taken for a release: %v", err)
	}
}

func TestTagHistory(t *testing.T) {
	backend, fake := serve(t, Options{}, map[string]operation{"GetParameterHistory": history(151, 250)})
	got, err := backend.Tags.TagHistory(t.Context(), tagParameter(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 100 || got[0].Version != 250 || got[99].Version != 151 || got[99].Description != "description 151" {
		t.Errorf("got %d versions, %d to %d", len(got), got[0].Version, got[len(got)-1].Version)
	}
	if n := fake.count("GetParameterHistory"); n != 2 {
		t.Errorf("it took %d calls", n)
	}
}

func TestTagHistoryWithABrokenPageIsNoHistory(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"GetParameterHistory": then(history(1, 80), fail(400, "AccessDeniedException", ""))})
	got, err := backend.Tags.TagHistory(t.Context(), tagParameter(t))
	wantKind(t, err, tasuki.ErrDenied)
	if got != nil {
		t.Errorf("got %d versions", len(got))
	}
}

func TestWriteTag(t *testing.T) {
	backend, fake := serve(t, Options{}, map[string]operation{"PutParameter": func(w http.ResponseWriter, in map[string]any) {
		want := map[string]any{"Name": "/tasuki/orders/image-tag", "Value": "v1", "Type": "String", "Description": "the record", "Overwrite": true}
		if fmt.Sprint(in) != fmt.Sprint(want) {
			t.Errorf("put %v, want %v", in, want)
		}
		fmt.Fprint(w, `{"Version":12,"Tier":"Standard"}`)
	}})
	version, err := backend.Tags.WriteTag(t.Context(), tagParameter(t), parse(t, tasuki.ParseTag, "v1"), "the record")
	if err != nil || version != 12 {
		t.Errorf("got version %d, %v; want 12", version, err)
	}
	if n := fake.count("PutParameter"); n != 1 {
		t.Errorf("it took %d calls", n)
	}
}

func TestVersionWithALabel(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"PutParameter": fail(400, "ParameterMaxVersionLimitExceeded", "the oldest version has a label")})
	_, err := backend.Tags.WriteTag(t.Context(), tagParameter(t), parse(t, tasuki.ParseTag, "v1"), "")
	if e := wantKind(t, err, tasuki.ErrRefused); !strings.Contains(e.Hint, "label") {
		t.Errorf("the hint is %q", e.Hint)
	}
}
