package ecr

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// repository is a repository without its images.
type repository struct {
	Name       string
	Created    time.Time
	Mutability mutability
	ScanOnPush bool
	Encryption types.EncryptionConfiguration
	Policy     string // JSON; "" for none
	Lifecycle  string // JSON; "" for none
	Tags       map[string]string
}

func (s *Service) describe(r repository) *types.Repository {
	return &types.Repository{
		CreatedAt:                          aws.Time(r.Created),
		EncryptionConfiguration:            &r.Encryption,
		ImageScanningConfiguration:         &types.ImageScanningConfiguration{ScanOnPush: r.ScanOnPush},
		ImageTagMutability:                 r.Mutability.Mode,
		ImageTagMutabilityExclusionFilters: r.Mutability.filters(),
		RegistryId:                         aws.String(s.account),
		RepositoryArn:                      aws.String(s.arn(r.Name)),
		RepositoryName:                     aws.String(r.Name),
		// The form that contracts and the CDK compose. Clients push to the
		// authorization token's proxyEndpoint.
		RepositoryUri: aws.String(s.host() + "/" + r.Name),
	}
}

// host is the registry's host in image URIs.
func (s *Service) host() string { return s.account + ".dkr.ecr." + s.region + ".amazonaws.com" }

func (s *Service) arn(name string) string {
	return "arn:aws:ecr:" + s.region + ":" + s.account + ":repository/" + name
}

// registryID returns the registry that a request names, its own where it names none.
func (s *Service) registryID(id *string) string {
	if id == nil {
		return s.account
	}
	return *id
}

// repository returns the repository that a request names. It is not found in any
// registry but this account's.
func (s *Service) repository(tx *state.Tx, registry, name *string) (repository, error) {
	if err := checkRepositoryName(name); err != nil {
		return repository{}, err
	}
	r, found, err := repositories.Get(tx, *name)
	if err != nil {
		return repository{}, err
	}
	if id := s.registryID(registry); !found || id != s.account {
		return repository{}, repositoryNotFound(*name, id)
	}
	return r, nil
}

func checkRepositoryName(name *string) error {
	if name == nil || tasuki.CheckRepositoryName(*name) != nil {
		return invalidParameter("repositoryName", repositoryNameConstraint)
	}
	return nil
}

func (s *Service) createRepository(ctx context.Context, in *api.CreateRepositoryInput) (*api.CreateRepositoryOutput, error) {
	if err := checkRepositoryName(in.RepositoryName); err != nil {
		return nil, err
	}
	if id := s.registryID(in.RegistryId); id != s.account {
		return nil, invalidParameter("registryId", "this endpoint has the registry "+s.account+" only")
	}
	r := repository{
		Name:       *in.RepositoryName,
		Created:    time.Now().UTC(),
		Encryption: types.EncryptionConfiguration{EncryptionType: types.EncryptionTypeAes256},
	}
	var err error
	if r.Mutability, err = newMutability(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	if c := in.ImageScanningConfiguration; c != nil {
		r.ScanOnPush = c.ScanOnPush
	}
	if c := in.EncryptionConfiguration; c != nil {
		if !slices.Contains(c.EncryptionType.Values(), c.EncryptionType) {
			return nil, notInEnum("encryptionConfiguration.encryptionType", c.EncryptionType.Values())
		}
		r.Encryption = *c
	}
	if r.Tags, err = mergeTags(ctx, nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.store.Update(func(tx *state.Tx) error {
		if _, found, err := repositories.Get(tx, r.Name); err != nil {
			return err
		} else if found {
			return wire.Errorf(codeRepositoryExists, "The repository with name '%s' already exists in the registry with id '%s'", r.Name, s.account)
		}
		return repositories.Put(tx, r.Name, r)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateRepositoryOutput{Repository: s.describe(r)}, nil
}

func (s *Service) describeRepositories(_ context.Context, in *api.DescribeRepositoriesInput) (*api.DescribeRepositoriesOutput, error) {
	if len(in.RepositoryNames) > 0 && (in.NextToken != nil || in.MaxResults != nil) {
		return nil, wire.Errorf(codeInvalidParameter, "Invalid parameter: 'nextToken' and 'maxResults' cannot be used together with 'repositoryNames'")
	}
	if len(in.RepositoryNames) > 100 {
		return nil, invalidParameter("repositoryNames", "Member must have length less than or equal to 100")
	}
	var found []repository
	err := s.store.View(func(tx *state.Tx) (err error) {
		if len(in.RepositoryNames) > 0 {
			for _, name := range in.RepositoryNames {
				r, err := s.repository(tx, in.RegistryId, &name)
				if err != nil {
					return err
				}
				found = append(found, r)
			}
			return nil
		}
		if s.registryID(in.RegistryId) != s.account {
			return nil
		}
		for _, r := range repositories.All(tx, "", &err) {
			found = append(found, r)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.DescribeRepositoriesOutput{Repositories: []types.Repository{}}
	if len(in.RepositoryNames) == 0 {
		if found, out.NextToken, err = page(found, func(r repository) string { return r.Name }, in.NextToken, in.MaxResults); err != nil {
			return nil, err
		}
	}
	for _, r := range found {
		out.Repositories = append(out.Repositories, *s.describe(r))
	}
	return out, nil
}

func (s *Service) deleteRepository(_ context.Context, in *api.DeleteRepositoryInput) (*api.DeleteRepositoryOutput, error) {
	var r repository
	err := s.store.Update(func(tx *state.Tx) (err error) {
		if r, err = s.repository(tx, in.RegistryId, in.RepositoryName); err != nil {
			return err
		}
		var imageKeys, tagKeys, layerKeys []string
		for key := range images.All(tx, r.Name+"@", &err) {
			imageKeys = append(imageKeys, key)
		}
		if len(imageKeys) > 0 && !in.Force {
			return wire.Errorf(codeRepositoryNotEmpty, "The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", r.Name, s.account)
		}
		for key := range tags.All(tx, r.Name+":", &err) {
			tagKeys = append(tagKeys, key)
		}
		for key := range layers.All(tx, r.Name+"@", &err) {
			layerKeys = append(layerKeys, key)
		}
		if err != nil {
			return err
		}
		if err := deleteKeys(tx, images, imageKeys); err != nil {
			return err
		}
		if err := deleteKeys(tx, tags, tagKeys); err != nil {
			return err
		}
		if err := deleteKeys(tx, layers, layerKeys); err != nil {
			return err
		}
		return repositories.Delete(tx, r.Name)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRepositoryOutput{Repository: s.describe(r)}, nil
}
