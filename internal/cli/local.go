package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

type localCommand struct {
	Dir        string        `placeholder:"DIR" help:"Keep the state in DIR; without it, the state is gone at the end."`
	Addr       string        `placeholder:"HOST:PORT" help:"Address to listen on; default: 127.0.0.1:4566, or a free port with COMMAND."`
	Latency    time.Duration `placeholder:"DURATION" help:"Add to each call, as in 50ms."`
	Fault      []string      `placeholder:"FAULT" help:"Make calls fail: SERVICE:OPERATION=KIND[@N], as in ssm:GetParameter=throttle@2 (the 2nd call; @2+ for all from there). KIND: error, throttle, denied, timeout, lost-answer, stale."`
	EnforceIAM bool          `name:"enforce-iam" help:"Hold roles to their policies: functions, and who assumes a role. Without it all is allowed."`
	Calls      string        `placeholder:"FILE" help:"Write each call to FILE, a JSON object a line."`
	Command    []string      `arg:"" optional:"" passthrough:"" help:"Command to run against the endpoint, behind --; its exit status is this command's."`
}

// defaultLocalAddr is where AWS's other stand-ins listen as well.
const defaultLocalAddr = "127.0.0.1:4566"

// pace is the environment variable of --pace. Programs that use the endpoint have it
// turned off: the endpoint has no limits to keep under.
const pace = "TASUKI_PACE"

type localResult struct {
	URL         string            `json:"url"`
	Registry    string            `json:"registry"`
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	Dir         string            `json:"dir,omitempty"`
	Environment map[string]string `json:"environment"`
}

func (c *localCommand) Run(s *session) error {
	command := c.Command
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	options := localaws.Options{Dir: c.Dir, Addr: c.Addr, Region: s.region, Latency: c.Latency, EnforceIAM: c.EnforceIAM, Logs: s.streams.Err}
	for _, text := range c.Fault {
		rule, err := fault.ParseRule(text)
		if err != nil {
			return &usageError{err}
		}
		options.Faults = append(options.Faults, rule)
	}
	if options.Addr == "" && len(command) == 0 {
		options.Addr = defaultLocalAddr
	}
	if c.Calls != "" {
		calls, err := os.Create(c.Calls)
		if err != nil {
			return &usageError{err}
		}
		defer calls.Close()
		options.Calls = calls
	}
	server, err := localaws.Start(options)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: give --addr another port, or 127.0.0.1:0 for a free one", err)
	}
	if wrong, is := errors.AsType[*net.AddrError](err); is {
		return usage("--addr %s: %s; give a host and a port, such as 127.0.0.1:4566", options.Addr, wrong.Err)
	}
	if wrong, is := errors.AsType[*fs.PathError](err); is && c.Dir != "" {
		return usage("--dir %s cannot be used: %w", c.Dir, wrong)
	}
	if err != nil {
		return err
	}
	if !loopback(server.Registry()) {
		s.warn(fmt.Sprintf("%s can be reached from other machines, and runs functions for whoever asks, without verifying signatures", server.Registry()))
	}
	if len(command) > 0 {
		err = c.runCommand(s, server, command)
	} else {
		err = c.waitForEnd(s, server)
	}
	closed := server.Close()
	if err == nil {
		return closed
	}
	if closed != nil { // beside a command's exit status, it would not be said
		s.complain("", closed)
	}
	return err
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// runCommand runs a command in the endpoint's environment, and takes its exit status.
func (c *localCommand) runCommand(s *session, server *localaws.Server, command []string) error {
	cmd := exec.CommandContext(s.ctx, command[0], command[1:]...)
	cmd.Env = server.Environ(append([]string{pace + "=false"}, os.Environ()...)) // the caller's own TASUKI_PACE holds
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.streams.In, s.streams.Out, s.streams.Err
	// What interrupts this process is for the command to end on, in its own time.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return usage("%s could not be run: %v", command[0], err)
	}
	// Its own status counts, also where it was interrupted and ended as if it had not been.
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal())) // as a shell says it
	}
	if code := cmd.ProcessState.ExitCode(); code != exitDone {
		return exitError(code)
	}
	return nil
}

// waitForEnd says where the endpoint is, and serves until it is interrupted.
func (c *localCommand) waitForEnd(s *session, server *localaws.Server) error {
	result := localResult{server.URL(), server.Registry(), localaws.Account, server.Region(), c.Dir, map[string]string{}}
	variables := append(server.Variables(), [2]string{pace, "false"})
	for _, v := range variables {
		result.Environment[v[0]] = v[1]
	}
	err := s.result(result, func(w io.Writer) {
		for _, v := range variables {
			fmt.Fprintf(w, "export %s=%s\n", v[0], v[1])
		}
	})
	if err != nil {
		return err
	}
	kept := "in memory, gone at the end"
	if c.Dir != "" {
		kept = "kept in " + c.Dir
	}
	s.say("listening on %s: account %s, region %s, state %s; stop with Ctrl-C", server.URL(), localaws.Account, server.Region(), kept)
	<-s.ctx.Done()
	s.say("stopped")
	return nil
}
