package explore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// The protocols in this file are wrong on purpose, each in one way. The explorer has
// to find out; if it did not, that it finds nothing in the domain would mean nothing.

// current returns the digest of what is registered; zero for nothing.
func current(ctx context.Context, p *Port) (digest tasuki.Digest, version int64, err error) {
	read, err := p.ReadTag(ctx, p.Handoff.TagParameter)
	if errors.Is(err, tasuki.ErrMissing) {
		return tasuki.Digest{}, 0, nil
	}
	if err != nil {
		return tasuki.Digest{}, 0, err
	}
	release, err := read.Release()
	if err != nil || release.Tag == p.Handoff.PlaceholderTag {
		return tasuki.Digest{}, read.Version, err
	}
	return release.Digest(), read.Version, nil
}

// put makes the function run an image, once nobody else changes it.
func put(ctx context.Context, p *Port, digest tasuki.Digest) error {
	image := tasuki.ImageURI{Repository: p.Handoff.Repository, Ref: tasuki.ByDigest(digest)}
	for {
		f, err := p.Function(ctx, function)
		switch {
		case err != nil:
			return err
		case f.Updating():
			time.Sleep(100 * time.Millisecond)
		case f.UpdateStatus == "Failed" && f.ImageURI == image.String():
			return errors.New("Lambda did not take it") //nolint:staticcheck // Lambda is a name
		case f.Digest == digest:
			return nil
		default:
			if _, err := p.UpdateCode(ctx, tasuki.CodeUpdate{Function: function, Image: image, Architecture: f.Architecture, RevisionID: f.RevisionID}); err != nil && !errors.Is(err, tasuki.ErrConflict) {
				return err
			}
		}
	}
}

// register writes the parameter.
func register(ctx context.Context, p *Port, image string) error {
	tag, description, err := p.Record(image)
	if err == nil {
		_, err = p.WriteTag(ctx, p.Handoff.TagParameter, tag, description)
	}
	return err
}

// reconcileOnce reads the parameter, puts its image into the function, and does not
// look whether the parameter has changed meanwhile.
func reconcileOnce(ctx context.Context, p *Port) Outcome {
	digest, _, err := current(ctx, p)
	if err == nil && !digest.IsZero() {
		err = put(ctx, p, digest)
	}
	return Outcome{Err: err}
}

// reassert releases an image, and makes sure of it once more after registering it.
func reassert(image string) Command {
	return Command{Name: "release " + image, Kind: Releases, Run: func(ctx context.Context, p *Port) Outcome {
		digest := p.Image(image).Ref.Digest()
		for _, step := range []func() error{
			func() error { return put(ctx, p, digest) },
			func() error { return register(ctx, p, image) },
			func() error { return put(ctx, p, digest) },
		} {
			if err := step(); err != nil {
				return Outcome{Err: err}
			}
		}
		tag, err := tasuki.ParseTag(image)
		return Outcome{Tag: tag, Err: err}
	}}
}

// registerFirst writes the parameter, and then lets a reconcile update the function.
func registerFirst(image string) Command {
	return Command{Name: "release " + image, Kind: Releases, Run: func(ctx context.Context, p *Port) Outcome {
		if err := register(ctx, p, image); err != nil {
			return Outcome{Err: err}
		}
		_, err := p.Reconciler().Reconcile(ctx, p.Handoff)
		tag, _ := tasuki.ParseTag(image)
		return Outcome{Tag: tag, Err: err}
	}}
}

// reconcileDenied reads the parameter as the usual recipe does: any failure is "no
// tag yet", and no tag yet is the placeholder.
func reconcileDenied(ctx context.Context, p *Port) Outcome {
	digest, _, err := current(ctx, p)
	if err != nil {
		digest = p.Image(Placeholder).Ref.Digest()
	}
	return Outcome{Err: put(ctx, p, digest)}
}

// initialIsRelease reads the placeholder's tag as if it were a release.
func initialIsRelease(ctx context.Context, p *Port) Outcome {
	read, err := p.ReadTag(ctx, p.Handoff.TagParameter)
	if err != nil {
		return Outcome{Err: err}
	}
	tag, err := tasuki.ParseTag(read.Value)
	if err != nil {
		return Outcome{Err: err}
	}
	found, err := p.Manifests(ctx, p.Handoff.Repository, tasuki.ByTag(tag))
	if err == nil {
		err = put(ctx, p, found[tasuki.ByTag(tag)].Digest)
	}
	return Outcome{Err: err}
}

// undoing releases an image, and puts the one that was there back when it cannot be
// registered: under the RevisionId that it has just read, or without.
func undoing(image string, guarded bool) Command {
	return Command{Name: "release " + image, Kind: Releases, Run: func(ctx context.Context, p *Port) Outcome {
		before, err := p.Function(ctx, function)
		if err != nil {
			return Outcome{Err: err}
		}
		tried := p.Image(image)
		if err := put(ctx, p, tried.Ref.Digest()); err != nil {
			return Outcome{Err: &tasuki.UndoError{Err: err, Undo: err}}
		}
		failed := register(ctx, p, image)
		if failed == nil {
			if _, err := p.Reconciler().Reconcile(ctx, p.Handoff); err != nil {
				return Outcome{Err: &tasuki.UndoError{Err: err, Undo: err}}
			}
			return Outcome{}
		}
		registered, _, err := current(ctx, p)
		if err == nil && !registered.IsZero() {
			_, err = p.Reconciler().Reconcile(ctx, p.Handoff)
		}
		if err != nil {
			return Outcome{Err: &tasuki.UndoError{Err: failed, Undo: err}}
		}
		if !registered.IsZero() {
			return Outcome{Err: failed}
		}
		now, err := p.Function(ctx, function)
		if err != nil || now.Updating() || now.Digest != tried.Ref.Digest() {
			return Outcome{Err: failed}
		}
		tried.Ref = tasuki.ByDigest(before.Digest)
		update := tasuki.CodeUpdate{Function: function, Image: tried, Architecture: now.Architecture}
		if guarded {
			update.RevisionID = now.RevisionID
		}
		if _, err := p.UpdateCode(ctx, update); err != nil && !errors.Is(err, tasuki.ErrConflict) {
			return Outcome{Err: &tasuki.UndoError{Err: failed, Undo: err}}
		}
		return Outcome{Err: failed}
	}}
}

// unguarded is a handoff's first two releases, one of which has to be undone.
func unguarded(guarded bool) Scenario {
	return Scenario{
		Name: "update without RevisionId", Start: unreleased, Actors: []Actor{{undoing("v1", guarded)}, {Release("v2")}},
		Faults: []Fault{Denied}, Most: 1, Rounds: 1,
	}
}

// careless is a port that sends no RevisionId: AWS takes whatever the function or its
// alias has become.
type careless struct{ *Port }

func (c careless) UpdateCode(ctx context.Context, update tasuki.CodeUpdate) (tasuki.Function, error) {
	update.RevisionID = ""
	return c.Port.UpdateCode(ctx, update)
}

func (c careless) PublishVersion(ctx context.Context, function string, digest tasuki.Digest, _ string) (string, error) {
	return c.Port.PublishVersion(ctx, function, digest, "")
}

// carelessly runs the domain's own reconcile without RevisionId: on its updates, or also
// where it publishes versions.
func carelessly(publishes bool) Command {
	return Command{Name: "reconcile without RevisionId", Kind: Reconciles, Run: func(ctx context.Context, p *Port) Outcome {
		r := p.Reconciler()
		if r.Updater = (careless{p}); publishes {
			r.Versions = careless{p}
		}
		_, err := r.Reconcile(ctx, p.Handoff)
		return Outcome{Err: err}
	}}
}

// testOnce tests an image, and does not look whether the function was changed meanwhile.
func testOnce(image string) Command {
	return Command{Name: "tested release " + image, Kind: Releases, Tests: true, Run: func(ctx context.Context, p *Port) Outcome {
		if err := put(ctx, p, p.Image(image).Ref.Digest()); err != nil {
			return Outcome{Err: err}
		}
		answer, err := p.Invoke(ctx, function, "", nil)
		if err == nil && answer.Failure == "" {
			err = register(ctx, p, image)
		}
		if err == nil {
			_, err = p.Reconciler().Reconcile(ctx, p.Handoff)
		}
		return Outcome{Err: err}
	}}
}

// With the RevisionId the same protocol holds, so it is the missing one that is caught.
func TestRevisionIdMakesTheDifference(t *testing.T) {
	if r := explore(t, unguarded(true), Reduced); r.Violation != nil {
		t.Error(r.Violation)
	}
}

// Without RevisionId on its updates alone, reconcile still ends well: it reads the
// parameter after each of them, and so does whoever has changed the function meanwhile.
// With an alias, with two functions, with a test between and with every kind of fault
// there is no schedule that breaks it. RevisionId is needed for what no such read
// follows: to undo (TestRevisionIdMakesTheDifference), and to publish a version.
func TestReconcileUpdatesConvergeWithoutRevisionId(t *testing.T) {
	plain := carelessly(false)
	for _, s := range []Scenario{
		{Name: "release", Start: released, Actors: []Actor{{Release("v1")}, {plain}}, Faults: kinds, Most: 1},
		{Name: "two releases", Start: released, Actors: []Actor{{Release("v1")}, {Release("v2")}, {plain}}, Switches: 2},
		{Name: "tested release", Start: released, Actors: []Actor{{TestedRelease("v1")}, {plain}}, Faults: kinds, Most: 1},
		{Name: "sick release", Start: released, Actors: []Actor{{TestedRelease(Sick)}, {plain}}, Faults: kinds, Most: 1},
		{Name: "deploy", Start: released, Actors: []Actor{Deploy("deploy", "v0"), {plain}}, Faults: kinds, Most: 1},
		{Name: "rollback", Start: twice, Actors: []Actor{{Rollback()}, {plain}}, Faults: kinds, Most: 1},
		{Name: "alias", Start: aliased(released), Actors: []Actor{{Release("v1")}, {plain}}},
		{Name: "two functions", Start: paired(released), Actors: []Actor{{Release("v1")}, {plain}}},
	} {
		s.Rounds = 1
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if r := explore(t, s, Reduced); r.Violation != nil {
				t.Error(r.Violation)
			}
		})
	}
}

func TestBrokenProtocolsAreCaught(t *testing.T) {
	once := Command{Name: "reconcile once", Kind: Reconciles, Run: reconcileOnce}
	denied := Command{Name: "reconcile as the recipe", Kind: Reconciles, Run: reconcileDenied}
	initial := Command{Name: "reconcile to initial", Kind: Reconciles, Run: initialIsRelease}
	for broken, s := range map[string]Scenario{
		"function orders runs v0, and v1 is registered":          {Name: "one-shot reconcile", Start: released, Actors: []Actor{{Release("v1")}, {once}}},
		"function orders runs placeholder, and v2 is registered": unguarded(false),
		"which has never been registered":                        {Name: "version published without RevisionId", Start: aliased(released), Actors: []Actor{{Register("v2"), carelessly(true)}, {Release("v1")}}, Rounds: 1},
		"registered v1, and tested v0 on orders":                 {Name: "test of what came between", Start: released, Actors: []Actor{{testOnce("v1")}, {Reconcile("change")}}},
		"is registered":                                          {Name: "own image again after registering", Start: released, Actors: []Actor{{reassert("v1")}, {reassert("v2")}}},
		"before a function has run it":                           {Name: "tag before update", Start: released, Actors: []Actor{{registerFirst("v1")}, {Reconcile("change")}}},
		"could not read the parameter":                           {Name: "denied read taken as missing", Start: released, Actors: []Actor{{Release("v1")}, {denied}}, Faults: []Fault{Denied}, Most: 1},
		"function orders runs the placeholder; it ran v0 before": {Name: "initial taken as a release", Start: Start{Function: "v0", Registered: []string{"initial"}}, Actors: []Actor{{initial}, {Reconcile("schedule")}}},
	} {
		for _, manner := range []Manner{Reduced, Unreduced} {
			t.Run(fmt.Sprintf("%s/%s", s.Name, manner), func(t *testing.T) {
				t.Parallel()
				r := explore(t, s, manner)
				if r.Violation == nil {
					t.Fatalf("no violation was found in %d states", r.States)
				}
				if manner == Reduced && !strings.Contains(r.Violation.Invariant, broken) {
					t.Errorf("another violation was found, not %q", broken)
				}
				t.Logf("a schedule that was found:\n%s", r.Violation)
			})
		}
	}
}
