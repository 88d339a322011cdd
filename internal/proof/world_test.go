package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

const (
	parameter = "/tasuki/orders/image-tag"
	alias     = "live"
)

// world is a local endpoint with the handoff orders on it.
type world struct {
	server *localaws.Server
	ecr    *ecr.Client
	lambda *lambda.Client
	ssm    *ssm.Client
}

// open starts an endpoint on what dir holds; "" is nothing.
func open(t testing.TB, dir string) *world {
	t.Helper()
	server, err := localaws.Start(localaws.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{server: server}
	cfg := *w.config(3)
	w.ecr, w.lambda, w.ssm = ecr.NewFromConfig(cfg), lambda.NewFromConfig(cfg), ssm.NewFromConfig(cfg)
	return w
}

func (w *world) close(t testing.TB) {
	t.Helper()
	if err := w.server.Close(); err != nil {
		t.Error(err)
	}
}

// config reaches the endpoint with the SDK's own retryer, which does not pause for
// long: what it waits for here is a fault that has its end by count, not by time.
func (w *world) config(attempts int) *aws.Config {
	cfg := w.server.Config("proof")
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, 10*time.Millisecond })
	}
	return &cfg
}

// ended is how a command ended.
type ended struct {
	code        int
	out, errors string
}

func (e ended) String() string { return fmt.Sprintf("exit code %d\n%s%s", e.code, e.out, e.errors) }

// impatient has a timeout that a test can wait for, and one retry.
func (w *world) impatient() awsbackend.Options {
	return awsbackend.Options{Config: w.config(2), RetryMaxAttempts: 2, AttemptTimeout: 400 * time.Millisecond}
}

// patient outlasts a machine that is slow at times.
func (w *world) patient() awsbackend.Options {
	return awsbackend.Options{Config: w.config(5), RetryMaxAttempts: 5}
}

// tasuki runs a command, in this process.
func (w *world) tasuki(ctx context.Context, backend awsbackend.Options, args ...string) ended {
	var out, errs localawstest.Log // as the streams of a process, written to by several goroutines
	code := cli.Run(ctx, args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, backend)
	return ended{code, out.String(), errs.String()}
}

// must runs a command that is to succeed.
func (w *world) must(t testing.TB, args ...string) {
	t.Helper()
	if end := w.tasuki(t.Context(), w.patient(), args...); end.code != 0 {
		t.Fatalf("tasuki %s: %s", strings.Join(args, " "), end)
	}
}

// deploy does what the infra side does: the repository, the contract, and, with an
// image that tasuki resolve names, the function.
func (w *world) deploy(t testing.TB, withFunction bool, contract ...string) {
	t.Helper()
	_, err := w.ecr.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{
		RepositoryName: aws.String("orders"), ImageTagMutability: ecrtypes.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []ecrtypes.ImageTagMutabilityExclusionFilter{{
			Filter: aws.String("tasuki-*"), FilterType: ecrtypes.ImageTagMutabilityExclusionFilterTypeWildcard,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.must(t, append([]string{"contract", "orders", "--write", "--repository", "orders", "--function", "orders", "--architecture", machine()}, contract...)...)
	if !withFunction {
		return
	}
	w.must(t, "seed", "orders")
	_, err = w.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), PackageType: types.PackageTypeImage, Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/function"),
		Code:          &types.FunctionCode{ImageUri: aws.String(localaws.Account + ".dkr.ecr." + w.server.Region() + ".amazonaws.com/orders:initial")},
		Architectures: []types.Architecture{types.Architecture(machine())},
		Timeout:       aws.Int32(60), // seconds: Lambda's 3 may be too few on a busy machine
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.settled(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
}

// machine is this machine's architecture, in Lambda's words.
func machine() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// settled returns a function's digest once it is not being changed.
func (w *world) settled(ctx context.Context, name string) (string, error) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out, err := w.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &name})
		if err != nil {
			return "", err
		}
		c := out.Configuration
		switch {
		case c.State == types.StatePending || c.LastUpdateStatus == types.LastUpdateStatusInProgress:
		case c.State != types.StateActive || c.LastUpdateStatus == types.LastUpdateStatusFailed:
			return "", fmt.Errorf("function %s is %s, its update %s: %s%s", name, c.State, c.LastUpdateStatus, aws.ToString(c.StateReason), aws.ToString(c.LastUpdateStatusReason))
		default:
			_, digest, _ := strings.Cut(aws.ToString(out.Code.ResolvedImageUri), "@")
			return digest, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("function %s has been changing for a minute", name)
		}
	}
}

// snapshot is all that the verbs may change, the images in ECR excepted.
type snapshot struct {
	Function string // digest that it runs; "" for no function
	Alias    string // digest that the alias's version runs; "" for no alias
	Tag      string // what the parameter holds; "" for no parameter
	Version  int64  // of the parameter
	Digest   string // of the parameter's record
}

func (w *world) snapshot(ctx context.Context) (s snapshot, err error) {
	var noFunction *types.ResourceNotFoundException
	if s.Function, err = w.settled(ctx, "orders"); err != nil && !errors.As(err, &noFunction) {
		return s, err
	}
	switch to, err := w.lambda.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: aws.String("orders"), Name: aws.String(alias)}); {
	case errors.As(err, &noFunction):
	case err != nil:
		return s, err
	default:
		if s.Alias, err = w.settled(ctx, "orders:"+aws.ToString(to.FunctionVersion)); err != nil {
			return s, err
		}
	}
	pages := ssm.NewGetParameterHistoryPaginator(w.ssm, &ssm.GetParameterHistoryInput{Name: aws.String(parameter)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if missing := (*ssmtypes.ParameterNotFound)(nil); errors.As(err, &missing) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		for _, v := range page.Parameters {
			if v.Version < s.Version {
				continue
			}
			s.Tag, s.Version, s.Digest = aws.ToString(v.Value), v.Version, ""
			if record, err := tasuki.ParseRecord(aws.ToString(v.Description)); err == nil {
				s.Digest = record.Digest.String()
			}
		}
	}
	return s, nil
}

// invoke invokes the function, or its alias, and returns the version that answers.
func (w *world) invoke(ctx context.Context, qualifier string) (string, error) {
	in := &lambda.InvokeInput{FunctionName: aws.String("orders")}
	if qualifier != "" {
		in.Qualifier = &qualifier
	}
	out, err := w.lambda.Invoke(ctx, in)
	if err != nil {
		return "", err
	}
	var answer struct{ Version string }
	if err := json.Unmarshal(out.Payload, &answer); err != nil || out.FunctionError != nil || answer.Version == "" {
		return "", fmt.Errorf("the function answers %s (%s)", out.Payload, aws.ToString(out.FunctionError))
	}
	return answer.Version, nil
}

// duplicate copies an endpoint's folder that nobody writes to. What the endpoint
// writes once and never again is linked.
func duplicate(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case entry.IsDir():
			info, err := entry.Info()
			if err != nil {
				return err
			}
			return os.MkdirAll(target, info.Mode().Perm()) // functions may read theirs
		case entry.Name() == "state.db" || filepath.Base(filepath.Dir(path)) == "logs":
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, content, 0o600)
		case entry.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		return os.Link(path, target)
	})
}
