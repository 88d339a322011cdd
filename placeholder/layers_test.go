package placeholder_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLayersAreBuiltFromTheSources builds the layers again, by the toolchain that
// go.mod names, and compares every byte.
func TestLayersAreBuiltFromTheSources(t *testing.T) {
	// The go command caches a test's result by the files that the test itself reads,
	// and does not see what the build reads: without this, a change of the runtime
	// would go unnoticed.
	sources, err := filepath.Glob("runtime/*.go")
	if err != nil {
		t.Fatal(err)
	}
	sources = append(sources, "../go.mod", "internal/buildlayer/main.go")
	for _, source := range sources {
		if _, err := os.ReadFile(source); err != nil {
			t.Fatal(err)
		}
	}
	out := t.TempDir()
	command := exec.Command("go", "run", "./internal/buildlayer", "-out", out)
	// Settings like these are the user's own, and must not find their way into the layers.
	command.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false -tags=elsewhere")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, name := range []string{"layer_amd64.tar.gz", "layer_amd64.diffid", "layer_arm64.tar.gz", "layer_arm64.diffid"} {
		built, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, kept) {
			t.Errorf("%s is not what the sources give: run 'go generate ./placeholder', and TestDigests will ask for the new digests", name)
		}
	}
}
