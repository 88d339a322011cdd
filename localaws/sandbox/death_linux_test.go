package sandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

// holdVariable names the rootfs that this binary runs a function of until it is
// killed, instead of the tests.
const holdVariable = "TASUKI_TEST_HOLD"

// hold runs a function with a second process, says so, and waits to be killed.
func hold(rootfs string) error {
	if _, err := sandbox.Start(context.Background(), sandbox.Config{Rootfs: rootfs, Command: []string{"/function"}, Env: []string{"INIT=orphan"}, Output: io.Discard}); err != nil {
		return err
	}
	fmt.Println("running")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func TestDeathOfTheProgramKillsItsFunctions(t *testing.T) {
	dir := unpack(t, functionLayer(t))
	program := exec.Command("/proc/self/exe")
	program.Env = append(os.Environ(), holdVariable+"="+dir)
	program.Stderr = os.Stderr
	in, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "running\n" {
		t.Fatalf("the program says %q %v", line, err)
	}
	kin := descendants(t, fmt.Sprint(program.Process.Pid))
	if len(kin) < 2 {
		t.Fatalf("the program has the processes %v; want process 1 and the function at least", kin)
	}
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait() // it was killed
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		alive := 0
		for _, pid := range kin {
			// A zombie has ended; who adopted it reaps it.
			if status, err := os.ReadFile("/proc/" + pid + "/status"); err == nil && !strings.Contains(string(status), "State:\tZ") {
				alive++
			}
		}
		if alive == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %v are alive", alive, kin)
		}
	}
}

// descendants returns the ids of a process's children, theirs, and so on.
func descendants(t *testing.T, pid string) (all []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(content)) {
			all = append(append(all, child), descendants(t, child)...)
		}
	}
	return all
}
