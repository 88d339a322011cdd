package tasuki

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// RegisteredTag is what one tag parameter says, unverified.
type RegisteredTag struct {
	Tag     Tag   // zero where nothing is registered
	Version int64 // of the parameter; 0 where there is none
	Err     error // why the value is no tag; nil where it is one
}

// RegisteredTags returns what the tag parameters of many handoffs say, in their
// order. It reads neither ECR nor the functions, so it is fast, and it does not know
// whether an image is there. As everywhere, a parameter is only believed to be
// missing when SSM has said so for 5 s; one that cannot be read is an error for all,
// because it is not known which ones the answer lacks.
func RegisteredTags(ctx context.Context, tags TagBatchReader, handoffs []Handoff) ([]RegisteredTag, error) {
	versions, err := confirmedTags(ctx, tags, handoffs)
	if err != nil {
		return nil, err
	}
	registered := make([]RegisteredTag, len(handoffs))
	for i, h := range handoffs {
		version, found := versions[h.TagParameter]
		if !found {
			continue
		}
		registered[i].Version = version.Version
		release, err := h.release(version)
		switch {
		case errors.Is(err, ErrInvalid):
			registered[i].Err = err
		case err != nil:
			return nil, fmt.Errorf("handoff %s: %w", h.Name, err)
		case release != nil:
			registered[i].Tag = release.Tag
		}
	}
	return registered, nil
}

// confirmedTags returns the current versions of the handoffs' tag parameters, without
// their descriptions. One that is absent has been missing for 5 s.
func confirmedTags(ctx context.Context, tags TagBatchReader, handoffs []Handoff) (map[ParameterName]ParameterVersion, error) {
	versions := map[ParameterName]ParameterVersion{}
	missing := map[ParameterName]bool{}
	for _, h := range handoffs {
		missing[h.TagParameter] = true
	}
	_, err := confirm(ctx, func() (bool, error) {
		found, err := tags.ReadTags(ctx, slices.Collect(maps.Keys(missing))...)
		for name, version := range found {
			versions[name] = version
			delete(missing, name)
		}
		return len(missing) == 0, err
	})
	return versions, err
}
