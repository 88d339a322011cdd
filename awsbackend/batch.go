package awsbackend

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"

	"github.com/tasuki-dev/tasuki"
)

var (
	_ tasuki.TagBatchReader      = (*Parameters)(nil)
	_ tasuki.ContractBatchReader = (*Contracts)(nil)
)

const (
	// namesPerCall is how many parameters GetParameters gives at once.
	namesPerCall = 10
	// batchesAtOnce is how many such calls are under way together. A hundred
	// parameters take one round trip; more wait for SSM's limit on reads.
	batchesAtOnce = 10
)

// ReadTags implements [tasuki.TagBatchReader], ten parameters a call.
func (p *Parameters) ReadTags(ctx context.Context, names ...tasuki.ParameterName) (map[tasuki.ParameterName]tasuki.ParameterVersion, error) {
	parameters, err := getParameters(ctx, p.api, tasuki.SideTag, names)
	if err != nil {
		return nil, err
	}
	found := map[tasuki.ParameterName]tasuki.ParameterVersion{}
	for name, parameter := range parameters {
		found[name] = tasuki.ParameterVersion{
			Name: name, Value: aws.ToString(parameter.Value), Type: string(parameter.Type),
			Version: parameter.Version, ModifiedAt: aws.ToTime(parameter.LastModifiedDate),
		}
	}
	return found, nil
}

// ReadContracts implements [tasuki.ContractBatchReader], ten contracts a call.
func (s *Contracts) ReadContracts(ctx context.Context, handoffs ...tasuki.HandoffName) (map[tasuki.HandoffName]tasuki.Contract, error) {
	names := make([]tasuki.ParameterName, len(handoffs))
	for i, handoff := range handoffs {
		names[i] = handoff.ContractParameter()
	}
	parameters, err := getParameters(ctx, s.api, tasuki.SideContract, names)
	if err != nil {
		return nil, err
	}
	found := map[tasuki.HandoffName]tasuki.Contract{}
	for i, handoff := range handoffs {
		if parameter, there := parameters[names[i]]; there {
			if contract, err := parseContract(parameter); err == nil {
				found[handoff] = contract
			}
		}
	}
	return found, nil
}

// getParameters reads parameters, ten a call. Those that SSM does not know are absent. A name
// may be given twice, which SSM itself refuses.
func getParameters(ctx context.Context, api *ssm.Client, side tasuki.Side, names []tasuki.ParameterName) (map[tasuki.ParameterName]types.Parameter, error) {
	known := map[string]tasuki.ParameterName{}
	for _, name := range names {
		known[name.String()] = name
	}
	batches := slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(known)), namesPerCall))
	answers := make([]*ssm.GetParametersOutput, len(batches))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchesAtOnce)
	for i, batch := range batches {
		group.Go(func() error {
			out, err := api.GetParameters(ctx, &ssm.GetParametersInput{Names: batch})
			if err != nil {
				c := call{op: "read", side: side, subject: batch[0] + " and others", action: "ssm:GetParameters", resource: "these parameters"}
				return c.failed(err)
			}
			answers[i] = out
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found := map[tasuki.ParameterName]types.Parameter{}
	for _, out := range answers {
		for _, parameter := range out.Parameters {
			if name, asked := known[aws.ToString(parameter.Name)]; asked {
				found[name] = parameter
			}
		}
	}
	return found, nil
}
