package tasuki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Releaser tries an image on a handoff's functions, registers it and reconciles.
type Releaser struct {
	Reconciler
	Writer  TagWriter
	Invoker Invoker // for smoke tests
}

// ReleaseRequest is one release.
type ReleaseRequest struct {
	Tag    Tag
	Source ImageSource // pushed under Tag first; nil when ECR has the image
	From   Provenance

	// Gate, when set, is asked before anything is changed; an error stops the release.
	Gate func(context.Context, Candidate) error
	// Publish publishes a version of each function. A handoff with an alias always does.
	Publish bool
	// Smoke must pass before the image is registered: on the published version, else
	// on the function itself.
	Smoke []SmokeTest
}

// Candidate is an image that a release is about to try.
type Candidate struct {
	Handoff HandoffName
	Tag     Tag
	Digest  Digest
	Image   ImageURI // by digest, in the handoff's repository, where a Source has not been pushed yet
	Source  string   // as the source names itself; "" when ECR has the image
}

// Released is the end of a release.
type Released struct {
	Registered
	Digest       Digest
	Functions    []FunctionChange
	SupersededBy *Release // what is registered now, when it is not this release
}

// undoWithin bounds how long undoing may take after the caller has given up: an
// update of a function takes seconds, and a person waits behind Ctrl-C.
const undoWithin = 2 * time.Minute

// Release makes the functions run the image under req.Tag, and registers it once
// they do; then it reconciles, because others may have released meanwhile.
//
// What can be seen to fail is refused before anything changes. While the handoff's
// stack is being changed it waits, 30 minutes at most, and then fails with ErrConflict.
// When a function cannot take the image, all are put back and the parameter stays as it
// was. An error of type [UndoError] says that this was not possible.
func (r Releaser) Release(ctx context.Context, h Handoff, req ReleaseRequest) (Released, error) {
	if len(h.Functions) == 0 {
		return Released{}, noFunctions(h)
	}
	if err := h.mayRelease(req.Tag); err != nil {
		return Released{}, err
	}
	var checked preflight
	err := r.withStackAtRest(ctx, h, func(ctx context.Context) (err error) {
		checked, err = r.preflight(ctx, h, req)
		return err
	})
	if err != nil {
		return Released{}, err
	}
	if err := req.ask(ctx, h, checked.image.Digest()); err != nil {
		return Released{}, err
	}
	if req.Source != nil {
		r.say(h, "putting %s into %s", req.Source, ImageURI{h.Repository, ByTag(req.Tag)})
		if err := req.Source.Push(ctx, checked.image, h.Repository, req.Tag); err != nil {
			return Released{}, err
		}
	}
	digest := checked.image.Digest()
	released := Released{Digest: digest, Functions: make([]FunctionChange, len(h.Functions))}
	if err := r.try(ctx, h, req, checked, released.Functions); err != nil {
		return Released{}, r.undo(ctx, h, checked, err)
	}
	registered, end, err := r.handOn(ctx, h, r.Writer, newRecord(h, req.Tag, digest, req.From), checked.before)
	if err != nil && !registered.done() {
		return Released{}, r.undo(ctx, h, checked, err)
	}
	released.Registered = registered
	released.Warnings = append(checked.warnings, registered.Warnings...)
	if err != nil {
		return released, err
	}
	for i, change := range end.Functions {
		released.Functions[i].To, released.Functions[i].Alias = change.To, change.Alias
		released.Functions[i].Version = cmp.Or(change.Version, released.Functions[i].Version)
	}
	released.SupersededBy = end.supersedes(req.Tag, digest)
	return released, nil
}

// mend is what a person does about a handoff that was left in the middle.
func mend(h Handoff) string {
	return fmt.Sprintf("Run tasuki reconcile %s, and look at tasuki status %s.", h.Name, h.Name)
}

// preflight is what a release knows before it changes anything.
type preflight struct {
	before    *Release // nil for none
	functions []Function
	image     Image
	warnings  []string
}

// preflight reads everything at once, and refuses what can be seen to fail.
func (r Releaser) preflight(ctx context.Context, h Handoff, req ReleaseRequest) (preflight, error) {
	checked := preflight{functions: make([]Function, len(h.Functions))}
	var found map[Ref]Manifest
	reads := []func(context.Context) error{
		func(ctx context.Context) (err error) {
			checked.before, err = Registrar{r.Resolver, r.Writer}.previous(ctx, h)
			return err
		},
	}
	if req.Source == nil {
		reads = append(reads, func(ctx context.Context) (err error) {
			found, err = r.Images.Manifests(ctx, h.Repository, ByTag(req.Tag))
			return err
		})
	}
	for i, target := range h.Functions {
		reads = append(reads, func(ctx context.Context) (err error) {
			checked.functions[i], err = r.readyFunction(ctx, h, target.Name)
			return err
		})
	}
	if err := together(ctx, reads...); err != nil {
		return preflight{}, err
	}
	arch, err := sharedArchitecture(checked.functions)
	if err != nil {
		return preflight{}, err
	}
	if req.Source != nil {
		checked.image, checked.warnings, err = r.inspectSource(ctx, req.Source, arch)
	} else if manifest, there := found[ByTag(req.Tag)]; there {
		checked.image, checked.warnings, err = r.inspect(ctx, h.Repository, manifest, req.Tag, arch)
	} else {
		err = notPushed(h, req.Tag)
	}
	if err != nil {
		return preflight{}, err
	}
	if !checked.image.Index.IsZero() {
		r.say(h, "%s is an index; Lambda takes its image for linux/%s, %s", checked.image.Index.Short(), arch.OCI(), checked.image.Digest())
		if req.Source == nil {
			checked.warnings = append(checked.warnings, fmt.Sprintf("tag %s names an index, which Lambda refuses when it is given by its tag: let the infra side use the digest that tasuki resolve prints", req.Tag))
		}
	}
	return checked, nil
}

// sharedArchitecture returns the architecture that all the functions have.
func sharedArchitecture(functions []Function) (Architecture, error) {
	for _, f := range functions[1:] {
		if first := functions[0]; f.Architecture != first.Architecture {
			return "", invalid("function %s is %s and function %s is %s, which one image cannot serve: give each architecture a handoff of its own", first.Name, first.Architecture, f.Name, f.Architecture)
		}
	}
	return functions[0].Architecture, nil
}

// readyFunction returns a function that takes a new image, waiting for an update
// that is under way.
func (r Reconciler) readyFunction(ctx context.Context, h Handoff, name string) (Function, error) {
	f, err := r.Updater.Function(ctx, name)
	if err != nil {
		return Function{}, withHint(err, ErrMissing, fmt.Sprintf("Deploy the infrastructure of handoff %s first; tasuki register %s --tag TAG registers an image without a function.", h.Name, h.Name))
	}
	if err := f.mustRunImages(); err != nil {
		return Function{}, err
	}
	if err := f.mustTakeFrom(h.Repository); err != nil {
		return Function{}, err
	}
	if !f.Updating() {
		return f, nil
	}
	r.say(h, "waiting for an update of function %s that is under way", f.Name)
	return r.settled(ctx, name)
}

func (r Releaser) inspectSource(ctx context.Context, source ImageSource, arch Architecture) (Image, []string, error) {
	image, err := source.Inspect(ctx, arch)
	if errors.Is(err, ErrInvalid) {
		return Image{}, nil, &Error{Op: "check", Side: SideSource, Subject: source.String(), Kind: ErrRefused, Err: err}
	}
	if err != nil {
		return Image{}, nil, err
	}
	warnings, err := r.Rules.judge(image, source.String(), arch)
	return image, warnings, err
}

// ask asks the gate, if there is one.
func (req ReleaseRequest) ask(ctx context.Context, h Handoff, digest Digest) error {
	if req.Gate == nil {
		return nil
	}
	candidate := Candidate{Handoff: h.Name, Tag: req.Tag, Digest: digest, Image: ImageURI{h.Repository, ByDigest(digest)}}
	if req.Source != nil {
		candidate.Source = req.Source.String()
	}
	err := req.Gate(ctx, candidate)
	if err == nil {
		return nil
	}
	refusal := &Error{Op: "release", Side: SideImage, Subject: candidate.Image.String(), Kind: ErrRefused, Err: fmt.Errorf("the gate refused it: %w", err)}
	if ctx.Err() != nil { // a gate that was cut off has said nothing of the image
		refusal.Kind, refusal.Err = nil, fmt.Errorf("the gate did not end: %w", err)
	}
	return refusal
}

// try puts the image into every function, and waits until each runs it and has
// passed the smoke tests.
func (r Releaser) try(ctx context.Context, h Handoff, req ReleaseRequest, checked preflight, changes []FunctionChange) error {
	image := ImageURI{h.Repository, ByDigest(checked.image.Digest())}
	var attempts []func() error
	for i, f := range checked.functions {
		changes[i] = FunctionChange{Name: f.Name, From: f.Digest}
		publish := req.Publish || h.Functions[i].Alias != ""
		attempts = append(attempts, func() error {
			now, version, err := r.tryOn(ctx, h, f, image, publish, req.Smoke)
			changes[i].To, changes[i].Version = now.Digest, version
			return err
		})
	}
	return allTogether(attempts...)
}

// tryOn puts the image into one function and tests it. Somebody else's change
// meanwhile is read and written over: he reconciles after himself, and so does this
// release.
func (r Releaser) tryOn(ctx context.Context, h Handoff, f Function, image ImageURI, publish bool, tests []SmokeTest) (now Function, version string, err error) {
	between := r.afterConflict()
	for range mostPasses {
		now = f
		if !f.runs(image.Ref.digest) {
			r.say(h, "updating function %s from %s to %s", f.Name, f.Digest.Short(), image.Ref.digest.Short())
			now, err = r.put(ctx, f, image)
		}
		if err == nil {
			version, err = r.smoke(ctx, h, now, publish, tests)
		}
		if !errors.Is(err, ErrConflict) {
			return now, version, err
		}
		if err := between.wait(ctx); err != nil {
			return Function{}, "", err
		}
		last := err
		if f, err = r.settled(ctx, f.Name); err != nil {
			return Function{}, "", errors.Join(last, err)
		}
	}
	return Function{}, "", &Error{
		Op: "release", Side: SideFunction, Subject: f.Name, Kind: ErrConflict, Err: errors.New("somebody else keeps changing it"),
		Hint: "Release again when it is quiet; a concurrency group in CI lets releases go one at a time.",
	}
}

// undo leaves the handoff as if there had been no release, and returns what the
// release failed of. Where a release is registered, to reconcile is to undo.
func (r Releaser) undo(ctx context.Context, h Handoff, checked preflight, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	r.Stack = "" // undoing does not wait: it ends what was begun
	hint := mend(h)
	if checked.before == nil {
		hint = fmt.Sprintf("Run the release again, and look at tasuki status %s: while no release is registered, tasuki reconcile %s has nothing to put back.", h.Name, h.Name)
	}
	var unknown *unknownWrite
	if errors.As(failed, &unknown) {
		return &UndoError{Err: failed, Undo: errors.New("the functions were left with the new image"), Hint: hint}
	}
	r.warn(h, fmt.Sprintf("putting the functions back, because the release failed: %v", failed))
	registered, err := r.registered(ctx, h, 0)
	if err == nil && registered == nil {
		if err = r.putBack(ctx, checked); err == nil {
			// Somebody may have registered the very image that was taken from him now.
			registered, err = r.registered(ctx, h, 0)
		}
	}
	if err == nil && registered != nil {
		_, err = r.reconcile(ctx, h, registered.Version.Version)
	}
	if err != nil {
		return &UndoError{Err: failed, Undo: err, Hint: hint}
	}
	return failed
}

// putBack puts the images back that the functions ran before a first release: there
// is no registered one to reconcile to. A function that somebody else has changed
// since is left to him.
func (r Releaser) putBack(ctx context.Context, checked preflight) error {
	var updates []func() error
	for _, before := range checked.functions {
		updates = append(updates, func() error {
			now, err := r.settled(ctx, before.Name)
			if err != nil || now.runs(before.Digest) || (now.Digest != checked.image.Digest() && now.Digest != before.Digest) {
				return err
			}
			repository, err := ParseRepository(before.Repository)
			if err != nil {
				return err
			}
			_, err = r.put(ctx, now, ImageURI{repository, ByDigest(before.Digest)})
			if errors.Is(err, ErrConflict) {
				return nil
			}
			return err
		})
	}
	return allTogether(updates...)
}
