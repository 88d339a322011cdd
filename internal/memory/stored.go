package memory

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

var (
	_ tasuki.RepositoryPolicies = (*AWS)(nil)
	_ tasuki.StoredImages       = (*AWS)(nil)
	_ tasuki.RepositoryLayers   = (*AWS)(nil)
)

// SetPolicy gives a repository a policy, "" for none.
func (a *AWS) SetPolicy(name tasuki.Repository, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repositories[name].policy = text
}

// RepositoryPolicy implements [tasuki.RepositoryPolicies].
func (a *AWS) RepositoryPolicy(ctx context.Context, name tasuki.Repository) (text string, err error) {
	err = a.do(ctx, "RepositoryPolicy", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		text = repository.policy
		return nil
	})
	return text, err
}

// Archive moves an image into ECR's archive, from where nobody pulls it. Here, its
// manifest can be read all the same.
func (a *AWS) Archive(name tasuki.Repository, digest tasuki.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	repository := a.repositories[name]
	repository.archived = append(repository.archived, digest)
}

// StoredImages implements [tasuki.StoredImages].
func (a *AWS) StoredImages(ctx context.Context, name tasuki.Repository, digests ...tasuki.Digest) (stored map[tasuki.Digest]tasuki.StoredImage, err error) {
	err = a.do(ctx, "StoredImages", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		stored = map[tasuki.Digest]tasuki.StoredImage{}
		for _, digest := range digests {
			if _, there := repository.manifests[digest]; !there {
				continue
			}
			image := tasuki.StoredImage{Status: "ACTIVE"}
			if slices.Contains(repository.archived, digest) {
				image.Status = "ARCHIVED"
			}
			for tag, of := range repository.tags {
				if of == digest {
					image.Tags = append(image.Tags, tag.String())
				}
			}
			slices.SortFunc(image.Tags, strings.Compare)
			stored[digest] = image
		}
		return nil
	})
	return stored, err
}

// LayersOf implements [tasuki.RepositoryLayers]. The images here have no layers.
func (a *AWS) LayersOf(context.Context, tasuki.Repository) (tasuki.Layers, error) {
	return noLayers{}, nil
}

type noLayers struct{}

func (noLayers) Layer(_ context.Context, layer tasuki.Descriptor) (io.ReadCloser, error) {
	return nil, missing(tasuki.SideImage, layer.Digest.String())
}

// Layer implements [tasuki.Layers]. The images here have no layers.
func (s *Source) Layer(ctx context.Context, layer tasuki.Descriptor) (io.ReadCloser, error) {
	return noLayers{}.Layer(ctx, layer)
}
