package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"
)

// contract returns the contract as its specification has it, with tokens in place of
// what is known at deploy time only.
func (f *ImageFunction) contract() map[string]any {
	stack := awscdk.Stack_Of(f)
	function := map[string]any{"name": f.FunctionName(), "architecture": f.architecture}
	if f.alias != "" {
		function["alias"] = f.alias
	}
	return map[string]any{
		"version":        1,
		"handoff":        f.names.handoff.String(),
		"account":        stack.Account(),
		"region":         stack.Region(),
		"stackId":        stack.StackId(),
		"repository":     f.Repository.RepositoryUri(),
		"tagParameter":   f.names.tagParameter,
		"placeholderTag": f.names.placeholderTag,
		"functions":      []any{function},
	}
}

// writeContract puts the contract where the application side looks for it.
func (f *ImageFunction) writeContract() {
	awsssm.NewCfnParameter(f.scope, jsii.String("Contract"), &awsssm.CfnParameterProps{
		Name:        jsii.String(f.names.handoff.ContractParameter().String()),
		Type:        jsii.String("String"),
		Description: jsii.String("What the application side of handoff " + f.names.handoff.String() + " needs to know"),
		Value:       awscdk.Stack_Of(f).ToJsonString(f.contract(), nil),
	})
}
