package proof

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

// scratch is a folder for what all tests share. It and what follows is set before
// the tests begin, and only read by them.
var (
	scratch   string
	smokeTest string // a file
	versions  = &images{function: program("function", "./testdata/function")}
	tasukiAt  = program("tasuki", "../../cmd/tasuki")
)

func TestMain(m *testing.M) {
	sandbox.Main()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "tasuki-proof-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(scratch)
	smokeTest = filepath.Join(scratch, "smoke.json")
	if err := os.WriteFile(smokeTest, []byte(`{}`), 0o600); err != nil {
		return 1, err
	}
	// As a CI system would: the commit is not looked for in git at each command.
	for name, value := range map[string]string{"GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567", "TASUKI_HANDOFF": "", "TASUKI_TAG_PARAMETER": ""} {
		if err := os.Setenv(name, value); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}
