package state_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

type entry struct {
	N    int
	Text string
}

var table = state.Table[entry]{Name: "entries"}

func put(t *testing.T, s *state.Store, key string, e entry) {
	t.Helper()
	if err := s.Update(func(tx *state.Tx) error { return table.Put(tx, key, e) }); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *state.Store, key string) (e entry, found bool) {
	t.Helper()
	err := s.View(func(tx *state.Tx) (err error) {
		e, found, err = table.Get(tx, key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e, found
}

func open(t *testing.T, dir string) *state.Store {
	t.Helper()
	s, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closing twice is no error
	return s
}

func TestDurable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s := open(t, dir)
	if !s.Durable() || s.Dir() != dir {
		t.Errorf("got %t, %s, want a durable store in %s", s.Durable(), s.Dir(), dir)
	}
	want := entry{7, "é\x00\u2028"}
	put(t, s, "kept", want)
	put(t, s, "deleted", entry{})
	if err := s.Update(func(tx *state.Tx) error { return table.Delete(tx, "deleted") }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if got, found := get(t, s, "kept"); !found || got != want {
		t.Errorf("got %+v, %t, want %+v", got, found, want)
	}
	if got, found := get(t, s, "deleted"); found {
		t.Errorf("got %+v, want nothing", got)
	}
}

// What Update wrote must be in the file when it returns: a copy taken then, as
// after a crash, must have it.
func TestDurableBeforeUpdateReturns(t *testing.T) {
	dir, crashed := t.TempDir(), t.TempDir()
	put(t, open(t, dir), "a", entry{1, "x"})
	b, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed, "state.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, found := get(t, open(t, crashed), "a"); !found || got != (entry{1, "x"}) {
		t.Errorf("got %+v, %t", got, found)
	}
}

func TestRollback(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", entry{N: 1})
	broken := errors.New("broken")
	err := s.Update(func(tx *state.Tx) error {
		for _, key := range []string{"a", "b"} {
			if err := table.Put(tx, key, entry{N: 2}); err != nil {
				return err
			}
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if got, _ := get(t, s, "a"); got.N != 1 {
		t.Errorf("a is %+v, want it as it was", got)
	}
	if got, found := get(t, s, "b"); found {
		t.Errorf("b is %+v, want nothing", got)
	}
}

func TestViewCannotWrite(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", entry{N: 1})
	if err := s.View(func(tx *state.Tx) error { return table.Put(tx, "a", entry{N: 2}) }); err == nil {
		t.Error("a View wrote")
	}
	if got, _ := get(t, s, "a"); got.N != 1 {
		t.Errorf("got %+v, want it as it was", got)
	}
}

func TestSecondOpenIsToldThatItIsInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	second, err := state.Open(dir)
	if err == nil {
		_ = second.Close()
		t.Fatal("a second store was opened")
	}
	if want := dir + " is in use by another tasuki local"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestTemporaryIsGoneWhenClosed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	if s.Durable() {
		t.Error("a temporary store says that it is durable")
	}
	put(t, s, "a", entry{N: 1})
	if got, found := get(t, s, "a"); !found || got.N != 1 {
		t.Errorf("got %+v, %t", got, found)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.Dir(), err)
	}
}

func TestAll(t *testing.T) {
	s := open(t, t.TempDir())
	for i, key := range []string{"b/2", "a", "b/1", "b", "b/10", "c", "b0"} {
		put(t, s, key, entry{N: i})
	}
	tests := []struct {
		prefix string
		stop   int // after so many; 0 for never
		want   []string
	}{
		{"", 0, []string{"a", "b", "b/1", "b/10", "b/2", "b0", "c"}},
		{"b/", 0, []string{"b/1", "b/10", "b/2"}},
		{"b/1", 0, []string{"b/1", "b/10"}},
		{"c", 0, []string{"c"}},
		{"d", 0, nil},
		{"b", 2, []string{"b", "b/1"}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q, %d", test.prefix, test.stop), func(t *testing.T) {
			var got []string
			err := s.View(func(tx *state.Tx) (err error) {
				for key := range table.All(tx, test.prefix, &err) {
					if got = append(got, key); len(got) == test.stop {
						break
					}
				}
				return err
			})
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestTablesAreApart(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", entry{N: 1})
	other := state.Table[entry]{Name: "others"}
	err := s.View(func(tx *state.Tx) (err error) {
		if e, found, err := other.Get(tx, "a"); found || err != nil {
			t.Errorf("got %+v, %v from another table", e, err)
		}
		for key := range other.All(tx, "", &err) {
			t.Errorf("another table has %s", key)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Update(func(tx *state.Tx) error { return other.Delete(tx, "a") }); err != nil {
		t.Errorf("delete from a table that is not there yet: %v", err)
	}
}

// A value of another form than the table's is an error that names it, not a zero value.
func TestUnreadableValue(t *testing.T) {
	s := open(t, t.TempDir())
	texts := state.Table[string]{Name: "entries"}
	if err := s.Update(func(tx *state.Tx) error { return texts.Put(tx, "a", "text") }); err != nil {
		t.Fatal(err)
	}
	reads := map[string]func(tx *state.Tx) error{
		"get": func(tx *state.Tx) error { _, _, err := table.Get(tx, "a"); return err },
		"all": func(tx *state.Tx) (err error) {
			for key := range table.All(tx, "", &err) {
				t.Errorf("got %s", key)
			}
			return err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			if err := s.View(read); err == nil || !strings.Contains(err.Error(), "read entries a:") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUpdatesTakeTurns(t *testing.T) {
	s, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const writers, rounds = 4, 25
	errs := make([]error, writers)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for range rounds {
				errs[w] = errors.Join(errs[w], s.Update(func(tx *state.Tx) error {
					e, _, err := table.Get(tx, "count")
					if err != nil {
						return err
					}
					e.N++
					return table.Put(tx, "count", e)
				}))
			}
		})
	}
	group.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		t.Fatal(errs[i])
	}
	if got, _ := get(t, s, "count"); got.N != writers*rounds {
		t.Errorf("counted %d, want %d", got.N, writers*rounds)
	}
}
