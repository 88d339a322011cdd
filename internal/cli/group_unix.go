//go:build unix

package cli

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runWhole runs cmd, and when its context is done ends it with all that it has started:
// it asks for that first, and ends what is left after grace.
//
// At a terminal it is cmd's process alone that is ended so. Ctrl-C reaches all that runs
// there anyway, and what is in a process group of its own could not ask a person there
// for a password or an approval.
func runWhole(cmd *exec.Cmd, grace time.Duration) error {
	if !atTerminal() {
		return runGroup(cmd, grace)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd.Run()
}

// runGroup runs cmd in a process group of its own, of which nothing is left when cmd's
// context is done.
func runGroup(cmd *exec.Cmd, grace time.Duration) error {
	var last time.Time // zero while cmd's context is not done
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		last = time.Now().Add(grace)
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = grace
	err := cmd.Run()
	if last.IsZero() {
		return err
	}
	// Only its parent can wait for a process, and theirs may be gone: so they are asked for.
	for syscall.Kill(-cmd.Process.Pid, 0) == nil && time.Now().Before(last) {
		time.Sleep(20 * time.Millisecond)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it fails where none is left
	return err
}

// atTerminal reports whether this process is in the foreground of a terminal.
func atTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer terminal.Close()
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
