package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tasuki-dev/tasuki"
)

type statusCommand struct {
	handoffsFlags
	Wait    bool          `help:"Wait until nothing disagrees."`
	Watch   bool          `help:"Go on, and print again when something changes, until interrupted."`
	Timeout time.Duration `default:"5m" help:"How long --wait waits."`
}

type statusResult struct {
	Handoffs []handoffStatus `json:"handoffs"`
	Failures []namedFailure  `json:"failures,omitempty"`
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
	Alias       string `json:"alias,omitempty"`
	Version     string `json:"version,omitempty"`
}

func (c *statusCommand) Run(s *session) error {
	if c.Watch && (c.Wait || s.format != "text") {
		return usage("--watch prints text until it is interrupted: it goes with neither --wait nor --output")
	}
	if _, err := s.backend(); err != nil {
		return err
	}
	r := &statusReader{session: s, flags: &c.handoffsFlags}
	if c.Watch {
		return c.watch(r)
	}
	outcomes, err := r.read()
	if err == nil && c.Wait {
		outcomes, err = c.wait(r, outcomes)
	}
	if err != nil {
		return err
	}
	return printStatus(s, outcomes)
}

// between is how long --wait and --watch leave AWS alone.
const between = 2 * time.Second

// wait reads again until nothing disagrees, or the time is over. What cannot be read
// ends it.
func (c *statusCommand) wait(r *statusReader, outcomes []outcome[handoffStatus]) ([]outcome[handoffStatus], error) {
	deadline := time.Now().Add(c.Timeout)
	for settled(outcomes) == exitFound && time.Now().Before(deadline) {
		select {
		case <-r.ctx.Done():
			return nil, context.Cause(r.ctx)
		case <-time.After(between):
		}
		var err error
		if outcomes, err = r.read(); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// watch prints the status whenever it has changed.
func (c *statusCommand) watch(r *statusReader) error {
	last := ""
	for {
		outcomes, err := r.read()
		if r.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		var now strings.Builder
		statusesOf(outcomes).print(&now)
		for _, o := range outcomes {
			if o.err != nil {
				fmt.Fprintf(&now, "%s: %s\n", o.handoff, oneLine(o.err.Error()))
			}
		}
		if now.String() != last {
			last = now.String()
			if _, err := fmt.Fprintf(r.streams.Out, "%s\n%s\n", time.Now().UTC().Format(time.RFC3339), last); err != nil {
				return nil // nobody watches any more
			}
		}
		select {
		case <-r.ctx.Done():
			return nil
		case <-time.After(between):
		}
	}
}

// settled returns the exit code that outcomes amount to.
func settled(outcomes []outcome[handoffStatus]) int {
	code := exitDone
	for _, o := range outcomes {
		if o.err != nil {
			return exitCode(o.err)
		}
		if len(o.result.Disagreements) > 0 {
			code = exitFound
		}
	}
	return code
}

// statusesOf returns the statuses that could be read.
func statusesOf(outcomes []outcome[handoffStatus]) statusResult {
	result := statusResult{Handoffs: []handoffStatus{}}
	for _, o := range outcomes {
		if o.err == nil {
			result.Handoffs = append(result.Handoffs, o.result)
		}
	}
	return result
}

// printStatus prints all statuses that could be read, and complains of the others.
func printStatus(s *session, outcomes []outcome[handoffStatus]) error {
	result := statusesOf(outcomes)
	for _, o := range outcomes {
		if o.err != nil {
			about := ""
			if len(outcomes) > 1 {
				about = o.handoff + ": "
			}
			err := interrupted(s.ctx, o.err)
			s.complain(about, err)
			result.Failures = append(result.Failures, namedFailure{o.handoff, failureOf(err)})
		} else if len(o.result.Functions) == 0 {
			s.warn(noFunction(o.handoff))
		}
	}
	err := s.result(result, func(w io.Writer) {
		if len(result.Handoffs) > 0 || len(outcomes) == 0 {
			result.print(w)
		}
	})
	if code := settled(outcomes); code != exitDone && err == nil {
		return exitError(code)
	}
	return err
}

func printedStatus(h tasuki.Handoff, s tasuki.Status) handoffStatus {
	printed := handoffStatus{
		Handoff: h.Name.String(), Parameter: h.TagParameter.String(), Registered: printedRelease(s.Registered),
		Functions: []functionStatus{}, Disagreements: []string{},
	}
	if s.Registered != nil {
		printed.Version = s.Registered.Version.Version
		printed.Registered.Digest = s.Digest.String()
	}
	for _, d := range s.Disagreements {
		printed.Disagreements = append(printed.Disagreements, d.String())
	}
	for _, f := range s.Functions {
		printed.Functions = append(printed.Functions, functionStatus{
			Name: f.Name, Exists: f.Exists, Digest: f.Function.Digest.String(), Placeholder: f.Placeholder,
			State: f.Function.State, Update: f.Function.UpdateStatus, Alias: f.Alias, Version: f.Version,
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
	_ = table.Flush() // its writer says when writing failed
	for _, h := range r.Handoffs {
		for _, d := range h.Disagreements {
			fmt.Fprintf(w, "%s: %s\n", h.Handoff, oneLine(d))
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
	state := f.State + ", " + f.Update
	if f.Alias != "" {
		state += fmt.Sprintf(", %s → %s", f.Alias, cmp.Or(f.Version, "nothing"))
	}
	return state
}
