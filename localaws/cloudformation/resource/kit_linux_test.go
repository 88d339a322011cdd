package resource_test

import (
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

const functionRole = "arn:aws:iam::" + localaws.Account + ":role/function"

// world is an endpoint, and what calls its services as CloudFormation does.
type world struct {
	*testing.T
	server  *localaws.Server
	aws     aws.Config
	answers *mailbox
	types   map[string]resource.Type
}

func newWorld(t *testing.T, o localaws.Options) *world {
	t.Helper()
	server := localawstest.Start(t, o)
	config := server.Config(wire.CloudFormation)
	config.RetryMaxAttempts = 1
	return &world{
		T: t, server: server, types: resource.Types(), answers: newMailbox(t),
		aws: config,
	}
}

// mailbox takes custom resources' answers, one at a time.
type mailbox struct {
	url string
	mu  sync.Mutex
	to  chan []byte
}

func newMailbox(t *testing.T) *mailbox {
	m := &mailbox{}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *mailbox) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the function is gone
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case m.to <- body:
	default:
	}
}

func (m *mailbox) Expect() (string, <-chan []byte, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to = make(chan []byte, 1)
	return m.url + resource.AnswerPath + "answer", m.to, func() {}
}

type properties = map[string]any

// request is a call for the resource with the logical id Thing.
func (w *world) request(p properties) resource.Request {
	return resource.Request{
		StackID: "arn:aws:cloudformation:us-east-1:000000000000:stack/orders/1", StackName: "orders", LogicalID: "Thing", Token: "token-1",
		Properties: p, AWS: w.aws, Account: localaws.Account, Region: w.server.Region(), Answers: w.answers,
		Tags: map[string]string{"aws:cloudformation:stack-name": "orders", "team": "blue"},
	}
}

func (w *world) kind(typeName string) resource.Type {
	if kind, found := w.types[typeName]; found {
		return kind
	}
	return resource.Custom()
}

// create creates a resource, and fails the test unless it has the attributes that its
// type says.
func (w *world) create(typeName string, p properties) (resource.Request, resource.Result) {
	w.Helper()
	r := w.request(p)
	r.Type = typeName
	result, err := w.kind(typeName).Create(w.Context(), r)
	if err != nil {
		w.Fatalf("create %s: %v", typeName, err)
	}
	r.PhysicalID = result.PhysicalID
	w.complete(typeName, result)
	return r, result
}

func (w *world) complete(typeName string, result resource.Result) {
	w.Helper()
	if result.PhysicalID == "" {
		w.Errorf("%s has no physical id", typeName)
	}
	names := w.kind(typeName).Attributes
	if names == nil {
		return
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(names)), slices.Sorted(maps.Keys(result.Attributes))); diff != "" {
		w.Errorf("the attributes of %s (-want +got):\n%s", typeName, diff)
	}
	for name, value := range result.Attributes {
		if value == "" || value == nil {
			w.Errorf("the attribute %s of %s is empty", name, typeName)
		}
	}
}

// update updates a resource from the properties that r has, and returns the next r.
func (w *world) update(r resource.Request, p properties) (resource.Request, resource.Result) {
	w.Helper()
	r.Previous, r.LastTags, r.Properties, r.Token = r.Properties, r.Tags, p, r.Token+"+"
	result, err := w.kind(r.Type).Update(w.Context(), r)
	if err != nil {
		w.Fatalf("update %s: %v", r.Type, err)
	}
	w.complete(r.Type, result)
	if result.PhysicalID != r.PhysicalID && w.types[r.Type].Name != "" {
		w.Errorf("%s was %s and is %s", r.Type, r.PhysicalID, result.PhysicalID)
	}
	return r, result
}

// exists fails the test unless to create a resource once more is refused, and is carried
// out where it is the same call.
func (w *world) exists(r resource.Request) {
	w.Helper()
	r.PhysicalID = ""
	if _, err := w.kind(r.Type).Create(w.Context(), r); err == nil || !strings.Contains(err.Error(), "HandlerErrorCode: AlreadyExists") {
		w.Errorf("create %s where there is one: %v", r.Type, err)
	}
	r.Again = true
	if _, err := w.kind(r.Type).Create(w.Context(), r); err != nil {
		w.Errorf("create %s, the same call again: %v", r.Type, err)
	}
}

// remove deletes a resource, and once more: what is gone is deleted.
func (w *world) remove(r resource.Request) {
	w.Helper()
	for range 2 {
		if err := w.kind(r.Type).Delete(w.Context(), r); err != nil {
			w.Errorf("delete %s: %v", r.Type, err)
		}
	}
}

// gone fails the test unless err says that something does not exist.
func (w *world) gone(err error, code string) {
	w.Helper()
	if err == nil || !strings.Contains(err.Error(), code) {
		w.Errorf("got %v, want %s", err, code)
	}
}

// built is the program of testdata/function, compiled once.
var built = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "function-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "./testdata/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// answering makes a function that answers custom resources, and returns its ARN.
func (w *world) answering() string {
	w.Helper()
	program, err := built()
	if err != nil {
		w.Fatal(err)
	}
	client := lambda.NewFromConfig(w.aws)
	out, err := client.CreateFunction(w.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("answering"), Role: aws.String(functionRole), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Architectures: []types.Architecture{machine()}, Code: &types.FunctionCode{ZipFile: localawstest.Package(w, program)},
	})
	if err != nil {
		w.Fatal(err)
	}
	if err := lambda.NewFunctionActiveV2Waiter(client, func(o *lambda.FunctionActiveV2WaiterOptions) {
		o.MinDelay, o.MaxDelay = 10*time.Millisecond, 100*time.Millisecond
	}).
		Wait(w.Context(), &lambda.GetFunctionInput{FunctionName: out.FunctionArn}, time.Minute); err != nil {
		w.Fatal(err)
	}
	return aws.ToString(out.FunctionArn)
}

func machine() types.Architecture {
	if runtime.GOARCH == "arm64" {
		return types.ArchitectureArm64
	}
	return types.ArchitectureX8664
}

// image pushes an image that Lambda takes to a repository, and returns its URI by tag.
// Images of different tags are different.
func (w *world) image(repository, tag string) string {
	w.Helper()
	client := ecr.NewFromConfig(w.aws)
	token, err := client.GetAuthorizationToken(w.Context(), nil)
	if err != nil {
		w.Fatal(err)
	}
	password, err := base64.StdEncoding.DecodeString(aws.ToString(token.AuthorizationData[0].AuthorizationToken))
	if err != nil {
		w.Fatal(err)
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/bootstrap"}, Labels: map[string]string{"tag": tag}},
	})
	if err != nil {
		w.Fatal(err)
	}
	ref, err := name.ParseReference(w.server.Registry()+"/"+repository+":"+tag, name.Insecure)
	if err != nil {
		w.Fatal(err)
	}
	user, secret, _ := strings.Cut(string(password), ":")
	if err := remote.Write(ref, image, remote.WithAuth(&authn.Basic{Username: user, Password: secret}), remote.WithContext(w.Context())); err != nil {
		w.Fatal(err)
	}
	described, err := client.DescribeRepositories(w.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{repository}})
	if err != nil {
		w.Fatal(err)
	}
	return aws.ToString(described.Repositories[0].RepositoryUri) + ":" + tag
}
