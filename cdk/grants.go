package tasukicdk

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki/policy"
)

// allow attaches statements to the provider's role, and returns what has to wait for
// that. The policy is a resource of its own, so that it may name a function which in
// turn waits for the provider: in the role's own policy that would be a cycle.
func (p *Provider) allow(scope constructs.Construct, id string, statements []policy.Statement) []constructs.IDependable {
	if p.Role == nil || len(statements) == 0 {
		return nil
	}
	return []constructs.IDependable{awsiam.NewPolicy(scope, jsii.String(id), &awsiam.PolicyProps{
		Roles:      &[]awsiam.IRole{p.Role},
		Statements: iamStatements(statements),
	})}
}

func iamStatements(statements []policy.Statement) *[]awsiam.PolicyStatement {
	converted := make([]awsiam.PolicyStatement, 0, len(statements))
	for _, s := range statements {
		statement := awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:       jsii.String(s.Sid),
			Actions:   jsii.Strings(s.Actions...),
			Resources: jsii.Strings(s.Resources...),
		})
		for operator, keys := range s.Conditions {
			statement.AddCondition(jsii.String(operator), keys)
		}
		converted = append(converted, statement)
	}
	return &converted
}

// conditionsOf returns a statement's conditions in the form that grants take.
func conditionsOf(s policy.Statement) *map[string]*map[string]any {
	if len(s.Conditions) == 0 {
		return nil
	}
	converted := map[string]*map[string]any{}
	for operator, keys := range s.Conditions {
		compared := map[string]any{}
		for key, value := range keys {
			compared[key] = value
		}
		converted[operator] = &compared
	}
	return &converted
}

// grant allows a grantee what the statements say.
func grant(to awsiam.IGrantable, statements []policy.Statement) awsiam.Grant {
	granted := awsiam.Grant_Drop(to, jsii.String("tasuki"))
	for _, s := range statements {
		granted = granted.Combine(awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
			Grantee:      to,
			Actions:      jsii.Strings(s.Actions...),
			ResourceArns: jsii.Strings(s.Resources...),
			Conditions:   conditionsOf(s),
		}))
	}
	return granted
}
