package proof

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// everyFault is the variable that makes TestEveryFault try each kind of fault in each
// manner at each call. Without it, each call is tried with every second kind, and each
// of these in one manner, both in turn: so each call is tried with three kinds, and each
// verb with all kinds in all manners. It is the same choice in every run, as long as the
// verbs make the same calls.
const everyFault = "TASUKI_PROOF_FULL"

// atOnce is how many endpoints are tried at the same time. A verb mostly waits: for
// Lambda, and between attempts.
const atOnce = 32

// patience is when the caller of a command that gets no answer presses Ctrl-C.
const patience = 2500 * time.Millisecond

// sample is how many calls are between those after whose failure the function is invoked
// too. Its digest is looked at after each.
const sample = 8

var kinds = []fault.Kind{fault.Error, fault.Throttle, fault.Denied, fault.Timeout, fault.LostAnswer, fault.Stale}

// manner is how long a fault lasts.
type manner string

const (
	once   manner = "once"       // one call
	always manner = "always"     // that call of an operation, and all later ones
	dark   manner = "everything" // from that call on, every call of every operation; for stale reads, all of the next two
	// retried is one lost answer, after which the operation is throttled for good: what the
	// retry is told is not what became of the call.
	retried manner = "once, then throttled"
)

var manners = []manner{once, always, dark}

// deployed is how the handoff stands before a verb.
type deployed struct {
	name  string
	setUp func(*testing.T, *world)
}

// verb is a command, what it starts from, and what it means that it is done.
type verb struct {
	name string
	from deployed
	args []string
	code int // without faults
	done func(before, after snapshot) error
}

// point is one call of a verb: the nth of an operation, and of all.
type point struct {
	operation  string
	nth, place int
	read       int  // how many of SSM's reads it is, from 1
	write      bool // some call before it has changed something
}

// attempt is one fault at one point of a verb.
type attempt struct {
	verb   *verb
	point  point
	kind   fault.Kind
	manner manner
}

func (a attempt) String() string {
	return fmt.Sprintf("%s, %s %s at call %d of %s", a.verb.name, a.kind, a.manner, a.point.nth, a.point.operation)
}

// rules are the faults in force: the first one is the attempt's own.
func (a attempt) rules() []fault.Rule {
	rules := []fault.Rule{a.rule()}
	if a.manner == retried {
		rules = append(rules, fault.Rule{Operation: a.point.operation, Kind: fault.Throttle, Nth: a.point.nth + 1})
	}
	return rules
}

func (a attempt) rule() fault.Rule {
	switch a.manner {
	case once, retried:
		return fault.Rule{Operation: a.point.operation, Kind: a.kind, Nth: a.point.nth, Times: 1}
	case always:
		return fault.Rule{Operation: a.point.operation, Kind: a.kind, Nth: a.point.nth}
	}
	// SSM is read in pairs, and both answers may be stale for a moment. If all were for
	// good, nobody could tell that there has been a write.
	if a.kind == fault.Stale {
		return fault.Rule{Operation: "ssm:Get*", Kind: a.kind, Nth: a.point.read, Times: 2}
	}
	return fault.Rule{Operation: "*:*", Kind: a.kind, Nth: a.point.place}
}

// struck reports whether the verb made the call that was to fail: how often it polls is
// not the same each time.
func (a attempt) struck(calls []localaws.Call) bool {
	rule := a.rule()
	seen := 0
	for _, c := range calls {
		if matched, err := path.Match(rule.Operation, c.Name()); err == nil && matched {
			seen++
		}
	}
	if a.kind == fault.Timeout {
		seen++ // the endpoint logs a call that it leaves hanging a little after the client has given up
	}
	return seen >= rule.Nth
}

func TestEveryFault(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	tally := newTally()
	var attempts []attempt
	for i, v := range lab.verbs {
		points := lab.points(t, v)
		t.Logf("%s: %d calls", v.name, len(points))
		for j, p := range points {
			attempts = append(attempts, attemptsAt(v, p, i+j)...)
		}
	}
	started := time.Now()
	var group sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for _, a := range attempts {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			lab.try(t, a, tally)
		})
	}
	group.Wait()
	t.Logf("%d attempts in %v\n%s", len(attempts), time.Since(started).Round(time.Second), tally)
}

// attemptsAt returns what is tried at a point, whose turn it is. SSM's reads alone can
// be stale, and what AWS's services change is always tried with a retry's refusal.
func attemptsAt(v *verb, p point, turn int) (attempts []attempt) {
	for i, kind := range kinds {
		if kind == fault.Stale && !strings.HasPrefix(p.operation, "ssm:Get") {
			continue
		}
		for j, m := range manners {
			if os.Getenv(everyFault) != "" || (turn+i)%2 == 0 && (turn+i)/2%len(manners) == j {
				attempts = append(attempts, attempt{v, p, kind, m})
			}
		}
	}
	if service, _, _ := strings.Cut(p.operation, ":"); service != "registry" && slices.Contains(changes, p.operation) {
		attempts = append(attempts, attempt{v, p, fault.LostAnswer, retried})
	}
	return attempts
}

// lab holds an endpoint's folder for each beginning.
type lab struct {
	verbs       []*verb
	folders     map[string]string
	before      map[string]snapshot
	placeholder string // its digest
}

func newLab(t *testing.T) *lab {
	t.Helper()
	v := map[string]string{} // digests
	for _, name := range []string{"v1", "v2", "v3", "v4"} {
		v[name] = versions.version(t, name).digest
	}
	v["broken"] = versions.broken(t).digest
	release := func(t *testing.T, w *world, tags ...string) {
		for _, tag := range tags {
			w.must(t, "release", "orders", "--image", versions.version(t, tag).source(), "--tag", tag)
		}
	}
	nothing := deployed{"nothing", func(t *testing.T, w *world) { w.deploy(t, false) }}
	first := deployed{"first", func(t *testing.T, w *world) { w.deploy(t, true) }}
	released := deployed{"released", func(t *testing.T, w *world) { w.deploy(t, true); release(t, w, "v3", "v1", "v2") }}
	strayed := deployed{"strayed", func(t *testing.T, w *world) {
		released.setUp(t, w)
		w.must(t, "register", "orders", "--tag", "v3")
	}}
	aliased := deployed{"aliased", func(t *testing.T, w *world) { w.deploy(t, true, "--alias", alias); release(t, w, "v3", "v1", "v2") }}
	strayedAlias := deployed{"strayed alias", func(t *testing.T, w *world) {
		aliased.setUp(t, w)
		w.must(t, "register", "orders", "--tag", "v3")
	}}
	image := func(tag string) []string {
		return []string{"release", "orders", "--image", versions.version(t, tag).source(), "--tag", tag}
	}
	test := []string{"--smoke", smokeTest}
	running := func(tag string) func(before, after snapshot) error {
		return func(before, after snapshot) error {
			if after.Tag != tag || after.Digest != v[tag] || after.Function != v[tag] || before.Alias != "" && after.Alias != v[tag] {
				return fmt.Errorf("%s (%s) does not run, or is not registered", tag, v[tag])
			}
			return nil
		}
	}
	registered := func(tag string) func(before, after snapshot) error {
		return func(before, after snapshot) error {
			if after.Tag != tag || after.Digest != v[tag] {
				return fmt.Errorf("%s is not registered", tag)
			}
			return same(snapshot{before.Function, before.Alias, "", 0, ""}, snapshot{after.Function, after.Alias, "", 0, ""})
		}
	}
	l := &lab{folders: map[string]string{}, before: map[string]snapshot{}, verbs: []*verb{
		{"release, first", first, image("v4"), 0, running("v4")},
		{"release, first, smoke", first, slices.Concat(image("v4"), test, []string{"--expect", `{"version":"v4"}`}), 0, running("v4")},
		{"release, image", released, image("v4"), 0, running("v4")},
		{"release, image, smoke", released, slices.Concat(image("v4"), test), 0, running("v4")},
		{"release, tag", released, []string{"release", "orders", "--tag", "v3"}, 0, running("v3")},
		{"release, tag, smoke", released, slices.Concat([]string{"release", "orders", "--tag", "v3"}, test), 0, running("v3")},
		{"release, broken", released, slices.Concat([]string{"release", "orders", "--image", versions.broken(t).source(), "--tag", "broken"}, test), 1, nil},
		{"register", released, []string{"register", "orders", "--tag", "v3"}, 0, registered("v3")},
		{"rollback", released, []string{"rollback", "orders", "--to", "v1"}, 0, running("v1")},
		{"reconcile", strayed, []string{"reconcile", "orders"}, 0, running("v3")},
		{"resolve", released, []string{"resolve", "orders"}, 0, same},
		{"resolve, first", nothing, []string{"resolve", "orders"}, 0, same},
		{"release, alias", aliased, image("v4"), 0, running("v4")},
		{"release, alias, smoke", aliased, slices.Concat(image("v4"), test), 0, running("v4")},
		{"rollback, alias", aliased, []string{"rollback", "orders", "--to", "v1"}, 0, running("v1")},
		{"reconcile, alias", strayedAlias, []string{"reconcile", "orders"}, 0, running("v3")},
	}}
	for _, from := range []deployed{nothing, first, released, strayed, aliased, strayedAlias} {
		dir := filepath.Join(scratch, "worlds", from.name)
		w := open(t, dir)
		from.setUp(t, w)
		before, err := w.snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.close(t)
		l.folders[from.name], l.before[from.name] = dir, before
	}
	l.placeholder = l.before[first.name].Function
	return l
}

// same returns an error unless two snapshots are the same.
func same(before, after snapshot) error {
	if before != after {
		return fmt.Errorf("something has changed, from %+v", before)
	}
	return nil
}

// begin returns an endpoint on which the handoff stands as it does before a verb, and
// what ends it.
func (l *lab) begin(t *testing.T, v *verb) (w *world, end func()) {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "world-")
	if err != nil {
		t.Fatal(err)
	}
	if err := duplicate(l.folders[v.from.name], dir); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir)
	return w, func() {
		w.close(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}

// changes lists the calls that change something.
var changes = []string{
	"ssm:PutParameter", "lambda:UpdateFunctionCode", "lambda:PublishVersion", "lambda:CreateAlias", "lambda:UpdateAlias", "ecr:PutImage",
	"registry:POST uploads", "registry:PATCH uploads", "registry:PUT uploads", "registry:PUT manifests",
}

// points runs a verb without faults, and returns the calls that it makes, sorted by
// their names: what it asks for at once comes in any order.
func (l *lab) points(t *testing.T, v *verb) (points []point) {
	t.Helper()
	w, finish := l.begin(t, v)
	defer finish()
	before := l.before[v.from.name]
	end := w.tasuki(t.Context(), w.patient(), v.args...)
	calls := w.server.Calls().All()
	after, err := w.snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.judge(end, before, after); err != nil {
		t.Fatalf("%s without faults: %v\n%s", v.name, err, end)
	}
	slices.SortStableFunc(calls, func(a, b localaws.Call) int { return a.Started.Compare(b.Started) })
	seen, reads, written := map[string]int{}, 0, false
	for i, call := range calls {
		seen[call.Name()]++
		if strings.HasPrefix(call.Name(), "ssm:Get") {
			reads++
		}
		points = append(points, point{call.Name(), seen[call.Name()], i + 1, reads, written})
		written = written || slices.Contains(changes, call.Name())
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.operation, b.operation), cmp.Compare(a.nth, b.nth))
	})
	return points
}

// judge says why a verb that ended as it does without faults has not done what it is for.
func (v *verb) judge(end ended, before, after snapshot) error {
	if end.code != v.code {
		return fmt.Errorf("exit code %d, want %d", end.code, v.code)
	}
	if v.code != 0 {
		return same(before, after)
	}
	return v.done(before, after)
}

// try runs a verb with a fault in force, and looks at what it left.
func (l *lab) try(t *testing.T, a attempt, tally *tally) {
	w, finish := l.begin(t, a.verb)
	defer finish()
	w.server.Faults().Add(a.rules()...)
	ctx := t.Context()
	if a.kind == fault.Timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	end := w.tasuki(ctx, w.impatient(), a.verb.args...)
	calls := w.server.Calls().All()
	w.server.Faults().Clear()
	violations := l.violations(t, w, a, end, calls)
	tally.add(a, a.struck(calls), end.code, len(violations))
	if len(violations) > 0 {
		t.Errorf("%s: %s\n%s", a, strings.Join(violations, "\n  "), end)
	}
}

// violations says what is wrong about how a verb ended, and mends and repeats it.
func (l *lab) violations(t *testing.T, w *world, a attempt, end ended, calls []localaws.Call) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	before := l.before[a.verb.from.name]
	after, err := w.snapshot(t.Context())
	if err != nil {
		say("%v", err)
		return wrong
	}
	if before.Tag != "" && (after.Function == l.placeholder || after.Alias == l.placeholder) {
		say("the placeholder runs: %+v", after)
	}
	unread := a.manner != once && a.kind != fault.Stale && a.kind != fault.LostAnswer && strings.HasPrefix(a.point.operation, "ssm:Get") && !a.point.write
	if i := slices.IndexFunc(calls, func(c localaws.Call) bool { return slices.Contains(changes, c.Name()) }); unread && i >= 0 {
		say("%s was called, though the parameter could not be read", calls[i].Name())
	}
	if end.code == 4 {
		wrong = append(wrong, mends(t, w, a, end, before, after)...)
	} else if end.code == 1 {
		if err := same(before, after); err != nil {
			say("exit code 1, and %v, to %+v", err, after)
		}
	}
	if end.code == a.verb.code {
		if err := a.verb.judge(end, before, after); err != nil {
			say("exit code %d, but %v: %+v", end.code, err, after)
		}
		if before.Tag != "" && a.point.place%sample == 0 {
			if answer, err := w.invoke(t.Context(), ""); err != nil || versions.version(t, answer).digest != after.Function {
				say("invoked, the function answers %q, %v: %+v", answer, err, after)
			}
		}
		return wrong
	}
	if end.code != 1 && end.code != 4 {
		say("exit code %d", end.code)
	}
	again := w.tasuki(t.Context(), w.patient(), a.verb.args...)
	if after, err = w.snapshot(t.Context()); err != nil {
		say("after the second run: %v", err)
	} else if err := a.verb.judge(again, before, after); err != nil {
		say("run again: %v: %+v: %s", err, after, again)
	}
	return wrong
}

// mends says what is wrong about an exit code 4: something must be left, or must have
// been impossible to see, and the command that the message names must mend it.
func mends(t *testing.T, w *world, a attempt, end ended, before, after snapshot) (wrong []string) {
	// What mends a registration that may not have been written is to register again,
	// which follows in any case; reconcile would move the function.
	if strings.Contains(end.errors, "hint: Register it again") {
		return nil
	}
	if !strings.Contains(end.errors, "tasuki reconcile orders") {
		wrong = append(wrong, "the message does not say what mends it")
	}
	// Where a call was not answered in time, though one hung once at most and was made
	// again, the machine was too busy: to the program, more was out of order than the fault.
	busy := strings.Contains(end.errors, "in time")
	if a.manner == once && before == after && slices.Contains(changes, a.point.operation) && !busy {
		wrong = append(wrong, "exit code 4, and nothing is left")
	}
	mended := w.tasuki(t.Context(), w.patient(), "reconcile", "orders")
	now, err := w.snapshot(t.Context())
	switch {
	case err != nil:
		wrong = append(wrong, fmt.Sprintf("after reconcile: %v", err))
	case mended.code != 0:
		wrong = append(wrong, fmt.Sprintf("reconcile does not mend it: %s", mended))
	case now.Tag == "" && strings.Contains(end.errors, "hint: Run the release again"):
		// Nothing is registered that reconcile could put back; that follows in any case.
	case now.Function != now.Digest || before.Alias != "" && now.Alias != now.Digest:
		wrong = append(wrong, fmt.Sprintf("after reconcile the function does not run what is registered: %+v", now))
	}
	return wrong
}

// tally counts what became of the attempts.
type tally struct {
	mu     sync.Mutex
	rows   map[[2]string]*row
	missed int // attempts whose fault did not strike, which are not in the rows
}

type row struct{ points, done, undone, left, wrong int }

func newTally() *tally {
	return &tally{rows: map[[2]string]*row{}}
}

func (l *tally) add(a attempt, struck bool, code, wrong int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !struck && wrong == 0 {
		l.missed++
		return
	}
	for _, key := range [][2]string{{a.verb.name, string(a.kind)}, {"all", string(a.kind)}, {"all", "all"}} {
		r := l.rows[key]
		if r == nil {
			r = &row{}
			l.rows[key] = r
		}
		r.points++
		switch code {
		case 0:
			r.done++
		case 1:
			r.undone++
		case 4:
			r.left++
		}
		if wrong > 0 {
			r.wrong++
		}
	}
}

func (l *tally) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "verb\tkind\ttried\texit 0\texit 1\texit 4\tviolations")
	keys := make([][2]string, 0, len(l.rows))
	for key := range l.rows {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, key := range keys {
		r := l.rows[key]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", key[0], key[1], r.points, r.done, r.undone, r.left, r.wrong)
	}
	_ = w.Flush() // to a strings.Builder
	fmt.Fprintf(&b, "%d more, whose fault did not strike\n", l.missed)
	return b.String()
}
