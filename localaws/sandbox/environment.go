package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Environment is a function that has initialised and waits for invocations, one at
// a time.
type Environment struct {
	api      *runtimeAPI
	server   *http.Server
	process  *process
	initTook time.Duration
}

// Result is what a function answered.
type Result struct {
	Payload []byte
	Failed  bool // the payload is the report of an error
}

// Start starts a function and waits until it has initialised. It returns a *[Fault]
// when it is the function that failed, [ErrTimeout] when it has not asked for work
// within the limit, ctx's error, or an error of the host, which says what to do.
func Start(ctx context.Context, c Config) (*Environment, error) {
	if len(c.Command) == 0 {
		return nil, &Fault{Type: FaultEntrypoint, Message: "exec: no command"}
	}
	if c.InitLimit == 0 {
		c.InitLimit = InitLimit
	}
	if c.Scratch == 0 {
		c.Scratch = defaultScratch
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.Env = lastOfEach(append([]string{"PATH=" + defaultPath}, c.Env...), "AWS_LAMBDA_RUNTIME_API="+listener.Addr().String())
	api := newRuntimeAPI(c.Function)
	e := &Environment{api: api, server: &http.Server{Handler: api.handler()}}
	started := time.Now()
	if e.process, err = startProcess(c); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	go func() { _ = e.server.Serve(listener) }() // returns when it is closed
	if err := e.awaitInit(ctx, c.InitLimit); err != nil {
		e.Close()
		return nil, err
	}
	e.initTook = time.Since(started)
	return e, nil
}

func (e *Environment) awaitInit(ctx context.Context, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-e.api.ready:
		return nil
	case report := <-e.api.initFail:
		return initFault(report)
	case <-e.process.ended:
	case <-timeout.C:
		return ErrTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case report := <-e.api.initFail: // what the runtime said before it ended says more
		return initFault(report)
	default:
		return e.process.fault()
	}
}

// initFault is the fault of a runtime that reported that it cannot initialise.
func initFault(body []byte) *Fault {
	var report struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal(body, &report) // a runtime may report what it likes
	if report.Type == "" {
		report.Type = "Runtime.Unknown"
	}
	return &Fault{Type: report.Type, Message: report.Message, Body: body}
}

// InitDuration returns how long the function took to initialise, its start included.
func (e *Environment) InitDuration() time.Duration { return e.initTook }

// Invoke gives the function an invocation and returns what it answers. It returns a
// *[Fault] when the function ended or its response was too large, [ErrTimeout] when
// the deadline passed, [ErrGone] and why when the environment had ended before, or
// ctx's error. After any of these but a response that was too large the environment is
// gone; [Environment.Alive] tells. One goroutine may invoke at a time.
func (e *Environment) Invoke(ctx context.Context, invocation Invocation) (Result, error) {
	deadline := time.NewTimer(time.Until(invocation.Deadline))
	defer deadline.Stop()
	e.api.expect(invocation.ID)
	select {
	case e.api.work <- invocation:
	case <-e.process.ended:
		return Result{}, fmt.Errorf("%w: %w", ErrGone, e.process.fault())
	case <-deadline.C:
		return Result{}, e.end(ErrTimeout)
	case <-ctx.Done():
		return Result{}, e.end(ctx.Err())
	}
	select {
	case given := <-e.api.answers:
		return e.finish(given, deadline)
	case <-e.process.ended:
	case <-deadline.C:
		return Result{}, e.end(ErrTimeout)
	case <-ctx.Done():
		return Result{}, e.end(ctx.Err())
	}
	select {
	case given := <-e.api.answers: // given with its last breath
		return e.finish(given, deadline)
	default:
		return Result{}, e.process.fault()
	}
}

// finish ends an invocation as Lambda does: with the runtime's asking for the next
// one. A runtime that does not ask until the deadline is ended; what it answered
// counts all the same.
func (e *Environment) finish(given answer, deadline *time.Timer) (Result, error) {
	select {
	case <-e.api.ready:
	case <-e.process.ended:
	case <-deadline.C:
		e.Close()
	}
	e.process.output.flush()
	if given.fault != nil {
		return Result{}, given.fault
	}
	return Result{Payload: given.payload, Failed: given.failed}, nil
}

func (e *Environment) end(err error) error {
	e.Close()
	return err
}

// Alive reports whether the environment can take another invocation.
func (e *Environment) Alive() bool {
	select {
	case <-e.process.ended:
		return false
	default:
		return true
	}
}

// Close kills every process of the environment and returns when they are gone and
// their output is written. It may be called more than once.
func (e *Environment) Close() {
	e.process.kill()
	_ = e.server.Close() // nobody is left to talk to
}

// lastOfEach returns the variables with only the last of each name.
func lastOfEach(env []string, more ...string) []string {
	env = append(env, more...)
	last := map[string]int{}
	for i, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		last[name] = i
	}
	kept := make([]string, 0, len(last))
	for i, variable := range env {
		if name, _, _ := strings.Cut(variable, "="); last[name] == i {
			kept = append(kept, variable)
		}
	}
	return kept
}
