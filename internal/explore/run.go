package explore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// run is one schedule.
type run struct {
	scenario *Scenario
	account  *account
	sites    *sites
	actors   []*actor
	steps    []string
	broken   string // the invariant that was found broken, and how; "" for none

	faults    int  // that have happened
	excused   bool // what has happened leaves mending to the scheduled reconcile
	completed bool // a release has been completed

	last     *attempt // that went on
	switches int      // from an actor that could have gone on

	mu      sync.Mutex
	waiting []*request
	ending  bool // everything dies
	group   sync.WaitGroup
}

// actor is what has become of one of the scenario's.
type actor struct {
	commands Actor
	next     int // index of the command that runs, or would run next
	again    int // how often that command was started again
	attempt  *attempt
}

// attempt is one run of a command.
type attempt struct {
	recollection

	name    string
	command Command
	ended   bool
	dead    bool

	updates int // that it has made
	looks   int // at the update that is under way
	repeats int // of a read of the parameter that has not been believed yet

	newest     int  // version of the parameter when it began
	saw        int  // version that it read last; 0 for none
	lastStale  bool // its last read of the parameter was stale
	misses     int  // reads on end that found no parameter
	undone     bool // it said that it failed, and that all is undone
	unreadable bool // its last read of the parameter failed
}

// request is an operation that stands at its gate.
type request struct {
	attempt *attempt
	op      operation
	at      site
	verdict chan verdict // buffered, so that answering never blocks
}

// sees notes that the attempt reads the parameter.
func (a *attempt) sees(newest int, stale bool) { a.saw, a.lastStale = newest, stale }

// answered notes how reading the parameter ended.
func (a *attempt) answered(err error) {
	switch {
	case err == nil:
		a.misses, a.unreadable = 0, false
	case errors.Is(err, tasuki.ErrMissing):
		a.misses++
	default:
		a.unreadable = true
	}
}

// looked notes whether the attempt was told of an update that is under way.
func (a *attempt) looked(updating bool) {
	if updating {
		a.looks++
	} else {
		a.looks = 0
	}
}

// begin starts every actor.
func begin(s *Scenario, fix *fixtures, sites *sites) (*run, error) {
	a, err := fix.open(s.Start)
	if err != nil {
		return nil, err
	}
	r := &run{scenario: s, account: a, sites: sites}
	for _, commands := range s.Actors {
		r.actors = append(r.actors, &actor{commands: commands})
	}
	for _, actor := range r.actors {
		r.start(actor)
	}
	synctest.Wait()
	return r, nil
}

// start runs the actor's next command, if there is one.
func (r *run) start(actor *actor) {
	if actor.next == len(actor.commands) {
		actor.attempt = nil
		return
	}
	command := actor.commands[actor.next]
	name := command.Name
	if actor.again > 0 {
		name += strings.Repeat(", again", actor.again)
	}
	actor.attempt = r.launch(name, command)
}

// launch runs a command.
func (r *run) launch(name string, command Command) *attempt {
	attempt := &attempt{name: name, command: command, newest: len(r.account.writers)}
	p := &Port{Handoff: r.account.fix.handoff, run: r, attempt: attempt}
	r.group.Go(func() {
		outcome := command.Run(context.Background(), p)
		r.mu.Lock()
		defer r.mu.Unlock()
		if !attempt.dead {
			r.checkOutcome(attempt, outcome)
			r.steps = append(r.steps, fmt.Sprintf("%s: %s", name, outcome))
		}
		attempt.ended = true
	})
	return attempt
}

// String tells what was reported.
func (o Outcome) String() string {
	var undo *tasuki.UndoError
	switch {
	case errors.As(o.Err, &undo):
		return "reports that it failed and was not undone: " + o.Err.Error()
	case o.Err != nil:
		return "reports that it failed: " + o.Err.Error()
	case o.Superseded:
		return fmt.Sprintf("reports that %s was registered and superseded", o.Tag)
	case !o.Tag.IsZero():
		return fmt.Sprintf("reports that %s is registered", o.Tag)
	}
	return "reports success"
}

// gate holds an operation until the explorer lets it go.
func (r *run) gate(ctx context.Context, attempt *attempt, op operation, at site) (verdict, error) {
	r.mu.Lock()
	if attempt.dead || r.ending {
		r.mu.Unlock()
		return dies, errDead
	}
	req := &request{attempt: attempt, op: op, at: at, verdict: make(chan verdict, 1)}
	r.waiting = append(r.waiting, req)
	r.mu.Unlock()
	select {
	case v := <-req.verdict:
		if v == dies {
			return v, errDead
		}
		return v, nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting = slices.DeleteFunc(r.waiting, func(other *request) bool { return other == req })
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			r.breaks("model", "a deadline of the domain's passed while %s stood at %s: the explorer's clock is too fast", attempt.name, op.name)
		}
		return goesOn, context.Cause(ctx)
	}
}

// standing returns the operations that are held. An actor whose timer ends may come to
// its gate while the explorer looks.
func (r *run) standing() []*request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.waiting)
}

// over reports whether an attempt has ended.
func (r *run) over(attempt *attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return attempt.ended
}

// note records what an operation answered.
func (r *run) note(attempt *attempt, op operation, v verdict, text string) {
	step := fmt.Sprintf("%s: %s", attempt.name, op.name)
	if op.subject != "" {
		step += " " + op.subject
	}
	if v == isStale {
		text = "stale: " + text
	}
	r.steps = append(r.steps, step+" → "+text)
}

// choice is one way to go on: an operation with its verdict, or, with no operation,
// Lambda's finishing of an update.
type choice struct {
	req     *request
	verdict verdict
}

// choices returns every way to go on, in an order that depends on the schedule alone.
func (r *run) choices() []choice {
	r.mu.Lock()
	defer r.mu.Unlock()
	updating := r.account.updating()
	slices.SortFunc(r.waiting, func(a, b *request) int {
		return cmp.Or(cmp.Compare(a.attempt.name, b.attempt.name), cmp.Compare(a.op.name, b.op.name), cmp.Compare(a.op.subject, b.op.subject))
	})
	var all []choice
	var held *request
	for _, req := range r.waiting {
		switch {
		case updating && req.op.patient:
		case updating && req.op.name == readFunction.name && req.attempt.looks >= mostLooks:
		case req.op.name == updateCode.name && req.attempt.updates >= r.scenario.updates():
			if held == nil {
				held = req
			}
		case r.independent(req.op):
			return r.verdicts(req)
		default:
			all = append(all, r.verdicts(req)...)
		}
	}
	if r.scenario.Switches > 0 && r.switches >= r.scenario.Switches && r.canGoOn(all) {
		all = slices.DeleteFunc(all, func(c choice) bool { return c.req.attempt != r.last })
	}
	if updating {
		all = append(all, choice{})
	}
	if len(all) == 0 && held != nil {
		return r.verdicts(held)
	}
	return all
}

// canGoOn reports whether the last actor has a choice.
func (r *run) canGoOn(all []choice) bool {
	return slices.ContainsFunc(all, func(c choice) bool { return c.req != nil && c.req.attempt == r.last })
}

// mostLooks is how often an actor is shown the same update under way.
const mostLooks = 2

// independent reports whether an operation commutes with whatever others may do.
func (r *run) independent(op operation) bool {
	return !r.scenario.Start.NoSeed && (op.name == readImages.name || op.name == readConfig.name)
}

// verdicts returns what may happen to one operation.
func (r *run) verdicts(req *request) []choice {
	all := []choice{{req, goesOn}}
	if r.faults >= r.scenario.Most || req.op.service {
		return all
	}
	for _, fault := range r.scenario.Faults {
		switch {
		case fault == Crash:
			all = append(all, choice{req, dies})
		case fault == Denied:
			all = append(all, choice{req, isDenied})
		case fault == Lost:
			all = append(all, choice{req, isLost})
			if req.op.name == updateCode.name {
				all = append(all, choice{req, isConflict})
			}
		case fault == Stale && req.op.name == readTag.name && !req.attempt.lastStale && len(r.account.writers) > 0:
			all = append(all, choice{req, isStale})
		}
	}
	return all
}

// take goes one step.
func (r *run) take(c choice) {
	if c.req == nil {
		was := r.account.coming
		r.account.settle()
		r.steps = append(r.steps, fmt.Sprintf("Lambda: ends the update to %s; the function runs %s", was, r.account.runs()))
		return
	}
	if r.scenario.Switches > 0 && !r.independent(c.req.op) {
		if c.req.attempt != r.last && r.canGoOn(r.choices()) {
			r.switches++
		}
		r.last = c.req.attempt
	}
	if c.verdict != goesOn {
		r.faults++
	}
	if c.verdict == isStale {
		r.excused = true
	}
	if c.verdict == dies {
		r.crash(c.req.attempt)
		return
	}
	r.mu.Lock()
	r.waiting = slices.DeleteFunc(r.waiting, func(other *request) bool { return other == c.req })
	r.mu.Unlock()
	c.req.verdict <- c.verdict
	synctest.Wait()
	r.rest(c.req.attempt)
	r.advance()
	c.req.attempt.repeats = r.repeats(c.req)
	if c.req.attempt.repeats > 0 {
		time.Sleep(missPace)
	}
}

// repeats returns how often an operation has been done on end by now, if it reads
// the parameter and is about to be done again at the same place.
func (r *run) repeats(done *request) int {
	again := done.op.name == readTag.name && slices.ContainsFunc(r.standing(), func(req *request) bool {
		return req.attempt == done.attempt && req.at.stack == done.at.stack
	})
	if !again {
		return 0
	}
	return done.attempt.repeats + 1
}

// rest lets the clock run until an attempt stands at a gate or has ended.
func (r *run) rest(attempt *attempt) {
	for !r.over(attempt) {
		time.Sleep(pace)
		synctest.Wait()
		if r.over(attempt) || slices.ContainsFunc(r.standing(), func(req *request) bool { return req.attempt == attempt }) {
			return
		}
	}
}

// advance starts the next command of an actor whose command has ended.
func (r *run) advance() {
	for _, actor := range r.actors {
		if actor.attempt != nil && actor.attempt.ended {
			actor.next, actor.again = actor.next+1, 0
			r.start(actor)
			synctest.Wait()
		}
	}
}

// crash kills an attempt, and starts its command again.
func (r *run) crash(attempt *attempt) {
	at := ""
	r.mu.Lock()
	attempt.dead = true
	r.waiting = slices.DeleteFunc(r.waiting, func(req *request) bool {
		if req.attempt != attempt {
			return false
		}
		at = req.op.name
		req.verdict <- dies
		return true
	})
	r.mu.Unlock()
	r.steps = append(r.steps, fmt.Sprintf("%s: crashes before %s", attempt.name, at))
	r.rest(attempt)
	for _, actor := range r.actors {
		if actor.attempt == attempt {
			actor.again++
			r.start(actor)
			synctest.Wait()
		}
	}
}

// end kills whatever is left of the schedule.
func (r *run) end() {
	r.mu.Lock()
	r.ending = true
	for _, actor := range r.actors {
		if actor.attempt != nil {
			actor.attempt.dead = true
		}
	}
	for _, req := range r.waiting {
		req.verdict <- dies
	}
	r.waiting = nil
	r.mu.Unlock()
	r.group.Wait()
}

// alone runs a command to its end while nobody else does anything.
func (r *run) alone(command Command) {
	attempt := r.launch(command.Name, command)
	synctest.Wait()
	for !attempt.ended {
		all := r.choices()
		if len(all) == 0 {
			r.breaks("model", "%s stands still", command.Name)
			return
		}
		r.take(all[0])
	}
}

// key tells the state from every other one.
func (r *run) key() string {
	var b strings.Builder
	names := revisions{}
	f, _ := r.account.live()
	fmt.Fprintf(&b, "%s %d coming %s\nfaults %d %t %t\n", r.account.describe(f), names.name(f.RevisionID), r.account.coming, r.faults, r.excused, r.completed)
	if r.account.updater != nil && r.account.registered() == "" {
		fmt.Fprintf(&b, "updated by %s\n", r.account.updater.name)
	}
	for i, version := range r.account.versions() {
		fmt.Fprintf(&b, "%s by %s\n", version.Value, r.writer(len(r.account.writers)-1-i))
	}
	for _, name := range slices.Sorted(maps.Keys(r.account.ran)) {
		fmt.Fprintf(&b, "ran %s\n", name)
	}
	if r.scenario.Switches > 0 && r.last != nil {
		fmt.Fprintf(&b, "%d switches, from %s %t\n", r.switches, r.last.name, r.last.ended)
	}
	for _, actor := range r.actors {
		fmt.Fprintf(&b, "actor %d %d\n", actor.next, actor.again)
		a := actor.attempt
		if a == nil {
			continue
		}
		fmt.Fprintf(&b, "%d %d %d %d %d %t %d %t\n", a.repeats, min(a.updates, r.scenario.updates()), min(a.looks, mostLooks), a.newest, a.saw, a.lastStale, a.misses, a.unreadable)
		a.key(&b, names)
		for _, req := range r.standing() {
			if req.attempt == a {
				fmt.Fprintf(&b, "at %s %s %s\n", req.op.name, req.op.subject, req.at.stack)
			}
		}
	}
	return b.String()
}

// writer returns who wrote a version of the parameter; "" when he has ended, because
// then nobody asks any more.
func (r *run) writer(version int) string {
	name := r.account.writers[version]
	for _, actor := range r.actors {
		if actor.attempt != nil && actor.attempt.name == name {
			return name
		}
	}
	return ""
}
