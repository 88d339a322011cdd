package tasuki

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// The manifest and configuration media types of the OCI image specification 1.1
// and of Docker's image manifest version 2, schema 2.
const (
	MediaTypeOCIManifest    = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeOCIIndex       = "application/vnd.oci.image.index.v1+json"
	MediaTypeOCIConfig      = "application/vnd.oci.image.config.v1+json"
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// manifestMediaTypes is every manifest type that may be asked for. All are always
// asked for together: ECR converts between the formats for a client that does not
// accept what is stored, which changes the digest.
var manifestMediaTypes = []string{MediaTypeOCIManifest, MediaTypeOCIIndex, MediaTypeDockerManifest, MediaTypeDockerList}

// ManifestMediaTypes returns every manifest type that a client must accept for a
// registry not to convert what it stores.
func ManifestMediaTypes() []string { return slices.Clone(manifestMediaTypes) }

// Manifest is a manifest's bytes, verbatim, and what they are.
type Manifest struct {
	Digest    Digest
	MediaType string
	Bytes     []byte
}

// Descriptor points to content, as the OCI image specification defines it.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      Digest            `json:"digest"`
	Size        int64             `json:"size"` // bytes
	Platform    *Platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Platform is what a manifest in an index says it runs on.
type Platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
}

// manifestDocument is what Tasuki reads of a manifest or index.
type manifestDocument struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        Descriptor   `json:"config"`
	Layers        []Descriptor `json:"layers"`
	Manifests     []Descriptor `json:"manifests"`
}

// IsIndex reports whether m lists other manifests instead of layers.
func (m Manifest) IsIndex() bool {
	return m.MediaType == MediaTypeOCIIndex || m.MediaType == MediaTypeDockerList
}

func (m Manifest) document() (manifestDocument, error) {
	var d manifestDocument
	if err := json.Unmarshal(m.Bytes, &d); err != nil {
		return d, invalid("the manifest %s is not JSON of a manifest's form: %v", m.Digest.Short(), err)
	}
	if d.SchemaVersion != 2 {
		return d, invalid("the manifest %s is of schema version %d; Lambda takes version 2 only: push the image again with a current tool", m.Digest.Short(), d.SchemaVersion)
	}
	return d, nil
}

// ConfigAndLayers returns what an image manifest points to.
func (m Manifest) ConfigAndLayers() (config Descriptor, layers []Descriptor, err error) {
	d, err := m.document()
	if err != nil {
		return Descriptor{}, nil, err
	}
	if d.Config.Digest.IsZero() {
		return Descriptor{}, nil, invalid("the manifest %s names no image configuration", m.Digest.Short())
	}
	return d.Config, d.Layers, nil
}

// attestationAnnotation marks BuildKit's attestation manifests in an index
// (BuildKit, docs/attestations/attestation-storage.md).
const attestationAnnotation = "vnd.docker.reference.type"

// lists reports whether m is an index that holds the manifest of a digest.
func (m Manifest) lists(digest Digest) bool {
	if !m.IsIndex() {
		return false
	}
	d, err := m.document()
	return err == nil && slices.ContainsFunc(d.Manifests, func(child Descriptor) bool { return child.Digest == digest })
}

// Child returns the manifest in an index that Lambda runs on architecture arch:
// the linux one of that architecture, attestations left aside. An empty arch takes
// the only linux one.
func (m Manifest) Child(arch Architecture) (Descriptor, error) {
	d, err := m.document()
	if err != nil {
		return Descriptor{}, err
	}
	var found []Descriptor
	var others []string
	for _, child := range d.Manifests {
		switch p := child.Platform; {
		case child.Annotations[attestationAnnotation] != "":
		case p == nil:
			others = append(others, "one without a platform")
		case p.OS == "linux" && (arch == "" || p.Architecture == arch.OCI()):
			found = append(found, child)
		default:
			others = append(others, p.OS+"/"+p.Architecture)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		if arch == "" {
			return Descriptor{}, invalid("the index %s holds images for %d platforms, and nothing says which one the function needs: give the architecture", m.Digest.Short(), len(found))
		}
		return Descriptor{}, invalid("the index %s holds %d images for linux/%s, and nothing says which one Lambda should run: push one of them alone", m.Digest.Short(), len(found), arch.OCI())
	case len(others) == 0 || arch == "":
		return Descriptor{}, invalid("the index %s holds no image that Lambda could run", m.Digest.Short())
	}
	return Descriptor{}, invalid("the index %s holds no image for linux/%s, which the function's architecture %s needs; it holds %s: build for linux/%s", m.Digest.Short(), arch.OCI(), arch, strings.Join(others, ", "), arch.OCI())
}

// ImageConfig is what Tasuki reads of an image's configuration.
type ImageConfig struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant,omitempty"`
	Config       struct {
		Entrypoint []string          `json:"Entrypoint"`
		Cmd        []string          `json:"Cmd"`
		WorkingDir string            `json:"WorkingDir"`
		Env        []string          `json:"Env"`
		Labels     map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		DiffIDs []string `json:"diff_ids"` // digests of the uncompressed layers
	} `json:"rootfs"`
}

// Image is what Lambda would run of a manifest: the facts that its rules judge.
type Image struct {
	Manifest Manifest   // the image's own; never an index
	Index    Digest     // the index that it was chosen from; zero for none
	Config   Descriptor // the configuration blob
	Layers   []Descriptor
	Facts    ImageConfig
}

// Digest returns the digest of the manifest that Lambda runs.
func (i Image) Digest() Digest { return i.Manifest.Digest }

// Size returns the compressed bytes of the layers.
func (i Image) Size() (size int64) {
	for _, layer := range i.Layers {
		if layer.Size > math.MaxInt64-size {
			return math.MaxInt64
		}
		size += layer.Size
	}
	return size
}

// PlaceholderLabel is the label that marks a built-in placeholder; its value is the
// handoff's name.
const PlaceholderLabel = "dev.tasuki.placeholder"
