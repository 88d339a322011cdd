package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki/policy"
)

// SharedTagProps are the properties of a [SharedTag]. Names that are left out come from
// the environment, as for an [ImageFunction].
type SharedTagProps struct {
	Handoff      string // "" means TASUKI_HANDOFF
	TagParameter string // "" means TASUKI_TAG_PARAMETER, else /tasuki/<handoff>/image-tag
}

// SharedTag is a handoff's tag parameter, imported by its name. It is never in a
// template: the application side creates it with its first release, and CloudFormation
// would put its value back.
type SharedTag struct {
	constructs.Construct
	names names
}

// NewSharedTag returns the tag parameter of a handoff.
func NewSharedTag(scope constructs.Construct, id *string, props *SharedTagProps) *SharedTag {
	if props == nil {
		props = &SharedTagProps{}
	}
	t := newSharedTag(scope, id)
	t.names = checkNames(t, props.Handoff, props.TagParameter, "")
	return t
}

func newSharedTag(scope constructs.Construct, id *string) *SharedTag {
	t := &SharedTag{}
	constructs.NewConstruct_Override(t, scope, id)
	return t
}

// ParameterName returns the parameter's name.
func (t *SharedTag) ParameterName() *string { return jsii.String(t.names.tagParameter) }

// ParameterArn returns the parameter's ARN.
func (t *SharedTag) ParameterArn() *string {
	return jsii.String(parameterARN(t, t.names.tagParameter))
}

// Value returns the tag as it stands when the stack is deployed, which CloudFormation
// reads. The parameter must exist by then, and a tag that is not in ECR fails the deploy.
func (t *SharedTag) Value() *string {
	if unresolved(t.names.tagParameter) {
		mistake(t, "CloudFormation reads the parameter's value only by a name that the template has: give TagParameter as text")
		return jsii.String("mistake")
	}
	return awsssm.StringParameter_ValueForStringParameter(t, t.ParameterName(), nil)
}

// ImageUri returns the URI of the registered image in a repository, with the separator
// that the value asks for: '@' before a digest, ':' before a tag.
// awslambda.DockerImageCode_FromEcr puts ':' before both.
func (t *SharedTag) ImageUri(repository awsecr.IRepository) *string {
	id := jsii.String("IsDigest")
	isDigest, ok := t.Node().TryFindChild(id).(awscdk.CfnCondition)
	if !ok {
		// What is before the first "sha256:" is empty where the value begins with it; the
		// value has one more at its end, so that there always is a first.
		algorithm := jsii.String("sha256:")
		with := awscdk.Fn_Join(jsii.String(""), &[]*string{t.Value(), algorithm})
		before := awscdk.Fn_Select(jsii.Number(0), awscdk.Fn_Split(algorithm, with, nil))
		isDigest = awscdk.NewCfnCondition(t, id, &awscdk.CfnConditionProps{Expression: awscdk.Fn_ConditionEquals(before, jsii.String(""))})
	}
	separator := awscdk.Token_AsString(awscdk.Fn_ConditionIf(isDigest.LogicalId(), "@", ":"), nil)
	return awscdk.Fn_Join(jsii.String(""), &[]*string{repository.RepositoryUri(), separator, t.Value()})
}

// GrantRelease allows a grantee to register releases in the parameter, and nothing
// beyond it. What a release does to images and functions is granted by
// [ImageFunction.GrantRelease].
func (t *SharedTag) GrantRelease(grantee awsiam.IGrantable) awsiam.Grant {
	return grant(grantee, policy.Register(t.resources(), policy.Options{}))
}

// GrantRead allows a grantee to read the parameter and its history.
func (t *SharedTag) GrantRead(grantee awsiam.IGrantable) awsiam.Grant {
	return grant(grantee, policy.Merge(
		policy.Resolve(t.resources(), policy.Options{}),
		policy.ResolveTagOnly(t.resources(), policy.Options{}),
	))
}

func (t *SharedTag) resources() policy.Resources {
	return policy.Resources{TagParameter: *t.ParameterArn(), WithoutContract: true}
}
