// Package ecr is the local endpoint's Elastic Container Registry: the API and a real
// OCI registry over one state, so that what one of them writes the other reads.
//
// The registry is ociserver with a backend of ours, behind a gate that adds what is
// ECR's own: Basic authentication with tokens of GetAuthorizationToken, no deletion,
// mounts that answer 202 when there is nothing to mount.
//
// Manifests are rows of a table, bytes verbatim. Layers and configurations are files
// (package blobs), and a table says which repository may see which. Every read sees
// every completed write: ECR is strongly consistent in what the relay asks of it, so
// the fault "stale" (fault.IsStale) means nothing here and is ignored.
//
// Where AWS does more, this does less, knowingly: policies are kept and checked for
// their form but not enforced, lifecycle rules do not run, nothing is scanned or
// encrypted, manifests are never converted between formats, and blobs can always be
// mounted (an account's setting BLOB_MOUNTING in AWS).
package ecr
