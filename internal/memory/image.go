package memory

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tasuki-dev/tasuki"
)

// Image makes a single-platform image that has no content but its name: a manifest
// and its configuration.
func Image(arch tasuki.Architecture, name string, labels map[string]string) (tasuki.Manifest, []byte) {
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": arch.OCI(),
		"config": map[string]any{"Entrypoint": []string{"/" + name}, "Labels": labels},
	})
	if err != nil {
		panic(err) // strings only
	}
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`,
		tasuki.MediaTypeOCIManifest, tasuki.MediaTypeOCIConfig, tasuki.DigestOf(config), len(config))
	return tasuki.Manifest{Digest: tasuki.DigestOf(manifest), MediaType: tasuki.MediaTypeOCIManifest, Bytes: manifest}, config
}

// Index makes an index of manifests, each with its platform, and an attestation of
// the first as BuildKit adds it.
func Index(manifests map[tasuki.Architecture]tasuki.Manifest) tasuki.Manifest {
	type entry map[string]any
	var entries []entry
	for arch, m := range manifests {
		entries = append(entries, entry{
			"mediaType": m.MediaType, "digest": m.Digest, "size": len(m.Bytes), "platform": map[string]string{"os": "linux", "architecture": arch.OCI()},
		}, entry{
			"mediaType": tasuki.MediaTypeOCIManifest, "digest": tasuki.DigestOf([]byte("attestation of " + m.Digest.String())), "size": 1,
			"platform":    map[string]string{"os": "unknown", "architecture": "unknown"},
			"annotations": map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": m.Digest.String()},
		})
	}
	b, err := json.Marshal(entry{"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIIndex, "manifests": entries})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return tasuki.Manifest{Digest: tasuki.DigestOf(b), MediaType: tasuki.MediaTypeOCIIndex, Bytes: b}
}

// Source is an image that is not in ECR yet.
type Source struct {
	AWS      *AWS // where Push puts it
	Name     string
	Manifest tasuki.Manifest
	Config   []byte
}

var _ tasuki.InspectedSource = (*Source)(nil)

// String implements [tasuki.ImageSource].
func (s *Source) String() string { return "memory:" + s.Name }

// Inspect implements [tasuki.ImageSource].
func (s *Source) Inspect(ctx context.Context, arch tasuki.Architecture) (tasuki.Image, error) {
	return tasuki.Inspect(ctx, content{s}, s.Manifest, arch)
}

// Push implements [tasuki.ImageSource].
func (s *Source) Push(ctx context.Context, image tasuki.Image, repository tasuki.Repository, tag tasuki.Tag) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.AWS.Push(repository, tag, [][]byte{s.Config}, image.Manifest)
}

type content struct{ s *Source }

func (c content) Manifest(context.Context, tasuki.Digest) (tasuki.Manifest, error) {
	return tasuki.Manifest{}, fmt.Errorf("%s is a single image", c.s)
}

func (c content) Config(context.Context, tasuki.Descriptor) ([]byte, error) { return c.s.Config, nil }
