package awsbackend

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.Images = (*Images)(nil)

// Images reads ECR repositories.
type Images struct {
	api     *ecr.Client
	http    aws.HTTPClient
	retryer aws.Retryer
}

// mostRefs is how many images BatchGetImage gives at once.
const mostRefs = 100

// Manifests implements [tasuki.Images]. The repository may be in any account and region.
func (s *Images) Manifests(ctx context.Context, repository tasuki.Repository, refs ...tasuki.Ref) (map[tasuki.Ref]tasuki.Manifest, error) {
	c := imageCall("read", "ecr:BatchGetImage", repository)
	asked := map[string]tasuki.Ref{} // by tag or digest; no tag looks like a digest
	var ids []types.ImageIdentifier
	for _, ref := range refs {
		if _, twice := asked[ref.String()]; !twice {
			asked[ref.String()] = ref
			ids = append(ids, identifier(ref))
		}
	}
	switch {
	case len(ids) == 0:
		return map[tasuki.Ref]tasuki.Manifest{}, nil
	case len(ids) > mostRefs:
		return nil, c.wrong(tasuki.ErrInvalid, "%d images were asked for at once, and ECR gives %d", len(ids), mostRefs)
	}
	out, err := s.api.BatchGetImage(ctx, &ecr.BatchGetImageInput{
		RegistryId:         aws.String(repository.Account()),
		RepositoryName:     aws.String(repository.Name()),
		ImageIds:           ids,
		AcceptedMediaTypes: tasuki.ManifestMediaTypes(),
	}, in(repository))
	if err != nil {
		return nil, c.failed(err)
	}
	manifests := map[tasuki.Ref]tasuki.Manifest{}
	for _, image := range out.Images {
		manifest, err := c.manifest(image)
		if err != nil {
			return nil, err
		}
		// A tag and a digest that were asked for may be the same image.
		for _, key := range []string{aws.ToString(image.ImageId.ImageTag), manifest.Digest.String()} {
			if ref, ok := asked[key]; ok {
				manifests[ref] = manifest
			}
		}
	}
	for _, failure := range out.Failures {
		if failure.FailureCode != types.ImageFailureCodeImageNotFound {
			return nil, c.failure(failure)
		}
		if failure.ImageId != nil {
			delete(asked, aws.ToString(failure.ImageId.ImageTag))
			delete(asked, aws.ToString(failure.ImageId.ImageDigest))
		}
	}
	// Not there is only what ECR says is not there.
	for _, ref := range asked {
		if _, found := manifests[ref]; !found {
			return nil, c.wrong(tasuki.ErrUnavailable, "ECR's answer says nothing about %s", ref)
		}
	}
	return manifests, nil
}

// manifest reads an image of ECR's answer, and holds the bytes against the digest.
func (c call) manifest(image types.Image) (tasuki.Manifest, error) {
	if image.ImageId == nil {
		return tasuki.Manifest{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has an image without an identifier")
	}
	digest, err := tasuki.ParseDigest(aws.ToString(image.ImageId.ImageDigest))
	if err != nil {
		return tasuki.Manifest{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has an image without a digest: %v", err)
	}
	bytes := []byte(aws.ToString(image.ImageManifest))
	if got := tasuki.DigestOf(bytes); got != digest {
		return tasuki.Manifest{}, c.wrong(tasuki.ErrUnavailable, "ECR gave a manifest of digest %s for %s", got.Short(), digest.Short())
	}
	return tasuki.Manifest{Digest: digest, MediaType: aws.ToString(image.ImageManifestMediaType), Bytes: bytes}, nil
}

// failure is what BatchGetImage says of one image that it does not give.
func (c call) failure(f types.ImageFailure) error {
	kind, hint := tasuki.ErrUnavailable, ""
	switch f.FailureCode {
	case types.ImageFailureCodeKmsError, types.ImageFailureCodeUpstreamAccessDenied:
		kind = tasuki.ErrDenied
	case types.ImageFailureCodeUpstreamTooManyRequests:
		kind = tasuki.ErrThrottled
	case types.ImageFailureCodeImageInaccessible:
		kind, hint = tasuki.ErrRefused, "It may be in ECR's archive: restore it with 'aws ecr update-image-storage-class', or push it again."
	case types.ImageFailureCodeInvalidImageDigest, types.ImageFailureCodeInvalidImageTag, types.ImageFailureCodeMissingDigestAndTag:
		kind = tasuki.ErrInvalid
	}
	return &tasuki.Error{
		Op: c.op, Side: c.side, Subject: c.subject, Kind: kind, Hint: hint,
		Err: fmt.Errorf("ECR does not give image %s: %s: %s", refText(f.ImageId), f.FailureCode, clean(aws.ToString(f.FailureReason))),
	}
}

// Repository returns the repository of that name in the caller's own registry, or ErrMissing.
func (s *Images) Repository(ctx context.Context, name string) (tasuki.Repository, error) {
	c := call{
		op: "find", side: tasuki.SideImage, subject: name, action: "ecr:DescribeRepositories", resource: "repository " + name,
		missing: []string{"RepositoryNotFoundException"},
		lost:    "There is no such repository in this region and account: check its name, --region and --profile.",
	}
	out, err := s.api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	if err != nil {
		return tasuki.Repository{}, c.failed(err)
	}
	i := slices.IndexFunc(out.Repositories, func(r types.Repository) bool { return aws.ToString(r.RepositoryName) == name })
	if i < 0 {
		return tasuki.Repository{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer says nothing about it")
	}
	repository, err := tasuki.ParseRepository(aws.ToString(out.Repositories[i].RepositoryUri))
	if err != nil {
		return tasuki.Repository{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has a malformed URI: %v", err)
	}
	return repository, nil
}

// in makes a call go to the repository's region.
func in(repository tasuki.Repository) func(*ecr.Options) {
	return func(o *ecr.Options) { o.Region = repository.Region() }
}

func identifier(ref tasuki.Ref) types.ImageIdentifier {
	if !ref.Digest().IsZero() {
		return types.ImageIdentifier{ImageDigest: aws.String(ref.Digest().String())}
	}
	return types.ImageIdentifier{ImageTag: aws.String(ref.Tag().String())}
}

func imageCall(op, action string, repository tasuki.Repository) call {
	return call{
		op: op, side: tasuki.SideImage, subject: repository.String(), action: action, resource: "repository " + repository.Name(),
		missing: []string{"RepositoryNotFoundException"},
		lost:    fmt.Sprintf("There is no repository %s in region %s of account %s: check the contract or --repository.", repository.Name(), repository.Region(), repository.Account()),
	}
}

// refText names an image of ECR's answer by what it gives of tag and digest.
func refText(id *types.ImageIdentifier) string {
	if id == nil {
		return "without an identifier"
	}
	return strings.TrimSpace(aws.ToString(id.ImageTag) + " " + aws.ToString(id.ImageDigest))
}
