package tasukicdk_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/customresource"
)

func TestSharedTag(t *testing.T) {
	s := stack(t, "SharedTag")
	_, f := s.function(t)
	var parameter string
	for name, p := range s.Parameters {
		if p.Type == "AWS::SSM::Parameter::Value<String>" && p.Default == "lambdaImageTag" {
			parameter = name
		}
	}
	if parameter == "" {
		t.Fatalf("no parameter of the stack reads lambdaImageTag: %v", s.Parameters)
	}
	if got := text(f.Properties["Code"].(map[string]any)["ImageUri"]); !strings.HasSuffix(got, ":ref-"+parameter) {
		t.Errorf("the function's image is %s", got)
	}
	if len(s.ids("AWS::SSM::Parameter")) > 0 {
		t.Error("the tag parameter is in the template, and CloudFormation would put its value back")
	}
	if len(s.Conditions) != 1 {
		t.Errorf("there are conditions %v, want one", s.Conditions)
	}
	for id, actions := range map[string][]string{
		"Ci":     {"ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter"},
		"Reader": {"ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters"},
	} {
		wantGrants(t, s, id, map[string][]string{"arn:aws:ssm:eu-west-1:111122223333:parameter/lambdaImageTag": actions})
	}
}

// TestGrants: who releases may write the tag parameter and change the function, who
// reads may do neither.
func TestGrants(t *testing.T) {
	s := stack(t, "Default")
	function, _ := s.function(t)
	const (
		tag        = "arn:aws:ssm:eu-west-1:111122223333:parameter/tasuki/orders/image-tag"
		contract   = "arn:aws:ssm:eu-west-1:111122223333:parameter/tasuki/orders/contract"
		repository = "arn:aws:ecr:eu-west-1:111122223333:repository/ordersrepository040c2771"
	)
	wantGrants(t, s, "Ci", map[string][]string{
		tag:      {"ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter"},
		contract: {"ssm:GetParameter"},
		repository: {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer",
			"ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"},
		function + ".Arn": {"lambda:GetFunction", "lambda:InvokeFunction", "lambda:UpdateFunctionCode"},
		"*":               {"ecr:GetAuthorizationToken"},
		"arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1": {"cloudformation:DescribeStacks"},
	})
	wantGrants(t, s, "OnCall", map[string][]string{
		tag:               {"ssm:GetParameter", "ssm:GetParameterHistory"},
		contract:          {"ssm:GetParameter"},
		repository:        {"ecr:BatchGetImage", "ecr:DescribeRepositories", "ecr:GetDownloadUrlForLayer", "ecr:GetLifecyclePolicy"},
		function + ".Arn": {"lambda:GetFunction"},
	})
}

// wantGrants compares what a role's default policy allows, by resource.
func wantGrants(t *testing.T, s *template, role string, want map[string][]string) {
	t.Helper()
	got := map[string][]string{}
	for _, id := range s.ids("AWS::IAM::Policy") {
		if !strings.HasPrefix(id, role+"DefaultPolicy") {
			continue
		}
		for _, statement := range asList(s.Resources[id].Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			for _, on := range list(statement.(map[string]any)["Resource"]) {
				got[on] = append(got[on], list(statement.(map[string]any)["Action"])...)
				slices.Sort(got[on])
			}
		}
	}
	if a, b := asJSON(got), asJSON(want); a != b {
		t.Errorf("%s may\n%s, want\n%s", role, a, b)
	}
}

func TestParts(t *testing.T) {
	s := stack(t, "Parts")
	repository := "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ref-Repository22E53BBD"
	const secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf"
	wantProperties(t, s.only(t, customresource.TypePlaceholder), customresource.Placeholder{
		Handoff: "orders", Repository: repository, Tag: "none-yet", Source: "docker://docker.io/library/busybox:1.37", Architecture: "arm64",
	})
	wantProperties(t, s.only(t, customresource.TypeDeployment), customresource.Deployment{
		Source: "docker://registry.example.com/base:1", SourceSecret: secret, Destination: repository, Tag: "base-1", Architecture: "arm64", ForLambda: "true",
	})
	allowed := asJSON(s.statements())
	for _, want := range []string{`"secretsmanager:GetSecretValue"`, secret, `"ecr:InitiateLayerUpload"`} {
		if !strings.Contains(allowed, want) {
			t.Errorf("the provider's policies have no %s", want)
		}
	}
}

// TestSources: what a source is to the provider, and what the provider may read for it.
func TestSources(t *testing.T) {
	for name, want := range map[string]struct{ source, action, on string }{
		"FromRegistry":        {"docker://public.ecr.aws/lambda/provided:al2023", "", ""},
		"FromEcr":             {"docker://111122223333.dkr.ecr.eu-west-1.amazonaws.com/base@" + digest, "ecr:BatchGetImage", ":repository/base"},
		"FromDirectory":       {"docker://111122223333.dkr.ecr.eu-west-1.amazonaws.com/cdk-hnb659fds-container-assets-", "ecr:BatchGetImage", ":repository/cdk-hnb659fds-container-assets-"},
		"FromDirectoryForArm": {"docker://111122223333.dkr.ecr.eu-west-1.amazonaws.com/cdk-hnb659fds-container-assets-", "ecr:GetDownloadUrlForLayer", ":repository/cdk-hnb659fds-container-assets-"},
		"FromArchive":         {"s3://cdk-hnb659fds-assets-", "s3:GetObject", ":s3:::cdk-hnb659fds-assets-"},
		"FromBucket":          {"s3://images/a/image.tar", "s3:GetObject", ":s3:::images/a/image.tar"},
	} {
		t.Run(name, func(t *testing.T) {
			s := stack(t, name)
			if got := text(s.only(t, customresource.TypeImage).Properties["Placeholder"]); !strings.HasPrefix(sub(got), want.source) {
				t.Errorf("the placeholder is %s, want %s", sub(got), want.source)
			}
			for _, statement := range s.statements() {
				on := sub(strings.Join(list(statement["Resource"]), " "))
				if want.action == "" || slices.Contains(list(statement["Action"]), want.action) && strings.Contains(on, want.on) {
					return
				}
			}
			t.Errorf("the provider may not %s on %s", want.action, want.on)
		})
	}
}

// sub puts the account and the region into the text of an Fn::Sub, which CDK names
// assets with.
func sub(s string) string {
	s = strings.NewReplacer("${AWS::AccountId}", account, "${AWS::Region}", region, "${AWS::URLSuffix}", "amazonaws.com").Replace(s)
	return strings.ReplaceAll(strings.ReplaceAll(s, `{"Fn::Sub":"`, ""), `"}`, "")
}
