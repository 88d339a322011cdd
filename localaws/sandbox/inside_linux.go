package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// initName is the name under which the program is started again inside the
// namespaces, where it prepares them and is process 1.
const initName = "tasuki-sandbox"

// reportFD is where the process inside says how it ended.
const reportFD = 3

// order is what the process inside is told on its standard input.
type order struct {
	Command    []string
	WorkingDir string
	Env        []string
	Scratch    int // MiB
}

// report is the last word of the process inside: one of Host, Fault and Status.
type report struct {
	Host   string // why the sandbox could not be prepared
	Denied bool   // with Host: because the host forbids it
	Fault  *Fault // why the entrypoint could not be started
	Status *syscall.WaitStatus
}

// Main turns the process into the first one of a sandbox if that is what it was
// started for, and returns at once otherwise. It is called before anything else in
// main, and in TestMain.
func Main() {
	if os.Args[0] != initName {
		return
	}
	unix.CloseOnExec(reportFD)
	out := os.NewFile(reportFD, "report")
	// Capabilities belong to threads: all of it happens on the one that forks.
	runtime.LockOSThread()
	if err := json.NewEncoder(out).Encode(runInside(os.Stdin)); err != nil {
		os.Exit(1)
	}
	// The end of process 1 is the end of every process in the namespace.
	os.Exit(0)
}

func runInside(in io.Reader) report {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return report{Host: "read the order: " + err.Error()}
	}
	// Process 1 is deaf to the function. The handlers do not pass through exec.
	signal.Notify(make(chan os.Signal, 1))
	if err := enterRootfs(o.Scratch); err != nil {
		return report{Host: err.Error(), Denied: denied(err)}
	}
	if err := limit(); err != nil {
		return report{Host: err.Error()}
	}
	if err := dropPrivileges(); err != nil {
		return report{Host: err.Error(), Denied: denied(err)}
	}
	pid, fault := startEntrypoint(o)
	if fault != nil {
		return report{Fault: fault}
	}
	// Orphans become children of process 1, and are reaped here.
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return report{Host: "wait for the function: " + err.Error()}
		case ended == pid:
			return report{Status: &status}
		}
	}
}

// anchor is where the rootfs is mounted until it becomes the root: any folder of
// the host that exists and that everybody may enter. The working directory stands
// for the rootfs, because an ancestor of it may be closed to this user by now.
const anchor = "/proc"

// enterRootfs makes the working directory, the rootfs, the root of this namespace,
// read-only, with what a Linux program expects to find mounted.
func enterRootfs(scratch int) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(".", &stat); err != nil {
		return fmt.Errorf("examine the rootfs: %w", err)
	}
	// A flag that the host's mount has cannot be taken away here.
	readOnly := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV)
	if stat.Flags&unix.ST_NOEXEC != 0 {
		readOnly |= unix.MS_NOEXEC
	}
	tmp := fmt.Sprintf("mode=1777,size=%dm", scratch)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"keep mounts from the host", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"mount the rootfs", func() error { return unix.Mount(".", anchor, "", unix.MS_BIND, "") }},
		{"enter the rootfs", func() error { return unix.Chdir(anchor) }},
		{"make the rootfs read-only", func() error { return unix.Mount("", ".", "", readOnly, "") }},
		{"mount /tmp", func() error { return unix.Mount("tmpfs", "tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, tmp) }},
		{"mount /proc", func() error {
			return unix.Mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		}},
		{"make /dev", mountDevices},
		{"change the root", func() error { return unix.PivotRoot(".", ".") }},
		{"leave the host's files", func() error { return unix.Unmount(".", unix.MNT_DETACH) }},
		{"enter the root", func() error { return unix.Chdir("/") }},
		{"set the host name", func() error { return unix.Sethostname([]byte("localhost")) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// mountDevices makes a /dev with what Lambda has in its own, and on the way what
// else needs a private file.
func mountDevices() error {
	const flags = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := unix.Mount("tmpfs", "dev", "tmpfs", flags, "mode=755"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		if err := os.WriteFile("dev/"+name, nil, 0o666); err != nil {
			return err
		}
		// Nodes cannot be made in a user namespace; the host's can be mounted.
		if err := unix.Mount("/dev/"+name, "dev/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// A device can be written to all the same; its mode and owner cannot.
		if err := unix.Mount("", "dev/"+name, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|flags, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, "dev/"+name); err != nil {
			return err
		}
	}
	if err := mountResolver("dev/copy"); err != nil {
		return err
	}
	return unix.Mount("", "dev", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|flags, "")
}

// mountResolver gives the function the host's way to look up names, as the network
// is the host's. What is mounted are copies, made under the name temporary: the
// user that the function runs as may own the host's files, and no mistake in a flag
// may let it write them. A host or an image without the files does without.
func mountResolver(temporary string) error {
	root, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range []string{"etc/hosts", "etc/resolv.conf"} {
		if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile("/" + name)
		if err != nil {
			continue
		}
		if err := os.WriteFile(temporary, content, 0o444); err != nil {
			return err
		}
		if err := unix.Mount(temporary, name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		if err := unix.Mount("", name, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("/%s: %w", name, err)
		}
		// The mount keeps the file; its name is free for the next one.
		if err := os.Remove(temporary); err != nil {
			return err
		}
	}
	return nil
}

// limit keeps what is started to Lambda's limits of files and processes, so that one
// function that goes wild does not take all that the host has.
func limit() error {
	if err := limitTo(unix.RLIMIT_NOFILE, mostFiles); err != nil {
		return fmt.Errorf("limit the open files: %w", err)
	}
	var host unix.Utsname
	if err := unix.Uname(&host); err != nil {
		return fmt.Errorf("ask for the kernel's version: %w", err)
	}
	if !countsByNamespace(unix.ByteSliceToString(host.Release[:])) {
		return nil
	}
	if err := limitTo(unix.RLIMIT_NPROC, mostProcesses); err != nil {
		return fmt.Errorf("limit the processes: %w", err)
	}
	return nil
}

// limitTo lowers a limit, for good.
func limitTo(resource int, most uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	most = min(most, now.Max)
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most})
}

// countsByNamespace reports whether the kernel counts a user's processes in each user
// namespace, as it does since 5.14. One before counts all that the user has on the host
// too: a limit could keep a function from starting there for what others do.
func countsByNamespace(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 14
}

// dropPrivileges leaves the thread, and what it starts, without a capability and
// without a way to get one.
func dropPrivileges() error {
	// What the program is and has in memory is not the function's business.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the process from the function: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // the kernel knows no more of them
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop the ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop the capabilities: %w", err)
	}
	return nil
}

// startEntrypoint starts the function's process. Its errors are Lambda's own, which
// is written in Go too.
func startEntrypoint(o order) (pid int, fault *Fault) {
	if o.WorkingDir == "" {
		o.WorkingDir = defaultWorkDir
		if info, err := os.Stat(defaultWorkDir); err != nil || !info.IsDir() {
			o.WorkingDir = "/"
		}
	}
	if err := os.Chdir(o.WorkingDir); err != nil {
		return 0, &Fault{Type: FaultWorkingDir, Message: err.Error()}
	}
	program := o.Command[0]
	if filepath.Base(program) == program {
		found, err := lookPath(program, o.Env)
		if err != nil {
			return 0, &Fault{Type: FaultEntrypoint, Message: err.Error()}
		}
		program = found
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, &Fault{Type: FaultEntrypoint, Message: err.Error()}
	}
	defer null.Close()
	for pause := time.Millisecond; ; pause *= 2 {
		pid, err = syscall.ForkExec(program, o.Command, &syscall.ProcAttr{Env: o.Env, Files: []uintptr{null.Fd(), 1, 2}})
		// Another process that the endpoint was starting as it unpacked the program may
		// hold it open still, until it begins its own program.
		if err != syscall.ETXTBSY || pause > time.Second {
			break
		}
		time.Sleep(pause)
	}
	if err != nil {
		return 0, &Fault{Type: FaultEntrypoint, Message: (&os.PathError{Op: "fork/exec", Path: program, Err: err}).Error()}
	}
	return pid, nil
}

// lookPath finds a program by the function's own PATH.
func lookPath(program string, env []string) (string, error) {
	for _, variable := range slices.Backward(env) {
		if path, found := strings.CutPrefix(variable, "PATH="); found {
			if err := os.Setenv("PATH", path); err != nil {
				return "", err
			}
			break
		}
	}
	return exec.LookPath(program)
}
