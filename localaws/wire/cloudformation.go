package wire

import "context"

// CloudFormation is the access key id that the local endpoint's CloudFormation signs
// with.
const CloudFormation = "cloudformation"

// FromCloudFormation reports whether the request under ctx is CloudFormation's own,
// which alone may give tags whose keys begin with "aws:".
func FromCloudFormation(ctx context.Context) bool {
	r, ok := ctx.Value(requestKey{}).(*Request)
	return ok && r.Principal == CloudFormation
}
