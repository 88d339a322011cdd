package tasuki

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// SmokeTest is one invocation that an image has to pass before it is registered.
type SmokeTest struct {
	Name    string // for messages
	Payload []byte // JSON
	Expect  []byte // JSON that the answer must contain; nil for any answer that is no failure
}

// smoke runs the tests on what a function runs now, and returns the published
// version that they ran on, if one was published. ErrConflict means that the
// function was changed meanwhile, so that something else may have been tested.
func (r Releaser) smoke(ctx context.Context, h Handoff, f Function, publish bool, tests []SmokeTest) (version string, err error) {
	if publish {
		if version, err = r.publish(ctx, f); err != nil {
			return "", err
		}
	}
	for _, test := range tests {
		r.say(h, "smoke test %s on function %s", test.Name, qualified(f.Name, version))
		answer, err := r.Invoker.Invoke(ctx, f.Name, version, test.Payload)
		if err != nil {
			return version, err
		}
		if err := test.judge(answer); err != nil {
			return version, &Error{Op: "smoke-test", Side: SideFunction, Subject: qualified(f.Name, version), Kind: ErrRefused, Err: fmt.Errorf("%s: %w", test.Name, err)}
		}
	}
	if publish || len(tests) == 0 {
		return version, nil
	}
	now, err := r.Updater.Function(ctx, f.Name)
	if err != nil {
		return "", err
	}
	if now.RevisionID != f.RevisionID {
		return "", &Error{Op: "smoke-test", Side: SideFunction, Subject: f.Name, Kind: ErrConflict, Err: errors.New("it was changed during the test")}
	}
	return "", nil
}

// judge says why an answer does not pass.
func (t SmokeTest) judge(answer Answer) error {
	if answer.Failure != "" {
		return fmt.Errorf("the function failed: %s", excerpt(answer.Payload))
	}
	if t.Expect == nil {
		return nil
	}
	var want, have any
	if err := json.Unmarshal(t.Expect, &want); err != nil {
		return invalid("what is expected is not JSON: %v", err)
	}
	if err := json.Unmarshal(answer.Payload, &have); err != nil {
		return fmt.Errorf("the answer is not JSON: %s", excerpt(answer.Payload))
	}
	if at := lacks(have, want, "$"); at != "" {
		return fmt.Errorf("the answer is not as expected at %s: %s", at, excerpt(answer.Payload))
	}
	return nil
}

// lacks returns where have does not contain want, as a JSON path, or "". An object
// contains another if it has the other's members; all else must be equal.
func lacks(have, want any, path string) string {
	expected, isObject := want.(map[string]any)
	if !isObject {
		if a, b := canonical(have), canonical(want); !bytes.Equal(a, b) {
			return path
		}
		return ""
	}
	members, isObject := have.(map[string]any)
	if !isObject {
		return path
	}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		member, there := members[name]
		if !there {
			return path + "." + name
		}
		if at := lacks(member, expected[name], path+"."+name); at != "" {
			return at
		}
	}
	return ""
}

// canonical returns the JSON of a decoded value, its members sorted.
func canonical(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return b
}

// excerpt returns the beginning of an answer, in one line.
func excerpt(payload []byte) string {
	const longest = 300
	text := string(bytes.Join(bytes.Fields(payload), []byte(" ")))
	if r := []rune(text); len(r) > longest {
		text = string(r[:longest]) + "…"
	}
	return text
}
