//go:build linux

package main

import (
	"encoding/json"
	"testing"
)

// theBody is the error as the Runtime API reads it.
type theBody struct {
	ErrorType    string
	ErrorMessage string
	StackTrace   []string
}

func TestErrorBody(t *testing.T) {
	for handoff, want := range map[string]string{
		"orders":     "handoff orders has had no release yet: this function runs the placeholder image; release an application image with 'tasuki release orders'",
		"stg/orders": "handoff stg/orders has had no release yet: this function runs the placeholder image; release an application image with 'tasuki release stg/orders'",
		"":           "this function's handoff has had no release yet: this function runs the placeholder image; release an application image with 'tasuki release HANDOFF'",
	} {
		b := errorBody(noRelease(handoff))
		if wantBytes := `{"errorType":"Tasuki.NoReleaseYet","errorMessage":"` + want + `","stackTrace":[]}`; string(b) != wantBytes {
			t.Errorf("handoff %q: got\n%s, want\n%s", handoff, b, wantBytes)
		}
		var body theBody
		if err := json.Unmarshal(b, &body); err != nil {
			t.Errorf("handoff %q: %v", handoff, err)
		}
		if body.ErrorType != errorType || body.ErrorMessage != want || body.StackTrace == nil {
			t.Errorf("handoff %q: decoded %+v", handoff, body)
		}
	}
}

func FuzzAppendJSONString(f *testing.F) {
	for _, s := range []string{"", "orders", `a"b\c`, "tab\tnewline\nnul\x00", "é – 帯 🎽", "\xff\xfe", "\u2028</script>", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendJSONString([]byte("x"), s)
		var got string
		if err := json.Unmarshal(b[1:], &got); err != nil {
			t.Fatalf("%q became %s: %v", s, b, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("%q was read back as %q", want, got)
		}
	})
}
