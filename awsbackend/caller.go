package awsbackend

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/tasuki-dev/tasuki"
)

// Caller is who the credentials belong to.
type Caller struct {
	Account string // 12 digits
	ARN     string
}

// Caller asks AWS who is calling. Every principal may ask.
func (b *Backend) Caller(ctx context.Context) (Caller, error) {
	c := call{op: "identify", side: tasuki.SideCaller, action: "sts:GetCallerIdentity"}
	out, err := b.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Caller{}, c.failed(err)
	}
	if out.Account == nil {
		return Caller{}, c.wrong(tasuki.ErrUnavailable, "STS's answer has no account")
	}
	return Caller{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn)}, nil
}
