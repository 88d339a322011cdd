package tasuki_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tasuki-dev/tasuki"
)

// pulls is a repository policy with one statement.
func pulls(effect, principal, actions, condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":` + principal + `,"Action":` + actions + condition + `}]}`
}

const (
	lambdaPrincipal = `{"Service":"lambda.amazonaws.com"}`
	pullActions     = `["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]`
)

func TestDoctorLooksDeep(t *testing.T) {
	const keepTen = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["tasuki-"],"countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}},
		{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}]}`
	deny := pulls("Deny", `"*"`, `"ecr:*"`, "")
	cases := map[string]struct {
		prepare func(r *relay, digests []tasuki.Digest)
		want    []string
	}{
		"nothing":   {func(*relay, []tasuki.Digest) {}, nil},
		"no policy": {func(r *relay, _ []tasuki.Digest) { r.SetPolicy(r.handoff.Repository, "") }, []string{tasuki.RuleNoPull}},
		"one action only": {func(r *relay, _ []tasuki.Digest) {
			r.SetPolicy(r.handoff.Repository, pulls("Allow", lambdaPrincipal, `"ecr:BatchGetImage"`, ""))
		}, []string{tasuki.RuleNoPull}},
		"denied": {func(r *relay, _ []tasuki.Digest) { r.SetPolicy(r.handoff.Repository, deny) }, []string{tasuki.RuleNoPull}},
		"archived": {func(r *relay, digests []tasuki.Digest) {
			r.Archive(r.handoff.Repository, digests[1])
			r.Archive(r.handoff.Repository, digests[0])
		}, []string{tasuki.RuleArchived, tasuki.RuleArchived}},
		"the live image is another one, which a rule takes": {func(r *relay, digests []tasuki.Digest) {
			r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, LifecyclePolicy: keepTen})
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = digests[0] })
		}, []string{tasuki.RuleDisagreement, tasuki.RuleLifecycle}},
		"in another account": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.ARN = "arn:aws:lambda:us-east-1:222222222222:function:orders" })
			r.SetPolicy(r.handoff.Repository, pulls("Allow", lambdaPrincipal, pullActions, `,"Condition":{"StringLike":{"aws:sourceARN":"arn:aws:lambda:us-east-1:111111111111:function:*"}}`))
		}, []string{tasuki.RuleNoPull, tasuki.RuleNoPull}},
		"in another account that may": {func(r *relay, _ []tasuki.Digest) {
			r.ChangeFunction("orders", func(f *tasuki.Function) { f.ARN = "arn:aws:lambda:us-east-1:222222222222:function:orders" })
			r.SetPolicy(r.handoff.Repository, `{"Statement":[
				{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root"]},"Action":`+pullActions+`},
				{"Effect":"Allow","Principal":`+lambdaPrincipal+`,"Action":"ecr:*","Condition":{"StringLike":{"aws:sourceARN":"arn:aws:lambda:us-east-1:222222222222:function:*"}}}]}`)
		}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, digests := released(t, "v1", "v2")
				r.SetPolicy(r.handoff.Repository, pulls("Allow", lambdaPrincipal, pullActions, ""))
				c.prepare(r, digests)
				looked := 0
				depth := &tasuki.Depth{Policies: r.AWS, Stored: r.AWS, Layers: r.AWS, Contents: func(_ context.Context, image tasuki.Image, arch tasuki.Architecture, functions []tasuki.Function, _ tasuki.Layers) (tasuki.Contents, error) {
					looked++
					if image.Digest() != digests[1] || arch != tasuki.X86_64 || len(functions) != 1 {
						t.Errorf("looked into %s for %s and %d functions", image.Digest(), arch, len(functions))
					}
					return tasuki.Contents{}, nil
				}}
				if got := r.examine(nil, depth); !slices.Equal(got, c.want) {
					t.Errorf("found %q, want %q", got, c.want)
				}
				if looked != 1 {
					t.Errorf("looked into the released image %d times", looked)
				}
			})
		})
	}
}

// What the image is tagged besides may bring it under a rule that spares what releases tag.
func TestDoctorKnowsAllTagsWhenItLooksDeep(t *testing.T) {
	const prodFirst = `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["prod"],"countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}},
		{"rulePriority":2,"selection":{"tagStatus":"tagged","tagPrefixList":["tasuki-"],"countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}}]}`
	synctest.Test(t, func(t *testing.T) {
		r, _ := released(t, "v1", "v2")
		r.SetPolicy(r.handoff.Repository, pulls("Allow", lambdaPrincipal, pullActions, ""))
		r.SetUpRepository(r.handoff.Repository, tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}, LifecyclePolicy: prodFirst})
		if err := r.Push(r.handoff.Repository, mustTag("prod"), nil, r.source("v2").Manifest); err != nil {
			t.Fatal(err)
		}
		if got := r.examine(nil, nil); got != nil {
			t.Errorf("found %q without looking deep", got)
		}
		depth := &tasuki.Depth{Policies: r.AWS, Stored: r.AWS, Layers: r.AWS, Contents: func(context.Context, tasuki.Image, tasuki.Architecture, []tasuki.Function, tasuki.Layers) (tasuki.Contents, error) {
			return tasuki.Contents{}, nil
		}}
		if got := r.examine(nil, depth); !slices.Equal(got, []string{tasuki.RuleLifecycle}) {
			t.Errorf("found %q", got)
		}
	})
}

// S16: Lambda takes images from its own region only.
func TestReleaseToAFunctionOfAnotherRegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1")
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.ARN = "arn:aws:lambda:eu-west-1:000000000000:function:orders" })
		r.push("v2")
		_, err := r.release("v2")
		if !errors.Is(err, tasuki.ErrRefused) || !strings.Contains(err.Error(), "eu-west-1") || tasuki.HintOf(err) == "" {
			t.Errorf("%v, hint %q", err, tasuki.HintOf(err))
		}
		if r.runs() != digests[0] || r.registered() != "v1" {
			t.Error("something was changed")
		}
	})
}

func TestDoctorSeesAnAliasOnAnImageThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, digests := released(t, "v1", "v2")
		r.SetPolicy(r.handoff.Repository, pulls("Allow", lambdaPrincipal, pullActions, ""))
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = digests[0] })
		f, err := r.Function(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		version, err := r.PublishVersion(t.Context(), "orders", digests[0], f.RevisionID)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.MoveAlias(t.Context(), tasuki.AliasMove{Function: "orders", Alias: "live", Version: version}); err != nil {
			t.Fatal(err)
		}
		r.ChangeFunction("orders", func(f *tasuki.Function) { f.Digest = digests[1] })
		r.handoff.Functions[0].Alias = "live"
		r.push("v3")
		r.DeleteImage(r.handoff.Repository, digests[0])
		depth := &tasuki.Depth{Policies: r.AWS, Stored: r.AWS, Layers: r.AWS, Contents: func(context.Context, tasuki.Image, tasuki.Architecture, []tasuki.Function, tasuki.Layers) (tasuki.Contents, error) {
			return tasuki.Contents{}, nil
		}}
		want := []string{tasuki.RuleDisagreement, tasuki.RuleImageGone, tasuki.RuleRollbackGone}
		for _, depth := range []*tasuki.Depth{nil, depth} {
			if got := r.examine(nil, depth); !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
		}
	})
}
