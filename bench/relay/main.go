// Command relay measures the relay on the local endpoint: what a release costs in
// calls, round trips and seconds, beside the AWS CLI where it is installed. It
// prints a table in Markdown.
//
//	go run ./bench/relay -tasuki bin/tasuki -image oci:DIR
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/placeholder"
)

// latency is what each call is made to take, about a round trip to a region of AWS
// and its answer.
const latency = 50 * time.Millisecond

func main() {
	sandbox.Main()
	program := flag.String("tasuki", "bin/tasuki", "the program to measure")
	image := flag.String("image", "", "an image for this machine, as tasuki release takes it")
	flag.Parse()
	b := &bench{program: *program, image: *image}
	fmt.Printf("Measured %s on %d cores, %s/%s, %s.\n\n| what | figure |\n|---|---|\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, measure := range []func(context.Context) error{b.binary, b.placeholder, b.release, b.reads, b.many, b.unreleased} {
		if err := measure(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

type bench struct{ program, image string }

func row(what, format string, args ...any) {
	fmt.Printf("| %s | %s |\n", what, fmt.Sprintf(format, args...))
}

// median runs f n times and returns the median of its durations.
func median(n int, f func() error) (time.Duration, error) {
	var took []time.Duration
	for range n {
		started := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	return took[n/2], nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func (b *bench) binary(context.Context) error {
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	row("`tasuki`, size", "%.1f MB", float64(info.Size())/1e6)
	took, err := median(21, func() error { return exec.Command(b.program, "version").Run() })
	row("`tasuki version`, wall, median of 21", "%s", ms(took))
	return err
}

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
	cfg := aws.Config{Region: server.Region(), BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", "")}
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

func (e *endpoint) invoke(ctx context.Context, name string) error {
	_, err := e.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &name, Payload: []byte("{}")})
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

// many measures commands over many handoffs.
func (b *bench) many(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.seed(ctx); err != nil {
		return err
	}
	if err := e.function(ctx, "orders", orders(e.Region())+":initial"); err != nil {
		return err
	}
	if _, err := e.tasuki("release", "orders", "--repository", "orders", "--function", "orders", "--image", b.image, "--tag", "v1"); err != nil {
		return err
	}
	history, err := e.ssm.GetParameterHistory(ctx, &ssm.GetParameterHistoryInput{Name: aws.String("/tasuki/orders/image-tag")})
	if err != nil {
		return err
	}
	made := 0
	for _, n := range []int{1, 100, 1000} {
		if err := e.handoffs(ctx, made, n, &history.Parameters[0]); err != nil {
			return err
		}
		made = n
		if n == 100 {
			if err := e.tags(n); err != nil {
				return err
			}
		}
		if err := e.status(n, "released"); err != nil {
			return err
		}
	}
	return nil
}

// unreleased measures the status of many handoffs that have had no release: nothing is
// to be read of their parameters but the values.
func (b *bench) unreleased(ctx context.Context) error {
	e, err := b.start(latency)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.seed(ctx); err != nil {
		return err
	}
	const n = 1000
	if err := e.handoffs(ctx, 0, n, &ssmtypes.ParameterHistory{Value: aws.String("initial")}); err != nil {
		return err
	}
	return e.status(n, "on the placeholder")
}

// status measures the status of all handoffs.
func (e *endpoint) status(n int, state string) error {
	e.Calls().Reset()
	took, memory, err := e.measured("status")
	if err != nil {
		return err
	}
	calls := e.Calls().All()
	least, reason := floor(calls)
	row(fmt.Sprintf("`tasuki status` of %d handoffs, %s, %s a call", n, state, latency), "%.1f s, %d calls (%s), %d MB peak memory", took.Seconds(), len(calls), names(calls), memory>>20)
	row("its floor by AWS's limits", "%.1f s: %s", least.Seconds(), reason)
	return nil
}

// limit is what AWS gives an account in a region of some calls.
type limit struct {
	what      string
	perSecond int
	of        func(call localaws.Call) bool
}

// limits returns AWS's default limits that the relay can reach. They are AWS's, not
// what the program was made to keep to: docs/adr/0011-calls-are-paced.md has the sources.
func limits() []limit {
	return []limit{
		{"reads of SSM", 40, func(c localaws.Call) bool { return c.Service == "ssm" && c.Name() != "ssm:PutParameter" }},
		{"ssm:PutParameter", 3, func(c localaws.Call) bool { return c.Name() == "ssm:PutParameter" }},
		{"lambda:GetFunction", 100, func(c localaws.Call) bool { return c.Name() == "lambda:GetFunction" }},
		{"other control calls of Lambda", 15, func(c localaws.Call) bool {
			return c.Service == "lambda" && c.Name() != "lambda:GetFunction" && c.Name() != "lambda:Invoke"
		}},
	}
}

// floor returns the least time in which AWS answers so many calls, and which limit sets it.
func floor(calls []localaws.Call) (least time.Duration, reason string) {
	for _, l := range limits() {
		n := 0
		for _, call := range calls {
			if l.of(call) {
				n++
			}
		}
		if t := time.Duration(n) * time.Second / time.Duration(l.perSecond); t > least {
			least, reason = t, fmt.Sprintf("%d × %s, of which AWS gives %d a second", n, l.what, l.perSecond)
		}
	}
	return least, reason
}

// orders is the repository of all the measured handoffs.
func orders(region string) string {
	return localaws.Account + ".dkr.ecr." + region + ".amazonaws.com/orders"
}

// handoffs makes handoffs up to a number, whose parameters hold a value, with its
// record, and whose functions run the image of that tag.
func (e *endpoint) handoffs(ctx context.Context, from, to int, version *ssmtypes.ParameterHistory) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := from; i < to; i++ {
		group.Go(func() error {
			name := fmt.Sprintf("many-%d", i)
			if err := e.function(ctx, name, orders(e.Region())+":"+*version.Value); err != nil {
				return err
			}
			contract := fmt.Sprintf(`{"version":1,"handoff":"many/%d","account":%q,"region":%q,"repository":%q,"tagParameter":"/tasuki/many/%d/image-tag","placeholderTag":"initial","functions":[{"name":%q,"architecture":%q}]}`,
				i, localaws.Account, e.Region(), orders(e.Region()), i, name, machine())
			for parameter, in := range map[string]ssm.PutParameterInput{"contract": {Value: &contract}, "image-tag": {Value: version.Value, Description: version.Description}} {
				in.Name, in.Type = aws.String(fmt.Sprintf("/tasuki/many/%d/%s", i, parameter)), ssmtypes.ParameterTypeString
				if _, err := e.ssm.PutParameter(ctx, &in); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// tags reads the tags of many handoffs, beside one call of the AWS CLI each. The
// CLI's time is that of ten calls, times as many as would be needed.
func (e *endpoint) tags(n int) error {
	args := []string{"resolve", "--tag-only"}
	for i := range n {
		args = append(args, fmt.Sprintf("many/%d", i))
	}
	e.Calls().Reset()
	took, _, err := e.measured(args...)
	if err != nil {
		return err
	}
	calls := e.Calls().Count()
	if _, err := exec.LookPath("aws"); err != nil {
		row(fmt.Sprintf("`tasuki resolve --tag-only` of %d handoffs", n), "%s, %d calls", ms(took), calls)
		return nil
	}
	const sample = 10
	theirs, err := median(1, func() error {
		for i := range sample {
			cmd := exec.Command("aws", "ssm", "get-parameter", "--name", fmt.Sprintf("/tasuki/many/%d/image-tag", i))
			cmd.Env = e.Environ(os.Environ())
			if err := cmd.Run(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	theirs = theirs * time.Duration(n) / sample
	row(fmt.Sprintf("`tasuki resolve --tag-only` of %d handoffs, beside `aws ssm get-parameter` for each (measured on %d)", n, sample),
		"%s, %d calls; %s: %.0f × faster", ms(took), calls, ms(theirs), float64(theirs)/float64(took))
	return nil
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
