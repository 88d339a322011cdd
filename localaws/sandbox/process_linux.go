package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is a sandbox's process 1, as the host sees it.
type process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when nothing is left of the sandbox
	report report        // valid once ended is closed
}

// startProcess starts the sandbox. What goes wrong inside it is in the report.
func startProcess(c Config) (*process, error) {
	input, err := json.Marshal(order{c.Command, c.WorkingDir, c.Env, c.Scratch})
	if err != nil {
		return nil, err
	}
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, outWrite, err := newOutput(c.Output)
	if err != nil {
		return nil, errors.Join(err, reportRead.Close(), reportWrite.Close())
	}
	p := &process{
		output: out,
		ended:  make(chan struct{}),
		cmd: &exec.Cmd{
			Path:       "/proc/self/exe",
			Args:       []string{initName},
			Env:        []string{"GOMAXPROCS=1"},
			Stdin:      bytes.NewReader(input),
			Stdout:     outWrite,
			Stderr:     outWrite,
			ExtraFiles: []*os.File{reportWrite}, // as reportFD
			SysProcAttr: &syscall.SysProcAttr{
				Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
				AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP}, // to mount, and to give all of them up
				Pdeathsig:   syscall.SIGKILL,
				Setsid:      true, // no terminal
			},
		},
	}
	who := functionUser()
	who.become(p.cmd.SysProcAttr)
	if who.lent {
		// A function may open its output by name, /dev/stdout.
		if err := outWrite.Chown(who.uid, who.gid); err != nil {
			err = errors.Join(err, reportRead.Close(), reportWrite.Close(), outWrite.Close())
			out.close()
			return nil, err
		}
	}
	started := make(chan error)
	go func() {
		err := p.start(c.Rootfs)
		outWrite.Close()
		reportWrite.Close()
		started <- err
		if err != nil {
			reportRead.Close()
			out.close()
			return
		}
		p.wait(reportRead)
	}()
	if err := <-started; err != nil {
		return nil, hostError(err.Error(), denied(err))
	}
	return p, nil
}

// start starts process 1 with the rootfs as its working directory, on a thread that
// lives as long as the process: Pdeathsig is sent when the thread that started it
// ends. The thread has a working directory of its own, and is never given back.
func (p *process) start(rootfs string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Chdir(rootfs); err != nil {
		return &os.PathError{Op: "chdir", Path: rootfs, Err: err}
	}
	return p.cmd.Start()
}

// wait waits for the end of everything in the sandbox. Where process 1 was killed
// there is no report.
func (p *process) wait(reportRead *os.File) {
	defer close(p.ended)
	defer reportRead.Close()
	_ = json.NewDecoder(reportRead).Decode(&p.report)
	_ = p.cmd.Process.Kill() // after its last word it has no business
	_ = p.cmd.Wait()         // it goes when the last of its namespace has gone
	p.output.close()
}

// kill ends every process in the sandbox and returns when they are gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// fault says why the sandbox ended: a fault of the function's, or an error of the
// host's. It waits for the end.
func (p *process) fault() error {
	<-p.ended
	switch r := p.report; {
	case r.Host != "":
		return hostError(r.Host, r.Denied)
	case r.Fault != nil:
		return r.Fault
	case r.Status == nil:
		return &Fault{Type: FaultExit, Message: "Runtime exited with error: signal: killed"}
	case r.Status.Signaled():
		return &Fault{Type: FaultExit, Message: "Runtime exited with error: signal: " + r.Status.Signal().String()}
	case r.Status.ExitStatus() != 0:
		return &Fault{Type: FaultExit, Message: fmt.Sprintf("Runtime exited with error: exit status %d", r.Status.ExitStatus())}
	}
	return &Fault{Type: FaultExit, Message: "Runtime exited without providing a reason"}
}

// hostError says that the host could not give a sandbox, and what a person can do
// about a host that denies one.
func hostError(what string, denied bool) error {
	if !denied {
		return fmt.Errorf("the sandbox could not be started: %s", what)
	}
	return fmt.Errorf("functions cannot run here, because the host denies user %d a sandbox (%s): %s", os.Geteuid(), what, advice(os.DirFS("/proc/sys")))
}

// denied reports whether err is one of those by which hosts forbid namespaces:
// ENOSPC is that of a limit of none.
func denied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS)
}
