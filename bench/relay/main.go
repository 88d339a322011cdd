// Command relay measures the relay on the local endpoint: what a release costs in
// calls, round trips and seconds, beside the AWS CLI where it is installed. It
// prints a table in Markdown.
//
//	go run ./bench/relay -tasuki bin/tasuki -image oci:DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

// latency is what each call is made to take, about a round trip to a region of AWS
// and its answer.
const latency = 50 * time.Millisecond

func main() {
	sandbox.Main()
	program := flag.String("tasuki", "bin/tasuki", "the program to measure")
	image := flag.String("image", "", "an image for this machine, as tasuki release takes it")
	flag.Parse()
	b := &bench{program: *program, image: *image}
	fmt.Printf("Measured %s on %d cores, %s/%s, %s.\n\n| what | figure |\n|---|---|\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	for _, measure := range []func(context.Context) error{b.binary, b.placeholder, b.release, b.reads, b.many, b.unreleased} {
		if err := measure(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

type bench struct{ program, image string }

func row(what, format string, args ...any) {
	fmt.Printf("| %s | %s |\n", what, fmt.Sprintf(format, args...))
}

// median runs f n times and returns the median of its durations.
func median(n int, f func() error) (time.Duration, error) {
	var took []time.Duration
	for range n {
		started := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(started))
	}
	slices.Sort(took)
	return took[n/2], nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func (b *bench) binary(context.Context) error {
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	row("`tasuki`, size", "%.1f MB", float64(info.Size())/1e6)
	took, err := median(21, func() error { return exec.Command(b.program, "version").Run() })
	row("`tasuki version`, wall, median of 21", "%s", ms(took))
	return err
}
