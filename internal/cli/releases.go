package cli

import (
	"fmt"
	"io"

	"github.com/tasuki-dev/tasuki"
)

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
	Alias   string `json:"alias,omitempty"`
	Version string `json:"version,omitempty"`
}

// registration is what release, register and rollback print of what they wrote.
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
		printed = append(printed, functionChange{c.Name, c.From.String(), c.To.String(), c.Changed(), c.Alias, c.Version})
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
		switch {
		case c.Alias != "":
			fmt.Fprintf(w, "alias %s of function %s points to version %s\n", c.Alias, c.Name, c.Version)
		case c.Version != "":
			fmt.Fprintf(w, "published version %s of function %s\n", c.Version, c.Name)
		}
	}
}
