package conformance

import (
	"context"
	"fmt"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

// TagStore is where tag parameters are written one by one, and read many at once.
type TagStore interface {
	tasuki.Tags
	tasuki.TagBatchReader
}

// TagBatches tests an implementation of [tasuki.TagBatchReader].
func TagBatches(t *testing.T, open func(t *testing.T) TagStore) {
	t.Run("more than a call's worth, some of them missing, one named twice", func(t *testing.T) {
		tags := open(t)
		var names []tasuki.ParameterName
		for n := range 25 {
			name := must(t, tasuki.ParseParameterName, fmt.Sprintf("/tasuki/many-%d/image-tag", n))
			names = append(names, name)
			if n%5 != 0 {
				write(t, tags, name, 1, "described")
				write(t, tags, name, 2, "described")
			}
		}
		eventually(t, func() (bool, string) {
			found, err := tags.ReadTags(t.Context(), append(names, names[1])...)
			if err != nil || len(found) != 20 {
				return false, fmt.Sprintf("%d were found, %v; want 20", len(found), err)
			}
			for n, name := range names {
				version, there := found[name]
				if there != (n%5 != 0) || there && (version.Name != name || version.Value != "v2" || version.Type != "String" || version.Version != 2) {
					return false, fmt.Sprintf("%s is read as %+v (%v)", name, version, there)
				}
			}
			return true, ""
		})
	})

	t.Run("none", func(t *testing.T) {
		if found, err := open(t).ReadTags(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("found %v, %v", found, err)
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		tags := open(t)
		name := must(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag")
		wantCanceled(t, func(ctx context.Context) error { _, err := tags.ReadTags(ctx, name); return err })
	})
}

// ContractStore is where contracts are written one by one, and read many at once.
type ContractStore interface {
	tasuki.Contracts
	tasuki.ContractBatchReader
}

// ContractBatches tests an implementation of [tasuki.ContractBatchReader].
func ContractBatches(t *testing.T, open func(t *testing.T) ContractStore) {
	t.Run("more than a call's worth, some of them missing, one named twice", func(t *testing.T) {
		contracts := open(t)
		var names []tasuki.HandoffName
		for n := range 25 {
			contract := contractOf(t, fmt.Sprintf("many-%d", n))
			names = append(names, contract.Name)
			if n%5 != 0 {
				if err := contracts.WriteContract(t.Context(), contract); err != nil {
					t.Fatal(err)
				}
			}
		}
		eventually(t, func() (bool, string) {
			found, err := contracts.ReadContracts(t.Context(), append(names, names[1])...)
			if err != nil || len(found) != 20 {
				return false, fmt.Sprintf("%d were found, %v; want 20", len(found), err)
			}
			for n, name := range names {
				contract, there := found[name]
				if there != (n%5 != 0) || there && jsonOf(t, contract) != jsonOf(t, contractOf(t, name.String())) {
					return false, fmt.Sprintf("%s is read as %+v (%v)", name, contract, there)
				}
			}
			return true, ""
		})
	})

	t.Run("none", func(t *testing.T) {
		if found, err := open(t).ReadContracts(t.Context()); err != nil || len(found) != 0 {
			t.Errorf("found %v, %v", found, err)
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		contracts := open(t)
		name := must(t, tasuki.ParseHandoffName, "orders")
		wantCanceled(t, func(ctx context.Context) error { _, err := contracts.ReadContracts(ctx, name); return err })
	})
}
