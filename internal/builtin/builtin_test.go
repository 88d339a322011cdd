package builtin_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/internal/builtin"
)

func TestTheBuiltInImageIsForTheArchitectureAskedFor(t *testing.T) {
	handoff, err := tasuki.ParseHandoffName("orders")
	if err != nil {
		t.Fatal(err)
	}
	unreachable := errors.New("no registry here")
	source := &builtin.Source{Handoff: handoff, Registry: func(context.Context, tasuki.Repository) (image.Registry, error) { return image.Registry{}, unreachable }}
	for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64, tasuki.X86_64} {
		inspected, err := source.Inspect(t.Context(), arch)
		if err != nil || inspected.Facts.Architecture != arch.OCI() || inspected.Facts.Config.Labels[tasuki.PlaceholderLabel] != "orders" {
			t.Errorf("%s: %+v, %v", arch, inspected.Facts, err)
		}
		if err := source.Push(t.Context(), inspected, tasuki.Repository{}, tasuki.DefaultPlaceholderTag); !errors.Is(err, unreachable) {
			t.Errorf("%s: the registry is not asked for: %v", arch, err)
		}
	}
	if _, err := source.Inspect(t.Context(), "sparc"); !errors.Is(err, tasuki.ErrInvalid) {
		t.Errorf("for another architecture: %v", err)
	}
}
