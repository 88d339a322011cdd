//go:build !unix

package cli

import (
	"os/exec"
	"time"
)

// runWhole runs cmd, which ends as soon as its context is done; what it has started is
// not known here.
func runWhole(cmd *exec.Cmd, grace time.Duration) error {
	cmd.WaitDelay = grace
	return cmd.Run()
}
