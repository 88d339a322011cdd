package state_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// filled returns the file of a store with some hundred entries.
func filled(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Update(func(tx *state.Tx) error {
		for i := range 500 {
			if err := table.Put(tx, fmt.Sprint(i), entry{i, strings.Repeat("x", 500)}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A file that a full disk or a bad copy has damaged is refused in one sentence, and is
// not changed.
func TestDamagedStore(t *testing.T) {
	whole, page := filled(t), os.Getpagesize()
	garbage := func(from, to int) []byte {
		content := append([]byte{}, whole...)
		for i := from; i < to; i++ {
			content[i] = byte(i*31 + 7)
		}
		return content
	}
	for name, content := range map[string][]byte{
		"one byte":             whole[:1],
		"one page":             whole[:page],
		"two pages":            whole[:2*page],
		"a quarter":            whole[:len(whole)/4],
		"half":                 whole[:len(whole)/2],
		"another file":         []byte(strings.Repeat("not a store\n", 1000)),
		"no first pages":       garbage(0, 2*page),
		"no root":              garbage(2*page, 5*page),
		"a page in the middle": garbage(len(whole)/8, len(whole)/8+4*page),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state.db")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := state.Open(dir)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if got := err.Error(); !strings.HasPrefix(got, path+" is damaged (") || strings.Contains(got, "\n") {
				t.Errorf("got %q", got)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(content) {
				t.Errorf("the file was changed, to %d bytes of %d (%v)", len(after), len(content), err)
			}
		})
	}
}

func TestNewerStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	formats := state.Table[int]{Name: "state"}
	if err := s.Update(func(tx *state.Tx) error { return formats.Put(tx, "format", 2) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(dir)
	if err == nil {
		_ = s.Close()
		t.Fatal("it was opened")
	}
	if want := dir + " was written by a newer tasuki: its format is 2, and this one reads 1; use the newer one, or another folder"; err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// What a temporary store of a killed process has left is removed by the next one; what
// is in use, or was not written by a temporary store, is not.
func TestAbandonedStoresAreRemoved(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	long := time.Now().Add(-time.Hour)
	left := func(name string, modified time.Time) string {
		t.Helper()
		dir := filepath.Join(tmp, name)
		s := open(t, dir)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "layer"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, "state.db"), modified, modified); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	first, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := os.Chtimes(filepath.Join(first.Dir(), "state.db"), long, long); err != nil {
		t.Fatal(err)
	}
	abandoned, recent, named := left("tasuki-local-temporary-1", long), left("tasuki-local-temporary-2", time.Now()), left("tasuki-local-mine", long)
	second, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err := os.Stat(abandoned); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", abandoned, err)
	}
	for _, dir := range []string{first.Dir(), second.Dir(), recent, named} {
		if _, err := os.Stat(filepath.Join(dir, "state.db")); err != nil {
			t.Errorf("%s was removed: %v", dir, err)
		}
	}
}
