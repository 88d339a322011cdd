package lambda

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A function that writes without ever ending a line neither loses anything of it nor
// has it kept in memory.
func TestEndlessLine(t *testing.T) {
	dir := t.TempDir()
	logs, err := newLogs(dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{logs: logs, name: "chatty"}
	const rounds = 100
	part := []byte(strings.Repeat("x", 32<<10))
	for range rounds {
		if _, err := s.Write(part); err != nil {
			t.Fatal(err)
		}
		if len(s.partial) > longestLine {
			t.Fatalf("%d bytes are kept in memory", len(s.partial))
		}
	}
	s.linef("END")
	content, err := os.ReadFile(filepath.Join(dir, "chatty.log"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bytes.Count(content, []byte("x")), rounds*len(part); got != want {
		t.Errorf("%d bytes of %d are in the log", got, want)
	}
	if !bytes.HasSuffix(content, []byte("x\nEND\n")) {
		t.Errorf("the log ends with %q", content[len(content)-20:])
	}
	for line := range bytes.Lines(content) {
		if len(line) > longestLine+1 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}
