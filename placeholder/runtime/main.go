//go:build linux

// Command runtime is the program in the placeholder image: a runtime of Lambda's
// that initialises, and then fails every invocation, saying that the handoff has
// had no release.
//
// It is made to be small, so it speaks HTTP over a socket of its own and imports
// next to nothing.
package main

import (
	"errors"
	"syscall"
)

// The environment that the runtime reads: Lambda's own variable, and the one that
// the image's configuration sets.
const (
	variableAPI     = "AWS_LAMBDA_RUNTIME_API"
	variableHandoff = "TASUKI_HANDOFF"
)

func main() {
	say("the placeholder stops: " + run().Error())
	syscall.Exit(1)
}

// run answers invocations for as long as the Runtime API hands them out. It
// returns why it could not go on.
func run() error {
	value, found := syscall.Getenv(variableAPI)
	if !found || value == "" {
		return errors.New(variableAPI + " is not set: this program runs in AWS Lambda, or under 'tasuki local'")
	}
	address, err := parseAddress(value)
	if err != nil {
		return err
	}
	handoff, _ := syscall.Getenv(variableHandoff)
	message := noRelease(handoff)
	body := errorBody(message)
	api := newRuntimeAPI(value, address)
	for {
		id, err := api.next()
		if err != nil {
			return err
		}
		say("request " + id + ": " + message)
		if err := api.fail(id, body); err != nil {
			return err
		}
	}
}

// say writes one line to stderr, from where Lambda takes the log. A log that
// cannot be written is no reason to leave an invocation unanswered.
func say(line string) {
	_ = writeAll(2, []byte("tasuki: "+line+"\n"))
}
