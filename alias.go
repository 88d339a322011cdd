package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// follow makes an alias point to a version that runs what the function runs, and
// returns that version. ErrConflict means that somebody else changed the function or
// the alias.
func (r Reconciler) follow(ctx context.Context, h Handoff, f Function, name string) (string, error) {
	alias, err := r.Versions.Alias(ctx, f.Name, name)
	if err != nil && !errors.Is(err, ErrMissing) {
		return "", err
	}
	if err == nil {
		version, err := r.Updater.Function(ctx, qualified(f.Name, alias.Version))
		if err != nil && !errors.Is(err, ErrMissing) {
			return "", err
		}
		if err == nil && version.runs(f.Digest) {
			return alias.Version, nil
		}
	}
	version, err := r.publish(ctx, h, f)
	if err != nil {
		return "", err
	}
	r.say(h, "moving alias %s of function %s to version %s", name, f.Name, version)
	return version, r.Versions.MoveAlias(ctx, AliasMove{Function: f.Name, Alias: name, Version: version, RevisionID: alias.RevisionID})
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
