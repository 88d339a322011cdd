package tasuki

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Reconciler makes a handoff's functions run what [Resolver.Resolve] says.
type Reconciler struct {
	Resolver
	Updater  FunctionUpdater
	Versions VersionPublisher // for handoffs with an alias
	Tagger   ImageTagger      // protects the registered image in ECR; nil leaves it unprotected

	// Refresh publishes the functions again even where their aliases are on the right
	// image, because their configuration may have changed since.
	Refresh bool

	// Stack is the handoff's CloudFormation stack, by its id: [Reconciler.Reconcile],
	// [Releaser.Release] and [Rollbacker.Rollback] change nothing while it is being
	// changed; "" for none.
	Stack  string
	Stacks StackReader // where Stack is set

	// Random returns a number from 0 to 1, 1 left out, for several goroutines at once. It
	// shortens the pauses after a conflict by up to a half, so that two who have met do
	// not meet again for ever; nil for math/rand's.
	Random func() float64
}

// Reconciled is the end of a reconciliation: every function runs the resolution's image.
type Reconciled struct {
	Resolution
	Functions []FunctionChange
}

// FunctionChange is what a verb did to one function.
type FunctionChange struct {
	Name    string
	From    Digest // what it ran before
	To      Digest // what it runs now
	Alias   string // the alias that follows releases; "" for none
	Version string // what the alias points to now, or was published; "" for none

	begun bool // the function or its alias may have been changed, even where the change was not seen to its end
}

// Changed reports whether the function's image was changed.
func (c FunctionChange) Changed() bool { return c.From != c.To }

// mostPasses bounds how often reconcile starts again because somebody else
// changed the parameter or the function meanwhile. Each pass waits longer, half a
// minute to a minute in all; whoever goes on changing them reconciles after himself.
const mostPasses = 20

// afterConflict returns the pauses between two passes.
func (r Reconciler) afterConflict() pause {
	random := r.Random
	if random == nil {
		random = rand.Float64
	}
	return pause{next: 200 * time.Millisecond, longest: 5 * time.Second, random: random}
}

// Reconcile makes the functions run what the tag parameter says, until both agree:
// it reads the parameter again after it has changed a function, because somebody
// may have registered another release meanwhile. An error of type [UndoError] says
// that a function may have been changed before it was known that all run it.
func (r Reconciler) Reconcile(ctx context.Context, h Handoff) (Reconciled, error) {
	end, err := r.reconcile(ctx, h, 0)
	if err == nil {
		return end, nil
	}
	for _, change := range end.Functions {
		if change.begun {
			return Reconciled{}, &UndoError{Err: err, Undo: fmt.Errorf("function %s may have been changed before that", change.Name), Hint: mend(h)}
		}
	}
	return Reconciled{}, err
}

// reconcile is Reconcile that does not believe a version of the parameter before
// atLeast. With an error it returns what it did to the functions until then.
func (r Reconciler) reconcile(ctx context.Context, h Handoff, atLeast int64) (Reconciled, error) {
	if len(h.Functions) == 0 {
		return Reconciled{}, noFunctions(h)
	}
	changes := make([]FunctionChange, len(h.Functions))
	begun := Reconciled{Functions: changes}
	between := r.afterConflict()
	var last error
	for range mostPasses {
		var want Resolution
		err := r.withStackAtRest(ctx, h, func(ctx context.Context) (err error) {
			want, err = r.resolve(ctx, h, atLeast)
			return err
		})
		if err != nil {
			return begun, err
		}
		r.Stack = "" // what has begun is ended
		var updates []func() error
		for i, target := range h.Functions {
			updates = append(updates, func() error { return r.converge(ctx, h, target, want, &changes[i]) })
		}
		last = allTogether(updates...)
		if last != nil && !errors.Is(last, ErrConflict) {
			return begun, last
		}
		if last == nil {
			still, version, err := r.stillWanted(ctx, h, want)
			if err != nil {
				return begun, err
			}
			if still {
				r.protect(ctx, h, want.manifest, want.protected)
				return Reconciled{want, changes}, nil
			}
			// What was just read is newer than what was resolved: never go back behind it.
			atLeast = max(atLeast, version)
			last = fmt.Errorf("the tag parameter %s keeps changing", h.TagParameter)
		}
		if err := between.wait(ctx); err != nil {
			return begun, err
		}
	}
	return begun, &Error{
		Op: "reconcile", Side: SideFunction, Subject: h.Name.s, Kind: ErrConflict, Err: last,
		Hint: fmt.Sprintf("Somebody else keeps changing this handoff: look at tasuki status %s, and run tasuki reconcile %s when it is quiet.", h.Name, h.Name),
	}
}

// stillWanted reads the tag parameter again and reports whether it says what was
// resolved, and in which version. A parameter that is missing now is not believed
// to have changed: it is resolved again only if it said something else.
func (r Reconciler) stillWanted(ctx context.Context, h Handoff, want Resolution) (bool, int64, error) {
	version, err := r.Tags.ReadTag(ctx, h.TagParameter)
	if errors.Is(err, ErrMissing) {
		return true, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	if want.Release != nil {
		return version.Version <= want.Release.Version.Version, version.Version, nil
	}
	now, err := h.release(version)
	return now == nil, version.Version, err
}

// converge makes one function run what is wanted, and records in change what it did.
// ErrConflict means that somebody else changed the function: what is wanted must be
// read again before the next attempt.
func (r Reconciler) converge(ctx context.Context, h Handoff, target FunctionTarget, want Resolution, change *FunctionChange) error {
	f, err := r.Updater.Function(ctx, target.Name)
	if err != nil {
		return withHint(err, ErrMissing, fmt.Sprintf("Deploy the infrastructure of handoff %s first; tasuki resolve %s says which image to create the function with.", h.Name, h.Name))
	}
	if change.Name == "" {
		*change = FunctionChange{Name: f.Name, From: f.Digest}
	}
	if f.Updating() {
		r.say(h, "waiting for an update of function %s that is under way", f.Name)
		if _, err := r.settled(ctx, f.Name); err != nil {
			return err
		}
		return &Error{Op: "update", Side: SideFunction, Subject: f.Name, Kind: ErrConflict, Err: errors.New("it was being updated")}
	}
	if !f.runs(want.Digest) {
		r.say(h, "updating function %s from %s to %s", f.Name, f.Digest.Short(), want.Digest.Short())
		err := r.begin(ctx, f, want.Image)
		change.begun = change.begun || mayHaveActed(err)
		if err != nil {
			return err
		}
		if f, err = r.complete(ctx, f.Name, want.Image); err != nil {
			return err
		}
	}
	change.To = f.Digest
	if target.Alias == "" {
		return nil
	}
	change.Alias = target.Alias
	return r.follow(ctx, h, f, want.Origin, change)
}

// put puts an image into a function that is as f says, and waits for the end.
func (r Reconciler) put(ctx context.Context, f Function, image ImageURI) (Function, error) {
	if err := r.begin(ctx, f, image); err != nil {
		return Function{}, err
	}
	return r.complete(ctx, f.Name, image)
}

// begin begins to put an image into a function that is as f says.
func (r Reconciler) begin(ctx context.Context, f Function, image ImageURI) error {
	if err := f.mustRunImages(); err != nil {
		return err
	}
	_, err := r.Updater.UpdateCode(ctx, CodeUpdate{Function: f.Name, Image: image, Architecture: f.Architecture, RevisionID: f.RevisionID})
	return err
}

// complete waits for the end of an update that puts image into a function.
func (r Reconciler) complete(ctx context.Context, name string, image ImageURI) (Function, error) {
	// No update is done at once: to ask at once would be a call for nothing.
	if err := sleep(ctx, firstPoll); err != nil {
		return Function{}, err
	}
	now, err := r.settled(ctx, name)
	if err != nil {
		return Function{}, err
	}
	if now.UpdateStatus == "Failed" || now.State == "Failed" {
		return Function{}, now.updateFailed(image)
	}
	if now.Digest != image.Ref.digest {
		return Function{}, &Error{Op: "update", Side: SideFunction, Subject: name, Kind: ErrConflict, Err: fmt.Errorf("somebody else put %s into it meanwhile", now.Digest.Short())}
	}
	return now, nil
}

// mayHaveActed reports whether a call that ended in err may have done what it was
// asked. A conflict may be with the same call, repeated after its answer was lost.
func mayHaveActed(err error) bool {
	return err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrConflict) || errors.Is(err, context.Canceled)
}

// updateFailed says why Lambda did not take an image.
func (f Function) updateFailed(image ImageURI) error {
	reason, code := f.UpdateReason, f.UpdateReasonCode
	if f.UpdateStatus != "Failed" {
		reason, code = f.StateReason, f.StateReasonCode
	}
	return &Error{
		Op: "update", Side: SideFunction, Subject: f.Name, Kind: ErrRefused,
		Err: fmt.Errorf("image %s was not taken by Lambda: %s: %s", image, code, reason),
	}
}

// runs reports whether the function runs the image of a digest. After a failed
// update it is not known which code Lambda describes.
func (f Function) runs(digest Digest) bool {
	return f.Digest == digest && f.UpdateStatus != "Failed" && f.State != "Failed"
}

// firstPoll is how long a function is left alone before it is asked again whether
// its update is done.
const firstPoll = 100 * time.Millisecond

// settled waits until the function is not being updated. It polls instead of using
// the SDK's waiter, which hides why an update failed and backs off to five minutes.
// The longest delay keeps hundreds of releases at once under GetFunction's limit of
// 100 calls a second.
func (r Reconciler) settled(ctx context.Context, name string) (Function, error) {
	between := pause{next: firstPoll, longest: 500 * time.Millisecond}
	for {
		f, err := r.Updater.Function(ctx, name)
		if err != nil || !f.Updating() {
			return f, err
		}
		if err := between.wait(ctx); err != nil {
			return Function{}, err
		}
	}
}

func noFunctions(h Handoff) error {
	return &Error{
		Op: "use", Side: SideContract, Subject: h.Name.s, Kind: ErrInvalid, Err: errors.New("the handoff names no function"),
		Hint: "Give --function NAME, or have the infra side write a contract that names it.",
	}
}

// withHint gives err a hint where it is of a kind and has none that fits.
func withHint(err, kind error, hint string) error {
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		return err
	}
	with := *e
	with.Hint = hint
	return &with
}
