package awsbackend

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Contracts = (*Contracts)(nil)

// Contracts keeps contracts in SSM.
type Contracts struct{ api *ssm.Client }

const (
	contractPath   = "/tasuki/"
	contractSuffix = "/contract"

	// longestContract is how many bytes a standard parameter's value has at most.
	longestContract = 4096
	pathPage        = 10 // the most that GetParametersByPath gives at once
)

// ReadContract implements [tasuki.Contracts].
func (s *Contracts) ReadContract(ctx context.Context, handoff tasuki.HandoffName) (tasuki.Contract, error) {
	name := handoff.ContractParameter().String()
	c := call{
		op: "read", side: tasuki.SideContract, subject: name, action: "ssm:GetParameter",
		resource: "parameter " + name, missing: []string{"ParameterNotFound"},
	}
	out, err := s.api.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
	if err != nil {
		return tasuki.Contract{}, c.failed(err)
	}
	if out.Parameter == nil {
		return tasuki.Contract{}, c.wrong(tasuki.ErrUnavailable, "SSM's answer has no parameter")
	}
	contract, err := parseContract(*out.Parameter)
	if err != nil {
		return tasuki.Contract{}, malformed("read", name, err)
	}
	return contract, nil
}

// WriteContract implements [tasuki.Contracts]. It refuses a contract that is not
// whole, and one that a standard parameter cannot hold.
func (s *Contracts) WriteContract(ctx context.Context, contract tasuki.Contract) error {
	name := contract.Name.ContractParameter().String()
	if err := contract.Check(); err != nil {
		return malformed("write", name, err)
	}
	value, err := json.Marshal(contract)
	if err != nil {
		return malformed("write", name, err)
	}
	if len(value) > longestContract {
		return &tasuki.Error{
			Op: "write", Side: tasuki.SideContract, Subject: name, Kind: tasuki.ErrRefused,
			Err:  fmt.Errorf("it has %d bytes, and an SSM parameter holds %d", len(value), longestContract),
			Hint: "Split the handoff: give some of its functions a handoff of their own.",
		}
	}
	_, err = s.api.PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String(name), Value: aws.String(string(value)), Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
	})
	if err != nil {
		c := call{op: "write", side: tasuki.SideContract, subject: name, action: "ssm:PutParameter", resource: "parameter " + name}
		return c.failed(err)
	}
	return nil
}

// ListContracts implements [tasuki.Contracts]. Where some of the parameters are no
// contracts it returns those that are, and an error that names the others.
func (s *Contracts) ListContracts(ctx context.Context) ([]tasuki.Contract, error) {
	var contracts []tasuki.Contract
	var bad []error
	for contract, err := range s.All(ctx) {
		switch {
		case errors.Is(err, tasuki.ErrInvalid):
			bad = append(bad, err)
		case err != nil:
			return nil, err
		default:
			contracts = append(contracts, contract)
		}
	}
	slices.SortFunc(contracts, func(a, b tasuki.Contract) int { return cmp.Compare(a.Name.String(), b.Name.String()) })
	return contracts, errors.Join(bad...)
}

// All yields every contract in the account and region as SSM gives them, in no order.
// SSM's pages follow one another, ten parameters each, so that of many contracts the
// first come long before the last. A parameter that is no contract is an error of kind
// ErrInvalid, and the others follow; any other error is the last.
func (s *Contracts) All(ctx context.Context) iter.Seq2[tasuki.Contract, error] {
	return func(yield func(tasuki.Contract, error) bool) {
		pages := ssm.NewGetParametersByPathPaginator(s.api, &ssm.GetParametersByPathInput{
			Path: aws.String(contractPath), Recursive: aws.Bool(true), MaxResults: aws.Int32(pathPage),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				c := call{
					op: "list", side: tasuki.SideContract, subject: contractPath + "*" + contractSuffix,
					action: "ssm:GetParametersByPath", resource: "parameter " + contractPath + "*",
				}
				yield(tasuki.Contract{}, c.failed(err))
				return
			}
			for _, p := range page.Parameters {
				if !strings.HasSuffix(aws.ToString(p.Name), contractSuffix) {
					continue
				}
				contract, err := parseContract(p)
				if err != nil {
					err = malformed("read", aws.ToString(p.Name), err)
				}
				if !yield(contract, err) {
					return
				}
			}
		}
	}
}

// parseContract reads a parameter as the contract that its name says it is.
func parseContract(p types.Parameter) (tasuki.Contract, error) {
	if p.Type != types.ParameterTypeString {
		return tasuki.Contract{}, fmt.Errorf("it is a %s, and contracts are String parameters", p.Type)
	}
	contract, err := tasuki.ParseContract([]byte(aws.ToString(p.Value)))
	if err != nil {
		return tasuki.Contract{}, err
	}
	if contract.Name.ContractParameter().String() != aws.ToString(p.Name) {
		return tasuki.Contract{}, fmt.Errorf("it is the contract of handoff %s, which belongs in %s", contract.Name, contract.Name.ContractParameter())
	}
	return contract, nil
}

func malformed(op, name string, err error) error {
	return &tasuki.Error{
		Op: op, Side: tasuki.SideContract, Subject: name, Kind: tasuki.ErrInvalid, Err: err,
		Hint: cmp.Or(tasuki.HintOf(err), "Have the infra side write the contract again: deploy its stack, or use 'tasuki contract'."),
	}
}
