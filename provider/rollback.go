package provider

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// longestFallback is how long before its end an update stops trying, so that a rollback
// that it fails in can still be helped; where the function's timeout is short, a third
// of what there is.
const longestFallback = 2 * time.Minute

// orWhatThereIs returns what put does, or, for an update that fails in a rollback, what
// there is. While a stack is rolled back nothing is failed as long as anything can be
// read, because that would leave the stack stuck (UPDATE_ROLLBACK_FAILED). Where
// CloudFormation does not say what it does, the rollback is not certain, and whatThereIs
// gives only what changes nothing. Its error of kind ErrMissing says that all could be
// read, and there is nothing.
func (h *Handler) orWhatThereIs(ctx context.Context, r request, put func(context.Context) (result, error), whatThereIs func(ctx context.Context, certain bool) (result, error)) (result, error) {
	if r.RequestType != update {
		return put(ctx)
	}
	res, cause := leavingTime(ctx, put)
	if cause == nil {
		return res, nil
	}
	status, unknown := h.Stacks.StackStatus(ctx, r.StackID)
	if unknown == nil && !rollingBack(status) {
		return result{}, cause
	}
	h.Log.Warn("looking for what there is, because the update failed: "+cause.Error(), "stack", r.StackID, "resource", r.LogicalResourceID, "stackStatus", status)
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		found, err := whatThereIs(ctx, unknown == nil)
		if err == nil {
			return found, nil
		}
		if unknown != nil || errors.Is(err, tasuki.ErrMissing) || wait(ctx, pause) != nil {
			return result{}, cause
		}
	}
}

// errNotCertain says that there is something, and that it is right in a rollback only.
var errNotCertain = errors.New("the stack may not be rolling back")

// leavingTime runs put, and ends it before ctx does.
func leavingTime(ctx context.Context, put func(context.Context) (result, error)) (result, error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, left-min(left/3, longestFallback), errTime)
		defer cancel()
	}
	res, err := put(ctx)
	return res, inTimeOr(ctx, err)
}

// rollingBack reports whether a status is one of a stack that goes back to what it was.
func rollingBack(status string) bool {
	return strings.Contains(status, "ROLLBACK") && strings.HasSuffix(status, "_IN_PROGRESS")
}

// manifest returns what a repository holds under a reference, or ErrMissing.
func (h *Handler) manifest(ctx context.Context, image tasuki.ImageURI) (tasuki.Manifest, error) {
	found, err := h.Reconciler.Images.Manifests(ctx, image.Repository, image.Ref)
	if err != nil {
		return tasuki.Manifest{}, err
	}
	manifest, there := found[image.Ref]
	if !there {
		return tasuki.Manifest{}, &tasuki.Error{Op: "find", Side: tasuki.SideImage, Subject: image.String(), Kind: tasuki.ErrMissing}
	}
	return manifest, nil
}
