package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// aliasPrefix begins the physical ids of aliases; function and alias follow.
const aliasPrefix = "tasuki-alias/"

// putAlias creates an alias that releases move, unless it is there.
func (h *Handler) putAlias(ctx context.Context, r request) (result, error) {
	var p customresource.Alias
	if err := r.properties(&p); err != nil {
		return result{}, err
	}
	name, err := tasuki.ParseHandoffName(p.Handoff)
	if err != nil {
		return result{}, fmt.Errorf("property Handoff: %w", err)
	}
	if err := tasuki.CheckFunctionName(p.Function); err != nil {
		return result{}, fmt.Errorf("property Function: %w", err)
	}
	if err := tasuki.CheckAliasName(p.Alias); err != nil {
		return result{}, fmt.Errorf("property Alias: %w", err)
	}
	reconciler, done := h.reconciler(name, "")
	defer done()
	answered := func(there tasuki.Established) result {
		return result{
			physicalID: aliasPrefix + p.Function + "/" + p.Alias,
			attributes: map[string]string{customresource.AttributeAliasARN: there.ARN, customresource.AttributeVersion: there.Version},
		}
	}
	return h.orWhatThereIs(ctx, r, func(ctx context.Context) (result, error) {
		there, err := reconciler.EstablishAlias(ctx, tasuki.Handoff{Name: name}, p.Function, p.Alias, ownerOf(r))
		return answered(there), err
	}, func(ctx context.Context, _ bool) (result, error) {
		alias, err := reconciler.Versions.Alias(ctx, p.Function, p.Alias)
		if err != nil {
			return result{}, err
		}
		f, err := reconciler.Functions.Function(ctx, p.Function)
		return answered(tasuki.Established{ARN: f.ARN + ":" + p.Alias, Version: alias.Version}), err
	})
}

// ownerOf returns the description of the aliases that a stack has had created. One
// that was there before is another's, and stays when the resource is deleted, as it
// is when its adoption is rolled back.
func ownerOf(r request) string { return "made by Tasuki for " + r.StackID }

// deleteAlias deletes the alias that the physical id names, if it was made for this
// stack. The id of a resource that could not be created names none.
func (h *Handler) deleteAlias(ctx context.Context, r request) error {
	named, isAlias := strings.CutPrefix(r.PhysicalResourceID, aliasPrefix)
	function, alias, both := strings.Cut(named, "/")
	if !isAlias || !both {
		return nil
	}
	there, err := h.Reconciler.Versions.Alias(ctx, function, alias)
	if errors.Is(err, tasuki.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if there.Description != ownerOf(r) {
		h.Log.Warn("the alias is kept, because it was not made for this stack", "function", function, "alias", alias, "stack", r.StackID)
		return nil
	}
	return h.Aliases.DeleteAlias(ctx, function, alias)
}
