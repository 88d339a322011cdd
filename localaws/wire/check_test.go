package wire_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func TestCheck(t *testing.T) {
	name := aws.String("n")
	tests := []struct {
		name     string
		in       any
		required []string
		want     string
	}{
		{"all there", &lambda.CreateAliasInput{Name: name}, []string{"Name"}, ""},
		{"a member", &lambda.CreateAliasInput{}, []string{"FunctionName"}, "Value null at 'functionName' failed to satisfy constraint: Member must not be null"},
		{"an enumeration", &lambda.CreateFunctionInput{}, []string{"Runtime"}, "Value null at 'runtime' failed to satisfy constraint: Member must not be null"},
		{"a member of an absent one", &lambda.CreateFunctionInput{}, []string{"VpcConfig.SubnetIds"}, ""},
		{"a member of a member", &lambda.CreateFunctionInput{VpcConfig: &types.VpcConfig{}}, []string{"VpcConfig.SubnetIds"}, "Value null at 'vpcConfig.subnetIds' failed to satisfy constraint: Member must not be null"},
		{"an element's member", &lambda.CreateFunctionInput{FileSystemConfigs: []types.FileSystemConfig{{Arn: name}, {}}}, []string{"FileSystemConfigs.Arn"}, "Value null at 'fileSystemConfigs.2.member.arn' failed to satisfy constraint: Member must not be null"},
		{"a value that there is not", &lambda.CreateFunctionUrlConfigInput{AuthType: "SOME"}, nil, "Value 'SOME' at 'authType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, AWS_IAM]"},
		{"one in a list", &lambda.CreateFunctionInput{Architectures: []types.Architecture{"arm64", "z80"}}, nil, "Value 'z80' at 'architectures.2.member' failed to satisfy constraint: Member must satisfy enum value set: [x86_64, arm64]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := wire.Check(test.in, test.required...)
			var e *wire.Error
			switch {
			case test.want == "" && err == nil:
			case !errors.As(err, &e) || e.Code != "ValidationException" || e.Message != "1 validation error detected: "+test.want:
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}
