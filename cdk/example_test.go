package tasukicdk_test

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	tasukicdk "github.com/tasuki-dev/tasuki/cdk"
)

func ExampleNewImageFunction() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)
	orders := tasukicdk.NewImageFunction(stack, jsii.String("Function"), &tasukicdk.ImageFunctionProps{
		Handoff: "orders",
		DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
			Architecture: awslambda.Architecture_ARM_64(),
			MemorySize:   jsii.Number(512),
		},
		Alias:      "live",
		HoldEvents: true,
	})
	queue := awssqs.NewQueue(stack, jsii.String("Queue"), nil)
	orders.Alias.AddEventSource(awslambdaeventsources.NewSqsEventSource(queue, nil))

	ci := awsiam.NewRole(stack, jsii.String("Ci"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
	orders.GrantRelease(ci, &tasukicdk.ReleaseOptions{Push: true})

	fmt.Println(*orders.Tag.ParameterName())
	// Output: /tasuki/orders/image-tag
}

// The usual recipe, with a placeholder that needs no Docker and no second tool.
func ExampleNewSharedTag() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Orders"), nil)
	repository := awsecr.Repository_FromRepositoryName(stack, jsii.String("Repository"), jsii.String("orders"))
	placeholder := tasukicdk.NewPlaceholderImage(stack, jsii.String("Placeholder"), &tasukicdk.PlaceholderImageProps{Repository: repository})
	tag := tasukicdk.NewSharedTag(stack, jsii.String("Tag"), &tasukicdk.SharedTagProps{Handoff: "orders", TagParameter: "lambdaImageTag"})
	function := awslambda.NewDockerImageFunction(stack, jsii.String("Function"), &awslambda.DockerImageFunctionProps{
		Code: awslambda.DockerImageCode_FromEcr(repository, &awslambda.EcrImageCodeProps{TagOrDigest: tag.Value()}),
	})
	function.Node().AddDependency(placeholder)

	fmt.Println(*tag.ParameterName())
	// Output: lambdaImageTag
}

// An image from a private registry, for which the provider gets more time and memory.
func ExampleNewImageDeployment() {
	stack := awscdk.NewStack(awscdk.NewApp(nil), jsii.String("Base"), nil)
	repository := awsecr.NewRepository(stack, jsii.String("Repository"), nil)
	provider := tasukicdk.NewProvider(stack, jsii.String("Copier"), &tasukicdk.ProviderProps{
		MemorySize: jsii.Number(2048),
		Timeout:    awscdk.Duration_Minutes(jsii.Number(14)),
	})
	base := tasukicdk.NewImageDeployment(stack, jsii.String("Image"), &tasukicdk.ImageDeploymentProps{
		Source: tasukicdk.ImageFromRegistry("registry.example.com/base:1.4", &tasukicdk.RegistryOptions{
			CredentialsSecretArn: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:registry-AbCdEf",
		}),
		Repository: repository,
		Tag:        "1.4",
		Provider:   provider,
	})
	awscdk.NewCfnOutput(stack, jsii.String("BaseImage"), &awscdk.CfnOutputProps{Value: base.ImageUri()})

	fmt.Println(*awscdk.Token_IsUnresolved(base.Digest()))
	// Output: true
}

// One provider for several stacks of an account and region.
func ExampleNewProvider() {
	app := awscdk.NewApp(nil)
	shared := tasukicdk.NewProvider(awscdk.NewStack(app, jsii.String("Tasuki"), nil), jsii.String("Provider"), nil)
	for _, name := range []string{"orders", "bills"} {
		stack := awscdk.NewStack(app, jsii.String(name), nil)
		f := tasukicdk.NewImageFunction(stack, jsii.String("Function"), &tasukicdk.ImageFunctionProps{Handoff: name, Provider: shared})
		fmt.Println(f.Provider == shared)
	}
	// Output:
	// true
	// true
}
