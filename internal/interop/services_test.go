//go:build interop

package interop

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/events"
	"github.com/tasuki-dev/tasuki/localaws/iam"
	"github.com/tasuki-dev/tasuki/localaws/logs"
	"github.com/tasuki-dev/tasuki/localaws/s3"
	"github.com/tasuki-dev/tasuki/localaws/sqs"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// serviceCalls are the calls of the services that stacks need, in an order in which
// each succeeds. Their function exists until the table of all calls deletes it.
var serviceCalls = []call{
	{"sqs", "CreateQueue", `{"QueueName":"models","Attributes":{"VisibilityTimeout":"0"},"tags":{"k":"v"}}`},
	{"sqs", "GetQueueUrl", `{"QueueName":"models"}`},
	{"sqs", "GetQueueAttributes", `{"QueueUrl":"{queue}","AttributeNames":["All"]}`},
	{"sqs", "SetQueueAttributes", `{"QueueUrl":"{queue}","Attributes":{"MessageRetentionPeriod":"600"}}`},
	{"sqs", "ListQueues", `{"QueueNamePrefix":"mod"}`},
	{"sqs", "SendMessage", `{"QueueUrl":"{queue}","MessageBody":"m","MessageAttributes":{"a":{"DataType":"String","StringValue":"b"}}}`},
	{"sqs", "SendMessageBatch", `{"QueueUrl":"{queue}","Entries":[{"Id":"1","MessageBody":"n"}]}`},
	{"sqs", "ReceiveMessage", `{"QueueUrl":"{queue}","MaxNumberOfMessages":1,"MessageSystemAttributeNames":["All"],"MessageAttributeNames":["All"],"VisibilityTimeout":60}`},
	{"sqs", "ChangeMessageVisibility", `{"QueueUrl":"{queue}","ReceiptHandle":"{receipt}","VisibilityTimeout":60}`},
	{"sqs", "DeleteMessageBatch", `{"QueueUrl":"{queue}","Entries":[{"Id":"1","ReceiptHandle":"nonsense"}]}`},
	{"sqs", "SendMessage", `{"QueueUrl":"{queue}","MessageBody":"m"}`},
	{"sqs", "DeleteMessage", `{"QueueUrl":"{queue}","ReceiptHandle":"{receipt}"}`},
	{"sqs", "TagQueue", `{"QueueUrl":"{queue}","Tags":{"l":"w"}}`},
	{"sqs", "ListQueueTags", `{"QueueUrl":"{queue}"}`},
	{"sqs", "UntagQueue", `{"QueueUrl":"{queue}","TagKeys":["k"]}`},
	{"sqs", "PurgeQueue", `{"QueueUrl":"{queue}"}`},

	{"lambda", "AddPermission", `{"FunctionName":"models","StatementId":"events","Action":"lambda:InvokeFunction","Principal":"events.amazonaws.com","SourceArn":"arn:aws:events:us-east-1:000000000000:rule/models"}`},
	{"lambda", "GetPolicy", `{"FunctionName":"models"}`},
	{"lambda", "RemovePermission", `{"FunctionName":"models","StatementId":"events"}`},
	{"lambda", "PutFunctionEventInvokeConfig", `{"FunctionName":"models","MaximumRetryAttempts":0,"MaximumEventAgeInSeconds":60,"DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:000000000000:models"}}}`},
	{"lambda", "GetFunctionEventInvokeConfig", `{"FunctionName":"models"}`},
	{"lambda", "DeleteFunctionEventInvokeConfig", `{"FunctionName":"models"}`},
	{"lambda", "CreateFunctionUrlConfig", `{"FunctionName":"models","AuthType":"AWS_IAM","InvokeMode":"BUFFERED"}`},
	{"lambda", "GetFunctionUrlConfig", `{"FunctionName":"models"}`},
	{"lambda", "UpdateFunctionUrlConfig", `{"FunctionName":"models","AuthType":"NONE"}`},
	{"lambda", "DeleteFunctionUrlConfig", `{"FunctionName":"models"}`},
	{"lambda", "CreateEventSourceMapping", `{"FunctionName":"models","EventSourceArn":"arn:aws:sqs:us-east-1:000000000000:models","Enabled":false,"BatchSize":5,"FunctionResponseTypes":["ReportBatchItemFailures"]}`},
	{"lambda", "ListEventSourceMappings", `{"FunctionName":"models"}`},
	{"lambda", "GetEventSourceMapping", `{"UUID":"{mapping}"}`},
	{"lambda", "UpdateEventSourceMapping", `{"UUID":"{mapping}","BatchSize":1}`},
	{"lambda", "DeleteEventSourceMapping", `{"UUID":"{mapping}"}`},
	{"sqs", "DeleteQueue", `{"QueueUrl":"{queue}"}`},

	{"iam", "CreateRole", `{"RoleName":"recorded","AssumeRolePolicyDocument":"{policy}","Description":"d","MaxSessionDuration":3600,"Tags":[{"Key":"k","Value":"v"}]}`},
	{"iam", "GetRole", `{"RoleName":"recorded"}`},
	{"iam", "ListRoles", `{"PathPrefix":"/"}`},
	{"iam", "UpdateRole", `{"RoleName":"recorded","Description":"e"}`},
	{"iam", "UpdateAssumeRolePolicy", `{"RoleName":"recorded","PolicyDocument":"{policy}"}`},
	{"iam", "TagRole", `{"RoleName":"recorded","Tags":[{"Key":"l","Value":"w"}]}`},
	{"iam", "ListRoleTags", `{"RoleName":"recorded"}`},
	{"iam", "UntagRole", `{"RoleName":"recorded","TagKeys":["k"]}`},
	{"iam", "PutRolePolicy", `{"RoleName":"recorded","PolicyName":"inline","PolicyDocument":"{policy}"}`},
	{"iam", "GetRolePolicy", `{"RoleName":"recorded","PolicyName":"inline"}`},
	{"iam", "ListRolePolicies", `{"RoleName":"recorded"}`},
	{"iam", "DeleteRolePolicy", `{"RoleName":"recorded","PolicyName":"inline"}`},
	{"iam", "PutRolePermissionsBoundary", `{"RoleName":"recorded","PermissionsBoundary":"arn:aws:iam::aws:policy/ReadOnlyAccess"}`},
	{"iam", "DeleteRolePermissionsBoundary", `{"RoleName":"recorded"}`},
	{"iam", "CreatePolicy", `{"PolicyName":"models","PolicyDocument":"{policy}","Description":"d","Tags":[{"Key":"k","Value":"v"}]}`},
	{"iam", "GetPolicy", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models"}`},
	{"iam", "AttachRolePolicy", `{"RoleName":"recorded","PolicyArn":"arn:aws:iam::000000000000:policy/models"}`},
	{"iam", "ListAttachedRolePolicies", `{"RoleName":"recorded"}`},
	{"iam", "DetachRolePolicy", `{"RoleName":"recorded","PolicyArn":"arn:aws:iam::000000000000:policy/models"}`},
	{"iam", "CreatePolicyVersion", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models","PolicyDocument":"{policy}","SetAsDefault":true}`},
	{"iam", "ListPolicyVersions", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models"}`},
	{"iam", "GetPolicyVersion", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models","VersionId":"v2"}`},
	{"iam", "DeletePolicyVersion", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models","VersionId":"v1"}`},
	{"iam", "DeletePolicy", `{"PolicyArn":"arn:aws:iam::000000000000:policy/models"}`},
	{"iam", "DeleteRole", `{"RoleName":"recorded"}`},

	{"events", "PutRule", `{"Name":"models","EventPattern":"{\"source\":[\"models\"]}","State":"ENABLED","Description":"d","Tags":[{"Key":"k","Value":"v"}]}`},
	{"events", "DescribeRule", `{"Name":"models"}`},
	{"events", "ListRules", `{"NamePrefix":"mod"}`},
	{"events", "DisableRule", `{"Name":"models"}`},
	{"events", "EnableRule", `{"Name":"models"}`},
	{"events", "PutTargets", `{"Rule":"models","Targets":[{"Id":"t","Arn":"arn:aws:sqs:us-east-1:000000000000:models","Input":"{}"}]}`},
	{"events", "ListTargetsByRule", `{"Rule":"models"}`},
	{"events", "PutEvents", `{"Entries":[{"Source":"other","DetailType":"t","Detail":"{}"},{"Source":"aws.ssm","DetailType":"t","Detail":"{}"}]}`},
	{"events", "TagResource", `{"ResourceARN":"arn:aws:events:us-east-1:000000000000:rule/models","Tags":[{"Key":"l","Value":"w"}]}`},
	{"events", "ListTagsForResource", `{"ResourceARN":"arn:aws:events:us-east-1:000000000000:rule/models"}`},
	{"events", "UntagResource", `{"ResourceARN":"arn:aws:events:us-east-1:000000000000:rule/models","TagKeys":["k"]}`},
	{"events", "RemoveTargets", `{"Rule":"models","Ids":["t","u"]}`},
	{"events", "DeleteRule", `{"Name":"models"}`},

	{"logs", "CreateLogGroup", `{"logGroupName":"models","tags":{"k":"v"}}`},
	{"logs", "PutRetentionPolicy", `{"logGroupName":"models","retentionInDays":7}`},
	{"logs", "DescribeLogGroups", `{"logGroupNamePrefix":"models"}`},
	{"logs", "TagResource", `{"resourceArn":"arn:aws:logs:us-east-1:000000000000:log-group:models","tags":{"l":"w"}}`},
	{"logs", "ListTagsForResource", `{"resourceArn":"arn:aws:logs:us-east-1:000000000000:log-group:models"}`},
	{"logs", "UntagResource", `{"resourceArn":"arn:aws:logs:us-east-1:000000000000:log-group:models","tagKeys":["k"]}`},
	{"logs", "DeleteRetentionPolicy", `{"logGroupName":"models"}`},
	{"logs", "DeleteLogGroup", `{"logGroupName":"models"}`},
}

// allCalls returns the calls of every service, those of serviceCalls before the
// function that they are about is deleted.
func allCalls() []call {
	last := slices.Index(calls, call{"lambda", "DeleteFunction", `{"FunctionName":"models"}`})
	return slices.Concat(calls[:last], serviceCalls, calls[last:])
}

// stackServices are the services that serviceCalls are about, but for Lambda.
func stackServices(store *state.Store) []wire.Service {
	return []wire.Service{
		iam.New(store, account).Wire(),
		events.New(events.Options{Store: store, Account: account, Region: region}).Wire(),
		sqs.New(sqs.Options{Store: store, Account: account, Region: region}).Wire(),
		logs.New(store, account, region).Wire(),
	}
}

// made returns a call's input with what only the endpoint knows: ids that it made.
func (f *fixture) made(t *testing.T, input string) string {
	t.Helper()
	input = strings.ReplaceAll(input, "{queue}", f.server.URL()+"/"+account+"/models")
	ask := func(c call, out any) {
		t.Helper()
		var in map[string]any
		if err := json.Unmarshal([]byte(c.input), &in); err != nil {
			t.Fatal(err)
		}
		if a := f.send(t, c, in); a.status < 400 {
			if err := json.Unmarshal(a.body, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	mapping, receipt, detection := "00000000-0000-4000-8000-000000000000", "none", "none"
	if strings.Contains(input, "{mapping}") {
		var out struct{ EventSourceMappings []struct{ UUID string } }
		ask(call{"lambda", "ListEventSourceMappings", `{}`}, &out)
		if len(out.EventSourceMappings) > 0 {
			mapping = out.EventSourceMappings[0].UUID
		}
	}
	if strings.Contains(input, "{receipt}") {
		var out struct {
			Messages []struct{ ReceiptHandle string }
		}
		ask(call{"sqs", "ReceiveMessage", f.made(t, `{"QueueUrl":"{queue}","VisibilityTimeout":60}`)}, &out)
		if len(out.Messages) > 0 {
			receipt = out.Messages[0].ReceiptHandle
		}
	}
	if strings.Contains(input, "{detection}") {
		var answer element
		a := f.send(t, call{"cloudformation", "DetectStackDrift", ""}, map[string]any{"StackName": "models"})
		if err := xml.Unmarshal(a.body, &answer); a.status < 400 && err == nil {
			detection = answer.Elements[0].Elements[0].Text
		}
	}
	return strings.NewReplacer("{mapping}", mapping, "{receipt}", receipt, "{detection}", detection).Replace(input)
}

// TestS3Model holds the routes of S3 against the model: its answers are read by the
// SDK and by the AWS CLI in other tests.
func TestS3Model(t *testing.T) {
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	service, err := s3.New(store, account, region)
	if err != nil {
		t.Fatal(err)
	}
	model := readModel(t, "s3")
	for _, route := range service.Wire().(*wire.XML).Routes {
		want := model.Operations[route.Operation].HTTP
		path, query, _ := strings.Cut(want.RequestURI, "?")
		level := map[string]wire.Level{"/": wire.AllBuckets, "/{Bucket}": wire.OneBucket, "/{Bucket}/{Key+}": wire.OneObject}[path]
		// Older models name in the URI what newer ones have as members of the query.
		if query = strings.TrimPrefix(query, "x-id="+route.Operation); route.Method != want.Method || route.Level != level || query != "" && !strings.Contains(route.Query, query) {
			t.Errorf("%s is at %s %d ?%s, and in the model at %s %s", route.Operation, route.Method, route.Level, route.Query, want.Method, want.RequestURI)
		}
	}
}
