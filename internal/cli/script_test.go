package cli_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	testscript.Main(m, map[string]func(){
		"tasuki": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Process()))
		},
	})
}

// TestScripts runs testdata/*.txt, a subject each, against an endpoint of their own.
func TestScripts(t *testing.T) {
	apps := &apps{dir: t.TempDir()}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			server, err := localaws.Start(localaws.Options{})
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
			env.Vars = append(server.Environ(env.Vars), "USER=tester", "ARCH="+machine(), "OTHER="+otherArch(), "REPOSITORIES="+localaws.Account+".dkr.ecr."+server.Region()+".amazonaws.com")
			env.Values[relayKey{}] = newRelay(server, apps)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"app":        bound((*relay).app),
			"repository": bound((*relay).repository),
			"function":   bound((*relay).function),
			"zipped":     bound((*relay).zipped),
			"parameter":  bound((*relay).parameter),
			"forget":     bound((*relay).forget),
			"untag":      bound((*relay).untag),
			"alias":      bound((*relay).alias),
			"lifecycle":  bound((*relay).lifecycle),
			"permit":     bound((*relay).permit),
			"configure":  bound((*relay).configure),
			"invoke":     bound((*relay).invoke),
			"fault":      bound((*relay).fault),
			"calls":      bound((*relay).calls),
			"exits":      exits,
		},
	})
}

type relayKey struct{}

// relay is a script's endpoint, and what a script does to it beside running tasuki.
type relay struct {
	server *localaws.Server
	ecr    *ecr.Client
	lambda *lambda.Client
	ssm    *ssm.Client
	apps   *apps
}

func newRelay(server *localaws.Server, apps *apps) *relay {
	cfg := server.Config("infra")
	return &relay{server, ecr.NewFromConfig(cfg), lambda.NewFromConfig(cfg), ssm.NewFromConfig(cfg), apps}
}

// bound makes a script's command of a method that returns an error.
func bound(method func(*relay, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		err := method(ts.Value(relayKey{}).(*relay), ts, args)
		if neg && err == nil {
			ts.Fatalf("unexpected success")
		}
		if !neg {
			ts.Check(err)
		}
	}
}

// exits runs a command that must end with an exit code: exits CODE COMMAND…
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var exited *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exited):
		code = exited.ExitCode()
	default:
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// apps builds the example application's image once a version, for all scripts.
type apps struct {
	dir   string
	mu    sync.Mutex
	built map[string]bool
}

func (a *apps) build(version, arch string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := filepath.Join(a.dir, version+"-"+arch)
	if a.built[out] {
		return out, nil
	}
	for _, args := range [][]string{
		{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid= -X main.version=" + version, "-o", out + ".bin/orders", "."},
		{"run", "./image", "-binary", out + ".bin/orders", "-arch", arch, "-out", out},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = "../../examples/app"
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if args[0] == "build" {
			cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH="+arch)
		}
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", args[0], err, output)
		}
	}
	if a.built == nil {
		a.built = map[string]bool{}
	}
	a.built[out] = true
	return out, nil
}

// app builds the example application: app VERSION [ARCH]; $VERSION is its layout then.
func (r *relay) app(ts *testscript.TestScript, args []string) error {
	arch := runtime.GOARCH
	if len(args) > 1 {
		arch = args[1]
	}
	out, err := r.apps.build(args[0], arch)
	ts.Setenv(args[0], out)
	return err
}

// repository creates a repository: repository NAME [MUTABILITY]
func (r *relay) repository(_ *testscript.TestScript, args []string) error {
	in := &ecr.CreateRepositoryInput{RepositoryName: &args[0]}
	if len(args) > 1 {
		in.ImageTagMutability = ecrtypes.ImageTagMutability(args[1])
	}
	if in.ImageTagMutability == ecrtypes.ImageTagMutabilityImmutableWithExclusion {
		in.ImageTagMutabilityExclusionFilters = []ecrtypes.ImageTagMutabilityExclusionFilter{{
			Filter: aws.String("tasuki-*"), FilterType: ecrtypes.ImageTagMutabilityExclusionFilterTypeWildcard,
		}}
	}
	_, err := r.ecr.CreateRepository(context.Background(), in)
	return err
}

// function creates a function on the image that a file names, and waits until it is
// active: function NAME FILE, where FILE may be stdout
func (r *relay) function(ts *testscript.TestScript, args []string) error {
	return r.create(&lambda.CreateFunctionInput{
		FunctionName: &args[0], PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: aws.String(strings.TrimSpace(ts.ReadFile(args[1])))},
		Architectures: []types.Architecture{types.Architecture(machine())},
	})
}

// zipped creates a function of package type Zip: zipped NAME
func (r *relay) zipped(_ *testscript.TestScript, args []string) error {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	if _, err := w.Create("bootstrap"); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return r.create(&lambda.CreateFunctionInput{
		FunctionName: &args[0], PackageType: types.PackageTypeZip, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &types.FunctionCode{ZipFile: archive.Bytes()},
	})
}

func (r *relay) create(in *lambda.CreateFunctionInput) error {
	in.Role = aws.String("arn:aws:iam::" + localaws.Account + ":role/function")
	if _, err := r.lambda.CreateFunction(context.Background(), in); err != nil {
		return err
	}
	waiter := lambda.NewFunctionActiveV2Waiter(r.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	return waiter.Wait(context.Background(), &lambda.GetFunctionInput{FunctionName: in.FunctionName}, time.Minute)
}

// parameter writes a parameter as somebody would by hand: parameter NAME VALUE [TYPE]
func (r *relay) parameter(_ *testscript.TestScript, args []string) error {
	in := &ssm.PutParameterInput{Name: &args[0], Value: &args[1], Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)}
	if len(args) > 2 {
		in.Type = ssmtypes.ParameterType(args[2])
	}
	_, err := r.ssm.PutParameter(context.Background(), in)
	return err
}

// forget deletes a parameter: forget NAME
func (r *relay) forget(_ *testscript.TestScript, args []string) error {
	_, err := r.ssm.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: &args[0]})
	return err
}

// untag removes a tag, or an image where it is a digest: untag REPOSITORY TAG
func (r *relay) untag(_ *testscript.TestScript, args []string) error {
	id := ecrtypes.ImageIdentifier{ImageTag: &args[1]}
	if strings.HasPrefix(args[1], "sha256:") {
		id = ecrtypes.ImageIdentifier{ImageDigest: &args[1]}
	}
	_, err := r.ecr.BatchDeleteImage(context.Background(), &ecr.BatchDeleteImageInput{RepositoryName: &args[0], ImageIds: []ecrtypes.ImageIdentifier{id}})
	return err
}

// alias points an alias to a version, as somebody would by hand: alias FUNCTION ALIAS VERSION
func (r *relay) alias(_ *testscript.TestScript, args []string) error {
	_, err := r.lambda.UpdateAlias(context.Background(), &lambda.UpdateAliasInput{FunctionName: &args[0], Name: &args[1], FunctionVersion: &args[2]})
	return err
}

// lifecycle sets a repository's lifecycle policy: lifecycle REPOSITORY FILE
func (r *relay) lifecycle(ts *testscript.TestScript, args []string) error {
	_, err := r.ecr.PutLifecyclePolicy(context.Background(), &ecr.PutLifecyclePolicyInput{RepositoryName: &args[0], LifecyclePolicyText: aws.String(ts.ReadFile(args[1]))})
	return err
}

// permit sets a repository's policy: permit REPOSITORY FILE
func (r *relay) permit(ts *testscript.TestScript, args []string) error {
	_, err := r.ecr.SetRepositoryPolicy(context.Background(), &ecr.SetRepositoryPolicyInput{RepositoryName: &args[0], PolicyText: aws.String(ts.ReadFile(args[1]))})
	return err
}

// configure gives a function another entry point, as the infra side would: configure NAME ENTRYPOINT
func (r *relay) configure(_ *testscript.TestScript, args []string) error {
	_, err := r.lambda.UpdateFunctionConfiguration(context.Background(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &args[0], ImageConfig: &types.ImageConfig{EntryPoint: args[1:]}})
	if err != nil {
		return err
	}
	waiter := lambda.NewFunctionUpdatedV2Waiter(r.lambda, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	return waiter.Wait(context.Background(), &lambda.GetFunctionInput{FunctionName: &args[0]}, time.Minute)
}

// invoke invokes a function, whose answer goes to stdout, and its error's kind to
// stderr: invoke NAME
func (r *relay) invoke(ts *testscript.TestScript, args []string) error {
	out, err := r.lambda.Invoke(context.Background(), &lambda.InvokeInput{FunctionName: &args[0], Payload: []byte(`{"item":"tea","quantity":2}`)})
	if err != nil {
		return err
	}
	fmt.Fprintln(ts.Stdout(), string(out.Payload))
	fmt.Fprintln(ts.Stderr(), aws.ToString(out.FunctionError))
	return nil
}

// fault puts faults in force, or none: fault [RULE…]
func (r *relay) fault(_ *testscript.TestScript, args []string) error {
	r.server.Faults().Clear()
	for _, arg := range args {
		rule, err := fault.ParseRule(arg)
		if err != nil {
			return err
		}
		r.server.Faults().Add(rule)
	}
	return nil
}

// calls forgets the calls so far, or counts those of a name: calls reset, calls N NAME
func (r *relay) calls(ts *testscript.TestScript, args []string) error {
	if args[0] == "reset" {
		r.server.Calls().Reset()
		return nil
	}
	if got := r.server.Calls().Count(args[1]); strconv.Itoa(got) != args[0] {
		for _, call := range r.server.Calls().All() {
			ts.Logf("%s %d %s", call.Name(), call.Status, call.Code)
		}
		return fmt.Errorf("%d calls of %s, want %s", got, args[1], args[0])
	}
	return nil
}

// otherArch is an architecture that this machine is not, in Go's words.
func otherArch() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// machine is this machine's architecture, in Lambda's words.
func machine() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
