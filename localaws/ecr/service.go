package ecr

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/ecr/blobs"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Options says where a Service keeps its state and what it answers for.
type Options struct {
	Store   *state.Store
	Account string // 12 digits
	Region  string
	// URL returns the endpoint's own URL, as in "http://127.0.0.1:4566". It is called
	// only to answer requests, so the endpoint may learn its port after New.
	URL func() string
}

// Service is a registry: the API, the protocol that images are pushed and pulled by,
// and what they share.
type Service struct {
	store   *state.Store
	blobs   *blobs.Store
	signer  signer
	account string
	region  string
	url     func() string
}

// The tables. Repositories' names hold neither '@' nor ':', so that a key's prefix
// selects one repository's rows.
var (
	repositories = state.Table[repository]{Name: "ecr/repositories"} // by name
	images       = state.Table[image]{Name: "ecr/images"}            // by name@digest
	tags         = state.Table[string]{Name: "ecr/tags"}             // digests, by name:tag
	layers       = state.Table[layer]{Name: "ecr/layers"}            // by name@digest
	keys         = state.Table[[]byte]{Name: "ecr/keys"}             // by purpose
)

// layer says that a repository may see a blob: a layer or a configuration.
type layer struct {
	Size   int64     // bytes, as stored
	Pushed time.Time // when the repository got it
}

// New returns the registry that is kept in o.Store. Uploads that an earlier process
// left, and blobs that nothing names any more, are removed.
func New(o Options) (*Service, error) {
	files, err := blobs.Open(filepath.Join(o.Store.Dir(), "blobs"), o.Store.Durable())
	if err != nil {
		return nil, fmt.Errorf("open the registry's blobs: %w", err)
	}
	signer, err := newSigner(o.Store)
	if err != nil {
		return nil, fmt.Errorf("open the registry's signing key: %w", err)
	}
	s := &Service{store: o.Store, blobs: files, signer: signer, account: o.Account, region: o.Region, url: o.URL}
	if err := s.sweep(time.Now()); err != nil {
		return nil, fmt.Errorf("remove the registry's unused blobs: %w", err)
	}
	return s, nil
}

// Wire returns the API.
func (s *Service) Wire() wire.Service {
	return &wire.JSON{
		Service: "ecr",
		Target:  "AmazonEC2ContainerRegistry_V20150921",
		Casing:  wire.Lower,
		Operations: map[string]wire.Handler{
			"BatchCheckLayerAvailability": wire.Handle(s.batchCheckLayerAvailability),
			"BatchDeleteImage":            wire.Handle(s.batchDeleteImage),
			"BatchGetImage":               wire.Handle(s.batchGetImage),
			"CreateRepository":            wire.Handle(s.createRepository),
			"DeleteLifecyclePolicy":       wire.Handle(s.deleteLifecyclePolicy),
			"DeleteRepository":            wire.Handle(s.deleteRepository),
			"DeleteRepositoryPolicy":      wire.Handle(s.deleteRepositoryPolicy),
			"DescribeImages":              wire.Handle(s.describeImages),
			"DescribeRepositories":        wire.Handle(s.describeRepositories),
			"GetAuthorizationToken":       wire.Handle(s.getAuthorizationToken),
			"GetDownloadUrlForLayer":      wire.Handle(s.getDownloadURLForLayer),
			"GetLifecyclePolicy":          wire.Handle(s.getLifecyclePolicy),
			"GetRepositoryPolicy":         wire.Handle(s.getRepositoryPolicy),
			"ListImages":                  wire.Handle(s.listImages),
			"ListTagsForResource":         wire.Handle(s.listTagsForResource),
			"PutImage":                    wire.Handle(s.putImage),
			"PutImageTagMutability":       wire.Handle(s.putImageTagMutability),
			"PutLifecyclePolicy":          wire.Handle(s.putLifecyclePolicy),
			"SetRepositoryPolicy":         wire.Handle(s.setRepositoryPolicy),
			"TagResource":                 wire.Handle(s.tagResource),
			"UntagResource":               wire.Handle(s.untagResource),
		},
	}
}

// Registry returns the handler of everything below /v2/.
func (s *Service) Registry() http.Handler { return newGate(s) }

// unusedLayerAge is how long a repository keeps a blob that no manifest names: a push
// sends the blobs first, and may be interrupted, or the endpoint restarted, before
// the manifest.
const unusedLayerAge = 24 * time.Hour

// sweep removes what no manifest has named for a day, and the files that no
// repository sees any more. It runs before anybody pushes.
func (s *Service) sweep(now time.Time) error {
	seen := map[string]bool{} // digests
	err := s.store.Update(func(tx *state.Tx) error {
		var err error
		used := map[string]bool{} // keys of layers
		for key, img := range images.All(tx, "", &err) {
			name, _, _ := strings.Cut(key, "@")
			for _, blob := range img.Blobs {
				used[name+"@"+blob.Digest] = true
			}
		}
		var unused []string
		for key, l := range layers.All(tx, "", &err) {
			if !used[key] && now.Sub(l.Pushed) > unusedLayerAge {
				unused = append(unused, key)
				continue
			}
			_, digest, _ := strings.Cut(key, "@")
			seen[digest] = true
		}
		if err != nil {
			return err
		}
		return deleteKeys(tx, layers, unused)
	})
	if err != nil {
		return err
	}
	return s.blobs.Keep(func(digest string) bool { return seen[digest] })
}

// deleteKeys deletes rows. Rows cannot be deleted while their table is read.
func deleteKeys[T any](tx *state.Tx, table state.Table[T], keys []string) error {
	for _, key := range keys {
		if err := table.Delete(tx, key); err != nil {
			return err
		}
	}
	return nil
}
