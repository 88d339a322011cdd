package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/tasuki-dev/tasuki"
)

type statusCommand struct {
	handoffFlags
}

type statusResult struct {
	Handoffs []handoffStatus `json:"handoffs"`
}

type handoffStatus struct {
	Handoff       string             `json:"handoff"`
	Parameter     string             `json:"parameter"`
	Registered    *registeredRelease `json:"registered"`
	Version       int64              `json:"version,omitempty"`
	Functions     []functionStatus   `json:"functions"`
	Disagreements []string           `json:"disagreements"`
}

type functionStatus struct {
	Name        string `json:"name"`
	Exists      bool   `json:"exists"`
	Digest      string `json:"digest,omitempty"`
	Placeholder bool   `json:"placeholder"`
	State       string `json:"state,omitempty"`
	Update      string `json:"lastUpdateStatus,omitempty"`
}

func (c *statusCommand) Run(s *session) error {
	handoffs, err := c.handoffs(s)
	if err != nil {
		return err
	}
	result := statusResult{Handoffs: []handoffStatus{}}
	for _, h := range handoffs {
		status, err := s.resolver(nil).Status(s.ctx, h)
		if err != nil {
			return err
		}
		result.Handoffs = append(result.Handoffs, printedStatus(h, status))
	}
	if err := s.result(result, result.print); err != nil {
		return err
	}
	for _, h := range result.Handoffs {
		if len(h.Disagreements) > 0 {
			return exitError(exitFound)
		}
	}
	return nil
}

// handoffs returns the one that was named, or all that have a contract.
func (c *statusCommand) handoffs(s *session) ([]tasuki.Handoff, error) {
	if c.Handoff != "" {
		h, err := c.load(s)
		return []tasuki.Handoff{h}, err
	}
	aws, err := s.backend()
	if err != nil {
		return nil, err
	}
	contracts, err := aws.Contracts.ListContracts(s.ctx)
	var handoffs []tasuki.Handoff
	for _, contract := range contracts {
		handoffs = append(handoffs, contract.Handoff)
	}
	return handoffs, err
}

func printedStatus(h tasuki.Handoff, s tasuki.Status) handoffStatus {
	printed := handoffStatus{
		Handoff: h.Name.String(), Parameter: h.TagParameter.String(), Registered: printedRelease(s.Registered),
		Functions: []functionStatus{}, Disagreements: orEmpty(s.Disagreements),
	}
	if s.Registered != nil {
		printed.Version = s.Registered.Version.Version
		printed.Registered.Digest = s.Digest.String()
	}
	for _, f := range s.Functions {
		printed.Functions = append(printed.Functions, functionStatus{
			Name: f.Name, Exists: f.Exists, Digest: f.Function.Digest.String(), Placeholder: f.Placeholder,
			State: f.Function.State, Update: f.Function.UpdateStatus,
		})
	}
	return printed
}

func (r statusResult) print(w io.Writer) {
	if len(r.Handoffs) == 0 {
		fmt.Fprintln(w, "no contract is written in this account and region; name a handoff, with --repository and --function")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "HANDOFF\tREGISTERED\tFUNCTION\tRUNS\tSTATE")
	for _, h := range r.Handoffs {
		registered := "no release yet"
		if h.Registered != nil {
			registered = h.Registered.Tag
		}
		for _, f := range h.Functions {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", h.Handoff, registered, f.Name, f.runs(h), f.state())
		}
		if len(h.Functions) == 0 {
			fmt.Fprintf(table, "%s\t%s\t-\t-\t-\n", h.Handoff, registered)
		}
	}
	_ = table.Flush() // to a stdout that is gone there is nothing to say
	for _, h := range r.Handoffs {
		for _, d := range h.Disagreements {
			fmt.Fprintf(w, "%s: %s\n", h.Handoff, d)
		}
	}
}

// runs says in a word what the function runs.
func (f functionStatus) runs(h handoffStatus) string {
	switch {
	case !f.Exists:
		return "does not exist"
	case f.Placeholder:
		return "placeholder"
	case h.Registered != nil && h.Registered.Digest == f.Digest:
		return h.Registered.Tag
	}
	if digest, err := tasuki.ParseDigest(f.Digest); err == nil {
		return digest.Short()
	}
	return "no image"
}

func (f functionStatus) state() string {
	if !f.Exists {
		return "-"
	}
	return f.State + ", " + f.Update
}
