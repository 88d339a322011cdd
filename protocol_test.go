package tasuki_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/memory"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

// relay is an account with a repository, and what acts on it.
type relay struct {
	*memory.AWS
	t       *testing.T
	handoff tasuki.Handoff
	mu      sync.Mutex // of the events: functions are updated at once
	events  []tasuki.Event
}

func newRelay(t *testing.T) *relay {
	r := &relay{AWS: new(memory.AWS), t: t}
	r.handoff = tasuki.Handoff{
		Name: mustHandoff("orders"), Repository: mustRepository("000000000000.dkr.ecr.us-east-1.amazonaws.com/orders"),
		TagParameter: mustHandoff("orders").TagParameter(), PlaceholderTag: tasuki.DefaultPlaceholderTag,
		Functions: []tasuki.FunctionTarget{{Name: "orders", Architecture: tasuki.X86_64}},
	}
	r.CreateRepository(r.handoff.Repository)
	return r
}

func (r *relay) resolver() tasuki.Resolver {
	return tasuki.Resolver{
		Tags: r.AWS, Functions: r.AWS, Images: r.AWS, Rules: lambdaimage.Check, Placeholder: r.source("placeholder"),
		Observe: func(e tasuki.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
	}
}

func (r *relay) reconciler() tasuki.Reconciler {
	return tasuki.Reconciler{Resolver: r.resolver(), Updater: r.AWS, Versions: r.AWS, Tagger: r.AWS, Random: func() float64 { return 0 }}
}

func (r *relay) releaser() tasuki.Releaser {
	return tasuki.Releaser{Reconciler: r.reconciler(), Writer: r.AWS}
}

func (r *relay) registrar() tasuki.Registrar {
	return tasuki.Registrar{Resolver: r.resolver(), Writer: r.AWS}
}

// source is an image that is not in ECR.
func (r *relay) source(name string) *memory.Source {
	labels := map[string]string{}
	if name == "placeholder" {
		labels[tasuki.PlaceholderLabel] = "orders"
	}
	manifest, config := memory.Image(tasuki.X86_64, name, labels)
	return &memory.Source{AWS: r.AWS, Name: name, Manifest: manifest, Config: config}
}

// push puts an image of the tag's name into the repository.
func (r *relay) push(tag string) tasuki.Digest {
	r.t.Helper()
	s := r.source(tag)
	if err := r.Push(r.handoff.Repository, mustTag(tag), [][]byte{s.Config}, s.Manifest); err != nil {
		r.t.Fatal(err)
	}
	return s.Manifest.Digest
}

// deploy creates the function as the infra side does.
func (r *relay) deploy() {
	r.t.Helper()
	resolution, err := r.resolver().Resolve(r.t.Context(), r.handoff)
	if err != nil {
		r.t.Fatal(err)
	}
	r.CreateFunction("orders", resolution.Image, tasuki.X86_64)
}

func (r *relay) release(tag string) (tasuki.Released, error) {
	return r.releaser().Release(r.t.Context(), r.handoff, tasuki.ReleaseRequest{Tag: mustTag(tag)})
}

func (r *relay) mustRelease(tag string) tasuki.Released {
	r.t.Helper()
	released, err := r.release(tag)
	if err != nil {
		r.t.Fatal(err)
	}
	return released
}

// runs returns the digest that the function runs.
func (r *relay) runs() tasuki.Digest {
	r.t.Helper()
	f, err := r.Function(context.Background(), "orders")
	if err != nil {
		r.t.Fatal(err)
	}
	return f.Digest
}

func (r *relay) registered() string {
	version, err := r.ReadTag(context.Background(), r.handoff.TagParameter)
	if errors.Is(err, tasuki.ErrMissing) {
		return ""
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return version.Value
}

func (r *relay) warned() (warnings []string) {
	for _, e := range r.events {
		if e.Warning {
			warnings = append(warnings, e.Text)
		}
	}
	return warnings
}

func TestFirstDeployTakesThePlaceholder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		started := time.Now()
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil {
			t.Fatal(err)
		}
		if resolution.Origin != tasuki.OriginPlaceholder || resolution.Digest != r.source("placeholder").Manifest.Digest {
			t.Errorf("resolved to %+v", resolution)
		}
		if took := time.Since(started); took < 5*time.Second {
			t.Errorf("the parameter's absence was believed after %s", took)
		}
	})
}

func TestAParameterThatSaysInitialIsNoRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.PutParameter(r.handoff.TagParameter, "initial", "String")
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Origin != tasuki.OriginPlaceholder {
			t.Fatalf("%+v, %v", resolution, err)
		}
		digest := r.push("v1")
		r.CreateFunction("orders", tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digest)}, tasuki.X86_64)
		resolution, err = r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Origin != tasuki.OriginFunction || resolution.Digest != digest {
			t.Fatalf("a function that runs v1: %+v, %v", resolution, err)
		}
	})
}

func TestReleaseThenDeployThenRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.UpdateTakes = 3 * time.Second
		r.deploy()
		v1 := r.source("v1")
		released, err := r.releaser().Release(t.Context(), r.handoff, tasuki.ReleaseRequest{Tag: mustTag("v1"), Source: v1})
		if err != nil {
			t.Fatal(err)
		}
		if r.runs() != v1.Manifest.Digest || r.registered() != "v1" || !released.Functions[0].Changed() || released.SupersededBy != nil {
			t.Errorf("after v1: runs %s, registered %q, %+v", r.runs(), r.registered(), released)
		}
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Origin != tasuki.OriginParameter || resolution.Digest != v1.Manifest.Digest {
			t.Errorf("resolved to %+v, %v", resolution, err)
		}
		v2 := r.push("v2")
		if r.mustRelease("v2"); r.runs() != v2 || r.registered() != "v2" {
			t.Errorf("after v2: runs %s, registered %q", r.runs(), r.registered())
		}
	})
}

func TestReleaseAgainChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		r.mustRelease("v1")
		var writes []string
		r.Before = func(operation, _ string) error {
			if operation == "WriteTag" || operation == "UpdateCode" {
				writes = append(writes, operation)
			}
			return nil
		}
		if released := r.mustRelease("v1"); !released.Unchanged || len(writes) > 0 {
			t.Errorf("a release again wrote %v: %+v", writes, released)
		}
	})
}

// failures are the ways in which the parameter cannot be read.
var failures = map[string]error{"denied": tasuki.ErrDenied, "throttled": tasuki.ErrThrottled, "unavailable": tasuki.ErrUnavailable}

func TestUnreadableIsNeverMissing(t *testing.T) {
	for name, kind := range failures {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy()
				before := r.runs()
				r.push("v1")
				r.Before = func(operation, _ string) error {
					switch operation {
					case "ReadTag":
						return &tasuki.Error{Op: "read", Side: tasuki.SideTag, Kind: kind}
					case "UpdateCode", "WriteTag":
						t.Errorf("%s after an unreadable parameter", operation)
					}
					return nil
				}
				_, err := r.resolver().Resolve(t.Context(), r.handoff)
				if !errors.Is(err, kind) {
					t.Errorf("resolve: %v", err)
				}
				if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); !errors.Is(err, kind) {
					t.Errorf("reconcile: %v", err)
				}
				if _, err := r.release("v1"); !errors.Is(err, kind) {
					t.Errorf("release: %v", err)
				}
				if _, err := r.registrar().Register(t.Context(), r.handoff, mustTag("v1"), tasuki.Provenance{}); !errors.Is(err, kind) {
					t.Errorf("register: %v", err)
				}
				r.Before = nil
				if r.runs() != before {
					t.Error("the function was changed")
				}
			})
		})
	}
}

func TestStaleMissingIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		v1 := r.push("v1")
		r.mustRelease("v1")
		for stale := 1; stale <= 4; stale++ {
			reads := 0
			r.Before = func(operation, _ string) error {
				if operation == "ReadTag" {
					if reads++; reads <= stale {
						return &tasuki.Error{Op: "read", Side: tasuki.SideTag, Kind: tasuki.ErrMissing}
					}
				}
				return nil
			}
			resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
			if err != nil || resolution.Digest != v1 || resolution.Origin != tasuki.OriginParameter {
				t.Errorf("after %d stale reads: %+v, %v", stale, resolution, err)
			}
		}
	})
}

func TestHostileParameterStopsResolveAndIsMendedByRelease(t *testing.T) {
	for _, value := range hostile {
		if value == "" {
			continue // SSM takes no empty value
		}
		t.Run(fmt.Sprintf("%.20q", value), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy()
				r.PutParameter(r.handoff.TagParameter, value, "String")
				if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); !errors.Is(err, tasuki.ErrInvalid) {
					t.Errorf("reconcile: %v", err)
				}
				v1 := r.push("v1")
				if r.mustRelease("v1"); r.runs() != v1 || r.registered() != "v1" {
					t.Errorf("after a release: runs %s, registered %q", r.runs(), r.registered())
				}
			})
		})
	}
}

func TestSecureStringIsRefusedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		r.PutParameter(r.handoff.TagParameter, "v1", "SecureString")
		if _, err := r.resolver().Resolve(t.Context(), r.handoff); !errors.Is(err, tasuki.ErrInvalid) {
			t.Errorf("resolve: %v", err)
		}
		if _, err := r.release("v1"); !errors.Is(err, tasuki.ErrInvalid) {
			t.Errorf("release: %v", err)
		}
	})
}

func TestRegisteredTagThatIsNotInECRStopsBeforeTheFunction(t *testing.T) { // S7
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		before := r.runs()
		r.PutParameter(r.handoff.TagParameter, "v9", "String")
		_, err := r.reconciler().Reconcile(t.Context(), r.handoff)
		if !errors.Is(err, tasuki.ErrMissing) || !strings.Contains(err.Error(), "v9") || !strings.Contains(err.Error(), r.handoff.Repository.String()) {
			t.Errorf("%v does not name the tag and the repository", err)
		}
		if r.runs() != before {
			t.Error("the function was changed")
		}
	})
}

func TestDeletedParameterKeepsTheImage(t *testing.T) { // S5, and S20 without the function
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		v1 := r.push("v1")
		r.mustRelease("v1")
		r.DeleteParameter(r.handoff.TagParameter)
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Origin != tasuki.OriginFunction || resolution.Digest != v1 || len(resolution.Warnings) == 0 {
			t.Errorf("%+v, %v", resolution, err)
		}
		if err := r.Push(r.handoff.Repository, tasuki.TagLive, nil, r.source("v1").Manifest); err != nil {
			t.Fatal(err)
		}
		r.DeleteFunction("orders")
		if _, err := r.resolver().Resolve(t.Context(), r.handoff); !errors.Is(err, tasuki.ErrRefused) {
			t.Errorf("a repository that has had a release: %v, want a refusal", err)
		}
	})
}

func TestMovedTagKeepsTheReleasedDigest(t *testing.T) { // S22
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		v1 := r.push("v1")
		r.mustRelease("v1")
		other := r.source("other")
		if err := r.Push(r.handoff.Repository, mustTag("v1"), [][]byte{other.Config}, other.Manifest); err != nil {
			t.Fatal(err)
		}
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Digest != v1 || len(resolution.Warnings) != 1 {
			t.Errorf("%+v, %v", resolution, err)
		}
	})
}

func TestImageThatLambdaRefusesIsUndone(t *testing.T) { // S10
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first release %v", first), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.UpdateTakes = time.Second
				r.deploy()
				want := ""
				if !first {
					r.push("v1")
					r.mustRelease("v1")
					want = "v1"
				}
				before := r.runs()
				broken := r.push("broken")
				r.UpdateFails = func(d tasuki.Digest) string {
					if d == broken {
						return "InvalidImage: no entrypoint"
					}
					return ""
				}
				_, err := r.release("broken")
				var undo *tasuki.UndoError
				if err == nil || errors.As(err, &undo) || !strings.Contains(err.Error(), "no entrypoint") {
					t.Errorf("%v", err)
				}
				if r.runs() != before || r.registered() != want {
					t.Errorf("runs %s, registered %q", r.runs(), r.registered())
				}
			})
		})
	}
}

func TestUndoThatFailsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		down := false
		r.Before = func(operation, _ string) error {
			if operation == "WriteTag" {
				down = true
			}
			if down {
				return &tasuki.Error{Op: operation, Kind: tasuki.ErrDenied}
			}
			return nil
		}
		_, err := r.release("v1")
		var undo *tasuki.UndoError
		if !errors.As(err, &undo) || !strings.Contains(undo.Hint, "tasuki reconcile orders") {
			t.Errorf("%v", err)
		}
	})
}

func TestLostAnswerOfTheRegistrationIsFound(t *testing.T) {
	for answer, kind := range map[string]error{
		"none": tasuki.ErrUnavailable, "another write is under way, to a retry": tasuki.ErrConflict,
	} {
		t.Run(answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy()
				v1 := r.push("v1")
				r.After = func(operation, _ string) error {
					if operation == "WriteTag" {
						return &tasuki.Error{Op: "write", Kind: kind}
					}
					return nil
				}
				if _, err := r.release("v1"); err != nil || r.runs() != v1 || r.registered() != "v1" {
					t.Errorf("%v; runs %s, registered %q", err, r.runs(), r.registered())
				}
			})
		})
	}
}

func TestRegistrationThatWasNotDoneIsUndone(t *testing.T) {
	for _, kind := range []error{tasuki.ErrUnavailable, tasuki.ErrThrottled, tasuki.ErrConflict, tasuki.ErrDenied} {
		t.Run(kind.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy()
				v1 := r.push("v1")
				r.mustRelease("v1")
				r.push("v2")
				r.Before = func(operation, _ string) error {
					if operation == "WriteTag" {
						return &tasuki.Error{Op: "write", Kind: kind}
					}
					return nil
				}
				_, err := r.release("v2")
				var undo *tasuki.UndoError
				if !errors.Is(err, kind) || errors.As(err, &undo) || r.runs() != v1 || r.registered() != "v1" {
					t.Errorf("%v; runs %s, registered %q", err, r.runs(), r.registered())
				}
			})
		})
	}
}

func TestLostAnswerOfTheUpdateIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.UpdateTakes = time.Second
		r.deploy()
		v1 := r.push("v1")
		lost := 0
		r.After = func(operation, _ string) error {
			if operation == "UpdateCode" {
				if lost++; lost == 1 {
					return &tasuki.Error{Op: "update", Kind: tasuki.ErrConflict} // what a retry of the SDK's is told
				}
			}
			return nil
		}
		if _, err := r.release("v1"); err != nil || r.runs() != v1 || lost != 1 {
			t.Errorf("%v; runs %s after %d updates", err, r.runs(), lost)
		}
	})
}

func TestReconcileReadsAgain(t *testing.T) { // S18
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		v2 := r.push("v2")
		r.mustRelease("v1")
		placeholder := r.source("placeholder").Manifest.Digest
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = placeholder })
		raced := false
		r.Before = func(operation, _ string) error {
			if operation == "UpdateCode" && !raced {
				raced = true
				r.mustRelease("v2") // completes between reconcile's read and its write
			}
			return nil
		}
		if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); err != nil {
			t.Fatal(err)
		}
		if r.runs() != v2 || r.registered() != "v2" {
			t.Errorf("runs %s, registered %q", r.runs(), r.registered())
		}
	})
}

func TestPausesAfterAConflictDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		r.mustRelease("v1")
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = r.source("v2").Manifest.Digest })
		r.Before = func(operation, _ string) error {
			if operation == "UpdateCode" {
				return &tasuki.Error{Op: "update", Kind: tasuki.ErrConflict}
			}
			return nil
		}
		within := func(random float64) time.Duration {
			began := time.Now()
			reconciler := r.reconciler()
			reconciler.Random = func() float64 { return random }
			if _, err := reconciler.Reconcile(t.Context(), r.handoff); !errors.Is(err, tasuki.ErrConflict) {
				t.Fatalf("got %v, want a conflict", err)
			}
			return time.Since(began)
		}
		whole, shortened := within(0), within(0.5)
		if whole < 30*time.Second || whole > 2*time.Minute || (shortened-whole*3/4).Abs() > time.Millisecond {
			t.Errorf("reconcile gave up after %v, and with shortened pauses after %v", whole, shortened)
		}
	})
}

func TestPanicsReachTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.Before = func(string, string) error { panic("a mistake") }
		defer func() {
			if text := fmt.Sprint(recover()); !strings.Contains(text, "a mistake") {
				t.Errorf("recovered %s", text)
			}
		}()
		_, err := r.release("v1") // reads all at once
		t.Errorf("no panic, but %v", err)
	})
}

func TestSupersededReleaseIsTold(t *testing.T) { // S12
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		v2 := r.push("v2")
		raced := false
		r.After = func(operation, _ string) error {
			if operation == "WriteTag" && !raced {
				raced = true
				r.mustRelease("v2")
			}
			return nil
		}
		released, err := r.release("v1")
		if err != nil {
			t.Fatal(err)
		}
		if released.SupersededBy == nil || released.SupersededBy.Tag != mustTag("v2") || r.runs() != v2 {
			t.Errorf("superseded by %+v; runs %s", released.SupersededBy, r.runs())
		}
	})
}

func TestReleaseRefusesBeforeAnythingChanges(t *testing.T) { // S16
	cases := map[string]func(r *relay) error{
		"missing tag": func(r *relay) error { _, err := r.release("v9"); return err },
		"placeholder's tag": func(r *relay) error {
			_, err := r.release("initial")
			return err
		},
		"zip function": func(r *relay) error {
			r.push("v1")
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.PackageType = "Zip" })
			_, err := r.release("v1")
			return err
		},
		"wrong architecture": func(r *relay) error {
			r.push("v1")
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.Architecture = tasuki.ARM64 })
			_, err := r.release("v1")
			return err
		},
		"wrong architecture from a source": func(r *relay) error {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.Architecture = tasuki.ARM64 })
			_, err := r.releaser().Release(r.t.Context(), r.handoff, tasuki.ReleaseRequest{Tag: mustTag("v1"), Source: r.source("v1")})
			return err
		},
		"no function": func(r *relay) error {
			r.push("v1")
			r.DeleteFunction("orders")
			_, err := r.release("v1")
			return err
		},
	}
	for name, attempt := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy()
				r.Before = func(operation, _ string) error {
					if operation == "UpdateCode" || operation == "WriteTag" {
						t.Errorf("%s before the refusal", operation)
					}
					return nil
				}
				err := attempt(r)
				var undo *tasuki.UndoError
				if err == nil || errors.As(err, &undo) || strings.Contains(err.Error(), "\n") {
					t.Errorf("refused with %v", err)
				}
			})
		})
	}
}

func TestIndexWithAttestationsIsResolvedToItsChild(t *testing.T) { // S15
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		amd, amdConfig := memory.Image(tasuki.X86_64, "amd", nil)
		arm, armConfig := memory.Image(tasuki.ARM64, "arm", nil)
		index := memory.Index(map[tasuki.Architecture]tasuki.Manifest{tasuki.X86_64: amd, tasuki.ARM64: arm})
		if err := r.Push(r.handoff.Repository, mustTag("v1"), [][]byte{amdConfig, armConfig}, index, amd, arm); err != nil {
			t.Fatal(err)
		}
		released := r.mustRelease("v1")
		if r.runs() != amd.Digest || released.Digest != amd.Digest {
			t.Errorf("runs %s, want the child %s of %s", r.runs(), amd.Digest, index.Digest)
		}
		if !slices.ContainsFunc(r.events, func(e tasuki.Event) bool { return strings.Contains(e.Text, amd.Digest.String()) }) {
			t.Errorf("the child's digest was not said: %v", r.events)
		}
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Digest != amd.Digest || len(resolution.Warnings) != 0 {
			t.Errorf("%+v, %v", resolution, err)
		}
	})
}

func TestHandWrittenTagOfAnIndexIsResolvedToItsChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		amd, config := memory.Image(tasuki.X86_64, "amd", nil)
		index := memory.Index(map[tasuki.Architecture]tasuki.Manifest{tasuki.X86_64: amd})
		if err := r.Push(r.handoff.Repository, mustTag("v1"), [][]byte{config}, index, amd); err != nil {
			t.Fatal(err)
		}
		r.PutParameter(r.handoff.TagParameter, "v1", "String")
		resolution, err := r.resolver().Resolve(t.Context(), r.handoff)
		if err != nil || resolution.Digest != amd.Digest {
			t.Errorf("%+v, %v", resolution, err)
		}
	})
}

func TestRegisterLeavesTheFunctionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		before, v1 := r.runs(), r.push("v1")
		registered, err := r.registrar().Register(t.Context(), r.handoff, mustTag("v1"), tasuki.Provenance{Commit: "abc", Actor: "me"})
		if err != nil || r.runs() != before || r.registered() != "v1" || registered.Release.Digest() != v1 || registered.Release.Record.Commit != "abc" {
			t.Fatalf("%+v, %v", registered, err)
		}
		if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); err != nil || r.runs() != v1 {
			t.Errorf("reconcile: %v; runs %s", err, r.runs())
		}
	})
}

func TestCancelledReleaseIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		r.mustRelease("v1")
		before := r.runs()
		r.push("v2")
		r.UpdateTakes = 10 * time.Second
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, context.Canceled)
		defer cancel()
		_, err := r.releaser().Release(ctx, r.handoff, tasuki.ReleaseRequest{Tag: mustTag("v2")})
		if !errors.Is(err, context.Canceled) || r.runs() != before || r.registered() != "v1" {
			t.Errorf("%v; runs %s, registered %q", err, r.runs(), r.registered())
		}
	})
}

func TestStatusAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.deploy()
		r.push("v1")
		status := func() tasuki.Status {
			t.Helper()
			s, err := r.reconciler().Status(t.Context(), r.handoff)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if s := status(); s.Registered != nil || !s.Functions[0].Placeholder || len(s.Disagreements) > 0 {
			t.Errorf("before a release: %+v", s)
		}
		r.mustRelease("v1")
		if s := status(); s.Registered == nil || s.Functions[0].Placeholder || len(s.Disagreements) > 0 {
			t.Errorf("after a release: %+v", s)
		}
		placeholder := r.source("placeholder").Manifest.Digest
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = placeholder })
		if s := status(); !s.Functions[0].Placeholder || len(s.Disagreements) != 1 {
			t.Errorf("on the placeholder again: %+v", s)
		}
		r.PutParameter(r.handoff.TagParameter, "by-hand", "String")
		entries, err := tasuki.History(t.Context(), r.AWS, r.handoff)
		if err != nil || len(entries) != 2 || entries[0].Tag != "by-hand" || entries[0].Record != nil || entries[1].Record == nil || !entries[0].Current {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}
