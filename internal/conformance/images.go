package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

// ImageStore is an implementation of [tasuki.Images] and a way to put images into it.
type ImageStore struct {
	Images     tasuki.Images
	Repository tasuki.Repository // it exists, and is empty
	// Push puts the blobs, then the manifest, into Repository, under tag where there
	// is one. Blobs and manifests that are there already are no error.
	Push func(t *testing.T, tag tasuki.Tag, manifest tasuki.Manifest, blobs ...[]byte)
}

// Images tests an implementation of [tasuki.Images].
func Images(t *testing.T, open func(t *testing.T) ImageStore) {
	v1, v2, unknown := tagOf(t, 1), tagOf(t, 2), tagOf(t, 404)

	t.Run("by tag and by digest", func(t *testing.T) {
		store := open(t)
		first, second := imageOf(t, "first"), imageOf(t, "second")
		store.Push(t, v1, first.manifest, first.blobs...)
		store.Push(t, v2, second.manifest, second.blobs...)
		absent := tasuki.ByDigest(tasuki.DigestOf([]byte("never pushed")))
		got := manifests(t, store, tasuki.ByTag(v1), tasuki.ByTag(v2), tasuki.ByTag(unknown), tasuki.ByDigest(first.manifest.Digest), absent)
		wantManifest(t, got, tasuki.ByTag(v1), first.manifest)
		wantManifest(t, got, tasuki.ByTag(v2), second.manifest)
		wantManifest(t, got, tasuki.ByDigest(first.manifest.Digest), first.manifest)
		if len(got) != 3 {
			t.Errorf("got %d manifests, want 3: refs that are not there must be absent", len(got))
		}
	})

	t.Run("one image under two tags", func(t *testing.T) {
		store := open(t)
		image := imageOf(t, "image")
		store.Push(t, v1, image.manifest, image.blobs...)
		store.Push(t, v2, image.manifest, image.blobs...)
		got := manifests(t, store, tasuki.ByTag(v1), tasuki.ByTag(v2), tasuki.ByTag(v1))
		wantManifest(t, got, tasuki.ByTag(v1), image.manifest)
		wantManifest(t, got, tasuki.ByTag(v2), image.manifest)
	})

	t.Run("the protecting tag", func(t *testing.T) {
		store := open(t)
		image := imageOf(t, "image")
		if got := manifests(t, store, tasuki.ByTag(tasuki.TagLive)); len(got) != 0 {
			t.Errorf("an empty repository has %v", got)
		}
		store.Push(t, tasuki.TagLive, image.manifest, image.blobs...)
		wantManifest(t, manifests(t, store, tasuki.ByTag(tasuki.TagLive)), tasuki.ByTag(tasuki.TagLive), image.manifest)
	})

	t.Run("an index is given as it is", func(t *testing.T) {
		store := open(t)
		child := imageOf(t, "child")
		store.Push(t, tasuki.Tag{}, child.manifest, child.blobs...)
		index := indexOf(t, child)
		store.Push(t, v1, index)
		got := manifests(t, store, tasuki.ByTag(v1), tasuki.ByDigest(child.manifest.Digest))
		wantManifest(t, got, tasuki.ByTag(v1), index)
		wantManifest(t, got, tasuki.ByDigest(child.manifest.Digest), child.manifest)
		if !got[tasuki.ByTag(v1)].IsIndex() {
			t.Errorf("the index is given as a %s", got[tasuki.ByTag(v1)].MediaType)
		}
	})

	t.Run("up to 100 at once", func(t *testing.T) {
		store := open(t)
		image := imageOf(t, "image")
		store.Push(t, v1, image.manifest, image.blobs...)
		refs := []tasuki.Ref{tasuki.ByTag(v1)}
		for n := len(refs); n < 100; n++ {
			refs = append(refs, tasuki.ByTag(tagOf(t, 1000+n)))
		}
		if got := manifests(t, store, refs...); len(got) != 1 {
			t.Errorf("got %d manifests, want 1", len(got))
		}
		_, err := store.Images.Manifests(t.Context(), store.Repository, append(refs, tasuki.ByTag(v2))...)
		wantKind(t, err, tasuki.ErrInvalid)
	})

	t.Run("no refs", func(t *testing.T) {
		if got := manifests(t, open(t)); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})

	t.Run("a repository that is not there is missing", func(t *testing.T) {
		store := open(t)
		nowhere := must(t, tasuki.ParseRepository, store.Repository.String()+"-nowhere")
		_, err := store.Images.Manifests(t.Context(), nowhere, tasuki.ByTag(v1))
		wantKind(t, err, tasuki.ErrMissing)
		if e, ok := errors.AsType[*tasuki.Error](err); ok && (e.Side != tasuki.SideImage || e.Subject != nowhere.String()) {
			t.Errorf("the error is about %s %s, want the repository", e.Side, e.Subject)
		}
		_, err = store.Images.Config(t.Context(), nowhere, imageOf(t, "image").config)
		wantKind(t, err, tasuki.ErrMissing)
	})

	t.Run("the configuration", func(t *testing.T) {
		store := open(t)
		image := imageOf(t, "image")
		_, err := store.Images.Config(t.Context(), store.Repository, image.config)
		wantKind(t, err, tasuki.ErrMissing)
		store.Push(t, v1, image.manifest, image.blobs...)
		got, err := store.Images.Config(t.Context(), store.Repository, image.config)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(image.blobs[0]) {
			t.Errorf("the configuration is %q, want %q", got, image.blobs[0])
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		store := open(t)
		wantCanceled(t, func(ctx context.Context) error {
			_, err := store.Images.Manifests(ctx, store.Repository, tasuki.ByTag(v1))
			return err
		})
		wantCanceled(t, func(ctx context.Context) error {
			_, err := store.Images.Config(ctx, store.Repository, imageOf(t, "image").config)
			return err
		})
	})
}

// image is a small image that differs by its name.
type image struct {
	manifest tasuki.Manifest
	config   tasuki.Descriptor
	blobs    [][]byte // the configuration first
}

func imageOf(t *testing.T, name string) image {
	t.Helper()
	config := []byte(fmt.Sprintf(`{"architecture":"arm64","os":"linux","config":{"Entrypoint":["/%s"]},"rootfs":{"type":"layers","diff_ids":[]}}`, name))
	layer := []byte("layer of " + name)
	i := image{
		config: tasuki.Descriptor{MediaType: tasuki.MediaTypeOCIConfig, Digest: tasuki.DigestOf(config), Size: int64(len(config))},
		blobs:  [][]byte{config, layer},
	}
	i.manifest = manifestOf(t, tasuki.MediaTypeOCIManifest, map[string]any{
		"config": i.config,
		"layers": []tasuki.Descriptor{{MediaType: "application/vnd.oci.image.layer.v1.tar", Digest: tasuki.DigestOf(layer), Size: int64(len(layer))}},
	})
	return i
}

func indexOf(t *testing.T, child image) tasuki.Manifest {
	t.Helper()
	return manifestOf(t, tasuki.MediaTypeOCIIndex, map[string]any{
		"manifests": []tasuki.Descriptor{{
			MediaType: child.manifest.MediaType, Digest: child.manifest.Digest, Size: int64(len(child.manifest.Bytes)),
			Platform: &tasuki.Platform{OS: "linux", Architecture: "arm64"},
		}},
	})
}

// manifestOf writes a manifest with spaces that an encoder would not put there, so
// that bytes which were decoded and encoded on the way are noticed.
func manifestOf(t *testing.T, mediaType string, members map[string]any) tasuki.Manifest {
	t.Helper()
	members["schemaVersion"], members["mediaType"] = 2, mediaType
	b, err := json.MarshalIndent(members, "", "   ")
	if err != nil {
		t.Fatal(err)
	}
	return tasuki.Manifest{Digest: tasuki.DigestOf(b), MediaType: mediaType, Bytes: b}
}

func manifests(t *testing.T, store ImageStore, refs ...tasuki.Ref) map[tasuki.Ref]tasuki.Manifest {
	t.Helper()
	got, err := store.Images.Manifests(t.Context(), store.Repository, refs...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantManifest(t *testing.T, got map[tasuki.Ref]tasuki.Manifest, ref tasuki.Ref, want tasuki.Manifest) {
	t.Helper()
	m, found := got[ref]
	if !found {
		t.Errorf("%s is absent", ref)
		return
	}
	if m.Digest != want.Digest || m.MediaType != want.MediaType || string(m.Bytes) != string(want.Bytes) {
		t.Errorf("%s is the %s %s, %d bytes; want the %s %s, %d bytes", ref, m.MediaType, m.Digest.Short(), len(m.Bytes), want.MediaType, want.Digest.Short(), len(want.Bytes))
	}
}
