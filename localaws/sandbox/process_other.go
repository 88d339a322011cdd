//go:build !linux

package sandbox

import (
	"errors"
	"runtime"
)

// Main returns at once: there are no sandboxes on this system.
func Main() {}

type process struct {
	output interface{ flush() }
	ended  chan struct{}
}

func startProcess(Config) (*process, error) {
	return nil, errors.New("functions run on Linux only, and this is " + runtime.GOOS + ": run tasuki local in a Linux virtual machine or container")
}

func (p *process) kill()        {}
func (p *process) fault() error { return nil }
