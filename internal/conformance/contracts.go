package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

// Contracts tests an implementation of [tasuki.Contracts].
func Contracts(t *testing.T, open func(t *testing.T) tasuki.Contracts) {
	orders := must(t, tasuki.ParseHandoffName, "orders")

	t.Run("what is not there is missing", func(t *testing.T) {
		_, err := open(t).ReadContract(t.Context(), orders)
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("what is written is read", func(t *testing.T) {
		contracts := open(t)
		for _, handoff := range []string{"orders", "stg/orders"} {
			want := contractOf(t, handoff)
			if err := contracts.WriteContract(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			wantContract(t, contracts, want)
		}
	})

	t.Run("a contract is written over", func(t *testing.T) {
		contracts := open(t)
		contract := contractOf(t, "orders")
		if err := contracts.WriteContract(t.Context(), contract); err != nil {
			t.Fatal(err)
		}
		contract.StackID, contract.Functions[0].Alias = "", "blue"
		if err := contracts.WriteContract(t.Context(), contract); err != nil {
			t.Fatal(err)
		}
		wantContract(t, contracts, contract)
	})

	t.Run("fields of later revisions are kept", func(t *testing.T) {
		contracts := open(t)
		var fields map[string]any
		if err := json.Unmarshal([]byte(jsonOf(t, contractOf(t, "orders"))), &fields); err != nil {
			t.Fatal(err)
		}
		fields["approvers"] = []string{"zoë", "<ops>"}
		contract, err := tasuki.ParseContract([]byte(jsonOf(t, fields)))
		if err != nil {
			t.Fatal(err)
		}
		if err := contracts.WriteContract(t.Context(), contract); err != nil {
			t.Fatal(err)
		}
		wantContract(t, contracts, contract)
	})

	t.Run("a contract that is not whole is not written", func(t *testing.T) {
		contracts := open(t)
		contract := contractOf(t, "orders")
		contract.Account = "12"
		wantKind(t, contracts.WriteContract(t.Context(), contract), tasuki.ErrInvalid)
		_, err := contracts.ReadContract(t.Context(), orders)
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("a contract of more than 4096 bytes is refused", func(t *testing.T) {
		contracts := open(t)
		contract := contractOf(t, "orders")
		for n := len(contract.Functions); len(jsonOf(t, contract)) <= 4096; n++ {
			contract.Functions = append(contract.Functions, tasuki.FunctionTarget{Name: fmt.Sprintf("orders-%d", n), Architecture: tasuki.ARM64})
		}
		wantKind(t, contracts.WriteContract(t.Context(), contract), tasuki.ErrRefused)
		_, err := contracts.ReadContract(t.Context(), orders)
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("no contracts are an empty list", func(t *testing.T) {
		if list, err := open(t).ListContracts(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("got %d contracts, %v; want none", len(list), err)
		}
	})

	t.Run("the list is complete and sorted", func(t *testing.T) {
		contracts := open(t)
		var want []string
		// More than two pages of SSM's, written in another order than the names'.
		for n := 24; n >= 0; n-- {
			if err := contracts.WriteContract(t.Context(), contractOf(t, fmt.Sprintf("team-%02d/orders", n))); err != nil {
				t.Fatal(err)
			}
			want = append([]string{fmt.Sprintf("team-%02d/orders", n)}, want...)
		}
		eventually(t, func() (bool, string) {
			list, err := contracts.ListContracts(t.Context())
			var got []string
			for _, c := range list {
				got = append(got, c.Name.String())
			}
			return err == nil && fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprintf("the list is %v, %v; want %v", got, err, want)
		})
	})

	t.Run("cancelled", func(t *testing.T) {
		contracts := open(t)
		wantCanceled(t, func(ctx context.Context) error { _, err := contracts.ReadContract(ctx, orders); return err })
		wantCanceled(t, func(ctx context.Context) error { _, err := contracts.ListContracts(ctx); return err })
		wantCanceled(t, func(ctx context.Context) error { return contracts.WriteContract(ctx, contractOf(t, "orders")) })
	})
}

func contractOf(t *testing.T, handoff string) tasuki.Contract {
	t.Helper()
	name := must(t, tasuki.ParseHandoffName, handoff)
	return tasuki.Contract{
		Handoff: tasuki.Handoff{
			Name:           name,
			Repository:     must(t, tasuki.ParseRepository, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders"),
			TagParameter:   name.TagParameter(),
			PlaceholderTag: tasuki.DefaultPlaceholderTag,
			Functions:      []tasuki.FunctionTarget{{Name: "orders", Architecture: tasuki.ARM64, Alias: "live"}},
		},
		Account: "123456789012",
		Region:  "eu-west-1",
		StackID: "arn:aws:cloudformation:eu-west-1:123456789012:stack/orders/1",
	}
}

// wantContract reads until it reads the contract as it was written.
func wantContract(t *testing.T, contracts tasuki.Contracts, want tasuki.Contract) {
	t.Helper()
	eventually(t, func() (bool, string) {
		got, err := contracts.ReadContract(t.Context(), want.Name)
		if err != nil {
			return false, err.Error()
		}
		return jsonOf(t, got) == jsonOf(t, want), fmt.Sprintf("read %s, want %s", jsonOf(t, got), jsonOf(t, want))
	})
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
