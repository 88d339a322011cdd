package sandbox_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// All that holds for root holds for an ordinary user: the whole suite runs again as
// one, where it does not already.
func TestEverythingAsAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("the suite runs as an ordinary user already")
		return
	}
	const nobody = 65534
	// Not t.TempDir: an ordinary user cannot enter what holds it.
	dir, err := os.MkdirTemp("", "tasuki-sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, arch := range []string{"amd64", "arm64"} {
		if err := os.WriteFile(filepath.Join(dir, arch), buildFunction(t, arch), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	suite := filepath.Join(dir, "suite")
	copyFile(t, suite, "/proc/self/exe")
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(suite, "-test.v", "-test.timeout=5m")
	run.Dir = dir
	run.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, builtIn + "=" + dir}
	run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("as user %d: %v\n%s", nobody, err, out)
	}
	if got := string(out); !strings.Contains(got, "--- PASS: TestFunctionSeesOnlyItsImage") || !strings.Contains(got, "already") {
		t.Errorf("the suite did not run:\n%s", got)
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
