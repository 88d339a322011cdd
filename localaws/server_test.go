package localaws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if dir := os.Getenv(endpointDir); dir != "" {
		os.Exit(serveEndpoint(dir))
	}
	os.Exit(m.Run())
}

// endpointDir is the variable that makes the test program an endpoint on a directory.
const endpointDir = "TASUKI_TEST_ENDPOINT_DIR"

// serveEndpoint runs an endpoint until it is killed, or its parent is gone.
func serveEndpoint(dir string) (status int) {
	server, err := localaws.Start(localaws.Options{Dir: dir, UpdateDelay: 30 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(server.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// clients are AWS's own clients of one endpoint, which try each call once.
type clients struct {
	config sdkaws.Config
	ssm    *ssm.Client
	ecr    *ecr.Client
	lambda *lambda.Client
	sts    *sts.Client
}

func connect(url, region string, options ...func(*sdkaws.Config)) clients {
	c := sdkaws.Config{
		Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("infra", "secret", ""), RetryMaxAttempts: 1,
		HTTPClient: sdkhttp.New(),
	}
	for _, option := range options {
		option(&c)
	}
	return clients{c, ssm.NewFromConfig(c), ecr.NewFromConfig(c), lambda.NewFromConfig(c), sts.NewFromConfig(c)}
}

// start starts an endpoint for one test, and clients of it.
func start(t *testing.T, o localaws.Options) (*localaws.Server, clients) {
	t.Helper()
	server := localawstest.Start(t, o)
	return server, connect(server.URL(), server.Region())
}

// put writes a parameter, whether it exists or not.
func (c clients) put(ctx context.Context, name, value string) (int64, error) {
	out, err := c.ssm.PutParameter(ctx, &ssm.PutParameterInput{Name: &name, Value: &value, Type: ssmtypes.ParameterTypeString, Overwrite: sdkaws.Bool(true)})
	if err != nil {
		return 0, err
	}
	return out.Version, nil
}

// get reads a parameter's value.
func (c clients) get(ctx context.Context, name string) (string, error) {
	out, err := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if err != nil {
		return "", err
	}
	return *out.Parameter.Value, nil
}

// repository creates a repository.
func (c clients) repository(t *testing.T, name string) {
	t.Helper()
	if _, err := c.ecr.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: &name}); err != nil {
		t.Fatal(err)
	}
}

// expectCode fails unless err is an answer of the code, whose message has the text.
func expectCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

// send sends a request that is signed for a service, and returns the answer's body.
func (c clients) send(t *testing.T, service, method, path, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, *c.config.BaseEndpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	const payload = "UNSIGNED-PAYLOAD"
	if err := v4.NewSigner().SignHTTP(t.Context(), sdkaws.Credentials{AccessKeyID: "infra", SecretAccessKey: "secret"}, r, payload, service, c.config.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(content)
}

func TestWhatIsNotProvidedIsRefusedByName(t *testing.T) {
	server, c := start(t, localaws.Options{})
	for _, test := range []struct {
		name, call, message string
		do                  func(ctx context.Context) error
	}{
		{"awsJson", "ssm:CreateDocument", "CreateDocument of ssm is not provided by tasuki local.", func(ctx context.Context) error {
			_, err := c.ssm.CreateDocument(ctx, &ssm.CreateDocumentInput{Name: sdkaws.String("a"), Content: sdkaws.String("{}")})
			return err
		}},
		{"awsJson in lower case", "ecr:PutReplicationConfiguration", "PutReplicationConfiguration of ecr is not provided by tasuki local.", func(ctx context.Context) error {
			_, err := c.ecr.PutReplicationConfiguration(ctx, &ecr.PutReplicationConfigurationInput{ReplicationConfiguration: &ecrtypes.ReplicationConfiguration{Rules: []ecrtypes.ReplicationRule{}}})
			return err
		}},
		{"restJson", "lambda:POST /2018-10-31/layers/a/versions", "POST /2018-10-31/layers/a/versions of lambda is not provided by tasuki local.", func(ctx context.Context) error {
			_, err := c.lambda.PublishLayerVersion(ctx, &lambda.PublishLayerVersionInput{LayerName: sdkaws.String("a"), Content: &lambdatypes.LayerVersionContentInput{ZipFile: []byte("x")}})
			return err
		}},
		{"awsQuery", "sts:GetFederationToken", "GetFederationToken of sts is not provided by tasuki local.", func(ctx context.Context) error {
			_, err := c.sts.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: sdkaws.String("me")})
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.Calls().Reset()
			expectCode(t, test.do(t.Context()), "NotImplemented", test.message)
			expectCalls(t, server, test.call+" 501 NotImplemented")
		})
	}
}

// Of a service that is not there, not even one operation is.
func TestServicesThatAreNotProvidedAreRefusedByName(t *testing.T) {
	server, c := start(t, localaws.Options{})
	for _, test := range []struct {
		service, method, path, body, header, value string
		call, answer, contentType                  string
	}{
		{"glacier", "PUT", "/-/vaults/key", "content", "Content-Type", "text/plain",
			"glacier:PUT /-/vaults/key", "<Message>PUT /-/vaults/key of glacier is not provided by tasuki local.</Message>", "text/xml"},
		{"route53", "GET", "/", "", "", "",
			"route53:GET /", "<Message>GET / of route53 is not provided by tasuki local.</Message>", "text/xml"},
		{"sns", "POST", "/", "Action=CreateTopic&Version=2010-03-31&Name=orders", "Content-Type", "application/x-www-form-urlencoded; charset=utf-8",
			"sns:CreateTopic", "<Message>CreateTopic of sns is not provided by tasuki local.</Message>", "text/xml"},
		{"dynamodb", "POST", "/", "{}", "X-Amz-Target", "DynamoDB_20120810.ListTables",
			"dynamodb:ListTables", `"message":"ListTables of dynamodb is not provided by tasuki local."`, "application/x-amz-json-1.1"},
		{"ecr-public", "POST", "/", "{}", "X-Amz-Target", "SpencerFrontendService.DescribeRepositories",
			"ecr-public:DescribeRepositories", `"__type":"NotImplemented"`, "application/x-amz-json-1.1"},
		// An operation of a service that is there, but signed for another one.
		{"dynamodb", "POST", "/", "{}", "X-Amz-Target", "AmazonSSM.GetParameter",
			"dynamodb:GetParameter", `"message":"GetParameter of dynamodb is not provided by tasuki local."`, "application/x-amz-json-1.1"},
		{"dynamodb", "GET", "/2015-03-31/functions", "", "", "",
			"dynamodb:GET /2015-03-31/functions", "GET /2015-03-31/functions of dynamodb is not provided by tasuki local.", "text/xml"},
	} {
		t.Run(test.call, func(t *testing.T) {
			server.Calls().Reset()
			header := map[string]string{}
			if test.header != "" {
				header[test.header] = test.value
			}
			response, body := c.send(t, test.service, test.method, test.path, test.body, header)
			if response.StatusCode != http.StatusNotImplemented || response.Header.Get("X-Amzn-Errortype") != "NotImplemented" || response.Header.Get("Content-Type") != test.contentType {
				t.Errorf("got %s, %v", response.Status, response.Header)
			}
			if !strings.Contains(body, test.answer) {
				t.Errorf("got %s, want %s in it", body, test.answer)
			}
			expectCalls(t, server, test.call+" 501 NotImplemented")
		})
	}
}

func TestAnotherRegionIsRefused(t *testing.T) {
	server, c := start(t, localaws.Options{Region: "eu-west-1"})
	if _, err := c.put(t.Context(), "/tag", "v1"); err != nil {
		t.Fatal(err)
	}
	elsewhere := connect(server.URL(), "us-west-2")
	const sentence = "This tasuki local serves region eu-west-1 only, and the request is for us-west-2. Start it with --region us-west-2."
	_, err := elsewhere.put(t.Context(), "/tag", "v2")
	expectCode(t, err, "InvalidRegion", sentence)
	_, err = elsewhere.ecr.DescribeRepositories(t.Context(), nil)
	expectCode(t, err, "InvalidRegion", sentence)
	_, err = elsewhere.lambda.ListFunctions(t.Context(), nil)
	expectCode(t, err, "InvalidRegion", sentence)
	_, err = elsewhere.sts.GetCallerIdentity(t.Context(), nil)
	expectCode(t, err, "InvalidRegion", sentence)
	if value, err := c.get(t.Context(), "/tag"); value != "v1" {
		t.Errorf("got %q, %v, want v1", value, err)
	}
	if server.Region() != "eu-west-1" {
		t.Errorf("the server says that it is in %s", server.Region())
	}
}

// expectCalls fails unless the call log is as given, each call as "NAME STATUS CODE".
// A client has its answer a little before the call is in the log.
func expectCalls(t *testing.T, server *localaws.Server, want ...string) {
	t.Helper()
	var got []string
	eventually(t, fmt.Sprintf("%d calls in the log", len(want)), func() bool {
		got = nil
		for _, call := range server.Calls().All() {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s", call.Name(), call.Status, call.Code)))
		}
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the calls differ (-want +got)\n%s", diff)
	}
}

// eventually polls until something holds, and fails the test where it never does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute) // a machine may be busy
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

func TestCallLog(t *testing.T) {
	server, c := start(t, localaws.Options{})
	before := time.Now()
	if _, err := c.put(t.Context(), "/tag", "v1"); err != nil {
		t.Fatal(err)
	}
	_, err := c.get(t.Context(), "/missing")
	expectCode(t, err, "ParameterNotFound", "")
	_, err = c.lambda.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: sdkaws.String("missing")})
	expectCode(t, err, "ResourceNotFoundException", "")
	if _, err := c.sts.GetCallerIdentity(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"ssm:PutParameter 200", "ssm:GetParameter 400 ParameterNotFound", "lambda:GetFunction 404 ResourceNotFoundException", "sts:GetCallerIdentity 200"}
	expectCalls(t, server, want...)
	for _, call := range server.Calls().All() {
		if call.Principal != "infra" || call.Started.Before(before) || call.Took <= 0 || call.Took > time.Since(before) {
			t.Errorf("%s is from %q, started %s, took %s", call.Name(), call.Principal, call.Started, call.Took)
		}
	}
	for _, test := range []struct {
		names []string
		want  int
	}{{nil, 4}, {[]string{"ssm:GetParameter"}, 1}, {[]string{"ssm:GetParameter", "ssm:PutParameter"}, 2}, {[]string{"ssm:*"}, 0}, {[]string{"ecr:PutImage"}, 0}} {
		if got := server.Calls().Count(test.names...); got != test.want {
			t.Errorf("%d calls of %v, want %d", got, test.names, test.want)
		}
	}
	all := server.Calls().All()
	all[0].Service = "changed"
	if server.Calls().All()[0].Service != "ssm" {
		t.Error("the log can be changed from outside")
	}
	server.Calls().Reset()
	expectCalls(t, server)
	if _, err := c.get(t.Context(), "/tag"); err != nil {
		t.Fatal(err)
	}
	expectCalls(t, server, "ssm:GetParameter 200")
}

func TestCallLogOfTheRegistry(t *testing.T) {
	server, c := start(t, localaws.Options{})
	c.repository(t, "orders/api")
	repository, err := c.registry(t.Context(), "orders/api")
	if err != nil {
		t.Fatal(err)
	}
	server.Calls().Reset()
	if err := newPicture([]byte("one")).push(t.Context(), repository, "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := pull(t.Context(), repository, "v1"); err != nil {
		t.Fatal(err)
	}
	if err := repository.Tags(t.Context(), "", func([]string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if there, err := repository.Blobs().Exists(t.Context(), missing); there || err != nil {
		t.Fatalf("got %t, %v", there, err)
	}
	for name, want := range map[string]int{
		"registry:PUT manifests": 1, "registry:HEAD blobs": 3, "registry:POST uploads": 2, "registry:PUT uploads": 2,
		"registry:GET blobs": 2, "registry:GET tags": 1,
	} {
		if got := server.Calls().Count(name); got != want {
			t.Errorf("%d calls of %s, want %d", got, name, want)
		}
	}
	statuses := map[string][]int{}
	for _, call := range server.Calls().All() {
		statuses[call.Operation] = append(statuses[call.Operation], call.Status)
		if call.Service != "registry" || call.Took <= 0 {
			t.Errorf("got %+v", call)
		}
	}
	if got := statuses["PUT manifests"]; !slices.Equal(got, []int{http.StatusCreated}) {
		t.Errorf("PUT manifests answered %v", got)
	}
	if got := statuses["HEAD blobs"]; !slices.Contains(got, http.StatusNotFound) {
		t.Errorf("HEAD blobs answered %v", got)
	}
	response, err := http.Get(server.URL() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	eventually(t, "the base in the log", func() bool { return server.Calls().Count("registry:GET base") == 1 })
}

func TestLatencyIsAdded(t *testing.T) {
	const latency = 150 * time.Millisecond
	server, c := start(t, localaws.Options{Latency: latency})
	for _, test := range []struct {
		name string
		do   func() error
	}{
		{"a call", func() error { _, err := c.put(t.Context(), "/tag", "v1"); return err }},
		{"the registry", func() error {
			response, err := http.Get(server.URL() + "/v2/")
			if err == nil {
				response.Body.Close()
			}
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			started := time.Now()
			if err := test.do(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(started); took < latency {
				t.Errorf("it took %s", took)
			}
		})
	}
	// A client that does not wait is let go.
	server, c = start(t, localaws.Options{Latency: 2 * patience})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.put(ctx, "/late", "v1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	expectCalls(t, server, "ssm:PutParameter 0")
	_, err := c.get(t.Context(), "/late")
	expectCode(t, err, "ParameterNotFound", "")
}

func TestTheSecondOnADirectoryIsTold(t *testing.T) {
	dir := t.TempDir()
	first, err := localaws.Start(localaws.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	second, err := localaws.Start(localaws.Options{Dir: dir})
	if err == nil {
		_ = second.Close()
		t.Fatal("a second endpoint has started")
	}
	if want := dir + " is in use by another tasuki local"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if _, err := connect(first.URL(), first.Region()).put(t.Context(), "/tag", "v1"); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_, c := start(t, localaws.Options{Dir: dir})
	if value, err := c.get(t.Context(), "/tag"); value != "v1" {
		t.Errorf("the next endpoint has %q, %v", value, err)
	}
}

func TestAnAddressThatIsTaken(t *testing.T) {
	server, _ := start(t, localaws.Options{})
	dir := t.TempDir()
	second, err := localaws.Start(localaws.Options{Addr: server.Registry(), Dir: dir})
	if err == nil {
		_ = second.Close()
		t.Fatal("two endpoints have one address")
	}
	if want := "listen on " + server.Registry(); !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	start(t, localaws.Options{Dir: dir}) // what the second one opened is closed again
}

// Where the state cannot be taken up nothing goes on with it, and it is closed.
func TestAStartThatFailsLeavesNothingRunning(t *testing.T) {
	polls := func() int {
		var stacks bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return strings.Count(stacks.String(), "lambda.(*Service).poll(")
	}
	for table, want := range map[string]string{"lambda.mappings": "take up the event source mappings", "cloudformation.stacks": "take up the stacks"} {
		dir := t.TempDir()
		store, err := state.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = store.Update(func(tx *state.Tx) error {
			polled := state.Table[map[string]any]{Name: "lambda.mappings"}
			if err := polled.Put(tx, "1", map[string]any{"ID": "1", "Function": "orders", "Enabled": true, "Batch": 1}); err != nil {
				return err
			}
			return state.Table[string]{Name: table}.Put(tx, "2", "not what is kept there")
		})
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		before := polls()
		server, err := localaws.Start(localaws.Options{Dir: dir})
		if err == nil {
			_ = server.Close()
			t.Fatalf("%s: it has started", table)
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, want %q in it", table, err, want)
		}
		if after := polls(); after != before {
			t.Errorf("%s: %d mappings are followed, and were %d", table, after, before)
		}
		if store, err = state.Open(dir); err != nil {
			t.Fatalf("%s: the state is not closed: %v", table, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What a temporary endpoint kept is gone when it is closed.
func TestInMemory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connect(server.URL(), server.Region()).put(t.Context(), "/tag", "v1"); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestEnviron(t *testing.T) {
	server, _ := start(t, localaws.Options{Region: "eu-west-1"})
	kept := []string{"PATH=/bin", "HOME=/home/me", "AWS_PAGER=", "AWS_RETRY_MODE=standard", "EMPTY=", "TASUKI_HANDOFF=orders", "HTTPS_PROXY=http://proxy:3128", "MY_AWS_PROFILE=mine"}
	base := append([]string{
		"AWS_PROFILE=production", "AWS_DEFAULT_PROFILE=production", "AWS_ACCESS_KEY_ID=REAL", "AWS_SECRET_ACCESS_KEY=real", "AWS_SESSION_TOKEN=real", "AWS_SECURITY_TOKEN=real",
		"AWS_ROLE_ARN=arn:aws:iam::123456789012:role/deploy", "AWS_WEB_IDENTITY_TOKEN_FILE=/token", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/get", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/",
		"AWS_ENDPOINT_URL=https://real.example", "AWS_ENDPOINT_URL_SSM=https://ssm.example", "AWS_ENDPOINT_URL_LAMBDA=", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
		"AWS_USE_FIPS_ENDPOINT=true", "AWS_USE_DUALSTACK_ENDPOINT=true", "AWS_REGION=us-gov-west-1", "AWS_DEFAULT_REGION=us-gov-west-1", "TASUKI_REGISTRY=real.example",
		"NO_PROXY=internal.example", "no_proxy=",
	}, kept...)
	want := append(slices.Clone(kept),
		"AWS_ENDPOINT_URL="+server.URL(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "TASUKI_REGISTRY="+server.Registry(),
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false", "NO_PROXY=internal.example,127.0.0.1,localhost", "no_proxy=internal.example,127.0.0.1,localhost")
	if diff := cmp.Diff(want, server.Environ(base)); diff != "" {
		t.Errorf("the environment differs (-want +got)\n%s", diff)
	}
	if strings.Join(server.Environ(nil), " ") == "" {
		t.Error("an empty environment stays empty")
	}
}

// Whatever stands in the user's files, AWS's own default chain ends at the endpoint
// and at nobody's credentials.
func TestEnvironAgainstTheUsersFiles(t *testing.T) {
	server, _ := start(t, localaws.Options{})
	dir := t.TempDir()
	configFile, credentialsFile := filepath.Join(dir, "config"), filepath.Join(dir, "credentials")
	if err := os.WriteFile(configFile, []byte(`[default]
region = ap-south-1
ignore_configured_endpoint_urls = true
endpoint_url = https://real.example
services = real
role_arn = arn:aws:iam::123456789012:role/deploy
source_profile = production
[services real]
ssm =
  endpoint_url = https://ssm.example
[profile production]
region = ap-south-1
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(credentialsFile, []byte("[default]\naws_access_key_id = REAL\naws_secret_access_key = real\n[production]\naws_access_key_id = REAL\naws_secret_access_key = real\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"AWS_CONFIG_FILE=" + configFile, "AWS_SHARED_CREDENTIALS_FILE=" + credentialsFile}
	for _, variable := range server.Environ(base) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	loaded, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := ssm.NewFromConfig(loaded).PutParameter(t.Context(), &ssm.PutParameterInput{Name: sdkaws.String("/tag"), Value: sdkaws.String("v1"), Type: ssmtypes.ParameterTypeString})
	if err != nil || out.Version != 1 {
		t.Fatalf("got %+v, %v", out, err)
	}
	calls := server.Calls().All()
	if len(calls) != 1 || calls[0].Principal != "local" {
		t.Errorf("got %+v, want one call of local's", calls)
	}
}

// machine is this machine's architecture, in Lambda's words.
func machine() lambdatypes.Architecture {
	if runtime.GOARCH == "arm64" {
		return lambdatypes.ArchitectureArm64
	}
	return lambdatypes.ArchitectureX8664
}

const role = "arn:aws:iam::" + localaws.Account + ":role/function"

// A package that is too large to be sent with a request is refused in Lambda's words, to
// a client that is still sending.
func TestRequestTooLarge(t *testing.T) {
	server, _ := start(t, localaws.Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL()+"/2015-03-31/functions/f/code", bytes.NewReader(make([]byte, 69905068)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if want := "Request must be smaller than 69905067 bytes for the UpdateFunctionCode operation"; err != nil || !strings.Contains(string(body), want) {
		t.Errorf("got %s %v, want %s", body, err, want)
	}
	expectCalls(t, server, "lambda:UpdateFunctionCode 413 RequestEntityTooLargeException")
}

// sleeper creates a function that does what its event says, and waits until it is active.
func (c clients) sleeper(t *testing.T, name string) {
	t.Helper()
	bootstrap := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.Command("go", "build", "-o", bootstrap, "./sandbox/testdata/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	content, err := os.ReadFile(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Role: sdkaws.String(role), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: sdkaws.String("bootstrap"),
		Architectures: []lambdatypes.Architecture{machine()}, Code: &lambdatypes.FunctionCode{ZipFile: localawstest.Package(t, content)}, Timeout: sdkaws.Int32(300),
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, name+" is active", func() bool {
		out, err := c.lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		return err == nil && out.State == lambdatypes.StateActive
	})
}
