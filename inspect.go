package tasuki

import (
	"context"
	"encoding/json"
)

// Content reads the manifests and configurations of one place: a repository, or a
// source.
type Content interface {
	// Manifest returns the manifest of a digest.
	Manifest(ctx context.Context, digest Digest) (Manifest, error)
	// Config returns the bytes of an image's configuration.
	Config(ctx context.Context, config Descriptor) ([]byte, error)
}

// Inspect returns what Lambda would run of a manifest: an index is descended to the
// image for arch, and the image's configuration is read. With an empty arch, an
// index must hold just one image that Lambda could run.
func Inspect(ctx context.Context, content Content, manifest Manifest, arch Architecture) (Image, error) {
	image := Image{Manifest: manifest}
	if manifest.IsIndex() {
		child, err := manifest.Child(arch)
		if err != nil {
			return Image{}, err
		}
		image.Index = manifest.Digest
		if image.Manifest, err = content.Manifest(ctx, child.Digest); err != nil {
			return Image{}, err
		}
		if image.Manifest.IsIndex() {
			return Image{}, invalid("the index %s holds another index, %s, which Lambda does not take", manifest.Digest.Short(), child.Digest.Short())
		}
	}
	var err error
	if image.Config, image.Layers, err = image.Manifest.ConfigAndLayers(); err != nil {
		return Image{}, err
	}
	config, err := content.Config(ctx, image.Config)
	if err != nil {
		return Image{}, err
	}
	if err := json.Unmarshal(config, &image.Facts); err != nil {
		return Image{}, invalid("the image configuration %s is not JSON of a configuration's form: %v", image.Config.Digest.Short(), err)
	}
	return image, nil
}

// inRepository is the Content of an ECR repository.
type inRepository struct {
	images     Images
	repository Repository
}

func (c inRepository) Manifest(ctx context.Context, digest Digest) (Manifest, error) {
	found, err := c.images.Manifests(ctx, c.repository, ByDigest(digest))
	if err != nil {
		return Manifest{}, err
	}
	manifest, ok := found[ByDigest(digest)]
	if !ok {
		return Manifest{}, &Error{Op: "read", Side: SideImage, Subject: ImageURI{c.repository, ByDigest(digest)}.String(), Kind: ErrMissing}
	}
	return manifest, nil
}

func (c inRepository) Config(ctx context.Context, config Descriptor) ([]byte, error) {
	return c.images.Config(ctx, c.repository, config)
}

// judge returns the first rule that the image breaks, as a refusal, and the
// warnings of the others.
func (r Rules) judge(image Image, subject string, arch Architecture) (warnings []string, err error) {
	if r == nil {
		return nil, nil
	}
	for _, finding := range r(image, arch) {
		if finding.Severity == SeverityError {
			return nil, &Error{Op: "check", Side: SideImage, Subject: subject, Kind: ErrRefused, Err: &sentence{text: finding.Summary}, Hint: finding.Fix}
		}
		warnings = append(warnings, finding.Summary)
	}
	return warnings, nil
}
