package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/cdk/lookup"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/placeholder"
)

const region = "eu-west-1"

// profiles is the AWS configuration file of the tests. Each test's endpoint has a profile
// of its own, so that tests can run side by side.
type profiles struct {
	mu   sync.Mutex
	file string
}

var configured profiles

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rehearsal-")
	if err != nil {
		panic(err)
	}
	configured.file = filepath.Join(dir, "config")
	for name, value := range map[string]string{"AWS_CONFIG_FILE": configured.file, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// add adds a profile that leads to an endpoint, and returns its name.
func (p *profiles) add(endpoint string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := os.OpenFile(p.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	name := "at-" + endpoint[strings.LastIndexByte(endpoint, ':')+1:]
	_, err = fmt.Fprintf(f, "[profile %s]\nendpoint_url = %s\naws_access_key_id = local\naws_secret_access_key = local\nregion = us-west-2\n", name, endpoint)
	return name, err
}

// endpoint is an AWS of the test's own, which a profile leads to.
type endpoint struct {
	*localaws.Server
	*awsbackend.Backend
	config  aws.Config
	profile string
}

func start(t *testing.T) endpoint {
	t.Helper()
	server, err := localaws.Start(localaws.Options{Region: region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	profile, err := configured.add(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	backend, err := awsbackend.Load(t.Context(), awsbackend.Options{Profile: profile, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(profile), config.WithRegion(region))
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTPClient = sdkhttp.Whole{HTTPClient: cfg.HTTPClient}
	return endpoint{server, backend, cfg, profile}
}

// orders looks up the handoff orders, where there is no contract.
func (e endpoint) orders() lookup.Options {
	return lookup.Options{Account: localaws.Account, Region: region, Profile: e.profile, Handoff: "orders"}
}

// push puts an image into the repository orders, which it creates, and returns its digest.
func (e endpoint) push(t *testing.T, tag string) tasuki.Digest {
	t.Helper()
	_, err := ecr.NewFromConfig(e.config).CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	repository, err := e.Images.Repository(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	manifest, blobs := unlabelled(must(placeholder.Build(must(tasuki.ParseHandoffName("orders")), tasuki.X86_64)))
	source := image.Memory("test", manifest, blobs)
	release := image.Release{Source: source, Registry: func(ctx context.Context, repository tasuki.Repository) (image.Registry, error) {
		r, err := e.Images.Registry(ctx, repository)
		return image.Registry{Host: r.Host, PlainHTTP: r.PlainHTTP, Username: r.User, Password: r.Password}, err
	}}
	inspected, err := release.Inspect(t.Context(), tasuki.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	if err := release.Push(t.Context(), inspected, repository, must(tasuki.ParseTag(tag))); err != nil {
		t.Fatal(err)
	}
	return manifest.Digest
}

// unlabelled returns an image that is like the placeholder, but is not known as one.
func unlabelled(built placeholder.Image) (tasuki.Manifest, map[tasuki.Digest][]byte) {
	label := []byte(tasuki.PlaceholderLabel)
	config := bytes.ReplaceAll(built.Config, label, bytes.Repeat([]byte("x"), len(label)))
	was, is := built.ConfigDescriptor.Digest.String(), tasuki.DigestOf(config)
	manifest := built.Manifest
	manifest.Bytes = bytes.ReplaceAll(manifest.Bytes, []byte(was), []byte(is.String()))
	manifest.Digest = tasuki.DigestOf(manifest.Bytes)
	return manifest, map[tasuki.Digest][]byte{is: config, built.LayerDescriptor.Digest: built.Layer}
}

func (e endpoint) register(t *testing.T, parameter, tag string) {
	t.Helper()
	if _, err := e.Tags.WriteTag(t.Context(), must(tasuki.ParseParameterName(parameter)), must(tasuki.ParseTag(tag)), ""); err != nil {
		t.Fatal(err)
	}
}

func TestFirstDeployFindsThePlaceholder(t *testing.T) {
	t.Parallel()
	e := start(t)
	found, err := lookup.Tag(t.Context(), e.orders())
	if err != nil {
		t.Fatal(err)
	}
	if found.Origin != tasuki.OriginPlaceholder || found.TagOrDigest() != "initial" || found.Account != localaws.Account || found.Region != region {
		t.Errorf("found is %+v", found)
	}
	for _, call := range e.Calls().All() {
		if strings.Contains(call.Operation, "Put") || strings.Contains(call.Operation, "Create") {
			t.Errorf("the lookup called %s, and may change nothing", call.Operation)
		}
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	e := start(t)
	digest := e.push(t, "v1")
	e.register(t, "/tasuki/orders/image-tag", "v1")
	found, err := lookup.Tag(t.Context(), e.orders())
	if err != nil {
		t.Fatal(err)
	}
	if found.Origin != tasuki.OriginParameter || found.TagOrDigest() != digest.String() || found.Tag.String() != "v1" {
		t.Errorf("found is %+v", found)
	}
}

func TestNamesFromTheEnvironment(t *testing.T) {
	e := start(t)
	digest := e.push(t, "v1")
	e.register(t, "lambdaImageTag", "v1")
	t.Setenv("TASUKI_HANDOFF", "orders")
	t.Setenv("TASUKI_TAG_PARAMETER", "lambdaImageTag")
	found, err := lookup.Tag(t.Context(), lookup.Options{Account: localaws.Account, Region: region, Profile: e.profile})
	if err != nil || found.Digest != digest {
		t.Errorf("found is %+v, %v", found, err)
	}
}

func TestContractComesFirst(t *testing.T) {
	t.Parallel()
	e := start(t)
	digest := e.push(t, "v1")
	e.register(t, "lambdaImageTag", "v1")
	repository, err := e.Images.Repository(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	contract := tasuki.Contract{Account: localaws.Account, Region: region, Handoff: tasuki.Handoff{
		Name: must(tasuki.ParseHandoffName("orders")), Repository: repository,
		TagParameter: must(tasuki.ParseParameterName("lambdaImageTag")), PlaceholderTag: tasuki.DefaultPlaceholderTag,
	}}
	if err := e.Contracts.WriteContract(t.Context(), contract); err != nil {
		t.Fatal(err)
	}
	o := e.orders()
	o.Repository, o.TagParameter = "elsewhere", "elsewhere"
	found, err := lookup.Tag(t.Context(), o)
	if err != nil || found.Digest != digest {
		t.Errorf("found is %+v, %v", found, err)
	}
}

// TestDeletedParameter is S5 at synth time: the function keeps the image that it runs.
func TestDeletedParameter(t *testing.T) {
	t.Parallel()
	e := start(t)
	digest := e.push(t, "v1")
	repository, err := e.Images.Repository(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	functions := lambda.NewFromConfig(e.config)
	_, err = functions.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), PackageType: types.PackageTypeImage, Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/function"),
		Code: &types.FunctionCode{ImageUri: aws.String(repository.String() + ":v1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := e.orders()
	o.Functions = []string{"orders"}
	found, err := lookup.Tag(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if found.Origin != tasuki.OriginFunction || found.Digest != digest || len(found.Warnings) == 0 {
		t.Errorf("found is %+v, want %s of the function, with a warning", found, digest)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*testing.T, endpoint)
		change  func(*lookup.Options)
		kind    error
		says    []string
	}{
		"another account": {
			change: func(o *lookup.Options) { o.Account = "111122223333" },
			says:   []string{"is for account 111122223333", "credentials are of account " + localaws.Account},
		},
		"no account":     {change: func(o *lookup.Options) { o.Account = "" }, says: []string{"set Account and Region"}},
		"no handoff":     {change: func(o *lookup.Options) { o.Handoff = "" }, says: []string{"TASUKI_HANDOFF"}},
		"wrong function": {change: func(o *lookup.Options) { o.Functions = []string{"a b"} }, says: []string{`"a b" is not the name`}},
		"contract denied": {
			prepare: func(_ *testing.T, e endpoint) {
				e.Faults().Add(fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Denied})
			},
			kind: tasuki.ErrDenied,
		},
		"parameter denied": {
			prepare: func(_ *testing.T, e endpoint) {
				e.Faults().Add(fault.Rule{Operation: "ssm:GetParameterHistory", Kind: fault.Denied})
			},
			kind: tasuki.ErrDenied,
		},
		"repository denied": {
			prepare: func(_ *testing.T, e endpoint) { e.Faults().Add(fault.Rule{Operation: "ecr:*", Kind: fault.Denied}) },
			kind:    tasuki.ErrDenied,
		},
		"tag not in ECR": {
			prepare: func(t *testing.T, e endpoint) { e.register(t, "/tasuki/orders/image-tag", "v1") },
			kind:    tasuki.ErrMissing, says: []string{"v1", "which is not in repository", "/orders"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			if c.prepare != nil {
				c.prepare(t, e)
			}
			o := e.orders()
			if c.change != nil {
				c.change(&o)
			}
			found, err := lookup.Tag(t.Context(), o)
			if err == nil {
				t.Fatalf("found is %+v", found)
			}
			if c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%v is not of the kind %v", err, c.kind)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
