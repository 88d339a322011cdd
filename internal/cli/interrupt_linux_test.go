package cli_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// process is the command line as a process, in a session of its own: the terminal that
// the tests may run at is not its.
func process(t *testing.T, server *localaws.Server, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{
		Path: self, Args: append([]string{"tasuki"}, args...), Dir: t.TempDir(),
		Env: server.Environ(os.Environ()), SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
}

func TestGates(t *testing.T) {
	server := localawstest.Start(t, localaws.Options{})
	r := &rehearsal{relay: newRelay(server, &apps{dir: t.TempDir()}), t: t}
	r.deploy()
	r.put("v1")
	// What the tests start hears SIGHUP, even where they were started by nohup.
	unheard := make(chan os.Signal, 1)
	signal.Notify(unheard, syscall.SIGHUP)
	defer signal.Stop(unheard)
	const children = `sh -c 'touch waiting; sleep 300' & wait`
	for name, signals := range map[string][]syscall.Signal{
		"SIGINT": {syscall.SIGINT}, "SIGTERM": {syscall.SIGTERM},
		"a terminal that is closed, as the shell says it and then the kernel": {syscall.SIGHUP, syscall.SIGHUP},
	} {
		t.Run(name+" ends what a gate has started", func(t *testing.T) {
			cmd := process(t, server, "release", "orders", "--tag", "v1", "--gate", children)
			reader, writer, err := os.Pipe() // which ends with the last that may write to it
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if err := reader.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = writer
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := writer.Close(); err != nil {
				t.Fatal(err)
			}
			await(t, filepath.Join(cmd.Dir, "waiting"))
			for _, signal := range signals {
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			said, err := io.ReadAll(reader)
			if err != nil {
				t.Errorf("something still runs: %v", err)
				_ = cmd.Process.Kill() // it may have ended
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("%v, want exit status 1", err)
			}
			if !strings.HasPrefix(string(said), "tasuki: error: interrupted: release image") || !strings.Contains(string(said), "the gate did not end") {
				t.Errorf("it says\n%s", said)
			}
		})
	}

	t.Run("nohup outlives the terminal", func(t *testing.T) {
		cmd := process(t, server, "release", "orders", "--tag", "v1", "--gate", "touch waiting; until [ -e done ]; do sleep 0.05; done")
		var said localawstest.Log
		cmd.Stderr = &said
		signal.Ignore(syscall.SIGHUP) // as nohup does for what it starts
		err := cmd.Start()
		signal.Notify(unheard, syscall.SIGHUP)
		if err != nil {
			t.Fatal(err)
		}
		await(t, filepath.Join(cmd.Dir, "waiting"))
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cmd.Dir, "done"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said.String())
		}
	})

	t.Run("a gate asks at the terminal", func(t *testing.T) {
		keyboard, terminal := openTerminal(t)
		cmd := process(t, server, "release", "orders", "--tag", "v1", "--gate", `touch waiting; read answer </dev/tty && test "$answer" = yes`)
		cmd.SysProcAttr.Setctty = true
		var said localawstest.Log
		cmd.Stdin, cmd.Stderr = terminal, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill() }() // it has ended, or hangs
		await(t, filepath.Join(cmd.Dir, "waiting"))
		if _, err := keyboard.WriteString("yes\n"); err != nil {
			t.Fatal(err)
		}
		hangs := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer hangs.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said.String())
		}
	})
}

// await waits until a file is there.
func await(t *testing.T, file string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no %s after a minute", filepath.Base(file))
		}
	}
}

// openTerminal opens a terminal, and what types on it.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keyboard, terminal
}
