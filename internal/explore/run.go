package explore

import (
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
	scenario  *Scenario
	account   *account
	sites     *sites
	actors    []*actor
	steps     []string
	broken    string // the invariant that was found broken, and how; "" for none
	unreduced bool   // every order is a choice, also where it makes no difference

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

// begin starts every actor.
func begin(s *Scenario, fix *fixtures, sites *sites, unreduced bool) (*run, error) {
	a, err := fix.open(s.Start)
	if err != nil {
		return nil, err
	}
	r := &run{scenario: s, account: a, sites: sites, unreduced: unreduced}
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
	actor.attempt = r.launch(name, command, slices.Index(r.actors, actor))
}

// launch runs a command of an actor, or of nobody (-1).
func (r *run) launch(name string, command Command, actor int) *attempt {
	attempt := &attempt{
		name: name, actor: actor, command: command, newest: -1,
		updates: map[string]int{}, looks: map[string]int{}, tested: map[string]string{},
	}
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

// mostLooks is how often an actor is shown the same update under way.
const mostLooks = 2

// take goes one step.
func (r *run) take(c choice) step {
	if c.req == nil {
		was := r.account.functions[c.settles].coming
		r.account.settle(c.settles)
		r.steps = append(r.steps, fmt.Sprintf("Lambda: ends the update of %s to %s; it runs %s", c.settles, was, r.account.runs(c.settles)))
		return step{-1, lambdaSettles.on(r.account.fix.handoff, c.settles, "").uses}
	}
	uses := c.req.op.uses
	if r.scenario.Switches != 0 && !r.independent(c.req) {
		if c.req.attempt != r.last && r.canGoOn(r.choices()) {
			r.switches++
		}
		r.last = c.req.attempt
	}
	if c.verdict != goesOn {
		r.faults++
		uses = uses.and(footprint{writes: theFaults})
	}
	switch {
	case c.verdict == isStale:
		r.excused = true
	case c.verdict == isDenied, c.verdict == isLost && uses.writes == theFaults:
		uses = footprint{writes: theFaults} // nothing of it can be seen
	case c.verdict == dies:
		r.crash(c.req.attempt)
		return step{c.req.attempt.actor, uses}
	case c.verdict == diesAfter:
		r.mu.Lock()
		c.req.attempt.dead = true
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.waiting = slices.DeleteFunc(r.waiting, func(other *request) bool { return other == c.req })
	r.mu.Unlock()
	if c.req.attempt.begins(len(r.account.writers)) {
		uses = uses.and(footprint{reads: theTag})
	}
	c.req.verdict <- c.verdict
	synctest.Wait()
	if c.verdict == diesAfter {
		r.crash(c.req.attempt)
		return step{c.req.attempt.actor, uses}
	}
	r.rest(c.req.attempt)
	r.advance()
	c.req.attempt.repeats = r.repeats(c.req)
	if c.req.attempt.repeats > 0 {
		time.Sleep(missPace)
	}
	if r.over(c.req.attempt) {
		// What it reports is held against the parameter, and so is what the next command does.
		uses = uses.and(footprint{reads: theTag})
	}
	return step{c.req.attempt.actor, uses}
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
	if len(r.account.functions) > 1 {
		// One of its goroutines may stand at a gate while another one sleeps.
		time.Sleep(longPace)
		synctest.Wait()
	}
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
	if at != "" {
		at = " before " + at
	}
	r.steps = append(r.steps, attempt.name+": crashes"+at)
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

// alone runs a command to its end, without faults, while nobody else does anything.
func (r *run) alone(command Command) {
	r.faults = r.scenario.Most
	attempt := r.launch(command.Name, command, -1)
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
	current := revisions{}
	fmt.Fprintf(&b, "faults %d %t %t\n", r.faults, r.excused, r.completed)
	for _, target := range r.account.fix.handoff.Functions {
		f, _ := r.account.live(target.Name)
		now := r.account.functions[target.Name]
		current[f.RevisionID] = true
		fmt.Fprintf(&b, "%s coming %s serving %s\n", r.account.describe(f), now.coming, now.serving)
		if now.updater != nil && r.account.registered() == "" {
			fmt.Fprintf(&b, "updated by %s, from %s\n", now.updater.name, now.updater.first[target.Name])
		}
		if target.Alias != "" {
			current[r.account.describeVersions(&b, target.Name)] = true
		}
	}
	for i, version := range r.account.versions() {
		fmt.Fprintf(&b, "%s by %s\n", version.Value, r.writer(len(r.account.writers)-1-i))
	}
	for _, name := range slices.Sorted(maps.Keys(r.account.ran)) {
		fmt.Fprintf(&b, "ran %s\n", name)
	}
	if r.scenario.Switches != 0 && r.last != nil {
		fmt.Fprintf(&b, "%d switches, from %s %t\n", r.switches, r.last.name, r.last.ended)
	}
	for _, actor := range r.actors {
		fmt.Fprintf(&b, "actor %d %d\n", actor.next, actor.again)
		a := actor.attempt
		if a == nil {
			continue
		}
		fmt.Fprintf(&b, "%d %d %d %t %d %t %v\n", a.repeats, a.newest, a.saw, a.lastStale, a.misses, a.unreadable, a.tested)
		for _, target := range r.account.fix.handoff.Functions {
			fmt.Fprintf(&b, "%d %d\n", min(a.updates[target.Name], r.scenario.updates()), min(a.looks[target.Name], mostLooks))
		}
		a.key(&b, current)
		if r.account.registered() == "" {
			fmt.Fprintf(&b, "first %v\n", a.first) // nobody goes back to it once there is a release
		}

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
