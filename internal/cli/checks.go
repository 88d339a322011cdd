package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// smokeTests reads the payloads of --smoke and what --expect says of the answers.
func smokeTests(files, expectations []string) ([]tasuki.SmokeTest, error) {
	if len(expectations) > 0 && len(expectations) != len(files) {
		return nil, usage("there are %d --smoke and %d --expect: give one --expect for each --smoke, or none", len(files), len(expectations))
	}
	var tests []tasuki.SmokeTest
	for i, file := range files {
		payload, err := readJSON("--smoke", file)
		if err != nil {
			return nil, err
		}
		test := tasuki.SmokeTest{Name: filepath.Base(file), Payload: payload}
		if len(expectations) > 0 {
			if name, isFile := strings.CutPrefix(expectations[i], "@"); isFile {
				if test.Expect, err = readJSON("--expect", name); err != nil {
					return nil, err
				}
			} else if test.Expect = []byte(expectations[i]); !json.Valid(test.Expect) {
				return nil, usage("--expect %s is not JSON", expectations[i])
			}
		}
		tests = append(tests, test)
	}
	return tests, nil
}

// readJSON reads the file that a flag names.
func readJSON(flag, file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("%s: %w", flag, err)
	}
	if !json.Valid(b) {
		return nil, usage("%s: %s is not JSON", flag, file)
	}
	return b, nil
}

// gateGrace is how long a gate may take to end when the release is interrupted: less than
// the 7.5 s that GitHub Actions leaves between SIGINT and SIGTERM when a job is cancelled
// ("Workflow cancellation reference").
const gateGrace = 5 * time.Second

// gate returns a gate that runs a command in a shell. What the command prints goes
// to stderr.
func (s *session) gate(command string) func(context.Context, tasuki.Candidate) error {
	return func(ctx context.Context, c tasuki.Candidate) error {
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Env = append(os.Environ(),
			"TASUKI_HANDOFF="+c.Handoff.String(), "TASUKI_TAG="+c.Tag.String(), "TASUKI_DIGEST="+c.Digest.String(),
			"TASUKI_IMAGE="+c.Image.String(), "TASUKI_SOURCE="+c.Source,
		)
		cmd.Stdin = bytes.NewReader(nil)
		cmd.Stdout, cmd.Stderr = s.streams.Err, s.streams.Err
		err := runWhole(cmd, gateGrace)
		if err != nil && ctx.Err() != nil { // what ended it is no verdict
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		return nil
	}
}
