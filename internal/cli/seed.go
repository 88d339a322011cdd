package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type seedCommand struct {
	handoffFlags
	sourceFlags
	Image string `placeholder:"SOURCE" help:"Image to take for the placeholder, in place of the built-in one: docker://, docker-daemon:, oci:, oci-archive:, docker-archive: or s3://."`
}

type seedResult struct {
	Handoff  string   `json:"handoff"`
	Tag      string   `json:"tag"`
	Digest   string   `json:"digest"`
	ImageURI string   `json:"imageUri"`
	Pushed   bool     `json:"pushed"`
	Warnings []string `json:"warnings"`
}

func (c *seedCommand) Run(s *session) error {
	h, err := c.load(s)
	if err != nil {
		return err
	}
	var placeholder tasuki.ImageSource = s.builtin(h.Name)
	if c.Image != "" {
		opened, err := c.open(s, c.Image)
		if err != nil {
			return err
		}
		defer opened.Source.Close()
		placeholder = opened
	}
	seeded, err := s.resolver(placeholder).Seed(s.ctx, h)
	if err != nil {
		return err
	}
	s.warnOf(h.Name, seeded.Warnings)
	result := seedResult{h.Name.String(), h.PlaceholderTag.String(), seeded.Digest.String(), seeded.Image.String(), seeded.Pushed, orEmpty(seeded.Warnings)}
	return s.result(result, func(w io.Writer) {
		if result.Pushed {
			fmt.Fprintf(w, "put the placeholder into ECR: %s (%s)\n", result.ImageURI, result.Digest)
			return
		}
		fmt.Fprintf(w, "the placeholder is in ECR already: %s (%s)\n", result.ImageURI, result.Digest)
	})
}
