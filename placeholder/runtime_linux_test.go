package placeholder_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki"
)

const message = "handoff orders has had no release yet: this function runs the placeholder image; release an application image with 'tasuki release orders'"

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// report is what the runtime posted about an invocation.
type report struct{ Path, Type, Body string }

// runtimeAPI is a Runtime API that counts, and hands out invocations for as long as
// the test says.
type runtimeAPI struct {
	*httptest.Server
	next        func(n int, w http.ResponseWriter, r *http.Request) // the n-th call, from 1
	refuse      func(n int, w http.ResponseWriter) (refused bool)   // the n-th report, from 1; nil for never
	nexts       atomic.Int32
	posts       atomic.Int32
	connections atomic.Int32
	reports     chan report
	wrong       chan string // requests that a Runtime API does not know
}

// serve starts a Runtime API on listener, a new one where it is nil.
func serve(t *testing.T, listener net.Listener, api *runtimeAPI) *runtimeAPI {
	t.Helper()
	api.reports, api.wrong = make(chan report, 100), make(chan string, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		api.next(int(api.nexts.Add(1)), w, r)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if api.refuse != nil && api.refuse(int(api.posts.Add(1)), w) {
			return
		}
		api.reports <- report{r.URL.Path, r.Header.Get("Lambda-Runtime-Function-Error-Type"), string(body)}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"status":"OK"}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		api.wrong <- r.Method + " " + r.URL.Path
		http.NotFound(w, r)
	})
	api.Server = httptest.NewUnstartedServer(mux)
	if listener != nil {
		_ = api.Listener.Close()
		api.Listener = listener
	}
	api.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			api.connections.Add(1)
		}
	}
	api.Start()
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
		close(api.wrong)
		for request := range api.wrong {
			t.Errorf("the placeholder asked for %s", request)
		}
	})
	return api
}

// invoke hands out invocation id-N with an event.
func invoke(w http.ResponseWriter, n int, event io.Reader) {
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("id-%d", n))
	w.Header().Set("Lambda-Runtime-Deadline-Ms", "1799999999999")
	_, _ = io.Copy(w, event) // the runtime may hang up
}

// idle keeps the call open until the runtime is gone, as when nobody invokes.
func idle(r *http.Request) { <-r.Context().Done() }

// wantReports waits for the errors of the invocations, in order.
func (api *runtimeAPI) wantReports(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		select {
		case got := <-api.reports:
			want := report{
				Path: "/2018-06-01/runtime/invocation/" + id + "/error",
				Type: "Tasuki.NoReleaseYet",
				Body: `{"errorType":"Tasuki.NoReleaseYet","errorMessage":"` + message + `","stackTrace":[]}`,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("report of %s (-want +got):\n%s", id, diff)
			}
		case <-time.After(patience):
			t.Fatalf("the invocation %s was not answered", id)
		}
	}
}

// process is a running placeholder.
type process struct {
	*exec.Cmd
	stderr *bufio.Scanner
}

// command returns the program in the image for this machine's architecture, with
// the environment that its configuration and env give.
func command(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	arch := map[string]tasuki.Architecture{"amd64": tasuki.X86_64, "arm64": tasuki.ARM64}[runtime.GOARCH]
	_, binary := program(t, build(t, "orders", arch))
	path := filepath.Join(t.TempDir(), "tasuki-placeholder")
	if err := os.WriteFile(path, binary, 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path)
	command.Env = append([]string{"TASUKI_HANDOFF=orders"}, env...)
	return command
}

// start runs the placeholder until the test ends.
func start(t *testing.T, api *runtimeAPI, env ...string) *process {
	t.Helper()
	p := &process{Cmd: command(t, append(env, "AWS_LAMBDA_RUNTIME_API="+api.Listener.Addr().String())...)}
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = bufio.NewScanner(stderr)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	return p
}

// wantLines reads the next lines of the log.
func (p *process) wantLines(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if !p.stderr.Scan() {
			t.Fatalf("the log ended before %q", want)
		}
		if got := p.stderr.Text(); got != want {
			t.Errorf("log line %q, want %q", got, want)
		}
	}
}

func TestRuntimeFailsEveryInvocation(t *testing.T) {
	api := serve(t, nil, &runtimeAPI{next: func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 3 {
			idle(r)
			return
		}
		invoke(w, n, strings.NewReader(`{"item":"tea"}`))
	}})
	p := start(t, api)
	api.wantReports(t, "id-1", "id-2", "id-3")
	p.wantLines(t, "tasuki: request id-1: "+message, "tasuki: request id-2: "+message, "tasuki: request id-3: "+message)
	if got := api.connections.Load(); got != 1 {
		t.Errorf("the placeholder used %d connections, want 1", got)
	}
}

func TestRuntimeThrowsLargeEventsAway(t *testing.T) {
	event := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16)
	api := serve(t, nil, &runtimeAPI{next: func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1, 3:
			w.Header().Set("Content-Length", strconv.Itoa(len(event)))
			invoke(w, n, bytes.NewReader(event))
		case 2: // chunked, with a trailer
			w.Header().Set("Trailer", "Lambda-Runtime-Function-Error-Type")
			invoke(w, n, bytes.NewReader(event))
			w.Header().Set("Lambda-Runtime-Function-Error-Type", "none")
		default:
			idle(r)
		}
	}})
	p := start(t, api)
	api.wantReports(t, "id-1", "id-2", "id-3")
	if got := api.connections.Load(); got != 1 {
		t.Errorf("the placeholder used %d connections, want 1", got)
	}
	if got, most := mostMemory(t, p.Process.Pid), 6<<20; got > most {
		t.Errorf("the placeholder used %d bytes of memory, want less than one event, %d", got, most)
	}
}

// mostMemory returns the most memory, in bytes, that a process has had resident.
func mostMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscanf(after, "%d kB", &kilobytes); err != nil {
		t.Fatalf("read VmHWM: %v", err)
	}
	return kilobytes << 10
}

func TestRuntimeReconnects(t *testing.T) {
	hijack := func(w http.ResponseWriter, answer string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, answer)
		_ = conn.Close()
	}
	for name, next := range map[string]func(n int, w http.ResponseWriter, r *http.Request){
		"the server says that it closes": func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			invoke(w, n, strings.NewReader("{}"))
		},
		"the server closes without a word": func(n int, w http.ResponseWriter, r *http.Request) {
			hijack(w, fmt.Sprintf("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\nContent-Length: 2\r\n\r\n{}", n))
		},
		"the event breaks off": func(n int, w http.ResponseWriter, r *http.Request) {
			hijack(w, fmt.Sprintf("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\nContent-Length: 200\r\n\r\n{", n))
		},
		"the event ends with the connection": func(n int, w http.ResponseWriter, r *http.Request) {
			hijack(w, fmt.Sprintf("HTTP/1.0 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\n\r\n{}", n))
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := serve(t, nil, &runtimeAPI{next: func(n int, w http.ResponseWriter, r *http.Request) {
				if n > 3 {
					idle(r)
					return
				}
				next(n, w, r)
			}})
			start(t, api)
			api.wantReports(t, "id-1", "id-2", "id-3")
			if got := api.connections.Load(); got < 3 {
				t.Errorf("the placeholder used %d connections, and each invocation closed one", got)
			}
		})
	}
}

// shutting is a listener that closes its first connections as soon as they come.
type shutting struct {
	net.Listener
	left atomic.Int32
}

func (l *shutting) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.left.Add(-1) < 0 {
			return conn, err
		}
		_ = conn.Close()
	}
}

func TestRuntimeOutlastsAFailingServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &shutting{Listener: listener}
	flaky.left.Store(2)
	resumed := make(chan struct{})
	api := serve(t, flaky, &runtimeAPI{
		next: func(n int, w http.ResponseWriter, r *http.Request) {
			switch {
			case n <= 2:
				http.Error(w, "Container error", http.StatusInternalServerError)
			case n == 3: // an answer that names no invocation
				_, _ = io.WriteString(w, "{}")
			case n <= 5:
				invoke(w, n, strings.NewReader("{}"))
			default:
				close(resumed)
				idle(r)
			}
		},
		refuse: func(n int, w http.ResponseWriter) bool {
			switch n {
			case 1: // this one is to be repeated
				w.WriteHeader(http.StatusInternalServerError)
			case 3: // and this one not: the invocation is over
				w.WriteHeader(http.StatusBadRequest)
			default:
				return false
			}
			return true
		},
	})
	p := start(t, api)
	api.wantReports(t, "id-4")
	p.wantLines(t, "tasuki: request id-4: "+message, "tasuki: request id-5: "+message,
		"tasuki: request id-5: the Runtime API refused the error with status 400")
	select {
	case <-resumed:
	case <-time.After(patience):
		t.Fatal("the placeholder did not go on after a refused error")
	}
}

func TestRuntimeGivesUp(t *testing.T) {
	api := serve(t, nil, &runtimeAPI{next: func(_ int, w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Container error", http.StatusInternalServerError)
	}})
	p := start(t, api)
	p.wantLines(t, "tasuki: the placeholder stops: the Runtime API at "+api.Listener.Addr().String()+" does not answer as it should: it answered with status 500")
	if err := p.Wait(); p.ProcessState.ExitCode() != 1 {
		t.Errorf("the placeholder ended with %v, want exit status 1", err)
	}
	if got := api.nexts.Load(); got != 9 {
		t.Errorf("the placeholder asked %d times, want 9", got)
	}
}

func TestRuntimeRefusesItsEnvironment(t *testing.T) {
	for variable, want := range map[string]string{
		"OTHER=1":                 "AWS_LAMBDA_RUNTIME_API is not set: this program runs in AWS Lambda, or under 'tasuki local'",
		"AWS_LAMBDA_RUNTIME_API=": "AWS_LAMBDA_RUNTIME_API is not set: this program runs in AWS Lambda, or under 'tasuki local'",
		"AWS_LAMBDA_RUNTIME_API=runtime.internal": "AWS_LAMBDA_RUNTIME_API is not an IPv4 address and a port, as in 127.0.0.1:9001: runtime.internal",
	} {
		command := command(t, variable)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		err := command.Run()
		if command.ProcessState.ExitCode() != 1 {
			t.Errorf("with %s the placeholder ended with %v, want exit status 1", variable, err)
		}
		if got, want := stderr.String(), "tasuki: the placeholder stops: "+want+"\n"; got != want {
			t.Errorf("with %s it said %q, want %q", variable, got, want)
		}
	}
}

func TestRuntimeEscapesTheHandoff(t *testing.T) {
	const name = "a\"b\\c\td é"
	api := serve(t, nil, &runtimeAPI{next: func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			idle(r)
			return
		}
		invoke(w, n, strings.NewReader("{}"))
	}})
	start(t, api, "TASUKI_HANDOFF="+name)
	select {
	case got := <-api.reports:
		var body struct{ ErrorMessage string }
		if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
			t.Fatalf("%s: %v", got.Body, err)
		}
		if want := strings.ReplaceAll(message, "orders", name); body.ErrorMessage != want {
			t.Errorf("message %q, want %q", body.ErrorMessage, want)
		}
	case <-time.After(patience):
		t.Fatal("the invocation was not answered")
	}
}
