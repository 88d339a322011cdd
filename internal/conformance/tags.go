package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
)

// versionsKept is how many versions of a parameter SSM keeps.
const versionsKept = 100

// Tags tests an implementation of [tasuki.Tags].
func Tags(t *testing.T, open func(t *testing.T) tasuki.Tags) {
	name := must(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag")

	t.Run("what is not there is missing", func(t *testing.T) {
		tags := open(t)
		_, err := tags.ReadTag(t.Context(), name)
		wantKind(t, err, tasuki.ErrMissing)
		_, err = tags.TagHistory(t.Context(), name)
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("what is written is read", func(t *testing.T) {
		tags := open(t)
		before := time.Now().Add(-time.Minute)
		write(t, tags, name, 1, "the first")
		got := readVersion(t, tags, name, 1)
		if got.Name != name || got.Value != "v1" || got.Type != "String" || got.Description != "the first" {
			t.Errorf("read %+v, want v1 of %s with its description", got, name)
		}
		if got.ModifiedAt.Before(before) {
			t.Errorf("it was modified at %v, want now", got.ModifiedAt)
		}
		release, err := got.Release()
		if err != nil || release.Tag != tagOf(t, 1) || release.Record != nil {
			t.Errorf("as a release it is %+v, %v; want tag v1 without a record", release, err)
		}
	})

	t.Run("a name without a path", func(t *testing.T) {
		tags := open(t)
		name := must(t, tasuki.ParseParameterName, "lambdaImageTag")
		write(t, tags, name, 1, "")
		if got := readVersion(t, tags, name, 1); got.Name != name || got.Value != "v1" || got.Description != "" {
			t.Errorf("read %+v, want v1 of %s without a description", got, name)
		}
	})

	t.Run("parameters do not touch each other", func(t *testing.T) {
		tags := open(t)
		other := must(t, tasuki.ParseParameterName, name.String()+"/under")
		write(t, tags, name, 1, "one")
		_, err := tags.ReadTag(t.Context(), other)
		wantKind(t, err, tasuki.ErrMissing)
		write(t, tags, other, 1, "other")
		if got := readVersion(t, tags, name, 1); got.Description != "one" {
			t.Errorf("after a write to %s, %s has description %q", other, name, got.Description)
		}
	})

	t.Run("versions rise by one and keep their descriptions", func(t *testing.T) {
		tags := open(t)
		for n := 1; n <= 3; n++ {
			write(t, tags, name, n, fmt.Sprintf("description %d", n))
			if got := readVersion(t, tags, name, int64(n)); got.Value != tagOf(t, n).String() || got.Description != fmt.Sprintf("description %d", n) {
				t.Errorf("version %d is %q with description %q", n, got.Value, got.Description)
			}
		}
		wantHistory(t, tags, name, 3, 3)
	})

	t.Run("the same value again is a new version", func(t *testing.T) {
		tags := open(t)
		write(t, tags, name, 1, "first")
		version, err := tags.WriteTag(t.Context(), name, tagOf(t, 1), "second")
		if err != nil || version != 2 {
			t.Fatalf("wrote version %d, %v; want 2", version, err)
		}
		if got := readVersion(t, tags, name, 2); got.Description != "second" {
			t.Errorf("version 2 has description %q, want that of the second write", got.Description)
		}
	})

	t.Run("records come back whole", func(t *testing.T) {
		tags := open(t)
		record := tasuki.Record{
			Tag: tagOf(t, 1), Digest: tasuki.DigestOf([]byte("image")), Commit: "c0ffee", Actor: `Zoë "Z" <z@example.com>`,
			Repository: must(t, tasuki.ParseRepository, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders"),
			Run:        "https://ci.example.com/" + strings.Repeat("r", 500), ID: "attempt",
		}
		description, err := record.Description()
		if err != nil {
			t.Fatal(err)
		}
		write(t, tags, name, 1, description)
		release, err := readVersion(t, tags, name, 1).Release()
		if err != nil {
			t.Fatal(err)
		}
		if release.Record == nil || release.Record.Run != record.Run || release.Record.Actor != record.Actor || release.Digest() != record.Digest {
			t.Errorf("the record came back as %+v", release.Record)
		}
	})

	t.Run("the last 100 versions are kept", func(t *testing.T) {
		tags := open(t)
		const writes = versionsKept + 5
		for n := 1; n <= writes; n++ {
			write(t, tags, name, n, fmt.Sprintf("description %d", n))
		}
		if got := readVersion(t, tags, name, writes); got.Description != fmt.Sprintf("description %d", writes) {
			t.Errorf("version %d has description %q", writes, got.Description)
		}
		wantHistory(t, tags, name, writes, versionsKept)
	})

	t.Run("writers at once each get a version of their own", func(t *testing.T) {
		tags := open(t)
		const writers = 8
		wrote := make([]int64, writers)
		var group sync.WaitGroup
		for i := range writers {
			group.Go(func() {
				var err error
				// Both writes of two that meet are never lost: one is done, and the
				// other may be refused.
				for wrote[i] == 0 && (err == nil || errors.Is(err, tasuki.ErrConflict)) {
					wrote[i], err = tags.WriteTag(t.Context(), name, tagOf(t, i), fmt.Sprintf("writer %d", i))
				}
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			})
		}
		group.Wait()
		readVersion(t, tags, name, writers)
		history, err := tags.TagHistory(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		described := map[int64]string{}
		for _, v := range history {
			described[v.Version] = v.Description
		}
		for i, version := range wrote {
			if want := fmt.Sprintf("writer %d", i); described[version] != want {
				t.Errorf("writer %d was told version %d, which has description %q", i, version, described[version])
			}
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		tags := open(t)
		wantCanceled(t, func(ctx context.Context) error { _, err := tags.ReadTag(ctx, name); return err })
		wantCanceled(t, func(ctx context.Context) error { _, err := tags.TagHistory(ctx, name); return err })
		wantCanceled(t, func(ctx context.Context) error {
			_, err := tags.WriteTag(ctx, name, tagOf(t, 1), "")
			return err
		})
		_, err := tags.ReadTag(t.Context(), name)
		wantKind(t, err, tasuki.ErrMissing) // the cancelled write did nothing
	})
}

// write writes tag n, and fails the test unless that makes version n.
func write(t *testing.T, tags tasuki.Tags, name tasuki.ParameterName, n int, description string) {
	t.Helper()
	version, err := tags.WriteTag(t.Context(), name, tagOf(t, n), description)
	if err != nil {
		t.Fatal(err)
	}
	if version != int64(n) {
		t.Fatalf("write %d of %s made version %d", n, name, version)
	}
}

// readVersion reads until it reads version.
func readVersion(t *testing.T, tags tasuki.TagReader, name tasuki.ParameterName, version int64) (got tasuki.ParameterVersion) {
	t.Helper()
	eventually(t, func() (bool, string) {
		var err error
		got, err = tags.ReadTag(t.Context(), name)
		return err == nil && got.Version == version, fmt.Sprintf("%s is read as version %d, %v; want version %d", name, got.Version, err, version)
	})
	return got
}

// wantHistory fails the test unless the history is that of newest numbered writes,
// of which kept are kept.
func wantHistory(t *testing.T, tags tasuki.TagHistory, name tasuki.ParameterName, newest, kept int) {
	t.Helper()
	history, err := tags.TagHistory(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != kept {
		t.Fatalf("the history has %d versions, want %d", len(history), kept)
	}
	for i, v := range history {
		n := newest - i
		if v.Name != name || v.Version != int64(n) || v.Value != tagOf(t, n).String() || v.Description != fmt.Sprintf("description %d", n) || v.Type != "String" {
			t.Errorf("entry %d of the history is %+v, want version %d as it was written", i, v, n)
		}
	}
}
