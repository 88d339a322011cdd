package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/policy"
)

// handoff is what the policies below are about: all of its resources, with a contract.
var handoff = policy.Resources{TagParameter: "tag", Contract: "contract", Repository: "repository", Functions: []string{"function"}}

// aliased is handoff with an alias.
func aliased() policy.Resources {
	r := handoff
	r.Aliased = true
	return r
}

// stacked is handoff with a contract that names a stack.
func stacked() policy.Resources {
	r := handoff
	r.Stack = "stack"
	return r
}

// byFlags is handoff as it is when flags name it, and no contract does.
func byFlags() policy.Resources {
	r := handoff
	r.WithoutContract, r.ArchitectureUnknown, r.RepositoryByName, r.Stack = true, true, true, "stack"
	return r
}

// situation is a state of the relay and a command that is run in it. Together, the
// situations of a policy take every branch of its commands.
type situation struct {
	given   func(*rehearsal)
	command []string
}

func command(args ...string) []string { return args }

// TestPoliciesAreWhatIsCalled runs commands and holds the actions that they called
// against their policy: one that is not allowed fails, and so does one that is allowed
// and was not called in any of the situations.
func TestPoliciesAreWhatIsCalled(t *testing.T) {
	apps := &apps{dir: t.TempDir()}
	deployed := (*rehearsal).deploy
	deployedWithAlias := func(r *rehearsal) { r.deploy("--alias", "live") }
	inECR := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.put("v1") }
	}
	plain := func(r *rehearsal) { deployed(r) }
	released := func(r *rehearsal) { deployed(r); r.release("v1") }
	releasedTwice := func(r *rehearsal) { released(r); r.release("v2") }
	releasedWithAlias := func(r *rehearsal) { deployedWithAlias(r); r.release("v1") }
	releasedTwiceWithAlias := func(r *rehearsal) { releasedWithAlias(r); r.release("v2") }
	registered := func(r *rehearsal) { released(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }
	byHand := func(r *rehearsal) {
		inECR(plain)(r)
		r.must(r.parameter(nil, command("/tasuki/orders/image-tag", "v1")))
	}
	placeholderGone := func(r *rehearsal) { deployed(r); r.must(r.untag(nil, command("orders", "initial"))) }
	noAlias := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.deleteAlias() }
	}
	inStack := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.nameStack(stackID) }
	}
	two := func(r *rehearsal) {
		released(r)
		r.tasuki("contract", "other", "--write", "--repository", "orders", "--function", "orders", "--parameter", "/tasuki/orders/image-tag")
	}
	smoke, flags := []string{"--smoke", "testdata/order.json"}, []string{"--repository", "orders", "--function", "orders"}

	for _, c := range []struct {
		name       string
		allowed    []policy.Statement
		situations []situation
	}{
		{"release", policy.Release(handoff, policy.Options{}), []situation{
			{inECR(plain), command("release", "orders", "--tag", "v1")},
		}},
		{"release in a stack", policy.Release(stacked(), policy.Options{}), []situation{
			{inStack(inECR(plain)), command("release", "orders", "--tag", "v1")},
		}},
		{"release --image", policy.Release(handoff, policy.Options{Push: true}), []situation{
			{plain, command("release", "orders", "--tag", "v1", "--image", "$v1")},
			{inECR(plain), command("release", "orders", "--tag", "v1")},
			{released, command("release", "orders", "--tag", "v2", "--image", "$v2")},
		}},
		{"release --smoke", policy.Release(handoff, policy.Options{Smoke: true}), []situation{
			{inECR(plain), append(command("release", "orders", "--tag", "v1"), smoke...)},
		}},
		{"release --publish", policy.Release(handoff, policy.Options{Publish: true}), []situation{
			{inECR(plain), command("release", "orders", "--tag", "v1", "--publish")},
		}},
		{"release --publish --smoke", policy.Release(handoff, policy.Options{Publish: true, Smoke: true}), []situation{
			{inECR(plain), append(command("release", "orders", "--tag", "v1", "--publish"), smoke...)},
		}},
		{"release of an alias", policy.Release(aliased(), policy.Options{}), []situation{
			{inECR(deployedWithAlias), command("release", "orders", "--tag", "v1")},
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2") }, command("release", "orders", "--tag", "v2")},
		}},
		{"release of an alias, all at once", policy.Release(aliased(), policy.Options{Push: true, Smoke: true, Publish: true}), []situation{
			{deployedWithAlias, append(command("release", "orders", "--tag", "v1", "--image", "$v1"), smoke...)},
			{releasedTwiceWithAlias, append(command("release", "orders", "--tag", "v1"), smoke...)},
		}},
		{"release by flags", policy.Release(byFlags(), policy.Options{}), []situation{
			{inECR(plain), append(command("release", "orders", "--tag", "v1"), flags...)},
		}},
		{"rollback", policy.Rollback(handoff, policy.Options{}), []situation{
			{releasedTwice, command("rollback", "orders")},
		}},
		{"rollback in a stack", policy.Rollback(stacked(), policy.Options{}), []situation{
			{inStack(releasedTwice), command("rollback", "orders")},
		}},
		{"rollback by flags", policy.Rollback(byFlags(), policy.Options{}), []situation{
			{inStack(releasedTwice), append(command("rollback", "orders"), flags...)},
		}},
		{"rollback of an alias", policy.Rollback(aliased(), policy.Options{}), []situation{
			{releasedTwiceWithAlias, command("rollback", "orders")},
			{noAlias(releasedTwiceWithAlias), command("rollback", "orders")},
		}},
		{"register", policy.Register(handoff, policy.Options{}), []situation{
			{inECR(plain), command("register", "orders", "--tag", "v1")},
		}},
		{"register by flags", policy.Register(byFlags(), policy.Options{}), []situation{
			{inECR(plain), append(command("register", "orders", "--tag", "v1"), flags...)},
		}},
		{"reconcile", policy.Reconcile(handoff, policy.Options{}), []situation{
			{registered, command("reconcile", "orders")},
			{byHand, command("reconcile", "orders")},
		}},
		{"reconcile in a stack", policy.Reconcile(stacked(), policy.Options{}), []situation{
			{inStack(registered), command("reconcile", "orders")},
			{inStack(byHand), command("reconcile", "orders")},
		}},
		{"reconcile by flags", policy.Reconcile(byFlags(), policy.Options{}), []situation{
			{registered, append(command("reconcile", "orders"), flags...)},
			{byHand, append(command("reconcile", "orders"), flags...)},
		}},
		{"reconcile of an alias", policy.Reconcile(aliased(), policy.Options{}), []situation{
			{func(r *rehearsal) { releasedTwiceWithAlias(r); r.must(r.alias(nil, command("orders", "live", "1"))) }, command("reconcile", "orders")},
			{noAlias(releasedWithAlias), command("reconcile", "orders")},
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }, command("reconcile", "orders")},
			{func(r *rehearsal) {
				inECR(deployedWithAlias)(r)
				r.must(r.parameter(nil, command("/tasuki/orders/image-tag", "v1")))
			}, command("reconcile", "orders")},
		}},
		{"reconcile and seed", policy.Reconcile(handoff, policy.Options{Seed: true}), []situation{
			{placeholderGone, command("reconcile", "orders")},
			{byHand, command("reconcile", "orders")},
		}},
		{"resolve", policy.Resolve(handoff, policy.Options{}), []situation{
			{released, command("resolve", "orders")},
			{byHand, command("resolve", "orders")},
			{plain, command("resolve", "orders")},
		}},
		{"resolve and seed", policy.Resolve(handoff, policy.Options{Seed: true}), []situation{
			{placeholderGone, command("resolve", "orders")},
			{byHand, command("resolve", "orders")},
		}},
		{"resolve by flags", policy.Resolve(byFlags(), policy.Options{}), []situation{
			{byHand, append(command("resolve", "orders"), flags...)},
		}},
		{"resolve --tag-only", policy.ResolveTagOnly(handoff, policy.Options{}), []situation{
			{released, command("resolve", "orders", "--tag-only")},
		}},
		{"seed", policy.Seed(handoff, policy.Options{}), []situation{
			{placeholderGone, command("seed", "orders")},
			{placeholderGone, command("seed", "orders", "--image", "$v1")},
			{plain, command("seed", "orders")},
		}},
		{"seed by flags", policy.Seed(byFlags(), policy.Options{}), []situation{
			{placeholderGone, append(command("seed", "orders", "--image", "$v1"), flags...)},
			{plain, append(command("seed", "orders"), flags...)},
		}},
		{"status", policy.Status(handoff, policy.Options{}), []situation{
			{released, command("status", "orders")},
			{registered, command("status", "orders")},
		}},
		{"status by flags", policy.Status(byFlags(), policy.Options{}), []situation{
			{registered, append(command("status", "orders"), flags...)},
		}},
		{"status of an alias", policy.Status(aliased(), policy.Options{}), []situation{
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }, command("status", "orders")},
		}},
		{"status of several", policy.Merge(policy.Status(handoff, policy.Options{Several: true}), policy.List("path")), []situation{
			{two, command("status")},
			{two, command("status", "orders", "other")},
			{registered, command("status", "orders")},
		}},
		{"doctor", policy.Doctor(handoff, policy.Options{}), []situation{
			{releasedTwice, command("doctor", "orders")},
			{registered, command("doctor", "orders")},
		}},
		{"doctor --deep", policy.Doctor(handoff, policy.Options{Deep: true}), []situation{
			{releasedTwice, command("doctor", "orders", "--deep")},
		}},
		{"doctor by flags", policy.Doctor(byFlags(), policy.Options{}), []situation{
			{registered, append(command("doctor", "orders"), flags...)},
		}},
		{"doctor of an alias", policy.Doctor(aliased(), policy.Options{}), []situation{
			{releasedTwiceWithAlias, command("doctor", "orders")},
		}},
		{"history", policy.History(handoff, policy.Options{}), []situation{
			{released, command("history", "orders")},
		}},
		{"history by flags", policy.History(byFlags(), policy.Options{}), []situation{
			{released, append(command("history", "orders"), flags...)},
		}},
		{"contract", policy.Contract(handoff, policy.Options{}), []situation{
			{plain, command("contract", "orders")},
		}},
		{"contract --write", policy.WriteContract(handoff, policy.Options{}), []situation{
			{plain, command("contract", "orders", "--write", "--alias", "live")},
		}},
		{"contract --write by flags", policy.WriteContract(byFlags(), policy.Options{}), []situation{
			{plain, append(command("contract", "orders", "--write"), flags...)},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			called := map[string]bool{}
			for _, s := range c.situations {
				maps.Copy(called, rehearse(t, apps, s))
			}
			allowed := map[string]bool{}
			for _, statement := range c.allowed {
				for _, action := range statement.Actions {
					allowed[action] = true
				}
			}
			for _, action := range slices.Sorted(maps.Keys(called)) {
				if !allowed[action] {
					t.Errorf("%s is called, and not allowed", action)
				}
			}
			for _, action := range slices.Sorted(maps.Keys(allowed)) {
				if !called[action] {
					t.Errorf("%s is allowed, and not called", action)
				}
			}
		})
	}
}

// rehearse returns the actions that a situation's command called.
func rehearse(t *testing.T, apps *apps, s situation) map[string]bool {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := &rehearsal{newRelay(server, apps), t}
	s.given(r)
	server.Calls().Reset()
	r.tasuki(s.command...)
	actions := map[string]bool{}
	for _, call := range server.Calls().All() {
		called := call.Actions()
		if len(called) == 0 && call.Name() != "sts:GetCallerIdentity" { // which everybody may call
			t.Errorf("it is not known which action %s is", call.Name())
		}
		for _, action := range called {
			actions[action] = true
		}
	}
	if len(actions) == 0 {
		t.Errorf("%v called nothing", s.command)
	}
	return actions
}

// rehearsal is a relay on an endpoint of its own, on which commands run in this process.
type rehearsal struct {
	*relay
	t *testing.T
}

func (r *rehearsal) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// tasuki runs a command, which must end well or find something, and returns its result.
// An argument $VERSION stands for the example application's image.
func (r *rehearsal) tasuki(args ...string) []byte {
	r.t.Helper()
	args = append(slices.Clone(args), "--output", "json")
	for i, arg := range args {
		if version, is := strings.CutPrefix(arg, "$"); is {
			args[i] = r.image(version)
		}
	}
	var out, errs bytes.Buffer
	code := cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, awsbackend.Options{Config: &aws.Config{
		Region: r.server.Region(), BaseEndpoint: aws.String(r.server.URL()), Credentials: credentials.NewStaticCredentialsProvider("tasuki", "tasuki", ""),
	}})
	if code != 0 && code != 3 {
		r.t.Fatalf("tasuki %v: exit code %d\n%s%s", args, code, out.String(), errs.String())
	}
	return out.Bytes()
}

// image names the example application's image as a source.
func (r *rehearsal) image(version string) string {
	out, err := r.apps.build(version, runtime.GOARCH)
	r.must(err)
	return "oci:" + out
}

// deploy does what the infra side does: repository, placeholder, function, contract.
func (r *rehearsal) deploy(contract ...string) {
	r.must(r.repository(nil, command("orders", "IMMUTABLE_WITH_EXCLUSION")))
	var seeded struct{ ImageURI string }
	r.must(json.Unmarshal(r.tasuki("seed", "orders", "--architecture", machine(), "--repository", "orders", "--function", "orders"), &seeded))
	r.must(r.create(&lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &seeded.ImageURI},
		Architectures: []types.Architecture{types.Architecture(machine())},
	}))
	r.tasuki(append(command("contract", "orders", "--write", "--repository", "orders", "--function", "orders"), contract...)...)
}

// put puts the example application into the repository, as a pipeline of its own would.
func (r *rehearsal) put(version string) {
	r.tasuki("seed", "orders", "--image", "$"+version, "--placeholder-tag", version)
}

func (r *rehearsal) release(version string) {
	r.tasuki("release", "orders", "--tag", version, "--image", "$"+version)
}

func (r *rehearsal) deleteAlias() {
	_, err := r.lambda.DeleteAlias(context.Background(), &lambda.DeleteAliasInput{FunctionName: aws.String("orders"), Name: aws.String("live")})
	r.must(err)
}
