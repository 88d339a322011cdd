package explore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// Result is what exploring a scenario has shown.
type Result struct {
	Scenario  string
	Runs      int     // schedules that were run, the ones given up in a visited state included
	Schedules float64 // schedules that these stand for: every path through the states
	States    int     // distinct states
	Ends      int     // distinct states in which all had ended
	Longest   int     // steps of the longest schedule
	Violation *Violation
}

// Violation is a schedule after which an invariant does not hold.
type Violation struct {
	Scenario  string
	Invariant string // which one, and how it is broken
	Steps     []string
	Runs      string // what the function runs in the end
	Says      string // what the parameter says in the end
}

// String tells the schedule, a numbered line for each step.
func (v *Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", v.Scenario)
	for i, step := range v.Steps {
		fmt.Fprintf(&b, "%4d. %s\n", i+1, step)
	}
	fmt.Fprintf(&b, "  end: the function runs %s; the parameter says %s\n", orNothing(v.Runs), orNothing(v.Says))
	fmt.Fprintf(&b, "  broken: %s\n", v.Invariant)
	return b.String()
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// state is a state's name.
type state [16]byte

// visit is what is known of a visited state.
type visit struct {
	open      bool    // it is on the way that is being explored
	depth     int     // the fewest steps after which it was visited
	schedules float64 // how many go on from it; known when all have been explored
}

// node is a choice on the way that is being explored.
type node struct {
	state     state
	taken     int // index of the choice that is being explored
	of        int // how many there are
	schedules float64
}

// explorer goes through one scenario.
type explorer struct {
	scenario *Scenario
	fix      *fixtures
	sites    *sites
	path     []node
	visited  map[state]visit
	longest  int // schedules of more steps are given up; 0 for no bound
	result   Result
}

// Explore runs every schedule of a scenario, up to the first that breaks an
// invariant; then it looks for the shortest one that does. It must be called in a
// bubble of testing/synctest.
func Explore(s Scenario) (Result, error) {
	fix, err := newFixtures()
	if err != nil {
		return Result{}, err
	}
	e := &explorer{scenario: &s, fix: fix, sites: &sites{found: map[[32]uintptr]site{}}, visited: map[state]visit{}, result: Result{Scenario: s.Name}}
	if err := e.all(); err != nil || e.result.Violation == nil {
		return e.result, err
	}
	shorten := &explorer{scenario: &s, fix: fix, sites: &sites{found: map[[32]uintptr]site{}}, visited: map[state]visit{}, longest: e.longest}
	for shorten.result.Runs < mostShortening {
		shorten.result.Violation = nil
		if err := shorten.all(); err != nil {
			return e.result, err
		}
		if shorten.result.Violation == nil {
			break
		}
		e.result.Violation = shorten.result.Violation
	}
	return e.result, nil
}

// mostShortening bounds how many schedules are run to find a shorter one.
const mostShortening = 20000

// all explores until there is nothing left, or an invariant is broken.
func (e *explorer) all() error {
	for {
		if err := e.one(); err != nil {
			return err
		}
		e.result.Runs++
		if e.result.Violation != nil || e.longest > 0 && e.result.Runs >= mostShortening {
			e.backtrack()
			return nil
		}
		if e.backtrack(); len(e.path) == 0 {
			return nil
		}
	}
}

// backtrack moves on to the next choice that has not been explored.
func (e *explorer) backtrack() {
	for len(e.path) > 0 {
		last := &e.path[len(e.path)-1]
		if last.taken++; last.taken < last.of {
			return
		}
		v := e.visited[last.state]
		v.schedules, v.open = last.schedules, false
		e.visited[last.state] = v
		e.path = e.path[:len(e.path)-1]
		if len(e.path) == 0 {
			e.result.Schedules = v.schedules
			return
		}
		e.path[len(e.path)-1].schedules += v.schedules
	}
}

// one runs one schedule: along the path, and then always by the first choice.
func (e *explorer) one() error {
	r, err := begin(e.scenario, e.fix, e.sites)
	if err != nil {
		return err
	}
	defer r.end()
	for depth := 0; ; depth++ {
		choices := r.choices()
		known := depth < len(e.path)
		if known && len(choices) != e.path[depth].of {
			return fmt.Errorf("%s: a schedule went another way the second time, at step %d:\n%s", e.scenario.Name, depth+1, strings.Join(r.steps, "\n"))
		}
		if !known {
			s := hash(r.key())
			v, before := e.visited[s]
			if before && v.open {
				return fmt.Errorf("%s: a schedule goes in a circle, which ends at step %d:\n%s", e.scenario.Name, depth, strings.Join(r.steps, "\n"))
			}
			if before && (e.longest == 0 || v.depth <= depth) {
				if depth > 0 {
					e.path[depth-1].schedules += v.schedules
				}
				return nil
			}
			e.visited[s] = visit{depth: depth, schedules: 1}
			if e.longest > 0 && depth >= e.longest {
				return nil
			}
			e.result.States++
			if len(choices) == 0 {
				return e.finish(r, depth)
			}
			e.visited[s] = visit{depth: depth, open: true}
			e.path = append(e.path, node{state: s, of: len(choices)})
		}
		r.take(choices[e.path[depth].taken])
		if r.broken != "" {
			e.violate(r, depth+1)
			return nil
		}
	}
}

// finish ends a schedule in which nobody has anything left to do.
func (e *explorer) finish(r *run, depth int) error {
	for _, actor := range r.actors {
		if actor.attempt != nil {
			return errors.New(e.scenario.Name + ": " + actor.attempt.name + " stands still:\n" + strings.Join(r.steps, "\n"))
		}
	}
	e.result.Ends++
	e.result.Longest = max(e.result.Longest, depth)
	e.path[depth-1].schedules++
	if r.checkEnd(); r.broken != "" {
		e.violate(r, depth)
	}
	return nil
}

// violate keeps the schedule, and bounds the ones to come by its length.
func (e *explorer) violate(r *run, steps int) {
	e.longest = steps - 1
	e.result.Violation = &Violation{
		Scenario: e.scenario.Name, Invariant: r.broken, Steps: r.steps, Runs: r.account.runs(), Says: r.account.registered(),
	}
}

func hash(key string) state {
	sum := sha256.Sum256([]byte(key))
	return state(sum[:16])
}
