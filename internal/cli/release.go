package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

type releaseCommand struct {
	handoffsFlags
	sourceFlags
	Image   string   `placeholder:"SOURCE" help:"Image to push under the tag first: docker://, docker-daemon:, oci:, oci-archive:, docker-archive: or s3://. Without it, the tag must be in ECR."`
	Tag     string   `placeholder:"TAG" help:"Tag to release; default: the first 12 digits of the commit, as CI or git says it."`
	Gate    string   `placeholder:"COMMAND" help:"Run COMMAND in a shell before anything is changed, with TASUKI_DIGEST, TASUKI_IMAGE, TASUKI_TAG, TASUKI_HANDOFF and TASUKI_SOURCE set; a failure stops the release."`
	Smoke   []string `placeholder:"FILE" sep:"none" help:"Invoke the function with the JSON in FILE before the image is registered; repeat for several."`
	Expect  []string `placeholder:"JSON" sep:"none" help:"What the answer to the smoke test must contain, or @FILE; one for each --smoke, in their order."`
	Publish bool     `help:"Publish a version of each function, and test that; implied by an alias."`
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
	tests, err := smokeTests(c.Smoke, c.Expect)
	if err != nil {
		return err
	}
	names, err := c.names(s)
	if err != nil {
		return err
	}
	request := tasuki.ReleaseRequest{Tag: tag, From: provenance(commit), Publish: c.Publish, Smoke: tests}
	if c.Gate != "" {
		request.Gate = s.gate(c.Gate)
	}
	if c.Image != "" {
		opened, err := c.open(s, c.Image)
		if err != nil {
			return err
		}
		defer opened.Source.Close()
		request.Source = opened
	}
	if len(names) <= 1 {
		result, err := c.release(s, first(names), request)
		if err != nil {
			return err
		}
		return s.result(result, func(w io.Writer) { printRelease(w, result) })
	}
	s.several = true
	if _, err := s.backend(); err != nil {
		return err
	}
	outcomes := each(s, names, func(name string) (releaseResult, error) { return c.release(s, name, request) })
	return printEach(s, outcomes, func(w io.Writer, r releaseResult) {
		fmt.Fprintf(w, "%s: ", r.Handoff)
		printRelease(w, r)
	})
}

// release releases to one handoff.
func (c *releaseCommand) release(s *session, name string, request tasuki.ReleaseRequest) (releaseResult, error) {
	h, stack, err := c.loadWithStack(s, name)
	if err != nil {
		return releaseResult{}, err
	}
	releaser := tasuki.Releaser{Reconciler: s.changing(stack, nil), Writer: s.aws.Tags, Invoker: s.aws.Functions}
	released, err := releaser.Release(s.ctx, h, request)
	if err != nil {
		return releaseResult{}, err
	}
	s.warnOf(h.Name, released.Warnings)
	result := registration(h, request.Tag, released.Digest, released.Registered)
	result.SupersededBy = printedRelease(released.SupersededBy)
	result.Functions = printedChanges(released.Functions)
	return result, nil
}

// first returns the only name, or "" for none.
func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func printRelease(w io.Writer, r releaseResult) {
	switch {
	case r.SupersededBy != nil:
		fmt.Fprintf(w, "%s was released, and superseded meanwhile by %s, which runs now\n", r.Tag, r.SupersededBy.Tag)
	case r.Unchanged:
		fmt.Fprintf(w, "%s is released already (version %d of %s)\n", r.Tag, r.Version, r.Parameter)
	default:
		fmt.Fprintf(w, "released %s as %s (version %d of %s)\n", r.Tag, r.Digest, r.Version, r.Parameter)
	}
	printChanges(w, r.Functions)
}
