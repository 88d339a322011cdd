package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type rollbackCommand struct {
	handoffFlags
	To string `placeholder:"TAG" help:"Release to go back to, one of the history; default: the one before the current one."`
}

func (c *rollbackCommand) Run(s *session) error {
	request := tasuki.RollbackRequest{From: provenance("")}
	if c.To != "" {
		to, err := tasuki.ParseTag(c.To)
		if err != nil {
			return &usageError{err}
		}
		request.To = to
	}
	h, stack, err := c.loadWithStack(s, c.Handoff)
	if err != nil {
		return err
	}
	back, err := tasuki.Rollbacker{Reconciler: s.changing(stack, nil), History: s.aws.Tags, Writer: s.aws.Tags}.Rollback(s.ctx, h, request)
	if err != nil {
		return err
	}
	s.warnOf(h.Name, back.Warnings)
	result := registration(h, back.Release.Tag, back.Digest, back.Registered)
	result.SupersededBy = printedRelease(back.SupersededBy)
	result.Functions = printedChanges(back.Functions)
	return s.result(result, func(w io.Writer) {
		switch {
		case result.SupersededBy != nil:
			fmt.Fprintf(w, "%s was registered again, and superseded meanwhile by %s, which runs now\n", result.Tag, result.SupersededBy.Tag)
		case result.Unchanged:
			fmt.Fprintf(w, "%s is what is registered already (version %d of %s)\n", result.Tag, result.Version, result.Parameter)
		default:
			fmt.Fprintf(w, "rolled back to %s, %s (version %d of %s)\n", result.Tag, result.Digest, result.Version, result.Parameter)
		}
		printChanges(w, result.Functions)
	})
}
