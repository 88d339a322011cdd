// Package proof has no code of its own, only tests: they prove the verbs against
// failure, through the command line and the AWS SDK, on the local endpoint.
//
//   - TestEveryFault lets each call that a verb makes fail in each way that AWS fails.
//   - TestEveryKill ends the program at each step of a release, while the function serves.
//   - TestTwoReleases lets two programs release at once.
//   - TestReleaseDuringReconcile and TestReconcileDuringRelease let the whole of one lie
//     between any two calls of the other.
//
// TASUKI_PROOF_FULL=1 tries what the usual run leaves out; it takes some ten minutes.
package proof
