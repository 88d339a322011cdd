//go:build cdk && interop

package interop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tasuki-dev/tasuki/localaws"
)

// TestCDK runs testdata/cdk/*.txt: sessions with the CDK CLI as npm has it. The
// programs cdk (npm's aws-cdk) and aws must be on the PATH. Every call of CloudFormation
// in them, and its answer, is held against the model that the AWS CLI works by.
func TestCDK(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"aws", "cdk"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%v: it is needed on the PATH (the CDK CLI: npm install aws-cdk@2.1148.1)", err)
		}
		t.Logf("%s is %s", program, path)
	}
	model := readModel(t, "cloudformation")
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "cdk"),
		Setup: func(env *testscript.Env) error {
			server, err := localaws.Start(localaws.Options{})
			if err != nil {
				return err
			}
			r := newRecorder(server.URL(), "cloudformation")
			env.Defer(func() {
				r.Close()
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				r.check(t, model)
			})
			for _, variable := range server.Environ([]string{"AWS_EC2_METADATA_DISABLED=true"}) {
				name, value, _ := strings.Cut(variable, "=")
				env.Setenv(name, value)
			}
			env.Setenv("AWS_ENDPOINT_URL", r.URL)
			env.Setenv("PATH", os.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NODE_NO_WARNINGS", "1") // of the end of a Node version's life
			build := exec.Command("go", "build", "-o", filepath.Join(env.WorkDir, "app", "code", "bootstrap"), "./internal/interop/testdata/cdk/echo")
			build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
			out, err := build.CombinedOutput()
			if err != nil {
				err = errors.Join(err, errors.New(string(out)))
			}
			return err
		},
	})
}
