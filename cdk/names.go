package tasukicdk

import (
	"cmp"
	"errors"
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

// names are a handoff's names, checked. But for the handoff's own they may be tokens.
type names struct {
	handoff        tasuki.HandoffName
	tagParameter   string
	placeholderTag string
}

// checkNames returns the names that properties and the environment give. What is wrong
// with them is said at the construct; stand-ins then take their place.
func checkNames(at constructs.IConstruct, handoff, tagParameter, placeholderTag string) names {
	n := names{placeholderTag: tasuki.DefaultPlaceholderTag.String()}
	handoff = cmp.Or(handoff, os.Getenv(EnvironmentHandoff))
	var err error
	if n.handoff, err = tasuki.ParseHandoffName(handoff); err != nil {
		if unresolved(handoff) {
			err = errors.New("the Handoff is known at deploy time only, and rules and parameters are named by it: give it as text")
		}
		mistake(at, "%v", err)
		n.handoff, _ = tasuki.ParseHandoffName("mistake") // is one
	}
	n.tagParameter = n.handoff.TagParameter().String()
	if name := cmp.Or(tagParameter, os.Getenv(EnvironmentTagParameter)); name != "" && valid(at, name, tasuki.ParseParameterName) {
		n.tagParameter = name
	}
	if placeholderTag != "" && valid(at, placeholderTag, tasuki.ParseTag) {
		n.placeholderTag = placeholderTag
	}
	return n
}

// claim says at a construct that another of its stack, or of the same tree of nested
// stacks, is of the same handoff: both would write its contract, and make its rules.
func (n names) claim(at constructs.IConstruct) {
	const claimed = "tasuki:handoff"
	stack := awscdk.Stack_Of(at)
	for stack.NestedStackParent() != nil {
		stack = stack.NestedStackParent()
	}
	for _, entry := range *stack.Node().Metadata() {
		if *entry.Type == claimed && entry.Data == n.handoff.String() {
			mistake(at, "the stack has another function of handoff %s: give each function a handoff of its own", n.handoff)
			return
		}
	}
	stack.Node().AddMetadata(jsii.String(claimed), n.handoff.String(), nil)
}

// parameterARN returns the ARN of an SSM parameter in the construct's stack's account
// and region.
func parameterARN(at constructs.IConstruct, name string) string {
	return *awscdk.Stack_Of(at).FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("parameter"),
		ResourceName: jsii.String(withoutSlash(name)),
	})
}

// withoutSlash returns a parameter's name without the slash that it may begin with. Of a
// token CloudFormation takes it off: it splits at a mark that no name has, and that it
// has put before the name.
func withoutSlash(name string) string {
	if !unresolved(name) {
		return strings.TrimPrefix(name, "/")
	}
	const mark = "^"
	without := func(what string, in *string) *string {
		return awscdk.Fn_Join(jsii.String(""), awscdk.Fn_Split(jsii.String(what), in, nil))
	}
	marked := awscdk.Fn_Join(jsii.String(""), jsii.Strings(mark, name))
	return *without(mark, without(mark+"/", marked))
}
