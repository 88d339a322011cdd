package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/placeholder"
)

func (b *bench) placeholder(ctx context.Context) error {
	name, err := tasuki.ParseHandoffName("orders")
	if err != nil {
		return err
	}
	for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
		image, err := placeholder.Build(name, arch)
		if err != nil {
			return err
		}
		row("placeholder, "+string(arch)+", compressed", "%d bytes", len(image.Layer)+len(image.Config)+len(image.Manifest.Bytes))
	}
	e, err := b.start(0)
	if err != nil {
		return err
	}
	defer e.Close()
	if _, err := e.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")}); err != nil {
		return err
	}
	e.Calls().Reset()
	if _, err := e.tasuki("seed", "orders", "--repository", "orders", "--function", "orders", "--architecture", string(machine())); err != nil {
		return err
	}
	pushed := e.Calls().Count("ecr:GetAuthorizationToken")
	for _, call := range e.Calls().All() {
		if call.Service == "registry" {
			pushed++
		}
	}
	row("placeholder pushed into ECR, HTTP requests, the token's included", "%d", pushed)
	uri := orders(e.Region()) + ":initial"
	var cold []time.Duration
	for i := range 11 {
		function := fmt.Sprintf("cold-%d", i)
		if err := e.function(ctx, function, uri); err != nil {
			return err
		}
		started := time.Now()
		if err := e.invoke(ctx, function); err != nil {
			return err
		}
		cold = append(cold, time.Since(started))
	}
	slices.Sort(cold)
	row("placeholder, cold invocation, median of 11", "%s", ms(cold[len(cold)/2]))
	warm, err := median(101, func() error { return e.invoke(ctx, "cold-0") })
	row("placeholder, warm invocation, median of 101", "%s", ms(warm))
	return err
}

// release measures the release of an image that ECR has already.
func (b *bench) release(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if _, err := e.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String("orders")}); err != nil {
		return err
	}
	uri, err := e.tasuki("resolve", "orders", "--repository", "orders", "--function", "orders", "--architecture", string(machine()))
	if err != nil {
		return err
	}
	if err := e.function(ctx, "orders", uri); err != nil {
		return err
	}
	if _, err := e.tasuki("contract", "orders", "--write", "--repository", "orders", "--function", "orders"); err != nil {
		return err
	}
	// The first release brings the image; after the second, the first one's tag is
	// there to be released, and is not what is registered.
	for _, tag := range []string{"v1", "v2"} {
		if _, err := e.tasuki("release", "orders", "--image", b.image, "--tag", tag); err != nil {
			return err
		}
	}
	if err := e.backToThePlaceholder(ctx, uri); err != nil {
		return err
	}
	e.Calls().Reset()
	started := time.Now()
	if _, err := e.tasuki("release", "orders", "--tag", "v1"); err != nil {
		return err
	}
	wall := time.Since(started)
	calls := e.Calls().All()
	row(fmt.Sprintf("`tasuki release` of an image that is in ECR, %s a call, wall", latency), "%s", ms(wall))
	row("of that, Lambda's own update", "%s", ms(updating(calls)))
	row("API calls", "%d: %s", len(calls), names(calls))
	row("longest chain of calls that wait for one another", "%d", chain(calls))
	return nil
}

// backToThePlaceholder makes the function run something else than the next release.
func (e *endpoint) backToThePlaceholder(ctx context.Context, uri string) error {
	if _, err := e.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: aws.String("orders"), ImageUri: &uri, Architectures: []types.Architecture{machine()}}); err != nil {
		return err
	}
	waiter := lambda.NewFunctionUpdatedV2Waiter(e.lambda, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 20 * time.Millisecond })
	return waiter.Wait(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("orders")}, time.Minute)
}

// updating returns the time from the update's answer to the first answer that says
// that it is done: the call before the parameter is written.
func updating(calls []localaws.Call) time.Duration {
	var from, to time.Time
	for _, call := range calls {
		switch call.Name() {
		case "lambda:UpdateFunctionCode":
			from = call.Started.Add(call.Took)
		case "ssm:PutParameter":
			to = call.Started
		}
	}
	return to.Sub(from)
}

// names counts the calls by name.
func names(calls []localaws.Call) string {
	counts := map[string]int{}
	var order []string
	for _, call := range calls {
		if counts[call.Name()] == 0 {
			order = append(order, call.Name())
		}
		counts[call.Name()]++
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%d × %s", counts[name], name)
	}
	return strings.Join(order, ", ")
}

// chain returns the length of the longest chain of calls of which each began after
// the one before it was answered.
func chain(calls []localaws.Call) int {
	slices.SortFunc(calls, func(a, b localaws.Call) int { return cmp.Compare(a.Started.UnixNano(), b.Started.UnixNano()) })
	lengths := make([]int, len(calls))
	longest := 0
	for i, call := range calls {
		lengths[i] = 1
		for j, earlier := range calls[:i] {
			if !earlier.Started.Add(earlier.Took).After(call.Started) {
				lengths[i] = max(lengths[i], lengths[j]+1)
			}
		}
		longest = max(longest, lengths[i])
	}
	return longest
}

// reads measures what resolves and statuses cost, beside the AWS CLI.
func (b *bench) reads(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.seed(ctx); err != nil {
		return err
	}
	uri := orders(e.Region()) + ":initial"
	if err := e.function(ctx, "orders", uri); err != nil {
		return err
	}
	if _, err := e.tasuki("contract", "orders", "--write", "--repository", "orders", "--function", "orders"); err != nil {
		return err
	}
	if _, err := e.tasuki("release", "orders", "--image", b.image, "--tag", "v1"); err != nil {
		return err
	}
	for _, command := range []string{"resolve", "status", "reconcile"} {
		e.Calls().Reset()
		took, err := median(1, func() error { _, err := e.tasuki(command, "orders"); return err })
		if err != nil {
			return err
		}
		calls := e.Calls().All()
		row(fmt.Sprintf("`tasuki %s`, %s a call, wall", command, latency), "%s: %d calls, longest chain %d", ms(took), len(calls), chain(calls))
	}
	return e.besideTheCLI(ctx)
}

// besideTheCLI reads one parameter with each program.
func (e *endpoint) besideTheCLI(ctx context.Context) error {
	if _, err := exec.LookPath("aws"); err != nil {
		row("`aws ssm get-parameter`, for comparison", "not measured: the AWS CLI is not installed")
		return nil
	}
	if _, err := e.ssm.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("lambdaImageTag"), Value: aws.String("v1"), Type: ssmtypes.ParameterTypeString}); err != nil {
		return err
	}
	var ours, theirs []time.Duration
	for range 5 { // in turn, so that both see the machine as it is
		took, err := median(1, func() error { _, err := e.tasuki("resolve", "orders"); return err })
		if err != nil {
			return err
		}
		ours = append(ours, took)
		took, err = median(1, func() error {
			cmd := exec.Command("aws", "ssm", "get-parameter", "--name", "lambdaImageTag")
			cmd.Env = e.Environ(os.Environ())
			return cmd.Run()
		})
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	row("`tasuki resolve` beside one `aws ssm get-parameter`, medians of 5 in turn", "%s, %s", ms(ours[2]), ms(theirs[2]))
	return nil
}
