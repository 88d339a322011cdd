package memory

import (
	"context"
	"errors"
	"maps"

	"github.com/tasuki-dev/tasuki"
)

type repository struct {
	manifests map[tasuki.Digest]tasuki.Manifest
	tags      map[tasuki.Tag]tasuki.Digest
	configs   map[tasuki.Digest][]byte
	settings  tasuki.RepositorySettings
	policy    string // JSON; "" for none
	archived  []tasuki.Digest
}

// CreateRepository makes an empty repository.
func (a *AWS) CreateRepository(name tasuki.Repository) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repositories == nil {
		a.repositories = map[tasuki.Repository]*repository{}
	}
	a.repositories[name] = &repository{
		manifests: map[tasuki.Digest]tasuki.Manifest{}, tags: map[tasuki.Tag]tasuki.Digest{}, configs: map[tasuki.Digest][]byte{},
		settings: tasuki.RepositorySettings{Mutability: "IMMUTABLE_WITH_EXCLUSION", Exclusions: []string{"tasuki-*"}},
	}
}

// SetUpRepository changes a repository's settings.
func (a *AWS) SetUpRepository(name tasuki.Repository, settings tasuki.RepositorySettings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repositories[name].settings = settings
}

// RepositorySettings implements [tasuki.Repositories].
func (a *AWS) RepositorySettings(ctx context.Context, name tasuki.Repository) (settings tasuki.RepositorySettings, err error) {
	err = a.do(ctx, "RepositorySettings", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		settings = repository.settings
		return nil
	})
	return settings, err
}

// Push puts manifests and configurations into a repository, and moves tag to the
// first manifest.
func (a *AWS) Push(name tasuki.Repository, tag tasuki.Tag, configs [][]byte, manifests ...tasuki.Manifest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	repository, there := a.repositories[name]
	if !there {
		return missing(tasuki.SideImage, name.String())
	}
	for _, config := range configs {
		repository.configs[tasuki.DigestOf(config)] = config
	}
	for _, manifest := range manifests {
		repository.manifests[manifest.Digest] = manifest
	}
	if !tag.IsZero() && len(manifests) > 0 {
		repository.tags[tag] = manifests[0].Digest
	}
	return nil
}

// DeleteImage removes a manifest and its tags.
func (a *AWS) DeleteImage(name tasuki.Repository, digest tasuki.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	repository := a.repositories[name]
	delete(repository.manifests, digest)
	maps.DeleteFunc(repository.tags, func(_ tasuki.Tag, d tasuki.Digest) bool { return d == digest })
}

// TaggedImages returns what the tags of a repository name, the protecting ones included.
func (a *AWS) TaggedImages(name tasuki.Repository) map[string]tasuki.Digest {
	a.mu.Lock()
	defer a.mu.Unlock()
	tagged := map[string]tasuki.Digest{}
	for tag, digest := range a.repositories[name].tags {
		tagged[tag.String()] = digest
	}
	return tagged
}

// Manifests implements [tasuki.Images].
func (a *AWS) Manifests(ctx context.Context, name tasuki.Repository, refs ...tasuki.Ref) (found map[tasuki.Ref]tasuki.Manifest, err error) {
	err = a.do(ctx, "Manifests", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		if len(refs) > 100 {
			return &tasuki.Error{Op: "read", Side: tasuki.SideImage, Subject: name.String(), Kind: tasuki.ErrInvalid, Err: errors.New("more than 100 images at once")}
		}
		found = map[tasuki.Ref]tasuki.Manifest{}
		for _, ref := range refs {
			digest := ref.Digest()
			if digest.IsZero() {
				digest = repository.tags[ref.Tag()]
			}
			if manifest, there := repository.manifests[digest]; there {
				found[ref] = manifest
			}
		}
		return nil
	})
	return found, err
}

// Config implements [tasuki.Images].
func (a *AWS) Config(ctx context.Context, name tasuki.Repository, config tasuki.Descriptor) (b []byte, err error) {
	err = a.do(ctx, "Config", name.String(), func() error {
		repository, there := a.repositories[name]
		if there {
			b, there = repository.configs[config.Digest]
		}
		if !there {
			return missing(tasuki.SideImage, name.String()+"@"+config.Digest.String())
		}
		return nil
	})
	return b, err
}

// TagImage implements [tasuki.ImageTagger].
func (a *AWS) TagImage(ctx context.Context, name tasuki.Repository, manifest tasuki.Manifest, tag tasuki.Tag) error {
	return a.do(ctx, "TagImage", name.String(), func() error {
		repository, there := a.repositories[name]
		if !there {
			return missing(tasuki.SideImage, name.String())
		}
		repository.tags[tag] = manifest.Digest
		return nil
	})
}
