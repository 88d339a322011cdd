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

// TestDeploymentInARollback: the source of the earlier deployment is gone.
func TestDeploymentInARollback(t *testing.T) {
	pinned := func(r *relay) customresource.Deployment {
		d := deployment()
		d.Source = "docker://docker.io/library/nginx@" + r.push("old", tasuki.ARM64).String()
		return d
	}
	for name, test := range map[string]struct {
		status  string
		unknown error
		prepare func(r *relay) (customresource.Deployment, tasuki.Digest) // zero for a failure
	}{
		"the tag's": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				return deployment(), r.push("v1", tasuki.ARM64)
			},
		},
		"the source's own, and the tag was moved": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				r.push("v1", tasuki.ARM64)
				return pinned(r), memoryDigest(tasuki.ARM64, "old", nil)
			},
		},
		"the source's own, without a tag": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				d := pinned(r)
				d.Tag = ""
				return d, memoryDigest(tasuki.ARM64, "old", nil)
			},
		},
		"the source's own is not here": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				d := pinned(r)
				r.DeleteImage(r.handoff.Repository, memoryDigest(tasuki.ARM64, "old", nil))
				return d, r.push("v1", tasuki.ARM64)
			},
		},
		"of an index one image was taken": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				image, config := memory.Image(tasuki.ARM64, "v1", nil)
				index := memory.Index(map[tasuki.Architecture]tasuki.Manifest{tasuki.ARM64: image})
				if err := r.Push(r.handoff.Repository, tasuki.Tag{}, [][]byte{config}, image, index); err != nil {
					r.t.Fatal(err)
				}
				d := deployment()
				d.Source += "@" + index.Digest.String()
				return d, r.push("v1", tasuki.ARM64)
			},
		},
		"ECR cannot be read for a while": {
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				digest, calls := r.push("v1", tasuki.ARM64), 0
				r.Before = func(operation, _ string) error {
					if calls++; operation == "Manifests" && calls < 5 {
						return failure(tasuki.ErrThrottled)
					}
					return nil
				}
				return deployment(), digest
			},
		},
		"nothing is there": {
			prepare: func(*relay) (customresource.Deployment, tasuki.Digest) { return deployment(), tasuki.Digest{} },
		},
		"no rollback": {
			status: "UPDATE_IN_PROGRESS",
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				r.push("v1", tasuki.ARM64)
				return deployment(), tasuki.Digest{}
			},
		},
		"status unknown": {
			unknown: failure(tasuki.ErrDenied),
			prepare: func(r *relay) (customresource.Deployment, tasuki.Digest) {
				r.push("v1", tasuki.ARM64)
				return deployment(), tasuki.Digest{}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
					return tasuki.Digest{}, nil, errors.New("the source is gone")
				})
				d, want := test.prepare(r)
				r.stacks.status, r.stacks.statusErr = "UPDATE_ROLLBACK_IN_PROGRESS", test.unknown
				if test.status != "" {
					r.stacks.status = test.status
				}
				a := r.ask(update, customresource.TypeDeployment, "before", d)
				if want.IsZero() {
					r.wantFailed(a, "the source is gone")
					return
				}
				id := "tasuki-image-deployment/" + repository
				if d.Tag != "" {
					id += ":" + d.Tag
					if got := r.TaggedImages(r.handoff.Repository)[d.Tag]; got != want {
						t.Errorf("the tag names %s, want %s", got, want)
					}
				}
				if a.Status != success || a.Data["Digest"] != want.String() || a.Data["ImageUri"] != repository+"@"+want.String() || a.PhysicalResourceID != id || !strings.Contains(a.Reason, "during the rollback") {
					t.Errorf("answered %s, want %s", a, want)
				}
			})
		})
	}
}

func TestDeploymentInARollbackWhoseTagStays(t *testing.T) {
	r := newRelay(t)
	old := r.push("old", tasuki.ARM64)
	r.push("v1", tasuki.ARM64)
	r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
		return tasuki.Digest{}, nil, errors.New("the source is gone")
	})
	r.stacks.status = "UPDATE_ROLLBACK_IN_PROGRESS"
	r.failing("TagImage", tasuki.ErrConflict)
	d := deployment()
	d.Source += "@" + old.String()
	if a := r.ask(update, customresource.TypeDeployment, "before", d); a.Status != success || a.Data["Digest"] != old.String() || !strings.Contains(a.Reason, "tag v1 could not be put back") {
		t.Errorf("answered %s", a)
	}
}

func TestPlaceholderInARollback(t *testing.T) {
	r := newRelay(t)
	p := customresource.Placeholder{Repository: repository, Tag: "initial", Architecture: "arm64"}
	first := r.ask(create, customresource.TypePlaceholder, "", p)
	r.stacks.status = "UPDATE_ROLLBACK_IN_PROGRESS"
	p.Architecture = "x86_64"
	a := r.ask(update, customresource.TypePlaceholder, first.PhysicalResourceID, p)
	if a.Status != success || a.PhysicalResourceID != first.PhysicalResourceID || a.Data["Digest"] != first.Data["Digest"] || a.Data["ImageUri"] != first.Data["ImageUri"] {
		t.Errorf("answered %s, and at first %s", a, first)
	}
	p.Tag = "other" // which is not there, and cannot be put there
	r.handler.Reconciler.Rules = func(tasuki.Image, tasuki.Architecture) []tasuki.Finding {
		return []tasuki.Finding{{Severity: tasuki.SeverityError, Summary: "not for Lambda"}}
	}
	r.wantFailed(r.ask(update, customresource.TypePlaceholder, first.PhysicalResourceID, p), "not for Lambda")
}

func TestAliasInARollback(t *testing.T) {
	for name, unknown := range map[string]error{"rolling back": nil, "status unknown": failure(tasuki.ErrDenied)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
				first := r.ask(create, customresource.TypeAlias, "", aliasProperties("live"))
				r.stacks.status, r.stacks.statusErr = "UPDATE_ROLLBACK_IN_PROGRESS", unknown
				// The function is being updated for ever.
				r.ChangeFunction(function, func(f *tasuki.Function) { f.UpdateStatus = "InProgress" })
				ctx, cancel := contextWithin(t, time.Minute)
				defer cancel()
				a := r.askWithin(ctx, update, customresource.TypeAlias, first.PhysicalResourceID, customresource.Properties(aliasProperties("live")))
				if a.String() != first.String() {
					t.Errorf("answered %s, and at first %s", a, first)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t)
		r.stacks.status = "UPDATE_ROLLBACK_IN_PROGRESS"
		r.wantFailed(r.ask(update, customresource.TypeAlias, "tasuki-alias/orders/live", aliasProperties("live")), "missing")
	})
}
