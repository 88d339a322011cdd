package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newPlainOrders is the usual recipe, without Tasuki: CloudFormation reads the tag
// parameter at each deploy. Somebody has to create the parameter with the value
// "initial", and to push an image under that tag, before the first deploy; a rollback puts
// the image back that CloudFormation knew before, even if a release came in between.
func newPlainOrders(scope constructs.Construct, id *string) awscdk.Stack {
	stack := awscdk.NewStack(scope, id, nil)
	tag := awsssm.StringParameter_ValueForStringParameter(stack, jsii.String("lambdaImageTag"), nil)
	repository := awsecr.Repository_FromRepositoryName(stack, jsii.String("Repository"), jsii.String("plain-orders"))
	awslambda.NewDockerImageFunction(stack, jsii.String("Function"), &awslambda.DockerImageFunctionProps{
		Code:         awslambda.DockerImageCode_FromEcr(repository, &awslambda.EcrImageCodeProps{TagOrDigest: tag}),
		Architecture: architecture(stack),
		MemorySize:   memory(stack),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(30)),
	})
	return stack
}
