package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws"
)

// region is the one that each endpoint plays.
const region = "us-east-1"

// kind is a kind of endpoint.
type kind struct {
	name string
	// command returns the endpoint's command, with a folder that is its own.
	command func(ctx context.Context, dir string) (*exec.Cmd, error)
	// url waits until the endpoint answers, and returns its address.
	url func(stdout io.Reader) (string, error)
	// seed puts what the functions run into ECR; nil where that is not to be had.
	seed func(ctx context.Context, url string) error
	// calls says whether it writes its calls to the file of callsFile.
	calls bool
}

// callsFile is where an endpoint with that folder writes its calls.
func callsFile(dir string) string { return filepath.Join(dir, "calls.json") }

// endpoint is an endpoint that runs.
type endpoint struct {
	kind
	dir     string
	aws     aws.Config
	process *exec.Cmd
	logs    *strings.Builder
}

// tasuki is the endpoint with its state in memory.
func tasuki(program string) kind {
	return kind{
		name: "tasuki local", calls: true,
		command: func(ctx context.Context, dir string) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, program, "local", "--addr", "127.0.0.1:0", "--region", region, "--output", "json", "--calls", callsFile(dir)), nil
		},
		url: func(stdout io.Reader) (string, error) {
			var said struct{ URL string }
			err := json.NewDecoder(stdout).Decode(&said)
			return said.URL, err
		},
		seed: func(ctx context.Context, url string) error {
			seed := exec.CommandContext(ctx, program, "seed", "orders", "--repository", repository, "--function", "orders", "--architecture", machine())
			// Nothing of the caller's environment, which may lead to a real account.
			seed.Env = []string{"AWS_ENDPOINT_URL=" + url, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION=" + region}
			if out, err := seed.CombinedOutput(); err != nil {
				return fmt.Errorf("tasuki seed: %w: %s", err, out)
			}
			return nil
		},
	}
}

// tasukiInDir is the endpoint with its state in a folder.
func tasukiInDir(program string) kind {
	k := tasuki(program)
	k.name = "tasuki local --dir"
	inMemory := k.command
	k.command = func(ctx context.Context, dir string) (*exec.Cmd, error) {
		c, err := inMemory(ctx, dir)
		if err == nil {
			c.Args = append(c.Args, "--dir", filepath.Join(dir, "state"))
		}
		return c, err
	}
	return k
}

// moto returns moto's server, if it is installed. It needs no image: its functions may
// have any URI.
func moto(ctx context.Context) (kind, bool) {
	program, err := exec.LookPath("moto_server")
	if err != nil {
		return kind{}, false
	}
	var addr string
	return kind{
		name: strings.TrimSpace("moto " + motoVersion(ctx)),
		command: func(ctx context.Context, _ string) (*exec.Cmd, error) {
			var err error
			if addr, err = freeAddress(); err != nil {
				return nil, err
			}
			host, port, err := net.SplitHostPort(addr)
			return exec.CommandContext(ctx, program, "-H", host, "-p", port), err
		},
		url: func(io.Reader) (string, error) { return "http://" + addr, answers(addr) },
	}, true
}

// motoVersion asks Python's package manager; moto's server does not say it.
func motoVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "pip", "show", "moto").Output()
	if err != nil {
		return ""
	}
	if m := regexp.MustCompile(`(?m)^Version: (.*)$`).FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return ""
}

// start starts an endpoint and waits until it answers.
func start(ctx context.Context, kind kind, dir string) (*endpoint, error) {
	process, err := kind.command(ctx, dir)
	if err != nil {
		return nil, err
	}
	e := &endpoint{kind: kind, dir: dir, process: process, logs: &strings.Builder{}}
	process.Stderr = e.logs
	stdout, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	url, err := kind.url(stdout)
	if err != nil {
		stopped := e.stop()
		return nil, errors.Join(fmt.Errorf("the endpoint did not start: %w\n%s", err, e.logs), stopped)
	}
	e.aws = aws.Config{
		Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", ""),
		HTTPClient: sdkhttp.New(),
	}
	return e, nil
}

// stop ends the endpoint.
func (e *endpoint) stop() error {
	_ = e.process.Process.Signal(syscall.SIGTERM) // which may find it gone already
	err := e.process.Wait()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return nil // which it was told to
	}
	return err
}

// callsOfCloudFormation returns how many calls CloudFormation has made to other services
// since it started; 0 where the endpoint does not write its calls.
func (e *endpoint) callsOfCloudFormation() (n int, err error) {
	if !e.calls {
		return 0, nil
	}
	f, err := os.Open(callsFile(e.dir))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for calls := json.NewDecoder(f); ; {
		var call localaws.Call
		if err := calls.Decode(&call); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return n, nil // the last may be half written
		} else if err != nil {
			return 0, err
		}
		if call.Principal == "cloudformation" {
			n++
		}
	}
}

// peakMemory returns the peak resident set of the endpoint's process, in bytes. Unlike
// what getrusage(2) counts, Linux's VmHWM is of what was executed alone, and not of the
// process that started it.
func (e *endpoint) peakMemory() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", e.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the process does not say its peak memory")
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// answers waits until somebody listens.
func answers(addr string) error {
	for deadline := time.Now().Add(time.Minute); ; {
		connection, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
