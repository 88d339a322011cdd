package conformance

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki"
)

// FunctionStore is an implementation of [tasuki.FunctionUpdater] and a way to put
// functions and images where it finds them.
type FunctionStore struct {
	Functions tasuki.FunctionUpdater
	// Image makes an image that Lambda takes for functions of that architecture, and
	// returns it by digest. Each call makes another image.
	Image func(t *testing.T, arch tasuki.Architecture) tasuki.ImageURI
	// Create creates a function on the image. It need not wait for it to be active.
	Create func(t *testing.T, name string, image tasuki.ImageURI, arch tasuki.Architecture)
	// Configuration returns everything about the function that an update of its code
	// must leave as it is, in a form that cmp.Diff compares: memory, timeout,
	// environment, role, and so on.
	Configuration func(t *testing.T, name string) any
	// Hold keeps updates that start from now on from ending until resume is called.
	Hold func(t *testing.T) (resume func())
}

// Functions tests an implementation of [tasuki.FunctionUpdater].
func Functions(t *testing.T, open func(t *testing.T) FunctionStore) {
	const name = "orders"

	t.Run("what is not there is missing", func(t *testing.T) {
		store := open(t)
		_, err := store.Functions.Function(t.Context(), name)
		wantKind(t, err, tasuki.ErrMissing)
		_, err = store.Functions.UpdateCode(t.Context(), tasuki.CodeUpdate{
			Function: name, Image: store.Image(t, tasuki.ARM64), Architecture: tasuki.ARM64, RevisionID: "11111111-2222-3333-4444-555555555555",
		})
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("a function says what it runs", func(t *testing.T) {
		store := open(t)
		image, f := create(t, store, name, tasuki.ARM64)
		if f.Name != name || f.ARN == "" || f.PackageType != "Image" || f.RevisionID == "" || f.State != "Active" {
			t.Errorf("the function is %+v", f)
		}
		wantRuns(t, f, image, tasuki.ARM64)
		if again := settled(t, store, name); again.RevisionID != f.RevisionID {
			t.Errorf("reading a function changed its revision from %s to %s", f.RevisionID, again.RevisionID)
		}
	})

	for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
		t.Run("an update changes the image and nothing else, "+string(arch), func(t *testing.T) {
			store := open(t)
			_, before := create(t, store, name, arch)
			configuration := store.Configuration(t, name)
			image := store.Image(t, arch)
			started, err := store.Functions.UpdateCode(t.Context(), updateOf(before, image))
			if err != nil {
				t.Fatal(err)
			}
			if started.Name != name || started.Digest != image.Ref.Digest() || started.RevisionID == before.RevisionID {
				t.Errorf("the update answers %+v", started)
			}
			after := settled(t, store, name)
			wantRuns(t, after, image, arch)
			if after.UpdateStatus != "Successful" {
				t.Errorf("the update ended as %s: %s", after.UpdateStatus, after.UpdateReason)
			}
			if after.RevisionID == before.RevisionID {
				t.Errorf("the revision is still %s", after.RevisionID)
			}
			if diff := cmp.Diff(configuration, store.Configuration(t, name)); diff != "" {
				t.Errorf("the update changed the configuration (-before +after):\n%s", diff)
			}
		})
	}

	t.Run("a stale revision is a conflict", func(t *testing.T) {
		store := open(t)
		_, before := create(t, store, name, tasuki.ARM64)
		image := store.Image(t, tasuki.ARM64)
		if _, err := store.Functions.UpdateCode(t.Context(), updateOf(before, image)); err != nil {
			t.Fatal(err)
		}
		after := settled(t, store, name)
		_, err := store.Functions.UpdateCode(t.Context(), updateOf(before, store.Image(t, tasuki.ARM64)))
		wantKind(t, err, tasuki.ErrConflict)
		now := settled(t, store, name)
		wantRuns(t, now, image, tasuki.ARM64)
		if now.RevisionID != after.RevisionID {
			t.Errorf("the refused update changed the revision")
		}
	})

	t.Run("an update during an update is a conflict", func(t *testing.T) {
		store := open(t)
		_, before := create(t, store, name, tasuki.ARM64)
		image, next := store.Image(t, tasuki.ARM64), store.Image(t, tasuki.ARM64)
		resume := store.Hold(t)
		started, err := store.Functions.UpdateCode(t.Context(), updateOf(before, image))
		if err != nil {
			t.Fatal(err)
		}
		if !started.Updating() {
			t.Errorf("the update answers status %q, want InProgress", started.UpdateStatus)
		}
		during, err := store.Functions.Function(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !during.Updating() {
			t.Errorf("during the update the status is %q, want InProgress", during.UpdateStatus)
		}
		_, err = store.Functions.UpdateCode(t.Context(), updateOf(during, next))
		wantKind(t, err, tasuki.ErrConflict)
		resume()
		wantRuns(t, settled(t, store, name), image, tasuki.ARM64)
	})

	t.Run("one update after the other", func(t *testing.T) {
		store := open(t)
		_, f := create(t, store, name, tasuki.ARM64)
		for range 3 {
			image := store.Image(t, tasuki.ARM64)
			if _, err := store.Functions.UpdateCode(t.Context(), updateOf(f, image)); err != nil {
				t.Fatal(err)
			}
			f = settled(t, store, name)
			wantRuns(t, f, image, tasuki.ARM64)
		}
	})

	t.Run("an image that is not there is refused", func(t *testing.T) {
		store := open(t)
		image, before := create(t, store, name, tasuki.ARM64)
		nowhere := tasuki.ImageURI{Repository: image.Repository, Ref: tasuki.ByDigest(tasuki.DigestOf([]byte("never pushed")))}
		_, err := store.Functions.UpdateCode(t.Context(), updateOf(before, nowhere))
		wantKind(t, err, tasuki.ErrRefused)
		wantRuns(t, settled(t, store, name), image, tasuki.ARM64)
	})

	t.Run("an update that leaves something open is not asked for", func(t *testing.T) {
		store := open(t)
		image, before := create(t, store, name, tasuki.ARM64)
		for what, change := range map[string]func(*tasuki.CodeUpdate){
			"no revision":     func(u *tasuki.CodeUpdate) { u.RevisionID = "" },
			"no architecture": func(u *tasuki.CodeUpdate) { u.Architecture = "" },
			"a tag":           func(u *tasuki.CodeUpdate) { u.Image.Ref = tasuki.ByTag(tagOf(t, 1)) },
		} {
			update := updateOf(before, store.Image(t, tasuki.ARM64))
			change(&update)
			if _, err := store.Functions.UpdateCode(t.Context(), update); err == nil {
				t.Errorf("an update with %s was taken", what)
			} else {
				wantKind(t, err, tasuki.ErrInvalid)
			}
		}
		wantRuns(t, settled(t, store, name), image, tasuki.ARM64)
	})

	t.Run("cancelled", func(t *testing.T) {
		store := open(t)
		image, before := create(t, store, name, tasuki.ARM64)
		next := store.Image(t, tasuki.ARM64)
		wantCanceled(t, func(ctx context.Context) error { _, err := store.Functions.Function(ctx, name); return err })
		wantCanceled(t, func(ctx context.Context) error {
			_, err := store.Functions.UpdateCode(ctx, updateOf(before, next))
			return err
		})
		wantRuns(t, settled(t, store, name), image, tasuki.ARM64)
	})
}

// create creates a function on a new image, and returns both when it is active.
func create(t *testing.T, store FunctionStore, name string, arch tasuki.Architecture) (tasuki.ImageURI, tasuki.Function) {
	t.Helper()
	image := store.Image(t, arch)
	store.Create(t, name, image, arch)
	return image, settled(t, store, name)
}

// settled reads the function until nothing changes it any more.
func settled(t *testing.T, store FunctionStore, name string) (f tasuki.Function) {
	t.Helper()
	eventually(t, func() (bool, string) {
		var err error
		f, err = store.Functions.Function(t.Context(), name)
		return err == nil && !f.Updating(), fmt.Sprintf("function %s is %s, update %s, %v", name, f.State, f.UpdateStatus, err)
	})
	return f
}

func updateOf(f tasuki.Function, image tasuki.ImageURI) tasuki.CodeUpdate {
	return tasuki.CodeUpdate{Function: f.Name, Image: image, Architecture: f.Architecture, RevisionID: f.RevisionID}
}

func wantRuns(t *testing.T, f tasuki.Function, image tasuki.ImageURI, arch tasuki.Architecture) {
	t.Helper()
	if f.Digest != image.Ref.Digest() || f.Repository != image.Repository.String() {
		t.Errorf("the function runs %s of %s, want %s of %s", f.Digest.Short(), f.Repository, image.Ref.Digest().Short(), image.Repository)
	}
	if f.Architecture != arch {
		t.Errorf("the function's architecture is %s, want %s", f.Architecture, arch)
	}
}
