package tasukicdk

import (
	"cmp"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
)

// The environment variables by which the two repositories share a handoff's names.
// What a construct's properties say comes first.
const (
	EnvironmentHandoff      = "TASUKI_HANDOFF"
	EnvironmentTagParameter = "TASUKI_TAG_PARAMETER"
)

// names are a handoff's names, checked.
type names struct {
	handoff        tasuki.HandoffName
	tagParameter   tasuki.ParameterName
	placeholderTag tasuki.Tag
}

// checkNames returns the names that properties and the environment give. What is wrong
// with them is said at the construct; stand-ins then take their place.
func checkNames(at constructs.IConstruct, handoff, tagParameter, placeholderTag string) names {
	n := names{placeholderTag: tasuki.DefaultPlaceholderTag}
	var err error
	if n.handoff, err = tasuki.ParseHandoffName(cmp.Or(handoff, os.Getenv(EnvironmentHandoff))); err != nil {
		mistake(at, "%v", err)
		n.handoff, _ = tasuki.ParseHandoffName("mistake") // is one
	}
	n.tagParameter = n.handoff.TagParameter()
	if name := cmp.Or(tagParameter, os.Getenv(EnvironmentTagParameter)); name != "" {
		if given, err := tasuki.ParseParameterName(name); err != nil {
			mistake(at, "%v", err)
		} else {
			n.tagParameter = given
		}
	}
	if placeholderTag != "" {
		if given, err := tasuki.ParseTag(placeholderTag); err != nil {
			mistake(at, "%v", err)
		} else {
			n.placeholderTag = given
		}
	}
	return n
}

// parameterARN returns the ARN of an SSM parameter in the construct's stack's account
// and region.
func parameterARN(at constructs.IConstruct, name tasuki.ParameterName) string {
	return *awscdk.Stack_Of(at).FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("parameter"),
		ResourceName: jsii.String(strings.TrimPrefix(name.String(), "/")),
	})
}
