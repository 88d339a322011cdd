package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

type resolveCommand struct {
	handoffsFlags
	Strict  bool `help:"Exit with 3 when there is a warning."`
	TagOnly bool `help:"Print the registered tags as they stand in the parameters, ten parameters a call; neither ECR nor the functions are looked at."`
}

// resolution is what resolve prints, as docs/specification.md has it.
type resolution struct {
	Handoff  string        `json:"handoff"`
	Tag      string        `json:"tag"`
	Digest   string        `json:"digest"`
	ImageURI string        `json:"imageUri"`
	Origin   tasuki.Origin `json:"origin"`
	Warnings []string      `json:"warnings"`
}

func (c *resolveCommand) Run(s *session) error {
	if c.TagOnly && s.format == "flat" {
		return usage("--output flat is for what resolve finds, tag and digest: it does not go with --tag-only")
	}
	names, err := c.names(s)
	if err != nil {
		return err
	}
	switch {
	case c.TagOnly:
		return c.printTags(s, names)
	case len(names) <= 1:
		return c.printOne(s, first(names))
	case s.format == "flat":
		return usage("--output flat is for one handoff, and %d are named", len(names))
	}
	s.several = true
	if _, err := s.backend(); err != nil {
		return err
	}
	outcomes := each(s, names, func(name string) (resolution, error) { return c.resolve(s, name) })
	err = printEach(s, outcomes, func(w io.Writer, r resolution) { fmt.Fprintf(w, "%s %s\n", r.Handoff, r.ImageURI) })
	for _, o := range outcomes {
		if err == nil && c.Strict && len(o.result.Warnings) > 0 {
			return exitError(exitFound)
		}
	}
	return err
}

// resolve resolves one handoff.
func (c *resolveCommand) resolve(s *session, name string) (resolution, error) {
	h, err := c.targetFlags.load(s, name)
	if err != nil {
		return resolution{}, err
	}
	r, err := s.resolver(s.builtin(h.Name)).Resolve(s.ctx, h)
	if err != nil {
		return resolution{}, err
	}
	s.warnOf(h.Name, r.Warnings)
	return resolution{r.Handoff.String(), r.Tag.String(), r.Digest.String(), r.Image.String(), r.Origin, orEmpty(r.Warnings)}, nil
}

func (c *resolveCommand) printOne(s *session, name string) error {
	r, err := c.resolve(s, name)
	if err != nil {
		return err
	}
	var out any = r
	if s.format == "flat" {
		out = map[string]string{
			"handoff": r.Handoff, "tag": r.Tag, "digest": r.Digest, "imageUri": r.ImageURI,
			"origin": string(r.Origin), "warnings": strings.Join(r.Warnings, "; "),
		}
	}
	if err := s.result(out, func(w io.Writer) { fmt.Fprintln(w, r.ImageURI) }); err != nil {
		return err
	}
	if c.Strict && len(r.Warnings) > 0 {
		return exitError(exitFound)
	}
	return nil
}

// registeredTag is what --tag-only prints of a handoff.
type registeredTag struct {
	Handoff string `json:"handoff"`
	Tag     string `json:"tag"` // "" where nothing is registered
	Version int64  `json:"version,omitempty"`
}

// printTags prints what the parameters say. They are found by the handoffs' names:
// to read the contracts would take a call for each.
func (c *resolveCommand) printTags(s *session, names []string) error {
	if len(names) == 0 {
		return usage("which handoffs? name them, or set TASUKI_HANDOFF")
	}
	var handoffs []tasuki.Handoff
	for _, name := range names {
		parsed, err := tasuki.ParseHandoffName(name)
		if err != nil {
			return &usageError{err}
		}
		h := tasuki.Handoff{Name: parsed, TagParameter: parsed.TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag}
		if err := c.overlay(&h); err != nil {
			return &usageError{err}
		}
		handoffs = append(handoffs, h)
	}
	aws, err := s.backend()
	if err != nil {
		return err
	}
	registered, err := tasuki.RegisteredTags(s.ctx, aws.Tags, handoffs)
	if err != nil {
		return err
	}
	outcomes := make([]outcome[registeredTag], len(names))
	for i, r := range registered {
		outcomes[i] = outcome[registeredTag]{names[i], registeredTag{names[i], r.Tag.String(), r.Version}, r.Err}
	}
	return printEach(s, outcomes, func(w io.Writer, r registeredTag) { fmt.Fprintf(w, "%s %s\n", r.Handoff, cmp.Or(r.Tag, "-")) })
}

// orEmpty makes JSON say [] where there is nothing.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
