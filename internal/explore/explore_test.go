package explore

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

// TestMain lets the heap grow: each schedule leaves an account behind.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	m.Run()
}

// released is an account on which v0 is registered and runs.
var released = Start{Function: "v0", Registered: []string{"v0"}}

// unreleased is an account whose function runs the placeholder.
var unreleased = Start{Function: Placeholder}

// aliased gives the functions an alias.
func aliased(s Start) Start {
	s.Alias = true
	return s
}

// paired adds a second function.
func paired(s Start) Start {
	s.Worker = true
	return s
}

var twice = Start{Function: "v1", Registered: []string{"v0", "v1"}}

// pairs are scenarios of two actors, which must hold under every schedule.
var pairs = []Scenario{
	{Name: "release ‖ release", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "release ‖ the same release", Start: released, Actors: []Actor{{Release("v1")}, {named(Release("v1"), "release v1 (2)")}}},
	{Name: "release ‖ a broken release", Start: released, Actors: []Actor{{Release("v1")}, {Release(Broken)}}},
	{Name: "release ‖ deploy", Start: released, Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0")}},
	{Name: "release ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, {Reconcile("change")}}},
	{Name: "release ‖ rollback", Start: twice, Actors: []Actor{{Release("v2")}, {Rollback()}}},
	{Name: "deploy ‖ rollback", Start: twice, Actors: []Actor{Deploy("deploy", "v1"), {Rollback()}}},
	{Name: "register ‖ reconcile", Start: released, Actors: []Actor{{Register("v1"), Reconcile("the change")}, {Reconcile("schedule")}}},
	{Name: "first release ‖ first release", Start: unreleased, Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "first release ‖ the same release", Start: unreleased, Actors: []Actor{{Release("v1")}, {named(Release("v1"), "release v1 (2)")}}},
	{Name: "first release ‖ deploy", Start: unreleased, Actors: []Actor{{Release("v1")}, Deploy("deploy", Placeholder)}},
	{Name: "first release ‖ first deploy", Start: Start{NoSeed: true}, Actors: []Actor{{Release("v1")}, Deploy("deploy", "")}},
	{Name: "first register ‖ first deploy", Start: Start{NoSeed: true}, Actors: []Actor{{Register("v1"), Reconcile("the change")}, Deploy("deploy", "")}},

	{Name: "tested release ‖ reconcile", Start: released, Actors: []Actor{{TestedRelease("v1")}, {Reconcile("change")}}},
	{Name: "tested release ‖ release", Start: released, Actors: []Actor{{TestedRelease("v1")}, {Release("v2")}}},
	{Name: "tested release ‖ deploy", Start: released, Actors: []Actor{{TestedRelease("v1")}, Deploy("deploy", "v0")}},
	{Name: "a sick release ‖ release", Start: released, Actors: []Actor{{TestedRelease(Sick)}, {Release("v2")}}},
	{Name: "a sick release ‖ reconcile", Start: released, Actors: []Actor{{TestedRelease(Sick)}, {Reconcile("change")}}},
	{Name: "a sick first release ‖ reconcile", Start: unreleased, Actors: []Actor{{TestedRelease(Sick)}, {Reconcile("change")}}},

	{Name: "alias: release ‖ release", Start: aliased(released), Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "alias: release ‖ deploy", Start: aliased(released), Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0")}},
	{Name: "alias: release ‖ reconcile", Start: aliased(released), Actors: []Actor{{Release("v1")}, {Reconcile("change")}}},
	{Name: "alias: release ‖ rollback", Start: aliased(twice), Actors: []Actor{{Release("v2")}, {Rollback()}}},
	{Name: "alias: a sick release ‖ reconcile", Start: aliased(released), Actors: []Actor{{TestedRelease(Sick)}, {Reconcile("change")}}},
	{Name: "alias: first release ‖ reconcile", Start: aliased(unreleased), Actors: []Actor{{Release("v1")}, {Reconcile("schedule")}}},

	{Name: "two functions: release ‖ reconcile", Start: paired(released), Actors: []Actor{{Release("v1")}, {Reconcile("change")}}},
	{Name: "two functions: a sick release ‖ reconcile", Start: paired(released), Actors: []Actor{{TestedRelease(Sick)}, {Reconcile("change")}}},
	{Name: "two functions: release ‖ release", Start: paired(released), Actors: []Actor{{Release("v1")}, {Release("v2")}}},
	{Name: "two functions: release ‖ deploy", Start: paired(released), Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0")}},
	{Name: "two functions: release ‖ rollback", Start: paired(twice), Actors: []Actor{{Release("v2")}, {Rollback()}}},
}

// threes are scenarios of three actors.
var threes = []Scenario{
	{Name: "release ‖ release ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}, {Reconcile("change")}}},
	{Name: "release ‖ deploy ‖ reconcile", Start: released, Actors: []Actor{{Release("v1")}, Deploy("deploy", "v0"), {Reconcile("change")}}},
	{Name: "deploy ‖ deploy ‖ release", Start: released, Actors: []Actor{Deploy("deploy 1", "v0"), Deploy("deploy 2", "v0"), {Release("v1")}}},
	{Name: "release ‖ deploy ‖ rollback", Start: twice, Actors: []Actor{{Release("v2")}, Deploy("deploy", "v1"), {Rollback()}}},
	{Name: "alias: release ‖ deploy ‖ rollback", Start: aliased(twice), Actors: []Actor{{Release("v2")}, Deploy("deploy", "v1"), {Rollback()}}},
	{Name: "tested release ‖ release ‖ reconcile", Start: released, Actors: []Actor{{TestedRelease("v1")}, {Release("v2")}, {Reconcile("change")}}},
}

var kinds = []Fault{Crash, Lost, Denied, Stale}

// named gives a command another name.
func named(c Command, name string) Command {
	c.Name = name
	return c
}

func explore(t *testing.T, s Scenario, manner Manner) (result Result) {
	t.Helper()
	started := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if result, err = Explore(s, manner); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.0f schedules, %d run in %.1f s", result.Schedules, result.Runs, time.Since(started).Seconds())
	return result
}

// standard returns a scenario as the standard run explores it, which has a minute of one
// core: how often an actor that could go on is made to wait is bounded where that would
// take too long.
func standard(s Scenario) Scenario {
	three := len(s.Actors) > 2
	switch {
	case s.Start.Worker, three && (s.Most > 0 || s.Start.Alias):
		s.Switches = InTurn
	case three:
		s.Switches = 1
	case s.Most > 0 && (s.Start.Alias || s.writers() > 1):
		s.Switches = 1
	}
	return s
}

// larger returns a scenario as the larger run explores it, which has ten minutes of two
// cores: with two actors on one function there is hardly a bound on waiting.
func larger(s Scenario) Scenario {
	three := len(s.Actors) > 2
	switch {
	case s.Most > 0 && (three || s.Start.Worker):
		s.Switches = InTurn
	case three && s.Start.Alias:
		s.Switches = 1
	case three, s.Most > 0 && s.Start.Alias && s.writers() > 1:
		s.Switches = 2
	}
	return s
}

// writers returns how many actors begin with a command that writes the parameter.
func (s *Scenario) writers() (n int) {
	for _, commands := range s.Actors {
		if kind := commands[0].Kind; kind == Releases || kind == Registers || kind == Writes {
			n++
		}
	}
	return n
}

// TestExplore runs every scenario without a fault, and with one of any kind at any step.
// An actor may update a function once before it has to let the others pass. With -short,
// as under the race detector, which makes everything ten times slower, there is no fault,
// and there are two actors. $TASUKI_EXPLORE asks for more:
//
//	all   fewer bounds on waiting
//	two   two faults of any kind in the scenarios of two actors, who take turns, on one function
func TestExplore(t *testing.T) {
	asked := os.Getenv("TASUKI_EXPLORE")
	table := &table{}
	for _, s := range slices.Concat(pairs, threes) {
		s.Rounds = 1
		faulty := s
		faulty.Faults, faulty.Most = kinds, 1
		switch {
		case asked == "all":
			table.both(t, larger(s), larger(faulty))
		case asked == "two":
			if faulty.Most, faulty.Switches = 2, InTurn; len(s.Actors) == 2 && !s.Start.Worker {
				table.run(t, faulty)
			}
		case testing.Short():
			if len(s.Actors) == 2 {
				table.run(t, standard(s))
			}
		default:
			table.both(t, standard(s), standard(faulty))
		}
	}
	t.Cleanup(func() { t.Log("\n" + table.String()) })
}

// table is what exploring has shown, a row for each scenario.
type table struct {
	mu   sync.Mutex
	rows []string
}

// both explores a scenario without faults and with them. Whatever may happen without is
// part of what may happen with them, unless the bounds differ.
func (table *table) both(t *testing.T, without, with Scenario) {
	if without.Switches != with.Switches {
		table.run(t, without)
	}
	table.run(t, with)
}

// run explores a scenario, in parallel with others.
func (table *table) run(t *testing.T, s Scenario) {
	faults := "none"
	if s.Most > 0 {
		faults = fmt.Sprintf("%d of %v", s.Most, s.Faults)
	}
	t.Run(s.Name+"/"+faults, func(t *testing.T) {
		t.Parallel()
		r := explore(t, s, Reduced)
		if r.Violation != nil {
			t.Error(r.Violation)
		}
		switches := "any"
		if s.Switches != 0 {
			switches = strconv.Itoa(max(s.Switches, 0))
		}
		table.mu.Lock()
		defer table.mu.Unlock()
		table.rows = append(table.rows, fmt.Sprintf("%s\t%s\t%s\t%.3g\t%d\t%d\t%d\t%d", s.Name, faults, switches, r.Schedules, r.Runs, r.States, r.Ends, r.Longest))
	})
}

func (table *table) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tfaults\tswitches\tschedules\trun\tstates\tends\tlongest")
	for _, row := range slices.Sorted(slices.Values(table.rows)) {
		fmt.Fprintln(w, row)
	}
	w.Flush()
	return b.String()
}
