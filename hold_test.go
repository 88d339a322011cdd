package tasuki_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tasuki-dev/tasuki"
)

func TestHoldProtectsTheLastTwo(t *testing.T) { // S19
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2")
		for i := range digests {
			given := tasuki.Resolution{Digest: digests[i], Image: tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digests[i])}}
			for range 2 { // again changes nothing
				r.reconciler().Hold(t.Context(), r.handoff, "shop", given)
			}
		}
		tagged := r.TaggedImages(r.handoff.Repository)
		name := "tasuki-held-shop." + strings.ReplaceAll(r.handoff.Name.String(), "/", "_")
		if tagged[name] != digests[1] || tagged[name+"_before"] != digests[0] {
			t.Errorf("protected are %v", tagged)
		}
		long := strings.Repeat("s", 128)
		r.reconciler().Hold(t.Context(), r.handoff, long, tasuki.Resolution{Digest: digests[0], Image: tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digests[0])}})
		for tag := range r.TaggedImages(r.handoff.Repository) {
			if len(tag) > 128 {
				t.Errorf("the tag %q is too long for ECR", tag)
			}
		}
	})
}

func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		held, err := r.reconciler().Held(t.Context(), r.handoff, "shop")
		if err != nil || held.Digest != digests[0] || held.Origin != tasuki.OriginFunction {
			t.Errorf("with a function: %+v, %v", held, err)
		}
		for _, f := range r.handoff.Functions {
			r.DeleteFunction(f.Name)
		}
		if held, err = r.reconciler().Held(t.Context(), r.handoff, "shop"); err != nil || held.Digest != digests[0] || held.Origin != tasuki.OriginHeld {
			t.Errorf("without one, the released image: %+v, %v", held, err)
		}
		r.DeleteImage(r.handoff.Repository, digests[0])
		if _, err = r.reconciler().Held(t.Context(), r.handoff, "shop"); !errors.Is(err, tasuki.ErrMissing) {
			t.Errorf("with nothing left: %v", err)
		}
	})
}

func TestResolveForAnArchitectureToCome(t *testing.T) { // S20
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		live, err := r.Function(t.Context(), r.handoff.Functions[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		forgotten, err := tasuki.ParseParameterName("/forgotten")
		if err != nil {
			t.Fatal(err)
		}
		resolver := r.reconciler().Resolver
		for _, arch := range []tasuki.Architecture{tasuki.X86_64, tasuki.ARM64} {
			resolver.Architecture = arch
			for _, parameter := range []tasuki.ParameterName{r.handoff.TagParameter, forgotten} {
				h := r.handoff
				h.TagParameter = parameter
				res, err := resolver.Resolve(t.Context(), h)
				switch {
				case arch == live.Architecture && (err != nil || res.Digest != digests[0]):
					t.Errorf("%s, %s: %+v, %v", arch, parameter, res, err)
				case arch != live.Architecture && !errors.Is(err, tasuki.ErrRefused):
					t.Errorf("%s, %s: %+v, %v, want a refusal", arch, parameter, res, err)
				}
			}
		}
	})
}

func TestRefreshPublishesTheConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		name := r.handoff.Functions[0].Name
		r.handoff.Functions[0].Alias = "live"
		version := func(refresh bool) string {
			reconciler := r.reconciler()
			reconciler.Refresh = refresh
			end, err := reconciler.Reconcile(t.Context(), r.handoff)
			if err != nil {
				t.Fatal(err)
			}
			return end.Functions[0].Version
		}
		first := version(false)
		if again := version(true); again != first {
			t.Errorf("nothing has changed, and version %s became %s", first, again)
		}
		r.ChangeFunction(name, func(*tasuki.Function) {})
		if same, next := version(false), version(true); same != first || next == first {
			t.Errorf("after a change of the configuration: %s, refreshed %s, before %s", same, next, first)
		}
	})
}

func TestEstablishAlias(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		name := r.handoff.Functions[0].Name
		first, err := r.reconciler().EstablishAlias(t.Context(), r.handoff, name, "new", "mine")
		if err != nil || first.Version == "" || !strings.HasSuffix(first.ARN, ":"+name+":new") {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := r.reconciler().EstablishAlias(t.Context(), r.handoff, name, "new", "another's")
		if err != nil || again != first {
			t.Errorf("again: %+v, %v", again, err)
		}
		if there, err := r.Alias(t.Context(), name, "new"); err != nil || there.Description != "mine" {
			t.Errorf("%+v, %v", there, err)
		}
		if _, err := r.reconciler().EstablishAlias(t.Context(), r.handoff, "gone", "new", ""); !errors.Is(err, tasuki.ErrMissing) {
			t.Errorf("without a function: %v", err)
		}
	})
}
