package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/iam"
)

// situation is a state of the relay and a command that is run in it. Together, the
// situations of a policy take every branch of its commands.
type situation struct {
	given   func(*rehearsal)
	command []string
}

func command(args ...string) []string { return args }

// policed is a policy of tasuki policy, and the commands that it is for.
type policed struct {
	name       string
	policy     []string // arguments of tasuki policy, but for the handoff
	situations []situation
	// What the policy allows that none of the situations needs, as in "lambda:GetAlias
	// Versions", and the statements that all of them do without, with a warning.
	idle, spare []string
	handoffs    []string // that the policy is printed for; nil for orders
}

// bothNames returns the actions on aliases, which policies allow on the functions and on
// what lies under them: AWS does not say which of the two it asks about, and the local
// endpoint asks about the first.
func bothNames(verbs ...string) (idle []string) {
	for _, verb := range verbs {
		idle = append(idle, "lambda:"+verb+"Alias Versions")
	}
	return idle
}

// TestPoliciesAreWhatIsNeeded runs commands with the credentials of a role that has the
// policy which tasuki policy prints for them, on an endpoint that enforces it. What the
// policy allows on a resource and no situation needs there fails, but for what is named;
// and so does a statement without which every situation goes well.
func TestPoliciesAreWhatIsNeeded(t *testing.T) {
	apps := &apps{dir: t.TempDir()}
	unregistered := func(r *rehearsal) { r.deploy() } // it takes five seconds to be sure of that
	none := func(r *rehearsal) { r.must(r.parameter(nil, command("/tasuki/orders/image-tag", "initial"))) }
	deployed := func(r *rehearsal) { r.deploy(); none(r) }
	deployedWithAlias := func(r *rehearsal) { r.deploy("--alias", "live"); none(r) }
	inECR := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.put("v1") }
	}
	released := func(r *rehearsal) { deployed(r); r.release("v1") }
	releasedTwice := func(r *rehearsal) { released(r); r.release("v2") }
	releasedWithAlias := func(r *rehearsal) { deployedWithAlias(r); r.release("v1") }
	releasedTwiceWithAlias := func(r *rehearsal) { releasedWithAlias(r); r.release("v2") }
	registered := func(r *rehearsal) { released(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }
	byHand := func(r *rehearsal) {
		inECR(deployed)(r)
		r.must(r.parameter(nil, command("/tasuki/orders/image-tag", "v1")))
	}
	placeholderGone := func(r *rehearsal) { deployed(r); r.must(r.untag(nil, command("orders", "initial"))) }
	noAlias := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.deleteAlias() }
	}
	inStack := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) { given(r); r.nameStack(stackID) }
	}
	two := func(given func(*rehearsal)) func(*rehearsal) {
		return func(r *rehearsal) {
			given(r)
			r.tasuki("contract", "other", "--write", "--repository", "orders", "--function", "orders", "--parameter", "/tasuki/orders/image-tag")
		}
	}
	smoke, flags := []string{"--smoke", "testdata/order.json"}, []string{"--repository", "orders", "--function", "orders"}

	for _, c := range []policed{
		{name: "release", policy: command("app", "--only", "release"), situations: []situation{
			{inECR(deployed), command("release", "orders", "--tag", "v1")},
			{inECR(unregistered), command("release", "orders", "--tag", "v1")},
		}},
		{name: "release in a stack", policy: command("app", "--only", "release"), spare: command("Stack"), situations: []situation{
			{inStack(inECR(deployed)), command("release", "orders", "--tag", "v1")},
		}},
		{name: "release --image", policy: command("app", "--only", "release", "--image"), situations: []situation{
			{deployed, command("release", "orders", "--tag", "v1", "--image", "$v1")},
			{inECR(deployed), command("release", "orders", "--tag", "v1")},
			{released, command("release", "orders", "--tag", "v2", "--image", "$v2")},
		}},
		{name: "release --smoke", policy: command("app", "--only", "release", "--smoke"), situations: []situation{
			{inECR(deployed), append(command("release", "orders", "--tag", "v1"), smoke...)},
		}},
		{name: "release --publish", policy: command("app", "--only", "release", "--publish"), situations: []situation{
			{inECR(deployed), command("release", "orders", "--tag", "v1", "--publish")},
		}},
		{name: "release --publish --smoke", policy: command("app", "--only", "release", "--smoke", "--publish"), situations: []situation{
			{inECR(deployed), append(command("release", "orders", "--tag", "v1", "--publish"), smoke...)},
		}},
		{name: "release of an alias", policy: command("app", "--only", "release"), idle: bothNames("Create", "Get", "Update"), situations: []situation{
			{inECR(deployedWithAlias), command("release", "orders", "--tag", "v1")},
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2") }, command("release", "orders", "--tag", "v2")},
		}},
		{name: "release of an alias, all at once", policy: command("app", "--only", "release", "--image", "--smoke", "--publish"), idle: bothNames("Create", "Get", "Update"), situations: []situation{
			{deployedWithAlias, append(command("release", "orders", "--tag", "v1", "--image", "$v1"), smoke...)},
			{releasedTwiceWithAlias, append(command("release", "orders", "--tag", "v1"), smoke...)},
		}},
		{name: "release by flags", policy: append(command("app", "--only", "release"), flags...), situations: []situation{
			{inECR(deployed), append(command("release", "orders", "--tag", "v1"), flags...)},
		}},
		{name: "rollback", policy: command("app", "--only", "rollback"), situations: []situation{
			{releasedTwice, command("rollback", "orders")},
		}},
		{name: "rollback in a stack", policy: command("app", "--only", "rollback"), spare: command("Stack"), situations: []situation{
			{inStack(releasedTwice), command("rollback", "orders")},
		}},
		{name: "rollback by flags", policy: append(command("app", "--only", "rollback"), flags...), situations: []situation{
			{inStack(releasedTwice), append(command("rollback", "orders"), flags...)},
		}},
		{name: "rollback of an alias", policy: command("app", "--only", "rollback"), idle: bothNames("Create", "Get", "Update"), situations: []situation{
			{releasedTwiceWithAlias, command("rollback", "orders")},
			{noAlias(releasedTwiceWithAlias), command("rollback", "orders")},
		}},
		{name: "register", policy: command("app", "--only", "register"), situations: []situation{
			{inECR(deployed), command("register", "orders", "--tag", "v1")},
		}},
		{name: "register by flags", policy: append(command("app", "--only", "register"), flags...), situations: []situation{
			{inECR(deployed), append(command("register", "orders", "--tag", "v1"), flags...)},
		}},
		{name: "reconcile", policy: command("app", "--only", "reconcile"), situations: []situation{
			{registered, command("reconcile", "orders")},
			{byHand, command("reconcile", "orders")},
		}},
		{name: "reconcile in a stack", policy: command("app", "--only", "reconcile"), spare: command("Stack"), situations: []situation{
			{inStack(registered), command("reconcile", "orders")},
			{inStack(byHand), command("reconcile", "orders")},
		}},
		{name: "reconcile by flags", policy: append(command("app", "--only", "reconcile"), flags...), situations: []situation{
			{registered, append(command("reconcile", "orders"), flags...)},
			{byHand, append(command("reconcile", "orders"), flags...)},
		}},
		{name: "reconcile of an alias", policy: command("app", "--only", "reconcile"), idle: bothNames("Create", "Get", "Update"), situations: []situation{
			{func(r *rehearsal) { releasedTwiceWithAlias(r); r.must(r.alias(nil, command("orders", "live", "1"))) }, command("reconcile", "orders")},
			{noAlias(releasedWithAlias), command("reconcile", "orders")},
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }, command("reconcile", "orders")},
			{func(r *rehearsal) {
				inECR(deployedWithAlias)(r)
				r.must(r.parameter(nil, command("/tasuki/orders/image-tag", "v1")))
			}, command("reconcile", "orders")},
		}},
		{name: "reconcile and seed", policy: command("infra", "--only", "reconcile"), situations: []situation{
			{placeholderGone, command("reconcile", "orders")},
			{byHand, command("reconcile", "orders")},
		}},
		{name: "resolve", policy: command("infra", "--only", "resolve"), situations: []situation{
			{placeholderGone, command("resolve", "orders")},
			{released, command("resolve", "orders")},
			{byHand, command("resolve", "orders")},
			{deployed, command("resolve", "orders")},
			{unregistered, command("resolve", "orders")},
		}},
		{name: "resolve by flags", policy: append(command("infra", "--only", "resolve"), flags...), situations: []situation{
			{placeholderGone, append(command("resolve", "orders"), flags...)},
			{byHand, append(command("resolve", "orders"), flags...)},
		}},
		{name: "resolve --tag-only", policy: command("infra", "--only", "resolve --tag-only"), situations: []situation{
			{released, command("resolve", "orders", "--tag-only")},
		}},
		{name: "seed", policy: command("infra", "--only", "seed"), situations: []situation{
			{placeholderGone, command("seed", "orders")},
			{placeholderGone, command("seed", "orders", "--image", "$v1")},
			{deployed, command("seed", "orders")},
		}},
		{name: "seed by flags", policy: append(command("infra", "--only", "seed"), flags...), situations: []situation{
			{placeholderGone, append(command("seed", "orders", "--image", "$v1"), flags...)},
			{deployed, append(command("seed", "orders"), flags...)},
		}},
		{name: "status", policy: command("app", "--only", "status"), situations: []situation{
			{released, command("status", "orders")},
			{registered, command("status", "orders")},
		}},
		{name: "status by flags", policy: append(command("app", "--only", "status"), flags...), situations: []situation{
			{registered, append(command("status", "orders"), flags...)},
		}},
		{name: "status of an alias", policy: command("app", "--only", "status"), idle: bothNames("Get"), situations: []situation{
			{func(r *rehearsal) { releasedWithAlias(r); r.put("v2"); r.tasuki("register", "orders", "--tag", "v2") }, command("status", "orders")},
		}},
		{name: "status of several", policy: command("app", "--only", "status", "--several"), handoffs: command("orders", "other"), idle: command("ssm:GetParametersByPath Contracts"), situations: []situation{
			{two(released), command("status")},
			{two(released), command("status", "orders", "other")},
			{two(registered), command("status", "orders")},
			{two(registered), command("status", "other")},
		}},
		{name: "doctor", policy: command("app", "--only", "doctor"), situations: []situation{
			{releasedTwice, command("doctor", "orders")},
			{registered, command("doctor", "orders")},
		}},
		{name: "doctor --deep", policy: command("app", "--only", "doctor", "--deep"), situations: []situation{
			{releasedTwice, command("doctor", "orders", "--deep")},
		}},
		{name: "doctor by flags", policy: append(command("app", "--only", "doctor"), flags...), situations: []situation{
			{registered, append(command("doctor", "orders"), flags...)},
		}},
		{name: "doctor of an alias", policy: command("app", "--only", "doctor"), idle: bothNames("Get"), situations: []situation{
			{releasedTwiceWithAlias, command("doctor", "orders")},
		}},
		{name: "history", policy: command("app", "--only", "history"), situations: []situation{
			{released, command("history", "orders")},
		}},
		{name: "history by flags", policy: append(command("app", "--only", "history"), flags...), situations: []situation{
			{released, append(command("history", "orders"), flags...)},
		}},
		{name: "contract", policy: command("infra", "--only", "contract"), situations: []situation{
			{deployed, command("contract", "orders")},
		}},
		{name: "contract --write", policy: command("infra", "--only", "contract --write"), situations: []situation{
			{deployed, command("contract", "orders", "--write", "--alias", "live")},
		}},
		{name: "contract --write by flags", policy: append(command("infra", "--only", "contract --write"), flags...), situations: []situation{
			{deployed, append(command("contract", "orders", "--write"), flags...)},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, apps)
		})
	}
}

// check runs the situations with the whole policy, and then without each statement.
func (c policed) check(t *testing.T, apps *apps) {
	var needs []authorization.Need
	var statements []granted
	for _, s := range c.situations {
		r := rehearse(t, apps, s)
		statements = r.attach(c)
		r.server.Calls().Reset()
		r.tasuki(s.command...)
		needs = append(needs, r.needed()...)
	}
	c.wantNeeded(t, statements, needs)
	c.wantDenied(t, apps, statements)
}

// wantNeeded fails where statements allow an action on a resource and nothing needed it
// there.
func (c policed) wantNeeded(t *testing.T, statements []granted, needs []authorization.Need) {
	t.Helper()
	var idle []string
	for _, s := range statements {
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				one := document(granted{Sid: s.Sid, Effect: s.Effect, Action: []string{action}, Resource: []string{resource}})
				if !slices.ContainsFunc(needs, func(n authorization.Need) bool {
					allowed, _ := iam.Evaluate(map[string]string{"one": one}, iam.Access{Action: n.Action, Resource: n.Resource})
					return allowed
				}) {
					idle = append(idle, action+" "+s.Sid)
				}
			}
		}
	}
	want := slices.Sorted(slices.Values(c.idle))
	slices.Sort(idle)
	if idle = slices.Compact(idle); !slices.Equal(idle, want) {
		t.Errorf("allowed and not needed is %q, want that of %q alone", idle, want)
	}
}

// wantDenied fails where a command goes well without a statement in all situations. What
// is denied changes nothing, or is undone: with the whole policy the command goes well
// afterwards.
func (c policed) wantDenied(t *testing.T, apps *apps, statements []granted) {
	t.Helper()
	missing := map[string]bool{}
	for _, s := range statements {
		missing[s.Sid] = true
	}
	for _, s := range c.situations {
		if len(missing) == len(c.spare) {
			break // what is left is to be done without
		}
		r := rehearse(t, apps, s)
		for _, without := range statements {
			if !missing[without.Sid] {
				continue
			}
			r.attach(c, without.Sid)
			if code, _, said := r.run(s.command...); code != 0 && code != 3 {
				delete(missing, without.Sid)
				r.wantSentences(max(1, len(c.handoffs)), without, code, said)
			}
		}
		r.attach(c)
		r.tasuki(s.command...)
	}
	left := slices.Sorted(maps.Keys(missing))
	if want := slices.Sorted(slices.Values(c.spare)); !slices.Equal(left, want) {
		t.Errorf("the commands do without %q, want that of %q alone", left, want)
	}
}

// wantSentences fails unless a denial is told in one sentence for each handoff, at the
// most, with what it takes; or, where it could not be undone either, with what to do.
func (r *rehearsal) wantSentences(most int, without granted, code int, said string) {
	r.t.Helper()
	var sentences []string
	hint := ""
	for line := range strings.Lines(said) {
		if sentence, is := strings.CutPrefix(line, "tasuki: error: "); is {
			sentences = append(sentences, strings.TrimSpace(sentence))
		}
		if text, is := strings.CutPrefix(line, "tasuki: hint: "); is {
			hint = text
		}
	}
	clear := func(sentence string) bool { return strings.Count(sentence, "access denied") == 1 }
	if len(sentences) == 0 || len(sentences) > most || slices.ContainsFunc(sentences, func(s string) bool { return !clear(s) }) {
		r.t.Errorf("without statement %s it says %q, want one sentence with \"access denied\"", without.Sid, sentences)
	}
	const notUndone = 4
	if code != notUndone && !slices.ContainsFunc(without.Action, func(action string) bool { return strings.Contains(hint, action) }) {
		r.t.Errorf("without statement %s it hints at %q, want one of %v", without.Sid, hint, without.Action)
	}
}

// granted is a statement of a policy that tasuki policy printed.
type granted struct {
	Sid, Effect      string
	Action, Resource []string
}

func document(statements ...granted) string {
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}

// rehearse returns a situation whose commands are run by a role that may do nothing yet.
func rehearse(t *testing.T, apps *apps, s situation) *rehearsal {
	t.Helper()
	server, err := localaws.Start(localaws.Options{EnforceIAM: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rehearsal{relay: newRelay(server, apps), t: t}
	s.given(r)
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + localaws.Account + `"},"Action":"sts:AssumeRole"}]}`
	_, err = server.IAM().CreateRole(t.Context(), &sdkiam.CreateRoleInput{RoleName: aws.String("pipeline"), AssumeRolePolicyDocument: aws.String(trust)})
	r.must(err)
	assumed, err := sts.NewFromConfig(r.config()).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + localaws.Account + ":role/pipeline"), RoleSessionName: aws.String("run")})
	r.must(err)
	k := assumed.Credentials
	r.role = credentials.NewStaticCredentialsProvider(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)
	return r
}

// attach gives the role the policy, without the statements of a Sid, and returns the
// statements, in the order in which they are best tried: an image that was pushed once is
// not pushed again.
func (r *rehearsal) attach(c policed, without ...string) (statements []granted) {
	r.t.Helper()
	handoffs := c.handoffs
	if handoffs == nil {
		handoffs = command("orders")
	}
	for _, name := range handoffs {
		var printed struct{ Statement []granted }
		r.must(json.Unmarshal(r.asOwner(slices.Concat(command("policy", c.policy[0], name), c.policy[1:])...), &printed))
		kept := slices.DeleteFunc(slices.Clone(printed.Statement), func(s granted) bool { return slices.Contains(without, s.Sid) })
		in := &sdkiam.PutRolePolicyInput{RoleName: aws.String("pipeline"), PolicyName: &name, PolicyDocument: aws.String(document(kept...))}
		if len(kept) == 0 {
			in.PolicyDocument = aws.String(document(granted{Sid: "Nothing", Effect: "Deny", Action: command("none:*"), Resource: command("*")}))
		}
		_, err := r.server.IAM().PutRolePolicy(r.t.Context(), in)
		r.must(err)
		statements = append(statements, printed.Statement...)
	}
	first := command("Registry", "Repository")
	slices.SortStableFunc(statements, func(a, b granted) int {
		place := func(s granted) int { return (slices.Index(first, s.Sid) + len(first) + 1) % (len(first) + 1) }
		return place(a) - place(b)
	})
	return statements
}

// needed returns what the role needed, of which nothing may have been refused.
func (r *rehearsal) needed() (needs []authorization.Need) {
	r.t.Helper()
	for _, call := range r.server.Calls().All() {
		if call.Principal == "" {
			continue // a registry's challenge
		}
		if call.Principal != "assumed-role/pipeline/run" {
			r.t.Errorf("%s was called by %s", call.Name(), call.Principal)
		}
		if strings.HasPrefix(call.Code, "AccessDenied") || call.Status == http.StatusForbidden {
			r.t.Errorf("%s was refused: it needs %v", call.Name(), call.Needs)
		}
		needs = append(needs, call.Needs...)
	}
	if len(needs) == 0 {
		r.t.Error("nothing was called")
	}
	return needs
}

// rehearsal is a relay on an endpoint of its own, on which commands run in this process.
type rehearsal struct {
	*relay
	t    *testing.T
	role aws.CredentialsProvider // of whom commands are run by; nil for the account's owner
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
	code, out, said := r.run(args...)
	if code != 0 && code != 3 {
		r.t.Fatalf("tasuki %v: exit code %d\n%s%s", args, code, out, said)
	}
	return out
}

// asOwner is tasuki for the account's owner.
func (r *rehearsal) asOwner(args ...string) []byte {
	r.t.Helper()
	owner := *r
	owner.role = nil
	return owner.tasuki(args...)
}

func (r *rehearsal) run(args ...string) (code int, out []byte, said string) {
	r.t.Helper()
	args = append(slices.Clone(args), "--output", "json")
	for i, arg := range args {
		if version, is := strings.CutPrefix(arg, "$"); is {
			args[i] = r.image(version)
		}
	}
	config := r.config()
	if r.role != nil {
		config.Credentials = r.role
	}
	var result, errs bytes.Buffer
	code = cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &result, Err: &errs}, awsbackend.Options{Config: &config})
	return code, result.Bytes(), errs.String()
}

// config is that of the account's owner.
func (r *rehearsal) config() aws.Config {
	return r.server.Config("tasuki")
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
