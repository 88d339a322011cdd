package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	tasukicdk "github.com/tasuki-dev/tasuki/cdk"
)

// newOrders is a function that serves a queue and a URL. Which image it runs is the
// application repository's business: its CI runs 'tasuki release orders'.
func newOrders(scope constructs.Construct, id *string) awscdk.Stack {
	stack := awscdk.NewStack(scope, id, nil)
	tasukicdk.NewProvider(stack, jsii.String(tasukicdk.ProviderID), &tasukicdk.ProviderProps{Architecture: architecture(stack)})
	orders := tasukicdk.NewImageFunction(stack, jsii.String("Function"), &tasukicdk.ImageFunctionProps{
		Handoff: "orders",
		DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
			Architecture: architecture(stack),
			MemorySize:   memory(stack),
			Timeout:      awscdk.Duration_Seconds(jsii.Number(30)),
		},
		RepositoryProps: &awsecr.RepositoryProps{
			LifecycleRules: &[]*awsecr.LifecycleRule{{Description: jsii.String("keeps a year of releases, or so"), MaxImageCount: jsii.Number(200)}},
		},
		Alias:      "live",
		HoldEvents: true, // the placeholder would send the queue's messages to the dead-letter queue
	})

	failed := awssqs.NewQueue(stack, jsii.String("Failed"), &awssqs.QueueProps{RetentionPeriod: awscdk.Duration_Days(jsii.Number(14))})
	queue := awssqs.NewQueue(stack, jsii.String("Queue"), &awssqs.QueueProps{
		VisibilityTimeout: awscdk.Duration_Minutes(jsii.Number(3)), // six times the function's timeout, as AWS advises
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: failed, MaxReceiveCount: jsii.Number(5)},
	})
	orders.Alias.AddEventSource(awslambdaeventsources.NewSqsEventSource(queue, &awslambdaeventsources.SqsEventSourceProps{
		BatchSize: jsii.Number(10),
	}))
	url := orders.Alias.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_AWS_IAM})

	awscdk.NewCfnOutput(stack, jsii.String("Url"), &awscdk.CfnOutputProps{Value: url.Url()})
	awscdk.NewCfnOutput(stack, jsii.String("QueueUrl"), &awscdk.CfnOutputProps{Value: queue.QueueUrl()})
	return stack
}
