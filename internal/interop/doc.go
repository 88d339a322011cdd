// Package interop tests Tasuki with the programs that people use beside it, which
// nobody here wrote: the AWS CLI, Docker Engine, Podman, skopeo, crane and ko. Its tests
// need the build tag interop and the programs, which ./internal/interop/run installs.
// TestDocumentation runs what the documentation tells its readers to run.
package interop
