package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// usage is what one process took.
type usage struct {
	Wall   time.Duration
	CPU    time.Duration // user and system
	Memory int64         // peak resident set, bytes
}

// timer is the argument that makes this program time another one. A process begins
// with the peak memory of the one that started it (Linux counts it until exec), so
// that a small process has to start what is measured.
const timer = "-timer"

// timed runs a program to its end.
func timed(ctx context.Context, program string, arguments ...string) (u usage, err error) {
	own, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	c := exec.CommandContext(ctx, own, append([]string{timer, program}, arguments...)...)
	var answer, output bytes.Buffer
	c.Stdout, c.Stderr = &answer, &output
	if err := c.Run(); err != nil {
		return usage{}, fmt.Errorf("%s %v: %w\n%s", program, arguments, err, output.Bytes())
	}
	return u, json.Unmarshal(answer.Bytes(), &u)
}

// timeOther is the process between: it runs a program, and writes what it took.
func timeOther(program string, arguments []string) error {
	c := exec.Command(program, arguments...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	started := time.Now()
	if err := c.Run(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(used(c.ProcessState, time.Since(started)))
}

func used(state *os.ProcessState, wall time.Duration) usage {
	u := usage{Wall: wall, CPU: state.UserTime() + state.SystemTime()}
	if r, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.Memory = r.Maxrss << 10 // Linux counts KiB (getrusage(2))
	}
	return u
}
