//go:build cdk

package stacks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	engine "github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

const (
	functionID   = "Function76856677" // as the CDK names the function in all shapes
	principal    = "scenario"         // who calls, where it is not the provider or CloudFormation
	waiting      = "waiting"          // who releases and waits for the stack
	tagParameter = "/tasuki/orders/image-tag"
	bucket       = "cdk-hnb659fds-assets-" + localaws.Account + "-" + localaws.DefaultRegion
)

// world is a local endpoint that is bootstrapped for the CDK. The events of the stack
// and of the tag parameter are held back until a scenario says how they arrive.
type world struct {
	*testing.T
	stack  string // its name
	server *localaws.Server
	values engine.RollbackValues
	logs   *localawstest.Log
	config aws.Config
	cfn    *cloudformation.Client
	ecr    *ecr.Client
	lambda *lambda.Client
	ssm    *ssm.Client
	s3     *s3.Client
	sqs    *sqs.Client

	mu   sync.Mutex
	step engine.Step // of the deploy under way; nil for none
	let  int         // events that were held back first
}

// both runs a scenario as either of the two ways in which CloudFormation's rollback may
// treat what a custom resource answers it: AWS documents neither.
func both(t *testing.T, scenario func(w *world), options ...func(*localaws.Options)) {
	for _, values := range []engine.RollbackValues{engine.Cached, engine.Fresh} {
		name := string(values)
		if values == engine.Cached {
			name = "cached"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newWorld(t, values, options...))
		})
	}
}

// family is the shapes of one way in which a deploy gets its image.
type family struct{ base, configured, failing string }

var (
	onCreate    = family{"Base", "Configured", "Failing"}
	everyDeploy = family{"Every", "EveryConfigured", "EveryFailing"}
)

// families runs a scenario as both does, in both ways in which a deploy gets its image.
func families(t *testing.T, scenario func(w *world, f family), options ...func(*localaws.Options)) {
	for _, f := range []family{onCreate, everyDeploy} {
		t.Run(f.configured, func(t *testing.T) {
			t.Parallel()
			both(t, func(w *world) { scenario(w, f) }, options...)
		})
	}
}

func newWorld(t *testing.T, values engine.RollbackValues, options ...func(*localaws.Options)) *world {
	t.Helper()
	w := emptyWorld(t, values, options...)
	w.bootstrap()
	w.server.Events().Hold()
	return w
}

// emptyWorld is an account that nobody has done anything in. Events arrive as they come.
func emptyWorld(t *testing.T, values engine.RollbackValues, options ...func(*localaws.Options)) *world {
	t.Helper()
	w := &world{T: t, stack: "Orders", logs: &localawstest.Log{}, values: values}
	o := localaws.Options{Logs: w.logs, RetryDelay: 50 * time.Millisecond, RollbackValues: values, StackStep: w.at, EnforceIAM: true}
	for _, option := range options {
		option(&o)
	}
	server, err := localaws.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the functions' logs:\n%s", w.logs)
		}
	})
	w.server = server
	w.config = server.Config(principal)
	w.cfn, w.ecr, w.lambda = cloudformation.NewFromConfig(w.config), ecr.NewFromConfig(w.config), lambda.NewFromConfig(w.config)
	w.ssm, w.sqs = ssm.NewFromConfig(w.config), sqs.NewFromConfig(w.config)
	w.s3 = s3.NewFromConfig(w.config, func(o *s3.Options) { o.UsePathStyle = true })
	return w
}

// bootstrap makes what the templates need of the bootstrap stack. The sessions with the
// CDK CLI deploy the real one.
func (w *world) bootstrap() {
	w.Helper()
	if _, err := w.s3.CreateBucket(w.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		w.Fatal(err)
	}
	w.upload(provider.key, provider.content)
	w.register("/cdk-bootstrap/hnb659fds/version", "31")
}

func (w *world) upload(key string, content []byte) {
	w.Helper()
	if _, err := w.s3.PutObject(w.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(content)}); err != nil {
		w.Fatal(err)
	}
}

// register writes a parameter by hand.
func (w *world) register(name, value string) {
	w.Helper()
	if _, err := w.ssm.PutParameter(w.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: "String", Overwrite: aws.Bool(true)}); err != nil {
		w.Fatal(err)
	}
}

// forget deletes the tag parameter.
func (w *world) forget() {
	w.Helper()
	if _, err := w.ssm.DeleteParameter(w.Context(), &ssm.DeleteParameterInput{Name: aws.String(tagParameter)}); err != nil {
		w.Fatal(err)
	}
}

// at is called at every step of the engine.
func (w *world) at(ctx context.Context, p engine.Point) error {
	w.mu.Lock()
	step := w.step
	w.mu.Unlock()
	if step == nil {
		return nil
	}
	return step(ctx, p)
}

// during has step called at every step of what is done meanwhile.
func (w *world) during(step engine.Step, do func()) {
	set := func(step engine.Step) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.step = step
	}
	set(step)
	defer set(nil)
	do()
}

// parameter is a template's parameter, and its value.
type parameter struct{ key, value string }

// deploy deploys a shape with the calls that the CDK CLI makes: the template goes to
// the bucket, and a change set from there. It fails the test unless the stack comes to
// rest in a status, "" where there is nothing to change.
func (w *world) deploy(shape string, want types.StackStatus, parameters ...parameter) {
	w.Helper()
	template, found := shapes[shape]
	if !found {
		w.Fatalf("there is no shape %s", shape)
	}
	// A template that is to be resolved at every deploy differs in each.
	template = regexp.MustCompile(`"Nonce": "\d+"`).ReplaceAllString(template, fmt.Sprintf(`"Nonce": "%d"`, time.Now().UnixNano()))
	w.upload("template.json", []byte(template))
	status := w.status()
	kind := types.ChangeSetTypeUpdate
	if status == "" || status == types.StackStatusReviewInProgress {
		kind = types.ChangeSetTypeCreate
	}
	in := &cloudformation.CreateChangeSetInput{
		StackName: &w.stack, ChangeSetName: aws.String("cdk-deploy-change-set"), ChangeSetType: kind, Capabilities: []types.Capability{"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"},
		TemplateURL: aws.String("https://s3." + localaws.DefaultRegion + ".amazonaws.com/" + bucket + "/template.json"),
	}
	for _, p := range parameters {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &p.key, ParameterValue: &p.value})
	}
	set, err := w.cfn.CreateChangeSet(w.Context(), in)
	if err != nil {
		w.Fatalf("deploy %s: %v", shape, err)
	}
	described, err := w.cfn.DescribeChangeSet(w.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: set.Id})
	if err != nil {
		w.Fatal(err)
	}
	if described.Status == types.ChangeSetStatusFailed {
		reason := aws.ToString(described.StatusReason)
		if want != "" || !strings.Contains(reason, "didn't contain changes") {
			w.Fatalf("deploy %s: %s", shape, reason)
		}
		if _, err := w.cfn.DeleteChangeSet(w.Context(), &cloudformation.DeleteChangeSetInput{ChangeSetName: set.Id}); err != nil {
			w.Fatal(err)
		}
		return
	}
	events := w.events()
	if _, err := w.cfn.ExecuteChangeSet(w.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: set.Id}); err != nil {
		w.Fatal(err)
	}
	w.rests(want)
	if w.hasRules() {
		w.eventually("the stack's event is on the bus", func() bool { return w.events() == events+1 })
	}
}

// hasRules reports whether the stack has a rule for its own events.
func (w *world) hasRules() bool {
	out, err := w.cfn.DescribeStackResource(w.Context(), &cloudformation.DescribeStackResourceInput{StackName: &w.stack, LogicalResourceId: aws.String("FunctionStackRule0CBBB65D")})
	if err != nil {
		return false
	}
	status := out.StackResourceDetail.ResourceStatus
	return status == types.ResourceStatusCreateComplete || status == types.ResourceStatusUpdateComplete
}

// events returns how many events of stacks have been on the bus: a stack is at rest
// before its event is. Those of parameters are there when the parameter's write is answered.
func (w *world) events() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.let + w.server.Events().Held()
	for _, c := range w.server.Calls().All() {
		if c.Name() == "ssm:PutParameter" && (c.Principal == principal || c.Principal == waiting) && c.Code == "" {
			n--
		}
	}
	return n
}

// letGo lets the events arrive that were held back, and returns how many.
func (w *world) letGo() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.server.Events().Held()
	w.server.Events().Release()
	w.server.Events().Hold()
	w.let += n
	return n
}

// destroy deletes the stack.
func (w *world) destroy() {
	w.Helper()
	if _, err := w.cfn.DeleteStack(w.Context(), &cloudformation.DeleteStackInput{StackName: &w.stack}); err != nil {
		w.Fatal(err)
	}
	w.rests("")
}

// status returns the stack's status, "" where there is no stack.
func (w *world) status() types.StackStatus {
	out, err := w.cfn.DescribeStacks(w.Context(), &cloudformation.DescribeStacksInput{StackName: &w.stack})
	if err != nil {
		return ""
	}
	return out.Stacks[0].StackStatus
}

// rests waits for the end of what is done to the stack, and fails the test unless it is
// the one that is wanted.
func (w *world) rests(want types.StackStatus) {
	w.Helper()
	var status types.StackStatus
	w.eventually("the stack is at rest", func() bool {
		status = w.status()
		return !strings.HasSuffix(string(status), "_IN_PROGRESS")
	})
	if status != want {
		w.Fatalf("the stack is %q, want %q:\n%s", status, want, strings.Join(w.failures(), "\n"))
	}
}

// failures returns what CloudFormation says of the resources that failed, the last first.
func (w *world) failures() (reasons []string) {
	w.Helper()
	out, err := w.cfn.DescribeStackEvents(w.Context(), &cloudformation.DescribeStackEventsInput{StackName: &w.stack})
	if err != nil {
		return nil // of a stack that is gone
	}
	for _, e := range out.StackEvents {
		if strings.HasSuffix(string(e.ResourceStatus), "_FAILED") {
			reasons = append(reasons, fmt.Sprintf("%s %s: %s", e.ResourceStatus, aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceStatusReason)))
		}
	}
	return reasons
}

// failed fails the test unless the last deploy failed with a reason that has the texts.
func (w *world) failed(texts ...string) {
	w.Helper()
	reasons := strings.Join(w.failures(), "\n")
	for _, text := range texts {
		if !strings.Contains(reasons, text) {
			w.Errorf("CloudFormation does not say %q:\n%s", text, reasons)
		}
	}
}

// resource returns the physical id of a resource of the stack.
func (w *world) resource(logicalID string) string {
	w.Helper()
	out, err := w.cfn.DescribeStackResource(w.Context(), &cloudformation.DescribeStackResourceInput{StackName: &w.stack, LogicalResourceId: &logicalID})
	if err != nil {
		w.Fatal(err)
	}
	return aws.ToString(out.StackResourceDetail.PhysicalResourceId)
}

// output returns an output of the stack.
func (w *world) output(key string) string {
	w.Helper()
	out, err := w.cfn.DescribeStacks(w.Context(), &cloudformation.DescribeStacksInput{StackName: &w.stack})
	if err != nil {
		w.Fatal(err)
	}
	for _, o := range out.Stacks[0].Outputs {
		if aws.ToString(o.OutputKey) == key {
			return aws.ToString(o.OutputValue)
		}
	}
	w.Fatalf("the stack has no output %s", key)
	return ""
}

// deliver lets the events arrive that were held back, so many times each, and waits
// until the provider has dealt with them.
func (w *world) deliver(copies int) {
	w.Helper()
	before := w.reconciliations()
	w.server.Events().Disturb(events.Disturbance{Copies: copies})
	let := w.letGo()
	w.eventually("the provider has dealt with the events", func() bool { return w.reconciliations() >= before+copies*let })
	w.server.Events().Disturb(events.Disturbance{})
}

// fires lets the schedule fire, and waits until the provider has dealt with it.
func (w *world) fires() {
	w.Helper()
	if err := w.server.Events().Fire(w.Context(), "tasuki-orders-schedule"); err != nil {
		w.Fatal(err)
	}
	w.deliver(1)
}

// reconciliations returns how many events the provider is through with: one that fails
// is tried three times.
func (w *world) reconciliations() int {
	done, failed := 0, 0
	for line := range strings.Lines(w.logs.String()) {
		switch {
		case !strings.Contains(line, `"type":"reconcile"`):
		case strings.Contains(line, `"level":"ERROR"`):
			failed++
		default:
			done++
		}
	}
	return done + failed/3
}

// release releases a version under its name as tag, as the application's CI does.
func (w *world) release(version string) {
	w.Helper()
	w.tasuki(w.releasing(version)...)
}

func (w *world) releasing(version string) []string {
	return []string{"release", "orders", "--image", versions.version(w, version), "--tag", version}
}

// releasingUnaware is releasing for one that does not wait for the stack, as if it had
// read its status just before the deploy began: the contract, which names it, is not read.
func (w *world) releasingUnaware(version string) []string {
	return append(w.releasing(version), "--repository", w.repository(), "--function", w.resource(functionID), "--alias", "live")
}

// tasuki runs a command that is to succeed, in this process.
func (w *world) tasuki(args ...string) string {
	w.Helper()
	code, out := w.try(args...)
	if code != 0 {
		w.Fatalf("tasuki %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func (w *world) try(args ...string) (code int, out string) { return w.tryAs(principal, args...) }

// tryAs runs a command as somebody whose calls are to be told apart.
func (w *world) tryAs(name string, args ...string) (code int, out string) {
	var said localawstest.Log
	config := w.config.Copy()
	config.Credentials = credentials.NewStaticCredentialsProvider(name, "scenario", "")
	code = cli.Run(w.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &said, Err: &said}, awsbackend.Options{Config: &config, Unpaced: true})
	return code, said.String()
}

// runs fails the test unless the function, and its alias, answer as a version. The
// alias is live where no other is given, and none where it is "-".
func (w *world) runs(version string, aliases ...string) {
	w.Helper()
	if len(aliases) == 0 {
		aliases = []string{"live"}
	}
	for _, alias := range append(aliases, "-") {
		if answer, failure := w.invoke(alias); failure != "" || answer != version {
			w.Errorf("the function's alias %s answers %s%s, want version %s", alias, answer, failure, version)
		}
	}
}

// hasNoRelease fails the test unless the function says that there has been no release.
func (w *world) hasNoRelease() {
	w.Helper()
	for _, alias := range []string{"-", "live"} {
		if answer, failure := w.invoke(alias); !strings.Contains(failure, "Tasuki.NoReleaseYet") {
			w.Errorf("the function's alias %s answers %s%s, want Tasuki.NoReleaseYet", alias, answer, failure)
		}
	}
}

// invoke returns the version that the function answers with, or how it failed. The
// alias "-" is the function itself.
func (w *world) invoke(alias string) (version, failure string) {
	w.Helper()
	in := &lambda.InvokeInput{FunctionName: aws.String(w.resource(functionID))}
	if alias != "-" {
		in.Qualifier = &alias
	}
	out, err := w.lambda.Invoke(w.Context(), in)
	if err != nil {
		return "", err.Error()
	}
	if out.FunctionError != nil {
		return "", string(out.Payload)
	}
	var answer struct{ Version string }
	if err := json.Unmarshal(out.Payload, &answer); err != nil {
		return "", err.Error()
	}
	return answer.Version, ""
}

// image returns the digest of the image that the function runs.
func (w *world) image() string {
	w.Helper()
	out, err := w.lambda.GetFunction(w.Context(), &lambda.GetFunctionInput{FunctionName: aws.String(w.resource(functionID))})
	if err != nil {
		w.Fatal(err)
	}
	_, digest, _ := strings.Cut(aws.ToString(out.Code.ResolvedImageUri), "@")
	return digest
}

// memory returns the memory of the function, or of an alias's version, in MB.
func (w *world) memory(alias string) int32 {
	w.Helper()
	in := &lambda.GetFunctionInput{FunctionName: aws.String(w.resource(functionID))}
	if alias != "-" {
		in.Qualifier = &alias
	}
	out, err := w.lambda.GetFunction(w.Context(), in)
	if err != nil {
		w.Fatal(err)
	}
	return aws.ToInt32(out.Configuration.MemorySize)
}

// registered fails the test unless the tag parameter has a value.
func (w *world) registered(want string) {
	w.Helper()
	out, err := w.ssm.GetParameter(w.Context(), &ssm.GetParameterInput{Name: aws.String(tagParameter)})
	if err != nil {
		w.Fatal(err)
	}
	if got := aws.ToString(out.Parameter.Value); got != want {
		w.Errorf("the tag parameter is %q, want %q", got, want)
	}
}

// untouched fails the test if the code of a function was updated while do ran. In a
// rollback with fresh values CloudFormation may send the image again that the function
// runs, which is as the scenario sees by invoking it.
func (w *world) untouched(do func()) {
	w.Helper()
	before := len(w.server.Calls().All())
	do()
	for _, c := range w.server.Calls().All()[before:] {
		if c.Name() == "lambda:UpdateFunctionCode" && (c.Principal != wire.CloudFormation || w.values != engine.Fresh) {
			w.Errorf("the code was updated by %s", c.Principal)
		}
	}
}

// sends fails the test unless CloudFormation sends the function's code as often as is
// wanted while do runs, and nobody else does. How often it does with fresh values depends
// on what is resolved meanwhile.
func (w *world) sends(want int, do func()) {
	w.Helper()
	before := len(w.server.Calls().All())
	do()
	n := 0
	for _, c := range w.server.Calls().All()[before:] {
		switch {
		case c.Name() != "lambda:UpdateFunctionCode":
		case c.Principal == wire.CloudFormation:
			n++
		default:
			w.Errorf("the code was updated by %s", c.Principal)
		}
	}
	if n != want && w.values == engine.Cached {
		w.Errorf("CloudFormation sent the code %d times, want %d", n, want)
	}
}

// repository returns the name of the repository that the stack has made.
func (w *world) repository() string { return w.resource("FunctionRepositoryDACB9ECB") }

// expire deletes the images of a repository that a lifecycle rule would: all but those
// with a tag that the first rule shields.
func (w *world) expire(repository string) {
	w.Helper()
	out, err := w.ecr.DescribeImages(w.Context(), &ecr.DescribeImagesInput{RepositoryName: &repository})
	if err != nil {
		w.Fatal(err)
	}
	var expired []ecrtypes.ImageIdentifier
	for _, image := range out.ImageDetails {
		if !strings.Contains(strings.Join(image.ImageTags, " "), "tasuki-") {
			expired = append(expired, ecrtypes.ImageIdentifier{ImageDigest: image.ImageDigest})
		}
	}
	if len(expired) == 0 {
		return
	}
	deleted, err := w.ecr.BatchDeleteImage(w.Context(), &ecr.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: expired})
	if err := errors.Join(err, refused(deleted)); err != nil {
		w.Fatal(err)
	}
}

func refused(out *ecr.BatchDeleteImageOutput) error {
	if out == nil || len(out.Failures) == 0 {
		return nil
	}
	return fmt.Errorf("ECR refused to delete %s: %s", aws.ToString(out.Failures[0].ImageId.ImageDigest), aws.ToString(out.Failures[0].FailureReason))
}

// eventually polls until something holds.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	if !w.poll(holds) {
		w.Fatalf("it did not come to pass in two minutes that %s", what)
	}
}

func (w *world) poll(holds func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
