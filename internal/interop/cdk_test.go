//go:build cdk

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCDK runs testdata/cdk/*.txt: sessions with the CDK CLI as npm has it. The
// programs cdk (npm's aws-cdk), aws and tasuki must be on the PATH.
func TestCDK(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"tasuki", "aws", "cdk"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%v: it is needed on the PATH (the CDK CLI: npm install aws-cdk@2.1148.1)", err)
		}
		t.Logf("%s is %s", program, path)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "cdk"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", os.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NODE_NO_WARNINGS", "1") // of the end of a Node version's life
			build := exec.Command("go", "build", "-o", filepath.Join(env.WorkDir, "app", "code", "bootstrap"), "./internal/interop/testdata/cdk/echo")
			build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
			out, err := build.CombinedOutput()
			if err != nil {
				t.Logf("%s", out)
			}
			return err
		},
	})
}
