package localaws_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki/localaws"
)

const ofAccount = `{"AWS":"` + localaws.Account + `"}`

// role makes a role that a principal may assume, with a policy of one statement; "" for
// none.
func (c clients) role(t *testing.T, name, principal, statement string) {
	t.Helper()
	client := iam.NewFromConfig(c.config)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]}`
	if _, err := client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}); err != nil {
		t.Fatal(err)
	}
	if statement == "" {
		return
	}
	document := `{"Version":"2012-10-17","Statement":[` + statement + `]}`
	if _, err := client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: sdkaws.String("p"), PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
}

// assume returns clients with the credentials of a role.
func (c clients) assume(t *testing.T, server *localaws.Server, role string) (clients, error) {
	t.Helper()
	out, err := c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: sdkaws.String("arn:aws:iam::" + localaws.Account + ":role/" + role), RoleSessionName: sdkaws.String("test")})
	if err != nil {
		return clients{}, err
	}
	k := out.Credentials
	session := credentials.NewStaticCredentialsProvider(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)
	return connect(server.URL(), server.Region(), func(c *sdkaws.Config) { c.Credentials = session }), nil
}

func allow(action, resource string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%q}`, action, resource)
}

func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + localaws.DefaultRegion + ":" + localaws.Account + ":" + resource
}

// A role may do what its policy says, on what it says, and is told so in each service's
// own words; the account's owner may do anything.
func TestEnforcedPolicies(t *testing.T) {
	server, owner := start(t, localaws.Options{EnforceIAM: true})
	ctx := t.Context()
	owner.role(t, "ci", ofAccount, allow("ssm:*", arn("ssm", "parameter/orders/*"))+","+allow("ecr:GetAuthorizationToken", "*")+","+allow("ecr:BatchGetImage", arn("ecr", "repository/orders")))
	ci, err := owner.assume(t, server, "ci")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "other"} {
		if _, err := owner.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	const who = "User: arn:aws:sts::000000000000:assumed-role/ci/test is not authorized to perform: "
	refused := func(err error, code, action, resource string) {
		t.Helper()
		expectCode(t, err, code, who+action+" on resource: "+resource+" because no identity-based policy allows the "+action+" action")
	}
	if _, err := ci.put(ctx, "/orders/tag", "v1"); err != nil {
		t.Error(err)
	}
	_, err = ci.put(ctx, "/other/tag", "v1")
	refused(err, "AccessDeniedException", "ssm:PutParameter", arn("ssm", "parameter/other/tag"))
	_, err = ci.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{"/orders/tag", "/other/tag"}})
	refused(err, "AccessDeniedException", "ssm:GetParameters", arn("ssm", "parameter/other/tag"))
	_, err = ci.ecr.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{})
	refused(err, "AccessDeniedException", "ecr:DescribeRepositories", arn("ecr", "repository/*"))
	_, err = ci.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: sdkaws.String("orders"), Qualifier: sdkaws.String("live")})
	refused(err, "AccessDeniedException", "lambda:GetFunction", arn("lambda", "function:orders:live"))
	_, err = cloudformation.NewFromConfig(ci.config).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: sdkaws.String("shop")})
	refused(err, "AccessDenied", "cloudformation:DescribeStacks", arn("cloudformation", "stack/shop/*"))
	_, err = s3.NewFromConfig(ci.config, func(o *s3.Options) { o.UsePathStyle = true }).PutObject(ctx, &s3.PutObjectInput{Bucket: sdkaws.String("assets"), Key: sdkaws.String("k"), Body: strings.NewReader("x")})
	refused(err, "AccessDenied", "s3:PutObject", "arn:aws:s3:::assets/k")
	_, err = sqs.NewFromConfig(ci.config).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: sdkaws.String("q")})
	refused(err, "AccessDeniedException", "sqs:CreateQueue", arn("sqs", "q"))
	if _, err := ci.sts.GetCallerIdentity(ctx, nil); err != nil {
		t.Errorf("nobody needs to be allowed to ask who he is: %v", err)
	}
	if _, err := owner.put(ctx, "/other/tag", "v1"); err != nil {
		t.Errorf("the owner is refused: %v", err)
	}

	// The registry knows who got the token.
	out, err := ci.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	login, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, want string
		status             int
	}{
		{http.MethodGet, "/v2/", "", http.StatusOK},
		{http.MethodGet, "/v2/orders/manifests/v1", "MANIFEST_UNKNOWN", http.StatusNotFound},
		{http.MethodGet, "/v2/other/manifests/v1", `{"errors":[{"code":"DENIED","message":"` + who + "ecr:BatchGetImage on resource: " + arn("ecr", "repository/other"), http.StatusForbidden},
		{http.MethodPost, "/v2/orders/blobs/uploads/", who + "ecr:InitiateLayerUpload on resource: " + arn("ecr", "repository/orders"), http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(ctx, c.method, server.URL()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		user, password, _ := strings.Cut(string(login), ":")
		r.SetBasicAuth(user, password)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s is answered %s: %s (%v)", c.method, c.path, answer.Status, body, err)
		}
	}
	last := server.Calls().All()
	if call := last[len(last)-1]; call.Principal != "assumed-role/ci/test" || len(call.Needs) != 1 || call.Needs[0].Resource != arn("ecr", "repository/orders") {
		t.Errorf("the registry's call is logged as %+v", call)
	}

	// Policies count as they are, and a role that is gone may do nothing.
	client := iam.NewFromConfig(owner.config)
	if _, err := client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: sdkaws.String("ci"), PolicyName: sdkaws.String("p")}); err != nil {
		t.Fatal(err)
	}
	_, err = ci.get(ctx, "/orders/tag")
	refused(err, "AccessDeniedException", "ssm:GetParameter", arn("ssm", "parameter/orders/tag"))
	if _, err := client.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: sdkaws.String("ci")}); err != nil {
		t.Fatal(err)
	}
	_, err = ci.get(ctx, "/orders/tag")
	expectCode(t, err, "AccessDeniedException", "because there is no role ci")
}

// Who may assume a role: whom it trusts by name, and of an account that it trusts the
// owner and the roles whose policies allow it.
func TestEnforcedTrust(t *testing.T) {
	server, owner := start(t, localaws.Options{EnforceIAM: true})
	const byName = `{"AWS":"arn:aws:iam::` + localaws.Account + `:role/plain"}`
	owner.role(t, "plain", ofAccount, "")
	owner.role(t, "deployer", ofAccount, allow("sts:AssumeRole", "arn:aws:iam::*:role/of-account")+","+allow("sts:AssumeRole", "arn:aws:iam::*:role/of-lambda"))
	owner.role(t, "of-account", ofAccount, "")
	owner.role(t, "of-name", byName, "")
	owner.role(t, "of-lambda", `{"Service":"lambda.amazonaws.com"}`, "")
	who := map[string]clients{"owner": owner}
	for _, name := range []string{"plain", "deployer"} {
		assumed, err := owner.assume(t, server, name)
		if err != nil {
			t.Fatal(err)
		}
		who[name] = assumed
	}
	for _, c := range []struct {
		caller, role string
		want         bool
	}{
		{"owner", "of-account", true},
		{"owner", "of-name", false},
		{"owner", "of-lambda", false},
		{"plain", "of-account", false},
		{"plain", "of-name", true},
		{"deployer", "of-account", true},
		{"deployer", "of-name", false},
		{"deployer", "of-lambda", false},
		{"deployer", "missing", false},
	} {
		_, err := who[c.caller].assume(t, server, c.role)
		switch {
		case c.want && err != nil:
			t.Errorf("%s may not assume %s: %v", c.caller, c.role, err)
		case !c.want:
			expectCode(t, err, "AccessDenied", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"+localaws.Account+":role/"+c.role)
		}
	}
}

// Without the option nothing is refused, and a log of calls that is written says what it
// would take. Where nobody asks it is not found out.
func TestPoliciesAreNotEnforced(t *testing.T) {
	silent, somebody := start(t, localaws.Options{})
	if _, err := somebody.put(t.Context(), "/orders/tag", "v1"); err != nil {
		t.Error(err)
	}
	if call := silent.Calls().All()[0]; call.Needs != nil {
		t.Errorf("what the call needs was found out for nobody: %+v", call.Needs)
	}
	server, owner := start(t, localaws.Options{Calls: io.Discard})
	owner.role(t, "ci", `{"Service":"lambda.amazonaws.com"}`, "")
	ci, err := owner.assume(t, server, "ci")
	if err != nil {
		t.Fatal(err)
	}
	server.Calls().Reset()
	if _, err := ci.put(t.Context(), "/orders/tag", "v1"); err != nil {
		t.Error(err)
	}
	call := server.Calls().All()[0]
	if len(call.Needs) != 1 || call.Needs[0].Action != "ssm:PutParameter" || call.Needs[0].Resource != arn("ssm", "parameter/orders/tag") {
		t.Errorf("the call needs %+v", call.Needs)
	}
}
