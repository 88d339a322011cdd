package provider

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/internal/memory"
)

// failing makes an operation of the memory fail.
func (r *relay) failing(operation string, kind error) {
	r.Before = func(name, _ string) error {
		if name == operation {
			return failure(kind)
		}
		return nil
	}
}

// TestImage takes the resource through what can be read, before and after there is a
// function.
func TestImage(t *testing.T) {
	image := memoryDigest(tasuki.ARM64, "v1", nil)
	placeholder := memoryDigest(tasuki.ARM64, "placeholder", map[string]string{tasuki.PlaceholderLabel: "orders"})
	for name, test := range map[string]struct {
		prepare func(r *relay)
		request string
		digest  tasuki.Digest // zero for a failure
		origin  tasuki.Origin
		reason  []string
		warns   string
	}{
		"S1: nothing there": {
			request: create, digest: placeholder, origin: tasuki.OriginPlaceholder,
		},
		"released": {
			prepare: func(r *relay) { r.release("v1", tasuki.ARM64) },
			request: create, digest: image, origin: tasuki.OriginParameter,
		},
		"registered by hand": {
			prepare: func(r *relay) { r.push("v1", tasuki.ARM64); r.PutParameter(r.handoff.TagParameter, "v1", "String") },
			request: create, digest: image, origin: tasuki.OriginParameter,
		},
		"S24: adopted": {
			prepare: func(r *relay) { r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64) },
			request: create, digest: image, origin: tasuki.OriginFunction, warns: "no release is registered",
		},
		"S5: parameter deleted": {
			prepare: func(r *relay) {
				r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
				r.DeleteParameter(r.handoff.TagParameter)
			},
			request: update, digest: image, origin: tasuki.OriginFunction, warns: "no release is registered",
		},
		"S6: denied": {
			prepare: func(r *relay) {
				r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
				r.failing("ReadTag", tasuki.ErrDenied)
			},
			request: update, reason: []string{"access denied", parameter},
		},
		"S6: throttled": {
			prepare: func(r *relay) { r.failing("ReadTag", tasuki.ErrThrottled) },
			request: create, reason: []string{"throttled"},
		},
		"S6: SecureString": {
			prepare: func(r *relay) { r.PutParameter(r.handoff.TagParameter, "AQICAHh", "SecureString") },
			request: create, reason: []string{"SecureString"},
		},
		"S7: not in ECR": {
			prepare: func(r *relay) { r.PutParameter(r.handoff.TagParameter, "v9", "String") },
			request: create, reason: []string{"v9", repository},
		},
		"S20: function replaced": {
			prepare: func(r *relay) {
				r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
				r.DeleteParameter(r.handoff.TagParameter)
			},
			request: update, digest: image, origin: tasuki.OriginFunction, warns: "no release is registered",
		},
		"S20: architecture changed after a release": {
			prepare: func(r *relay) { r.create(r.release("v1", tasuki.X86_64), tasuki.X86_64) },
			request: update, reason: []string{"amd64", "arm64"},
		},
		"S20: architecture changed, parameter deleted": {
			prepare: func(r *relay) {
				r.create(r.release("v1", tasuki.X86_64), tasuki.X86_64)
				r.DeleteParameter(r.handoff.TagParameter)
			},
			request: update, reason: []string{"x86_64", "arm64"},
		},
		"S20: parameter and function gone": {
			prepare: func(r *relay) {
				r.release("v1", tasuki.ARM64)
				if err := r.Push(r.handoff.Repository, tasuki.TagLive, nil, memoryManifest(tasuki.ARM64, "v1", nil)); err != nil {
					r.t.Fatal(err)
				}
				r.DeleteParameter(r.handoff.TagParameter)
			},
			request: create, reason: []string{"tasuki-live", "tasuki register"},
		},
		"S22: tag moved": {
			prepare: func(r *relay) {
				r.release("v1", tasuki.ARM64)
				other, config := memory.Image(tasuki.ARM64, "other", nil)
				if err := r.Push(r.handoff.Repository, must(r.t, tasuki.ParseTag, "v1"), [][]byte{config}, other); err != nil {
					r.t.Fatal(err)
				}
			},
			request: update, digest: image, origin: tasuki.OriginParameter, warns: "moved after its release",
		},
		"function of another repository": {
			prepare: func(r *relay) {
				other := must(r.t, tasuki.ParseRepository, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/other")
				r.CreateRepository(other)
				manifest, config := memory.Image(tasuki.ARM64, "v1", nil)
				if err := r.Push(other, tasuki.Tag{}, [][]byte{config}, manifest); err != nil {
					r.t.Fatal(err)
				}
				r.CreateFunction(function, tasuki.ImageURI{Repository: other, Ref: tasuki.ByDigest(manifest.Digest)}, tasuki.ARM64)
				r.stacks.resources["Fn"] = function
			},
			request: create, reason: []string{"another repository", "orders"},
		},
		"stack unreadable": {
			prepare: func(r *relay) { r.stacks.err = failure(tasuki.ErrDenied) },
			request: create, reason: []string{"access denied"},
		},
		"repository missing": {
			prepare: func(r *relay) { r.failing("Manifests", tasuki.ErrMissing) },
			request: create, reason: []string{"missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				if test.prepare != nil {
					test.prepare(r)
				}
				physicalID := ""
				if test.request == update {
					physicalID = "tasuki-image/orders"
				}
				a := r.ask(test.request, customresource.TypeImage, physicalID, imageProperties())
				r.Before = nil
				if test.digest.IsZero() {
					r.wantFailed(a, test.reason...)
					return
				}
				r.wantSuccess(a, test.digest, test.origin)
				if a.PhysicalResourceID != "tasuki-image/orders" {
					t.Errorf("the physical id is %q", a.PhysicalResourceID)
				}
				if !strings.Contains(r.log.String(), test.warns) || !strings.Contains(a.Reason, test.warns) {
					t.Errorf("the log and the reason %q do not both say %q:\n%s", a.Reason, test.warns, r.log)
				}
				if again := r.ask(test.request, customresource.TypeImage, physicalID, imageProperties()); again.String() != a.String() {
					t.Errorf("the same request again is answered %s, and was %s", again, a)
				}
				held, _ := heldBy(r)
				if held != test.digest {
					t.Errorf("ECR protects %s for the stack, want %s", held, test.digest)
				}
			})
		})
	}
}

func memoryManifest(arch tasuki.Architecture, name string, labels map[string]string) tasuki.Manifest {
	manifest, _ := memory.Image(arch, name, labels)
	return manifest
}

func memoryDigest(arch tasuki.Architecture, name string, labels map[string]string) tasuki.Digest {
	return memoryManifest(arch, name, labels).Digest
}

// heldBy returns what is protected for the stack now, as a rollback without a function
// would find it.
func heldBy(r *relay) (tasuki.Digest, tasuki.Origin) {
	h := r.handoff
	h.Functions = nil
	held, err := r.handler.Reconciler.Held(r.t.Context(), h, "shop")
	if err != nil {
		return tasuki.Digest{}, ""
	}
	return held.Digest, held.Origin
}

func TestImageThatIsGivenStaysProtectedForARollback(t *testing.T) { // S19
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		first := r.release("v1", tasuki.ARM64)
		r.ask(create, customresource.TypeImage, "", imageProperties())
		second := r.release("v2", tasuki.ARM64)
		r.ask(update, customresource.TypeImage, "tasuki-image/orders", imageProperties())
		for tag, want := range map[string]tasuki.Digest{"tasuki-held-shop.orders": second, "tasuki-held-shop.orders_before": first} {
			if got := r.TaggedImages(r.handoff.Repository)[tag]; got != want {
				t.Errorf("%s protects %s, want %s", tag, got, want)
			}
		}
	})
}

// TestRollback: in a rollback nothing that can be helped is FAILED.
func TestRollback(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(r *relay) tasuki.Digest
		status  string
		unknown error
		origin  tasuki.Origin
		fails   bool
	}{
		"the parameter can be read": {
			prepare: func(r *relay) tasuki.Digest { return r.release("v1", tasuki.ARM64) },
			status:  "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginParameter,
		},
		"S6: the live image": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.create(digest, tasuki.ARM64)
				r.failing("ReadTag", tasuki.ErrDenied)
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginFunction,
		},
		"what was given before": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.ask(create, customresource.TypeImage, "", imageProperties())
				r.failing("ReadTag", tasuki.ErrDenied)
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginHeld,
		},
		"a function for another architecture does not count": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.ask(create, customresource.TypeImage, "", imageProperties())
				r.create(r.push("v2", tasuki.X86_64), tasuki.X86_64)
				r.failing("ReadTag", tasuki.ErrDenied)
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginHeld,
		},
		"the functions cannot be read for a while": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.create(digest, tasuki.ARM64)
				calls := 0
				r.Before = func(operation, _ string) error {
					switch operation {
					case "ReadTag":
						return failure(tasuki.ErrUnavailable)
					case "Function", "Manifests":
						if calls++; calls < 5 {
							return failure(tasuki.ErrThrottled)
						}
					}
					return nil
				}
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginFunction,
		},
		"the stack's functions are unknown": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.ask(create, customresource.TypeImage, "", imageProperties())
				r.stacks.err = failure(tasuki.ErrDenied)
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginHeld,
		},
		"the stack's functions are unknown for a while": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.ask(create, customresource.TypeImage, "", imageProperties())
				r.create(digest, tasuki.ARM64)
				r.stacks.err = failure(tasuki.ErrThrottled)
				r.Before = func(operation, _ string) error {
					if operation != "Manifests" || r.stacks.err == nil {
						return nil
					}
					r.stacks.err = nil
					return failure(tasuki.ErrThrottled)
				}
				return digest
			},
			status: "UPDATE_ROLLBACK_IN_PROGRESS", origin: tasuki.OriginFunction,
		},
		"nothing to be found": {
			prepare: func(r *relay) tasuki.Digest { r.failing("ReadTag", tasuki.ErrDenied); return tasuki.Digest{} },
			status:  "UPDATE_ROLLBACK_IN_PROGRESS", fails: true,
		},
		"no rollback": {
			prepare: func(r *relay) tasuki.Digest {
				r.create(r.release("v1", tasuki.ARM64), tasuki.ARM64)
				r.failing("ReadTag", tasuki.ErrDenied)
				return tasuki.Digest{}
			},
			status: "UPDATE_IN_PROGRESS", fails: true,
		},
		"status unknown: the live image": {
			prepare: func(r *relay) tasuki.Digest {
				digest := r.release("v1", tasuki.ARM64)
				r.create(digest, tasuki.ARM64)
				r.failing("ReadTag", tasuki.ErrDenied)
				return digest
			},
			unknown: failure(tasuki.ErrDenied), origin: tasuki.OriginFunction,
		},
		"status unknown: nothing else": {
			prepare: func(r *relay) tasuki.Digest {
				r.release("v1", tasuki.ARM64)
				r.ask(create, customresource.TypeImage, "", imageProperties())
				r.failing("ReadTag", tasuki.ErrDenied)
				return tasuki.Digest{}
			},
			unknown: failure(tasuki.ErrDenied), fails: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				want := test.prepare(r)
				r.stacks.status, r.stacks.statusErr = test.status, test.unknown
				a := r.ask(update, customresource.TypeImage, "tasuki-image/orders", imageProperties())
				if test.fails {
					r.wantFailed(a, "access denied")
					return
				}
				r.wantSuccess(a, want, test.origin)
			})
		})
	}
}

func TestAnUpdateThatRunsOutOfTimeStillHelpsARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		digest := r.release("v1", tasuki.ARM64)
		r.create(digest, tasuki.ARM64)
		r.stacks.status = "UPDATE_ROLLBACK_IN_PROGRESS"
		r.Before = func(operation, _ string) error {
			if operation == "ReadTag" {
				time.Sleep(25 * time.Second)
				return failure(tasuki.ErrUnavailable)
			}
			return nil
		}
		ctx, cancel := contextWithin(t, 30*time.Second)
		defer cancel()
		a := r.askWithin(ctx, update, customresource.TypeImage, "tasuki-image/orders", customresource.Properties(imageProperties()))
		r.wantSuccess(a, digest, tasuki.OriginFunction)
	})
}

func TestImageWarnsWhenItCannotProtect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		digest := r.release("v1", tasuki.ARM64)
		r.failing("TagImage", tasuki.ErrDenied)
		r.wantSuccess(r.ask(create, customresource.TypeImage, "", imageProperties()), digest, tasuki.OriginParameter)
		if !strings.Contains(r.log.String(), "tasuki-held-shop.orders") {
			t.Errorf("the log does not warn:\n%s", r.log)
		}
	})
}

func TestImageOfANamedFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		digest := r.push("v1", tasuki.ARM64)
		r.CreateFunction("by-name", tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digest)}, tasuki.ARM64)
		p := imageProperties()
		p.Functions[0].Name = "by-name"
		r.wantSuccess(r.ask(create, customresource.TypeImage, "", p), digest, tasuki.OriginFunction)
	})
}

func TestMalformedProperties(t *testing.T) {
	for name, change := range map[string]func(p map[string]any){
		"Handoff":        func(p map[string]any) { p["Handoff"] = "or ders" },
		"Repository":     func(p map[string]any) { p["Repository"] = "orders" },
		"TagParameter":   func(p map[string]any) { p["TagParameter"] = "" },
		"PlaceholderTag": func(p map[string]any) { p["PlaceholderTag"] = "latest" },
		"Architecture":   func(p map[string]any) { p["Architecture"] = "sparc" },
		"Later":          func(p map[string]any) { p["Later"] = "true" },
		"Functions":      func(p map[string]any) { p["Functions"] = "Fn" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t)
			p := customresource.Properties(imageProperties())
			change(p)
			r.wantFailed(r.askWithin(t.Context(), create, customresource.TypeImage, "", p), name)
		})
	}
}

func TestDeletingKeepsAllButAliases(t *testing.T) {
	r := newRelay(t)
	r.Before = func(operation, subject string) error {
		t.Errorf("%s was called on %s", operation, subject)
		return errors.New("not now")
	}
	for _, resourceType := range []string{customresource.TypeImage, customresource.TypePlaceholder, customresource.TypeDeployment, "Custom::Unknown"} {
		a := r.askWithin(t.Context(), remove, resourceType, "the-id", map[string]any{"whatever": map[string]any{"was": "created"}})
		if a.Status != success || a.PhysicalResourceID != "the-id" {
			t.Errorf("%s: answered %s", resourceType, a)
		}
	}
}

// TestPermissionsTakeAWhile: CloudFormation calls for a resource as soon as it has made
// the permissions for it, and IAM is later than that.
func TestPermissionsTakeAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		digest := r.release("v1", tasuki.ARM64)
		deniedForAWhile := func() {
			began := time.Now()
			r.Before = func(operation, _ string) error {
				if operation == "ReadTag" && time.Since(began) < 10*time.Second {
					return failure(tasuki.ErrDenied)
				}
				return nil
			}
		}
		deniedForAWhile()
		r.wantSuccess(r.ask(create, customresource.TypeImage, "", imageProperties()), digest, tasuki.OriginParameter)
		// An update to another parameter is preceded by one of the policy.
		deniedForAWhile()
		r.before = map[string]any{"TagParameter": "another"}
		r.wantSuccess(r.ask(update, customresource.TypeImage, "tasuki-image/orders", imageProperties()), digest, tasuki.OriginParameter)
		r.before = nil
		r.failing("ReadTag", tasuki.ErrDenied)
		began := time.Now()
		r.wantFailed(r.ask(create, customresource.TypeImage, "", imageProperties()), "access denied")
		if took := time.Since(began); took < patience || took > patience+10*time.Second {
			t.Errorf("what stays denied was denied after %v", took)
		}
		began = time.Now()
		r.wantFailed(r.ask(update, customresource.TypeImage, "tasuki-image/orders", imageProperties()), "access denied")
		if took := time.Since(began); took >= patience/2 {
			t.Errorf("an update, whose permissions are old, was denied after %v", took)
		}
	})
}
