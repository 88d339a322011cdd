package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// protect moves TagLive to the registered image, which shields it from lifecycle
// rules that spare that tag. It decides nothing: where it cannot be done, a warning
// is enough.
func (r Reconciler) protect(ctx context.Context, h Handoff, registered Manifest, protected Digest) {
	if r.Tagger == nil || registered.Digest.IsZero() || registered.Digest == protected {
		return
	}
	err := r.Tagger.TagImage(ctx, h.Repository, registered, TagLive)
	switch {
	case err == nil:
	case errors.Is(err, ErrConflict):
		r.warn(h, fmt.Sprintf("tag %s cannot be moved to the released image, because repository %s is immutable: exclude tasuki-* from its immutability", TagLive, h.Repository))
	default:
		r.warn(h, fmt.Sprintf("tag %s, which protects the released image from lifecycle rules, was not set: %v", TagLive, err))
	}
}
