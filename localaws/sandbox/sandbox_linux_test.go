package sandbox_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	if rootfs := os.Getenv(holdVariable); rootfs != "" {
		if err := hold(rootfs); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// builtIn is the variable with the folder of functions that were compiled already,
// for tests run as a user who has no Go.
const builtIn = "TASUKI_TEST_FUNCTIONS"

// buildFunction compiles the function of testdata once for each architecture.
var buildFunction = func() func(t testing.TB, arch string) []byte {
	var mu sync.Mutex
	built := map[string][]byte{}
	return func(t testing.TB, arch string) []byte {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if built[arch] != nil {
			return built[arch]
		}
		if dir := os.Getenv(builtIn); dir != "" {
			content, err := os.ReadFile(filepath.Join(dir, arch))
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
		file := filepath.Join(t.TempDir(), "function")
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, "./testdata/function")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the function: %v\n%s", err, out)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		built[arch] = content
		return content
	}
}()

// file returns a tar entry of a regular file.
func file(name, content string, mode int64) entry {
	return entry{tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}, content}
}

type entry struct {
	header  tar.Header
	content string
}

func tarball(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func layer(t testing.TB, entries ...entry) sandbox.Layer {
	content := tarball(t, entries...)
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}

// functionLayer is a layer with the function of testdata at /function.
func functionLayer(t testing.TB, more ...entry) sandbox.Layer {
	blob := gzipped(tarball(t, append([]entry{file("function", string(buildFunction(t, "amd64")), 0o755)}, more...)...))
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }
}

func unpack(t testing.TB, layers ...sandbox.Layer) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rootfs")
	if err := sandbox.Unpack(t.Context(), dir, layers...); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t testing.TB, c sandbox.Config) *sandbox.Environment {
	t.Helper()
	c.Output = cmp.Or[io.Writer](c.Output, t.Output())
	if c.Command == nil {
		c.Command = []string{"/function"}
	}
	e, err := sandbox.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func invoke(e *sandbox.Environment, event string) (sandbox.Result, error) {
	return e.Invoke(context.Background(), sandbox.Invocation{ID: "id-1", Payload: []byte(event), Deadline: time.Now().Add(time.Minute)})
}

// ask invokes and decodes the response into a T.
func ask[T any](t testing.TB, e *sandbox.Environment, event string) (answer T) {
	t.Helper()
	result, err := invoke(e, event)
	if err != nil || result.Failed {
		t.Fatalf("%s: %s %v", event, result.Payload, err)
	}
	if err := json.Unmarshal(result.Payload, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// complaint invokes what has to fail, and returns the error's message.
func complaint(t testing.TB, e *sandbox.Environment, event string) string {
	t.Helper()
	result, err := invoke(e, event)
	if err != nil || !result.Failed {
		t.Fatalf("%s: want an error of the function, got %s %v", event, result.Payload, err)
	}
	var report struct{ ErrorMessage string }
	if err := json.Unmarshal(result.Payload, &report); err != nil {
		t.Fatal(err)
	}
	return report.ErrorMessage
}

type identity struct {
	Version, Dir, Host, ARN string
	Args                    []string
	PID, UID, GID           int
}

func TestFunctionSeesOnlyItsImage(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "marker")
	if err := os.WriteFile(marker, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := start(t, sandbox.Config{
		Rootfs: unpack(t, functionLayer(t, file("opt/data", "in the image", 0o644))), Command: []string{"/function", "one"},
		Env: []string{"VERSION=1", "VERSION=2"}, Function: "arn:test",
	})
	who := ask[identity](t, e, `{}`)
	if who.Version != "2" || who.ARN != "arn:test" || len(who.Args) != 2 || who.Dir != "/" {
		t.Errorf("the function was started as %+v", who)
	}
	if who.PID == 1 || who.PID > 20 || who.UID != 993 || who.GID != 990 || who.Host != "localhost" {
		t.Errorf("the function runs as %+v", who)
	}
	if got := ask[string](t, e, `{"do":"read","path":"/opt/data"}`); got != "in the image" {
		t.Errorf("read a file of the image: %q", got)
	}
	if got := complaint(t, e, fmt.Sprintf(`{"do":"read","path":%q}`, marker)); !strings.Contains(got, "no such file") {
		t.Errorf("read a file of the host: %s", got)
	}
	if got := complaint(t, e, `{"do":"list","path":"/proc/1/root"}`); !strings.Contains(got, "permission denied") {
		t.Errorf("look at process 1: %s", got)
	}
	var processes []string
	for _, name := range ask[[]string](t, e, `{"do":"list","path":"/proc"}`) {
		if strings.Trim(name, "0123456789") == "" {
			processes = append(processes, name)
		}
	}
	if len(processes) != 2 {
		t.Errorf("the function sees the processes %v; want process 1 and itself", processes)
	}
	if got := fmt.Sprint(ask[[]string](t, e, `{"do":"list","path":"/dev"}`)); got != "[fd full null random stderr stdin stdout urandom zero]" {
		t.Errorf("/dev holds %s", got)
	}
	status := ask[string](t, e, `{"do":"read","path":"/proc/self/status"}`)
	for _, want := range []string{"CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, want) {
			t.Errorf("the status lacks %q:\n%s", want, status)
		}
	}
	if got := complaint(t, e, `{"do":"chroot","path":"/tmp"}`); got != "operation not permitted" {
		t.Errorf("chroot: %s", got)
	}
}

func TestOnlyTmpIsWritable(t *testing.T) {
	dir := unpack(t, functionLayer(t, file("opt/data", "in the image", 0o666)))
	e := start(t, sandbox.Config{Rootfs: dir})
	for _, path := range []string{"/new", "/opt/data", "/dev/new"} {
		got := complaint(t, e, fmt.Sprintf(`{"do":"write","path":%q,"text":"x"}`, path))
		if !strings.Contains(got, "read-only file system") {
			t.Errorf("write %s: %s", path, got)
		}
	}
	ask[any](t, e, `{"do":"write","path":"/tmp/x","text":"kept"}`)
	if got := ask[string](t, e, `{"do":"read","path":"/tmp/x"}`); got != "kept" {
		t.Errorf("read from /tmp: %q", got)
	}
	other := start(t, sandbox.Config{Rootfs: dir})
	if got := fmt.Sprint(ask[[]string](t, other, `{"do":"list","path":"/tmp"}`)); got != "[]" {
		t.Errorf("another environment sees %s in /tmp", got)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(entries) != 0 {
		t.Errorf("the image's /tmp holds %v %v", entries, err)
	}
	ask[any](t, e, `{"do":"write","path":"/dev/null","text":"gone"}`)
}

func TestWorkingDirectory(t *testing.T) {
	dir := unpack(t, functionLayer(t, file("var/task/x", "", 0o644), file("srv/x", "", 0o644)))
	if who := ask[identity](t, start(t, sandbox.Config{Rootfs: dir}), `{}`); who.Dir != "/var/task" {
		t.Errorf("the working directory is %s", who.Dir)
	}
	if who := ask[identity](t, start(t, sandbox.Config{Rootfs: dir, WorkingDir: "/srv"}), `{}`); who.Dir != "/srv" {
		t.Errorf("the working directory is %s", who.Dir)
	}
}

func TestEntrypointIsFoundOnTheImagesPath(t *testing.T) {
	dir := unpack(t, layer(t, file("app/run", string(buildFunction(t, "amd64")), 0o755)))
	e := start(t, sandbox.Config{Rootfs: dir, Command: []string{"run"}, Env: []string{"PATH=/nowhere:/app"}})
	if who := ask[identity](t, e, `{}`); who.Args[0] != "run" {
		t.Errorf("started as %v", who.Args)
	}
}

func TestWhatCannotBeStarted(t *testing.T) {
	dir := unpack(t, functionLayer(t,
		file("arm", string(buildFunction(t, "arm64")), 0o755),
		file("text", "just text", 0o755),
		file("script", "#!/bin/nosuchshell\n", 0o755),
		file("plain", "x", 0o644),
		file("owners", string(buildFunction(t, "amd64")), 0o700)))
	for _, test := range []struct {
		name, kind, message string
		c                   sandbox.Config
	}{
		{"missing", sandbox.FaultEntrypoint, "fork/exec /lambda-entrypoint.sh: no such file or directory", sandbox.Config{Command: []string{"/lambda-entrypoint.sh"}}},
		{"wrong architecture", sandbox.FaultEntrypoint, "fork/exec /arm: exec format error", sandbox.Config{Command: []string{"/arm"}}},
		{"no program", sandbox.FaultEntrypoint, "fork/exec /text: exec format error", sandbox.Config{Command: []string{"/text"}}},
		{"no interpreter", sandbox.FaultEntrypoint, "fork/exec /script: no such file or directory", sandbox.Config{Command: []string{"/script"}}},
		{"not executable", sandbox.FaultEntrypoint, "fork/exec /plain: permission denied", sandbox.Config{Command: []string{"/plain"}}},
		{"executable by its owner only", sandbox.FaultEntrypoint, "fork/exec /owners: permission denied", sandbox.Config{Command: []string{"/owners"}}},
		{"a folder", sandbox.FaultEntrypoint, "fork/exec /tmp: permission denied", sandbox.Config{Command: []string{"/tmp"}}},
		{"not on the path", sandbox.FaultEntrypoint, `exec: "nosuch": executable file not found in $PATH`, sandbox.Config{Command: []string{"nosuch"}}},
		{"nothing to start", sandbox.FaultEntrypoint, "exec: no command", sandbox.Config{}},
		{"no working directory", sandbox.FaultWorkingDir, "chdir /nowhere: no such file or directory", sandbox.Config{Command: []string{"/function"}, WorkingDir: "/nowhere"}},
		{"exits", sandbox.FaultExit, "Runtime exited with error: exit status 3", sandbox.Config{Command: []string{"/function"}, Env: []string{"INIT=exit"}}},
		{"leaves", sandbox.FaultExit, "Runtime exited without providing a reason", sandbox.Config{Command: []string{"/function"}, Env: []string{"INIT=leave"}}},
		{"reports", "Test.Init", "no luck", sandbox.Config{Command: []string{"/function"}, Env: []string{"INIT=error"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.c.Rootfs, test.c.Output = dir, t.Output()
			e, err := sandbox.Start(t.Context(), test.c)
			if err == nil {
				e.Close()
				t.Fatal("it started")
			}
			var fault *sandbox.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("want a fault of the function, got %v", err)
			}
			if fault.Type != test.kind || fault.Message != test.message {
				t.Errorf("got %v\nwant %s: %s", fault, test.kind, test.message)
			}
		})
	}
}

func TestFaultPayload(t *testing.T) {
	got := string((&sandbox.Fault{Type: sandbox.FaultEntrypoint, Message: "fork/exec /x: exec format error"}).Payload("r-1"))
	if want := `{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: r-1 Error: fork/exec /x: exec format error"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = string(sandbox.TimedOut(3 * time.Second).Payload("r-1"))
	if want := `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: r-1 Error: Task timed out after 3.00 seconds"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInitLimit(t *testing.T) {
	dir := unpack(t, functionLayer(t))
	_, err := sandbox.Start(t.Context(), sandbox.Config{Rootfs: dir, Command: []string{"/function"}, Env: []string{"INIT=hang"}, InitLimit: 100 * time.Millisecond, Output: t.Output()})
	if !errors.Is(err, sandbox.ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

func TestInvocationsThatGoWrong(t *testing.T) {
	dir := unpack(t, functionLayer(t))
	soon := func() time.Time { return time.Now().Add(time.Minute) }
	for _, test := range []struct {
		name, event string
		deadline    func() time.Time
		want        string
		alive       bool
	}{
		{"exits", `{"do":"exit","code":1}`, soon, "Runtime.ExitError: Runtime exited with error: exit status 1", false},
		{"leaves", `{"do":"exit"}`, soon, "Runtime.ExitError: Runtime exited without providing a reason", false},
		{"is killed", `{"do":"kill"}`, soon, "Runtime.ExitError: Runtime exited with error: signal: killed", false},
		{"sleeps", `{"do":"sleep","milliseconds":60000}`, func() time.Time { return time.Now().Add(100 * time.Millisecond) }, sandbox.ErrTimeout.Error(), false},
		{"says too much", `{"do":"large","code":6291555}`, soon, "Function.ResponseSizeTooLarge: Response payload size exceeded maximum allowed payload size (6291556 bytes).", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := start(t, sandbox.Config{Rootfs: dir})
			_, err := e.Invoke(t.Context(), sandbox.Invocation{ID: "id-2", Payload: []byte(test.event), Deadline: test.deadline()})
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if e.Alive() != test.alive {
				t.Errorf("alive is %t", e.Alive())
			}
			_, err = invoke(e, `{}`)
			if test.alive && err != nil || !test.alive && !errors.Is(err, sandbox.ErrGone) {
				t.Errorf("the next invocation: %v", err)
			}
		})
	}
}

func TestLargestResponse(t *testing.T) {
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
	if got := ask[string](t, e, `{"do":"large","code":6291554}`); len(got) != 6291554 {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestExtensionsAreRefusedByName(t *testing.T) {
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
	if got := ask[string](t, e, `{"do":"extension"}`); !strings.HasPrefix(got, "501") || !strings.Contains(got, "Extensions API is not provided") {
		t.Errorf("got %s", got)
	}
}

// What a function can take of the machine's processes and files is what Lambda gives.
func TestLimits(t *testing.T) {
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
	limits := ask[string](t, e, `{"do":"read","path":"/proc/self/limits"}`)
	for _, name := range []string{"Max open files", "Max processes"} {
		for line := range strings.Lines(limits) {
			rest, found := strings.CutPrefix(line, name)
			if fields := strings.Fields(rest); found && (fields[0] != "1024" || fields[1] != "1024") {
				t.Errorf("%s is %v; want 1024 at most", name, fields)
			}
		}
	}
	// Each of them has several threads, which count.
	result, err := e.Invoke(t.Context(), sandbox.Invocation{ID: "id-1", Payload: []byte(`{"do":"multiply","code":1100}`), Deadline: time.Now().Add(2 * time.Minute)})
	if n, notNumber := strconv.Atoi(string(result.Payload)); err != nil || notNumber != nil || n < 10 || n == 1100 {
		t.Errorf("the function made so many processes: %s (%v)", result.Payload, err)
	}
	// It is the environment's own limit: another one is not kept from starting.
	start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
}

// A mount of the host's own file would let a function of root's change the host:
// what is mounted must be another file, and it must not open for writing either.
func TestResolverFilesAreCopies(t *testing.T) {
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
	for _, path := range []string{"/etc/hosts", "/etc/resolv.conf"} {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // a host without the file has nothing to give
		}
		if got := ask[string](t, e, fmt.Sprintf(`{"do":"read","path":%q}`, path)); got != string(content) {
			t.Errorf("%s holds %q", path, got)
		}
		if got := complaint(t, e, fmt.Sprintf(`{"do":"open","path":%q}`, path)); !strings.Contains(got, "read-only file system") && !strings.Contains(got, "permission denied") {
			t.Errorf("open %s: %s", path, got)
		}
	}
	// Each line of mountinfo names the file system and the file within it.
	for line := range strings.Lines(ask[string](t, e, `{"do":"read","path":"/proc/self/mountinfo"}`)) {
		if strings.Contains(line, " /etc/") && (!strings.Contains(line, " - tmpfs ") || !strings.Contains(line, " ro,")) {
			t.Errorf("mounted from the host, or writable: %s", line)
		}
	}
}

// Root of the host may run functions, but no function may be root to the host.
func TestFunctionIsNobodySpecialToTheHost(t *testing.T) {
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t))})
	want := os.Geteuid()
	if want == 0 {
		want = 65534
	}
	if got := strings.Fields(ask[string](t, e, `{"do":"read","path":"/proc/self/uid_map"}`)); len(got) != 3 || got[0] != "993" || got[1] != fmt.Sprint(want) || got[2] != "1" {
		t.Errorf("the user map is %v", got)
	}
	if got := complaint(t, e, `{"do":"open","path":"/proc/sys/kernel/core_pattern"}`); !strings.Contains(got, "permission denied") {
		t.Errorf("open the host's core_pattern for writing: %s", got)
	}
	for _, name := range []string{"null", "random"} {
		if got := complaint(t, e, fmt.Sprintf(`{"do":"chmod","path":"/dev/%s"}`, name)); !strings.Contains(got, "read-only file system") && !strings.Contains(got, "operation not permitted") {
			t.Errorf("change the host's /dev/%s: %s", name, got)
		}
	}
	ask[any](t, e, `{"do":"open","path":"/dev/stdout"}`)
}

func TestOutputIsThereWhenTheInvocationEnds(t *testing.T) {
	var out localawstest.Log
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t)), Output: &out})
	text := strings.Repeat("a line of some length\n", 5000)
	for n := 1; n <= 3; n++ {
		ask[identity](t, e, fmt.Sprintf(`{"do":"print","text":%q}`, text))
		if got := out.String(); got != strings.Repeat(text, n) {
			t.Fatalf("after invocation %d there are %d bytes of %d", n, len(got), n*len(text))
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := mounts(t)
	e := start(t, sandbox.Config{Rootfs: unpack(t, functionLayer(t)), Env: []string{"INIT=orphan"}})
	children := func() string {
		// The sandbox's process 1 is a child of this process, and its kin are in its namespace.
		list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, name := range list {
			content, err := os.ReadFile(name)
			if err == nil {
				all.Write(content)
			}
		}
		return strings.TrimSpace(all.String())
	}
	if children() == "" {
		t.Fatal("the sandbox has no process")
	}
	e.Close()
	e.Close()
	if got := children(); got != "" {
		t.Errorf("processes are left: %s", got)
	}
	if got := mounts(t); got != before {
		t.Errorf("mounts are left:\n%s", got)
	}
}

func mounts(t *testing.T) string {
	content, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
