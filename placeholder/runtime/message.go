//go:build linux

package main

// errorType is what callers, and dead-letter queues, can tell this failure by.
const errorType = "Tasuki.NoReleaseYet"

// noRelease returns what a person should know who invoked the function too early.
func noRelease(handoff string) string {
	whose, name := "handoff "+handoff, handoff
	if handoff == "" {
		whose, name = "this function's handoff", "HANDOFF"
	}
	return whose + " has had no release yet: this function runs the placeholder image; release an application image with 'tasuki release " + name + "'"
}

// errorBody returns the error in the Runtime API's form.
func errorBody(message string) []byte {
	b := append([]byte(`{"errorType":`), appendJSONString(nil, errorType)...)
	b = appendJSONString(append(b, `,"errorMessage":`...), message)
	return append(b, `,"stackTrace":[]}`...)
}

// appendJSONString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as in encoding/json, which is too large for this program.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
