//go:build cdk

package stacks

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// released is a world with a stack on a release.
func (w *world) released(shape, version string) {
	w.Helper()
	w.deploy(shape, "CREATE_COMPLETE")
	w.release(version)
	w.deliver(1)
	w.runs(version)
}

// S5: the tag parameter is deleted by accident.
func TestParameterDeleted(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.forget()
		w.untouched(func() {
			w.deploy("Configured", "UPDATE_COMPLETE")
			w.deliver(1)
		})
		w.runs("v1")
		if !strings.Contains(w.logs.String(), "no release is registered") {
			w.Error("nothing warns of the missing parameter")
		}
	})
}

// S6: the tag parameter cannot be read by a deploy that needs it.
func TestParameterUnreadable(t *testing.T) {
	t.Parallel()
	// CloudFormation itself reads parameters with GetParameters.
	for _, kind := range []fault.Kind{fault.Denied, fault.Throttle} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			both(t, func(w *world) {
				rules := []fault.Rule{{Operation: "ssm:GetParameter", Kind: kind}, {Operation: "ssm:GetParameterHistory", Kind: kind}}
				w.server.Faults().Add(rules...)
				w.deploy("Base", "ROLLBACK_COMPLETE")
				w.failed(tagParameter)
				w.server.Faults().Clear()
				w.destroy()
				w.released("Base", "v1")

				w.server.Faults().Add(rules...)
				w.untouched(func() { w.deploy("OtherMachine", "UPDATE_ROLLBACK_COMPLETE") })
				w.failed(tagParameter)
				w.runs("v1")
				w.server.Faults().Clear()
				w.deliver(1)
				w.runs("v1")
			})
		})
	}
}

// S7: the tag parameter names an image that is not in ECR.
func TestParameterNamesNoImage(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.register(tagParameter, "v9")
		w.untouched(func() {
			w.deploy("Renamed", "UPDATE_ROLLBACK_COMPLETE")
			w.failed("v9", w.repository())
			w.deliver(1)
		})
		w.runs("v1")
	})
}

// S19: the image that CloudFormation had cached has expired when it rolls back.
func TestCachedImageExpired(t *testing.T) {
	t.Parallel()
	for sends, shapes := range [][3]string{{"Base", "Configured", "NextAliasFailing"}, {"Every", "EveryConfigured", "EveryFailing"}} {
		t.Run(shapes[0], func(t *testing.T) {
			t.Parallel()
			both(t, func(w *world) {
				w.deploy(shapes[0], "CREATE_COMPLETE")
				w.release("v1")
				w.deploy(shapes[1], "UPDATE_COMPLETE")
				w.deliver(1)
				for _, version := range []string{"v2", "v3"} {
					w.release(version)
					w.deliver(1)
				}
				w.expire(w.repository())
				w.sends(2*sends, func() { w.deploy(shapes[2], "UPDATE_ROLLBACK_COMPLETE") }) // there, and back
				w.expire(w.repository())
				w.deliver(1)
				w.runs("v3")
				w.registered("v3")
			})
		})
	}
}

// S20: the function is replaced, with the parameter and without, and its architecture
// is changed.
func TestFunctionReplaced(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		refused := func() {
			w.deploy("OtherMachine", "UPDATE_ROLLBACK_COMPLETE")
			w.failed("architecture")
			w.deliver(1)
		}
		w.sends(0, refused)
		w.runs("v1")

		w.forget()
		w.sends(0, refused)
		w.runs("v1")

		w.sends(0, func() {
			w.deploy("Renamed", "UPDATE_COMPLETE")
			w.deliver(1)
		})
		w.runs("v1")

		w.release("v2")
		w.deliver(1)
		w.sends(0, func() {
			w.deploy("Base", "UPDATE_COMPLETE") // replaced once more
			w.deliver(1)
		})
		w.runs("v2")
		w.allowed()
	})
}

// S21: the alias is renamed after a release, and that is rolled back.
func TestAliasRenamed(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		w.release("v2")
		w.sends(0, func() { w.deploy("NextAliasFailing", "UPDATE_ROLLBACK_COMPLETE") })
		w.runs("v2", "live")
		w.deliver(1)
		w.runs("v2", "live")

		w.sends(0, func() { w.deploy("NextAlias", "UPDATE_COMPLETE") })
		w.runs("v2", "next")
		w.release("v3")
		w.deliver(1)
		w.runs("v3", "next")
	})
}

// S22: a tag is pushed again after its release.
func TestTagPushedAgain(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.released("Base", "v1")
		repository := w.repository()
		deleted, err := w.ecr.BatchDeleteImage(w.Context(), &ecr.BatchDeleteImageInput{RepositoryName: &repository, ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: aws.String("v1")}}})
		if err != nil || refused(deleted) != nil {
			w.Fatal(err, refused(deleted))
		}
		described, err := w.ecr.DescribeRepositories(w.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{repository}})
		if err != nil {
			w.Fatal(err)
		}
		w.tasuki("copy", versions.version(t, "another"), "docker://"+aws.ToString(described.Repositories[0].RepositoryUri)+":v1")
		w.sends(0, func() {
			w.deploy("Renamed", "UPDATE_COMPLETE")
			w.runs("v1")
			w.deliver(1)
		})
		w.runs("v1")
	})
}
