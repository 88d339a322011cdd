package resource_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
)

// What a type reads is what its resource was created with, and then what somebody else
// has made of it; of one that is gone, nothing.
func TestRead(t *testing.T) {
	w := newWorld(t, localaws.Options{})
	repository, _ := w.create("AWS::ECR::Repository", properties{"RepositoryName": "orders"})
	image := w.image(repository.PhysicalID, "v1")
	function, _ := w.create("AWS::Lambda::Function", functionOn(image, nil))
	version, _ := w.create("AWS::Lambda::Version", properties{"FunctionName": function.PhysicalID})
	number := version.PhysicalID[strings.LastIndexByte(version.PhysicalID, ':')+1:]
	policy := properties{"Version": "2012-10-17", "Statement": []any{properties{"Effect": "Allow", "Principal": properties{"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}}}
	tags := []any{properties{"Key": "own", "Value": "1"}}
	for kind, test := range map[string]struct {
		given  properties
		change func(id string) error
		after  properties // of what is given
	}{
		"AWS::Lambda::Function": {
			functionOn(image, properties{"FunctionName": "read", "MemorySize": 256, "Timeout": 5, "Description": "d", "Environment": properties{"Variables": properties{"LEVEL": "3"}}, "ImageConfig": properties{"Command": []any{"x"}}, "Tags": tags}),
			func(id string) error {
				_, err := lambda.NewFromConfig(w.aws).UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &id, MemorySize: aws.Int32(512)})
				return err
			}, properties{"MemorySize": 512},
		},
		"AWS::Lambda::Alias": {
			properties{"FunctionName": function.PhysicalID, "FunctionVersion": number, "Name": "live", "Description": "d"},
			func(id string) error {
				_, err := lambda.NewFromConfig(w.aws).UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: &function.PhysicalID, Name: aws.String("live"), Description: aws.String("e")})
				return err
			}, properties{"Description": "e"},
		},
		"AWS::SSM::Parameter": {
			properties{"Name": "/orders/read", "Type": "String", "Value": "v1", "Description": "d", "AllowedPattern": "^v", "Tags": properties{"own": "1"}},
			func(id string) error {
				_, err := ssm.NewFromConfig(w.aws).PutParameter(t.Context(), &ssm.PutParameterInput{Name: &id, Value: aws.String("v2"), Overwrite: aws.Bool(true)})
				return err
			}, properties{"Value": "v2"},
		},
		"AWS::ECR::Repository": {
			properties{
				"RepositoryName": "read", "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "RepositoryPolicyText": policy, "Tags": tags, "EmptyOnDelete": true,
				"ImageTagMutabilityExclusionFilters": []any{properties{"ImageTagMutabilityExclusionFilterType": "WILDCARD", "ImageTagMutabilityExclusionFilterValue": "tasuki-*"}},
			},
			func(id string) error {
				_, err := ecr.NewFromConfig(w.aws).PutImageTagMutability(t.Context(), &ecr.PutImageTagMutabilityInput{RepositoryName: &id, ImageTagMutability: "MUTABLE"})
				return err
			}, properties{"ImageTagMutability": "MUTABLE", "ImageTagMutabilityExclusionFilters": []any{}},
		},
		"AWS::SQS::Queue": {
			properties{"QueueName": "read", "VisibilityTimeout": 45, "Tags": tags},
			func(id string) error {
				_, err := sqs.NewFromConfig(w.aws).SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &id, Attributes: map[string]string{"VisibilityTimeout": "60"}})
				return err
			}, properties{"VisibilityTimeout": 60},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			r, _ := w.create(kind, test.given)
			of := w.kind(kind)
			check := func(want properties) {
				t.Helper()
				found, err := of.Read(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range want {
					if diff := cmp.Diff(canonical(t, value), canonical(t, found[name])); diff != "" && !slices.Contains(of.Unread, name) {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					}
				}
			}
			check(test.given)
			if err := test.change(r.PhysicalID); err != nil {
				t.Fatal(err)
			}
			check(test.after)
			w.remove(r)
			if _, err := of.Read(t.Context(), r); !resource.IsMissing(err) {
				t.Errorf("of one that is gone: %v", err)
			}
		})
	}
}

// canonical returns a value with its scalars as texts, and documents as what they say.
func canonical(t *testing.T, value any) any {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var found any
	if err := json.Unmarshal(b, &found); err != nil {
		t.Fatal(err)
	}
	return asTexts(found)
}

func asTexts(value any) any {
	switch v := value.(type) {
	case string:
		var document map[string]any
		if json.Unmarshal([]byte(v), &document) == nil {
			return asTexts(document)
		}
		return v
	case map[string]any:
		for key, member := range v {
			v[key] = asTexts(member)
		}
		return v
	case []any:
		for i, element := range v {
			v[i] = asTexts(element)
		}
		return v
	}
	return fmt.Sprint(value)
}
