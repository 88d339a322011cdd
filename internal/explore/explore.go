package explore

import (
	"cmp"
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
	Longest   int     // steps of the longest schedule that was run
	Violation *Violation

	ends map[string]bool // how the account was left, by [account.String]
}

// Violation is a schedule after which an invariant does not hold.
type Violation struct {
	Scenario  string
	Invariant string // which one, and how it is broken
	Steps     []string
	End       string // how the account was left
}

// String tells the schedule, a numbered line for each step.
func (v *Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", v.Scenario)
	for i, step := range v.Steps {
		fmt.Fprintf(&b, "%4d. %s\n", i+1, step)
	}
	fmt.Fprintf(&b, "  end: %s\n", v.End)
	fmt.Fprintf(&b, "  broken: %s\n", v.Invariant)
	return b.String()
}

// state is a state's name.
type state [16]byte

// visit is what is known of a visited state.
type visit struct {
	open      bool    // it is on the way that is being explored
	depth     int     // the fewest steps after which it was visited
	schedules float64 // how many go on from it; known when all have been explored
	edges     []edge  // the choices that have been explored
}

// edge is a choice that has been explored.
type edge struct {
	label int // of the choice
	to    int // the state in which it ended
	step
}

// node is a choice on the way that is being explored.
type node struct {
	state   int
	of      int       // how many choices there are
	runs    []planned // those that have to be run
	taken   int       // index of the one that is being explored
	reached edge      // what became of it
}

// planned is a choice that has to be run.
type planned struct {
	choice int // index
	label  int
	to     int // where it leads, as foretold; -1 where nobody knows
}

// Manner is how a scenario is explored. The zero value is the manner to use: the others
// are there to show that it loses nothing.
type Manner int

// The manners.
const (
	Reduced   Manner = iota // one order of steps that commute stands for all
	Verified                // so, but whatever the reduction foretells is run, and compared
	Unreduced               // every order is run
)

// String returns the manner in a word.
func (m Manner) String() string { return [...]string{"reduced", "verified", "unreduced"}[m] }

// explorer goes through one scenario.
type explorer struct {
	scenario *Scenario
	manner   Manner
	fix      *fixtures
	sites    *sites
	path     []node
	known    map[state]int
	visits   []visit
	labels   map[string]int
	longest  int // schedules of more steps are given up; 0 for no bound
	result   Result
}

func newExplorer(s *Scenario, manner Manner, fix *fixtures) *explorer {
	return &explorer{
		scenario: s, manner: manner, fix: fix, sites: &sites{found: map[[32]uintptr]site{}},
		known: map[state]int{}, labels: map[string]int{}, result: Result{Scenario: s.Name, ends: map[string]bool{}},
	}
}

func orNothing(s string) string { return cmp.Or(s, "nothing") }

// Explore runs every schedule of a scenario, up to the first that breaks an
// invariant; then, when reduced, it looks for the shortest one that does. It must be called in a
// bubble of testing/synctest.
func Explore(s Scenario, manner Manner) (Result, error) {
	fix, err := newFixtures(s.Start)
	if err != nil {
		return Result{}, err
	}
	e := newExplorer(&s, manner, fix)
	if err := e.all(); err != nil || e.result.Violation == nil || manner != Reduced {
		return e.result, err
	}
	shorten := newExplorer(&s, manner, fix)
	for shorten.longest = e.longest; shorten.result.Runs < mostShortening; {
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

// backtrack moves on to the next choice that has to be run.
func (e *explorer) backtrack() {
	for len(e.path) > 0 {
		last := &e.path[len(e.path)-1]
		if last.taken < len(last.runs) {
			return
		}
		e.visits[last.state].open = false
		e.path = e.path[:len(e.path)-1]
		if len(e.path) == 0 {
			e.result.Schedules = e.visits[last.state].schedules
			return
		}
		e.arrived(last.state)
	}
}

// arrived notes in which state the choice that is being explored has ended, of which
// all is known by now.
func (e *explorer) arrived(at int) {
	last := &e.path[len(e.path)-1]
	last.reached.to = at
	e.add(last, last.reached)
	last.taken++
}

// add notes what became of a choice.
func (e *explorer) add(n *node, reached edge) {
	v := &e.visits[n.state]
	v.schedules += e.visits[reached.to].schedules
	v.edges = append(v.edges, reached)
}

// plan makes the next node of the path: of the choices it has to run those of which it
// is not known without a run where they lead.
func (e *explorer) plan(at int, choices []choice) {
	n := node{state: at, of: len(choices)}
	var foretold []planned
	for i, c := range choices {
		label := e.label(c.label())
		reached, is := e.foretold(label)
		switch {
		case !is:
			n.runs = append(n.runs, planned{i, label, -1})
		case e.manner == Verified:
			foretold = append(foretold, planned{i, label, reached.to})
		default:
			e.add(&n, reached)
		}
	}
	n.runs = append(foretold, n.runs...)
	e.path = append(e.path, n)
}

// foretold returns where a choice of the state in which the path ends leads, if that is
// known. If the step that led there was chosen after this choice had been explored, and
// neither disturbs the other, they come to the same in both orders; and the other order
// has been explored.
func (e *explorer) foretold(label int) (edge, bool) {
	if e.manner == Unreduced || e.longest > 0 || e.scenario.Switches != 0 || len(e.path) == 0 {
		return edge{}, false
	}
	before := e.path[len(e.path)-1]
	first, explored := e.visits[before.state].edge(label)
	if !explored || !first.apart(before.reached.step) {
		return edge{}, false
	}
	then, explored := e.visits[first.to].edge(before.reached.label)
	return edge{label, then.to, first.step}, explored
}

// edge returns the choice with a label, if it has been explored.
func (v *visit) edge(label int) (edge, bool) {
	for _, e := range v.edges {
		if e.label == label {
			return e, true
		}
	}
	return edge{}, false
}

// one runs one schedule: along the path, and then always by the first choice.
func (e *explorer) one() error {
	r, err := begin(e.scenario, e.fix, e.sites, e.manner == Unreduced)
	if err != nil {
		return err
	}
	defer r.end()
	for depth := 0; ; depth++ {
		choices := r.choices()
		if depth == len(e.path) {
			if more, err := e.visit(r, choices, depth); !more || err != nil {
				return err
			}
		}
		at := &e.path[depth]
		if len(choices) != at.of {
			return fmt.Errorf("%s: a schedule went another way the second time, at step %d:\n%s", e.scenario.Name, depth+1, strings.Join(r.steps, "\n"))
		}
		next := at.runs[at.taken]
		at.reached = edge{label: next.label, step: r.take(choices[next.choice])}
		if r.broken != "" {
			at.taken++
			e.violate(r, depth+1)
			return nil
		}
	}
}

// visit notes the state in which a run has arrived, and reports whether it goes on.
func (e *explorer) visit(r *run, choices []choice, depth int) (more bool, err error) {
	name := hash(r.key())
	at, before := e.known[name]
	if depth > 0 {
		last := e.path[depth-1]
		if told := last.runs[last.taken].to; told >= 0 && (!before || at != told) {
			return false, fmt.Errorf("%s: the last two steps were taken to commute, and do not:\n%s", e.scenario.Name, strings.Join(r.steps, "\n"))
		}
	}
	if before && e.visits[at].open {
		return false, fmt.Errorf("%s: a schedule goes in a circle, which ends at step %d:\n%s", e.scenario.Name, depth, strings.Join(r.steps, "\n"))
	}
	if before && (e.longest == 0 || e.visits[at].depth <= depth) {
		if depth > 0 {
			e.arrived(at)
		}
		return false, nil
	}
	if !before {
		at = len(e.visits)
		e.known[name] = at
		e.visits = append(e.visits, visit{})
		e.result.States++
	}
	e.visits[at] = visit{depth: depth}
	switch {
	case e.longest > 0 && depth >= e.longest:
		e.arrived(at)
		return false, nil
	case len(choices) == 0:
		return false, e.finish(r, at, depth)
	}
	e.visits[at].open = true
	e.plan(at, choices)
	return len(e.path[depth].runs) > 0, nil
}

// label returns the number of a choice's label.
func (e *explorer) label(name string) int {
	number, known := e.labels[name]
	if !known {
		number = len(e.labels)
		e.labels[name] = number
	}
	return number
}

// finish ends a schedule in which nobody has anything left to do.
func (e *explorer) finish(r *run, at, depth int) error {
	for _, actor := range r.actors {
		if actor.attempt != nil {
			return errors.New(e.scenario.Name + ": " + actor.attempt.name + " stands still:\n" + strings.Join(r.steps, "\n"))
		}
	}
	e.result.Ends++
	e.result.Longest = max(e.result.Longest, depth)
	e.result.ends[r.account.String()] = true
	e.visits[at].schedules = 1
	e.arrived(at)
	if r.checkEnd(); r.broken != "" {
		e.violate(r, depth)
	}
	return nil
}

// violate keeps the schedule, and bounds the ones to come by its length.
func (e *explorer) violate(r *run, steps int) {
	e.longest = steps - 1
	e.result.Violation = &Violation{Scenario: e.scenario.Name, Invariant: r.broken, Steps: r.steps, End: r.account.String()}
}

func hash(key string) state {
	sum := sha256.Sum256([]byte(key))
	return state(sum[:16])
}
