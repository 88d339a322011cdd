package authorization_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// reference knows one stack, one change set of it, and one role.
var reference = authorization.Reference{
	Account: "111122223333", Region: "eu-west-1",
	Stack: func(name string) string {
		return map[string]string{"shop": "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/1"}[name]
	},
	ChangeSet: func(changeSet, _ string) string {
		return map[string]string{"deploy": "arn:aws:cloudformation:eu-west-1:111122223333:stack/shop/1"}[changeSet]
	},
	Role: func(name string) string {
		return map[string]string{"ci": "arn:aws:iam::111122223333:role/team/ci"}[name]
	},
}

// said is needs as text: "ACTION ON; ACTION ON", with the account's ARNs shortened.
func said(needs []authorization.Need) string {
	var all []string
	for _, n := range needs {
		resource := strings.NewReplacer("arn:aws:", "", ":eu-west-1:111122223333:", " ", "iam::111122223333:", "iam ").Replace(n.Resource)
		all = append(all, n.Action+" "+resource)
	}
	return strings.Join(all, "; ")
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct{ service, operation, method, target, body, want string }{
		{"ssm", "GetParameter", "POST", "/", `{"Name":"/orders/tag"}`, "ssm:GetParameter ssm parameter/orders/tag"},
		{"ssm", "GetParameter", "POST", "/", `{"Name":"/orders/tag:3"}`, "ssm:GetParameter ssm parameter/orders/tag"},
		{"ssm", "GetParameter", "POST", "/", `{"Name":"imageTag"}`, "ssm:GetParameter ssm parameter/imageTag"},
		{"ssm", "GetParameter", "POST", "/", `{"Name":"arn:aws:ssm:eu-west-1:111122223333:parameter/orders/tag:3"}`, "ssm:GetParameter ssm parameter/orders/tag"},
		{"ssm", "GetParameters", "POST", "/", `{"Names":["/a","b:1"]}`, "ssm:GetParameters ssm parameter/a; ssm:GetParameters ssm parameter/b"},
		{"ssm", "GetParametersByPath", "POST", "/", `{"Path":"/tasuki/"}`, "ssm:GetParametersByPath ssm parameter/tasuki/"},
		{"ssm", "PutParameter", "POST", "/", `{"Name":"/a","Tags":[{"Key":"k","Value":"v"}]}`, "ssm:PutParameter ssm parameter/a; ssm:AddTagsToResource ssm parameter/a"},
		{"ssm", "PutParameter", "POST", "/", `{"Name":"/a","Tags":[]}`, "ssm:PutParameter ssm parameter/a"},
		{"ssm", "ListTagsForResource", "POST", "/", `{"ResourceId":"/a"}`, "ssm:ListTagsForResource ssm parameter/a"},
		{"ssm", "DescribeParameters", "POST", "/", `{}`, "ssm:DescribeParameters *"},
		{"ssm", "GetParameter", "POST", "/", `not JSON`, "ssm:GetParameter ssm parameter/"},

		{"ecr", "GetAuthorizationToken", "POST", "/", `{}`, "ecr:GetAuthorizationToken *"},
		{"ecr", "BatchGetImage", "POST", "/", `{"repositoryName":"team/orders"}`, "ecr:BatchGetImage ecr repository/team/orders"},
		{"ecr", "DescribeRepositories", "POST", "/", `{"repositoryNames":["a","b"]}`, "ecr:DescribeRepositories ecr repository/a; ecr:DescribeRepositories ecr repository/b"},
		{"ecr", "DescribeRepositories", "POST", "/", `{}`, "ecr:DescribeRepositories ecr repository/*"},
		{"ecr", "TagResource", "POST", "/", `{"resourceArn":"arn:aws:ecr:eu-west-1:111122223333:repository/a"}`, "ecr:TagResource ecr repository/a"},

		{"lambda", "GetFunction", "GET", "/2015-03-31/functions/orders", "", "lambda:GetFunction lambda function:orders"},
		{"lambda", "GetFunction", "GET", "/2015-03-31/functions/orders?Qualifier=live", "", "lambda:GetFunction lambda function:orders:live"},
		{"lambda", "GetFunction", "GET", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Aorders%3A3", "", "lambda:GetFunction lambda function:orders:3"},
		{"lambda", "GetFunction", "GET", "/2015-03-31/functions/111122223333:orders", "", "lambda:GetFunction lambda function:orders"},
		{"lambda", "Invoke", "POST", "/2015-03-31/functions/orders:live/invocations", "", "lambda:InvokeFunction lambda function:orders:live"},
		{"lambda", "UpdateAlias", "PUT", "/2015-03-31/functions/orders/aliases/live", "", "lambda:UpdateAlias lambda function:orders"},
		{"lambda", "PublishVersion", "POST", "/2015-03-31/functions/orders/versions", "", "lambda:PublishVersion lambda function:orders"},
		{"lambda", "CreateFunction", "POST", "/2015-03-31/functions", `{"FunctionName":"orders","Role":"arn:aws:iam::111122223333:role/r"}`, "lambda:CreateFunction lambda function:orders; iam:PassRole iam role/r"},
		{"lambda", "GetEventSourceMapping", "GET", "/2015-03-31/event-source-mappings/u-1", "", "lambda:GetEventSourceMapping lambda event-source-mapping:u-1"},
		{"lambda", "TagResource", "POST", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Afunction%3Aorders", `{}`, "lambda:TagResource lambda function:orders"},
		{"lambda", "ListFunctions", "GET", "/2015-03-31/functions", "", "lambda:ListFunctions *"},

		{"cloudformation", "DescribeStacks", "POST", "/", "StackName=shop", "cloudformation:DescribeStacks cloudformation stack/shop/1"},
		{"cloudformation", "DescribeStacks", "POST", "/", "StackName=other", "cloudformation:DescribeStacks cloudformation stack/other/*"},
		{"cloudformation", "DescribeStacks", "POST", "/", "StackName=arn:aws:cloudformation:eu-west-1:111122223333:stack/gone/2", "cloudformation:DescribeStacks cloudformation stack/gone/2"},
		{"cloudformation", "DescribeStacks", "POST", "/", "", "cloudformation:DescribeStacks cloudformation stack/*/*"},
		{"cloudformation", "ExecuteChangeSet", "POST", "/", "ChangeSetName=deploy", "cloudformation:ExecuteChangeSet cloudformation stack/shop/1"},
		{"cloudformation", "CreateChangeSet", "POST", "/", "StackName=shop&ChangeSetName=new&RoleARN=arn:aws:iam::111122223333:role/exec", "cloudformation:CreateChangeSet cloudformation stack/shop/1; iam:PassRole iam role/exec"},
		{"cloudformation", "ListStacks", "POST", "/", "", "cloudformation:ListStacks *"},

		{"s3", "GetObject", "GET", "/assets/a/b.zip", "", "s3:GetObject s3:::assets/a/b.zip"},
		{"s3", "UploadPart", "PUT", "/assets/k?partNumber=1&uploadId=u", "", "s3:PutObject s3:::assets/k"},
		{"s3", "ListObjectsV2", "GET", "/assets?list-type=2", "", "s3:ListBucket s3:::assets"},
		{"s3", "GetBucketLocation", "GET", "/assets?location", "", "s3:GetBucketLocation s3:::assets"},
		{"s3", "GetBucketEncryption", "GET", "/assets?encryption", "", "s3:GetEncryptionConfiguration s3:::assets"},
		{"s3", "DeleteObjects", "POST", "/assets?delete", "", "s3:DeleteObject s3:::assets/*"},

		{"iam", "GetRole", "POST", "/", "RoleName=ci", "iam:GetRole iam role/team/ci"},
		{"iam", "CreateRole", "POST", "/", "RoleName=new&Path=/team/", "iam:CreateRole iam role/team/new"},
		{"iam", "GetPolicy", "POST", "/", "PolicyArn=arn:aws:iam::111122223333:policy/p", "iam:GetPolicy iam policy/p"},
		{"sts", "AssumeRole", "POST", "/", "RoleArn=arn:aws:iam::111122223333:role/ci", "sts:AssumeRole iam role/ci"},
		{"sts", "GetCallerIdentity", "POST", "/", "", ""},

		{"events", "PutRule", "POST", "/", `{"Name":"r"}`, "events:PutRule events rule/r"},
		{"events", "PutTargets", "POST", "/", `{"Rule":"r"}`, "events:PutTargets events rule/r"},
		{"sqs", "SendMessageBatch", "POST", "/", `{"QueueUrl":"http://127.0.0.1:1/111122223333/q"}`, "sqs:SendMessage sqs q"},
		{"logs", "CreateLogGroup", "POST", "/", `{"logGroupName":"/aws/lambda/f"}`, "logs:CreateLogGroup logs log-group:/aws/lambda/f:log-stream:"},
	} {
		t.Run(c.service+" "+c.operation+" "+c.target+c.body, func(t *testing.T) {
			r := &wire.Request{HTTP: httptest.NewRequest(c.method, "http://127.0.0.1"+c.target, nil), Body: []byte(c.body), Service: c.service}
			if got := said(reference.Needs(r, c.service, c.operation)); got != c.want {
				t.Errorf("it needs %q, want %q", got, c.want)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/v2/", ""},
		{"GET", "/v2/_catalog", ""},
		{"HEAD", "/v2/orders/manifests/v1", "ecr:BatchGetImage ecr repository/orders"},
		{"GET", "/v2/team/orders/manifests/sha256:0", "ecr:BatchGetImage ecr repository/team/orders"},
		{"PUT", "/v2/manifests/manifests/tags", "ecr:PutImage ecr repository/manifests"},
		{"HEAD", "/v2/orders/blobs/sha256:0", "ecr:BatchCheckLayerAvailability ecr repository/orders"},
		{"GET", "/v2/orders/blobs/sha256:0", "ecr:GetDownloadUrlForLayer ecr repository/orders"},
		{"POST", "/v2/orders/blobs/uploads/", "ecr:InitiateLayerUpload ecr repository/orders"},
		{"POST", "/v2/orders/blobs/uploads", "ecr:InitiateLayerUpload ecr repository/orders"},
		{"POST", "/v2/a/blobs/uploads/?digest=sha256:0", "ecr:InitiateLayerUpload ecr repository/a; ecr:UploadLayerPart ecr repository/a; ecr:CompleteLayerUpload ecr repository/a"},
		{"PATCH", "/v2/team/orders/blobs/uploads/1", "ecr:UploadLayerPart ecr repository/team/orders"},
		{"PUT", "/v2/a/blobs/uploads/1?digest=sha256:0", "ecr:UploadLayerPart ecr repository/a; ecr:CompleteLayerUpload ecr repository/a"},
		{"GET", "/v2/orders/tags/list", "ecr:ListImages ecr repository/orders"},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if got := said(reference.Registry(r)); got != c.want {
			t.Errorf("%s %s needs %q, want %q", c.method, c.path, got, c.want)
		}
	}
	mount := httptest.NewRequest("POST", "/v2/orders/blobs/uploads/?mount=sha256:0&from=team/base", nil)
	if got := said(reference.Mount(mount)); got != "ecr:GetDownloadUrlForLayer ecr repository/team/base" {
		t.Errorf("a mount needs %q", got)
	}
	if got := reference.Mount(httptest.NewRequest("POST", "/v2/orders/blobs/uploads/", nil)); got != nil {
		t.Errorf("an upload needs %v to be mounted", got)
	}
}

func FuzzRegistryPath(f *testing.F) {
	for _, path := range []string{"/v2/", "/v2/a/b/blobs/uploads/", "/v2/blobs/uploads", "uploads", "/v2//manifests/"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		repository, about := authorization.RegistryPath(path)
		if (about == "") && repository != "" || about != "" && !strings.Contains(path, about) {
			t.Errorf("%q is in %q, about %q", path, repository, about)
		}
	})
}
