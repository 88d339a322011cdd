package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/policy"
)

// ImageDeploymentProps are the properties of an [ImageDeployment].
type ImageDeploymentProps struct {
	Source     ImageSource
	Repository awsecr.IRepository // where the image goes
	// Tag is the image's in the repository; "" leaves it untagged, known by its digest.
	// In an immutable repository the tag may be there already, on the same image.
	Tag string
	// Architecture chooses a child of an index; nil copies the index as it is.
	Architecture awslambda.Architecture
	// ForLambda refuses an image that Lambda would refuse. It needs an Architecture.
	ForLambda bool
	// Provider does the copying; nil means the one that the stack's constructs share. One
	// of one's own has its own VPC, security groups, role, memory, timeout and log group.
	Provider *Provider
}

// ImageDeployment puts an image into an ECR repository at deploy time, and does so again
// when a property has changed. Images stay when it is deleted.
type ImageDeployment struct {
	constructs.Construct
	resource awscdk.CustomResource
}

// NewImageDeployment returns a deployment. What uses the image without using its Digest
// or ImageUri has to wait for it: Node().AddDependency.
func NewImageDeployment(scope constructs.Construct, id *string, props *ImageDeploymentProps) *ImageDeployment {
	if props == nil {
		props = &ImageDeploymentProps{}
	}
	d := &ImageDeployment{}
	constructs.NewConstruct_Override(d, scope, id)
	repository := required(d, props.Repository)
	arch := architectureOf(d, props.Architecture, "")
	if props.Tag != "" {
		valid(d, props.Tag, tasuki.ParseTag)
	}
	properties := customresource.Deployment{Destination: *repository.RepositoryUri(), Tag: props.Tag, Architecture: string(arch)}
	if props.ForLambda {
		properties.ForLambda = customresource.True
		if arch == "" {
			mistake(d, "ForLambda needs an Architecture, because Lambda runs images of one architecture only")
		}
	}
	provider := providerFor(d, props.Provider)
	bound := props.Source.bindTo(d, arch)
	properties.Source, properties.SourceSecret = bound.reference, bound.secret
	bound.Destination, bound.Stack = *repository.RepositoryArn(), *awscdk.Stack_Of(d).StackId()
	needs := provider.allow(d, "Policy", policy.Deployment(bound.DeploymentResources))
	d.resource = provider.resource(d, "Resource", customresource.TypeDeployment, properties, needs)
	return d
}

// Digest returns the image's or the index's digest, sha256:….
func (d *ImageDeployment) Digest() *string { return jsii.String(digestOf(d.resource)) }

// ImageUri returns the image's URI in the repository.
func (d *ImageDeployment) ImageUri() *string {
	return d.resource.GetAttString(jsii.String(customresource.AttributeImageURI))
}
