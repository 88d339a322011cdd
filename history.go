package tasuki

import (
	"context"
	"time"
)

// Entry is one version of a handoff's tag parameter.
type Entry struct {
	Version    int64
	Tag        string  // the value as it was written, even where it is no tag
	Record     *Record // nil for a value written by hand
	Problem    string  // why the version is no release; "" where it is one
	ModifiedBy string
	ModifiedAt time.Time
	Current    bool
}

// History returns what the handoff's tag parameter held, newest first: the last 100
// versions, which is what SSM keeps. It returns ErrMissing where there is no
// parameter.
func History(ctx context.Context, tags TagHistory, h Handoff) ([]Entry, error) {
	versions, err := tags.TagHistory(ctx, h.TagParameter)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(versions))
	for i, v := range versions {
		entry := Entry{Version: v.Version, Tag: v.Value, ModifiedBy: v.ModifiedBy, ModifiedAt: v.ModifiedAt, Current: i == 0}
		release, err := h.release(v)
		switch {
		case err != nil:
			entry.Problem = err.Error()
		case release == nil:
			entry.Problem = "the placeholder's tag, which says that there is no release"
		default:
			entry.Record = release.Record
		}
		entries = append(entries, entry)
	}
	return entries, nil
}
