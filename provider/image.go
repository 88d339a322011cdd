package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// putImage resolves the image that a handoff's functions are created with.
func (h *Handler) putImage(ctx context.Context, r request) (result, error) {
	var p customresource.Image
	if err := r.properties(&p); err != nil {
		return result{}, err
	}
	handoff, arch, err := handoffOf(p)
	if err != nil {
		return result{}, err
	}
	reconciler, done := h.reconciler(handoff.Name, p.Placeholder)
	defer done()
	reconciler.Architecture = arch
	return h.orWhatThereIs(ctx, r, func(ctx context.Context) (result, error) {
		resolution, err := h.resolve(ctx, r, reconciler, &handoff, p.Functions)
		if err != nil {
			return result{}, err
		}
		reconciler.Hold(ctx, handoff, r.StackID, resolution)
		return resolved(resolution), nil
	}, func(ctx context.Context, certain bool) (result, error) {
		// It may be what could not be read. Without it the image is one that the stack was given.
		unfound := h.findFunctions(ctx, r.StackID, &handoff, p.Functions, arch)
		held, err := reconciler.Held(ctx, handoff, r.StackID)
		switch {
		case err == nil && !certain && held.Origin != tasuki.OriginFunction:
			return result{}, errNotCertain
		case err == nil:
			return resolved(held), nil
		case unfound != nil:
			return result{}, unfound
		}
		return result{}, err
	})
}

func resolved(r tasuki.Resolution) result {
	return result{
		physicalID: "tasuki-image/" + r.Handoff.String(),
		attributes: map[string]string{
			customresource.AttributeDigest:    r.Digest.String(),
			customresource.AttributeDigestHex: hexOf(r.Digest),
			customresource.AttributeImageURI:  r.Image.String(),
			customresource.AttributeTag:       r.Tag.String(),
			customresource.AttributeOrigin:    string(r.Origin),
		},
		warnings: r.Warnings,
	}
}

func hexOf(d tasuki.Digest) string { return strings.TrimPrefix(d.String(), "sha256:") }

// handoffOf returns the handoff of an image's properties, without its functions, and
// the architecture that they have or are to have.
func handoffOf(p customresource.Image) (h tasuki.Handoff, arch tasuki.Architecture, err error) {
	if h.Name, err = tasuki.ParseHandoffName(p.Handoff); err != nil {
		return h, "", fmt.Errorf("property Handoff: %w", err)
	}
	if h.Repository, err = tasuki.ParseRepository(p.Repository); err != nil {
		return h, "", fmt.Errorf("property Repository: %w", err)
	}
	if h.TagParameter, err = tasuki.ParseParameterName(p.TagParameter); err != nil {
		return h, "", fmt.Errorf("property TagParameter: %w", err)
	}
	if h.PlaceholderTag, err = tasuki.ParseTag(p.PlaceholderTag); err != nil {
		return h, "", fmt.Errorf("property PlaceholderTag: %w", err)
	}
	if arch, err = tasuki.ParseArchitecture(p.Architecture); err != nil {
		return h, "", fmt.Errorf("property Architecture: %w", err)
	}
	return h, arch, nil
}

// resolve says which image the functions are to run. It fills in the functions that
// there are already, as far as it finds them.
func (h *Handler) resolve(ctx context.Context, r request, reconciler tasuki.Reconciler, handoff *tasuki.Handoff, functions []customresource.ImageFunction) (tasuki.Resolution, error) {
	if err := h.findFunctions(ctx, r.StackID, handoff, functions, reconciler.Architecture); err != nil {
		return tasuki.Resolution{}, err
	}
	resolution, err := reconciler.Resolve(ctx, *handoff)
	if err != nil {
		return tasuki.Resolution{}, err
	}
	// The template names the image by its digest within the handoff's repository.
	if resolution.Image.Repository != handoff.Repository {
		return tasuki.Resolution{}, fmt.Errorf("no release is registered in %s, and the function runs an image of another repository, %s: copy it into %s and register it",
			handoff.TagParameter, resolution.Image, handoff.Repository)
	}
	return resolution, nil
}

// findFunctions adds the functions that there may be: those that the stack has
// created, and those of the names that the user has given, which an adopted function
// may bear.
func (h *Handler) findFunctions(ctx context.Context, stack string, handoff *tasuki.Handoff, functions []customresource.ImageFunction, arch tasuki.Architecture) error {
	add := func(name string) {
		there := slices.ContainsFunc(handoff.Functions, func(f tasuki.FunctionTarget) bool { return f.Name == name })
		if name != "" && !there {
			handoff.Functions = append(handoff.Functions, tasuki.FunctionTarget{Name: name, Architecture: arch})
		}
	}
	for _, f := range functions {
		add(f.Name)
	}
	for _, f := range functions {
		id, err := h.Stacks.StackResource(ctx, stack, f.LogicalID)
		if err != nil && !errors.Is(err, tasuki.ErrMissing) {
			return err
		}
		add(id)
	}
	return nil
}
