// Package policy says which IAM actions each part of the relay needs, and on what.
// It is the one place that knows: the command line prints its documents, the CDK
// constructs grant its statements, and the table of docs/iam.md is made of it. A test
// runs every command against the local endpoint and holds what it called against this
// package, in both directions.
//
// Resources are plain strings that are never parsed: ARNs, or tokens of the CDK that
// become ARNs.
//
//	statements := policy.Merge(
//		policy.Release(resources, policy.Options{Push: true}),
//		policy.Rollback(resources, policy.Options{}),
//	)
//
// Nothing here allows Lambda itself to pull an image: that is the repository's policy,
// for the principal lambda.amazonaws.com.
//
//go:generate go test -run TestTheTablesAreCurrent -update
package policy
