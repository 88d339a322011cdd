package provider

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

func aliasProperties(name string) customresource.Alias {
	return customresource.Alias{Handoff: "orders", Function: function, Alias: name}
}

func (r *relay) alias(name string) (tasuki.Alias, bool) {
	r.t.Helper()
	a, err := r.Alias(r.t.Context(), function, name)
	if err != nil && !errors.Is(err, tasuki.ErrMissing) {
		r.t.Fatal(err)
	}
	return a, err == nil
}

func TestAliasLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
		first := r.ask(create, customresource.TypeAlias, "", aliasProperties("live"))
		if first.Status != success || first.Data["Version"] != "1" || !strings.HasSuffix(first.Data["AliasArn"], ":function:orders:live") || first.PhysicalResourceID != "tasuki-alias/orders/live" {
			t.Fatalf("answered %s", first)
		}
		if again := r.ask(create, customresource.TypeAlias, "", aliasProperties("live")); again.String() != first.String() {
			t.Errorf("the same request again: %s", again)
		}
		// S21: another name is another alias, on what the function runs now.
		next := r.push("v2", tasuki.ARM64)
		r.ChangeFunction(function, func(f *tasuki.Function) { f.Digest = next })
		second := r.ask(update, customresource.TypeAlias, first.PhysicalResourceID, aliasProperties("next"))
		if second.PhysicalResourceID == first.PhysicalResourceID || second.Data["Version"] != "2" {
			t.Errorf("renamed: %s", second)
		}
		r.ask(remove, customresource.TypeAlias, first.PhysicalResourceID, aliasProperties("live"))
		if _, there := r.alias("live"); there {
			t.Error("the old alias is still there")
		}
		if _, there := r.alias("next"); !there {
			t.Error("the new alias was deleted")
		}
		// S21: rolled back before the old one was deleted, or after: it is on the released code.
		back := r.ask(update, customresource.TypeAlias, second.PhysicalResourceID, aliasProperties("live"))
		if back.PhysicalResourceID != first.PhysicalResourceID || back.Data["Version"] != "2" {
			t.Errorf("back: %s", back)
		}
	})
}

func TestAliasesOfOthersAreKept(t *testing.T) { // S24
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
		f, err := r.Function(t.Context(), function)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.PublishVersion(t.Context(), function, f.Digest, f.RevisionID); err != nil {
			t.Fatal(err)
		}
		if err := r.MoveAlias(t.Context(), tasuki.AliasMove{Function: function, Alias: "live", Version: "1"}); err != nil {
			t.Fatal(err)
		}
		before, _ := r.alias("live")
		a := r.ask(create, customresource.TypeAlias, "", aliasProperties("live"))
		if a.Status != success || a.Data["Version"] != "1" {
			t.Fatalf("answered %s", a)
		}
		if a := r.ask(remove, customresource.TypeAlias, a.PhysicalResourceID, aliasProperties("live")); a.Status != success {
			t.Errorf("answered %s", a)
		}
		if now, there := r.alias("live"); !there || now != before {
			t.Errorf("the adopted alias is %+v (there: %v), and was %+v", now, there, before)
		}
	})
}

func TestDeletingWhatWasNotCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
		r.ask(create, customresource.TypeAlias, "", aliasProperties("live"))
		for _, id := range []string{"shop-Alias-1A2B3C4D5E6F", "tasuki-not-created/4f2c0f0e-1", "tasuki-alias/orders", "tasuki-alias/orders/other", "tasuki-alias/gone/live"} {
			if a := r.ask(remove, customresource.TypeAlias, id, aliasProperties("live")); a.Status != success {
				t.Errorf("%s: answered %s", id, a)
			}
		}
		if _, there := r.alias("live"); !there {
			t.Error("the alias was deleted")
		}
		r.failing("Alias", tasuki.ErrDenied)
		r.wantFailed(r.ask(remove, customresource.TypeAlias, "tasuki-alias/orders/live", aliasProperties("live")), "access denied")
	})
}

func TestAliasFailures(t *testing.T) {
	for name, test := range map[string]struct {
		properties customresource.Alias
		prepare    func(r *relay)
		reason     string
	}{
		"no function":      {aliasProperties("live"), nil, "missing"},
		"denied":           {aliasProperties("live"), func(r *relay) { r.failing("PublishVersion", tasuki.ErrDenied) }, "access denied"},
		"always a race":    {aliasProperties("live"), func(r *relay) { r.failing("MoveAlias", tasuki.ErrConflict) }, "conflict"},
		"a version's name": {aliasProperties("7"), nil, "property Alias"},
		"no alias":         {aliasProperties(""), nil, "property Alias"},
		"function's name":  {customresource.Alias{Handoff: "orders", Function: "or ders", Alias: "live"}, nil, "property Function"},
		"handoff's name":   {customresource.Alias{Function: function, Alias: "live"}, nil, "property Handoff"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				if test.prepare != nil {
					r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
					test.prepare(r)
				}
				a := r.ask(create, customresource.TypeAlias, "", test.properties)
				r.wantFailed(a, test.reason)
				r.Before = nil
				if a := r.ask(remove, customresource.TypeAlias, a.PhysicalResourceID, test.properties); a.Status != success {
					t.Errorf("the deletion of what was not created: %s", a)
				}
			})
		})
	}
}
