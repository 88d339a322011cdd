package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

type resolveCommand struct {
	handoffFlags
	Strict bool `help:"Exit with 3 when there is a warning."`
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
	h, err := c.load(s)
	if err != nil {
		return err
	}
	r, err := s.resolver(builtin{h.Name, s}).Resolve(s.ctx, h)
	if err != nil {
		return err
	}
	s.warn(r.Warnings...)
	printed := resolution{r.Handoff.String(), r.Tag.String(), r.Digest.String(), r.Image.String(), r.Origin, orEmpty(r.Warnings)}
	var out any = printed
	if s.format == "flat" {
		out = map[string]string{
			"handoff": printed.Handoff, "tag": printed.Tag, "digest": printed.Digest, "imageUri": printed.ImageURI,
			"origin": string(printed.Origin), "warnings": strings.Join(printed.Warnings, "; "),
		}
	}
	if err := s.result(out, func(w io.Writer) { fmt.Fprintln(w, printed.ImageURI) }); err != nil {
		return err
	}
	if c.Strict && len(r.Warnings) > 0 {
		return exitError(exitFound)
	}
	return nil
}

// orEmpty makes JSON say [] where there is nothing.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
