//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPrograms runs testdata/*.txt: each is a session in a shell, with the programs.
func TestPrograms(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"tasuki", "aws", "docker", "podman", "skopeo", "crane", "ko", "make"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatalf("%v: run make test-interop, which installs it", err)
		}
		t.Logf("%s is %s", program, path)
	}
	architecture, platform := "x86_64", "amd64"
	if runtime.GOARCH == "arm64" {
		architecture, platform = "arm64", "arm64"
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("ROOT", root)
			env.Setenv("ARCHITECTURE", architecture)
			env.Setenv("PLATFORM", platform)
			env.Setenv("PATH", filepath.Join(root, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir) // credentials that the programs keep
			if host := os.Getenv("DOCKER_HOST"); host != "" {
				env.Setenv("DOCKER_HOST", host)
			}
			// Go's caches are where they were: each script would fill its own.
			for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY"} {
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, string(value[:len(value)-1]))
			}
			return nil
		},
	})
}
