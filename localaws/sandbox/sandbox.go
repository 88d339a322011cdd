// Package sandbox runs a container image's entrypoint as AWS Lambda does, without
// a container engine: [Unpack] makes a root file system of the image's layers, and
// [Start] runs the entrypoint on it, read-only, in Linux namespaces of its own,
// against the Lambda Runtime API.
//
// The network is the host's, because the Runtime API is on loopback. Everything
// else is the function's own: its processes, its /tmp, its user without any
// capability. It works for root and for ordinary users alike.
//
// The process that prepares the namespaces is the program itself, started again:
// every program and every test binary that starts sandboxes calls [Main] first.
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The limits of AWS Lambda that a sandbox keeps (Lambda quotas, AWS documentation).
const (
	InitLimit      = 10 * time.Second // for the runtime to ask for its first invocation
	LargestPayload = 6<<20 + 100      // bytes of a response; AWS names it so in its error
	largestImage   = 10 << 30         // bytes of an image, uncompressed
	defaultScratch = 512              // MiB of /tmp
	mostFiles      = 1024             // file descriptors of a process
	mostProcesses  = 1024             // processes and threads of an environment
	defaultPath    = "/usr/local/bin:/usr/bin/:/bin:/opt/bin"
	defaultWorkDir = "/var/task" // where it exists
)

// Config says what an environment runs.
type Config struct {
	Rootfs     string        // the folder that Unpack made
	Command    []string      // the entrypoint and its arguments; the image's or what overrides them
	WorkingDir string        // "" for /var/task where there is one, else /
	Env        []string      // as in "NAME=value"; the last of a name counts
	Scratch    int           // MiB of /tmp; 0 for 512
	Function   string        // the function's ARN, which the runtime is told with each invocation
	Output     io.Writer     // gets what the function writes to stdout and stderr
	InitLimit  time.Duration // 0 for InitLimit
}

// ErrTimeout is the error for a function that took too long, to initialise or to
// answer. The environment is gone then.
var ErrTimeout = errors.New("the function took too long")

// ErrGone is the error for an invocation that the environment did not take, because
// it had ended before. Another environment may take it.
var ErrGone = errors.New("the environment has ended")

// Fault is a failure of the function's environment in AWS's words: the function
// could not be started, has ended, or has answered what cannot be handed on.
type Fault struct {
	Type    string // as in "Runtime.ExitError"
	Message string // as in "Runtime exited with error: exit status 1"
	Body    []byte // what the runtime itself reported, in place of type and message; nil for nothing
}

// The types of faults.
const (
	FaultExit       = "Runtime.ExitError"
	FaultEntrypoint = "Runtime.InvalidEntrypoint"
	FaultWorkingDir = "Runtime.InvalidWorkingDir"
	FaultTimeout    = "Sandbox.Timedout"
	FaultTooLarge   = "Function.ResponseSizeTooLarge"
)

// TimedOut is the fault of a function that took longer than its timeout.
func TimedOut(timeout time.Duration) *Fault {
	return &Fault{Type: FaultTimeout, Message: fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())}
}

// Error returns the fault's type and message.
func (f *Fault) Error() string { return f.Type + ": " + f.Message }

// Payload returns what the caller of the invocation gets instead of a response.
func (f *Fault) Payload(requestID string) []byte {
	if f.Body != nil {
		return f.Body
	}
	message := "RequestId: " + requestID + " Error: " + f.Message
	if f.Type == FaultTooLarge {
		message = f.Message
	}
	body, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{f.Type, message})
	if err != nil {
		panic(err) // two strings
	}
	return body
}
