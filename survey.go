package tasuki

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// Surveyor reads how many handoffs stand.
type Surveyor struct {
	Reconciler
	Batch   TagBatchReader
	History TagHistory
}

const (
	// tagsPerBatch is how many tag parameters are read together: as many as one call
	// of SSM's gives.
	tagsPerBatch = 10
	// batchesAtOnce bounds how many handoffs are held in memory. It is far above what
	// can be read at once, because a batch with a missing parameter waits for 5 s.
	batchesAtOnce = 64
	// statusesAtOnce is how many handoffs are read at the same time. Two calls, one
	// after the other, of 50 ms each make this 160 a second, beyond the 100 that
	// Lambda's limit on GetFunction allows.
	statusesAtOnce = 16
)

// Survey reads the status of each handoff as [Reconciler.Status] does, and calls report
// with its place in the sequence. It is called by several goroutines at once, in any
// order; one handoff that cannot be read neither stops nor hides another. The sequence
// may be long, and slow: no more than some hundred handoffs are held at a time.
//
// The calls of each handoff are those that cannot be shared: a GetFunction for each
// function, one for the images, and the parameter's history where a release is
// registered, for its record.
func (s Surveyor) Survey(ctx context.Context, handoffs iter.Seq[Handoff], report func(i int, h Handoff, status Status, err error)) {
	var group sync.WaitGroup
	batches := make(chan struct{}, batchesAtOnce)
	statuses := make(chan struct{}, statusesAtOnce)
	survey := func(first int, batch []Handoff) {
		batches <- struct{}{}
		group.Go(func() {
			defer func() { <-batches }()
			readTag := s.tagsOf(ctx, batch)
			var group sync.WaitGroup
			for i, h := range batch {
				statuses <- struct{}{}
				group.Go(func() {
					defer func() { <-statuses }()
					status, err := s.status(ctx, h, func(ctx context.Context) (ParameterVersion, error) { return readTag(ctx, h) })
					report(first+i, h, status, err)
				})
			}
			group.Wait()
		})
	}
	first := 0
	var batch []Handoff
	for h := range handoffs {
		if batch = append(batch, h); len(batch) == tagsPerBatch {
			survey(first, batch)
			first, batch = first+len(batch), nil
		}
	}
	if len(batch) > 0 {
		survey(first, batch)
	}
	group.Wait()
}

// tagsOf reads the tag parameters of a batch, and returns what reads one of them as
// [Resolver.confirmed] does. Where they cannot be read together, each is read alone:
// SSM denies a whole batch for one parameter in it, and a caller may have the
// permission to read them one by one only.
func (s Surveyor) tagsOf(ctx context.Context, batch []Handoff) func(context.Context, Handoff) (ParameterVersion, error) {
	alone := func(ctx context.Context, h Handoff) (ParameterVersion, error) {
		return s.confirmed(ctx, h.TagParameter, 0)
	}
	if len(batch) == 1 {
		return alone // which reads value and description at once
	}
	versions, err := confirmedTags(ctx, s.Batch, batch)
	if err != nil {
		return alone
	}
	return func(ctx context.Context, h Handoff) (ParameterVersion, error) {
		version, found := versions[h.TagParameter]
		if !found {
			return ParameterVersion{}, &Error{Op: "read", Side: SideTag, Subject: h.TagParameter.s, Kind: ErrMissing}
		}
		return s.describe(ctx, h, version)
	}
}

// describe returns a version of the handoff's tag parameter with its description, or a
// later one. Where no release is registered the description says nothing, and is not
// read.
func (s Surveyor) describe(ctx context.Context, h Handoff, version ParameterVersion) (ParameterVersion, error) {
	if release, err := h.release(version); err != nil || release == nil {
		return version, nil
	}
	versions, err := s.History.TagHistory(ctx, h.TagParameter)
	if err != nil && !errors.Is(err, ErrMissing) {
		return ParameterVersion{}, err
	}
	if err == nil {
		if latest := versions[0]; latest.Version > version.Version || latest.Version == version.Version && latest.Value == version.Value {
			return latest, nil
		}
	}
	// SSM has not settled, or somebody has deleted the parameter meanwhile.
	return s.confirmed(ctx, h.TagParameter, version.Version)
}
