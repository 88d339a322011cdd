package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws"
)

// endpoint is a local endpoint with clients of it.
type endpoint struct {
	*localaws.Server
	b      *bench
	ecr    *ecr.Client
	lambda *lambda.Client
	ssm    *ssm.Client
}

func (b *bench) start(latency time.Duration) (*endpoint, error) {
	server, err := localaws.Start(localaws.Options{Latency: latency})
	if err != nil {
		return nil, err
	}
	cfg := server.Config("bench")
	return &endpoint{server, b, ecr.NewFromConfig(cfg), lambda.NewFromConfig(cfg), ssm.NewFromConfig(cfg)}, nil
}

// environ returns the environment of the program: it keeps to AWS's limits, whatever
// this process's environment says.
func (e *endpoint) environ() []string { return append(e.Environ(os.Environ()), "TASUKI_PACE=true") }

// tasuki runs the program against the endpoint.
func (e *endpoint) tasuki(args ...string) (string, error) {
	cmd := exec.Command(e.b.program, args...)
	cmd.Env = e.environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("tasuki %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// seed makes a repository that holds the placeholder.
func (e *endpoint) seed(ctx context.Context) error {
	if _, err := e.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")}); err != nil {
		return err
	}
	_, err := e.tasuki("seed", "orders", "--repository", "orders", "--function", "orders", "--architecture", string(machine()))
	return err
}

func (e *endpoint) function(ctx context.Context, name, uri string) error {
	_, err := e.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: &name, PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &uri},
		Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/bench"), Architectures: []types.Architecture{machine()},
	})
	if err != nil {
		return err
	}
	waiter := lambda.NewFunctionActiveV2Waiter(e.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	return waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: &name}, time.Minute)
}

func machine() types.Architecture {
	if runtime.GOARCH == "arm64" {
		return types.ArchitectureArm64
	}
	return types.ArchitectureX8664
}

func (e *endpoint) invoke(ctx context.Context, name string) error {
	_, err := e.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte("{}")})
	return err
}

// measured runs the program, and returns how long it took and the most memory that
// it had, in bytes.
func (e *endpoint) measured(args ...string) (time.Duration, int64, error) {
	cmd := exec.Command(e.b.program, args...)
	cmd.Env = e.environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	started := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("tasuki %s: %w: %s", args[0], err, stderr.String())
	}
	took := time.Since(started)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return took, 0, nil
	}
	return took, usage.Maxrss << 10, nil
}
