// Package lambda is the local endpoint's AWS Lambda: functions with the states, the
// errors and the update protocol of the real one, which really run, in the
// sandboxes of package sandbox.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Images is the registry that functions' images come from.
type Images interface {
	// Resolve returns the manifest that imageURI names, by tag or by digest. Its
	// errors are told apart: ErrNotECR, ErrNoRepository, ErrNoImage, ErrDenied.
	Resolve(ctx context.Context, imageURI string) (digest string, manifest []byte, mediaType string, err error)
	// OpenBlob opens a configuration or a layer, or returns ErrNoImage.
	OpenBlob(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Objects is where packages are that are not sent with a request: S3.
type Objects interface {
	// Open opens an object and returns its size in bytes. Its errors are told apart:
	// ErrNoBucket, ErrNoObject.
	Open(ctx context.Context, bucket, key string) (io.ReadCloser, int64, error)
}

// Queues is where event-source mappings get events from, and where events go that
// failed: SQS.
type Queues interface {
	// Receive waits until a queue has messages, and returns some of them, most at the
	// most. They are out of sight for the queue's visibility timeout. ErrNoQueue where
	// there is none.
	Receive(ctx context.Context, arn string, most int) ([]Message, error)
	// Remove removes received messages by their receipts.
	Remove(ctx context.Context, arn string, receipts []string) error
	// Send puts a message into a queue, with attributes that are strings.
	Send(ctx context.Context, arn string, body []byte, attributes map[string]string) error
}

// The errors of Images, Objects and Queues that Lambda answers in its own words.
var (
	ErrNotECR       = errors.New("the image URI is not one of ECR")
	ErrNoRepository = errors.New("the repository does not exist")
	ErrNoImage      = errors.New("the image does not exist")
	ErrDenied       = errors.New("the repository denies Lambda the image")
	ErrNoBucket     = errors.New("the bucket does not exist")
	ErrNoObject     = errors.New("the object does not exist")
	ErrNoQueue      = errors.New("the queue does not exist")
)

// Options is what the service works with.
type Options struct {
	Store    *state.Store
	Account  string
	Region   string
	Images   Images
	Objects  Objects
	Queues   Queues
	Endpoint func() string // for the functions' AWS_ENDPOINT_URL; nil for none
	Logs     io.Writer     // gets every function's log too, each line after "[name] "; nil for nobody

	UpdateDelay time.Duration // how much longer it takes to create, update or publish a function
	RetryDelay  time.Duration // before the first retry of an event, twice as long before the second; 0 for AWS's minute
}

// Service is the local Lambda.
type Service struct {
	o     Options
	pool  *pool
	logs  *logs
	ctx   context.Context // ends with the service
	end   context.CancelFunc
	tasks sync.WaitGroup // updates, and invocations that nobody waits for

	polling pollers
}

// New returns the service over what the store holds. Creations and updates that
// were under way when the last process ended are taken up again.
func New(o Options) (*Service, error) {
	if o.RetryDelay == 0 {
		o.RetryDelay = time.Minute
	}
	if o.Logs == nil {
		o.Logs = io.Discard
	}
	logs, err := newLogs(filepath.Join(o.Store.Dir(), "logs"), o.Logs)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Service{o: o, pool: newPool(), logs: logs, ctx: ctx, end: end}
	unfinished, err := s.sweep()
	if err != nil {
		end()
		return nil, fmt.Errorf("take up the functions of %s: %w", o.Store.Dir(), err)
	}
	left, err := s.accepted()
	if err != nil {
		end()
		return nil, fmt.Errorf("take up the events of %s: %w", o.Store.Dir(), err)
	}
	for _, f := range unfinished {
		s.tasks.Go(func() { s.finish(f) })
	}
	for _, e := range left {
		s.tasks.Go(func() { s.deliver(e) })
	}
	if err := s.pollAll(); err != nil {
		s.Close()
		return nil, fmt.Errorf("take up the event source mappings of %s: %w", o.Store.Dir(), err)
	}
	return s, nil
}

// End ends invocations and updates under way, without waiting for it. Requests may
// come in still; invocations fail.
func (s *Service) End() { s.end() }

// Close kills all environments, and returns when nothing of the service runs any
// more. Updates under way stay as they are, for the next New. No request may come in
// after it.
func (s *Service) Close() {
	s.end()
	s.tasks.Wait()
	s.pool.close()
}

// sweep removes what is unpacked and belongs to no version of a function, and
// returns the functions, published versions included, that are being created or
// changed.
func (s *Service) sweep() (unfinished []function, err error) {
	used := map[string]bool{}
	if err := s.o.Store.View(func(tx *state.Tx) (err error) {
		for _, table := range []state.Table[function]{functions, versions} {
			for _, f := range table.All(tx, "", &err) {
				for _, v := range []*version{f.Current, f.Next} {
					if v != nil {
						used[v.rootfs(s.o.Store.Dir())] = true
						used[v.zip(s.o.Store.Dir())] = true
					}
				}
				if f.Next != nil {
					unfinished = append(unfinished, f)
				}
			}
		}
		return err
	}); err != nil {
		return nil, err
	}
	for _, folder := range []string{"rootfs", "zips"} {
		paths, err := filepath.Glob(filepath.Join(s.o.Store.Dir(), folder, "*"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if used[path] {
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		}
	}
	return unfinished, nil
}

// Wire returns the service for the dispatcher.
func (s *Service) Wire() wire.Service {
	const functions, one = "/2015-03-31/functions", "/2015-03-31/functions/{FunctionName}"
	const aliases, alias = one + "/aliases", one + "/aliases/{Name}"
	const url = "/2021-10-31/functions/{FunctionName}/url"
	const eventConfig = "/2019-09-25/functions/{FunctionName}/event-invoke-config"
	const mappings = "/2015-03-31/event-source-mappings/"
	return &wire.REST{Service: "lambda", Routes: []wire.Route{
		{Operation: "CreateFunction", Method: "POST", Path: functions, Handle: s.createFunction},
		{Operation: "ListFunctions", Method: "GET", Path: functions, Handle: s.listFunctions},
		{Operation: "GetFunction", Method: "GET", Path: one, Handle: s.getFunction},
		{Operation: "DeleteFunction", Method: "DELETE", Path: one, Handle: s.deleteFunction},
		{Operation: "GetFunctionConfiguration", Method: "GET", Path: one + "/configuration", Handle: s.getFunctionConfiguration},
		{Operation: "UpdateFunctionConfiguration", Method: "PUT", Path: one + "/configuration", Handle: s.updateFunctionConfiguration},
		{Operation: "UpdateFunctionCode", Method: "PUT", Path: one + "/code", Handle: s.updateFunctionCode},
		{Operation: "Invoke", Method: "POST", Path: one + "/invocations", Handle: s.invoke},
		{Operation: "PublishVersion", Method: "POST", Path: one + "/versions", Handle: s.publishVersion},
		{Operation: "ListVersionsByFunction", Method: "GET", Path: one + "/versions", Handle: s.listVersionsByFunction},
		{Operation: "CreateAlias", Method: "POST", Path: aliases, Handle: s.createAlias},
		{Operation: "ListAliases", Method: "GET", Path: aliases, Handle: s.listAliases},
		{Operation: "GetAlias", Method: "GET", Path: alias, Handle: s.getAlias},
		{Operation: "UpdateAlias", Method: "PUT", Path: alias, Handle: s.updateAlias},
		{Operation: "DeleteAlias", Method: "DELETE", Path: alias, Handle: s.deleteAlias},
		{Operation: "AddPermission", Method: "POST", Path: one + "/policy", Handle: s.addPermission},
		{Operation: "GetPolicy", Method: "GET", Path: one + "/policy", Handle: s.getPolicy},
		{Operation: "RemovePermission", Method: "DELETE", Path: one + "/policy/{StatementId}", Handle: s.removePermission},
		{Operation: "PutFunctionEventInvokeConfig", Method: "PUT", Path: eventConfig, Handle: s.putEventConfig},
		{Operation: "GetFunctionEventInvokeConfig", Method: "GET", Path: eventConfig, Handle: s.getEventConfig},
		{Operation: "DeleteFunctionEventInvokeConfig", Method: "DELETE", Path: eventConfig, Handle: s.deleteEventConfig},
		{Operation: "CreateFunctionUrlConfig", Method: "POST", Path: url, Handle: s.createURL},
		{Operation: "GetFunctionUrlConfig", Method: "GET", Path: url, Handle: s.getURL},
		{Operation: "UpdateFunctionUrlConfig", Method: "PUT", Path: url, Handle: s.updateURL},
		{Operation: "DeleteFunctionUrlConfig", Method: "DELETE", Path: url, Handle: s.deleteURL},
		{Operation: "CreateEventSourceMapping", Method: "POST", Path: mappings, Handle: s.createMapping},
		{Operation: "ListEventSourceMappings", Method: "GET", Path: mappings, Handle: s.listMappings},
		{Operation: "GetEventSourceMapping", Method: "GET", Path: mappings + "{UUID}", Handle: s.getMapping},
		{Operation: "UpdateEventSourceMapping", Method: "PUT", Path: mappings + "{UUID}", Handle: s.updateMapping},
		{Operation: "DeleteEventSourceMapping", Method: "DELETE", Path: mappings + "{UUID}", Handle: s.deleteMapping},
		{Operation: "ListTags", Method: "GET", Path: "/2017-03-31/tags/{Resource}", Handle: s.listTags},
		{Operation: "TagResource", Method: "POST", Path: "/2017-03-31/tags/{Resource}", Handle: s.tagResource},
		{Operation: "UntagResource", Method: "DELETE", Path: "/2017-03-31/tags/{Resource}", Handle: s.untagResource},
	}}
}
