package tasukicdk

import (
	"strconv"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/policy"
)

// Resolve says when the image of a function is resolved.
type Resolve string

// The moments at which an image can be resolved. After each of them reconciling keeps
// the function on the registered image.
const (
	// ResolveOnCreate resolves when the function is created or replaced. From then on
	// CloudFormation sees no difference, so neither a deploy nor a rollback moves the
	// code. It is what "" means.
	ResolveOnCreate Resolve = "OnCreate"
	// ResolveEveryDeploy resolves at each deploy too, by a property that differs in each
	// template. A rollback puts the image back that CloudFormation knew before, until the
	// stack is reconciled.
	ResolveEveryDeploy Resolve = "EveryDeploy"
	// ResolveSynthTime takes the image from ImageFunctionProps.Lookup, so that the
	// template names it.
	ResolveSynthTime Resolve = "SynthTime"
)

// ImageFunctionProps are the properties of an [ImageFunction]. All may be left out but
// the handoff, which the environment variable TASUKI_HANDOFF can give as well.
type ImageFunctionProps struct {
	// DockerImageFunctionProps are the function's own: memory, environment, role, VPC
	// and all else. Its Code is not to be set.
	awslambda.DockerImageFunctionProps

	// Handoff is the relay's name, as in "orders" or "stg/orders"; "" means TASUKI_HANDOFF.
	Handoff string
	// TagParameter is the name of the SSM parameter that the application side registers
	// its releases in; "" means TASUKI_TAG_PARAMETER, else /tasuki/<handoff>/image-tag.
	TagParameter string
	// Resolve says when the image is resolved; "" means ResolveOnCreate.
	Resolve Resolve
	// Lookup is what package lookup has found, for ResolveSynthTime.
	Lookup *Lookup

	// Placeholder is the image until there is a release; nil means the built-in one,
	// which fails each invocation and says why. An image from a registry cannot be one
	// that needs credentials.
	Placeholder *ImageSource
	// PlaceholderTag is the tag that the placeholder has in ECR; "" means "initial".
	PlaceholderTag string

	// Repository is one that exists already. It should be immutable but for tasuki-*,
	// and its lifecycle rules should spare that prefix; 'tasuki doctor' says whether.
	Repository awsecr.IRepository
	// RepositoryProps are those of the repository that is made where none is given. What
	// they leave out is chosen so that released images stay: see [NewImageFunction].
	RepositoryProps *awsecr.RepositoryProps

	// Alias is the name of an alias that releases move; "" for none.
	Alias string
	// HoldEvents keeps the function's event source mappings disabled until the first
	// release: a placeholder would send their events to the dead-letter queue.
	HoldEvents bool

	// Provider is another than the one that the stack's constructs share.
	Provider *Provider
	// ReconcileEvery is the schedule's period; nil means 15 minutes.
	ReconcileEvery awscdk.Duration
	// NoSchedule leaves the schedule out. Then a change event that AWS loses is mended by
	// the next one only.
	NoSchedule bool
}

// ImageFunction is a Lambda function that runs what is released under a handoff. It is a
// DockerImageFunction, and can be used wherever CDK takes one.
type ImageFunction struct {
	awslambda.DockerImageFunction

	Repository awsecr.IRepository
	Provider   *Provider
	// Alias is the alias that releases move; nil where there is none. Event sources, URLs
	// and permissions can be put on it.
	Alias awslambda.IAlias
	// Tag is the tag parameter.
	Tag *SharedTag

	scope        constructs.Construct
	names        names
	architecture string // x86_64 or arm64
	alias        string
}

// NewImageFunction returns a function that runs what is released under a handoff, with
// all that the relay needs: a repository, the contract for the application side, and
// rules that reconcile.
//
// The function's and its role's logical ids are those which
// [awslambda.NewDockerImageFunction] would give them under the same id, so that a stack
// which has such a function can adopt this one without replacing it.
//
// The repository is kept when the stack is deleted or the repository replaced; its tags
// cannot be moved, but for those that Tasuki protects images with, and a first lifecycle
// rule spares these.
func NewImageFunction(scope constructs.Construct, id *string, props *ImageFunctionProps) *ImageFunction {
	if props == nil {
		props = &ImageFunctionProps{}
	}
	at := constructs.NewConstruct(scope, id)
	f := &ImageFunction{scope: at, alias: checkedAlias(at, props.Alias)}
	f.names = checkNames(at, props.Handoff, props.TagParameter, props.PlaceholderTag)
	f.names.claim(at)
	f.Tag = newSharedTag(at, jsii.String("Tag"))
	f.Tag.names = f.names
	f.architecture = string(architectureOf(at, props.Architecture, tasuki.X86_64)) // Lambda's default, and CDK's
	f.Repository = repositoryFor(at, props)
	f.Provider = providerFor(at, props.Provider)

	needs := f.Provider.allow(at, "ImagePolicy", f.imageStatements(props.FunctionName))
	image := f.resolution(props, needs)
	function := props.DockerImageFunctionProps
	if function.Code != nil {
		mistake(at, "Code is not to be set: the handoff decides which image the function runs")
	}
	function.Code = awslambda.DockerImageCode_FromEcr(f.Repository, &awslambda.EcrImageCodeProps{TagOrDigest: jsii.String(image.digest)})
	if function.Architecture != nil {
		function.Architecture = lambdaArchitecture(tasuki.Architecture(f.architecture)) // a stand-in for a wrong one
	}
	awslambda.NewDockerImageFunction_Override(f, at, jsii.String("Default"), &function)
	image.nameFunction(f, props)

	needs = f.Provider.allow(at, "FunctionPolicy", f.functionStatements())
	f.writeContract()
	if f.alias != "" {
		f.addAlias(needs)
	}
	rules := f.addRules(props, needs)
	if props.HoldEvents {
		f.holdEvents(rules)
	}
	return f
}

// resolved is the image that the template gives the function.
type resolved struct {
	digest   string                // sha256: and, in most modes, a token
	resource awscdk.CustomResource // of type TypeImage; nil in other modes
}

// resolution returns the image for the function, whatever could be read: the function is
// in the template always.
func (f *ImageFunction) resolution(props *ImageFunctionProps, needs []constructs.IDependable) resolved {
	var nonce string
	if props.TenancyConfig != nil {
		nonce = "tenancy" // it replaces the function, and the replacement must have an image of its time
	}
	switch props.Resolve {
	case "", ResolveOnCreate:
	case ResolveEveryDeploy:
		nonce = strconv.FormatInt(time.Now().UnixMilli(), 10)
	case ResolveSynthTime:
		return f.lookedUp(props, needs)
	default:
		mistake(f.scope, "%q is not a way to resolve: it is OnCreate, EveryDeploy or SynthTime", props.Resolve)
	}
	if props.Lookup != nil {
		mistake(f.scope, "Lookup is for ResolveSynthTime: set Resolve, or leave the lookup out")
	}
	source, needs := f.placeholder(props, needs)
	resource := f.Provider.resource(f.scope, "ImageResource", customresource.TypeImage, customresource.Image{
		Handoff:        f.names.handoff.String(),
		Repository:     *f.Repository.RepositoryUri(),
		TagParameter:   f.names.tagParameter,
		PlaceholderTag: f.names.placeholderTag,
		Placeholder:    source,
		Architecture:   f.architecture,
		Nonce:          nonce,
	}, needs)
	return resolved{digestOf(resource), resource}
}

// digestOf returns the digest that a custom resource answers. CDK looks at how the
// string begins to tell a digest from a tag, so the algorithm stays in the template.
func digestOf(resource awscdk.CustomResource) string {
	return "sha256:" + *resource.GetAttString(jsii.String(customresource.AttributeDigestHex))
}

// nameFunction tells the provider which function the image is for: by its logical id, as
// plain text, because a reference would be a cycle.
func (r resolved) nameFunction(f *ImageFunction, props *ImageFunctionProps) {
	if r.resource == nil {
		return
	}
	function := map[string]any{"LogicalID": awscdk.Stack_Of(f).GetLogicalId(f.Node().DefaultChild().(awscdk.CfnElement))}
	if props.FunctionName != nil {
		function["Name"] = props.FunctionName
	}
	r.resource.Node().DefaultChild().(awscdk.CfnResource).AddPropertyOverride(jsii.String("Functions"), []any{function})
}

// resources returns the handoff's ARNs, but for the function's.
func (f *ImageFunction) resources() policy.Resources {
	return policy.Resources{TagParameter: parameterARN(f.scope, f.names.tagParameter), Repository: *f.Repository.RepositoryArn()}
}

// imageStatements are what the provider needs before there is a function, which may
// have been given a name.
func (f *ImageFunction) imageStatements(name *string) []policy.Statement {
	stack := awscdk.Stack_Of(f.scope)
	var named []string
	if name != nil {
		named = append(named, *stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("lambda"), Resource: jsii.String("function"), ResourceName: name, ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
		}))
	}
	return policy.Merge(
		policy.Provider(f.resources(), policy.ProviderOptions{Stack: *stack.StackId()}),
		policy.Adoption(*stack.StackId(), named...),
	)
}

// functionStatements are what the provider needs on the function.
func (f *ImageFunction) functionStatements() []policy.Statement {
	return policy.Provider(policy.Resources{Functions: []string{*f.FunctionArn()}, Aliased: f.alias != ""}, policy.ProviderOptions{})
}

// ReleaseOptions say what a release does beyond what it always does.
type ReleaseOptions struct {
	Push  bool // it pushes its image: --image
	Smoke bool // it invokes the function: --smoke
}

// GrantRelease allows a grantee, as the application's CI, to release, register and roll
// back.
func (f *ImageFunction) GrantRelease(grantee awsiam.IGrantable, options *ReleaseOptions) awsiam.Grant {
	if options == nil {
		options = &ReleaseOptions{}
	}
	return grant(grantee, policy.Release(f.all(), policy.Options{Push: options.Push, Smoke: options.Smoke}))
}

// GrantRead allows a grantee to see what is registered and what runs: status, doctor and
// history.
func (f *ImageFunction) GrantRead(grantee awsiam.IGrantable) awsiam.Grant {
	return grant(grantee, policy.Merge(policy.Doctor(f.all(), policy.Options{}), policy.History(f.all(), policy.Options{})))
}

// all returns the handoff's ARNs.
func (f *ImageFunction) all() policy.Resources {
	r := f.resources()
	r.Contract = parameterARN(f.scope, f.names.handoff.ContractParameter().String())
	r.Functions, r.Aliased = []string{*f.FunctionArn()}, f.alias != ""
	r.Stack = *awscdk.Stack_Of(f.scope).StackId() // which the contract names
	return r
}
