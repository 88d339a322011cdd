// Package placeholder provides the image of a function that has had no release.
//
// A Lambda function cannot be created without an image. The placeholder initialises,
// so that the function becomes active, and then fails each invocation: it never
// reports success for work that nobody has done.
//
// The image is built here rather than pulled, so that a first deploy needs no Docker
// and no other registry. Its bytes depend on the handoff's name and the architecture
// alone; the layers are kept beside this file, and a test builds them again and
// compares.
package placeholder

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/tasuki-dev/tasuki"
)

//go:generate go run ./internal/buildlayer

//go:embed layer_amd64.tar.gz
var layerAMD64 string

//go:embed layer_amd64.diffid
var diffIDAMD64 string

//go:embed layer_arm64.tar.gz
var layerARM64 string

//go:embed layer_arm64.diffid
var diffIDARM64 string

// mediaTypeLayer is the type of a layer in Docker's image manifest version 2, schema 2.
const mediaTypeLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"

// entrypoint is the runtime's path in the layers.
const entrypoint = "/tasuki-placeholder"

// created is when every placeholder says it was made: a true time would make each
// one another image.
const created = "1970-01-01T00:00:00Z"

// Image is an image for one platform, complete: what a registry must be given.
type Image struct {
	Manifest         tasuki.Manifest
	Config           []byte
	ConfigDescriptor tasuki.Descriptor
	Layer            []byte // tar.gz; the only one
	LayerDescriptor  tasuki.Descriptor
}

// Build returns the placeholder image of a handoff. It returns an error of kind
// [tasuki.ErrInvalid] for the zero HandoffName and for an unknown architecture.
//
// The image is of Docker's format, version 2 schema 2, and no index: it is what
// "docker push" has always written for one platform, and so the format that Lambda
// has taken for the longest. OCI would do by Lambda's documentation, and gain nothing.
func Build(handoff tasuki.HandoffName, arch tasuki.Architecture) (Image, error) {
	if _, err := tasuki.ParseHandoffName(handoff.String()); err != nil {
		return Image{}, refuse(err)
	}
	layer, diffID, err := layerOf(arch)
	if err != nil {
		return Image{}, refuse(err)
	}
	config, err := json.Marshal(configDocument{
		Created:      created,
		OS:           "linux",
		Architecture: arch.OCI(),
		Config: configRuntime{
			Entrypoint: []string{entrypoint},
			WorkingDir: "/",
			Env:        []string{"TASUKI_HANDOFF=" + handoff.String()},
			Labels:     map[string]string{tasuki.PlaceholderLabel: handoff.String()},
		},
		RootFS: configRootFS{Type: "layers", DiffIDs: []tasuki.Digest{diffID}},
	})
	if err != nil {
		return Image{}, fmt.Errorf("encode the placeholder's configuration: %w", err)
	}
	image := Image{
		Config:           config,
		ConfigDescriptor: describe(tasuki.MediaTypeDockerConfig, config),
		Layer:            layer,
		LayerDescriptor:  describe(mediaTypeLayer, layer),
	}
	manifest, err := json.Marshal(manifestDocument{
		SchemaVersion: 2,
		MediaType:     tasuki.MediaTypeDockerManifest,
		Config:        image.ConfigDescriptor,
		Layers:        []tasuki.Descriptor{image.LayerDescriptor},
	})
	if err != nil {
		return Image{}, fmt.Errorf("encode the placeholder's manifest: %w", err)
	}
	image.Manifest = tasuki.Manifest{Digest: tasuki.DigestOf(manifest), MediaType: tasuki.MediaTypeDockerManifest, Bytes: manifest}
	return image, nil
}

// layerOf returns an architecture's layer, and the digest of its tar, by which a
// configuration names it.
func layerOf(arch tasuki.Architecture) (layer []byte, diffID tasuki.Digest, err error) {
	switch arch {
	case tasuki.X86_64:
		diffID, err = tasuki.ParseDigest(diffIDAMD64)
		return []byte(layerAMD64), diffID, err
	case tasuki.ARM64:
		diffID, err = tasuki.ParseDigest(diffIDARM64)
		return []byte(layerARM64), diffID, err
	}
	return nil, diffID, fmt.Errorf("there is no placeholder for the architecture %q: Lambda's are %s and %s", string(arch), tasuki.X86_64, tasuki.ARM64)
}

func describe(mediaType string, content []byte) tasuki.Descriptor {
	return tasuki.Descriptor{MediaType: mediaType, Digest: tasuki.DigestOf(content), Size: int64(len(content))}
}

func refuse(err error) error {
	return &tasuki.Error{Op: "build", Side: tasuki.SideImage, Subject: "placeholder", Kind: tasuki.ErrInvalid, Err: err}
}

// manifestDocument is an image manifest, its members in the order they are written.
type manifestDocument struct {
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     string              `json:"mediaType"`
	Config        tasuki.Descriptor   `json:"config"`
	Layers        []tasuki.Descriptor `json:"layers"`
}

// configDocument is an image configuration, its members in the order they are written.
type configDocument struct {
	Created      string        `json:"created"`
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Config       configRuntime `json:"config"`
	RootFS       configRootFS  `json:"rootfs"`
}

type configRuntime struct {
	Env        []string          `json:"Env"`
	Entrypoint []string          `json:"Entrypoint"`
	WorkingDir string            `json:"WorkingDir"`
	Labels     map[string]string `json:"Labels"`
}

type configRootFS struct {
	Type    string          `json:"type"`
	DiffIDs []tasuki.Digest `json:"diff_ids"`
}
