package awsbackend

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.TagBatchReader = (*Parameters)(nil)

const (
	// namesPerCall is how many parameters GetParameters gives at once.
	namesPerCall = 10
	// batchesAtOnce is how many such calls are under way together. A hundred
	// parameters take one round trip; SSM throttles beyond 40 reads a second, and the
	// SDK then waits.
	batchesAtOnce = 10
)

// ReadTags implements [tasuki.TagBatchReader], ten parameters a call.
func (p *Parameters) ReadTags(ctx context.Context, names ...tasuki.ParameterName) (map[tasuki.ParameterName]tasuki.ParameterVersion, error) {
	batches := slices.Collect(slices.Chunk(names, namesPerCall))
	answers := make([]*ssm.GetParametersOutput, len(batches))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchesAtOnce)
	for i, batch := range batches {
		group.Go(func() error {
			in := &ssm.GetParametersInput{}
			for _, name := range batch {
				in.Names = append(in.Names, name.String())
			}
			out, err := p.api.GetParameters(ctx, in)
			if err != nil {
				c := call{op: "read", side: tasuki.SideTag, subject: batch[0].String() + " and others", action: "ssm:GetParameters", resource: "these parameters"}
				return c.failed(err)
			}
			answers[i] = out
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found := map[tasuki.ParameterName]tasuki.ParameterVersion{}
	for i, out := range answers {
		for _, parameter := range out.Parameters {
			for _, name := range batches[i] {
				if name.String() == aws.ToString(parameter.Name) {
					found[name] = tasuki.ParameterVersion{
						Name: name, Value: aws.ToString(parameter.Value), Type: string(parameter.Type),
						Version: parameter.Version, ModifiedAt: aws.ToTime(parameter.LastModifiedDate),
					}
				}
			}
		}
	}
	return found, nil
}
