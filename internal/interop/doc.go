// Package interop tests Tasuki with the programs that people use beside it, which
// nobody here wrote: the AWS CLI, Docker Engine, skopeo, crane and ko. Its tests need
// the build tag interop and the programs, which ./internal/interop/run installs.
package interop
