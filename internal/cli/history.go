package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tasuki-dev/tasuki"
)

type historyCommand struct {
	handoffFlags
}

type historyResult struct {
	Handoff   string         `json:"handoff"`
	Parameter string         `json:"parameter"`
	Entries   []historyEntry `json:"entries"` // newest first
}

type historyEntry struct {
	Version    int64     `json:"version"`
	Tag        string    `json:"tag"`
	Digest     string    `json:"digest,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Run        string    `json:"run,omitempty"`
	ModifiedBy string    `json:"modifiedBy"`
	ModifiedAt time.Time `json:"modifiedAt"`
	Problem    string    `json:"problem,omitempty"`
	Current    bool      `json:"current"`
}

func (c *historyCommand) Run(s *session) error {
	h, err := c.load(s)
	if err != nil {
		return err
	}
	entries, err := tasuki.History(s.ctx, s.aws.Tags, h)
	if errors.Is(err, tasuki.ErrMissing) {
		return &tasuki.Error{
			Op: "read", Side: tasuki.SideTag, Subject: h.TagParameter.String(), Kind: tasuki.ErrMissing, Err: errors.New("there has been no release, or it was deleted"),
			Hint: fmt.Sprintf("tasuki status %s says what runs; the next release writes the parameter.", h.Name),
		}
	}
	if err != nil {
		return err
	}
	result := historyResult{h.Name.String(), h.TagParameter.String(), []historyEntry{}}
	for _, e := range entries {
		printed := historyEntry{Version: e.Version, Tag: e.Tag, ModifiedBy: e.ModifiedBy, ModifiedAt: e.ModifiedAt, Problem: e.Problem, Current: e.Current}
		if r := e.Record; r != nil {
			printed.Digest, printed.Commit, printed.Actor, printed.Run = r.Digest.String(), r.Commit, r.Actor, r.Run
		}
		result.Entries = append(result.Entries, printed)
	}
	return s.result(result, result.print)
}

func (r historyResult) print(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tTAG\tDIGEST\tWHEN\tWHO\tCOMMIT\tRUN")
	for _, e := range r.Entries {
		digest := "-"
		if parsed, err := tasuki.ParseDigest(e.Digest); err == nil {
			digest = parsed.Short()
		}
		tag := fmt.Sprintf("%.128q", e.Tag)
		if e.Problem == "" {
			tag = e.Tag
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%.12s\t%s\n", e.Version, tag, digest, e.ModifiedAt.UTC().Format(time.RFC3339),
			oneLine(cmp.Or(e.Actor, e.ModifiedBy, "-")), oneLine(cmp.Or(e.Commit, "-")), oneLine(cmp.Or(e.Run, "-")))
	}
	_ = table.Flush() // its writer says when writing failed
}
