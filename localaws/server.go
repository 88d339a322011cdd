// Package localaws is an embedded AWS-compatible endpoint: SSM Parameter Store, ECR
// with a real OCI registry behind it, Lambda whose functions really run,
// CloudFormation and the services that its stacks need, on one port of one machine. It
// provides what the relay touches, and says by name what it does not provide.
package localaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/ecr"
	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/iam"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/logs"
	"github.com/tasuki-dev/tasuki/localaws/s3"
	"github.com/tasuki-dev/tasuki/localaws/sqs"
	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/sts"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Account is the AWS account that the endpoint plays.
const Account = "000000000000"

// DefaultRegion is the region that the endpoint plays unless told otherwise.
const DefaultRegion = "us-east-1"

// Options says how an endpoint runs. The zero Options is an endpoint in memory, on
// a free port of the loopback interface.
type Options struct {
	Dir         string        // where the state is kept; "" for until Close
	Addr        string        // host:port to listen on; "" for a free port of 127.0.0.1
	Region      string        // "" for DefaultRegion
	Logs        io.Writer     // gets the functions' log lines; nil for nobody
	Calls       io.Writer     // gets each call as a line of JSON; nil for nobody
	Latency     time.Duration // added to each call
	UpdateDelay time.Duration // added to the time that a function's creation or update takes
	RetryDelay  time.Duration // before a failed event is first tried again, twice as long before the second time; 0 for AWS's minute
	Faults      []fault.Rule  // in force from the start
	EnforceIAM  bool          // roles may do what their policies allow, and be assumed by whom they trust; else all is allowed

	// What tests force upon CloudFormation: see package cloudformation.
	StackStep      cloudformation.Step
	RollbackValues cloudformation.RollbackValues
	StackConflicts cloudformation.Conflicts
}

// Server is a running endpoint.
type Server struct {
	store    *state.Store
	listener net.Listener
	http     *http.Server
	calling  *dispatcher
	lambda   *lambda.Service
	sqs      *sqs.Service
	events   *events.Service
	iam      *iam.Service
	stacks   *cloudformation.Service
	region   string
	faults   fault.Plan
	calls    CallLog
	served   chan error
}

// Start starts an endpoint, which answers when Start returns. The caller closes it.
func Start(o Options) (*Server, error) {
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Logs == nil {
		o.Logs = io.Discard
	}
	store, err := openStore(o.Dir)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", o.Addr, err), store.Close())
	}
	s := &Server{store: store, listener: listener, region: o.Region, served: make(chan error, 1)}
	s.calls.to = o.Calls
	s.faults.Add(o.Faults...)
	if err := s.serve(o); err != nil {
		return nil, errors.Join(err, listener.Close(), store.Close())
	}
	return s, nil
}

func openStore(dir string) (*state.Store, error) {
	if dir == "" {
		return state.Temporary()
	}
	return state.Open(dir)
}

// serve makes the services and begins to answer.
func (s *Server) serve(o Options) error {
	registry, err := ecr.New(ecr.Options{Store: s.store, Account: Account, Region: o.Region, URL: s.URL})
	if err != nil {
		return err
	}
	buckets, err := s3.New(s.store, Account, o.Region)
	if err != nil {
		return err
	}
	s.sqs = sqs.New(sqs.Options{Store: s.store, Account: Account, Region: o.Region, URL: s.URL})
	s.lambda, err = lambda.New(lambda.Options{
		Store: s.store, Account: Account, Region: o.Region, Images: images{registry}, Objects: objects{buckets}, Queues: queues{s.sqs},
		Endpoint: s.URL, Logs: o.Logs, UpdateDelay: o.UpdateDelay, RetryDelay: o.RetryDelay,
	})
	if err != nil {
		return err
	}
	s.events = events.New(events.Options{
		Store: s.store, Account: Account, Region: o.Region, Logs: o.Logs, Deliver: s.deliver,
	})
	parameters := ssm.New(s.store, Account, o.Region)
	parameters.OnChange(s.tellParameter)
	s.iam = iam.New(s.store, Account)
	s.stacks = cloudformation.New(cloudformation.Options{
		Store: s.store, Account: Account, Region: o.Region, Types: resource.Types(), AWS: s.clientConfig(cloudFormation), Endpoint: s.URL,
		Events: stackEvents{s}, RollbackValues: o.RollbackValues, Conflicts: o.StackConflicts, Step: o.StackStep,
	})
	s.calling = &dispatcher{
		services: []wire.Service{
			parameters.Wire(), registry.Wire(), s.lambda.Wire(), buckets.Wire(), s.iam.Wire(), s.events.Wire(), s.sqs.Wire(),
			logs.New(s.store, Account, o.Region).Wire(), s.stacks.Wire(), sts.New(sts.Options{Account: Account, Role: s.hasRole}).Wire(),
		},
		answers:   s.stacks.Answers(),
		registry:  registry.Registry(),
		urls:      http.HandlerFunc(s.lambda.ServeURL),
		region:    o.Region,
		latency:   o.Latency,
		faults:    &s.faults,
		calls:     &s.calls,
		reference: s.reference(),
		needed:    o.EnforceIAM || o.Calls != nil,
		pusher:    registry.Principal,
	}
	if o.EnforceIAM {
		s.calling.enforced = &enforcement{iam: s.iam, tags: s.lambda.Tags, reference: s.reference()}
	}
	if err := errors.Join(s.events.Resume(), s.stacks.Resume()); err != nil {
		s.end()
		return err
	}
	s.http = &http.Server{Handler: s.calling, ReadHeaderTimeout: time.Minute}
	go func() { s.served <- s.http.Serve(s.listener) }()
	return nil
}

// URL returns the endpoint's address, as in "http://127.0.0.1:4566".
func (s *Server) URL() string { return "http://" + s.Registry() }

// Registry returns the host and port that images are pushed to.
func (s *Server) Registry() string { return s.listener.Addr().String() }

// Region returns the region that the endpoint plays.
func (s *Server) Region() string { return s.region }

// Config returns what the SDK's clients of the endpoint are made of. They sign as the
// access key id, which is whom the call log names; connections are the configuration's
// own.
func (s *Server) Config(accessKeyID string) aws.Config {
	return aws.Config{
		Region:       s.region,
		BaseEndpoint: aws.String(s.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(accessKeyID, "local", ""),
		HTTPClient:   sdkhttp.New(),
	}
}

// Calls returns the log of what was called.
func (s *Server) Calls() *CallLog { return &s.calls }

// Events returns the event bus, to make deliveries late, doubled or held back, and to
// let schedules fire.
func (s *Server) Events() *events.Service { return s.events }

// IAM returns what is recorded of roles and policies, to ask what they allow.
func (s *Server) IAM() *iam.Service { return s.iam }

// Faults returns the faults in force, to add to.
func (s *Server) Faults() *fault.Plan { return &s.faults }

// Close ends all calls and functions, and closes the state. Clients see their
// connections break.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.end()
	return errors.Join(err, s.store.Close())
}

// end ends what the services do, and returns when nothing uses the state any more.
func (s *Server) end() {
	s.stacks.Close()         // operations call services,
	s.lambda.End()           // calls wait for functions,
	s.calling.serving.Lock() // and what the calls work with is closed after them
	s.events.Close()
	s.lambda.Close()
}

// Variables returns the environment that sends AWS's clients to this endpoint.
func (s *Server) Variables() [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", s.URL()},
		{"AWS_ACCESS_KEY_ID", "local"},
		{"AWS_SECRET_ACCESS_KEY", "local"},
		{"AWS_REGION", s.region},
		{"AWS_DEFAULT_REGION", s.region},
		{"TASUKI_REGISTRY", s.Registry()},
	}
}

// foreign is the environment that could send a client somewhere else, to a real
// account: a rehearsal must never reach one.
var foreign = []string{
	"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION", "TASUKI_REGISTRY",
}

// Environ returns base with what is needed to reach this endpoint, and without what
// could lead elsewhere.
func (s *Server) Environ(base []string) []string {
	var environ []string
	noProxy := "127.0.0.1,localhost"
	for _, variable := range base {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case strings.HasPrefix(name, "AWS_ENDPOINT_URL_"), slices.Contains(foreign, name):
		case strings.EqualFold(name, "NO_PROXY") && value != "":
			noProxy = value + "," + noProxy
		case strings.EqualFold(name, "NO_PROXY"):
		default:
			environ = append(environ, variable)
		}
	}
	for _, v := range s.Variables() {
		environ = append(environ, v[0]+"="+v[1])
	}
	// The user's configuration file may say that endpoints like this one be ignored.
	environ = append(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false")
	return append(environ, "NO_PROXY="+noProxy, "no_proxy="+noProxy)
}

// images lets Lambda read what ECR holds, without either knowing the other.
type images struct{ *ecr.Service }

// Resolve implements [lambda.Images].
func (i images) Resolve(ctx context.Context, imageURI string) (digest string, manifest []byte, mediaType string, err error) {
	digest, manifest, mediaType, err = i.Service.Resolve(ctx, imageURI)
	switch {
	case errors.Is(err, ecr.ErrNotHere):
		err = lambda.ErrNotECR
	case errors.Is(err, ecr.ErrRepositoryMissing):
		err = lambda.ErrNoRepository
	case errors.Is(err, ecr.ErrImageMissing):
		err = lambda.ErrNoImage
	case errors.Is(err, ecr.ErrLambdaDenied):
		err = lambda.ErrDenied
	}
	return digest, manifest, mediaType, err
}

// OpenBlob implements [lambda.Images].
func (i images) OpenBlob(ctx context.Context, digest string) (io.ReadCloser, error) {
	blob, err := i.Service.OpenBlob(ctx, digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, lambda.ErrNoImage
	}
	return blob, err
}
