package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// Handler handles the events of the provider function. Use [New], or set every field
// but those that say otherwise.
type Handler struct {
	Reconciler   tasuki.Reconciler // its Placeholder and Observe are set for each event
	Aliases      tasuki.AliasDeleter
	Stacks       tasuki.Stacks
	EventSources tasuki.EventSources
	Images       ImageStore
	Log          *slog.Logger

	// LocalEndpoint is the URL of a local endpoint to which answers may go as well; ""
	// for none, and answers go to Amazon S3 only.
	LocalEndpoint string

	// Transport carries answers; nil for http.DefaultTransport.
	Transport http.RoundTripper

	broken error // why the handler can do nothing but say so
}

var _ lambda.Handler = (*Handler)(nil)

// ImageStore opens images, and puts them into ECR.
type ImageStore interface {
	// Open returns the image that a reference names, "" for the built-in placeholder
	// of a handoff. It reads nothing yet. What it returns is closed where it is an
	// io.Closer.
	Open(handoff tasuki.HandoffName, reference string) tasuki.ImageSource
	// Deploy puts an image, or a whole index, into a repository, and returns its digest
	// there and what is to be said of it.
	Deploy(ctx context.Context, d Deployment) (tasuki.Digest, []string, error)
}

// event is any of the events that the function gets.
type event struct {
	request
	customresource.Reconcile
}

// Invoke handles one event. It implements [lambda.Handler]: an error makes Lambda try
// again, if the event came without anybody waiting for the end.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	// Of an event with a wrong type somewhere the rest is read all the same.
	err := json.Unmarshal(payload, &e)
	switch {
	case e.ResponseURL != "":
		return nil, h.respond(ctx, e.request, err)
	case err != nil:
		return nil, fmt.Errorf("the event is not JSON of a known form: %w", err)
	case e.Reconcile.Version != "":
		return nil, h.reconcileLogged(ctx, e.Reconcile)
	}
	return nil, errors.New("the event is neither a request of CloudFormation nor one to reconcile")
}

// respond handles a request of CloudFormation, and answers it whatever happens.
func (h *Handler) respond(ctx context.Context, r request, malformed error) error {
	began := time.Now()
	var res result
	err := malformed
	if err != nil && r.RequestType != remove { // what is malformed was never created
		err = fmt.Errorf("the request is malformed: %w", err)
	} else {
		res, err = inTime(ctx, h.Log, func(ctx context.Context) (result, error) { return h.handle(ctx, r) })
	}
	a := answer{
		Status: success, Reason: strings.Join(res.warnings, "; "), PhysicalResourceID: res.physicalID, Data: res.attributes,
		StackID: r.StackID, RequestID: r.RequestID, LogicalResourceID: r.LogicalResourceID,
	}
	if err != nil {
		a.Status, a.Reason, a.PhysicalResourceID, a.Data = failed, explain(err), r.failedID(), nil
	}
	// What a service or a registry says might quote a signed URL, and the reason is shown
	// to all who may see the stack.
	a.Reason = redact(a.Reason)
	sent := h.send(ctx, r, a)
	line := []any{
		"type", r.ResourceType, "request", r.RequestType, "stack", r.StackID, "resource", r.LogicalResourceID, "requestId", r.RequestID,
		"status", a.Status, "physicalId", a.PhysicalResourceID, "seconds", time.Since(began).Seconds(),
	}
	for _, warning := range res.warnings {
		h.Log.Warn(warning, "stack", r.StackID, "resource", r.LogicalResourceID)
	}
	switch {
	case sent != nil:
		h.Log.Error("the answer was not sent: "+sent.Error(), append(line, "reason", a.Reason)...)
		return fmt.Errorf("answer CloudFormation: %w", sent)
	case err != nil:
		h.Log.Error(a.Reason, line...)
	default:
		h.Log.Info("done", line...)
	}
	return nil
}

func (h *Handler) send(ctx context.Context, r request, a answer) error {
	body, err := a.encode()
	if err != nil {
		return err
	}
	return newAnswerer(h.LocalEndpoint, h.Transport).send(ctx, r.ResponseURL, body)
}

// The reserve is the time that is kept for the answer: 5 s, which see it through S3's
// bad moments, or a tenth of what there is where the function's timeout is short.
const longestReserve = 5 * time.Second

// grace is what of the reserve is left to work that hears that its time is over, so
// that it can say how far it came.
func grace(reserve time.Duration) time.Duration { return reserve / 5 }

// errTime is the cause of a context that ended because the function's time does.
var errTime = errors.New("the provider function ran out of time: raise its timeout, or look in its log for what took so long")

// inTime runs do, and returns what it does, but for the reserve before the end of ctx
// at the latest. A panic is an error.
func inTime[T any](ctx context.Context, log *slog.Logger, do func(context.Context) (T, error)) (T, error) {
	reserve := longestReserve
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		reserve = min(reserve, left/10)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, left-reserve, errTime)
		defer cancel()
	}
	type outcome struct {
		value T
		err   error
	}
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				log.Error(fmt.Sprintf("panic: %v", p), "stackTrace", string(debug.Stack()))
				o = outcome{err: errors.New("the provider function panicked: its log says where")}
			}
			ended <- o
		}()
		o.value, o.err = do(ctx)
	}()
	var o outcome
	select {
	case o = <-ended:
	case <-ctx.Done():
		select {
		case o = <-ended:
		case <-time.After(grace(reserve)):
			return o.value, context.Cause(ctx)
		}
	}
	return o.value, inTimeOr(ctx, o.err)
}

// inTimeOr returns err, or what ended ctx before: what the end of time did to the work
// does not say that time has ended.
func inTimeOr(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w (%w)", cause, err)
}

// handle does what CloudFormation asks.
func (h *Handler) handle(ctx context.Context, r request) (result, error) {
	if h.broken != nil {
		return result{}, h.broken
	}
	put, known := map[string]func(context.Context, request) (result, error){
		customresource.TypeImage:       h.putImage,
		customresource.TypeAlias:       h.putAlias,
		customresource.TypePlaceholder: h.putPlaceholder,
		customresource.TypeDeployment:  h.putDeployment,
	}[r.ResourceType]
	switch {
	case r.RequestType == remove:
		return h.delete(ctx, r)
	case !known:
		return result{}, fmt.Errorf("the provider does not know resources of type %q: it is older than the construct, or the type is misspelt", r.ResourceType)
	case r.RequestType != create && r.RequestType != update:
		return result{}, fmt.Errorf("the provider does not know requests of type %q", r.RequestType)
	}
	return h.onceAllowed(ctx, r, put)
}

// patience is how long a resource waits for permissions that may be new. CloudFormation
// calls for it as soon as it has made them, and IAM makes them known everywhere some
// seconds later, without saying when.
const patience = 30 * time.Second

// onceAllowed does what put does, again for a while where it is denied what may have been
// allowed just now: to a new resource, and to one that is about other resources than before.
func (h *Handler) onceAllowed(ctx context.Context, r request, put func(context.Context, request) (result, error)) (result, error) {
	began := time.Now()
	for pause := time.Second; ; pause = min(2*pause, 5*time.Second) {
		res, err := put(ctx, r)
		if !r.aboutOthers() || !errors.Is(err, tasuki.ErrDenied) || time.Since(began) >= patience {
			return res, err
		}
		h.Log.Warn("trying again, because new permissions take a while: "+explain(err), "stack", r.StackID, "resource", r.LogicalResourceID)
		if wait(ctx, pause) != nil {
			return res, err
		}
	}
}

// delete deletes an alias, and nothing else: images and the history of releases
// outlive a stack, so that it can be deployed again.
func (h *Handler) delete(ctx context.Context, r request) (result, error) {
	kept := result{physicalID: r.failedID()}
	if r.ResourceType != customresource.TypeAlias {
		return kept, nil
	}
	return kept, h.deleteAlias(ctx, r)
}

// properties reads the properties of a resource.
func (r request) properties(v any) error {
	if err := customresource.Parse(r.ResourceProperties, v); err != nil {
		return fmt.Errorf("the properties of %s %s are not those of its type: %w", r.ResourceType, r.LogicalResourceID, err)
	}
	return nil
}

// reconciler returns the reconciler for one event, and what is to be closed after it.
func (h *Handler) reconciler(handoff tasuki.HandoffName, placeholder string) (r tasuki.Reconciler, done func()) {
	r = h.Reconciler
	r.Observe = h.observe
	r.Placeholder = h.Images.Open(handoff, placeholder)
	closer, closes := r.Placeholder.(interface{ Close() error })
	return r, func() {
		if closes {
			// It was read whole or not at all: nothing is lost.
			_ = closer.Close()
		}
	}
}

// observe logs what the domain does.
func (h *Handler) observe(e tasuki.Event) {
	level := slog.LevelInfo
	if e.Warning {
		level = slog.LevelWarn
	}
	h.Log.Log(context.Background(), level, e.Text, "handoff", e.Handoff.String())
}
