// Command copy measures tasuki copy beside the programs that people copy images
// with: crane, regctl, oras, skopeo, and cdk-ecr-deployment's function. It installs
// them, starts the registries, lets each do the same work in turn, checks that the
// destination is complete and equal, and prints a table in Markdown.
//
//	go run ./bench/copy -tasuki bin/tasuki
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == timer {
		if err := timeOther(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	program := flag.String("tasuki", "bin/tasuki", "the program to measure")
	runs := flag.Int("runs", 5, "how often each program does each work")
	only := flag.String("work", "", "comma-separated names of the works to do; all where empty")
	programs := flag.String("programs", "", "comma-separated names of the programs to measure beside Tasuki; all where empty")
	tools := flag.String("tools", "bin/peers", "where the peers are installed")
	scratch := flag.String("scratch", "/dev/shm", "where the registries keep their blobs: in memory, so that no disk is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *program, *tools, *scratch, *runs, *only, *programs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, tools, scratch string, runs int, only, programs string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("build the program first: %w", err)
	}
	peers, err := install(ctx, tools)
	if err != nil {
		return err
	}
	if programs != "" {
		peers.copiers = slices.DeleteFunc(peers.copiers, func(c copier) bool { return !slices.Contains(strings.Split(programs, ","), c.name) })
	}
	dir, err := os.MkdirTemp(scratch, "tasuki-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, registry: filepath.Join(peers.dir, "registry"), runs: runs, copiers: append([]copier{tasuki(program)}, peers.copiers...)}
	fmt.Printf("Measured %s on %d cores, %s/%s. Medians of %d runs, the programs in turn.\n\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runs)
	for _, w := range works() {
		if only != "" && !slices.Contains(strings.Split(only, ","), w.name) {
			continue
		}
		if err := b.do(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}
