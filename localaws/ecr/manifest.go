package ecr

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// longestManifest is the model's limit of a manifest, 4 MiB.
const longestManifest = 4 << 20

// descriptor is what the registry reads of a manifest's pointers.
type descriptor struct {
	MediaType string
	Digest    string
	Size      int64 // bytes
}

// present reports whether the registry has to hold what the descriptor points to:
// foreign layers stay where they are.
func (d descriptor) present() bool {
	return !strings.Contains(d.MediaType, ".foreign.") && !strings.Contains(d.MediaType, ".nondistributable.")
}

// document is what the registry reads of a manifest or index.
type document struct {
	SchemaVersion int
	MediaType     string
	ArtifactType  string
	Config        *descriptor
	Layers        []descriptor
	Manifests     []descriptor
	Subject       *descriptor
	Annotations   map[string]string
}

// parseManifest reads a manifest that was pushed with a media type, or with none
// where its own mediaType says it. It returns the image that it is, not yet pushed.
func parseManifest(contents []byte, mediaType string) (image, error) {
	if len(contents) > longestManifest {
		return image{}, invalidParameter("imageManifest", "Member must have length less than or equal to 4194304")
	}
	malformed := func(format string, args ...any) (image, error) {
		return image{}, invalidParameter("ImageManifest", fmt.Sprintf(format, args...))
	}
	var doc document
	if err := json.Unmarshal(contents, &doc); err != nil {
		return malformed("Invalid JSON syntax")
	}
	if mediaType == "" {
		mediaType = doc.MediaType
	}
	switch {
	case doc.MediaType != "" && doc.MediaType != mediaType:
		return malformed("the manifest says that it is a %s, and it was sent as a %s", doc.MediaType, mediaType)
	case !slices.Contains(tasuki.ManifestMediaTypes(), mediaType):
		return malformed("%q is not a media type of manifests that this registry takes", mediaType)
	case doc.SchemaVersion != 2:
		return malformed("the manifest is of schema version %d, and this registry takes version 2 only", doc.SchemaVersion)
	}
	img := image{
		Digest:       tasuki.DigestOf(contents).String(),
		MediaType:    mediaType,
		ArtifactType: doc.ArtifactType,
		Manifest:     contents,
	}
	if (tasuki.Manifest{MediaType: mediaType}).IsIndex() {
		for _, child := range doc.Manifests {
			img.Children = append(img.Children, child.Digest)
		}
	} else {
		if doc.Config == nil {
			return malformed("the manifest has no config")
		}
		if img.ArtifactType == "" {
			img.ArtifactType = doc.Config.MediaType
		}
		img.Blobs = append([]descriptor{*doc.Config}, doc.Layers...)
	}
	if doc.Subject != nil {
		img.Subject = doc.Subject.Digest
	}
	for _, d := range slices.Concat(img.Blobs, doc.Manifests) {
		if _, err := tasuki.ParseDigest(d.Digest); err != nil {
			return malformed("%v", err)
		}
	}
	return img, nil
}
