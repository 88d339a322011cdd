package explore

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

// released is an account on which v0 is registered and runs.
var released = Start{Function: "v0", Registered: []string{"v0"}}

// unreleased is an account whose function runs the placeholder.
var unreleased = Start{Function: Placeholder}

// scenarios are what must hold under every schedule.
var scenarios = []Scenario{
	{Name: "release ‖ release", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "release ‖ the same release", Start: released, Actors: []Actor{{Release("v1")}, {named(Release("v1"), "release v1 (2)")}}},
	{Name: "release ‖ a broken release", Start: released, Actors: []Actor{{Release("v1")}, {Release(Broken)}}},
	{Name: "release ‖ deploy", Start: released, Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0")}},
	{Name: "release ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, {Reconcile("change")}}},
	{Name: "release ‖ rollback", Start: Start{Function: "v1", Registered: []string{"v0", "v1"}}, Actors: []Actor{{Release("v2")}, {Rollback()}}},
	{Name: "register ‖ reconcile", Start: released, Actors: []Actor{{Register("v1"), Reconcile("the change")}, {Reconcile("schedule")}}},
	{Name: "first release ‖ first release", Start: unreleased, Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "first release ‖ the same release", Start: unreleased, Actors: []Actor{{Release("v1")}, {named(Release("v1"), "release v1 (2)")}}},
	{Name: "first release ‖ deploy", Start: unreleased, Actors: []Actor{{Release("v1")}, Deploy("deploy", Placeholder)}},
	{Name: "first release ‖ first deploy", Start: Start{NoSeed: true}, Actors: []Actor{{Release("v1")}, Deploy("deploy", "")}},
	{Name: "first register ‖ first deploy", Start: Start{NoSeed: true}, Actors: []Actor{{Register("v1"), Reconcile("the change")}, Deploy("deploy", "")}},
	{Name: "release ‖ release ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}, {Reconcile("change")}}},
	{Name: "release ‖ deploy ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0"), {Reconcile("change")}}},
	{Name: "deploy ‖ deploy ‖ release", Start: released, Actors: []Actor{Deploy("deploy 1", "v0"), Deploy("deploy 2", "v0"), {Release("v1")}}},
}

var kinds = []Fault{Crash, Lost, Denied, Stale}

// standard reports whether a scenario with a kind of fault is part of the standard
// run, which has a minute. What it leaves out differs little from what is in it.
func standard(s Scenario, fault Fault) bool {
	if testing.Short() {
		return fault == Stale && s.Name == "release ‖ reconcile"
	}
	switch s.Name {
	case "release ‖ a broken release", "release ‖ the same release":
		return fault == Denied
	case "release ‖ rollback", "first release ‖ first release", "release ‖ release", "first release ‖ first deploy", "first register ‖ first deploy":
		return fault == Stale || fault == Lost
	}
	return len(s.Actors) == 2
}

// named gives a command another name.
func named(c Command, name string) Command {
	c.Name = name
	return c
}

func explore(t *testing.T, s Scenario) (result Result) {
	t.Helper()
	started := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if result, err = Explore(s); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f schedules, %d run in %.1f s", result.Schedules, result.Runs, time.Since(started).Seconds())
	return result
}

// TestExplore runs the scenarios. The standard run takes most of them with one fault
// of each kind at every step, and lets an actor update the function once before it
// has to let the others pass; with three actors it has no faults, and makes an actor that
// could go on wait twice at most. With -short, as under the race detector, which
// makes everything ten times slower, there are no three actors and hardly a fault.
// $TASUKI_EXPLORE asks for more:
//
//	all   every scenario with every kind of fault, and two updates; takes very long
//	two   the scenarios of two actors with two faults of any kind; takes very long
func TestExplore(t *testing.T) {
	asked := os.Getenv("TASUKI_EXPLORE")
	var mu sync.Mutex
	var rows []string
	run := func(s Scenario) {
		faults := "none"
		if s.Most > 0 {
			faults = fmt.Sprintf("%d of %v", s.Most, s.Faults)
		}
		t.Run(s.Name+"/"+faults, func(t *testing.T) {
			t.Parallel()
			r := explore(t, s)
			if r.Violation != nil {
				t.Error(r.Violation)
			}
			mu.Lock()
			defer mu.Unlock()
			rows = append(rows, fmt.Sprintf("%s\t%s\t%.3g\t%d\t%d\t%d\t%d", s.Name, faults, r.Schedules, r.Runs, r.States, r.Ends, r.Longest))
		})
	}
	for _, s := range scenarios {
		if s.Rounds = 1; asked != "" {
			s.Rounds = 2
		} else if len(s.Actors) > 2 {
			s.Switches = 2
		}
		if asked == "two" {
			if s.Faults, s.Most = kinds, 2; len(s.Actors) == 2 {
				run(s)
			}
			continue
		}
		if testing.Short() && len(s.Actors) > 2 {
			continue
		}
		run(s)
		for _, fault := range kinds {
			if s.Faults, s.Most = []Fault{fault}, 1; asked == "all" || standard(s, fault) {
				run(s)
			}
		}
	}
	t.Cleanup(func() {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "scenario\tfaults\tschedules\trun\tstates\tends\tlongest")
		slices.Sort(rows)
		for _, row := range rows {
			fmt.Fprintln(w, row)
		}
		w.Flush()
		t.Log("\n" + b.String())
	})
}
