package resource_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/tasuki-dev/tasuki/localaws"
)

func policyFor(action string) properties {
	return properties{"Version": "2012-10-17", "Statement": []any{properties{"Effect": "Allow", "Action": action, "Resource": "*"}}}
}

func TestBucketAndPolicy(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := s3.NewFromConfig(w.aws, func(o *s3.Options) { o.UsePathStyle = true })
	r, result := w.create("AWS::S3::Bucket", properties{
		"BucketEncryption":               properties{"ServerSideEncryptionConfiguration": []any{properties{"BucketKeyEnabled": true, "ServerSideEncryptionByDefault": properties{"SSEAlgorithm": "AES256"}}}},
		"PublicAccessBlockConfiguration": properties{"BlockPublicAcls": "true", "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true},
		"VersioningConfiguration":        properties{"Status": "Enabled"},
		"LifecycleConfiguration": properties{"Rules": []any{properties{
			"Id": "old", "Status": "Enabled", "NoncurrentVersionExpiration": properties{"NoncurrentDays": 30}, "AbortIncompleteMultipartUpload": properties{"DaysAfterInitiation": 1},
		}}},
	})
	if !strings.HasPrefix(r.PhysicalID, "orders-thing-") || result.Attributes["Arn"] != "arn:aws:s3:::"+r.PhysicalID {
		t.Errorf("got %v", result)
	}
	encryption, err := client.GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: &r.PhysicalID})
	if err != nil || encryption.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Errorf("encryption: %v, %v", encryption, err)
	}
	block, err := client.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &r.PhysicalID})
	if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicAcls {
		t.Errorf("public access: %v, %v", block, err)
	}
	lifecycle, err := client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &r.PhysicalID})
	if err != nil || *lifecycle.Rules[0].NoncurrentVersionExpiration.NoncurrentDays != 30 {
		t.Errorf("lifecycle: %v, %v", lifecycle, err)
	}

	policy, _ := w.create("AWS::S3::BucketPolicy", properties{"Bucket": r.PhysicalID, "PolicyDocument": properties{
		"Version": "2012-10-17", "Statement": []any{properties{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::" + r.PhysicalID + "/*"}},
	}})
	got, err := client.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: &r.PhysicalID})
	if err != nil || !strings.Contains(*got.Policy, `"Deny"`) {
		t.Errorf("policy: %v, %v", got, err)
	}
	w.exists(r)
	w.exists(policy)
	w.remove(policy)
	_, err = client.GetBucketPolicy(t.Context(), &s3.GetBucketPolicyInput{Bucket: &r.PhysicalID})
	w.gone(err, "NoSuchBucketPolicy")

	r, _ = w.update(r, properties{})
	versioning, err := client.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: &r.PhysicalID})
	if err != nil || versioning.Status != "Suspended" {
		t.Errorf("versioning: %v, %v", versioning, err)
	}
	_, err = client.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &r.PhysicalID})
	w.gone(err, "NoSuchLifecycleConfiguration")
	w.remove(r)
	_, err = client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &r.PhysicalID})
	w.gone(err, "NotFound")
}

func TestQueueAndPolicy(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := sqs.NewFromConfig(w.aws)
	dead, deadResult := w.create("AWS::SQS::Queue", properties{"QueueName": "dead"})
	r, result := w.create("AWS::SQS::Queue", properties{
		"VisibilityTimeout": "60", "RedrivePolicy": properties{"deadLetterTargetArn": deadResult.Attributes["Arn"], "maxReceiveCount": 3},
	})
	attributes := func() map[string]string {
		t.Helper()
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &r.PhysicalID, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes
	}
	if got := attributes(); got["VisibilityTimeout"] != "60" || !strings.Contains(got["RedrivePolicy"], "maxReceiveCount") || got["QueueArn"] != result.Attributes["Arn"] {
		t.Errorf("created: %v", got)
	}
	policy, _ := w.create("AWS::SQS::QueuePolicy", properties{"Queues": []any{r.PhysicalID}, "PolicyDocument": policyFor("sqs:SendMessage")})
	if got := attributes(); !strings.Contains(got["Policy"], "sqs:SendMessage") {
		t.Errorf("with a policy: %v", got)
	}
	w.exists(dead)
	policy, _ = w.update(policy, properties{"Queues": []any{dead.PhysicalID}, "PolicyDocument": policyFor("sqs:SendMessage")})
	if got := attributes(); got["Policy"] != "" {
		t.Errorf("after the policy has moved: %v", got)
	}
	r, _ = w.update(r, properties{"DelaySeconds": 5})
	if got := attributes(); got["VisibilityTimeout"] != "30" || got["DelaySeconds"] != "5" || got["RedrivePolicy"] != "" {
		t.Errorf("updated: %v", got)
	}
	w.remove(policy)
	w.remove(r)
	w.remove(dead)
	w.remove(policy) // of queues that are gone
}

func TestRoleAndPolicies(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := iam.NewFromConfig(w.aws)
	const managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
	trust := properties{"Version": "2012-10-17", "Statement": []any{properties{"Effect": "Allow", "Principal": properties{"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}}
	r, result := w.create("AWS::IAM::Role", properties{
		"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": []any{managed}, "Description": "d", "Path": "/",
		"Policies": []any{properties{"PolicyName": "own", "PolicyDocument": policyFor("ssm:GetParameter")}},
	})
	if !strings.HasPrefix(r.PhysicalID, "orders-Thing-") || result.Attributes["Arn"] != "arn:aws:iam::"+localaws.Account+":role/"+r.PhysicalID {
		t.Errorf("got %v", result)
	}
	inline := func(name string) (string, error) {
		out, err := client.GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: &r.PhysicalID, PolicyName: &name})
		if err != nil {
			return "", err
		}
		return url.QueryUnescape(*out.PolicyDocument)
	}
	attached := func() int {
		t.Helper()
		out, err := client.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.AttachedPolicies)
	}
	if document, err := inline("own"); err != nil || !strings.Contains(document, "ssm:GetParameter") || attached() != 1 {
		t.Errorf("created: %s, %v", document, err)
	}

	policy, _ := w.create("AWS::IAM::Policy", properties{"PolicyName": "grants", "PolicyDocument": policyFor("ecr:*"), "Roles": []any{r.PhysicalID}})
	if document, err := inline("grants"); err != nil || !strings.Contains(document, "ecr:*") {
		t.Errorf("a policy: %s, %v", document, err)
	}
	policy, _ = w.update(policy, properties{"PolicyName": "renamed", "PolicyDocument": policyFor("ecr:*"), "Roles": []any{r.PhysicalID}})
	if _, err := inline("renamed"); err != nil {
		t.Error(err)
	}
	_, err := inline("grants")
	w.gone(err, "NoSuchEntity")

	own, ownResult := w.create("AWS::IAM::ManagedPolicy", properties{"PolicyDocument": policyFor("s3:*"), "Roles": []any{r.PhysicalID}})
	if ownResult.PhysicalID != ownResult.Attributes["PolicyArn"] || attached() != 2 {
		t.Errorf("got %v, %d attached", ownResult, attached())
	}
	if _, err := client.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: &own.PhysicalID}); err != nil {
		t.Error(err)
	}
	own, _ = w.update(own, properties{"PolicyDocument": policyFor("s3:Get*")})
	if attached() != 1 {
		t.Errorf("%d attached", attached())
	}
	w.remove(own)

	r, _ = w.update(r, properties{"AssumeRolePolicyDocument": trust, "Path": "/", "MaxSessionDuration": "7200"})
	role, err := client.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &r.PhysicalID})
	if err != nil || *role.Role.MaxSessionDuration != 7200 || aws.ToString(role.Role.Description) != "" || attached() != 0 {
		t.Errorf("updated: %v, %v", role, err)
	}
	_, err = inline("own")
	w.gone(err, "NoSuchEntity")
	w.remove(policy)
	w.remove(r)
	_, err = client.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &r.PhysicalID})
	w.gone(err, "NoSuchEntity")
}

func TestRule(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := eventbridge.NewFromConfig(w.aws)
	function := w.answering()
	target := func(id, input string) properties {
		return properties{"Id": id, "Arn": function, "Input": input, "RetryPolicy": properties{"MaximumRetryAttempts": "2"}}
	}
	pattern := properties{"source": []any{"aws.ssm"}, "detail": properties{"name": []any{"/orders/image-tag"}}}
	r, result := w.create("AWS::Events::Rule", properties{"EventPattern": pattern, "State": "ENABLED", "Targets": []any{target("a", `{"n":1}`), target("b", `{"n":2}`)}})
	if !strings.HasSuffix(result.Attributes["Arn"].(string), ":rule/"+r.PhysicalID) {
		t.Errorf("got %v", result)
	}
	describe := func() (*eventbridge.DescribeRuleOutput, *eventbridge.ListTargetsByRuleOutput) {
		t.Helper()
		rule, err := client.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		targets, err := client.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{Rule: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		return rule, targets
	}
	rule, targets := describe()
	if !json.Valid([]byte(*rule.EventPattern)) || len(targets.Targets) != 2 || *targets.Targets[0].RetryPolicy.MaximumRetryAttempts != 2 {
		t.Errorf("created: %v, %v", rule, targets)
	}
	w.exists(r)
	r, _ = w.update(r, properties{"ScheduleExpression": "rate(15 minutes)", "State": "DISABLED", "Targets": []any{target("b", `{"n":3}`)}})
	rule, targets = describe()
	if rule.State != "DISABLED" || aws.ToString(rule.ScheduleExpression) != "rate(15 minutes)" || aws.ToString(rule.EventPattern) != "" || len(targets.Targets) != 1 || *targets.Targets[0].Input != `{"n":3}` {
		t.Errorf("updated: %v, %v", rule, targets)
	}
	w.remove(r)
	_, err := client.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: &r.PhysicalID})
	w.gone(err, "ResourceNotFoundException")
}

func TestLogGroup(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := cloudwatchlogs.NewFromConfig(w.aws)
	r, result := w.create("AWS::Logs::LogGroup", properties{"LogGroupName": "/aws/lambda/orders", "RetentionInDays": "7"})
	group := func() []any {
		t.Helper()
		out, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		var found []any
		for _, g := range out.LogGroups {
			found = append(found, aws.ToString(g.Arn), aws.ToInt32(g.RetentionInDays))
		}
		return found
	}
	if got := group(); len(got) != 2 || got[0] != result.Attributes["Arn"] || got[1] != int32(7) {
		t.Errorf("created: %v, of which the attributes are %v", got, result.Attributes)
	}
	r, _ = w.update(r, properties{"LogGroupName": "/aws/lambda/orders", "Tags": []any{properties{"Key": "own", "Value": "1"}}})
	if got := group(); len(got) != 2 || got[1] != int32(0) {
		t.Errorf("updated: %v", got)
	}
	w.remove(r)
	if got := group(); len(got) != 0 {
		t.Errorf("deleted: %v", got)
	}
}

func TestPermissionAndURL(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := lambda.NewFromConfig(w.aws)
	function := w.answering()
	r, _ := w.create("AWS::Lambda::Permission", properties{"FunctionName": function, "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceArn": "arn:aws:events:us-east-1:000000000000:rule/r"})
	again := w.request(r.Properties)
	again.Again = true
	if _, err := w.kind(r.Type).Create(t.Context(), again); err != nil {
		t.Errorf("the same call again: %v", err)
	}
	policy, err := client.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: &function})
	if err != nil || !strings.Contains(*policy.Policy, r.PhysicalID) || !strings.Contains(*policy.Policy, "rule/r") {
		t.Errorf("policy: %v, %v", policy, err)
	}
	w.remove(r)
	_, err = client.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: &function})
	w.gone(err, "ResourceNotFoundException")

	link, result := w.create("AWS::Lambda::Url", properties{"TargetFunctionArn": function, "AuthType": "AWS_IAM"})
	if result.PhysicalID != function || !strings.HasPrefix(result.Attributes["FunctionUrl"].(string), w.server.URL()) {
		t.Errorf("got %v", result)
	}
	link, _ = w.update(link, properties{"TargetFunctionArn": function, "AuthType": "NONE"})
	config, err := client.GetFunctionUrlConfig(t.Context(), &lambda.GetFunctionUrlConfigInput{FunctionName: &function})
	if err != nil || config.AuthType != "NONE" {
		t.Errorf("updated: %v, %v", config, err)
	}
	w.remove(link)
}

func TestEventSourcesAndEventConfig(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := lambda.NewFromConfig(w.aws)
	function := w.answering()
	_, queue := w.create("AWS::SQS::Queue", properties{"QueueName": "orders"})
	r, result := w.create("AWS::Lambda::EventSourceMapping", properties{"FunctionName": function, "EventSourceArn": queue.Attributes["Arn"], "BatchSize": "5", "Enabled": false})
	mapping := func() *lambda.GetEventSourceMappingOutput {
		t.Helper()
		out, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if m := mapping(); *m.State != "Disabled" || *m.BatchSize != 5 || result.Attributes["Id"] != r.PhysicalID {
		t.Errorf("created: %+v", m)
	}
	again := w.request(r.Properties)
	again.Again = true
	if result, err := w.kind(r.Type).Create(t.Context(), again); err != nil || result.PhysicalID != r.PhysicalID {
		t.Errorf("the same call again: %v, %v", result, err)
	}
	r, _ = w.update(r, properties{"FunctionName": function, "EventSourceArn": queue.Attributes["Arn"]})
	if m := mapping(); *m.State != "Enabled" {
		t.Errorf("updated: %+v", m)
	}
	w.remove(r)

	config, _ := w.create("AWS::Lambda::EventInvokeConfig", properties{
		"FunctionName": "answering", "Qualifier": "$LATEST", "MaximumRetryAttempts": 1, "DestinationConfig": properties{"OnFailure": properties{"Destination": queue.Attributes["Arn"]}},
	})
	w.exists(config)
	config, _ = w.update(config, properties{"FunctionName": "answering", "Qualifier": "$LATEST", "MaximumRetryAttempts": "2"})
	out, err := client.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("answering")})
	if err != nil || *out.MaximumRetryAttempts != 2 {
		t.Errorf("event config: %+v, %v", out, err)
	}
	w.remove(config)
}
