// Package stacks takes the stack of a function through its life under CloudFormation:
// what the CDK synthesizes from the constructs is deployed, changed, rolled back and
// destroyed on the local endpoint, while releases, accidents and late events come in
// between. Each scenario ends with invoking the function, and with counting calls.
//
// The tests need Node, and are left out without the build tag cdk: 'make test-cdk' runs
// them. Folder infra has the stacks.
package stacks
