// Command infra synthesizes the stacks that the scenarios deploy: one function in all
// the shapes that its stack takes in the course of its life. Each shape is a stack of
// its own in the assembly, and its resources have the same logical ids in all of them,
// so that the scenarios deploy one after the other under one name.
package main

import (
	"runtime"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"

	tasukicdk "github.com/tasuki-dev/tasuki/cdk"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	for name, s := range shapes() {
		s.synthesize(app, name)
	}
	app.Synth(nil)
}

// shape is what differs from one template to the next. The zero shape is the function
// as it is first deployed.
type shape struct {
	memory   float64 // in MB; 0 means 256
	alias    string  // "" means live
	name     string  // of the function; "" leaves that to CloudFormation
	other    bool    // it is of the other architecture
	resolve  tasukicdk.Resolve
	fails    bool // a resource fails once the function is as the template has it
	existing bool // the repository is one that exists: parameter RepositoryName
	plain    bool // the function is CDK's own, on tag v1 of that repository
}

func shapes() map[string]shape {
	return map[string]shape{
		"Base":             {},
		"Configured":       {memory: 512},
		"Failing":          {memory: 512, fails: true},
		"OtherMachine":     {other: true},
		"Renamed":          {name: "orders-renamed"},
		"RenamedFailing":   {name: "orders-renamed", fails: true},
		"NextAlias":        {alias: "next"},
		"NextAliasFailing": {alias: "next", fails: true},
		"Every":            {resolve: tasukicdk.ResolveEveryDeploy},
		"EveryConfigured":  {resolve: tasukicdk.ResolveEveryDeploy, memory: 512},
		"EveryFailing":     {resolve: tasukicdk.ResolveEveryDeploy, memory: 512, fails: true},
		"Imported":         {existing: true},
		"Plain":            {existing: true, plain: true},
		"AdoptedFailing":   {existing: true, fails: true},
	}
}

func (s shape) synthesize(app awscdk.App, name string) {
	stack := awscdk.NewStack(app, jsii.String(name), nil)
	properties := awslambda.DockerImageFunctionProps{Architecture: machine(s.other), MemorySize: jsii.Number(256)}
	if s.memory != 0 {
		properties.MemorySize = jsii.Number(s.memory)
	}
	if s.name != "" {
		properties.FunctionName = jsii.String(s.name)
	}
	if s.plain {
		properties.Code = awslambda.DockerImageCode_FromEcr(s.repository(stack), &awslambda.EcrImageCodeProps{TagOrDigest: jsii.String("v1")})
		awslambda.NewDockerImageFunction(stack, jsii.String("Function"), &properties)
		return
	}
	if s.alias == "" {
		s.alias = "live"
	}
	// The provider runs on the machine that the scenarios run on.
	tasukicdk.NewProvider(stack, jsii.String(tasukicdk.ProviderID), &tasukicdk.ProviderProps{Architecture: machine(false)})
	function := tasukicdk.NewImageFunction(stack, jsii.String("Function"), &tasukicdk.ImageFunctionProps{
		DockerImageFunctionProps: properties, Handoff: "orders", Alias: s.alias, HoldEvents: true, Resolve: s.resolve,
		Repository: s.repository(stack),
	})
	queue := awssqs.NewQueue(stack, jsii.String("Queue"), nil)
	queue.GrantConsumeMessages(function)
	// Not an SqsEventSource: the stack's name is in the logical id of one.
	function.Alias.AddEventSourceMapping(jsii.String("Messages"), &awslambda.EventSourceMappingOptions{EventSourceArn: queue.QueueArn()})
	if s.fails {
		refused := awsssm.NewCfnParameter(stack, jsii.String("Refused"), &awsssm.CfnParameterProps{
			Type: jsii.String("String"), Value: jsii.String("anything"), AllowedPattern: jsii.String("^nothing$"),
		})
		refused.Node().AddDependency(function.Node().Scope()) // with all that the construct has made
	}
	awscdk.NewCfnOutput(stack, jsii.String("QueueUrl"), &awscdk.CfnOutputProps{Value: queue.QueueUrl()})
}

// repository returns the one that exists, or nil where the construct is to make one.
func (s shape) repository(stack awscdk.Stack) awsecr.IRepository {
	if !s.existing {
		return nil
	}
	name := awscdk.NewCfnParameter(stack, jsii.String("RepositoryName"), &awscdk.CfnParameterProps{Default: jsii.String("orders")})
	return awsecr.Repository_FromRepositoryName(stack, jsii.String("Existing"), name.ValueAsString())
}

// machine is the architecture of this machine, or the other one.
func machine(other bool) awslambda.Architecture {
	if (runtime.GOARCH == "arm64") != other {
		return awslambda.Architecture_ARM_64()
	}
	return awslambda.Architecture_X86_64()
}
