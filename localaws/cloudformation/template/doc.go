// Package template reads CloudFormation templates: it parses JSON and YAML, checks
// what can be checked before anything is deployed, and evaluates intrinsic functions
// in an environment that its user gives.
//
// A template's values are nil (only where there is no value), bool, string,
// [json.Number], []any and map[string]any. YAML's short forms, as in !Ref, are
// values like the long ones.
//
// What CloudFormation has and this package has not is refused by name when a
// template is parsed, never ignored: macros, Fn::ForEach and the other functions of
// language extensions, Fn::GetAZs, Fn::Cidr, nested conditions of Auto Scaling's
// policies. Where CloudFormation's wording of an error is known it is used.
package template
