package explore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tasuki-dev/tasuki"
)

// breaks notes that an invariant does not hold. The first one counts.
func (r *run) breaks(invariant, format string, args ...any) {
	if r.broken == "" {
		r.broken = invariant + ": " + fmt.Sprintf(format, args...)
	}
}

// checkEffect is called before an attempt changes anything.
func (r *run) checkEffect(a *attempt) {
	if a.unreadable {
		r.breaks("I3", "%s could not read the parameter, and went on to change something", a.name)
	}
	if a.misses == 1 && (a.command.Kind == Reconciles || a.command.Kind == Deploys) {
		r.breaks("I3", "%s found no parameter once, did not read it again, and went on to change something", a.name)
	}
}

// checkWrite is called when an attempt has written the parameter.
func (r *run) checkWrite(a *attempt, value tasuki.Tag, description string) {
	if a.unreadable {
		r.breaks("I3", "%s could not read the parameter, and wrote it", a.name)
	}
	record, err := tasuki.ParseRecord(description)
	if err != nil || record.Tag != value {
		r.breaks("I2", "%s wrote %s with a record that is not its own: %v", a.name, value, err)
		return
	}
	image := r.account.fix.names[record.Digest]
	switch {
	case image != value.String():
		r.breaks("I2", "%s registered %s, which is not in ECR as the record says", a.name, value)
	case image == Broken:
		r.breaks("I2", "%s registered %s, which Lambda does not take", a.name, image)
	case a.command.Kind == Releases && !r.account.ran[image]:
		r.breaks("I2", "%s registered %s before a function has run it", a.name, image)
	}
	for _, target := range r.account.fix.handoff.Functions {
		if tested := a.tested[target.Name]; a.command.Tests && tested != image {
			r.breaks("I2", "%s registered %s, and tested %s on %s", a.name, image, orNothing(tested), target.Name)
		}
	}
}

// checkAlias is called when an attempt has moved a function's alias, which serves what
// was registered and nothing else.
func (r *run) checkAlias(a *attempt, function string) {
	serves := r.account.aliased(function)
	registered := slices.ContainsFunc(r.account.versions(), func(v tasuki.ParameterVersion) bool { return v.Value == serves })
	if !registered && serves != r.scenario.Start.Function {
		r.breaks("alias", "%s made the alias of %s serve %s, which has never been registered", a.name, function, serves)
	}
}

// checkOutcome is called when an attempt has ended.
func (r *run) checkOutcome(a *attempt, o Outcome) {
	versions := r.account.versions()
	value := func(version int) string { return versions[len(versions)-version].Value }
	var undo *tasuki.UndoError
	if o.Err != nil {
		a.undone = !errors.As(o.Err, &undo)
		switch {
		case !a.undone, a.command.Kind == Reconciles, a.command.Kind == Deploys:
			// It says that something is left to mend.
			r.excused = true
		case slices.Contains(r.account.writers, a.name):
			r.breaks("report", "%s says that it failed and that all is undone, but it wrote version %d of the parameter", a.name, slices.Index(r.account.writers, a.name)+1)
		}
		if a.actor >= 0 && r.actors[a.actor].again > 0 && r.faults > 1 {
			// What the run before it left, which was killed, may be there still.
			r.excused = true
		}
		return
	}
	if o.Tag.IsZero() {
		return
	}
	if !o.Superseded {
		named := false
		for version := max(a.newest, 1); version <= len(versions); version++ {
			named = named || value(version) == o.Tag.String()
		}
		if !named {
			r.breaks("report", "%s says that %s is registered, but the parameter has not named it since the command began", a.name, o.Tag)
		}
	}
	if a.command.Kind == Releases || a.command.Kind == Registers {
		r.completed = true
		if !o.Superseded && !a.lastStale && a.saw > 0 && value(a.saw) != o.Tag.String() {
			r.breaks("report", "%s read that %s is registered, and does not say that it was superseded", a.name, value(a.saw))
		}
	}
}

// checkEnd is called when every actor has ended, and runs the scheduled reconcile.
func (r *run) checkEnd() {
	if !r.excused {
		r.checkAgreement("before any scheduled reconcile")
	}
	if r.broken != "" {
		return
	}
	r.alone(Command{Name: "reconcile on schedule", Kind: Reconciles, Run: func(ctx context.Context, p *Port) Outcome {
		_, err := p.Reconciler().Reconcile(ctx, p.Handoff)
		if _, there := r.account.live(function); err != nil && (there || !errors.Is(err, tasuki.ErrMissing)) {
			r.breaks("I4", "the scheduled reconcile fails: %v", err)
		}
		return Outcome{Err: err}
	}})
	r.checkAgreement("after the scheduled reconcile")
}

// checkAgreement holds the functions and their aliases against the parameter.
func (r *run) checkAgreement(when string) {
	registered := r.account.registered()
	for _, target := range r.account.fix.handoff.Functions {
		runs, updater := r.account.runs(target.Name), r.account.functions[target.Name].updater
		switch {
		case runs == "": // the stack was not created
		case registered != "" && runs != registered:
			r.breaks("I1", "%s function %s runs %s, and %s is registered", when, target.Name, runs, registered)
		case r.completed && runs == Placeholder:
			r.breaks("I1", "%s function %s runs the placeholder after a completed release", when, target.Name)
		case registered == "" && runs != cmp.Or(r.scenario.Start.Function, Placeholder) && updater != nil && updater.undone && runs != updater.first[target.Name]:
			r.breaks("report", "%s function %s runs %s, which %s left there; it says that all is undone", when, target.Name, runs, updater.name)
		case registered == "" && runs == Placeholder && r.scenario.Start.Function != Placeholder && r.scenario.Start.Function != "":
			r.breaks("I1", "%s function %s runs the placeholder; it ran %s before", when, target.Name, r.scenario.Start.Function)
		case registered != "" && target.Alias != "" && r.account.aliased(target.Name) != registered:
			r.breaks("I1", "%s the alias of function %s serves %s, and %s is registered", when, target.Name, orNothing(r.account.aliased(target.Name)), registered)
		}
	}
}
