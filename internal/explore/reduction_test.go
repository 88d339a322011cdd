package explore

import (
	"maps"
	"testing"
)

// TestReductionLosesNothing explores scenarios that are small enough in every order of
// steps, with crashes before and after every operation, and compares how the account is
// left: the reduced exploring has to find each of those ends, and no other. It also runs
// what the reduced one only foretells. With -short there is no fault. That the reduced one finds every broken protocol
// that the full one finds is shown by TestBrokenProtocolsAreCaught.
func TestReductionLosesNothing(t *testing.T) {
	for _, s := range []Scenario{
		{Name: "release ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, {Reconcile("change")}}, Faults: kinds, Most: 1},
		{Name: "release ‖ deploy", Start: released, Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0")}},
		{Name: "first release ‖ deploy", Start: unreleased, Actors: []Actor{{Release("v1")}, Deploy("deploy", Placeholder)}},
		{Name: "release ‖ release", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}}},
		{Name: "a sick release ‖ reconcile", Start: released, Actors: []Actor{{TestedRelease(Sick)}, {Reconcile("change")}}, Faults: []Fault{Crash, Denied}, Most: 1},
		{Name: "register ‖ reconcile", Start: released, Actors: []Actor{{Register("v1"), Reconcile("the change")}, {Reconcile("schedule")}}},
		{Name: "alias: release ‖ reconcile", Start: aliased(released), Actors: []Actor{{Release("v1")}, {Reconcile("change")}}},
		{Name: "two functions: reconcile ‖ reconcile", Start: Start{Function: "v0", Registered: []string{"v0", "v1"}, Worker: true}, Actors: []Actor{{Reconcile("change")}, {Reconcile("schedule")}}},
	} {
		if s.Rounds = 1; testing.Short() {
			s.Most = 0
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			reduced, verified, full := explore(t, s, Reduced), explore(t, s, Verified), explore(t, s, Unreduced)
			for _, r := range []Result{reduced, verified, full} {
				if r.Violation != nil {
					t.Error(r.Violation)
				}
			}
			if !maps.Equal(reduced.ends, full.ends) || !maps.Equal(reduced.ends, verified.ends) {
				t.Errorf("ends when reduced: %v\nwhen verified: %v\nin every order: %v", reduced.ends, verified.ends, full.ends)
			}
			t.Logf("%d states and %d runs instead of %d and %d", reduced.States, reduced.Runs, full.States, full.Runs)
		})
	}
}
