package provider

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// packed and functionLayer are made once, when a test first wants them.
var (
	packed        = sync.OnceValues(func() ([]byte, error) { return pack(runtime.GOARCH) })
	functionLayer = sync.OnceValues(buildFunction)
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

const localStack = "arn:aws:cloudformation:us-east-1:000000000000:stack/shop/6a6e2930-c8a1-11f0-9d3c-0a1b2c3d4e5f"

// world is a local endpoint with the provider on it, as a function in a sandbox, and
// the handoff orders. What stands between the provider and the endpoint plays
// CloudFormation, and takes the answers.
type world struct {
	t        *testing.T
	server   *localaws.Server
	front    *httptest.Server
	lambda   *lambda.Client
	ecr      *ecr.Client
	backend  *awsbackend.Backend
	handoff  tasuki.Handoff
	logs     *localawstest.Log
	requests int

	mu       sync.Mutex
	status   string // of the stack; "" for none
	resource string // physical id of the function; "" while there is none
	answers  []answer
	secret   string
	played   []authorization.Need // of the services that are played here
}

func newWorld(t *testing.T, timeout int32) *world {
	t.Helper()
	w := &world{t: t, logs: &localawstest.Log{}, status: "UPDATE_IN_PROGRESS"}
	server, err := localaws.Start(localaws.Options{Logs: w.logs, EnforceIAM: true})
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	behind, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind) }, ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) {
		panic(http.ErrAbortHandler) // an answer that is lost behind is lost in front
	}}
	w.front = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(proxy, rw, r) }))
	t.Cleanup(func() {
		w.front.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		w.wantNoSecrets()
	})
	cfg := server.Config("test")
	w.lambda, w.ecr = lambda.NewFromConfig(cfg), ecr.NewFromConfig(cfg)
	if w.backend, err = awsbackend.Load(t.Context(), awsbackend.Options{Config: &cfg}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "copies"} {
		if _, err := w.ecr.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	w.handoff = tasuki.Handoff{
		Name: must(t, tasuki.ParseHandoffName, "orders"), Repository: must(t, tasuki.ParseRepository, localaws.Account+".dkr.ecr.us-east-1.amazonaws.com/orders"),
		TagParameter: must(t, tasuki.ParseParameterName, parameter), PlaceholderTag: tasuki.DefaultPlaceholderTag,
	}
	w.role()
	w.allow(ofAHandoff("orders"))
	w.install(timeout)
	return w
}

// install creates the provider function from its package.
func (w *world) install(timeout int32) {
	w.t.Helper()
	zipped, err := packed()
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.lambda.CreateFunction(w.t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("provider"), PackageType: types.PackageTypeZip, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/provider"), Code: &types.FunctionCode{ZipFile: zipped},
		Architectures: []types.Architecture{types.Architecture(machine())}, Timeout: aws.Int32(timeout), MemorySize: aws.Int32(512),
		Environment: &types.Environment{Variables: map[string]string{"AWS_ENDPOINT_URL": w.front.URL}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.settled("provider")
}

// machine is this machine's architecture, in Lambda's words.
func machine() tasuki.Architecture {
	arch, _ := tasuki.ArchitectureFromOCI(runtime.GOARCH)
	return arch
}

func otherMachine() tasuki.Architecture {
	if machine() == tasuki.ARM64 {
		return tasuki.X86_64
	}
	return tasuki.ARM64
}

// serve plays CloudFormation, and hands all else on.
func (w *world) serve(proxy http.Handler, rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/cloudformation-response/"):
		w.take(rw, r)
	case strings.Contains(r.Header.Get("Authorization"), "/cloudformation/aws4_request"):
		w.describe(rw, r)
	case r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue":
		var in struct{ SecretId string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.play("secretsmanager:GetSecretValue", in.SecretId) {
			rw.WriteHeader(http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"SecretString": w.secret})
	default:
		proxy.ServeHTTP(rw, r)
	}
}

func (w *world) take(rw http.ResponseWriter, r *http.Request) {
	var a answer
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &a) != nil || len(body) > longestAnswer || r.Header.Get("Content-Type") != "" || r.URL.Query().Get("X-Amz-Signature") != secretMark {
		w.t.Errorf("CloudFormation cannot take %q (%v)", body, err)
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
}

// describe answers DescribeStacks and DescribeStackResource, in awsQuery's form.
func (w *world) describe(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	type resource struct{ LogicalResourceId, PhysicalResourceId string }
	var document any
	switch action := r.FormValue("Action"); {
	case !w.play("cloudformation:"+action, r.FormValue("StackName")):
		rw.WriteHeader(http.StatusForbidden)
		return
	case w.status == "":
		rw.WriteHeader(http.StatusBadRequest)
		document = struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
		}{Code: "ValidationError", Message: "Stack with id " + r.FormValue("StackName") + " does not exist"}
	case action == "DescribeStacks":
		document = struct {
			XMLName xml.Name `xml:"DescribeStacksResponse"`
			Name    string   `xml:"DescribeStacksResult>Stacks>member>StackName"`
			Status  string   `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
		}{Name: "shop", Status: w.status}
	case action == "DescribeStackResource":
		document = struct {
			XMLName xml.Name `xml:"DescribeStackResourceResponse"`
			Detail  resource `xml:"DescribeStackResourceResult>StackResourceDetail"`
		}{Detail: resource{r.FormValue("LogicalResourceId"), w.resource}}
	default:
		w.t.Errorf("the provider called %s", action)
	}
	if err := xml.NewEncoder(rw).Encode(document); err != nil {
		w.t.Error(err)
	}
}

// stack sets what CloudFormation says of the stack.
func (w *world) stack(status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

// event reads a recorded event and fills in what differs from call to call.
func (w *world) event(file string, values map[string]string) []byte {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		w.t.Fatal(err)
	}
	w.requests++
	all := map[string]string{
		"ResponseURL": w.front.URL + "/cloudformation-response/" + fmt.Sprint(w.requests) + "?X-Amz-Security-Token=" + secretMark + "&X-Amz-Signature=" + secretMark,
		"RequestId":   fmt.Sprintf("request-%d", w.requests), "StackId": localStack, "Architecture": string(machine()),
		"PhysicalResourceId": "", "Source": "", "SourceSecret": "", "Alias": "live",
	}
	for name, value := range values {
		all[name] = value
	}
	var pairs []string
	for name, value := range all {
		pairs = append(pairs, "${"+name+"}", value)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(content)))
}

// ask sends a request of CloudFormation and returns the answer.
func (w *world) ask(file, requestType, physicalID string, values ...string) answer {
	w.t.Helper()
	all := map[string]string{"RequestType": requestType, "PhysicalResourceId": physicalID}
	for pair := range slices.Chunk(values, 2) {
		all[pair[0]] = pair[1]
	}
	return w.askEvent(w.event(file, all))
}

func (w *world) askEvent(event []byte) answer {
	w.t.Helper()
	before := len(w.answers)
	if failure := w.invoke("provider", "", event); failure != "" {
		w.t.Fatalf("the provider failed: %s\n%s", failure, w.logs)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.answers) != before+1 {
		w.t.Fatalf("CloudFormation got %d answers, want one\n%s", len(w.answers)-before, w.logs)
	}
	return w.answers[before]
}

// reconcile sends an event of EventBridge, and returns how the provider failed.
func (w *world) reconcile(trigger string) string {
	w.t.Helper()
	return w.invoke("provider", "", w.event("reconcile.json", map[string]string{"Trigger": trigger}))
}

// invoke invokes a function and returns how it failed; "" where it did not.
func (w *world) invoke(name, qualifier string, payload []byte) (failure string) {
	w.t.Helper()
	_, failure = w.call(name, qualifier, payload)
	return failure
}

func (w *world) call(name, qualifier string, payload []byte) (answer, failure string) {
	w.t.Helper()
	in := &lambda.InvokeInput{FunctionName: aws.String(name), Payload: payload}
	if qualifier != "" {
		in.Qualifier = aws.String(qualifier)
	}
	out, err := w.lambda.Invoke(w.t.Context(), in)
	if err != nil {
		w.t.Fatal(err)
	}
	if out.FunctionError != nil {
		return "", string(out.Payload)
	}
	return string(out.Payload), ""
}

// settled waits until a function is not being changed, and returns it.
func (w *world) settled(name string) *lambda.GetFunctionOutput {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		out, err := w.lambda.GetFunction(w.t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String(name)})
		if err != nil {
			w.t.Fatal(err)
		}
		if out.Configuration.State != types.StatePending && out.Configuration.LastUpdateStatus != types.LastUpdateStatusInProgress {
			return out
		}
	}
	w.t.Fatalf("function %s has been changing for a minute", name)
	return nil
}

// create creates the function orders on an image, as CloudFormation would.
func (w *world) create(imageURI string) {
	w.t.Helper()
	cloudFormation := w.lambda.Options().Copy()
	cloudFormation.Credentials = credentials.NewStaticCredentialsProvider(wire.CloudFormation, "test", "")
	_, err := lambda.New(cloudFormation).CreateFunction(w.t.Context(), &lambda.CreateFunctionInput{
		Tags:         map[string]string{"aws:cloudformation:stack-id": localStack},
		FunctionName: aws.String("orders"), PackageType: types.PackageTypeImage, Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/orders"),
		Code: &types.FunctionCode{ImageUri: aws.String(imageURI)}, Architectures: []types.Architecture{types.Architecture(machine())},
		Timeout: aws.Int32(7), Environment: &types.Environment{Variables: map[string]string{"SETTING": "kept"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.settled("orders")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resource = "orders"
}

// wantRuns fails unless the function answers as the version, with the configuration
// that it was created with (I1, I5).
func (w *world) wantRuns(version, qualifier string) {
	w.t.Helper()
	if got, failure := w.call("orders", qualifier, nil); got != `{"version":"`+version+`"}` {
		w.t.Errorf("the function answers %s%s, want version %s", got, failure, version)
	}
	c := w.settled("orders").Configuration
	if aws.ToInt32(c.Timeout) != 7 || c.Environment == nil || c.Environment.Variables["SETTING"] != "kept" {
		w.t.Errorf("the function's configuration was changed: timeout %d, environment %v", aws.ToInt32(c.Timeout), c.Environment)
	}
	if n := w.server.Calls().Count("lambda:UpdateFunctionConfiguration"); n > 0 {
		w.t.Errorf("its configuration was updated %d times", n)
	}
}

// version returns an image that answers with a version's name, as a source.
func (w *world) version(name string, arch tasuki.Architecture) (*image.Source, tasuki.Image) {
	w.t.Helper()
	layer, err := functionLayer()
	if err != nil {
		w.t.Fatal(err)
	}
	config := fmt.Appendf(nil, `{"os":"linux","architecture":%q,"config":{"Entrypoint":["/function"],"Env":["VERSION=%s"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`, arch.OCI(), name, tasuki.DigestOf(layer))
	document := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		tasuki.MediaTypeOCIManifest, tasuki.MediaTypeOCIConfig, tasuki.DigestOf(config), len(config), tasuki.DigestOf(layer), len(layer))
	source := image.Memory(name, tasuki.Manifest{Digest: tasuki.DigestOf(document), MediaType: tasuki.MediaTypeOCIManifest, Bytes: document},
		map[tasuki.Digest][]byte{tasuki.DigestOf(config): config, tasuki.DigestOf(layer): layer})
	inspected, err := source.Inspect(w.t.Context(), arch)
	if err != nil {
		w.t.Fatal(err)
	}
	return source, inspected
}

// push puts an image of a version under a tag.
func (w *world) push(tag, version string, arch tasuki.Architecture) tasuki.Digest {
	w.t.Helper()
	source, inspected := w.version(version, arch)
	registry, err := newImages(w.backend).register(w.t.Context(), w.handoff.Repository)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := registry.Push(w.t.Context(), source, inspected, w.handoff.Repository, must(w.t, tasuki.ParseTag, tag), image.PushOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return inspected.Digest()
}

// register pushes an image and registers it.
func (w *world) register(tag string, arch tasuki.Architecture) tasuki.Digest {
	w.t.Helper()
	digest := w.push(tag, tag, arch)
	record, err := tasuki.Record{Tag: must(w.t, tasuki.ParseTag, tag), Digest: digest, Repository: w.handoff.Repository}.Description()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.backend.Tags.WriteTag(w.t.Context(), w.handoff.TagParameter, must(w.t, tasuki.ParseTag, tag), record); err != nil {
		w.t.Fatal(err)
	}
	return digest
}

// forget deletes the tag parameter.
func (w *world) forget() {
	w.t.Helper()
	w.target("AmazonSSM.DeleteParameter", `{"Name":"`+parameter+`"}`)
}

// target calls an operation of the endpoint that needs nothing of a client.
func (w *world) target(operation, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL(), strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ssm/aws4_request, SignedHeaders=host, Signature=0")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s", operation, response.Status)
	}
}

// wantNoSecrets fails where a log has what none may have (I7).
func (w *world) wantNoSecrets() {
	w.t.Helper()
	for _, secret := range []string{secretMark, "X-Amz-Signature=", "Authorization: ", "AWS4-HMAC-SHA256"} {
		if strings.Contains(w.logs.String(), secret) {
			w.t.Errorf("the log has %q in it:\n%s", secret, w.logs)
		}
	}
}

// buildFunction builds the layer of a function that answers with its version.
func buildFunction() ([]byte, error) {
	program, err := build(runtime.GOARCH, "../internal/proof/testdata/function")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	err = t.WriteHeader(&tar.Header{Name: "function", Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)})
	if err == nil {
		_, err = t.Write(program)
	}
	err = errors.Join(err, t.Close())
	return b.Bytes(), err
}
