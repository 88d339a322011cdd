package tasuki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Status is how a handoff stands: what is registered, what runs, and where the two
// disagree.
type Status struct {
	Handoff       HandoffName
	Registered    *Release // nil where nothing is registered
	Digest        Digest   // of the registered image; zero where there is none
	Functions     []FunctionStatus
	Disagreements []Disagreement // none when all is well
}

// Disagreement is something about a handoff that is not as it should be.
type Disagreement struct {
	What string // as in "function orders has no alias live"
	Do   string // what mends it, as in "run 'tasuki reconcile orders'"; "" where that depends
}

// String returns the disagreement as one sentence.
func (d Disagreement) String() string {
	if d.Do == "" {
		return d.What
	}
	return d.What + ": " + d.Do
}

// FunctionStatus is how one function stands.
type FunctionStatus struct {
	Name        string
	Exists      bool
	Function    Function // the zero Function where it does not exist
	Placeholder bool     // it runs the placeholder
	Alias       string   // the alias that follows releases; "" for none
	Version     string   // what the alias points to; "" where it does not exist
	Aliased     Function // that version; the zero Function where there is none
}

// Status reads how a handoff stands. It changes nothing. What cannot be read is an
// error; what is missing or disagrees is part of the answer. A parameter is missing
// when SSM has said so for 5 s.
func (r Reconciler) Status(ctx context.Context, h Handoff) (Status, error) {
	return r.status(ctx, h, func(ctx context.Context) (ParameterVersion, error) { return r.confirmed(ctx, h.TagParameter, 0) })
}

// status is Status with the tag parameter read as readTag does.
func (r Reconciler) status(ctx context.Context, h Handoff, readTag func(context.Context) (ParameterVersion, error)) (Status, error) {
	status := Status{Handoff: h.Name, Functions: make([]FunctionStatus, len(h.Functions))}
	reads := []func(context.Context) error{func(ctx context.Context) error {
		version, err := readTag(ctx)
		if errors.Is(err, ErrMissing) {
			return nil
		}
		if err == nil {
			status.Registered, err = h.release(version)
		}
		if errors.Is(err, ErrInvalid) {
			status.disagree(within(HintOf(err)), "%v", err)
			return nil
		}
		return err
	}}
	for i, target := range h.Functions {
		status.Functions[i].Name, status.Functions[i].Alias = target.Name, target.Alias
		reads = append(reads, func(ctx context.Context) error {
			f, err := r.Functions.Function(ctx, target.Name)
			if errors.Is(err, ErrMissing) {
				return nil
			}
			status.Functions[i].Exists, status.Functions[i].Function = err == nil, f
			return err
		})
		if target.Alias != "" {
			reads = append(reads, func(ctx context.Context) error { return r.readAlias(ctx, &status.Functions[i]) })
		}
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

// readAlias reads which version a function's alias points to.
func (r Reconciler) readAlias(ctx context.Context, f *FunctionStatus) error {
	alias, err := r.Versions.Alias(ctx, f.Name, f.Alias)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Version = alias.Version
	f.Aliased, err = r.Functions.Function(ctx, qualified(f.Name, alias.Version))
	return err
}

// within returns a hint, which is a sentence, as a part of one.
func within(hint string) string {
	if hint == "" {
		return ""
	}
	return strings.ToLower(hint[:1]) + strings.TrimSuffix(hint[1:], ".")
}

// disagree adds a disagreement, and what mends it.
func (s *Status) disagree(do, format string, args ...any) {
	s.Disagreements = append(s.Disagreements, Disagreement{fmt.Sprintf(format, args...), do})
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
			s.disagree("", "%s registers tag %s, which is not in %s", h.TagParameter, tag, h.Repository)
			return
		}
		s.Digest = tagged.Digest
		return
	}
	s.Digest = s.Registered.Record.Digest
	if _, there := found[ByDigest(s.Digest)]; !there {
		s.disagree("", "%s registers %s as %s, which is not in %s", h.TagParameter, tag, s.Digest.Short(), h.Repository)
		return
	}
	for _, warning := range movedTag(*s.Registered, tagged, isTagged) {
		s.disagree("", "%s", warning)
	}
}

// judgeFunction holds what a function runs against what is registered.
func (r Reconciler) judgeFunction(ctx context.Context, h Handoff, s *Status, f *FunctionStatus, found map[Ref]Manifest) error {
	live := f.Function
	reconcile := fmt.Sprintf("run 'tasuki reconcile %s'", h.Name)
	if !f.Exists {
		if s.Registered != nil {
			s.disagree("deploy the infrastructure", "function %s does not exist, and %s is registered", f.Name, s.Registered.Tag)
		}
		return nil
	}
	if err := live.mustRunImages(); err != nil {
		s.disagree("", "%v", err)
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
		s.disagree("look again when the update has ended", "function %s is being updated", f.Name)
	case live.UpdateStatus == "Failed":
		s.disagree("", "the last update of function %s failed: %s: %s", f.Name, live.UpdateReasonCode, live.UpdateReason)
	case live.State == "Failed":
		s.disagree("", "function %s has failed: %s: %s", f.Name, live.StateReasonCode, live.StateReason)
	}
	if _, there := found[ByDigest(live.Digest)]; !there {
		s.disagree("", "function %s runs %s, which is not in %s any more", f.Name, live.Digest.Short(), h.Repository)
	}
	switch {
	case s.Registered == nil && !f.Placeholder:
		s.disagree(fmt.Sprintf("register it with 'tasuki register %s --tag TAG'", h.Name), "function %s runs %s, and no release is registered", f.Name, live.Digest.Short())
	case s.Registered != nil && f.Placeholder:
		s.disagree(reconcile, "function %s runs the placeholder, and %s is registered", f.Name, s.Registered.Tag)
	case s.Registered != nil && !s.isRegistered(live.Digest, found):
		s.disagree(reconcile, "function %s, changed %s, runs %s, and %s is registered as %s %s",
			f.Name, at(live.Modified), live.Digest.Short(), s.Registered.Tag, s.Digest.Short(), s.Registered.by())
	}
	switch {
	case f.Alias == "" || s.Registered == nil:
	case f.Version == "":
		s.disagree(reconcile, "function %s has no alias %s", f.Name, f.Alias)
	case !s.isRegistered(f.Aliased.Digest, found):
		s.disagree(reconcile, "alias %s of function %s points to version %s, which runs %s, and %s is registered as %s %s",
			f.Alias, f.Name, f.Version, f.Aliased.Digest.Short(), s.Registered.Tag, s.Digest.Short(), s.Registered.by())
	}
	return nil
}

// isRegistered reports whether a digest is that of the registered image, or of one
// in the index that the registered tag names.
func (s *Status) isRegistered(digest Digest, found map[Ref]Manifest) bool {
	return s.Digest.IsZero() || digest == s.Digest || found[ByTag(s.Registered.Tag)].lists(digest)
}

// by says who registered a release, and when.
func (r Release) by() string {
	who := r.Version.ModifiedBy
	if r.Record != nil {
		who = cmp.Or(r.Record.Actor, who)
	}
	return fmt.Sprintf("by %s %s", cmp.Or(who, "somebody"), at(r.Version.ModifiedAt))
}

// at says when something happened.
func at(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return "at " + t.UTC().Format(time.RFC3339)
}
