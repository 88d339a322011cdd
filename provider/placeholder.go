package provider

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// putPlaceholder puts a placeholder into a repository, unless its tag is taken.
func (h *Handler) putPlaceholder(ctx context.Context, r request) (result, error) {
	var p customresource.Placeholder
	if err := r.properties(&p); err != nil {
		return result{}, err
	}
	var handoff tasuki.Handoff
	var err error
	if handoff.Repository, err = tasuki.ParseRepository(p.Repository); err != nil {
		return result{}, fmt.Errorf("property Repository: %w", err)
	}
	if handoff.Name, err = tasuki.ParseHandoffName(cmp.Or(p.Handoff, handoff.Repository.Name())); err != nil {
		return result{}, fmt.Errorf("property Handoff: %w", err)
	}
	if handoff.PlaceholderTag, err = tasuki.ParseTag(p.Tag); err != nil {
		return result{}, fmt.Errorf("property Tag: %w", err)
	}
	arch, err := tasuki.ParseArchitecture(p.Architecture)
	if err != nil {
		return result{}, fmt.Errorf("property Architecture: %w", err)
	}
	reconciler, done := h.reconciler(handoff.Name, p.Source)
	defer done()
	reconciler.Architecture = arch
	answered := func(image tasuki.ImageURI, digest tasuki.Digest, warnings ...string) result {
		return result{
			physicalID: "tasuki-placeholder/" + image.String(),
			attributes: map[string]string{
				customresource.AttributeDigest:    digest.String(),
				customresource.AttributeDigestHex: hexOf(digest),
				customresource.AttributeImageURI:  image.String(),
			},
			warnings: warnings,
		}
	}
	return h.orWhatThereIs(ctx, r, func(ctx context.Context) (result, error) {
		seeded, err := reconciler.Seed(ctx, handoff)
		return answered(seeded.Image, seeded.Digest, seeded.Warnings...), err
	}, func(ctx context.Context, certain bool) (result, error) {
		if !certain {
			return result{}, errNotCertain
		}
		image := tasuki.ImageURI{Repository: handoff.Repository, Ref: tasuki.ByTag(handoff.PlaceholderTag)}
		there, err := h.manifest(ctx, image)
		return answered(image, there.Digest, "during the rollback, the placeholder stays as it is in ECR"), err
	})
}
