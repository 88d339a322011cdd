package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type releaseCommand struct {
	handoffFlags
	Image string `placeholder:"SOURCE" help:"Image to push under the tag first: docker://, oci:, oci-archive: or docker-archive:. Without it, the tag must be in ECR."`
	Tag   string `placeholder:"TAG" help:"Tag to release; default: the first 12 digits of the commit, as CI or git says it."`
}

// registeredRelease is a release as it is printed.
type registeredRelease struct {
	Tag    string `json:"tag"`
	Digest string `json:"digest,omitempty"`
}

// functionChange is what happened to one function, as it is printed.
type functionChange struct {
	Name    string `json:"name"`
	From    string `json:"from"`
	To      string `json:"to"`
	Changed bool   `json:"changed"`
}

type releaseResult struct {
	Handoff      string             `json:"handoff"`
	Tag          string             `json:"tag"`
	Digest       string             `json:"digest"`
	ImageURI     string             `json:"imageUri"`
	Parameter    string             `json:"parameter"`
	Version      int64              `json:"version"`
	Unchanged    bool               `json:"unchanged"`
	Previous     *registeredRelease `json:"previous,omitempty"`
	SupersededBy *registeredRelease `json:"supersededBy,omitempty"`
	Functions    []functionChange   `json:"functions,omitempty"`
	Warnings     []string           `json:"warnings"`
}

func (c *releaseCommand) Run(s *session) error {
	commit := commit(s.ctx)
	tag, err := tagOrCommit(c.Tag, commit)
	if err != nil {
		return err
	}
	h, err := c.load(s)
	if err != nil {
		return err
	}
	request := tasuki.ReleaseRequest{Tag: tag, From: provenance(commit)}
	if c.Image != "" {
		source, err := s.source(c.Image)
		if err != nil {
			return err
		}
		defer source.Source.Close()
		request.Source = source
	}
	released, err := tasuki.Releaser{Reconciler: s.reconciler(nil), Writer: s.aws.Tags}.Release(s.ctx, h, request)
	if err != nil {
		return err
	}
	s.warn(released.Warnings...)
	result := registration(h, tag, released.Digest, released.Registered)
	result.SupersededBy = printedRelease(released.SupersededBy)
	result.Functions = printedChanges(released.Functions)
	return s.result(result, func(w io.Writer) {
		switch {
		case result.SupersededBy != nil:
			fmt.Fprintf(w, "%s was released, and superseded meanwhile by %s, which runs now\n", tag, result.SupersededBy.Tag)
		case result.Unchanged:
			fmt.Fprintf(w, "%s is released already (version %d of %s)\n", tag, result.Version, result.Parameter)
		default:
			fmt.Fprintf(w, "released %s as %s (version %d of %s)\n", tag, result.Digest, result.Version, result.Parameter)
		}
		printChanges(w, result.Functions)
	})
}

// registration is what release and register print of what they wrote.
func registration(h tasuki.Handoff, tag tasuki.Tag, digest tasuki.Digest, r tasuki.Registered) releaseResult {
	return releaseResult{
		Handoff: h.Name.String(), Tag: tag.String(), Digest: digest.String(),
		ImageURI:  tasuki.ImageURI{Repository: h.Repository, Ref: tasuki.ByDigest(digest)}.String(),
		Parameter: h.TagParameter.String(), Version: r.Release.Version.Version, Unchanged: r.Unchanged,
		Previous: printedRelease(r.Previous), Warnings: orEmpty(r.Warnings),
	}
}

func printedRelease(r *tasuki.Release) *registeredRelease {
	if r == nil {
		return nil
	}
	return &registeredRelease{r.Tag.String(), r.Digest().String()}
}

func printedChanges(changes []tasuki.FunctionChange) (printed []functionChange) {
	for _, c := range changes {
		printed = append(printed, functionChange{c.Name, c.From.String(), c.To.String(), c.Changed()})
	}
	return printed
}

func printChanges(w io.Writer, changes []functionChange) {
	for _, c := range changes {
		if c.Changed {
			fmt.Fprintf(w, "function %s runs %s now (before: %s)\n", c.Name, c.To, c.From)
		} else {
			fmt.Fprintf(w, "function %s runs %s, as before\n", c.Name, c.To)
		}
	}
}
