package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type doctorCommand struct {
	handoffFlags
	Image string `placeholder:"SOURCE" help:"Judge this image as well, as a release would: docker://, oci:, oci-archive: or docker-archive:."`
}

type doctorResult struct {
	Handoff  string           `json:"handoff"`
	Findings []tasuki.Finding `json:"findings"`
}

func (c *doctorCommand) Run(s *session) error {
	h, err := c.load(s)
	if err != nil {
		return err
	}
	var source tasuki.ImageSource
	if c.Image != "" {
		opened, err := s.open(c.Image)
		if err != nil {
			return err
		}
		defer opened.Source.Close()
		source = opened
	}
	doctor := tasuki.Doctor{Reconciler: s.reconciler(nil), History: s.aws.Tags, Repositories: s.aws.Images}
	found, err := doctor.Examine(s.ctx, h, source)
	if err != nil {
		return err
	}
	result := doctorResult{h.Name.String(), orEmpty(found.Findings)}
	err = s.result(result, func(w io.Writer) {
		if len(result.Findings) == 0 {
			fmt.Fprintf(w, "%s: nothing found\n", result.Handoff)
		}
		for _, f := range result.Findings {
			fmt.Fprintf(w, "%s: %s (%s)\n    %s\n", f.Severity, f.Summary, f.Rule, f.Fix)
		}
	})
	if err == nil && len(result.Findings) > 0 {
		return exitError(exitFound)
	}
	return err
}
