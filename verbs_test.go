package tasuki_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/memory"
	"github.com/tasuki-dev/tasuki/lambdaimage"
)

func (r *relay) rollbacker() tasuki.Rollbacker {
	return tasuki.Rollbacker{Reconciler: r.reconciler(), History: r.AWS, Writer: r.AWS}
}

func (r *relay) rollback(to string) (tasuki.RolledBack, error) {
	var tag tasuki.Tag
	if to != "" {
		tag = mustTag(to)
	}
	return r.rollbacker().Rollback(r.t.Context(), r.handoff, tasuki.RollbackRequest{To: tag})
}

// released is a relay with releases, oldest first.
func released(t *testing.T, tags ...string) (*relay, []tasuki.Digest) {
	r := newRelay(t)
	r.deploy()
	var digests []tasuki.Digest
	for _, tag := range tags {
		digests = append(digests, r.push(tag))
		r.mustRelease(tag)
	}
	return r, digests
}

func TestRollbackGoesToThePreviousRelease(t *testing.T) { // S13
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2", "v3")
		back, err := r.rollback("")
		if err != nil || r.runs() != digests[1] || r.registered() != "v2" || back.Previous.Tag != mustTag("v3") {
			t.Fatalf("%+v, %v; runs %s, registered %q", back, err, r.runs(), r.registered())
		}
		if again, err := r.rollback(""); err != nil || !again.Unchanged || r.registered() != "v2" {
			t.Fatalf("again, as after a kill: %+v, %v; registered %q", again, err, r.registered())
		}
		if _, err := r.rollback("v1"); err != nil || r.runs() != digests[0] {
			t.Fatalf("to v1: %v; runs %s", err, r.runs())
		}
		if again, err := r.rollback("v1"); err != nil || !again.Unchanged {
			t.Fatalf("to v1 again: %+v, %v", again, err)
		}
	})
}

func TestRegisterDoesNotBelieveOneStaleRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1", "v2")
		history, err := r.TagHistory(t.Context(), r.handoff.TagParameter)
		if err != nil {
			t.Fatal(err)
		}
		registrar := r.registrar()
		registrar.Tags = staleTags{history[1]}
		if _, err := registrar.Register(t.Context(), r.handoff, mustTag("v1"), tasuki.Provenance{}); err != nil || r.registered() != "v1" {
			t.Errorf("%v; registered %q", err, r.registered())
		}
	})
}

// staleTags answers one version, whatever was written since.
type staleTags struct{ version tasuki.ParameterVersion }

func (s staleTags) ReadTag(context.Context, tasuki.ParameterName) (tasuki.ParameterVersion, error) {
	return s.version, nil
}

func TestRollbackGoesToWhatWasReleasedNotToWhereTheTagWasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2")
		other := r.source("other")
		if err := r.Push(r.handoff.Repository, mustTag("v1"), [][]byte{other.Config}, other.Manifest); err != nil {
			t.Fatal(err)
		}
		if _, err := r.rollback("v1"); err != nil || r.runs() != digests[0] {
			t.Fatalf("%v; runs %s", err, r.runs())
		}
	})
}

func TestRollbackRefusals(t *testing.T) {
	cases := map[string]struct {
		prepare func(r *relay, digests []tasuki.Digest)
		to      string
		kind    error
	}{
		"the image is gone": {func(r *relay, digests []tasuki.Digest) { r.DeleteImage(r.handoff.Repository, digests[0]) }, "", tasuki.ErrMissing},
		"never released":    {func(r *relay, _ []tasuki.Digest) { r.push("v9") }, "v9", tasuki.ErrRefused},
		"no history":        {func(r *relay, _ []tasuki.Digest) { r.DeleteParameter(r.handoff.TagParameter) }, "", tasuki.ErrMissing},
		"another architecture": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.Architecture = tasuki.ARM64 })
		}, "", tasuki.ErrRefused},
		"denied": {func(r *relay, _ []tasuki.Digest) {
			r.Before = func(operation, _ string) error {
				if operation == "TagHistory" {
					return &tasuki.Error{Kind: tasuki.ErrDenied}
				}
				return nil
			}
		}, "", tasuki.ErrDenied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1", "v2")
				c.prepare(r, digests)
				before := r.Before
				var wrote atomic.Bool
				r.Before = func(operation, subject string) error {
					if operation == "WriteTag" || operation == "UpdateCode" {
						wrote.Store(true)
					}
					if before != nil {
						return before(operation, subject)
					}
					return nil
				}
				if _, err := r.rollback(c.to); !errors.Is(err, c.kind) || wrote.Load() {
					t.Errorf("%v; wrote %v", err, wrote.Load())
				}
				r.Before = nil
				if r.runs() != digests[1] {
					t.Error("the function was changed")
				}
			})
		})
	}
}

func TestRollbackOfTheOnlyReleaseIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		if _, err := r.rollback(""); !errors.Is(err, tasuki.ErrRefused) {
			t.Error(err)
		}
	})
}

// answering makes the images of some tags answer what a test says.
func (r *relay) answering(answers map[tasuki.Digest]tasuki.Answer) {
	r.Answers = func(digest tasuki.Digest, _ []byte) tasuki.Answer {
		if answer, ok := answers[digest]; ok {
			return answer
		}
		return tasuki.Answer{Payload: []byte(`{"status":"ok","detail":{"version":2,"extra":true}}`)}
	}
}

func (r *relay) smoke(tag string, tests ...tasuki.SmokeTest) (tasuki.Released, error) {
	releaser := r.releaser()
	releaser.Invoker = r.AWS
	return releaser.Release(r.t.Context(), r.handoff, tasuki.ReleaseRequest{Tag: mustTag(tag), Smoke: tests})
}

func TestSmokeTest(t *testing.T) { // S10
	test := func(expect string) tasuki.SmokeTest {
		s := tasuki.SmokeTest{Name: "health.json", Payload: []byte(`{}`)}
		if expect != "" {
			s.Expect = []byte(expect)
		}
		return s
	}
	answer := func(payload, failure string) tasuki.Answer {
		return tasuki.Answer{Payload: []byte(payload), Failure: failure}
	}
	cases := map[string]struct {
		answer tasuki.Answer
		test   tasuki.SmokeTest
		fails  string // what the error says; "" for success
	}{
		"nothing expected":       {answer(`{"a":1}`, ""), test(""), ""},
		"a subset":               {answer(`{"status":"ok","detail":{"version":2,"extra":true}}`, ""), test(`{"detail":{"version":2}}`), ""},
		"the function fails":     {answer(`{"errorType":"Runtime.ExitError"}`, "Unhandled"), test(""), "Runtime.ExitError"},
		"another value":          {answer(`{"detail":{"version":1}}`, ""), test(`{"detail":{"version":2}}`), "$.detail.version"},
		"a missing member":       {answer(`{"detail":{}}`, ""), test(`{"detail":{"version":2}}`), "$.detail.version"},
		"another type":           {answer(`[1]`, ""), test(`{"detail":1}`), "at $"},
		"a list is whole":        {answer(`{"l":[1,2]}`, ""), test(`{"l":[1]}`), "$.l"},
		"no JSON":                {answer(`oops`, ""), test(`{}`), "not JSON"},
		"an expectation of null": {answer(`{"a":null}`, ""), test(`{"a":null}`), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1")
				v2 := r.push("v2")
				r.answering(map[tasuki.Digest]tasuki.Answer{v2: c.answer})
				_, err := r.smoke("v2", c.test)
				if c.fails == "" {
					if err != nil || r.runs() != v2 || r.registered() != "v2" {
						t.Errorf("%v; runs %s, registered %q", err, r.runs(), r.registered())
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.fails) || !strings.Contains(err.Error(), "health.json") {
					t.Errorf("%v does not say %q", err, c.fails)
				}
				if r.runs() != digests[0] || r.registered() != "v1" {
					t.Errorf("runs %s, registered %q", r.runs(), r.registered())
				}
			})
		})
	}
}

func TestReconcileDuringASmokeTestIsNoticed(t *testing.T) { // S25
	for _, alias := range []string{"", "live"} {
		t.Run("alias "+alias, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := released(t, "v1")
				r.handoff.Functions[0].Alias = alias
				v2 := r.push("v2")
				var tested []tasuki.Digest
				r.Answers = func(digest tasuki.Digest, _ []byte) tasuki.Answer {
					tested = append(tested, digest)
					return tasuki.Answer{Payload: []byte("{}")}
				}
				raced := false
				r.Before = func(operation, _ string) error {
					if operation == "Invoke" && !raced {
						raced = true
						if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); err != nil {
							t.Error(err)
						}
					}
					return nil
				}
				if _, err := r.smoke("v2", tasuki.SmokeTest{Name: "s", Payload: []byte("{}")}); err != nil {
					t.Fatal(err)
				}
				if r.runs() != v2 || r.registered() != "v2" || tested[len(tested)-1] != v2 {
					t.Errorf("runs %s, registered %q, tested %v", r.runs(), r.registered(), tested)
				}
			})
		})
	}
}

// aliased returns the digest that the function's alias points to.
func (r *relay) aliased(name string) tasuki.Digest {
	r.t.Helper()
	alias, err := r.Alias(context.Background(), "orders", name)
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := r.Function(context.Background(), "orders:"+alias.Version)
	if err != nil {
		r.t.Fatal(err)
	}
	return f.Digest
}

func TestAliasFollowsReleases(t *testing.T) { // S21
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.handoff.Functions[0].Alias = "live"
		r.UpdateTakes = time.Second
		r.deploy()
		v1 := r.push("v1")
		r.Before = func(operation, _ string) error {
			if operation == "MoveAlias" && r.registered() == "" {
				t.Error("the alias was moved before the release was registered")
			}
			return nil
		}
		released := r.mustRelease("v1")
		if r.aliased("live") != v1 || released.Functions[0].Version != "1" || released.Functions[0].Alias != "live" {
			t.Errorf("after v1: alias on %s; %+v", r.aliased("live"), released)
		}
		v2 := r.push("v2")
		r.mustRelease("v2")
		if r.aliased("live") != v2 {
			t.Error("after v2 the alias is behind")
		}
		if err := r.MoveAlias(t.Context(), tasuki.AliasMove{Function: "orders", Alias: "live", Version: "1", RevisionID: r.aliasRevision("live")}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.reconciler().Reconcile(t.Context(), r.handoff); err != nil || r.aliased("live") != v2 {
			t.Errorf("somebody moved the alias, and reconcile left it: %v", err)
		}
		if _, err := r.rollback("v1"); err != nil || r.aliased("live") != v1 || r.runs() != v1 {
			t.Errorf("rollback: %v; alias on %s", err, r.aliased("live"))
		}
	})
}

func (r *relay) aliasRevision(name string) string {
	alias, err := r.Alias(context.Background(), "orders", name)
	if err != nil {
		r.t.Fatal(err)
	}
	return alias.RevisionID
}

func TestGateIsAskedBeforeAnythingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		source := r.source("v2")
		var asked tasuki.Candidate
		r.Before = func(operation, _ string) error {
			if operation == "UpdateCode" || operation == "WriteTag" {
				t.Errorf("%s in spite of the gate", operation)
			}
			return nil
		}
		_, err := r.releaser().Release(t.Context(), r.handoff, tasuki.ReleaseRequest{Tag: mustTag("v2"), Source: source, Gate: func(_ context.Context, c tasuki.Candidate) error {
			asked = c
			return errors.New("no signature")
		}})
		if !errors.Is(err, tasuki.ErrRefused) || !strings.Contains(err.Error(), "no signature") {
			t.Errorf("%v", err)
		}
		if asked.Digest != source.Manifest.Digest || asked.Tag != mustTag("v2") || asked.Source == "" {
			t.Errorf("asked about %+v", asked)
		}
		found, err := r.Manifests(t.Context(), r.handoff.Repository, tasuki.ByTag(mustTag("v2")))
		if err != nil || len(found) > 0 || r.runs() != digests[0] {
			t.Errorf("something changed: %v, %v", found, err)
		}
	})
}

func TestTheRegisteredImageIsProtected(t *testing.T) { // S26
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2")
		protected := func() tasuki.Digest {
			t.Helper()
			found, err := r.Manifests(t.Context(), r.handoff.Repository, tasuki.ByTag(tasuki.TagLive))
			if err != nil {
				t.Fatal(err)
			}
			return found[tasuki.ByTag(tasuki.TagLive)].Digest
		}
		if protected() != digests[1] {
			t.Errorf("%s is protected, want v2", protected())
		}
		if _, err := r.rollback(""); err != nil || protected() != digests[0] {
			t.Errorf("after a rollback %s is protected: %v", protected(), err)
		}
		// Where the tag cannot be moved, a release is done all the same, and says so.
		r.Before = func(operation, _ string) error {
			if operation == "TagImage" {
				return &tasuki.Error{Op: "tag", Kind: tasuki.ErrConflict}
			}
			return nil
		}
		r.events = nil
		r.push("v3")
		r.mustRelease("v3")
		if !slices.ContainsFunc(r.warned(), func(w string) bool { return strings.Contains(w, "immutable") }) {
			t.Errorf("warned of %q", r.warned())
		}
	})
}

func TestReleaseAfterTheLiveImageWasDeleted(t *testing.T) { // S26
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		r.DeleteImage(r.handoff.Repository, digests[0])
		status, err := r.reconciler().Status(t.Context(), r.handoff)
		if err != nil || len(status.Disagreements) == 0 {
			t.Errorf("status: %+v, %v", status, err)
		}
		v2 := r.push("v2")
		if r.mustRelease("v2"); r.runs() != v2 || r.registered() != "v2" {
			t.Errorf("runs %s, registered %q", r.runs(), r.registered())
		}
	})
}

func TestOneFunctionOfSeveralFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		r.CreateFunction("worker", tasuki.ImageURI{Repository: r.handoff.Repository, Ref: tasuki.ByDigest(digests[0])}, tasuki.X86_64)
		r.handoff.Functions = append(r.handoff.Functions, tasuki.FunctionTarget{Name: "worker", Architecture: tasuki.X86_64})
		r.push("v2")
		r.UpdateTakes = time.Second
		r.Before = func(operation, subject string) error {
			if operation == "UpdateCode" && subject == "worker" {
				return &tasuki.Error{Op: "update", Side: tasuki.SideFunction, Subject: subject, Kind: tasuki.ErrDenied}
			}
			return nil
		}
		_, err := r.release("v2")
		var undo *tasuki.UndoError
		if !errors.Is(err, tasuki.ErrDenied) || errors.As(err, &undo) {
			t.Errorf("%v", err)
		}
		worker, werr := r.Function(t.Context(), "worker")
		if werr != nil || worker.Digest != digests[0] || r.runs() != digests[0] || r.registered() != "v1" {
			t.Errorf("worker runs %s, orders %s, registered %q: they are not one unit", worker.Digest, r.runs(), r.registered())
		}
	})
}

func (r *relay) examine(source tasuki.InspectedSource, depth *tasuki.Depth) []string {
	r.t.Helper()
	doctor := tasuki.Doctor{Reconciler: r.reconciler(), History: r.AWS, Repositories: r.AWS, Deep: depth}
	found, err := doctor.Examine(r.t.Context(), r.handoff, source)
	if err != nil {
		r.t.Fatal(err)
	}
	var rules []string
	for _, f := range found.Findings {
		if f.Summary == "" || f.Fix == "" {
			r.t.Errorf("%s says nothing", f.Rule)
		}
		rules = append(rules, f.Rule)
	}
	slices.Sort(rules)
	return rules
}

func TestDoctor(t *testing.T) {
	const keepTen = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}]}`
	cases := map[string]struct {
		prepare func(r *relay, digests []tasuki.Digest)
		want    []string
	}{
		"nothing": {func(*relay, []tasuki.Digest) {}, nil},
		"mutable": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "MUTABLE"})
		}, []string{tasuki.RuleMovableTags}},
		"immutable": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE"})
		}, []string{tasuki.RuleUnprotectable}},
		"another exclusion": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"dev-*"}})
		}, []string{tasuki.RuleUnprotectable}},
		"lifecycle": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, LifecyclePolicy: keepTen})
		}, []string{tasuki.RuleLifecycle}},
		"the previous release is gone": {func(r *relay, digests []tasuki.Digest) {
			r.DeleteImage(r.handoff.Repository, digests[0])
		}, []string{tasuki.RuleRollbackGone}},
		"the released image is gone": {func(r *relay, digests []tasuki.Digest) {
			r.DeleteImage(r.handoff.Repository, digests[1])
		}, []string{tasuki.RuleDisagreement, tasuki.RuleDisagreement}},
		"a zip function": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.PackageType, f.Digest = "Zip", tasuki.Digest{} })
		}, []string{tasuki.RulePackageType}},
		"a function elsewhere": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.ARN = "arn:aws:lambda:eu-west-1:000000000000:function:orders" })
		}, []string{tasuki.RuleOtherRegion}},
		"another account's key": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, Encryption: "KMS", KMSKey: "arn:aws:kms:us-east-1:111111111111:key/k"})
		}, []string{tasuki.RuleEncryption}},
		"its own key": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, Encryption: "KMS", KMSKey: "arn:aws:kms:us-east-1:000000000000:key/k"})
		}, nil},
		"the tag names an index": {func(r *relay, digests []tasuki.Digest) {
			released := r.source("v2").Manifest
			index := memory.Index(map[tasuki.Architecture]tasuki.Manifest{tasuki.X86_64: released})
			if err := r.Push(r.handoff.Repository, mustTag("v2"), nil, index); err != nil {
				r.t.Fatal(err)
			}
		}, []string{tasuki.RuleIndexTag}},
		"the image is in an index that a rule spares": {func(r *relay, _ []tasuki.Digest) {
			r.releaseInAnIndex(`{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}`)
		}, []string{tasuki.RuleIndexTag, tasuki.RuleUnprotected}},
		"the image is in an index that a rule takes": {func(r *relay, _ []tasuki.Digest) {
			r.releaseInAnIndex(`{"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}`)
		}, []string{tasuki.RuleIndexTag, tasuki.RuleLifecycle, tasuki.RuleUnprotected}},
		"the released tag was moved, and what it named is under another rule": {func(r *relay, _ []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"},
				LifecyclePolicy: `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["v"],"countType":"imageCountMoreThan","countNumber":3},"action":{"type":"expire"}}]}`})
			if err := r.Push(r.handoff.Repository, mustTag("v2"), nil, r.source("v1").Manifest); err != nil {
				r.t.Fatal(err)
			}
		}, []string{tasuki.RuleDisagreement}},
		"ECR does not give the released image": {func(r *relay, _ []tasuki.Digest) {
			r.Before = func(operation, _ string) error {
				if operation == "Manifests" {
					return &tasuki.Error{Op: "read", Side: tasuki.SideImage, Kind: tasuki.ErrRefused, Err: errors.New("it is archived"), Hint: "Restore it."}
				}
				return nil
			}
		}, []string{tasuki.RuleUnreadable}},
		"ECR does not give the one to roll back to": {func(r *relay, _ []tasuki.Digest) {
			reads := 0
			r.Before = func(operation, _ string) error {
				if operation != "Manifests" {
					return nil
				}
				if reads++; reads == 1 {
					return nil // the status
				}
				return &tasuki.Error{Op: "read", Side: tasuki.SideImage, Kind: tasuki.ErrRefused, Err: errors.New("it is archived")}
			}
		}, []string{tasuki.RuleUnreadable}},
		"unprotected": {func(r *relay, _ []tasuki.Digest) {
			if err := r.Push(r.handoff.Repository, tasuki.TagLive, nil, r.source("v1").Manifest); err != nil {
				r.t.Fatal(err)
			}
		}, []string{tasuki.RuleUnprotected}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1", "v2")
				c.prepare(r, digests)
				if got := r.examine(nil, nil); !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q", got, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1", "v2")
		r.handoff.Functions[0].Architecture = tasuki.ARM64
		if got := r.examine(r.source("v3"), nil); !slices.Contains(got, lambdaimage.RuleArchitecture) {
			t.Errorf("an image for another architecture: found %q", got)
		}
	})
}

// releaseInAnIndex makes the released tag name an index of the image, which has no tag of
// its own then, and gives the repository a lifecycle rule.
func (r *relay) releaseInAnIndex(rule string) {
	r.t.Helper()
	r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, LifecyclePolicy: `{"rules":[` + rule + `]}`})
	index := memory.Index(map[tasuki.Architecture]tasuki.Manifest{tasuki.X86_64: r.source("v2").Manifest})
	if err := r.Push(r.handoff.Repository, mustTag("v2"), nil, index); err != nil {
		r.t.Fatal(err)
	}
	if err := r.Push(r.handoff.Repository, tasuki.TagLive, nil, r.source("v1").Manifest); err != nil {
		r.t.Fatal(err)
	}
}

// What is refused about anything else than an image is a failure of the doctor's.
func TestDoctorThatCannotReadTheFunctionFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		refused := &tasuki.Error{Op: "read", Side: tasuki.SideFunction, Kind: tasuki.ErrRefused}
		r.Before = func(operation, _ string) error {
			if operation == "Function" {
				return refused
			}
			return nil
		}
		doctor := tasuki.Doctor{Reconciler: r.reconciler(), History: r.AWS, Repositories: r.AWS}
		if found, err := doctor.Examine(t.Context(), r.handoff, nil); !errors.Is(err, refused) {
			t.Errorf("found %+v, %v", found, err)
		}
	})
}

// A disagreement is a sentence, and what to do about it is not in it.
func TestDoctorSaysWhatToDoAboutDisagreements(t *testing.T) {
	cases := map[string]struct {
		prepare func(r *relay, digests []tasuki.Digest)
		fix     string
	}{
		"another image runs": {func(r *relay, digests []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = digests[0] })
		}, "Run 'tasuki reconcile orders'."},
		"no function": {func(r *relay, _ []tasuki.Digest) { r.DeleteFunction("orders") }, "Deploy the infrastructure."},
		"no release":  {func(r *relay, _ []tasuki.Digest) { r.DeleteParameter(r.handoff.TagParameter) }, "Register it with 'tasuki register orders --tag TAG'."},
		"no image": {func(r *relay, _ []tasuki.Digest) { r.PutParameter(r.handoff.TagParameter, "v9", "String") },
			"Release again, or register another release: tasuki history orders lists them."},
		"an update": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.UpdateStatus = "InProgress" })
		}, "Look again when the update has ended."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1", "v2")
				c.prepare(r, digests)
				found, err := tasuki.Doctor{Reconciler: r.reconciler(), History: r.AWS, Repositories: r.AWS}.Examine(t.Context(), r.handoff, nil)
				if err != nil {
					t.Fatal(err)
				}
				if f := found.Findings[0]; f.Rule != tasuki.RuleDisagreement || f.Fix != c.fix || strings.Contains(f.Summary, "'tasuki") {
					t.Errorf("%+v, want the fix %q", f, c.fix)
				}
			})
		})
	}
}

func TestDoctorSaysWhatItLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2")
		r.handoff.Functions[0].Alias = "live"
		doctor := tasuki.Doctor{Reconciler: r.reconciler(), History: r.AWS, Repositories: r.AWS}
		found, err := doctor.Examine(t.Context(), r.handoff, r.source("v3"))
		if err != nil {
			t.Fatal(err)
		}
		var looked []string
		for _, e := range found.Examined {
			looked = append(looked, e.What+" "+e.Subject)
			if e.Found == "" {
				t.Errorf("what the %s is, is not said", e.What)
			}
		}
		want := []string{
			"tag parameter /tasuki/orders/image-tag", "function orders", "alias orders:live", "repository " + r.handoff.Repository.String(),
			"release to roll back to v1", "released image v2", "image memory:v3",
		}
		if !slices.Equal(looked, want) || !strings.HasPrefix(found.Examined[5].Found, digests[1].String()) {
			t.Errorf("looked at %q\nwant %q\n%+v", looked, want, found.Examined)
		}
	})
}

func TestRegisteredTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1")
		handoff := func(name string) tasuki.Handoff {
			h := r.handoff
			h.Name = mustHandoff(name)
			h.TagParameter = h.Name.TagParameter()
			return h
		}
		r.PutParameter(handoff("early").TagParameter, "initial", "String")
		r.PutParameter(handoff("hostile").TagParameter, "a@b", "String")
		handoffs := []tasuki.Handoff{handoff("missing"), handoff("orders"), handoff("early"), handoff("hostile")}
		registered, err := tasuki.RegisteredTags(t.Context(), r.AWS, handoffs)
		if err != nil {
			t.Fatal(err)
		}
		if !registered[0].Tag.IsZero() || registered[1].Tag != mustTag("v1") || !registered[2].Tag.IsZero() || !errors.Is(registered[3].Err, tasuki.ErrInvalid) {
			t.Errorf("%+v", registered)
		}
		r.Before = func(operation, _ string) error { return &tasuki.Error{Op: operation, Kind: tasuki.ErrThrottled} }
		if _, err := tasuki.RegisteredTags(t.Context(), r.AWS, handoffs); !errors.Is(err, tasuki.ErrThrottled) {
			t.Errorf("throttled: %v", err)
		}
	})
}
