package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// follow makes the alias that change names point to a version that runs what the
// function runs, and records that version in change. ErrConflict means that somebody
// else changed the function or the alias.
func (r Reconciler) follow(ctx context.Context, h Handoff, f Function, change *FunctionChange) error {
	alias, err := r.Versions.Alias(ctx, f.Name, change.Alias)
	if err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	if err == nil {
		version, err := r.Updater.Function(ctx, qualified(f.Name, alias.Version))
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		if err == nil && version.runs(f.Digest) {
			change.Version = alias.Version
			return nil
		}
	}
	if change.Version, err = r.publish(ctx, h, f); err != nil {
		return err
	}
	r.say(h, "moving alias %s of function %s to version %s", change.Alias, f.Name, change.Version)
	err = r.Versions.MoveAlias(ctx, AliasMove{Function: f.Name, Alias: change.Alias, Version: change.Version, RevisionID: alias.RevisionID})
	change.begun = change.begun || mayHaveActed(err)
	return err
}

// publish publishes the function as it is, and waits until the version can be used.
func (r Reconciler) publish(ctx context.Context, h Handoff, f Function) (string, error) {
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
