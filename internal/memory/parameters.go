package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// ReadTag implements [tasuki.TagReader].
func (a *AWS) ReadTag(ctx context.Context, name tasuki.ParameterName) (version tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "ReadTag", name.String(), func() error {
		versions := a.parameters[name]
		if len(versions) == 0 {
			return missing(tasuki.SideTag, name.String())
		}
		version = versions[len(versions)-1]
		return nil
	})
	return version, err
}

// ReadTags implements [tasuki.TagBatchReader].
func (a *AWS) ReadTags(ctx context.Context, names ...tasuki.ParameterName) (found map[tasuki.ParameterName]tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "ReadTags", "", func() error {
		found = map[tasuki.ParameterName]tasuki.ParameterVersion{}
		for _, name := range names {
			if versions := a.parameters[name]; len(versions) > 0 {
				found[name] = versions[len(versions)-1]
			}
		}
		return nil
	})
	return found, err
}

// TagHistory implements [tasuki.TagHistory].
func (a *AWS) TagHistory(ctx context.Context, name tasuki.ParameterName) (versions []tasuki.ParameterVersion, err error) {
	err = a.do(ctx, "TagHistory", name.String(), func() error {
		if versions = slices.Clone(a.parameters[name]); len(versions) == 0 {
			return missing(tasuki.SideTag, name.String())
		}
		slices.Reverse(versions)
		return nil
	})
	return versions, err
}

// WriteTag implements [tasuki.TagWriter].
func (a *AWS) WriteTag(ctx context.Context, name tasuki.ParameterName, value tasuki.Tag, description string) (version int64, err error) {
	err = a.do(ctx, "WriteTag", name.String(), func() error {
		version = a.put(name, value.String(), "String", description)
		return nil
	})
	return version, err
}

// PutParameter writes a parameter as somebody would by hand.
func (a *AWS) PutParameter(name tasuki.ParameterName, value, kind string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.put(name, value, kind, "")
}

// longestParameter is how many bytes a standard parameter holds.
const longestParameter = 4096

// mostVersions is how many versions SSM keeps of a parameter.
const mostVersions = 100

func (a *AWS) put(name tasuki.ParameterName, value, kind, description string) int64 {
	if a.parameters == nil {
		a.parameters = map[tasuki.ParameterName][]tasuki.ParameterVersion{}
	}
	versions := a.parameters[name]
	next := int64(1)
	if len(versions) > 0 {
		next = versions[len(versions)-1].Version + 1
	}
	versions = append(versions, tasuki.ParameterVersion{
		Name: name, Value: value, Type: kind, Version: next, Description: description,
		ModifiedBy: "arn:aws:iam::000000000000:user/memory", ModifiedAt: time.Now(),
	})
	a.parameters[name] = versions[max(0, len(versions)-mostVersions):]
	return next
}

// DeleteParameter deletes a parameter with its history.
func (a *AWS) DeleteParameter(name tasuki.ParameterName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.parameters, name)
}

// ReadContract implements [tasuki.Contracts].
func (a *AWS) ReadContract(ctx context.Context, handoff tasuki.HandoffName) (contract tasuki.Contract, err error) {
	err = a.do(ctx, "ReadContract", handoff.String(), func() error {
		var there bool
		if contract, there = a.contracts[handoff]; !there {
			return missing(tasuki.SideContract, handoff.ContractParameter().String())
		}
		return nil
	})
	return contract, err
}

// ReadContracts implements [tasuki.ContractBatchReader].
func (a *AWS) ReadContracts(ctx context.Context, handoffs ...tasuki.HandoffName) (found map[tasuki.HandoffName]tasuki.Contract, err error) {
	err = a.do(ctx, "ReadContracts", "", func() error {
		found = map[tasuki.HandoffName]tasuki.Contract{}
		for _, handoff := range handoffs {
			if contract, there := a.contracts[handoff]; there {
				found[handoff] = contract
			}
		}
		return nil
	})
	return found, err
}

// WriteContract implements [tasuki.Contracts].
func (a *AWS) WriteContract(ctx context.Context, contract tasuki.Contract) error {
	return a.do(ctx, "WriteContract", contract.Name.String(), func() error {
		refuse := func(kind, cause error) error {
			return &tasuki.Error{Op: "write", Side: tasuki.SideContract, Subject: contract.Name.ContractParameter().String(), Kind: kind, Err: cause}
		}
		if err := contract.Check(); err != nil {
			return refuse(tasuki.ErrInvalid, err)
		}
		if b, err := json.Marshal(contract); err != nil || len(b) > longestParameter {
			return refuse(tasuki.ErrRefused, errors.Join(fmt.Errorf("it has %d bytes", len(b)), err))
		}
		if a.contracts == nil {
			a.contracts = map[tasuki.HandoffName]tasuki.Contract{}
		}
		a.contracts[contract.Name] = contract
		return nil
	})
}

// ListContracts implements [tasuki.Contracts].
func (a *AWS) ListContracts(ctx context.Context) (contracts []tasuki.Contract, err error) {
	err = a.do(ctx, "ListContracts", "", func() error {
		contracts = slices.SortedFunc(maps.Values(a.contracts), func(x, y tasuki.Contract) int {
			return cmp.Compare(x.Name.String(), y.Name.String())
		})
		return nil
	})
	return contracts, err
}
