package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type reconcileCommand struct {
	handoffFlags
}

type reconcileResult struct {
	Handoff   string           `json:"handoff"`
	Tag       string           `json:"tag"`
	Digest    string           `json:"digest"`
	ImageURI  string           `json:"imageUri"`
	Origin    tasuki.Origin    `json:"origin"`
	Functions []functionChange `json:"functions"`
	Warnings  []string         `json:"warnings"`
}

func (c *reconcileCommand) Run(s *session) error {
	h, stack, err := c.loadWithStack(s, c.Handoff)
	if err != nil {
		return err
	}
	r, err := s.changing(stack, s.builtin(h.Name)).Reconcile(s.ctx, h)
	if err != nil {
		return err
	}
	s.warnOf(h.Name, r.Warnings)
	result := reconcileResult{
		Handoff: h.Name.String(), Tag: r.Tag.String(), Digest: r.Digest.String(), ImageURI: r.Image.String(),
		Origin: r.Origin, Functions: orEmpty(printedChanges(r.Functions)), Warnings: orEmpty(r.Warnings),
	}
	return s.result(result, func(w io.Writer) {
		fmt.Fprintf(w, "handoff %s is on %s (%s)\n", result.Handoff, result.ImageURI, result.Origin)
		printChanges(w, result.Functions)
	})
}
