package ecr

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// image is a manifest in a repository.
type image struct {
	Digest       string
	MediaType    string
	ArtifactType string // the manifest's own, else its configuration's media type
	Manifest     []byte // verbatim
	Blobs        []descriptor
	Children     []string // digests, of an index
	Subject      string   // digest; "" for none
	Pushed       time.Time
	Pulled       time.Time // zero for never
}

// size returns the bytes of the layers and the configuration, as stored, and of the
// manifest; ECR does not document what it counts beside the layers.
func (i image) size() int64 {
	size := int64(len(i.Manifest))
	for _, blob := range i.Blobs {
		size += blob.Size
	}
	return size
}

// all returns a repository's images in the order of their digests, and the tags of
// each in theirs.
func all(tx *state.Tx, name string) (list []image, tagged map[string][]string, err error) {
	for _, img := range images.All(tx, name+"@", &err) {
		list = append(list, img)
	}
	tagged = map[string][]string{}
	for key, digest := range tags.All(tx, name+":", &err) {
		tagged[digest] = append(tagged[digest], key[len(name)+1:])
	}
	return list, tagged, err
}

// lookup returns the image that an identifier names. Where there is none, or the
// identifier is malformed, it returns the failure that the batch operations answer.
func lookup(tx *state.Tx, name string, id types.ImageIdentifier) (image, *types.ImageFailure, error) {
	fail := func(code types.ImageFailureCode, reason string) (image, *types.ImageFailure, error) {
		return image{}, &types.ImageFailure{FailureCode: code, FailureReason: aws.String(reason), ImageId: &id}, nil
	}
	switch {
	case id.ImageDigest == nil && id.ImageTag == nil:
		return fail(types.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	case id.ImageDigest != nil && !digestPattern.MatchString(*id.ImageDigest):
		return fail(types.ImageFailureCodeInvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	case id.ImageTag != nil && (*id.ImageTag == "" || len(*id.ImageTag) > 300):
		return fail(types.ImageFailureCodeInvalidImageTag, "Invalid request parameters: image tag should have 1 to 300 characters")
	}
	digest := aws.ToString(id.ImageDigest)
	if id.ImageTag != nil {
		of, found, err := tags.Get(tx, name+":"+*id.ImageTag)
		switch {
		case err != nil:
			return image{}, nil, err
		case !found:
			return fail(types.ImageFailureCodeImageNotFound, "Requested image not found")
		case digest != "" && digest != of:
			return fail(types.ImageFailureCodeImageTagDoesNotMatchDigest, "Requested image tag does not name the requested image digest")
		}
		digest = of
	}
	img, found, err := images.Get(tx, name+"@"+digest)
	if err != nil {
		return image{}, nil, err
	}
	if !found {
		return fail(types.ImageFailureCodeImageNotFound, "Requested image not found")
	}
	return img, nil, nil
}

// mostImageIDs is how many identifiers the model lets one call name.
const mostImageIDs = 100

func checkImageIDs(ids []types.ImageIdentifier) error {
	if len(ids) == 0 || len(ids) > mostImageIDs {
		return invalidParameter("imageIds", "Member must have length between 1 and 100")
	}
	return nil
}

// selection is what DescribeImages and ListImages can select by.
type selection struct {
	tagStatus   types.TagStatus
	imageStatus types.ImageStatusFilter
}

func (f selection) check() error {
	if f.tagStatus != "" && !slices.Contains(f.tagStatus.Values(), f.tagStatus) {
		return notInEnum("filter.tagStatus", f.tagStatus.Values())
	}
	if f.imageStatus != "" && !slices.Contains(f.imageStatus.Values(), f.imageStatus) {
		return notInEnum("filter.imageStatus", f.imageStatus.Values())
	}
	return nil
}

// wants reports whether an image is selected that has tags or has none. Every image
// is active: nothing archives images here.
func (f selection) wants(tagged bool) bool {
	if f.imageStatus == types.ImageStatusFilterArchived || f.imageStatus == types.ImageStatusFilterActivating {
		return false
	}
	switch f.tagStatus {
	case types.TagStatusTagged:
		return tagged
	case types.TagStatusUntagged:
		return !tagged
	}
	return true
}

func (s *Service) describeImages(_ context.Context, in *api.DescribeImagesInput) (*api.DescribeImagesOutput, error) {
	var filter selection
	if in.Filter != nil {
		filter = selection{in.Filter.TagStatus, in.Filter.ImageStatus}
	}
	if err := filter.check(); err != nil {
		return nil, err
	}
	if len(in.ImageIds) > 0 {
		if in.NextToken != nil || in.MaxResults != nil {
			return nil, invalidParameter("imageIds", "nextToken and maxResults cannot be used together with imageIds")
		}
		if err := checkImageIDs(in.ImageIds); err != nil {
			return nil, err
		}
	}
	out := &api.DescribeImagesOutput{ImageDetails: []types.ImageDetail{}}
	err := s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		list, tagged, err := all(tx, r.Name)
		if err != nil {
			return err
		}
		sizes := make(map[string]int64, len(list))
		for _, img := range list {
			sizes[img.Digest] = img.size()
		}
		list = slices.DeleteFunc(list, func(img image) bool { return !filter.wants(len(tagged[img.Digest]) > 0) })
		if len(in.ImageIds) > 0 {
			list, err = s.described(tx, r.Name, in.ImageIds)
		} else {
			list, out.NextToken, err = page(list, func(i image) string { return i.Digest }, in.NextToken, in.MaxResults)
		}
		if err != nil {
			return err
		}
		for _, img := range list {
			out.ImageDetails = append(out.ImageDetails, s.detail(r.Name, img, tagged[img.Digest], sizes))
		}
		return nil
	})
	return out, err
}

// described returns each of the images that a DescribeImages names once, or
// ImageNotFoundException for the first that is not there.
func (s *Service) described(tx *state.Tx, name string, ids []types.ImageIdentifier) ([]image, error) {
	var list []image
	for _, id := range ids {
		img, failure, err := lookup(tx, name, id)
		switch {
		case err != nil:
			return nil, err
		case failure != nil && failure.FailureCode == types.ImageFailureCodeImageNotFound,
			failure != nil && failure.FailureCode == types.ImageFailureCodeImageTagDoesNotMatchDigest:
			return nil, imageNotFound(id, name, s.account)
		case failure != nil:
			return nil, invalidParameter("imageIds", *failure.FailureReason)
		}
		if !slices.ContainsFunc(list, func(other image) bool { return other.Digest == img.Digest }) {
			list = append(list, img)
		}
	}
	return list, nil
}

// detail describes an image. An index is as large as the largest of its children
// (ImageDetail.imageSizeInBytes); these are images of their own, and untagged.
func (s *Service) detail(name string, img image, tagged []string, sizes map[string]int64) types.ImageDetail {
	size := img.size()
	for _, child := range img.Children {
		size = max(size, sizes[child])
	}
	d := types.ImageDetail{
		ImageDigest:            aws.String(img.Digest),
		ImageManifestMediaType: aws.String(img.MediaType),
		ImagePushedAt:          aws.Time(img.Pushed),
		ImageSizeInBytes:       aws.Int64(size),
		ImageStatus:            types.ImageStatusActive,
		ImageTags:              tagged,
		RegistryId:             aws.String(s.account),
		RepositoryName:         aws.String(name),
	}
	if img.ArtifactType != "" {
		d.ArtifactMediaType = aws.String(img.ArtifactType)
	}
	if !img.Pulled.IsZero() {
		d.LastRecordedPullTime = aws.Time(img.Pulled)
	}
	if img.Subject != "" {
		d.SubjectManifestDigest = aws.String(img.Subject)
	}
	return d
}

func (s *Service) listImages(_ context.Context, in *api.ListImagesInput) (*api.ListImagesOutput, error) {
	var filter selection
	if in.Filter != nil {
		filter = selection{in.Filter.TagStatus, in.Filter.ImageStatus}
	}
	if err := filter.check(); err != nil {
		return nil, err
	}
	ids := []types.ImageIdentifier{}
	err := s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		list, tagged, err := all(tx, r.Name)
		for _, img := range list {
			if filter.wants(len(tagged[img.Digest]) > 0) {
				ids = append(ids, identifiers(img.Digest, tagged[img.Digest])...)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListImagesOutput{}
	key := func(id types.ImageIdentifier) string { return *id.ImageDigest + " " + aws.ToString(id.ImageTag) }
	out.ImageIds, out.NextToken, err = page(ids, key, in.NextToken, in.MaxResults)
	return out, err
}

// identifiers returns an identifier for each of an image's tags, or one without a
// tag where it has none.
func identifiers(digest string, tagged []string) []types.ImageIdentifier {
	if len(tagged) == 0 {
		return []types.ImageIdentifier{{ImageDigest: aws.String(digest)}}
	}
	var ids []types.ImageIdentifier
	for _, tag := range tagged {
		ids = append(ids, types.ImageIdentifier{ImageDigest: aws.String(digest), ImageTag: aws.String(tag)})
	}
	return ids
}
