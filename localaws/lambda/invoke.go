package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The largest payloads of invocations, in bytes (Lambda quotas, AWS documentation).
const (
	largestRequest = 6 << 20
	largestEvent   = 1 << 20
)

// outcome is how an invocation ended.
type outcome struct {
	payload []byte
	failed  bool // the function's fault: X-Amz-Function-Error
	log     []byte
}

func (s *Service) invoke(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	f, err := s.invoked(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	kind := types.InvocationType(r.HTTP.Header.Get("X-Amz-Invocation-Type"))
	payload, err := checkPayload(kind, r.Body)
	if err != nil {
		return wire.Answer{}, err
	}
	logType := types.LogType(r.HTTP.Header.Get("X-Amz-Log-Type"))
	if logType != "" && !slices.Contains(logType.Values(), logType) {
		return wire.Answer{}, constraint(logType, "logType", "satisfy enum value set: [None, Tail]")
	}
	clientContext, err := base64.StdEncoding.DecodeString(r.HTTP.Header.Get("X-Amz-Client-Context"))
	if err != nil {
		return wire.Answer{}, wire.Errorf("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
	}
	if f.State != types.StateActive {
		return wire.Answer{}, notIn(f.State)
	}
	call := invocation{r.ID, f.key(), f.Current, payload, string(clientContext)}
	switch kind {
	case types.InvocationTypeDryRun:
		return wire.Answer{Status: http.StatusNoContent}, nil
	case types.InvocationTypeEvent:
		ref, err := s.parseReference(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
		if err != nil {
			return wire.Answer{}, err
		}
		return wire.Answer{Status: http.StatusAccepted}, s.accept(event{ID: r.ID, Function: ref.name, Qualifier: ref.qualifier, Payload: payload, ClientContext: string(clientContext)})
	}
	s.tasks.Add(1)
	defer s.tasks.Done()
	// A client that hangs up does not end the invocation: the service's context.
	out, err := s.run(s.ctx, call)
	if err != nil {
		return wire.Answer{}, wire.Errorf("ServiceException", "%v", err).WithStatus(http.StatusInternalServerError)
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Amz-Executed-Version": {f.label()}}
	if out.failed {
		header.Set("X-Amz-Function-Error", "Unhandled")
	}
	if logType == types.LogTypeTail {
		header.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(out.log))
	}
	return wire.Answer{Status: http.StatusOK, Header: header, Body: out.payload}, nil
}

// invoked returns the version of a function that an invocation is for: of an alias
// that shares its traffic out, one by chance.
func (s *Service) invoked(r *wire.Request, path map[string]string) (f function, err error) {
	ref, err := s.parseReference(path["FunctionName"], r.HTTP.URL.Query().Get("Qualifier"))
	if err != nil {
		return f, err
	}
	return s.routed(ref)
}

// routed returns the version that a reference leads to this time.
func (s *Service) routed(ref reference) (f function, err error) {
	err = s.o.Store.View(func(tx *state.Tx) error {
		if ref.isAlias() {
			a, err := s.findAlias(tx, ref)
			if err != nil {
				return err
			}
			ref.qualifier = a.route(rand.Float64())
		}
		f, err = s.find(tx, ref)
		return err
	})
	return f, err
}

// checkPayload returns what the function gets: an empty object for nothing.
func checkPayload(kind types.InvocationType, payload []byte) ([]byte, error) {
	limit := largestRequest
	switch kind {
	case "", types.InvocationTypeRequestResponse, types.InvocationTypeDryRun:
	case types.InvocationTypeEvent:
		limit = largestEvent
	default:
		return nil, constraint(kind, "invocationType", "satisfy enum value set: [Event, RequestResponse, DryRun]")
	}
	switch {
	case len(payload) > limit:
		return nil, wire.Errorf("RequestTooLargeException", "Request must be smaller than %d bytes for the InvokeFunction operation", limit).WithStatus(http.StatusRequestEntityTooLarge)
	case len(payload) == 0:
		return []byte("{}"), nil
	case !json.Valid(payload):
		return nil, wire.Errorf("InvalidRequestContentException", "Could not parse request body into json: Could not parse payload into json")
	}
	return payload, nil
}

// invocation is one event for one version of a function.
type invocation struct {
	id            string
	key           key
	version       *version
	payload       []byte
	clientContext string
}

// run runs one invocation. What is wrong with the function is in the outcome; an
// error is one of the host's.
func (s *Service) run(ctx context.Context, call invocation) (outcome, error) {
	timeout := time.Duration(call.version.Timeout) * time.Second
	e := s.pool.take(call.key, call.version.ID)
	for ; e != nil; e = s.pool.take(call.key, call.version.ID) {
		out, err := s.runIn(ctx, e, call, time.Now().Add(timeout), 0)
		if !errors.Is(err, sandbox.ErrGone) {
			return out, err
		}
	}
	log := &stream{logs: s.logs, name: call.key.name}
	e, deadline, err := s.startFor(ctx, call, log)
	if err != nil {
		return s.notStarted(call, log, err)
	}
	out, err := s.runIn(ctx, e, call, deadline, e.InitDuration())
	if errors.Is(err, sandbox.ErrGone) {
		return s.notStarted(call, log, err)
	}
	return out, err
}

// startFor starts an environment, and says until when the invocation may run. As on
// AWS, the time to initialise is not the invocation's, unless it is over the limit:
// then the function is started once more, on the invocation's account.
func (s *Service) startFor(ctx context.Context, call invocation, log *stream) (*environment, time.Time, error) {
	config := s.sandboxConfig(call, log)
	timeout := time.Duration(call.version.Timeout) * time.Second
	started, err := sandbox.Start(ctx, config)
	deadline := time.Now().Add(timeout)
	if errors.Is(err, sandbox.ErrTimeout) {
		log.linef("INIT_REPORT Init Duration: %.2f ms\tPhase: init\tStatus: timeout", milliseconds(sandbox.InitLimit))
		config.InitLimit = timeout
		started, err = sandbox.Start(ctx, config)
	}
	if err != nil {
		return nil, deadline, err
	}
	return &environment{Environment: started, key: call.key, id: call.version.ID, log: log}, deadline, nil
}

// notStarted is the outcome of an invocation without an environment.
func (s *Service) notStarted(call invocation, log *stream, err error) (outcome, error) {
	fault := new(sandbox.Fault)
	switch {
	case errors.Is(err, sandbox.ErrTimeout):
		fault = sandbox.TimedOut(time.Duration(call.version.Timeout) * time.Second)
	case !errors.As(err, &fault):
		log.linef("RequestId: %s %v", call.id, err)
		return outcome{}, err
	}
	log.linef("INIT_REPORT Phase: init\tStatus: error\tError Type: %s", fault.Type)
	log.linef("START RequestId: %s Version: %s", call.id, call.key.version)
	return s.report(call, log, fault, 0, 0), nil
}

// runIn runs an invocation in an environment, which goes back to the pool. It
// returns ErrGone where the environment has ended before it took the invocation.
func (s *Service) runIn(ctx context.Context, e *environment, call invocation, deadline time.Time, init time.Duration) (outcome, error) {
	defer s.pool.put(e)
	e.log.linef("START RequestId: %s Version: %s", call.id, call.key.version)
	started := time.Now()
	result, err := e.Invoke(ctx, sandbox.Invocation{
		ID: call.id, Payload: call.payload, Deadline: deadline, ClientContext: call.clientContext, TraceID: traceID(started, call.id),
	})
	took := time.Since(started)
	fault := new(sandbox.Fault)
	switch {
	case err == nil:
		fault = nil
	case errors.Is(err, sandbox.ErrGone):
		return outcome{}, err
	case errors.Is(err, sandbox.ErrTimeout):
		fault = sandbox.TimedOut(time.Duration(call.version.Timeout) * time.Second)
	case !errors.As(err, &fault):
		e.log.linef("RequestId: %s %v", call.id, err)
		return outcome{}, err
	}
	out := s.report(call, e.log, fault, took, init)
	if fault == nil {
		out.payload, out.failed = result.Payload, result.Failed
	}
	return out, nil
}

// report writes the lines that end an invocation's log, and makes the outcome of
// one that ended in a fault.
func (s *Service) report(call invocation, log *stream, fault *sandbox.Fault, took, init time.Duration) (out outcome) {
	end := ""
	if fault != nil {
		out.payload, out.failed = fault.Payload(call.id), true
		switch fault.Type {
		case sandbox.FaultTimeout:
			log.linef("%s %s %s", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), call.id, fault.Message)
			end = "\tStatus: timeout"
		default:
			log.linef("RequestId: %s Error: %s", call.id, fault.Message)
			log.linef("%s", fault.Type)
			end = "\tStatus: error\tError Type: " + fault.Type
		}
	}
	log.linef("END RequestId: %s", call.id)
	cold := ""
	if init > 0 {
		cold = fmt.Sprintf("\tInit Duration: %.2f ms", milliseconds(init))
	}
	log.linef("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB%s%s",
		call.id, milliseconds(took), math.Ceil(milliseconds(took+init)), call.version.Memory, cold, end)
	out.log = log.takeTail()
	return out
}

// sandboxConfig says how a version's environments are started: with the variables
// that Lambda sets, between those of the image and those of the function
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
func (s *Service) sandboxConfig(call invocation, log *stream) sandbox.Config {
	v := call.version
	env := append([]string{"LANG=en_US.UTF-8", "TZ=:UTC"}, v.Image.Env...)
	env = append(env,
		"AWS_LAMBDA_FUNCTION_NAME="+call.key.name,
		"AWS_LAMBDA_FUNCTION_VERSION="+call.key.version,
		fmt.Sprintf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", v.Memory),
		"AWS_LAMBDA_LOG_GROUP_NAME="+v.logGroup(call.key.name),
		"AWS_LAMBDA_LOG_STREAM_NAME="+time.Now().UTC().Format("2006/01/02")+"/["+call.key.version+"]"+strings.ReplaceAll(wire.NewID(), "-", ""),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_REGION="+s.o.Region,
		"AWS_DEFAULT_REGION="+s.o.Region,
		// A function is a session of its role, under its own name.
		"AWS_ACCESS_KEY_ID="+call.key.name,
		"AWS_SECRET_ACCESS_KEY=local",
		"AWS_SESSION_TOKEN="+wire.SessionToken(v.Role[strings.LastIndexByte(v.Role, '/')+1:], call.key.name),
		"LAMBDA_TASK_ROOT=/var/task",
		"LAMBDA_RUNTIME_DIR=/var/runtime",
	)
	if s.o.Endpoint != nil {
		env = append(env, "AWS_ENDPOINT_URL="+s.o.Endpoint())
	}
	if v.Handler != "" {
		env = append(env, "_HANDLER="+v.Handler)
	}
	for name, value := range v.Environment {
		env = append(env, name+"="+value)
	}
	ref := reference{name: call.key.name}
	if call.key.version != latest {
		ref.qualifier = call.key.version
	}
	command, dir := v.command()
	return sandbox.Config{
		Rootfs: v.rootfs(s.o.Store.Dir()), Command: command, WorkingDir: dir, Env: env,
		Scratch: int(v.Scratch), Function: s.arn(ref), Output: log,
	}
}

// command returns what is started and where: the image's own, or what the function's
// ImageConfig puts in its place.
func (v *version) command() (command []string, dir string) {
	if v.PackageType == types.PackageTypeZip {
		return []string{"/var/task/bootstrap"}, ""
	}
	entrypoint, arguments, dir := v.Image.Entrypoint, v.Image.Command, v.Image.WorkingDir
	if o := v.ImageOverride; o != nil {
		if len(o.EntryPoint) > 0 {
			entrypoint = o.EntryPoint
		}
		if len(o.Command) > 0 {
			arguments = o.Command
		}
		if o.WorkingDirectory != nil && *o.WorkingDirectory != "" {
			dir = *o.WorkingDirectory
		}
	}
	return append(append([]string{}, entrypoint...), arguments...), dir
}

// traceID is X-Ray's header for an invocation that is not sampled.
func traceID(at time.Time, id string) string {
	digits := strings.ReplaceAll(id, "-", "")
	if len(digits) < 24 {
		return ""
	}
	return fmt.Sprintf("Root=1-%08x-%s;Sampled=0", at.Unix(), digits[:24])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
