package tasuki

import (
	"context"
	"errors"
	"fmt"
)

// Status is how a handoff stands: what is registered, what runs, and where the two
// disagree.
type Status struct {
	Handoff       HandoffName
	Registered    *Release // nil where nothing is registered
	Digest        Digest   // of the registered image; zero where there is none
	Functions     []FunctionStatus
	Disagreements []string // a sentence each; empty when all is well
}

// FunctionStatus is how one function stands.
type FunctionStatus struct {
	Name        string
	Exists      bool
	Function    Function // the zero Function where it does not exist
	Placeholder bool     // it runs the placeholder
}

// Status reads how a handoff stands. It changes nothing. What cannot be read is an
// error; what is missing or disagrees is part of the answer.
func (r Resolver) Status(ctx context.Context, h Handoff) (Status, error) {
	status := Status{Handoff: h.Name, Functions: make([]FunctionStatus, len(h.Functions))}
	reads := []func(context.Context) error{func(ctx context.Context) error {
		version, err := r.Tags.ReadTag(ctx, h.TagParameter)
		if errors.Is(err, ErrMissing) {
			return nil
		}
		if err == nil {
			status.Registered, err = h.release(version)
		}
		if errors.Is(err, ErrInvalid) {
			status.Disagreements = append(status.Disagreements, err.Error())
			return nil
		}
		return err
	}}
	for i, target := range h.Functions {
		status.Functions[i].Name = target.Name
		reads = append(reads, func(ctx context.Context) error {
			f, err := r.Functions.Function(ctx, target.Name)
			if errors.Is(err, ErrMissing) {
				return nil
			}
			status.Functions[i].Exists, status.Functions[i].Function = err == nil, f
			return err
		})
	}
	if err := together(ctx, reads...); err != nil {
		return Status{}, err
	}
	refs := []Ref{ByTag(h.PlaceholderTag)}
	for _, f := range status.Functions {
		if !f.Function.Digest.IsZero() {
			refs = append(refs, ByDigest(f.Function.Digest))
		}
	}
	if status.Registered != nil {
		refs = append(refs, ByTag(status.Registered.Tag))
		if d := status.Registered.Digest(); !d.IsZero() {
			refs = append(refs, ByDigest(d))
		}
	}
	found, err := r.Images.Manifests(ctx, h.Repository, refs...)
	if err != nil {
		return Status{}, err
	}
	status.judgeRelease(h, found)
	for i := range status.Functions {
		if err := r.judgeFunction(ctx, h, &status, &status.Functions[i], found); err != nil {
			return Status{}, err
		}
	}
	return status, nil
}

func (s *Status) disagree(format string, args ...any) {
	s.Disagreements = append(s.Disagreements, fmt.Sprintf(format, args...))
}

// judgeRelease holds the registered release against ECR.
func (s *Status) judgeRelease(h Handoff, found map[Ref]Manifest) {
	if s.Registered == nil {
		return
	}
	tag := s.Registered.Tag
	tagged, isTagged := found[ByTag(tag)]
	if s.Registered.Record == nil {
		if !isTagged {
			s.disagree("%s registers tag %s, which is not in %s", h.TagParameter, tag, h.Repository)
			return
		}
		s.Digest = tagged.Digest
		return
	}
	s.Digest = s.Registered.Record.Digest
	if _, there := found[ByDigest(s.Digest)]; !there {
		s.disagree("%s registers %s as %s, which is not in %s", h.TagParameter, tag, s.Digest.Short(), h.Repository)
		return
	}
	for _, warning := range movedTag(*s.Registered, tagged, isTagged) {
		s.disagree("%s", warning)
	}
}

// judgeFunction holds what a function runs against what is registered.
func (r Resolver) judgeFunction(ctx context.Context, h Handoff, s *Status, f *FunctionStatus, found map[Ref]Manifest) error {
	live := f.Function
	if !f.Exists {
		if s.Registered != nil {
			s.disagree("function %s does not exist, and %s is registered: deploy the infrastructure", f.Name, s.Registered.Tag)
		}
		return nil
	}
	if err := live.mustRunImages(); err != nil {
		s.disagree("%v", err)
		return nil
	}
	if live.Digest != s.Digest {
		var err error
		if f.Placeholder, err = r.runsPlaceholder(ctx, h, live, found[ByTag(h.PlaceholderTag)].Digest); err != nil {
			return err
		}
	}
	switch {
	case live.Updating():
		s.disagree("function %s is being updated", f.Name)
	case live.UpdateStatus == "Failed":
		s.disagree("the last update of function %s failed: %s: %s", f.Name, live.UpdateReasonCode, live.UpdateReason)
	case live.State == "Failed":
		s.disagree("function %s has failed: %s: %s", f.Name, live.StateReasonCode, live.StateReason)
	}
	if _, there := found[ByDigest(live.Digest)]; !there {
		s.disagree("function %s runs %s, which is not in %s any more", f.Name, live.Digest.Short(), h.Repository)
	}
	switch {
	case s.Registered == nil && !f.Placeholder:
		s.disagree("function %s runs %s, and no release is registered: register it with 'tasuki register %s --tag TAG'", f.Name, live.Digest.Short(), h.Name)
	case s.Registered != nil && f.Placeholder:
		s.disagree("function %s runs the placeholder, and %s is registered: run 'tasuki reconcile %s'", f.Name, s.Registered.Tag, h.Name)
	case s.Registered != nil && !s.Digest.IsZero() && live.Digest != s.Digest && !found[ByTag(s.Registered.Tag)].lists(live.Digest):
		s.disagree("function %s runs %s, and %s is registered as %s: run 'tasuki reconcile %s'", f.Name, live.Digest.Short(), s.Registered.Tag, s.Digest.Short(), h.Name)
	}
	return nil
}
