package tasukicdk

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	// protectedPrefix begins the tags that protect images in ECR.
	protectedPrefix = "tasuki-"
	// sparedImages is how many protected images the first lifecycle rule keeps. A handoff
	// has a few; the doctor takes 1000 for all.
	sparedImages = 1000
	// mostFilters is how many exclusions from a repository's immutability ECR takes.
	mostFilters = 5
)

// repositoryFor returns the repository that is given, else one that keeps what was
// released.
func repositoryFor(scope constructs.Construct, props *ImageFunctionProps) awsecr.IRepository {
	if props.Repository != nil {
		if props.RepositoryProps != nil {
			mistake(scope, "Repository and RepositoryProps are both set: give the repository, or the properties to make one with")
		}
		stack, region := awscdk.Stack_Of(scope), *props.Repository.Env().Region
		if here := *stack.Region(); !unresolved(here) && !unresolved(region) && here != region {
			mistake(scope, "the repository is in %s, and the function in %s: Lambda takes images of its own region only", region, here)
		}
		return props.Repository
	}
	var repository awsecr.RepositoryProps
	if props.RepositoryProps != nil {
		repository = *props.RepositoryProps
	}
	if repository.RemovalPolicy == "" {
		repository.RemovalPolicy = awscdk.RemovalPolicy_RETAIN
	}
	exclude(scope, &repository)
	shield(scope, &repository)
	return awsecr.NewRepository(scope, jsii.String("Repository"), &repository)
}

// required returns the repository that a construct cannot do without, or a stand-in.
func required(at constructs.Construct, given awsecr.IRepository) awsecr.IRepository {
	if given != nil {
		return given
	}
	mistake(at, "no Repository is given: say which one the image goes into")
	return awsecr.Repository_FromRepositoryName(at, jsii.String("NoRepository"), jsii.String("no-repository"))
}

// exclude makes tags immutable but for those that protect images.
func exclude(scope constructs.Construct, props *awsecr.RepositoryProps) {
	var given []awsecr.ImageTagMutabilityExclusionFilter
	if props.ImageTagMutabilityExclusionFilters != nil {
		given = *props.ImageTagMutabilityExclusionFilters
	}
	switch props.ImageTagMutability {
	case "", awsecr.TagMutability_IMMUTABLE_WITH_EXCLUSION:
		props.ImageTagMutability = awsecr.TagMutability_IMMUTABLE_WITH_EXCLUSION
		if len(given) >= mostFilters {
			mistake(scope, "the repository has %d exclusion filters: ECR takes %d, and one is for the tags that protect released images, so give %d at most", len(given), mostFilters, mostFilters-1)
			given = given[:mostFilters-1]
		}
		filters := append(slices.Clone(given), awsecr.ImageTagMutabilityExclusionFilter_Wildcard(jsii.String(protectedPrefix+"*")))
		props.ImageTagMutabilityExclusionFilters = &filters
	case awsecr.TagMutability_IMMUTABLE:
		mistake(scope, "the repository is IMMUTABLE, so the tags that protect released images cannot follow them: leave ImageTagMutability out, which makes all other tags immutable")
	}
}

// shield puts a lifecycle rule before all others that spares protected images: ECR
// cannot know which images are in use.
func shield(scope constructs.Construct, props *awsecr.RepositoryProps) {
	rules := []*awsecr.LifecycleRule{{
		RulePriority:  jsii.Number(1),
		Description:   jsii.String("spares released images"),
		TagStatus:     awsecr.TagStatus_TAGGED,
		TagPrefixList: jsii.Strings(protectedPrefix),
		MaxImageCount: jsii.Number(sparedImages),
	}}
	if props.LifecycleRules != nil {
		rules = append(rules, *props.LifecycleRules...)
	}
	for _, rule := range rules[1:] {
		if rule.RulePriority != nil && *rule.RulePriority <= 1 {
			mistake(scope, "a lifecycle rule has priority %v, but the first one has to be that which spares released images: begin with 2", *rule.RulePriority)
			rules = rules[:1]
			break
		}
	}
	props.LifecycleRules = &rules
}
