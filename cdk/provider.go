package tasukicdk

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// ProviderID is the id of the provider that constructs of a stack share where none is
// given. To change its properties, make it under this id before them. It never changes:
// CloudFormation refuses another function for a custom resource that exists.
const ProviderID = "TasukiProvider"

// providerTimeout is how long the provider may take for one event, in seconds. It is
// enough for images of some hundred megabytes.
const providerTimeout = 300

// longestTimeout is what Lambda gives a function at most, in seconds.
const longestTimeout = 900

// providerMemory is the provider's memory in MB, of which Lambda has a range.
const (
	providerMemory = 512
	leastMemory    = 128
	mostMemory     = 10240
)

// answerReserve is how much longer than the provider CloudFormation waits, in seconds:
// the provider must have answered that it ran out of time before CloudFormation gives up.
const answerReserve = 60

// ProviderProps are the properties of a [Provider]. The zero ProviderProps is usual.
type ProviderProps struct {
	// Package is the path of a zip file with the provider's program, as
	// 'go build …/cmd/tasuki-provider' makes it and under the name bootstrap, for
	// machines that synthesize without Go. nil builds it now, with the Go that is there.
	Package *string
	// Architecture is that of the provider, not of the functions that it serves. nil
	// means ARM_64.
	Architecture awslambda.Architecture
	// Timeout is how long the provider may take for one event, 15 minutes at most; nil
	// means 5 minutes. Where large images are deployed it has to be longer.
	Timeout awscdk.Duration
	// MemorySize is in MB; nil means 512. It decides the network's speed too.
	MemorySize *float64
	// Role is for the provider to use, in place of one of its own. What the constructs
	// need is attached to it.
	Role awsiam.IRole
	// LogGroup takes the place of one that keeps the log for a month.
	LogGroup awslogs.ILogGroup
	// DeadLetterQueue takes the place of a queue of its own for events that could not
	// be handled.
	DeadLetterQueue awssqs.IQueue

	// Vpc, with its subnets and security groups, is for registries that only a VPC can
	// reach. The provider needs to reach SSM, ECR, Lambda, CloudFormation and S3 from there.
	Vpc            awsec2.IVpc
	VpcSubnets     *awsec2.SubnetSelection
	SecurityGroups *[]awsec2.ISecurityGroup
}

// Provider is the Lambda function that does the work: it resolves images, puts
// placeholders and other images into ECR, and reconciles. A stack has one; several
// stacks can share one.
type Provider struct {
	constructs.Construct
	Function        awslambda.IFunction
	Role            awsiam.IRole  // what it needs for a handoff is attached to it; nil where that is not for the constructs to do
	DeadLetterQueue awssqs.IQueue // events that could not be handled; nil for none
	timeout         float64       // seconds
}

// NewProvider returns a provider. Its package is built with the user's own Go, unless it
// is given.
func NewProvider(scope constructs.Construct, id *string, props *ProviderProps) *Provider {
	if props == nil {
		props = &ProviderProps{}
	}
	if made, there := scope.Node().TryFindChild(id).(*Provider); there {
		mistake(made, "there is a provider %s already, which other constructs may have had made: make yours before them", *id)
		return made
	}
	p := &Provider{}
	constructs.NewConstruct_Override(p, scope, id)
	p.timeout = timeoutOf(p, props.Timeout)
	logs := props.LogGroup
	if logs == nil {
		logs = awslogs.NewLogGroup(p, jsii.String("Log"), &awslogs.LogGroupProps{
			Retention:     awslogs.RetentionDays_ONE_MONTH,
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		})
	}
	p.DeadLetterQueue = props.DeadLetterQueue
	if p.DeadLetterQueue == nil {
		p.DeadLetterQueue = awssqs.NewQueue(p, jsii.String("DeadLetters"), &awssqs.QueueProps{
			RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
			EnforceSSL:      jsii.Bool(true),
		})
	}
	p.Role = props.Role
	if p.Role == nil {
		p.Role = newProviderRole(p, props.Vpc != nil)
	}
	logs.GrantWrite(p.Role)
	subnets, groups := props.VpcSubnets, props.SecurityGroups
	if props.Vpc == nil && (subnets != nil || groups != nil) {
		mistake(p, "VpcSubnets and SecurityGroups are those of a Vpc, and none is given")
		subnets, groups = nil, nil
	}
	arch := architectureOf(p, props.Architecture, tasuki.ARM64)
	memory := float64(providerMemory)
	if props.MemorySize != nil {
		memory = validNumber(p, "provider's MemorySize", "MB", *props.MemorySize, leastMemory, mostMemory)
	}
	p.Function = awslambda.NewFunction(p, jsii.String("Default"), &awslambda.FunctionProps{
		Description:     jsii.String("Tasuki: resolves and reconciles the images of Lambda functions"),
		Runtime:         awslambda.Runtime_PROVIDED_AL2023(),
		Handler:         jsii.String("bootstrap"),
		Architecture:    lambdaArchitecture(arch),
		Code:            providerCode(p, arch, props.Package),
		Timeout:         awscdk.Duration_Seconds(jsii.Number(p.timeout)),
		MemorySize:      jsii.Number(memory),
		Role:            p.Role,
		LogGroup:        logs,
		DeadLetterQueue: p.DeadLetterQueue,
		Vpc:             props.Vpc,
		VpcSubnets:      subnets,
		SecurityGroups:  groups,
	})
	p.allowRules()
	return p
}

// timeoutOf returns a provider's timeout in seconds.
func timeoutOf(at constructs.IConstruct, given awscdk.Duration) float64 {
	if given == nil {
		return providerTimeout
	}
	seconds := *given.ToSeconds(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)})
	return validNumber(at, "provider's Timeout", "s", seconds, 1, longestTimeout)
}

// FunctionArn returns the ARN by which other stacks can name the provider in
// [ProviderAttributes].
func (p *Provider) FunctionArn() *string { return p.Function.FunctionArn() }

// newProviderRole returns a role that may do nothing yet but to reach a VPC.
func newProviderRole(scope constructs.Construct, inVPC bool) awsiam.IRole {
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("Tasuki's provider"),
	})
	if inVPC {
		role.AddManagedPolicy(awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("service-role/AWSLambdaVPCAccessExecutionRole")))
	}
	return role
}

// allowRules lets the rules of handoffs invoke the provider and, where that fails, write
// to its dead-letter queue. It is one statement for all of them, because a function's
// policy holds some fifty statements, and a provider may serve more rules.
func (p *Provider) allowRules() {
	rules := awscdk.Stack_Of(p).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("events"), Resource: jsii.String("rule"), ResourceName: jsii.String(rulePrefix + "*"),
	})
	events := awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)
	p.Function.AddPermission(jsii.String("Rules"), &awslambda.Permission{Principal: events, SourceArn: rules})
	p.DeadLetterQueue.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Rules"),
		Principals: &[]awsiam.IPrincipal{events},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  &[]*string{p.DeadLetterQueue.QueueArn()},
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": rules}},
	}))
}

// ProviderAttributes name a provider that another stack of the account and region has
// made.
type ProviderAttributes struct {
	FunctionArn string
	// RoleArn is the provider's role, which what a handoff needs is attached to as two
	// inline policies. Inline policies of a role have 10,240 characters together, which
	// is enough for about five handoffs. "" attaches nothing: then the role has to allow
	// it already.
	RoleArn            string
	DeadLetterQueueArn string          // "" for none
	Timeout            awscdk.Duration // the provider's; nil means 5 minutes
}

// ProviderFromAttributes returns a provider that exists already.
func ProviderFromAttributes(scope constructs.Construct, id *string, attributes *ProviderAttributes) *Provider {
	if attributes == nil {
		attributes = &ProviderAttributes{}
	}
	p := &Provider{}
	constructs.NewConstruct_Override(p, scope, id)
	p.timeout = timeoutOf(p, attributes.Timeout)
	function := noProvider
	switch {
	case attributes.FunctionArn == "":
		mistake(p, "no FunctionArn is given: say which function is the provider")
	case p.isHere("a function", "lambda", attributes.FunctionArn):
		function = attributes.FunctionArn
	}
	p.Function = imported(p, "Function", function)
	if attributes.RoleArn != "" && p.isHere("a role", "iam", attributes.RoleArn) {
		p.Role = awsiam.Role_FromRoleArn(p, jsii.String("Role"), jsii.String(attributes.RoleArn), nil)
	}
	if attributes.DeadLetterQueueArn != "" && p.isHere("a queue", "sqs", attributes.DeadLetterQueueArn) {
		p.DeadLetterQueue = awssqs.Queue_FromQueueArn(p, jsii.String("DeadLetters"), jsii.String(attributes.DeadLetterQueueArn))
	}
	return p
}

// noProvider stands in for a provider's function in a template that is never deployed.
const noProvider = "arn:aws:lambda:no-region-1:000000000000:function:no-provider"

// imported returns a function that exists already, which is left to allow what invokes it.
func imported(scope constructs.Construct, id, arn string) awslambda.IFunction {
	return awslambda.Function_FromFunctionAttributes(scope, jsii.String(id), &awslambda.FunctionAttributes{
		FunctionArn: jsii.String(arn), SameEnvironment: jsii.Bool(true), SkipPermissions: jsii.Bool(true),
	})
}

// isHere reports whether an ARN is one of a service's, in the stack's account and region
// as far as both are known.
func (p *Provider) isHere(what, service, arn string) bool {
	if !validARN(p, what, service, arn) {
		return false
	}
	if unresolved(arn) {
		return true
	}
	stack, parts := awscdk.Stack_Of(p), strings.Split(arn, ":")
	for _, place := range []struct{ name, stacks, arns string }{{"region", *stack.Region(), parts[3]}, {"account", *stack.Account(), parts[4]}} {
		if place.arns != "" && !unresolved(place.stacks) && place.arns != place.stacks {
			mistake(p, "%s is of %s %s, but the stack is for %s: a provider serves its own account and region", arn, place.name, place.arns, place.stacks)
			return false
		}
	}
	return true
}

// providerFor returns the provider that is given, else the one that the stack shares.
func providerFor(at constructs.Construct, given *Provider) *Provider {
	stack := awscdk.Stack_Of(at)
	if given != nil {
		there, here := *awscdk.Stack_Of(given).Environment(), *stack.Environment()
		if there == here {
			return given
		}
		mistake(at, "the Provider is in the environment %s, but the stack is for %s: a provider serves its own account and region", there, here)
		return &Provider{Function: imported(at, "NoProvider", noProvider), timeout: providerTimeout}
	}
	if shared, ok := stack.Node().TryFindChild(jsii.String(ProviderID)).(*Provider); ok {
		return shared
	}
	return NewProvider(stack, jsii.String(ProviderID), nil)
}

// resource adds a custom resource that the provider serves, once what it needs is
// attached to the provider's role. The properties are a struct of package customresource.
func (p *Provider) resource(scope constructs.Construct, id, kind string, properties any, needs []constructs.IDependable) awscdk.CustomResource {
	generic := customresource.Properties(properties)
	resource := awscdk.NewCustomResource(scope, jsii.String(id), &awscdk.CustomResourceProps{
		ServiceToken:   p.FunctionArn(),
		ResourceType:   jsii.String(kind),
		ServiceTimeout: awscdk.Duration_Seconds(jsii.Number(p.timeout + answerReserve)),
		Properties:     &generic,
	})
	resource.Node().AddDependency(needs...)
	return resource
}
