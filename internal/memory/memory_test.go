package memory_test

import (
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/internal/conformance"
	"github.com/tasuki-dev/tasuki/internal/memory"
)

func TestConformance(t *testing.T) {
	repository, err := tasuki.ParseRepository("000000000000.dkr.ecr.us-east-1.amazonaws.com/orders")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("tags", func(t *testing.T) {
		conformance.Tags(t, func(*testing.T) tasuki.Tags { return new(memory.AWS) })
	})
	t.Run("contracts", func(t *testing.T) {
		conformance.Contracts(t, func(*testing.T) tasuki.Contracts { return new(memory.AWS) })
	})
	t.Run("batches", func(t *testing.T) {
		conformance.TagBatches(t, func(*testing.T) conformance.TagStore { return new(memory.AWS) })
		conformance.ContractBatches(t, func(*testing.T) conformance.ContractStore { return new(memory.AWS) })
	})
	t.Run("images", func(t *testing.T) {
		conformance.Images(t, func(*testing.T) conformance.ImageStore {
			aws := new(memory.AWS)
			aws.CreateRepository(repository)
			return conformance.ImageStore{Images: aws, Repository: repository, Push: func(t *testing.T, tag tasuki.Tag, manifest tasuki.Manifest, blobs ...[]byte) {
				t.Helper()
				if err := aws.Push(repository, tag, blobs, manifest); err != nil {
					t.Fatal(err)
				}
			}}
		})
	})
	t.Run("functions", func(t *testing.T) {
		conformance.Functions(t, func(*testing.T) conformance.FunctionStore {
			aws := new(memory.AWS)
			aws.CreateRepository(repository)
			images := 0
			return conformance.FunctionStore{
				Functions: aws,
				Image: func(t *testing.T, arch tasuki.Architecture) tasuki.ImageURI {
					t.Helper()
					images++
					manifest, config := memory.Image(arch, "image"+string(rune('a'+images)), nil)
					if err := aws.Push(repository, tasuki.Tag{}, [][]byte{config}, manifest); err != nil {
						t.Fatal(err)
					}
					return tasuki.ImageURI{Repository: repository, Ref: tasuki.ByDigest(manifest.Digest)}
				},
				Create: func(_ *testing.T, name string, image tasuki.ImageURI, arch tasuki.Architecture) {
					aws.CreateFunction(name, image, arch)
				},
				Configuration: func(*testing.T, string) any { return nil }, // functions in memory have none
				Hold: func(*testing.T) func() {
					aws.UpdateTakes = time.Hour
					return func() { aws.UpdateTakes = 0 }
				},
			}
		})
	})
}
