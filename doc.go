// Package tasuki hands a Lambda function's container image tag from the
// repository that builds the image to the repository that deploys the function.
//
// A tasuki is the sash that relay runners hand on. Here the sash is an image
// tag: the application side releases an image and registers its tag in an SSM
// parameter; the infrastructure side reads that parameter when it deploys and
// puts exactly that image into the function.
//
// The package is the domain, and uses the standard library only. It holds the
// values that travel ([Tag], [Digest], [Contract], [Record]), the ports through
// which they travel ([TagReader], [Images], [FunctionUpdater], …) and the verbs:
//
//   - [Resolver.Resolve] says which image the function should run, and why;
//   - [Reconciler.Reconcile] makes the function run it, until both agree;
//   - [Registrar.Register] verifies an image and writes the tag parameter;
//   - [Releaser.Release] tries an image on the function, registers it, reconciles;
//   - [Rollbacker.Rollback] registers an earlier release again, and reconciles.
//
// There is no lock. UpdateFunctionCode has a compare-and-set and PutParameter has
// none, so the parameter is the only truth and everybody converges on it: nobody
// writes his own image again after registering it, and undoing a release is
// nothing but reconciling.
package tasuki
