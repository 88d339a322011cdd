package resource_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

func TestRepository(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := ecr.NewFromConfig(w.aws)
	r, result := w.create("AWS::ECR::Repository", properties{
		"ImageTagMutability":                 "IMMUTABLE_WITH_EXCLUSION",
		"ImageTagMutabilityExclusionFilters": []any{properties{"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "tasuki-*"}},
		"LifecyclePolicy":                    properties{"LifecyclePolicyText": `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}`},
		"RepositoryPolicyText":               properties{"Version": "2012-10-17", "Statement": []any{properties{"Effect": "Allow", "Principal": properties{"Service": "lambda.amazonaws.com"}, "Action": []any{"ecr:BatchGetImage"}}}},
		"Tags":                               []any{properties{"Key": "own", "Value": "1"}, properties{"Key": "team", "Value": "red"}},
		"EmptyOnDelete":                      "true",
	})
	if !strings.HasPrefix(result.PhysicalID, "orders-thing-") || len(result.PhysicalID) != len("orders-thing-")+12 {
		t.Errorf("the repository is named %s", result.PhysicalID)
	}
	tags, err := client.ListTagsForResource(t.Context(), &ecr.ListTagsForResourceInput{ResourceArn: aws.String(result.Attributes["Arn"].(string))})
	if err != nil || len(tags.Tags) != 3 {
		t.Errorf("tags: %v, %v", tags, err)
	}
	policy, err := client.GetRepositoryPolicy(t.Context(), &ecr.GetRepositoryPolicyInput{RepositoryName: &r.PhysicalID})
	if err != nil || !strings.Contains(*policy.PolicyText, "lambda.amazonaws.com") {
		t.Errorf("policy: %v, %v", policy, err)
	}
	w.image(r.PhysicalID, "v1")
	r, _ = w.update(r, properties{"Tags": []any{properties{"Key": "own", "Value": "2"}}, "EmptyOnDelete": true})
	out, err := client.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{r.PhysicalID}})
	if err != nil || out.Repositories[0].ImageTagMutability != "MUTABLE" {
		t.Errorf("after the update: %v, %v", out, err)
	}
	_, err = client.GetRepositoryPolicy(t.Context(), &ecr.GetRepositoryPolicyInput{RepositoryName: &r.PhysicalID})
	w.gone(err, "RepositoryPolicyNotFoundException")
	_, err = client.GetLifecyclePolicy(t.Context(), &ecr.GetLifecyclePolicyInput{RepositoryName: &r.PhysicalID})
	w.gone(err, "LifecyclePolicyNotFoundException")
	keep := r
	keep.Properties = properties{}
	if err := w.kind(r.Type).Delete(t.Context(), keep); err == nil || !strings.Contains(err.Error(), "HandlerErrorCode") || !strings.Contains(err.Error(), "cannot be deleted because it still contains images") {
		t.Errorf("the deletion of a repository with images: %v", err)
	}
	w.remove(r)
}

func TestParameter(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := ssm.NewFromConfig(w.aws)
	r, result := w.create("AWS::SSM::Parameter", properties{"Name": "/orders/contract", "Type": "String", "Value": "v1", "Description": "d", "Tags": properties{"own": "1"}})
	if result.PhysicalID != "/orders/contract" || result.Attributes["Value"] != "v1" {
		t.Errorf("got %v", result)
	}
	w.exists(r)
	r, result = w.update(r, properties{"Name": "/orders/contract", "Type": "String", "Value": "v2"})
	out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &r.PhysicalID})
	if err != nil || *out.Parameter.Value != "v2" || result.Attributes["Value"] != "v2" {
		t.Errorf("after the update: %v, %v", out, err)
	}
	w.remove(r)
	_, err = client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &r.PhysicalID})
	w.gone(err, "ParameterNotFound")
}

// functionOn returns the properties of a function on an image.
func functionOn(image string, more properties) properties {
	p := properties{"Code": properties{"ImageUri": image}, "PackageType": "Image", "Role": functionRole, "Architectures": []any{string(machine())}}
	for name, value := range more {
		p[name] = value
	}
	return p
}

func TestFunction(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := lambda.NewFromConfig(w.aws)
	repository, _ := w.create("AWS::ECR::Repository", properties{"RepositoryName": "orders"})
	first, second := w.image(repository.PhysicalID, "v1"), w.image(repository.PhysicalID, "v2")
	r, result := w.create("AWS::Lambda::Function", functionOn(first, properties{
		"MemorySize": "256", "Timeout": 5, "Environment": properties{"Variables": properties{"LEVEL": 3}}, "Description": "d",
	}))
	get := func() *lambda.GetFunctionOutput {
		t.Helper()
		out, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &r.PhysicalID})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	created := get()
	if created.Configuration.State != types.StateActive || *created.Configuration.MemorySize != 256 || created.Configuration.Environment.Variables["LEVEL"] != "3" || created.Tags["team"] != "blue" {
		t.Errorf("created: %+v, %v", created.Configuration, created.Tags)
	}
	if result.Attributes["Arn"] != *created.Configuration.FunctionArn {
		t.Errorf("got %v", result)
	}

	t.Run("configuration alone", func(t *testing.T) {
		w.server.Calls().Reset()
		r, _ = w.update(r, functionOn(first, properties{"MemorySize": 512}))
		updated := get().Configuration
		if *updated.MemorySize != 512 || *updated.Timeout != 3 || updated.Environment != nil || *updated.Description != "" {
			t.Errorf("updated: %+v", updated)
		}
		if codes, configurations := w.server.Calls().Count("lambda:UpdateFunctionCode"), w.server.Calls().Count("lambda:UpdateFunctionConfiguration"); codes != 0 || configurations != 1 {
			t.Errorf("%d updates of the code and %d of the configuration", codes, configurations)
		}
	})
	t.Run("code alone", func(t *testing.T) {
		w.server.Calls().Reset()
		r, _ = w.update(r, functionOn(second, properties{"MemorySize": "512"}))
		if image := *get().Code.ImageUri; image != second {
			t.Errorf("the function runs %s", image)
		}
		if codes, configurations := w.server.Calls().Count("lambda:UpdateFunctionCode"), w.server.Calls().Count("lambda:UpdateFunctionConfiguration"); codes != 1 || configurations != 0 {
			t.Errorf("%d updates of the code and %d of the configuration", codes, configurations)
		}
	})
	t.Run("an image that is not there", func(t *testing.T) {
		request := r
		request.Previous, request.Properties = r.Properties, functionOn(first+"9", nil)
		_, err := w.kind(r.Type).Update(t.Context(), request)
		var failure *resource.Failure
		if !errors.As(err, &failure) || failure.Code != "InvalidParameterValueException" ||
			!strings.Contains(err.Error(), `Resource handler returned message: "Source image `+first+`9 does not exist. Provide a valid source image. (Service: Lambda, Status Code: 400, Request ID: `) ||
			!strings.Contains(err.Error(), "HandlerErrorCode: InvalidRequest") {
			t.Errorf("got %v", err)
		}
	})
	w.remove(r)
	_, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &r.PhysicalID})
	w.gone(err, "ResourceNotFoundException")
}

// What becomes of an update that somebody else's is in the way of.
func TestFunctionThatIsBeingUpdated(t *testing.T) {
	w := newWorld(t, localaws.Options{UpdateDelay: time.Second})
	client := lambda.NewFromConfig(w.aws)
	repository, _ := w.create("AWS::ECR::Repository", properties{"RepositoryName": "orders"})
	first, second := w.image(repository.PhysicalID, "v1"), w.image(repository.PhysicalID, "v2")
	r, _ := w.create("AWS::Lambda::Function", functionOn(first, nil))
	meanwhile := func(mb int32) {
		t.Helper()
		if _, err := client.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &r.PhysicalID, MemorySize: &mb}); err != nil {
			t.Fatal(err)
		}
	}
	runs := func(image string, mb int32) {
		t.Helper()
		out, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: &r.PhysicalID})
		if err != nil || *out.Code.ImageUri != image || *out.Configuration.MemorySize != mb || out.Configuration.LastUpdateStatus != types.LastUpdateStatusSuccessful {
			t.Errorf("got %+v, %v", out, err)
		}
	}
	conflicts := func() (n int) {
		for _, c := range w.server.Calls().All() {
			if c.Code == "ResourceConflictException" {
				n++
			}
		}
		return n
	}
	meanwhile(256)
	r.Previous, r.Properties = r.Properties, functionOn(second, nil)
	r.Yields = true
	_, err := w.kind(r.Type).Update(t.Context(), r)
	var failure *resource.Failure
	if !errors.As(err, &failure) || failure.Code != "ResourceConflictException" || !strings.Contains(err.Error(), "An update is in progress for resource: ") || !strings.Contains(err.Error(), "HandlerErrorCode: ResourceConflict)") {
		t.Errorf("got %v", err)
	}
	// When it is CloudFormation's own, of a process that was killed, it is waited for.
	r.Again = true
	if _, err := w.kind(r.Type).Update(t.Context(), r); err != nil {
		t.Errorf("the same call again: %v", err)
	}
	runs(second, 256)

	// Where it does not yield, the code is sent when the other update has ended.
	r.Again, r.Yields, r.Previous, r.Properties = false, false, functionOn(second, nil), functionOn(first, properties{"Timeout": 5})
	before := conflicts()
	meanwhile(512)
	if _, err := w.kind(r.Type).Update(t.Context(), r); err != nil {
		t.Error(err)
	}
	if n := conflicts() - before; n != 1 {
		t.Errorf("it is refused %d times, want once", n)
	}
	runs(first, 512)

	// So is a version published.
	before = conflicts()
	meanwhile(1024)
	_, result := w.create("AWS::Lambda::Version", properties{"FunctionName": r.PhysicalID})
	if n := conflicts() - before; n != 1 || result.Attributes["Version"] != "1" {
		t.Errorf("it is refused %d times, want once, and the version is %v", n, result.Attributes["Version"])
	}

	// Who waits can be told to stop.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	meanwhile(2048)
	r.Previous, r.Properties = r.Properties, functionOn(second, nil)
	if _, err := w.kind(r.Type).Update(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A creation whose answer was lost is taken up by the next call with its token.
func TestCreationAgain(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	repository, _ := w.create("AWS::ECR::Repository", properties{"RepositoryName": "orders"})
	image := w.image(repository.PhysicalID, "v1")
	for _, test := range []struct {
		call, kind string
		given      properties
	}{
		{"ecr:CreateRepository", "AWS::ECR::Repository", properties{}},
		{"lambda:CreateFunction", "AWS::Lambda::Function", functionOn(image, nil)},
		{"ssm:PutParameter", "AWS::SSM::Parameter", properties{"Type": "String", "Value": "v"}},
		{"s3:CreateBucket", "AWS::S3::Bucket", properties{}},
	} {
		t.Run(test.call, func(t *testing.T) {
			w.server.Faults().Add(fault.Rule{Operation: test.call, Kind: fault.LostAnswer, Times: 1})
			r := w.request(test.given)
			if _, err := w.kind(test.kind).Create(t.Context(), r); err == nil {
				t.Fatal("the answer was not lost")
			}
			if _, err := w.kind(test.kind).Create(t.Context(), r); err == nil {
				t.Error("a creation of what exists succeeded")
			}
			r.Again = true
			if _, err := w.kind(test.kind).Create(t.Context(), r); err != nil {
				t.Errorf("the same call again: %v", err)
			}
		})
	}
}

func TestVersionAndAlias(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	client := lambda.NewFromConfig(w.aws)
	repository, _ := w.create("AWS::ECR::Repository", properties{"RepositoryName": "orders"})
	function, _ := w.create("AWS::Lambda::Function", functionOn(w.image(repository.PhysicalID, "v1"), nil))
	first, result := w.create("AWS::Lambda::Version", properties{"FunctionName": function.PhysicalID, "Description": "one"})
	if result.Attributes["Version"] != "1" || !strings.HasSuffix(result.PhysicalID, ":function:"+function.PhysicalID+":1") {
		t.Errorf("got %v", result)
	}
	_, err := w.kind("AWS::Lambda::Version").Create(t.Context(), w.request(properties{"FunctionName": function.PhysicalID}))
	if err == nil || err.Error() != "A version for this Lambda function exists ( 1 ). Modify the function to create a new version." {
		t.Errorf("a version of nothing new: %v", err)
	}
	function, _ = w.update(function, functionOn(w.image(repository.PhysicalID, "v2"), nil))
	second, _ := w.create("AWS::Lambda::Version", properties{"FunctionName": function.PhysicalID})

	alias, result := w.create("AWS::Lambda::Alias", properties{
		"FunctionName": function.PhysicalID, "FunctionVersion": "1", "Name": "live",
		"RoutingConfig": properties{"AdditionalVersionWeights": []any{properties{"FunctionVersion": 2, "FunctionWeight": "0.25"}}},
	})
	if !strings.HasSuffix(result.PhysicalID, ":function:"+function.PhysicalID+":live") {
		t.Errorf("got %v", result)
	}
	get := func() *lambda.GetAliasOutput {
		t.Helper()
		out, err := client.GetAlias(t.Context(), &lambda.GetAliasInput{FunctionName: &function.PhysicalID, Name: aws.String("live")})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := get(); *out.FunctionVersion != "1" || out.RoutingConfig.AdditionalVersionWeights["2"] != 0.25 {
		t.Errorf("created: %+v", out)
	}
	alias, _ = w.update(alias, properties{"FunctionName": function.PhysicalID, "FunctionVersion": "2", "Name": "live"})
	if out := get(); *out.FunctionVersion != "2" || out.RoutingConfig != nil {
		t.Errorf("updated: %+v", out)
	}
	w.remove(alias)
	w.remove(second)
	w.remove(first)
	w.remove(function)
}

func TestCustomResource(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	token := w.answering()
	r, result := w.create("Custom::Thing", properties{"ServiceToken": token, "ServiceTimeout": "60", "Id": "thing-1", "Number": 7})
	if result.PhysicalID != "thing-1" || result.Attributes["Request"] != "Create" || result.Attributes["Type"] != "Custom::Thing" || result.Attributes["Number"] != "7" {
		t.Errorf("created: %v", result)
	}
	r, result = w.update(r, properties{"ServiceToken": token, "Number": 8})
	if result.PhysicalID != "thing-1" || result.Attributes["Old"] != "7" {
		t.Errorf("updated: %v", result)
	}
	r, result = w.update(r, properties{"ServiceToken": token, "Id": "thing-2", "Number": 8})
	if result.PhysicalID != "thing-2" {
		t.Errorf("replaced: %v", result)
	}
	w.remove(r)

	for name, test := range map[string]struct {
		properties properties
		want       string
	}{
		"it fails":             {properties{"ServiceToken": token, "Id": "x", "Answer": "failed"}, "Received response status [FAILED] from custom resource. Message returned: no luck (RequestId: "},
		"it says nothing":      {properties{"ServiceToken": token, "Answer": "none", "ServiceTimeout": 1}, "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId ["},
		"it says too much":     {properties{"ServiceToken": token, "Id": "x", "Answer": "long"}, "Response object is too long."},
		"it answers another":   {properties{"ServiceToken": token, "Id": "x", "Answer": "foreign"}, "Invalid response object"},
		"it gives no id":       {properties{"ServiceToken": token}, "Invalid PhysicalResourceId"},
		"its timeout is wrong": {properties{"ServiceToken": token, "ServiceTimeout": 3601}, "ServiceTimeout must be a number of seconds from 1 to 3600"},
		"it is a topic":        {properties{"ServiceToken": "arn:aws:sns:us-east-1:000000000000:topic"}, "Invalid service token"},
		"it is no function":    {properties{"ServiceToken": token + "x"}, "HandlerErrorCode: NotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			request := w.request(test.properties)
			request.Type = "Custom::Thing"
			result, err := resource.Custom().Create(t.Context(), request)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if result.PhysicalID == "" {
				t.Error("a failed creation has no id to be deleted with")
			}
		})
	}
	moved := r
	moved.Previous, moved.Properties = r.Properties, properties{"ServiceToken": token + "x"}
	if _, err := resource.Custom().Update(t.Context(), moved); err == nil || err.Error() != "Modifying service token is not allowed." {
		t.Errorf("another service token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := resource.Custom().Create(ctx, w.request(properties{"ServiceToken": token, "Answer": "none"})); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is ended: %v", err)
	}
}
