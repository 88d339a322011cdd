package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// follow makes the alias that change names point to a version that runs what the
// function runs, and records that version in change. ErrConflict means that somebody
// else changed the function or the alias.
//
// Where nothing is registered and the function's own image counts, an alias that is
// there keeps its image: the function's may be one that a release is only trying, and
// the alias may serve another one on purpose.
func (r Reconciler) follow(ctx context.Context, h Handoff, f Function, origin Origin, change *FunctionChange) error {
	alias, err := r.Versions.Alias(ctx, f.Name, change.Alias)
	if err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	if err == nil {
		version, err := r.Updater.Function(ctx, qualified(f.Name, alias.Version))
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		same := err == nil && version.runs(f.Digest)
		if same && !r.Refresh || !same && origin == OriginFunction {
			change.Version = alias.Version
			return nil
		}
	}
	if change.Version, err = r.publish(ctx, f); err != nil || change.Version == alias.Version {
		return err
	}
	r.say(h, "moving alias %s of function %s to version %s", change.Alias, f.Name, change.Version)
	err = r.Versions.MoveAlias(ctx, AliasMove{Function: f.Name, Alias: change.Alias, Version: change.Version, RevisionID: alias.RevisionID})
	change.begun = change.begun || mayHaveActed(err)
	return err
}

// publish publishes the function as it is, and waits until the version can be used.
func (r Reconciler) publish(ctx context.Context, f Function) (string, error) {
	number, err := r.Versions.PublishVersion(ctx, f.Name, f.Digest, f.RevisionID)
	if err != nil {
		return "", err
	}
	version, err := r.settled(ctx, qualified(f.Name, number))
	if err != nil {
		return "", err
	}
	if version.State == "Failed" {
		return "", &Error{
			Op: "publish", Side: SideFunction, Subject: qualified(f.Name, number), Kind: ErrRefused,
			Err: fmt.Errorf("the version failed: %s: %s", version.StateReasonCode, version.StateReason),
		}
	}
	return number, nil
}

// qualified names a version of a function.
func qualified(function, version string) string {
	if version == "" || version == "$LATEST" {
		return function
	}
	return function + ":" + version
}

// Established is an alias that is there.
type Established struct {
	ARN     string // of the alias
	Version string // that it points to
}

// EstablishAlias creates an alias on a function as it is, which it waits for. One that
// is there already is left as it is, its description too: only reconcile moves aliases.
func (r Reconciler) EstablishAlias(ctx context.Context, h Handoff, function, alias, description string) (Established, error) {
	between := r.afterConflict()
	var last error
	for range mostPasses {
		f, err := r.settled(ctx, function)
		if err != nil {
			return Established{}, err
		}
		there, err := r.Versions.Alias(ctx, function, alias)
		if err == nil {
			return Established{f.ARN + ":" + alias, there.Version}, nil
		}
		if !errors.Is(err, ErrMissing) {
			return Established{}, err
		}
		if err := f.mustRunImages(); err != nil {
			return Established{}, err
		}
		version, err := r.publish(ctx, f)
		if err == nil {
			r.say(h, "creating alias %s of function %s on version %s", alias, function, version)
			err = r.Versions.MoveAlias(ctx, AliasMove{Function: function, Alias: alias, Version: version, Description: description})
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return Established{}, err
		}
		if last = err; last == nil {
			continue // it is there now, or somebody has deleted it meanwhile
		}
		if err := between.wait(ctx); err != nil {
			return Established{}, err
		}
	}
	return Established{}, &Error{Op: "create alias of", Side: SideFunction, Subject: function + ":" + alias, Kind: ErrConflict, Err: last}
}
