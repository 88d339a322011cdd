// Command provider measures the provider function beside cdk-ecr-deployment's: the
// size of the packages, how long each takes from its start to its first answer and to
// put a placeholder when it is warm, and its peak memory. It prints a table in
// Markdown. The peer's package is taken from npm with "npm pack".
//
//	go run ./bench/provider
package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const peerPackage = "cdk-ecr-deployment@4.2.65"

func main() {
	runs := flag.Int("runs", 7, "how often each function is started; the median counts")
	flag.Parse()
	if *runs < 1 {
		fmt.Fprintln(os.Stderr, "bench: -runs has to be 1 at least")
		os.Exit(2)
	}
	if err := run(context.Background(), *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, runs int) error {
	dir, err := os.MkdirTemp("", "bench-provider-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours, err := build(ctx, dir)
	if err != nil {
		return err
	}
	peer, err := download(ctx, dir)
	if err != nil {
		return err
	}
	place, err := newPlace(ctx)
	if err != nil {
		return err
	}
	defer place.close()
	functions := []function{
		{"tasuki-provider, built-in placeholder", "builtin", ours, place.placeholderEvent},
		{"tasuki-provider, copied", "copied", ours, place.deploymentEvent},
		{peerPackage + ", copied", "peer", peer, place.copyEvent},
	}
	figures := make([][]figure, len(functions))
	for n := range runs {
		for i, f := range functions { // in turn, so that a noisy minute strikes both
			got, err := place.measure(ctx, f, n)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			figures[i] = append(figures[i], got)
		}
	}
	fmt.Printf("Measured %s on %d cores, %s/%s, %s; medians of %d starts.\n\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), runs)
	fmt.Println("| function | package, zipped | program | start to first answer | placeholder, warm | peak memory |\n|---|---|---|---|---|---|")
	for i, f := range functions {
		zipped, size, err := packageSize(f.bootstrap)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.2f MB | %.1f MB | %.0f ms | %.1f ms | %.0f MiB |\n", f.name, float64(zipped)/1e6, float64(size)/1e6,
			milliseconds(median(figures[i], func(f figure) time.Duration { return f.first })), milliseconds(median(figures[i], func(f figure) time.Duration { return f.warm })),
			float64(median(figures[i], func(f figure) int64 { return f.peak }))/(1<<20))
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the middle one of a member of the figures.
func median[T cmp.Ordered](figures []figure, member func(figure) T) T {
	var values []T
	for _, f := range figures {
		values = append(values, member(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// build builds the provider as it is packed for this machine.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "tasuki-provider")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", path, "./cmd/tasuki-provider")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build, from the module's root: %w\n%s", err, output)
	}
	return path, nil
}

// download gets the peer's function, which is for linux/amd64 alone.
func download(ctx context.Context, dir string) (string, error) {
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		return "", errors.New("the peer's function runs on linux/amd64 only")
	}
	c := exec.CommandContext(ctx, "npm", "pack", "--silent", peerPackage)
	c.Dir = dir
	name, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("npm pack %s: %w", peerPackage, err)
	}
	c = exec.CommandContext(ctx, "tar", "-xzf", string(bytes.TrimSpace(name)), "package/lambda-bin/bootstrap")
	c.Dir = dir
	if output, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, output)
	}
	path := filepath.Join(dir, "package", "lambda-bin", "bootstrap")
	return path, os.Chmod(path, 0o755)
}

// packageSize returns the bytes of a program, zipped and not.
func packageSize(bootstrap string) (zipped, size int, err error) {
	program, err := os.ReadFile(bootstrap)
	if err != nil {
		return 0, 0, err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	file, err := w.Create("bootstrap")
	if err == nil {
		_, err = file.Write(program)
	}
	err = errors.Join(err, w.Close())
	return b.Len(), len(program), err
}
