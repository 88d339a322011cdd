package ecr_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func TestRepositories(t *testing.T) {
	e := newEndpoint(t)
	created, err := e.CreateRepository(t.Context(), &api.CreateRepositoryInput{
		RepositoryName: aws.String("team/orders"),
		Tags:           []types.Tag{{Key: aws.String("Team"), Value: aws.String("blue")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := created.Repository
	for got, want := range map[string]string{
		*r.RepositoryUri:             "000000000000.dkr.ecr.eu-west-1.amazonaws.com/team/orders",
		*r.RepositoryArn:             "arn:aws:ecr:eu-west-1:000000000000:repository/team/orders",
		*r.RegistryId:                account,
		string(r.ImageTagMutability): "MUTABLE",
		string(r.EncryptionConfiguration.EncryptionType): "AES256",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, err = e.CreateRepository(t.Context(), &api.CreateRepositoryInput{RepositoryName: aws.String("team/orders")})
	expectCode(t, err, "RepositoryAlreadyExistsException", "The repository with name 'team/orders' already exists in the registry with id '000000000000'")
	_, err = e.CreateRepository(t.Context(), &api.CreateRepositoryInput{RepositoryName: aws.String("Orders")})
	expectCode(t, err, "InvalidParameterException", "")
	_, err = e.DescribeRepositories(t.Context(), &api.DescribeRepositoriesInput{RepositoryNames: []string{"nope"}})
	expectCode(t, err, "RepositoryNotFoundException", "The repository with name 'nope' does not exist in the registry with id '000000000000'")
	_, err = e.DescribeRepositories(t.Context(), &api.DescribeRepositoriesInput{RepositoryNames: []string{"team/orders"}, RegistryId: aws.String("111111111111")})
	expectCode(t, err, "RepositoryNotFoundException", "The repository with name 'team/orders' does not exist in the registry with id '111111111111'")

	tagged, err := e.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceArn: r.RepositoryArn})
	if err != nil {
		t.Fatal(err)
	}
	if len(tagged.Tags) != 1 || *tagged.Tags[0].Key != "Team" || *tagged.Tags[0].Value != "blue" {
		t.Errorf("tags: %+v", tagged.Tags)
	}
	if _, err := e.DeleteRepository(t.Context(), &api.DeleteRepositoryInput{RepositoryName: aws.String("team/orders")}); err != nil {
		t.Fatal(err)
	}
	_, err = e.DeleteRepository(t.Context(), &api.DeleteRepositoryInput{RepositoryName: aws.String("team/orders")})
	expectCode(t, err, "RepositoryNotFoundException", "")
}

func TestRepositoriesArePaged(t *testing.T) {
	e := newEndpoint(t)
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("orders-%d", i))
		e.repository(t, want[i])
	}
	var got []string
	pages := api.NewDescribeRepositoriesPaginator(e, &api.DescribeRepositoriesInput{MaxResults: aws.Int32(3)})
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Repositories {
			got = append(got, *r.RepositoryName)
		}
	}
	if n != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages with %v, want 3 with %v", n, got, want)
	}
}

func TestResourceTags(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	arn := aws.String("arn:aws:ecr:eu-west-1:000000000000:repository/orders")
	tag := func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }
	if _, err := e.TagResource(t.Context(), &api.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("a", "1"), tag("b", "2"), tag("a", "3")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.UntagResource(t.Context(), &api.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"b", "absent"}}); err != nil {
		t.Fatal(err)
	}
	out, err := e.ListTagsForResource(t.Context(), &api.ListTagsForResourceInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Tags) != 1 || *out.Tags[0].Key != "a" || *out.Tags[0].Value != "3" {
		t.Errorf("tags: %+v", out.Tags)
	}
	_, err = e.TagResource(t.Context(), &api.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{tag("aws:x", "1")}})
	expectCode(t, err, "InvalidTagParameterException", "")
	var many []types.Tag
	for i := range 50 {
		many = append(many, tag(fmt.Sprint("k", i), ""))
	}
	_, err = e.TagResource(t.Context(), &api.TagResourceInput{ResourceArn: arn, Tags: many})
	expectCode(t, err, "TooManyTagsException", "")
}

func TestPolicies(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	name := aws.String("orders")

	_, err := e.GetRepositoryPolicy(t.Context(), &api.GetRepositoryPolicyInput{RepositoryName: name})
	expectCode(t, err, "RepositoryPolicyNotFoundException", "Repository policy does not exist for the repository with name 'orders' in the registry with id '000000000000'")
	for _, bad := range []string{"{", "{}", `{"Statement":[{"Effect":"Maybe","Action":"ecr:*"}]}`, `{"Statement":[{"Effect":"Allow"}]}`} {
		_, err = e.SetRepositoryPolicy(t.Context(), &api.SetRepositoryPolicyInput{RepositoryName: name, PolicyText: &bad})
		expectCode(t, err, "InvalidParameterException", "")
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}`
	if _, err := e.SetRepositoryPolicy(t.Context(), &api.SetRepositoryPolicyInput{RepositoryName: name, PolicyText: &policy}); err != nil {
		t.Fatal(err)
	}
	got, err := e.GetRepositoryPolicy(t.Context(), &api.GetRepositoryPolicyInput{RepositoryName: name})
	if err != nil || *got.PolicyText != policy {
		t.Fatalf("%v, %+v", err, got)
	}
	if _, err := e.DeleteRepositoryPolicy(t.Context(), &api.DeleteRepositoryPolicyInput{RepositoryName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = e.DeleteRepositoryPolicy(t.Context(), &api.DeleteRepositoryPolicyInput{RepositoryName: name})
	expectCode(t, err, "RepositoryPolicyNotFoundException", "")

	_, err = e.GetLifecyclePolicy(t.Context(), &api.GetLifecyclePolicyInput{RepositoryName: name})
	expectCode(t, err, "LifecyclePolicyNotFoundException", "Lifecycle policy does not exist for the repository with name 'orders' in the registry with id '000000000000'")
	rule := `{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":30},"action":{"type":"expire"}}`
	for _, bad := range []string{"{}", strings.Repeat("x", 200), `{"rules":[` + rule + `,` + rule + `]}`} {
		_, err = e.PutLifecyclePolicy(t.Context(), &api.PutLifecyclePolicyInput{RepositoryName: name, LifecyclePolicyText: &bad})
		expectCode(t, err, "InvalidParameterException", "")
	}
	text := `{"rules":[` + rule + `]}`
	if _, err := e.PutLifecyclePolicy(t.Context(), &api.PutLifecyclePolicyInput{RepositoryName: name, LifecyclePolicyText: &text}); err != nil {
		t.Fatal(err)
	}
	lifecycle, err := e.GetLifecyclePolicy(t.Context(), &api.GetLifecyclePolicyInput{RepositoryName: name})
	if err != nil || *lifecycle.LifecyclePolicyText != text {
		t.Fatalf("%v, %+v", err, lifecycle)
	}
	if _, err := e.DeleteLifecyclePolicy(t.Context(), &api.DeleteLifecyclePolicyInput{RepositoryName: name}); err != nil {
		t.Fatal(err)
	}
}

func TestMutabilityIsChecked(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	filter := func(patterns ...string) (filters []types.ImageTagMutabilityExclusionFilter) {
		for _, p := range patterns {
			filters = append(filters, types.ImageTagMutabilityExclusionFilter{Filter: &p, FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard})
		}
		return filters
	}
	for _, bad := range []api.PutImageTagMutabilityInput{
		{ImageTagMutability: "SOMETIMES"},
		{ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion},
		{ImageTagMutability: types.ImageTagMutabilityImmutable, ImageTagMutabilityExclusionFilters: filter("a*")},
		{ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion, ImageTagMutabilityExclusionFilters: filter("a/*")},
		{ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion, ImageTagMutabilityExclusionFilters: filter("a", "b", "c", "d", "e", "f")},
	} {
		bad.RepositoryName = aws.String("orders")
		_, err := e.PutImageTagMutability(t.Context(), &bad)
		expectCode(t, err, "InvalidParameterException", "")
	}
}

func TestImages(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	name := aws.String("orders")
	img := randomImage(t)
	digest := e.push(t, "orders:v1", img)
	index := randomIndex(t)
	indexDigest := e.pushIndex(t, "orders:multi", index)

	out, err := e.DescribeImages(t.Context(), &api.DescribeImagesInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}}})
	if err != nil {
		t.Fatal(err)
	}
	d := out.ImageDetails[0]
	if *d.ImageDigest != digest || !slices.Equal(d.ImageTags, []string{"v1"}) || d.ImageStatus != types.ImageStatusActive {
		t.Errorf("detail: %+v", d)
	}
	if age := time.Since(*d.ImagePushedAt); age < -time.Second || age > time.Minute {
		t.Errorf("pushed %v ago", age)
	}
	if *d.ImageManifestMediaType != "application/vnd.docker.distribution.manifest.v2+json" || *d.ArtifactMediaType != "application/vnd.docker.container.image.v1+json" {
		t.Errorf("media types %s, %s", *d.ImageManifestMediaType, *d.ArtifactMediaType)
	}
	if d.LastRecordedPullTime != nil {
		t.Errorf("pulled %v, before any pull", d.LastRecordedPullTime)
	}
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	if want := layerBytes(t, img) + int64(len(manifest)); *d.ImageSizeInBytes != want {
		t.Errorf("size %d, want %d", *d.ImageSizeInBytes, want)
	}

	_, err = e.DescribeImages(t.Context(), &api.DescribeImagesInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v2")}}})
	expectCode(t, err, "ImageNotFoundException", "The image with imageId {imageDigest:'null', imageTag:'v2'} does not exist within the repository with name 'orders' in the registry with id '000000000000'")

	// The index has two children, which are images without tags.
	for status, want := range map[types.TagStatus]int{types.TagStatusTagged: 2, types.TagStatusUntagged: 2, types.TagStatusAny: 4} {
		list, err := e.ListImages(t.Context(), &api.ListImagesInput{RepositoryName: name, Filter: &types.ListImagesFilter{TagStatus: status}})
		if err != nil || len(list.ImageIds) != want {
			t.Errorf("%s: %d images (%v), want %d", status, len(list.ImageIds), err, want)
		}
	}

	got, err := e.BatchGetImage(t.Context(), &api.BatchGetImageInput{
		RepositoryName: name,
		ImageIds: []types.ImageIdentifier{
			{ImageTag: aws.String("v1")}, {ImageTag: aws.String("absent")}, {},
			{ImageDigest: aws.String("nonsense")}, {ImageTag: aws.String("v1"), ImageDigest: &indexDigest}, {ImageTag: aws.String("multi")},
		},
		AcceptedMediaTypes: []string{"application/vnd.docker.distribution.manifest.v2+json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Images) != 1 || *got.Images[0].ImageManifest != string(manifest) || *got.Images[0].ImageId.ImageTag != "v1" {
		t.Errorf("images: %+v", got.Images)
	}
	var codes []types.ImageFailureCode
	for _, f := range got.Failures {
		codes = append(codes, f.FailureCode)
	}
	if want := []types.ImageFailureCode{"ImageNotFound", "MissingDigestAndTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest", "ImageNotFound"}; !slices.Equal(codes, want) {
		t.Errorf("failures %v, want %v", codes, want)
	}
	out, err = e.DescribeImages(t.Context(), &api.DescribeImagesInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageDigest: &digest}}})
	if err != nil || out.ImageDetails[0].LastRecordedPullTime == nil {
		t.Errorf("%v: no pull was recorded", err)
	}
}

func TestPutImageAddsATag(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	img := randomImage(t)
	digest := e.push(t, "orders:v1", img)
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	put := func(tag string) error {
		_, err := e.PutImage(t.Context(), &api.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: aws.String(string(raw)), ImageTag: &tag})
		return err
	}
	if err := put("stable"); err != nil {
		t.Fatal(err)
	}
	if got := e.digest(t, "orders", "stable"); got != digest {
		t.Errorf("stable names %s, want %s", got, digest)
	}
	expectCode(t, put("stable"), "ImageAlreadyExistsException", "Image with digest '"+digest+"' and tag 'stable' already exists in the repository with name 'orders' in registry with id '000000000000'")
	expectCode(t, put("no tag"), "InvalidParameterException", "")

	_, err = e.PutImage(t.Context(), &api.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: aws.String(string(raw)), ImageDigest: aws.String("sha256:" + strings.Repeat("0", 64))})
	expectCode(t, err, "ImageDigestDoesNotMatchException", "")
	_, err = e.PutImage(t.Context(), &api.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: aws.String(`{"schemaVersion":1}`)})
	expectCode(t, err, "InvalidParameterException", "")

	e.repository(t, "other")
	_, err = e.PutImage(t.Context(), &api.PutImageInput{RepositoryName: aws.String("other"), ImageManifest: aws.String(string(raw)), ImageTag: aws.String("v1")})
	expectCode(t, err, "LayersNotFoundException", "")
}

func TestBatchDeleteImage(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	name := aws.String("orders")
	img := randomImage(t)
	digest := e.push(t, "orders:v1", img)
	e.push(t, "orders:v2", img)
	remove := func(id types.ImageIdentifier) *api.BatchDeleteImageOutput {
		t.Helper()
		out, err := e.BatchDeleteImage(t.Context(), &api.BatchDeleteImageInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{id}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// A tag goes alone, the last one takes the image with it.
	if out := remove(types.ImageIdentifier{ImageTag: aws.String("v1")}); len(out.ImageIds) != 1 || *out.ImageIds[0].ImageDigest != digest {
		t.Errorf("deleted %+v, failed %+v", out.ImageIds, out.Failures)
	}
	if got := e.digest(t, "orders", "v2"); got != digest {
		t.Errorf("v2 names %s", got)
	}
	remove(types.ImageIdentifier{ImageTag: aws.String("v2")})
	if out := remove(types.ImageIdentifier{ImageDigest: &digest}); len(out.Failures) != 1 || out.Failures[0].FailureCode != types.ImageFailureCodeImageNotFound {
		t.Errorf("deleted %+v, failed %+v", out.ImageIds, out.Failures)
	}
	// A digest takes all tags with it.
	e.push(t, "orders:v1", img)
	e.push(t, "orders:v2", img)
	if out := remove(types.ImageIdentifier{ImageDigest: &digest}); len(out.ImageIds) != 2 {
		t.Errorf("deleted %+v", out.ImageIds)
	}
	// What an index needs stays until the index is gone.
	index := randomIndex(t)
	indexDigest := e.pushIndex(t, "orders:multi", index)
	children, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child := children.Manifests[0].Digest.String()
	if out := remove(types.ImageIdentifier{ImageDigest: &child}); len(out.Failures) != 1 || out.Failures[0].FailureCode != types.ImageFailureCodeImageReferencedByManifestList {
		t.Errorf("deleted %+v, failed %+v", out.ImageIds, out.Failures)
	}
	_, err = e.DeleteRepository(t.Context(), &api.DeleteRepositoryInput{RepositoryName: name})
	expectCode(t, err, "RepositoryNotEmptyException", "The repository with name 'orders' in registry with id '000000000000' cannot be deleted because it still contains images")
	remove(types.ImageIdentifier{ImageDigest: &indexDigest})
	if out := remove(types.ImageIdentifier{ImageDigest: &child}); len(out.ImageIds) != 1 {
		t.Errorf("failed %+v", out.Failures)
	}
	if _, err := e.DeleteRepository(t.Context(), &api.DeleteRepositoryInput{RepositoryName: name, Force: true}); err != nil {
		t.Fatal(err)
	}
}

func TestLayers(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	e.repository(t, "other")
	img := randomImage(t)
	e.push(t, "orders:v1", img)
	digest, content := firstLayer(t, img)
	absent := "sha256:" + strings.Repeat("0", 64)

	out, err := e.BatchCheckLayerAvailability(t.Context(), &api.BatchCheckLayerAvailabilityInput{RepositoryName: aws.String("orders"), LayerDigests: []string{digest, absent, "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if l := out.Layers[0]; l.LayerAvailability != types.LayerAvailabilityAvailable || *l.LayerSize != int64(len(content)) || *l.MediaType != "application/vnd.docker.image.rootfs.diff.tar.gzip" {
		t.Errorf("layer %+v", l)
	}
	if l := out.Layers[1]; l.LayerAvailability != types.LayerAvailabilityUnavailable {
		t.Errorf("layer %+v", l)
	}
	if len(out.Failures) != 1 || out.Failures[0].FailureCode != types.LayerFailureCodeInvalidLayerDigest {
		t.Errorf("failures %+v", out.Failures)
	}

	// The URL works by itself, for that blob only.
	link, err := e.GetDownloadUrlForLayer(t.Context(), &api.GetDownloadUrlForLayerInput{RepositoryName: aws.String("orders"), LayerDigest: &digest})
	if err != nil {
		t.Fatal(err)
	}
	get := func(url string) *http.Response {
		t.Helper()
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	response := get(*link.DownloadUrl)
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || string(got) != string(content) {
		t.Errorf("%v: status %d, %d bytes", err, response.StatusCode, len(got))
	}
	expect(t, get(strings.Replace(*link.DownloadUrl, "/v2/orders/", "/v2/other/", 1)), http.StatusUnauthorized)
	expect(t, get(strings.Replace(*link.DownloadUrl, "signature=", "signature=9", 1)), http.StatusUnauthorized)

	_, err = e.GetDownloadUrlForLayer(t.Context(), &api.GetDownloadUrlForLayerInput{RepositoryName: aws.String("orders"), LayerDigest: &absent})
	expectCode(t, err, "LayersNotFoundException", "")
	_, err = e.GetDownloadUrlForLayer(t.Context(), &api.GetDownloadUrlForLayerInput{RepositoryName: aws.String("other"), LayerDigest: &digest})
	expectCode(t, err, "LayersNotFoundException", "")
	orphan := e.upload(t, "orders", []byte("no manifest names this"))
	_, err = e.GetDownloadUrlForLayer(t.Context(), &api.GetDownloadUrlForLayerInput{RepositoryName: aws.String("orders"), LayerDigest: &orphan})
	expectCode(t, err, "LayerInaccessibleException", "")
}
