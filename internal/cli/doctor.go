package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/lambdaimage/contents"
)

type doctorCommand struct {
	handoffFlags
	sourceFlags
	Image string `placeholder:"SOURCE" help:"Judge this image as well, as a release would: docker://, docker-daemon:, oci:, oci-archive:, docker-archive: or s3://."`
	Deep  bool   `help:"Read the images' layers too: their size, and the program that Lambda starts. Look at what keeps Lambda from images: the repository's policy, ECR's archive, lifecycle rules."`
}

type doctorResult struct {
	Handoff    string            `json:"handoff"`
	Repository doctorRepository  `json:"repository"`
	Deep       bool              `json:"deep"`
	Examined   []tasuki.Examined `json:"examined"`
	Findings   []tasuki.Finding  `json:"findings"`
}

// doctorRepository is what a doctor looked at, for whoever compares.
type doctorRepository struct {
	URI        string   `json:"uri"`
	Account    string   `json:"account"`
	Region     string   `json:"region"`
	Mutability string   `json:"mutability"`
	Exclusions []string `json:"exclusions,omitempty"`
	Encryption string   `json:"encryption"`
	KMSKey     string   `json:"kmsKey,omitempty"`
}

func (c *doctorCommand) Run(s *session) error {
	h, err := c.load(s)
	if err != nil {
		return err
	}
	var source tasuki.InspectedSource
	if c.Image != "" {
		opened, err := c.open(s, c.Image)
		if err != nil {
			return err
		}
		defer opened.Source.Close()
		source = told{opened, s.progress(reads)}
	}
	doctor := tasuki.Doctor{Reconciler: s.reconciler(nil), History: s.aws.Tags, Repositories: s.aws.Images}
	if c.Deep {
		inECR := &ecrLayers{session: s}
		defer inECR.close()
		doctor.Deep = &tasuki.Depth{Policies: s.aws.Images, Stored: s.aws.Images, Layers: inECR, Contents: contents.Check}
	}
	if len(h.Functions) == 0 {
		s.warn(noFunction(h.Name.String()))
	}
	found, err := doctor.Examine(s.ctx, h, source)
	if err != nil {
		return err
	}
	is := found.Settings
	repository := doctorRepository{h.Repository.String(), h.Repository.Account(), h.Repository.Region(), is.Mutability, is.Exclusions, is.Encryption, is.KMSKey}
	result := doctorResult{h.Name.String(), repository, c.Deep, orEmpty(found.Examined), orEmpty(found.Findings)}
	err = s.result(result, result.print)
	if err == nil && len(result.Findings) > 0 {
		return exitError(exitFound)
	}
	return err
}

// print says what is wrong, what to do about it, and then what was looked at: whoever is
// woken up by a function that fails wants to know what it is not, too.
func (r doctorResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", r.Handoff, counted(r.Findings))
	for _, f := range r.Findings {
		about := ""
		if f.Subject != "" {
			about = f.Subject + ": "
		}
		fmt.Fprintf(w, "%s: %s (%s)\n    %s\n", f.Severity, oneLine(about+f.Summary), f.Rule, oneLine(f.Fix))
	}
	if len(r.Examined) == 0 {
		return
	}
	fmt.Fprintln(w, "looked at:")
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range r.Examined {
		fmt.Fprintf(columns, "    %s\t%s\t%s\n", e.What, oneLine(e.Subject), oneLine(e.Found))
	}
	_ = columns.Flush() // its writer says when writing failed
	if !r.Deep {
		fmt.Fprintln(w, "not looked at: what is in the layers, the repository's policy, ECR's archive; --deep does")
	}
}

// counted says how many findings of each severity there are.
func counted(findings []tasuki.Finding) string {
	if len(findings) == 0 {
		return "nothing found"
	}
	var counts []string
	for _, severity := range []tasuki.Severity{tasuki.SeverityError, tasuki.SeverityWarning} {
		n := 0
		for _, f := range findings {
			if f.Severity == severity {
				n++
			}
		}
		switch n {
		case 0:
		case 1:
			counts = append(counts, "1 "+string(severity))
		default:
			counts = append(counts, fmt.Sprintf("%d %ss", n, severity))
		}
	}
	return strings.Join(counts, ", ")
}

// ecrLayers opens layers in ECR's registry.
type ecrLayers struct {
	*session
	opened []*image.Source
}

var _ tasuki.RepositoryLayers = (*ecrLayers)(nil)

// LayersOf implements [tasuki.RepositoryLayers].
func (e *ecrLayers) LayersOf(ctx context.Context, repository tasuki.Repository) (tasuki.Layers, error) {
	registry, err := e.registry(ctx, repository)
	if err != nil {
		return nil, err
	}
	source, err := image.Open(ctx, "docker://"+repository.String(), image.OpenOptions{Registry: &registry})
	if err != nil {
		return nil, err
	}
	e.opened = append(e.opened, source)
	return told{image.Release{Source: source}, e.progress(reads)}, nil
}

func (e *ecrLayers) close() {
	for _, source := range e.opened {
		_ = source.Close() // nothing was written
	}
}

// told is a source whose layers tell how far they have been read.
type told struct {
	image.Release
	progress func(image.Progress)
}

// Layer implements [tasuki.Layers].
func (t told) Layer(ctx context.Context, d tasuki.Descriptor) (io.ReadCloser, error) {
	layer, err := t.Release.Layer(ctx, d)
	if err != nil {
		return nil, err
	}
	return &toldLayer{layer, t.progress, image.Progress{Digest: d.Digest, Total: d.Size}}, nil
}

type toldLayer struct {
	io.ReadCloser
	progress func(image.Progress)
	so       image.Progress
}

func (l *toldLayer) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.so.Done += int64(n); n > 0 {
		l.progress(l.so)
	}
	return n, err
}
