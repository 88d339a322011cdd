package localaws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sys/unix"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// stacks is a client of CloudFormation that knows one stack.
type stacks struct{ *cloudformation.Client }

func stacksOf(c clients) stacks { return stacks{cloudformation.NewFromConfig(c.config)} }

// status returns the stack's status, "" where there is none.
func (s stacks) status(t *testing.T, id string) string {
	t.Helper()
	out, err := s.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &id})
	if err != nil {
		return ""
	}
	return string(out.Stacks[0].StackStatus)
}

// rest waits until nothing is done to the stack, and returns its status.
func (s stacks) rest(t *testing.T, id string) (status string) {
	t.Helper()
	eventually(t, "stack "+id+" is at rest", func() bool {
		status = s.status(t, id)
		return status != "" && !strings.HasSuffix(status, "_IN_PROGRESS")
	})
	return status
}

// wide returns a template of n parameters in chains of ten, each with a repository at
// its end.
func wide(n int) string {
	resources := map[string]any{}
	for i := range n {
		value := any(map[string]any{"Ref": "Value"})
		if i%10 > 0 {
			value = map[string]any{"Fn::GetAtt": []string{fmt.Sprintf("P%d", i-1), "Value"}}
		}
		resources[fmt.Sprintf("P%d", i)] = map[string]any{
			"Type": "AWS::SSM::Parameter", "Properties": map[string]any{"Name": fmt.Sprintf("/wide/%d", i), "Type": "String", "Value": value},
		}
		if i%10 == 9 {
			resources[fmt.Sprintf("R%d", i)] = map[string]any{
				"Type": "AWS::ECR::Repository", "DependsOn": fmt.Sprintf("P%d", i), "Properties": map[string]any{"RepositoryName": fmt.Sprintf("wide/%d", i)},
			}
		}
	}
	b, err := json.Marshal(map[string]any{
		"Parameters": map[string]any{"Value": map[string]any{"Type": "String"}},
		"Resources":  resources,
	})
	if err != nil {
		panic(err) // of our own making
	}
	return string(b)
}

func value(s string) []types.Parameter {
	return []types.Parameter{{ParameterKey: sdkaws.String("Value"), ParameterValue: &s}}
}

// A template is read from S3 under an assumed role, and its resources are made through
// the endpoint's own services, in CloudFormation's name.
func TestStack(t *testing.T) {
	server, c := start(t, localaws.Options{})
	s, ctx := stacksOf(c), t.Context()
	roles := iam.NewFromConfig(c.config)
	if _, err := roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: sdkaws.String("deploy"), AssumeRolePolicyDocument: sdkaws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: sdkaws.String("arn:aws:iam::000000000000:role/missing"), RoleSessionName: sdkaws.String("test")}); err == nil || !strings.Contains(err.Error(), "is not authorized to perform: sts:AssumeRole") {
		t.Errorf("a role that does not exist is assumed: %v", err)
	}
	session, err := c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: sdkaws.String("arn:aws:iam::000000000000:role/deploy"), RoleSessionName: sdkaws.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	objects := s3.NewFromConfig(c.config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: sdkaws.String("assets")}); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: sdkaws.String("assets"), Key: sdkaws.String("t.json"), Body: strings.NewReader(wide(10))}); err != nil {
		t.Fatal(err)
	}
	assumed := c.config
	assumed.Credentials = sdkaws.CredentialsProviderFunc(func(context.Context) (sdkaws.Credentials, error) {
		k := session.Credentials
		return sdkaws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: *k.SessionToken}, nil
	})
	created, err := cloudformation.NewFromConfig(assumed).CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: sdkaws.String("wide"), TemplateURL: sdkaws.String("https://assets.s3.us-east-1.amazonaws.com/t.json"), Parameters: value("1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if status := s.rest(t, *created.StackId); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	if got, err := c.get(ctx, "/wide/9"); err != nil || got != "1" {
		t.Errorf("the last parameter is %q, %v", got, err)
	}
	principals := map[string]string{}
	for _, call := range server.Calls().All() {
		principals[call.Name()] = call.Principal
	}
	for name, want := range map[string]string{"cloudformation:CreateStack": "assumed-role/deploy/test", "ecr:CreateRepository": "cloudformation", "s3:GetObject": "cloudformation"} {
		if principals[name] != want {
			t.Errorf("%s was called by %q, want %q", name, principals[name], want)
		}
	}
}

// A service's answer that CloudFormation does not get does not make it take its own
// resource for somebody else's; a service that throttles is asked again.
func TestStackOverFaults(t *testing.T) {
	server, c := start(t, localaws.Options{Faults: []fault.Rule{
		{Operation: "ssm:PutParameter", Kind: fault.LostAnswer, Nth: 3, Times: 1},
		{Operation: "ecr:CreateRepository", Kind: fault.LostAnswer, Times: 1},
		{Operation: "ssm:PutParameter", Kind: fault.Throttle, Nth: 7, Times: 1},
	}})
	s := stacksOf(c)
	created, err := s.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: sdkaws.String("wide"), TemplateBody: sdkaws.String(wide(10)), Parameters: value("1")})
	if err != nil {
		t.Fatal(err)
	}
	if status := s.rest(t, *created.StackId); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	if n := server.Calls().Count("ecr:CreateRepository"); n != 2 {
		t.Errorf("the repository was created in %d calls", n)
	}
}

// A stack's operation goes on after each of many kills, and ends as it would have.
func TestStackSurvivesKills(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(killSeed); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", killSeed, err)
		}
	}
	t.Logf("seed %d: %s=%d repeats it", seed, killSeed, seed)
	random := rand.New(rand.NewPCG(seed, 1))
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	dir, n := t.TempDir(), 50
	p := startProcess(t, dir)
	defer func() { p.kill(t) }()
	// until kills the endpoint again and again until the stack is at rest.
	until := func(id, want string) {
		t.Helper()
		kills := 0
		for status := stacksOf(p.clients).status(t, id); strings.HasSuffix(status, "_IN_PROGRESS"); status = stacksOf(p.clients).status(t, id) {
			pause := time.NewTimer(time.Duration(random.Int64N(int64(150 * time.Millisecond))))
			<-pause.C
			p.kill(t)
			kills++
			p = startProcess(t, dir)
		}
		if status := stacksOf(p.clients).status(t, id); status != want {
			t.Fatalf("after %d kills it is in %s, want %s", kills, status, want)
		}
		t.Logf("%s after %d kills", want, kills)
	}
	created, err := stacksOf(p.clients).CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: sdkaws.String("wide"), TemplateBody: sdkaws.String(wide(n)), Parameters: value("1")})
	if err != nil {
		t.Fatal(err)
	}
	until(*created.StackId, "CREATE_COMPLETE")
	p.checkWide(t, n, "1")
	if _, err := stacksOf(p.clients).UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: created.StackId, UsePreviousTemplate: sdkaws.Bool(true), Parameters: value("2")}); err != nil {
		t.Fatal(err)
	}
	until(*created.StackId, "UPDATE_COMPLETE")
	p.checkWide(t, n, "2")
	if _, err := stacksOf(p.clients).DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: created.StackId}); err != nil {
		t.Fatal(err)
	}
	until(*created.StackId, "DELETE_COMPLETE")
	p.checkWide(t, 0, "")
}

// checkWide checks that what a wide stack has is there, and nothing else.
func (p *process) checkWide(t *testing.T, n int, want string) {
	t.Helper()
	found := map[string]string{}
	pages := ssm.NewGetParametersByPathPaginator(p.ssm, &ssm.GetParametersByPathInput{Path: sdkaws.String("/wide")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, parameter := range page.Parameters {
			found[*parameter.Name] = *parameter.Value
		}
	}
	for name, value := range found {
		if value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	repositories, err := p.ecr.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != n || len(repositories.Repositories) != n/10 {
		t.Errorf("there are %d parameters and %d repositories, want %d and %d", len(found), len(repositories.Repositories), n, n/10)
	}
}

// BenchmarkStack creates, updates and deletes stacks of several sizes, kept on disk.
func BenchmarkStack(b *testing.B) {
	for _, n := range []int{20, 200} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			server, err := localaws.Start(localaws.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			s, ctx := stacksOf(connect(server.URL(), localaws.DefaultRegion)), b.Context()
			rest := func(id, want string) {
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for status := ""; status != want; <-tick.C {
					out, err := s.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &id})
					if err != nil {
						b.Fatal(err)
					}
					if status = string(out.Stacks[0].StackStatus); status != want && !strings.HasSuffix(status, "_IN_PROGRESS") {
						b.Fatalf("the stack is in %s, want %s", status, want)
					}
				}
			}
			template := wide(n * 10 / 11) // and a repository behind each tenth
			for b.Loop() {
				created, err := s.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: sdkaws.String("wide"), TemplateBody: &template, Parameters: value("1")})
				if err != nil {
					b.Fatal(err)
				}
				rest(*created.StackId, "CREATE_COMPLETE")
				if _, err := s.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: created.StackId, UsePreviousTemplate: sdkaws.Bool(true), Parameters: value("2")}); err != nil {
					b.Fatal(err)
				}
				rest(*created.StackId, "UPDATE_COMPLETE")
				if _, err := s.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: created.StackId}); err != nil {
					b.Fatal(err)
				}
				rest(*created.StackId, "DELETE_COMPLETE")
			}
		})
	}
}
