package awsbackend_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/conformance"
	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws"
)

// endpoint is a local endpoint that can be stopped and started again under the
// same clients.
type endpoint struct {
	dir     string
	config  aws.Config
	backend *awsbackend.Backend

	mu     sync.Mutex
	server *localaws.Server
}

// start starts an endpoint and opens a backend on it.
func start(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{dir: t.TempDir()}
	e.restart(t, 0)
	t.Cleanup(func() {
		if err := e.server.Close(); err != nil {
			t.Error(err)
		}
	})
	e.config = aws.Config{
		Region: e.server.Region(), HTTPClient: sdkhttp.Whole{HTTPClient: e},
		Credentials: awscredentials.NewStaticCredentialsProvider("local", "local", ""),
	}
	e.attempts(t, 0)
	return e
}

// attempts opens the backend again, with so many attempts at each call; 0 for the default.
func (e *endpoint) attempts(t *testing.T, n int) {
	t.Helper()
	backend, err := awsbackend.Load(t.Context(), awsbackend.Options{Config: &e.config, RetryMaxAttempts: n, Unpaced: true})
	if err != nil {
		t.Fatal(err)
	}
	e.backend = backend
}

// restart stops the endpoint if it runs, and starts it on the same state.
func (e *endpoint) restart(t *testing.T, updateDelay time.Duration) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		if err := e.server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	server, err := localaws.Start(localaws.Options{Dir: e.dir, UpdateDelay: updateDelay})
	if err != nil {
		t.Fatal(err)
	}
	e.server = server
}

// Do sends a request to the endpoint, wherever it listens now.
func (e *endpoint) Do(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	host := e.server.Registry()
	e.mu.Unlock()
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", host
	return http.DefaultClient.Do(r)
}

// repository creates a repository and returns it as the backend finds it.
func (e *endpoint) repository(t *testing.T, name string) tasuki.Repository {
	t.Helper()
	if _, err := ecr.NewFromConfig(e.config).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	repository, err := e.backend.Images.Repository(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// push puts an image into a repository by the registry's own protocol, logged in
// with what the backend says of the registry.
func (e *endpoint) push(t *testing.T, repository tasuki.Repository, tag tasuki.Tag, manifest tasuki.Manifest, blobs ...[]byte) {
	t.Helper()
	registry, err := e.backend.Images.Registry(t.Context(), repository)
	if err != nil {
		t.Fatal(err)
	}
	target, err := remote.NewRepository(registry.Host + "/" + repository.Name())
	if err != nil {
		t.Fatal(err)
	}
	target.PlainHTTP = registry.PlainHTTP
	target.Client = &auth.Client{Credential: auth.StaticCredential(registry.Host, auth.Credential{Username: registry.User, Password: registry.Password})}
	for _, blob := range blobs {
		descriptor := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(blob), Size: int64(len(blob))}
		if err := target.Push(t.Context(), descriptor, bytes.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
	}
	descriptor := ocispec.Descriptor{MediaType: manifest.MediaType, Digest: digest.Digest(manifest.Digest.String()), Size: int64(len(manifest.Bytes))}
	if tag.IsZero() {
		err = target.Push(t.Context(), descriptor, bytes.NewReader(manifest.Bytes))
	} else {
		err = target.PushReference(t.Context(), descriptor, bytes.NewReader(manifest.Bytes), tag.String())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTagsConform(t *testing.T) {
	conformance.Tags(t, func(t *testing.T) tasuki.Tags { return start(t).backend.Tags })
}

func TestContractsConform(t *testing.T) {
	conformance.Contracts(t, func(t *testing.T) tasuki.Contracts { return start(t).backend.Contracts })
}

func TestBatchesConform(t *testing.T) {
	t.Run("tags", func(t *testing.T) {
		conformance.TagBatches(t, func(t *testing.T) conformance.TagStore { return start(t).backend.Tags })
	})
	t.Run("contracts", func(t *testing.T) {
		conformance.ContractBatches(t, func(t *testing.T) conformance.ContractStore { return start(t).backend.Contracts })
	})
}

func TestImagesConform(t *testing.T) {
	conformance.Images(t, func(t *testing.T) conformance.ImageStore {
		e := start(t)
		repository := e.repository(t, "orders")
		return conformance.ImageStore{
			Images:     e.backend.Images,
			Repository: repository,
			Push: func(t *testing.T, tag tasuki.Tag, manifest tasuki.Manifest, blobs ...[]byte) {
				t.Helper()
				e.push(t, repository, tag, manifest, blobs...)
			},
		}
	})
}

func TestFunctionsConform(t *testing.T) {
	conformance.Functions(t, func(t *testing.T) conformance.FunctionStore { return start(t).functions(t) })
}

// functions returns the endpoint's functions, on images in a repository of its own.
func (e *endpoint) functions(t *testing.T) conformance.FunctionStore {
	t.Helper()
	repository := e.repository(t, "orders")
	api := lambda.NewFromConfig(e.config)
	images := 0
	return conformance.FunctionStore{
		Functions: e.backend.Functions,
		Image: func(t *testing.T, arch tasuki.Architecture) tasuki.ImageURI {
			t.Helper()
			images++
			manifest, blobs := runnable(t, arch, images)
			e.push(t, repository, tasuki.Tag{}, manifest, blobs...)
			return tasuki.ImageURI{Repository: repository, Ref: tasuki.ByDigest(manifest.Digest)}
		},
		Create: func(t *testing.T, name string, image tasuki.ImageURI, arch tasuki.Architecture) {
			t.Helper()
			_, err := api.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
				FunctionName: aws.String(name), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: aws.String(image.String())},
				Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/orders"), Architectures: []types.Architecture{types.Architecture(arch)},
				MemorySize: aws.Int32(512), Timeout: aws.Int32(7), Description: aws.String("takes orders"),
				Environment: &types.Environment{Variables: map[string]string{"STAGE": "test"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		Configuration: func(t *testing.T, name string) any {
			t.Helper()
			out, err := api.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(name)})
			if err != nil {
				t.Fatal(err)
			}
			return settings(t, out)
		},
		// An update that the endpoint was stopped in the middle of goes on when it
		// is started again.
		Hold: func(t *testing.T) func() {
			t.Helper()
			e.restart(t, time.Hour)
			return func() { t.Helper(); e.restart(t, 0) }
		},
	}
}

// settled reads a function until nothing changes it any more.
func (e *endpoint) settled(t *testing.T, name string) tasuki.Function {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		f, err := e.backend.Functions.Function(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Updating() {
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("function %s is still %s, update %s", name, f.State, f.UpdateStatus)
		}
	}
}

func parse[T any](t *testing.T, parser func(string) (T, error), s string) T {
	t.Helper()
	v, err := parser(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// settings returns the members of a function's configuration that are neither its
// code nor about the update.
func settings(t *testing.T, out *lambda.GetFunctionConfigurationOutput) map[string]any {
	t.Helper()
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for name := range all {
		if strings.HasPrefix(name, "LastUpdateStatus") || strings.HasPrefix(name, "State") ||
			name == "CodeSha256" || name == "CodeSize" || name == "RevisionId" || name == "LastModified" || name == "ResultMetadata" {
			delete(all, name)
		}
	}
	if all["MemorySize"] != 512.0 {
		t.Fatalf("the configuration is %v", all)
	}
	return all
}

// runnable returns an image with one small layer, which differs by n.
func runnable(t *testing.T, arch tasuki.Architecture, n int) (tasuki.Manifest, [][]byte) {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	content := fmt.Sprintf("image %d", n)
	if err := w.WriteHeader(&tar.Header{Name: "bootstrap", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"architecture":%q,"os":"linux","config":{"Entrypoint":["/bootstrap"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`, arch.OCI(), digest.FromBytes(layer.Bytes()))
	blobs := [][]byte{[]byte(config), layer.Bytes()}
	b, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest,
		"config": tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: tasuki.DigestOf(blobs[0]), Size: int64(len(blobs[0]))},
		"layers": []tasuki.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: tasuki.DigestOf(blobs[1]), Size: int64(len(blobs[1]))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tasuki.Manifest{Digest: tasuki.DigestOf(b), MediaType: tasuki.MediaTypeOCIManifest, Bytes: b}, blobs
}

func TestCallerOfTheEndpoint(t *testing.T) {
	caller, err := start(t).backend.Caller(t.Context())
	if err != nil || caller.Account != localaws.Account || !strings.HasSuffix(caller.ARN, "user/local") {
		t.Errorf("got %+v, %v", caller, err)
	}
}
