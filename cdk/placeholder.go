package tasukicdk

import (
	"cmp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/policy"
)

// placeholder returns the reference of the handoff's placeholder, "" for the built-in
// one, and adds to needs what the provider needs to read it.
func (f *ImageFunction) placeholder(props *ImageFunctionProps, needs []constructs.IDependable) (string, []constructs.IDependable) {
	if props.Placeholder == nil {
		return "", needs
	}
	at := constructs.NewConstruct(f.scope, jsii.String("PlaceholderSource"))
	bound := bindPlaceholder(at, *props.Placeholder, tasuki.Architecture(f.architecture))
	return bound.reference, append(needs, f.Provider.allow(at, "Policy", policy.Deployment(bound.DeploymentResources))...)
}

// bindPlaceholder refuses a source that needs credentials: a placeholder is read once,
// and needs none where it is an asset or public.
func bindPlaceholder(at constructs.Construct, source ImageSource, arch tasuki.Architecture) boundSource {
	bound := source.bindTo(at, arch)
	if bound.secret != "" {
		mistake(at, "a placeholder cannot need credentials: put the image into ECR with an ImageDeployment, or take a public one")
		bound.Secret = ""
	}
	return bound
}

// PlaceholderImageProps are the properties of a [PlaceholderImage].
type PlaceholderImageProps struct {
	// Handoff is named by the answers of the built-in placeholder; "" means the
	// repository's name.
	Handoff string
	// Repository is where the placeholder goes.
	Repository awsecr.IRepository
	// Tag is the placeholder's; "" means "initial".
	Tag string
	// Source is the image; nil means the built-in one, which fails each invocation and
	// says why. It cannot be one that needs credentials.
	Source *ImageSource
	// Architecture is that of the function that is to run it; nil means X86_64.
	Architecture awslambda.Architecture
	// Provider is another than the one that the stack's constructs share.
	Provider *Provider
}

// PlaceholderImage puts an image into an ECR repository, once: where its tag is taken,
// it is left as it is. An image that Lambda would refuse is refused, and what may
// surprise is said in the provider's log. It is for stacks without an [ImageFunction],
// which brings its own.
type PlaceholderImage struct {
	constructs.Construct
	resource awscdk.CustomResource
}

// NewPlaceholderImage returns a placeholder. What runs it has to wait for it:
// Node().AddDependency does, and so does using its TagOrDigest.
func NewPlaceholderImage(scope constructs.Construct, id *string, props *PlaceholderImageProps) *PlaceholderImage {
	if props == nil {
		props = &PlaceholderImageProps{}
	}
	p := &PlaceholderImage{}
	constructs.NewConstruct_Override(p, scope, id)
	repository := required(p, props.Repository)
	if props.Handoff != "" {
		valid(p, props.Handoff, tasuki.ParseHandoffName)
	}
	tag := cmp.Or(props.Tag, tasuki.DefaultPlaceholderTag.String())
	valid(p, tag, tasuki.ParseTag)
	arch := architectureOf(p, props.Architecture, tasuki.X86_64)
	var bound boundSource
	if props.Source != nil {
		bound = bindPlaceholder(p, *props.Source, arch)
	}
	provider := providerFor(p, props.Provider)
	bound.Destination, bound.Stack = *repository.RepositoryArn(), *awscdk.Stack_Of(p).StackId()
	needs := provider.allow(p, "Policy", policy.Merge(
		policy.Seed(policy.Resources{Repository: bound.Destination, WithoutContract: true}, policy.Options{}),
		policy.Deployment(bound.DeploymentResources),
	))
	p.resource = provider.resource(p, "Resource", customresource.TypePlaceholder, customresource.Placeholder{
		Handoff:      props.Handoff,
		Repository:   *repository.RepositoryUri(),
		Tag:          tag,
		Source:       bound.reference,
		Architecture: string(arch),
	}, needs)
	return p
}

// TagOrDigest returns the digest of the image under the placeholder's tag, for
// awslambda.DockerImageCode_FromEcr.
func (p *PlaceholderImage) TagOrDigest() *string { return jsii.String(digestOf(p.resource)) }

// ImageUri returns the image's URI, by tag.
func (p *PlaceholderImage) ImageUri() *string {
	return p.resource.GetAttString(jsii.String(customresource.AttributeImageURI))
}
