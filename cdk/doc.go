// Package tasukicdk has the CDK constructs of the relay's infrastructure side.
//
// [ImageFunction] is a Lambda function that runs what the application side has
// released. It is in the template always: with the registered image, with the one that
// runs already, or with a placeholder until there is a release.
//
//	orders := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &tasukicdk.ImageFunctionProps{
//		Handoff: "orders",
//		DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
//			Architecture: awslambda.Architecture_ARM_64(),
//			MemorySize:   jsii.Number(512),
//		},
//	})
//
// From then on 'tasuki release orders' in the application's CI needs no other setting.
//
// The other constructs are parts of it that can be used alone: [SharedTag] is the tag
// parameter, [PlaceholderImage] puts a placeholder into ECR, [ImageDeployment] puts any
// image into any ECR repository, and [Provider] is the function that does the work at
// deploy time and reconciles afterwards.
//
// What is wrong with the properties is added to the construct as an error annotation,
// one sentence each, so that 'cdk synth' shows all of them and deploys nothing.
package tasukicdk
