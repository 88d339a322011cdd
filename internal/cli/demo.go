package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws"
)

type demoCommand struct {
	App string `default:"examples/app" placeholder:"DIR" help:"The example application, whose Makefile builds the image (needs Go and make)."`
}

type demoResult struct {
	Steps   []demoStep `json:"steps"`
	Seconds float64    `json:"seconds"`
}

type demoStep struct {
	Side  string `json:"side"`
	Title string `json:"title"`
}

// demo is a run of the relay.
type demo struct {
	session  *session
	server   *localaws.Server
	program  string // this program
	app      string
	work     string // for images
	narrator io.Writer
	lambda   *lambda.Client
	ecr      *ecr.Client
	ssm      *ssm.Client
	result   demoResult
}

func (c *demoCommand) Run(s *session) error {
	if _, err := os.Stat(filepath.Join(c.App, "Makefile")); err != nil {
		return usage("there is no application in %s: run this in a checkout of Tasuki, or give --app DIR", c.App)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tasuki-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		return err
	}
	d := &demo{session: s, server: server, program: program, app: c.App, work: work, narrator: s.streams.Out}
	if s.format != "text" {
		d.narrator = s.streams.Err
	}
	cfg := server.Config("local")
	d.lambda, d.ecr, d.ssm = lambda.NewFromConfig(cfg), ecr.NewFromConfig(cfg), ssm.NewFromConfig(cfg)
	started := time.Now()
	err = errors.Join(d.run(s.ctx), server.Close())
	if err != nil {
		return err
	}
	d.result.Seconds = time.Since(started).Seconds()
	fmt.Fprintf(d.narrator, "\nThe relay ran in %.1f s, on this machine alone.\n", d.result.Seconds)
	if s.format == "text" {
		return nil
	}
	return s.result(d.result, nil)
}

func (d *demo) run(ctx context.Context) error {
	fmt.Fprintf(d.narrator, "The relay of one image tag, on a local endpoint (%s): no AWS account, no Docker.\n", d.server.URL())
	for _, chapter := range []func(context.Context) error{d.firstDeploy, d.firstRelease, d.deployAgain, d.secondRelease, d.goBack, d.lookBack, d.accident} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) firstDeploy(ctx context.Context) error {
	d.step("infra", "the first deploy: there is no image and no tag parameter")
	d.call("ecr create-repository --repository-name orders --image-tag-mutability IMMUTABLE_WITH_EXCLUSION \\")
	fmt.Fprintln(d.narrator, "      --image-tag-mutability-exclusion-filters filterType=WILDCARD,filter='tasuki-*'")
	_, err := d.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{
		RepositoryName: aws.String("orders"), ImageTagMutability: ecrtypes.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []ecrtypes.ImageTagMutabilityExclusionFilter{{Filter: aws.String("tasuki-*"), FilterType: ecrtypes.ImageTagMutabilityExclusionFilterTypeWildcard}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(d.narrator, "    (resolve reads the parameter for 5 s before it believes that it is missing)")
	uri, err := d.tasuki(ctx, "resolve", "orders", "--repository", "orders", "--function", "orders", "--architecture", architecture())
	if err != nil {
		return err
	}
	uri = strings.TrimSpace(uri)
	role := "arn:aws:iam::" + localaws.Account + ":role/orders"
	d.call("lambda create-function --function-name orders --package-type Image --code ImageUri=" + uri + " \\")
	fmt.Fprintf(d.narrator, "      --role %s --architectures %s\n", role, architecture())
	_, err = d.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: aws.String(uri)},
		Role: aws.String(role), Architectures: []types.Architecture{types.Architecture(architecture())},
	})
	if err != nil {
		return err
	}
	waiter := lambda.NewFunctionActiveV2Waiter(d.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("orders")}, time.Minute); err != nil {
		return err
	}
	d.step("infra", "tell the app side where everything is")
	if _, err := d.tasuki(ctx, "contract", "orders", "--write", "--repository", "orders", "--function", "orders"); err != nil {
		return err
	}
	d.step("anyone", "invoke the function: it exists, and says that there has been no release")
	answer, failure, err := d.invoke(ctx)
	if err != nil {
		return err
	}
	if failure == "" || !strings.Contains(answer, "Tasuki.NoReleaseYet") {
		return fmt.Errorf("the placeholder answered %s, which is not Tasuki.NoReleaseYet", answer)
	}
	return nil
}

func (d *demo) firstRelease(ctx context.Context) error {
	d.step("app", "build the application's image, and release it as v1")
	return d.release(ctx, "v1")
}

// release builds the application as a version, releases it, and sees it answer.
func (d *demo) release(ctx context.Context, version string) error {
	layout := filepath.Join(d.work, version)
	if err := d.make(ctx, "image", "VERSION="+version, "OUT="+layout); err != nil {
		return err
	}
	if _, err := d.tasuki(ctx, "release", "orders", "--image", "oci:"+layout, "--tag", version); err != nil {
		return err
	}
	return d.answers(ctx, version)
}

// answers sees that the function answers as a version.
func (d *demo) answers(ctx context.Context, version string) error {
	answer, failure, err := d.invoke(ctx)
	if err != nil {
		return err
	}
	if failure != "" || !strings.Contains(answer, version) {
		return fmt.Errorf("the function should run %s, and answered %s", version, answer)
	}
	return nil
}

func (d *demo) deployAgain(ctx context.Context) error {
	d.step("infra", "deploy again: the released image is resolved, and the function is left alone")
	before, err := d.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("orders")})
	if err != nil {
		return err
	}
	if _, err := d.tasuki(ctx, "resolve", "orders"); err != nil {
		return err
	}
	if _, err := d.tasuki(ctx, "reconcile", "orders"); err != nil {
		return err
	}
	after, err := d.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("orders")})
	if err != nil {
		return err
	}
	if was, is := aws.ToString(before.Configuration.RevisionId), aws.ToString(after.Configuration.RevisionId); was != is {
		return fmt.Errorf("the deploy changed the function from revision %s to %s", was, is)
	}
	return nil
}

func (d *demo) secondRelease(ctx context.Context) error {
	d.step("app", "a second release, v2")
	return d.release(ctx, "v2")
}

func (d *demo) goBack(ctx context.Context) error {
	d.step("anyone", "v2 was a mistake: go back")
	if _, err := d.tasuki(ctx, "rollback", "orders"); err != nil {
		return err
	}
	return d.answers(ctx, "v1")
}

func (d *demo) accident(ctx context.Context) error {
	d.step("infra", "somebody deletes the tag parameter, and the next deploy comes: no placeholder in production")
	d.call("ssm delete-parameter --name /tasuki/orders/image-tag")
	if _, err := d.ssm.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String("/tasuki/orders/image-tag")}); err != nil {
		return err
	}
	if _, err := d.tasuki(ctx, "resolve", "orders"); err != nil {
		return err
	}
	if err := d.answers(ctx, "v1"); err != nil {
		return err
	}
	_, err := d.tasuki(ctx, "register", "orders", "--tag", "v1")
	return err
}

func (d *demo) lookBack(ctx context.Context) error {
	d.step("anyone", "how does it stand, and what happened?")
	if _, err := d.tasuki(ctx, "status", "orders"); err != nil {
		return err
	}
	_, err := d.tasuki(ctx, "history", "orders")
	return err
}

// step begins a chapter of the narration.
func (d *demo) step(side, title string) {
	d.result.Steps = append(d.result.Steps, demoStep{side, title})
	fmt.Fprintf(d.narrator, "\n%d. %s: %s\n", len(d.result.Steps), side, title)
}

// call narrates what is done through AWS's API, as the AWS CLI would have it.
func (d *demo) call(command string) { fmt.Fprintf(d.narrator, "  $ aws %s\n", command) }

// tasuki runs this program as a user would, and returns what it printed on stdout.
func (d *demo) tasuki(ctx context.Context, args ...string) (string, error) {
	fmt.Fprintf(d.narrator, "  $ tasuki %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Env = d.server.Environ(os.Environ())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, d.indent()), d.indent()
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("tasuki %s: %w", args[0], err)
	}
	return out.String(), nil
}

func (d *demo) make(ctx context.Context, args ...string) error {
	fmt.Fprintf(d.narrator, "  $ make -C %s %s\n", d.app, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "make", append([]string{"--no-print-directory", "-C", d.app}, args...)...)
	cmd.Stdout, cmd.Stderr = d.indent(), d.indent()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make %s: %w", args[0], err)
	}
	return nil
}

// invoke invokes the function, and narrates its answer.
func (d *demo) invoke(ctx context.Context) (answer, failure string, err error) {
	const payload = `{"item":"tea","quantity":2}`
	d.call("lambda invoke --function-name orders --payload fileb://order.json answer.json; cat answer.json")
	fmt.Fprintf(d.narrator, "    (order.json: %s)\n", payload)
	out, err := d.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("orders"), Payload: []byte(payload)})
	if err != nil {
		return "", "", err
	}
	failure = aws.ToString(out.FunctionError)
	var compact bytes.Buffer
	if err := json.Compact(&compact, out.Payload); err != nil {
		return "", "", fmt.Errorf("the function's answer is not JSON: %w", err)
	}
	if failure != "" {
		fmt.Fprintf(d.narrator, "    FunctionError: %s\n", failure)
	}
	fmt.Fprintf(d.narrator, "    %s\n", compact.String())
	return compact.String(), failure, nil
}

// indent sets off what programs print from the narration.
func (d *demo) indent() io.Writer { return &indenter{to: d.narrator} }

type indenter struct {
	to     io.Writer
	within bool // a line has begun
}

func (i *indenter) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if !i.within {
			fmt.Fprint(i.to, "    ")
		}
		if _, err := i.to.Write(line); err != nil {
			return 0, err
		}
		i.within = !bytes.HasSuffix(line, []byte("\n"))
	}
	return len(b), nil
}

// architecture is this machine's, in Lambda's words.
func architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
