package awsbackend

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// pace keeps calls under AWS's limits, which hold for an account in a region: what
// goes beyond them is throttled, and is a retry for everybody. It has a bucket of
// tokens for each limit, all clients of a [Backend] share it, and each attempt at a
// call takes a token.
//
// Other programs use the same account, so to be paced does not mean never to be
// throttled: the SDK's retries stay. Calls without a bucket have no limit that
// Tasuki could reach: ECR gives 2,000 BatchGetImage a second
// (https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html).
type pace struct {
	ssmReads, ssmWrites, functionReads, functionControl *rate.Limiter
}

// newPace returns full buckets. Each refills at AWS's own limit. What it holds is for
// the verb of one handoff, which comes in a burst and is not to wait; it is no more,
// because it goes on top of the limit.
func newPace() *pace {
	return &pace{
		// GetParameter, GetParameters, GetParametersByPath and GetParameterHistory share
		// 40 a second (https://docs.aws.amazon.com/general/latest/gr/ssm.html). A release
		// makes 7, and one more for each history of more than 50 versions.
		ssmReads: rate.NewLimiter(40, 20),
		// PutParameter is reported to be throttled beyond 3 a second
		// (terraform-aws-github-runner issue 2944). A release makes 1.
		ssmWrites: rate.NewLimiter(3, 3),
		// GetFunction has 100 a second of its own
		// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). A
		// release makes 3, and one every half second while an update lasts.
		functionReads: rate.NewLimiter(100, 50),
		// The other control calls share 15 a second (the same page). A release with an
		// alias and a smoke test makes 5 for each function.
		functionControl: rate.NewLimiter(15, 15),
	}
}

// bucket returns the bucket of an operation, nil for none.
func (p *pace) bucket(service, operation string) *rate.Limiter {
	switch service {
	case ssm.ServiceID:
		if operation == "PutParameter" {
			return p.ssmWrites
		}
		return p.ssmReads
	case lambda.ServiceID:
		switch operation {
		case "GetFunction":
			return p.functionReads
		case "Invoke": // limited by the functions' concurrency
			return nil
		}
		return p.functionControl
	}
	return nil
}

// addTo makes each attempt at a call wait for its turn. It comes before the attempt is
// signed, since signatures grow old, and outside of the attempt's own timeout.
func (p *pace) addTo(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Pace", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if bucket := p.bucket(middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)); bucket != nil {
			if err := take(ctx, bucket); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
		}
		return next.HandleFinalize(ctx, in)
	}), "Retry", middleware.After)
}

// take waits for a token, and gives it back where ctx is done before. (The bucket's own
// Wait would not begin a wait that ctx's deadline is too near for, and its error for
// that is none of the context's.)
func take(ctx context.Context, bucket *rate.Limiter) error {
	turn := bucket.Reserve()
	delay := turn.Delay()
	if delay == 0 {
		return nil
	}
	if err := sleep(ctx, delay); err != nil {
		turn.Cancel()
		return err
	}
	return nil
}
