package lambda_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

const (
	account    = "123456789012"
	region     = "eu-west-1"
	repository = account + ".dkr.ecr." + region + ".amazonaws.com/orders"
	role       = "arn:aws:iam::" + account + ":role/orders"
)

// buildFunction compiles the sandbox's test function once for each architecture.
var buildFunction = func() func(t testing.TB, arch string) []byte {
	var mu sync.Mutex
	built := map[string][]byte{}
	return func(t testing.TB, arch string) []byte {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if built[arch] == nil {
			file := filepath.Join(t.TempDir(), "function")
			build := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "../sandbox/testdata/function")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build the function: %v\n%s", err, out)
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			built[arch] = content
		}
		return built[arch]
	}
}()

// registry is an image registry in memory.
type registry struct {
	mu        sync.Mutex
	tags      map[string]string // to digests
	manifests map[string]manifest
	blobs     map[string][]byte
	gate      chan struct{} // where not nil, blobs are opened when it is closed
}

type manifest struct {
	content   []byte
	mediaType string
}

func newRegistry() *registry {
	return &registry{tags: map[string]string{}, manifests: map[string]manifest{}, blobs: map[string][]byte{}}
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func (r *registry) Resolve(_ context.Context, uri string) (string, []byte, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ref, found := strings.CutPrefix(uri, repository)
	if !found {
		if strings.Contains(uri, ".dkr.ecr.") {
			return "", nil, "", lambda.ErrNoRepository
		}
		return "", nil, "", lambda.ErrNotECR
	}
	digest := strings.TrimPrefix(ref, "@")
	if tag, isTag := strings.CutPrefix(ref, ":"); isTag {
		digest = r.tags[tag]
	}
	m, found := r.manifests[digest]
	if !found {
		return "", nil, "", lambda.ErrNoImage
	}
	return digest, m.content, m.mediaType, nil
}

func (r *registry) OpenBlob(ctx context.Context, digest string) (io.ReadCloser, error) {
	r.mu.Lock()
	content, found := r.blobs[digest]
	gate := r.gate
	r.mu.Unlock()
	if !found {
		return nil, fmt.Errorf("blob %s: %w", digest, lambda.ErrNoImage)
	}
	if gate != nil && len(content) > 0 && content[0] != '{' { // a layer
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (r *registry) setGate(gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = gate
}

func (r *registry) forget(digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.blobs, digest)
}

func (r *registry) putBlob(content []byte, mediaType string) map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	digest := digestOf(content)
	r.blobs[digest] = content
	return map[string]any{"mediaType": mediaType, "digest": digest, "size": len(content)}
}

func (r *registry) putManifest(tag, mediaType string, document map[string]any) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	document["schemaVersion"], document["mediaType"] = 2, mediaType
	content, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	digest := digestOf(content)
	r.manifests[digest], r.tags[tag] = manifest{content, mediaType}, digest
	return digest
}

// picture is an image to be pushed.
type picture struct {
	arch       string
	entrypoint []string
	env        []string
	workingDir string
	files      map[string]string
	layerType  string
}

// push makes an image and returns its URI and its digest.
func (r *registry) push(t testing.TB, tag string, p picture) (uri, digest string) {
	t.Helper()
	if p.arch == "" {
		p.arch = "amd64"
	}
	if p.entrypoint == nil {
		p.entrypoint = []string{"/function"}
	}
	if p.layerType == "" {
		p.layerType = "application/vnd.oci.image.layer.v1.tar+gzip"
	}
	files := map[string]string{"function": string(buildFunction(t, p.arch))}
	maps.Copy(files, p.files)
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	w := tar.NewWriter(compressed)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"os": "linux", "architecture": p.arch, "config": map[string]any{
		"Entrypoint": p.entrypoint, "Env": append([]string{"VERSION=" + tag}, p.env...), "WorkingDir": p.workingDir,
	}})
	if err != nil {
		t.Fatal(err)
	}
	digest = r.putManifest(tag, tasuki.MediaTypeOCIManifest, map[string]any{
		"config": r.putBlob(config, tasuki.MediaTypeOCIConfig), "layers": []any{r.putBlob(b.Bytes(), p.layerType)},
	})
	return repository + ":" + tag, digest
}

// endpoint is a local Lambda and the real client on it.
type endpoint struct {
	*sdk.Client
	images *registry
	store  *state.Store
	logs   *localawstest.Log
}

func newEndpoint(t testing.TB, edit func(*lambda.Options)) *endpoint {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &endpoint{images: newRegistry(), store: store, logs: &localawstest.Log{}}
	stop := e.serve(t, edit)
	t.Cleanup(stop)
	return e
}

// serve starts the service on the endpoint's store and points the client to it.
func (e *endpoint) serve(t testing.TB, edit func(*lambda.Options)) (stop func()) {
	t.Helper()
	var server *httptest.Server
	o := lambda.Options{
		Store: e.store, Account: account, Region: region, Images: e.images, Logs: e.logs,
		Endpoint: func() string { return server.URL }, RetryDelay: time.Millisecond,
	}
	if edit != nil {
		edit(&o)
	}
	service, err := lambda.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(dispatcher{service.Wire()})
	e.Client = sdk.New(sdk.Options{
		BaseEndpoint: &server.URL, Region: region, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("tester", "secret", ""), HTTPClient: sdkhttp.New(),
	})
	return sync.OnceFunc(func() {
		server.Close()
		service.Close()
	})
}

// dispatcher does with a request what the endpoint's own does.
type dispatcher struct{ service wire.Service }

func (d dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	scope := wire.SignatureScope(r)
	request := &wire.Request{HTTP: r, Body: body, ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", time.Now().UnixNano()%1e12), Service: scope.Service, Region: scope.Region, Principal: scope.AccessKey}
	operation, provided := d.service.Operation(request)
	answer := d.service.Fail(request, wire.NotProvided(d.service.Name(), operation))
	if provided {
		answer = d.service.Serve(wire.WithRequest(r.Context(), request), operation, request)
	}
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

func (e *endpoint) create(t testing.TB, name, uri string, edit func(*sdk.CreateFunctionInput)) *sdk.GetFunctionOutput {
	t.Helper()
	in := &sdk.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &uri},
		Timeout: aws.Int32(30), // Lambda's own 3 s are few on a machine that is busy
	}
	if edit != nil {
		edit(in)
	}
	if _, err := e.CreateFunction(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return e.settled(t, name)
}

// settled waits until a function is neither being created nor changed.
func (e *endpoint) settled(t testing.TB, name string) *sdk.GetFunctionOutput {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; { // a machine may be busy
		f, err := e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if f.Configuration.State != types.StatePending && f.Configuration.LastUpdateStatus != types.LastUpdateStatusInProgress {
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still %s, %s", name, f.Configuration.State, f.Configuration.LastUpdateStatus)
		}
		time.Sleep(time.Millisecond)
	}
}

func (e *endpoint) invoke(t testing.TB, name, event string) *sdk.InvokeOutput {
	t.Helper()
	out, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: &name, Payload: []byte(event), LogType: types.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// versionOf invokes and returns which image answered.
func (e *endpoint) versionOf(t testing.TB, name string) string {
	t.Helper()
	out := e.invoke(t, name, `{}`)
	var answer struct{ Version string }
	if err := json.Unmarshal(out.Payload, &answer); err != nil || out.FunctionError != nil {
		t.Fatalf("%s %v", out.Payload, err)
	}
	return answer.Version
}

// wantError checks an error's code and message, in which "…" stands for anything.
func wantError(t testing.TB, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Fatalf("want %s, got %v", code, err)
	}
	if e.ErrorCode() != code || !matches(e.ErrorMessage(), message) {
		t.Errorf("got  %s: %s\nwant %s: %s", e.ErrorCode(), e.ErrorMessage(), code, message)
	}
}

// matches reports whether got is want, in which "…" stands for anything.
func matches(got, want string) bool {
	parts := strings.Split(want, "…")
	rest, found := strings.CutPrefix(got, parts[0])
	for _, part := range parts[1:] {
		if !found {
			return false
		}
		if part == "" {
			return true
		}
		_, rest, found = strings.Cut(rest, part)
	}
	return found && rest == ""
}

func decodeLog(t testing.TB, out *sdk.InvokeOutput) string {
	t.Helper()
	log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}
