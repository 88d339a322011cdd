package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type registerCommand struct {
	handoffFlags
	Tag string `placeholder:"TAG" help:"Tag to register, which must be in ECR; default: the first 12 digits of the commit, as CI or git says it."`
}

func (c *registerCommand) Run(s *session) error {
	commit := commit(s.ctx)
	tag, err := tagOrCommit(c.Tag, commit)
	if err != nil {
		return err
	}
	h, err := c.load(s)
	if err != nil {
		return err
	}
	registered, err := tasuki.Registrar{Resolver: s.resolver(nil), Writer: s.aws.Tags}.Register(s.ctx, h, tag, provenance(commit))
	if err != nil {
		return err
	}
	s.warnOf(h.Name, registered.Warnings)
	result := registration(h, tag, registered.Release.Digest(), registered)
	return s.result(result, func(w io.Writer) {
		fmt.Fprintf(w, "registered %s as %s (version %d of %s)\n", tag, result.Digest, result.Version, result.Parameter)
	})
}
