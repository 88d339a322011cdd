// Command stacks measures how stacks scale on the local endpoint: a stack of 20, 50, 100
// and 200 resources is created, deployed again without a change, with one change and with
// one that fails, and deleted, as the CDK CLI does it: through change sets. Each endpoint
// is a process of its own, new for each stack. moto's server is measured in the same run,
// in turn, where it is installed. It prints a table in Markdown.
//
//	go run ./bench/stacks -tasuki bin/tasuki
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	program := flag.String("tasuki", "bin/tasuki", "the program to measure")
	runs := flag.Int("runs", 5, "how often each endpoint does each stack")
	sizes := flag.String("resources", "20,50,100,200", "comma-separated sizes of the stacks, in tens")
	scratch := flag.String("scratch", os.TempDir(), "where --dir is: the disk that is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *program, *scratch, *sizes, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measured is what the runs of one kind of endpoint with stacks of one size took.
type measured struct {
	kind
	size  int
	lives []life
	peak  int64 // bytes, of the largest of its processes
}

func run(ctx context.Context, program, scratch, sizes string, runs int) error {
	if runs < 1 {
		return errors.New("-runs: at least 1 is needed")
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("build the program first: %w", err)
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	kinds := []kind{tasuki(program), tasukiInDir(program)}
	if peer, ok := moto(ctx); ok {
		kinds = append(kinds, peer)
	}
	var all []*measured
	for _, kind := range kinds {
		for size := range strings.SplitSeq(sizes, ",") {
			n, err := strconv.Atoi(size)
			if err != nil || n < unit || n%unit != 0 {
				return fmt.Errorf("-resources: %q is not a number of resources in tens", size)
			}
			all = append(all, &measured{kind: kind, size: n})
		}
	}
	for range runs { // in turn, so that all see the machine as it is
		for _, m := range all {
			if err := m.once(ctx, scratch); err != nil {
				return fmt.Errorf("%s, %d resources: %w", m.name, m.size, err)
			}
		}
	}
	fmt.Printf("Measured %s on %d cores, %s/%s, %s. Medians of %d runs, the endpoints in turn; in brackets the calls that CloudFormation made to other services.\n\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), runs)
	report(all)
	return nil
}

// once takes one stack through its life, in a new process.
func (m *measured) once(ctx context.Context, scratch string) (err error) {
	dir, err := os.MkdirTemp(scratch, "tasuki-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := start(ctx, m.kind, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	l, err := live(ctx, e, m.size)
	if err != nil {
		return err
	}
	peak, err := e.peakMemory()
	if err != nil {
		return err
	}
	m.lives = append(m.lives, l)
	m.peak = max(m.peak, peak)
	return nil
}

// report prints a row for each endpoint and size.
func report(all []*measured) {
	var titles []string
	for _, o := range operations {
		titles = append(titles, " "+o.title)
	}
	fmt.Printf("| endpoint | resources |%s peak memory |\n|---|---|%s---|\n", strings.Join(titles, " |")+" |", strings.Repeat("---|", len(operations)))
	for _, m := range all {
		fmt.Printf("| %s | %d |", m.name, m.size)
		for i := range operations {
			fmt.Printf(" %s |", cell(m.lives, i))
		}
		fmt.Printf(" %.0f MB |\n", float64(m.peak)/1e6)
	}
}

// cell says what an operation took: the median of the runs and, in brackets, the calls
// that CloudFormation made in the last one; or how else it ended.
func cell(lives []life, operation int) string {
	took := make([]time.Duration, len(lives))
	for i, l := range lives {
		took[i] = l[operation].took
	}
	slices.Sort(took)
	last := lives[len(lives)-1][operation]
	text := fmt.Sprintf("%.2f s", took[len(took)/2].Seconds())
	if last.calls > 0 {
		text += fmt.Sprintf(" (%d)", last.calls)
	}
	if want := operations[operation].ends; last.status != want {
		text += ": " + last.status
	}
	return text
}
