package tasukicdk_test

import (
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/customresource"
)

func TestProvider(t *testing.T) {
	for _, name := range []string{"Default", "Built", "Two"} {
		s := stack(t, name)
		// CloudFormation refuses a custom resource whose ServiceToken changes, so this id
		// stays as it is for ever.
		const forever = "TasukiProvider494F18B5"
		if id := providerOf(t, s); id != forever {
			t.Errorf("%s: the provider's logical id is %s, and has to stay %s", name, id, forever)
		}
		provider := s.Resources[providerOf(t, s)].Properties
		for property, want := range map[string]string{"Runtime": "provided.al2023", "Handler": "bootstrap", "Architectures": `["arm64"]`, "MemorySize": "512", "Timeout": "300"} {
			if got := text(provider[property]); got != want {
				t.Errorf("%s: the provider's %s is %s, want %s", name, property, got, want)
			}
		}
		if provider["DeadLetterConfig"] == nil {
			t.Errorf("%s: events that the provider cannot handle are lost", name)
		}
		if got := text(s.only(t, "AWS::Logs::LogGroup").Properties["RetentionInDays"]); got != "30" {
			t.Errorf("%s: logs are kept for %s days", name, got)
		}
	}
}

func TestProviderOfOnesOwn(t *testing.T) {
	s := stack(t, "OwnProvider")
	var own *resource
	for _, id := range s.ids("AWS::Lambda::Function") {
		if strings.HasPrefix(id, "Own") {
			own = s.Resources[id]
		}
	}
	if own == nil {
		t.Fatal("there is no provider")
	}
	for property, want := range map[string]string{"Architectures": `["x86_64"]`, "MemorySize": "2048", "Timeout": "840", "Role": attribute("Role1ABCC5F0", "Arn")} {
		if got := text(own.Properties[property]); got != want {
			t.Errorf("the provider's %s is %s, want %s", property, got, want)
		}
	}
	if vpc := asJSON(own.Properties["VpcConfig"]); !strings.Contains(vpc, "Group") || !strings.Contains(vpc, "PrivateSubnet") {
		t.Errorf("the provider's VPC is %s", vpc)
	}
	if got := asJSON(own.Properties["LoggingConfig"]) + asJSON(own.Properties["DeadLetterConfig"]); !strings.Contains(got, `"Ref":"Logs`) || !strings.Contains(got, "Letters") {
		t.Errorf("the provider's log group and queue are %s", got)
	}
	for _, id := range s.ids("AWS::IAM::Role") {
		if policies := asJSON(s.Resources[id].Properties["ManagedPolicyArns"]); strings.HasPrefix(id, "InVpc") && !strings.Contains(policies, "AWSLambdaVPCAccessExecutionRole") {
			t.Errorf("the role of a provider in a VPC has the policies %s", policies)
		}
	}
}

func TestProviderOfAnotherStack(t *testing.T) {
	s := stack(t, "Given")
	image := s.only(t, customresource.TypeImage)
	if got := text(image.Properties["ServiceToken"]); got != "arn:aws:lambda:eu-west-1:111122223333:function:tasuki" {
		t.Errorf("the custom resource asks %s", got)
	}
	if got := text(image.Properties["ServiceTimeout"]); got != "660" {
		t.Errorf("CloudFormation waits %s s, and the provider runs for 600", got)
	}
	var size int
	for _, id := range s.ids("AWS::IAM::Policy") {
		if strings.Contains(id, "Orders") {
			size += len(text(rendered(s.Resources[id].Properties["PolicyDocument"])))
			if got := list(s.Resources[id].Properties["Roles"]); len(got) != 1 || got[0] != "tasuki" {
				t.Errorf("policy %s is on the roles %q", id, got)
			}
		}
	}
	// The documentation says that five handoffs fit, in IAM's 10,240 characters.
	if size == 0 || size*5 > 10240 {
		t.Errorf("a handoff's policies have %d characters", size)
	}
	for _, id := range s.ids("AWS::Events::Rule") {
		if _, target := eventOf(t, s.Resources[id]); !strings.Contains(asJSON(target["DeadLetterConfig"]), "arn:aws:sqs:eu-west-1:111122223333:tasuki") {
			t.Errorf("rule %s has the target %v", id, target)
		}
	}
	for _, statement := range stack(t, "GivenWithoutRole").statements() {
		if strings.Contains(asJSON(statement), "ssm:") {
			t.Errorf("no role is given, and something is granted: %v", statement)
		}
	}
}

// TestSharedProvider: a stack can use the provider that another stack of the program makes.
func TestSharedProvider(t *testing.T) {
	user, owner := stack(t, "Sharing"), stack(t, "Shared")
	for _, kind := range []string{customresource.TypeImage, customresource.TypeAlias} {
		if token := asJSON(user.only(t, kind).Properties["ServiceToken"]); !strings.Contains(token, `"Fn::ImportValue":"Shared:`) {
			t.Errorf("%s asks %s", kind, token)
		}
	}
	for _, id := range user.ids("AWS::IAM::Policy") {
		if roles := asJSON(user.Resources[id].Properties["Roles"]); strings.HasPrefix(id, "OrdersImagePolicy") && !strings.Contains(roles, `"Fn::ImportValue":"Shared:`) {
			t.Errorf("policy %s is on the roles %s", id, roles)
		}
	}
	if n := len(owner.ids("AWS::Lambda::Permission")); n != 1 {
		t.Errorf("the provider has %d permissions, want one for all rules", n)
	}
}

// TestProviderPolicies: every statement names resources of the stack or the handoff. Two
// kinds cannot: logging in to ECR, and what is about functions that nothing names yet or
// any more, which has the stack's id as its condition.
func TestProviderPolicies(t *testing.T) {
	for name := range assembly {
		s := assembly[name]
		for _, statement := range s.statements() {
			for _, on := range list(statement["Resource"]) {
				if on != "*" {
					continue
				}
				actions := strings.Join(list(statement["Action"]), " ")
				conditional := actions == "lambda:DeleteAlias lambda:GetAlias lambda:GetFunction" && strings.Contains(asJSON(statement["Condition"]), `"aws:ResourceTag/aws:cloudformation:stack-id":{"Ref":"AWS::StackId"}`)
				if actions != "ecr:GetAuthorizationToken" && !conditional {
					t.Errorf("%s: %s is allowed on everything", name, actions)
				}
			}
			if actions := list(statement["Action"]); strings.Contains(strings.Join(actions, " "), "*") && !strings.HasPrefix(actions[0], "s3:") {
				t.Errorf("%s: %q are allowed", name, actions)
			}
		}
	}
}

// TestProviderIsAllowed: what the provider needs is allowed before it is asked, and the
// tag parameter is never its to write.
func TestProviderIsAllowed(t *testing.T) {
	s := stack(t, "Everything")
	function, _ := s.function(t)
	allowed := map[string]string{}
	for _, statement := range s.statements() {
		for _, action := range list(statement["Action"]) {
			for _, on := range list(statement["Resource"]) {
				allowed[action] += on + " "
			}
		}
	}
	repository := "arn:aws:ecr:eu-west-1:111122223333:repository/ordersrepository040c2771"
	for action, on := range map[string]string{
		"ssm:GetParameterHistory":              "arn:aws:ssm:eu-west-1:111122223333:parameter/lambdaImageTag",
		"ecr:BatchGetImage":                    repository,
		"ecr:PutImage":                         repository,
		"lambda:UpdateFunctionCode":            function + ".Arn",
		"lambda:PublishVersion":                function + ".Arn",
		"lambda:UpdateAlias":                   function + ".Arn",
		"lambda:DeleteAlias":                   function + ".Arn",
		"lambda:GetFunction":                   "*",
		"cloudformation:DescribeStackResource": reference("AWS::StackId"),
	} {
		if !strings.Contains(allowed[action], on) {
			t.Errorf("%s is not allowed on %s, but on %q", action, on, allowed[action])
		}
	}
	if on := allowed["ssm:PutParameter"]; on != "" {
		t.Errorf("the provider may write %s", on)
	}
	policies := map[string]string{customresource.TypeImage: "OrdersImagePolicy", customresource.TypeAlias: "OrdersFunctionPolicy", "AWS::Events::Rule": "OrdersFunctionPolicy"}
	for kind, policy := range policies {
		for _, id := range s.ids(kind) {
			if waits := strings.Join(list(s.Resources[id].DependsOn), " "); !strings.Contains(waits, policy) {
				t.Errorf("%s does not wait for %s, but for %q", id, policy, waits)
			}
		}
	}
}
