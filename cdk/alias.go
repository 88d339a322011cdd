package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// addAlias creates the alias that releases move. It is a resource of the provider's:
// CloudFormation would point an alias of its own back to the version that it knows.
func (f *ImageFunction) addAlias(needs []constructs.IDependable) {
	resource := f.Provider.resource(f.scope, "AliasResource", customresource.TypeAlias, customresource.Alias{
		Handoff: f.names.handoff.String(), Function: *f.FunctionName(), Alias: f.alias,
	}, needs)
	// The name is taken from the ARN, arn:…:function:NAME:ALIAS, so that what uses the
	// alias waits until it is there.
	name := awscdk.Fn_Select(jsii.Number(7), awscdk.Fn_Split(jsii.String(":"), resource.GetAttString(jsii.String(customresource.AttributeAliasARN)), nil))
	f.Alias = awslambda.Alias_FromAliasAttributes(f.scope, jsii.String("Alias"), &awslambda.AliasAttributes{
		AliasName: name, AliasVersion: f.LatestVersion(),
	})
}

// checkedAlias returns the name of an alias, or a stand-in for one that cannot be.
func checkedAlias(at constructs.IConstruct, name string) string {
	if name == "" || valid(at, name, func(s string) (string, error) { return s, tasuki.CheckAliasName(s) }) {
		return name
	}
	return "mistake"
}

// CurrentVersion is refused: the id of such a version does not follow the image, and an
// alias on it is put back by each deploy and rollback to the version that CloudFormation
// knows.
func (f *ImageFunction) CurrentVersion() awslambda.Version {
	mistake(f, "CurrentVersion and AddAlias do not follow releases, and would put the function's users back to an old image: set Alias in the properties of the ImageFunction, and use its Alias")
	return f.DockerImageFunction.CurrentVersion()
}
