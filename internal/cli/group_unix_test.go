//go:build unix

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// What a command has started holds the pipe that it writes to, and the pipe ends with the
// last of them.
func TestNothingOfAGroupIsLeft(t *testing.T) {
	for name, script := range map[string]string{
		"a child that ends when it is asked": `sh -c 'trap "echo ended; exit" TERM; echo ready; while :; do sleep 0.05; done' & wait`,
		"a child that does not hear":         `sh -c 'trap "" TERM; echo ready; while :; do sleep 0.05; done' & wait`,
		"a shell that does not hear either":  `trap "" TERM; sh -c 'echo ready; while :; do sleep 0.05; done' & while :; do sleep 0.05; done`,
	} {
		t.Run(name, func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if err := reader.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := exec.CommandContext(ctx, "sh", "-c", script)
			cmd.Stdout = writer
			ended := make(chan error, 1)
			go func() {
				err := runGroup(cmd, 500*time.Millisecond)
				ended <- errors.Join(err, writer.Close())
			}()
			said := bufio.NewReader(reader)
			if line, err := said.ReadString('\n'); line != "ready\n" {
				t.Fatalf("it says %q: %v", line, err)
			}
			cancel()
			rest, err := io.ReadAll(said)
			if err != nil {
				t.Fatalf("something still runs: %v", err)
			}
			if want := map[bool]string{true: "ended\n"}[name == "a child that ends when it is asked"]; string(rest) != want {
				t.Errorf("it says %q, want %q", rest, want)
			}
			if err := <-ended; err == nil {
				t.Error("it ended as if nobody had ended it")
			}
		})
	}
}

// What goes on by itself, as a server that a gate leaves behind, is left alone.
func TestAGroupThatEndsByItself(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & echo $!; exit 3")
	cmd.Stdout = writer
	err = runGroup(cmd, time.Minute)
	var exited *exec.ExitError
	if !errors.As(err, &exited) || exited.ExitCode() != 3 {
		t.Errorf("error %v, want exit status 3", err)
	}
	// It is in the group still, which its leader has left.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Errorf("what it left behind is gone: %v", err)
	}
	if err := writer.Close(); err != nil {
		t.Error(err)
	}
}
