package ecr_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tasuki-dev/tasuki/localaws/ecr"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(1024, 3)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func randomIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	index, err := random.Index(1024, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// layerBytes returns the bytes of an image's layers and configuration.
func layerBytes(t *testing.T, img v1.Image) int64 {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	size := m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size
}

func firstLayer(t *testing.T, img v1.Image) (digest string, content []byte) {
	t.Helper()
	all, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := all[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	r, err := all[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	if content, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return hash.String(), content
}

// login returns go-containerregistry's option for good credentials.
func (e *endpoint) login(t *testing.T) remote.Option {
	t.Helper()
	return remote.WithAuth(&authn.Basic{Username: "AWS", Password: e.password(t)})
}

func (e *endpoint) reference(t *testing.T, image string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(e.host + "/" + image)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (e *endpoint) push(t *testing.T, image string, img v1.Image) (digest string) {
	t.Helper()
	if err := remote.Write(e.reference(t, image), img, e.login(t)); err != nil {
		t.Fatal(err)
	}
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

func (e *endpoint) pushIndex(t *testing.T, image string, index v1.ImageIndex) (digest string) {
	t.Helper()
	if err := remote.WriteIndex(e.reference(t, image), index, e.login(t)); err != nil {
		t.Fatal(err)
	}
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

// digest returns what a tag names, by the API.
func (e *endpoint) digest(t *testing.T, repository, tag string) string {
	t.Helper()
	out, err := e.DescribeImages(t.Context(), &api.DescribeImagesInput{RepositoryName: &repository, ImageIds: []types.ImageIdentifier{{ImageTag: &tag}}})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ImageDetails[0].ImageDigest
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// upload pushes a blob, POST then PUT.
func (e *endpoint) upload(t *testing.T, repository string, content []byte) (digest string) {
	t.Helper()
	digest = digestOf(content)
	location := e.start(t, repository)
	expect(t, e.send(t, "PUT", location+"?digest="+digest, nil, bytes.NewReader(content)), http.StatusCreated)
	return digest
}

// start begins an upload and returns its location.
func (e *endpoint) start(t *testing.T, repository string) string {
	t.Helper()
	response := e.send(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	expect(t, response, http.StatusAccepted)
	return response.Header.Get("Location")
}

func TestPushAndPull(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "team/orders")
	img := randomImage(t)
	e.push(t, "team/orders:v1", img)
	pulled, err := remote.Image(e.reference(t, "team/orders:v1"), e.login(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	e.pushIndex(t, "team/orders:multi", randomIndex(t))
	index, err := remote.Index(e.reference(t, "team/orders:multi"), e.login(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	listed, err := remote.List(e.reference(t, "team/orders").Context(), e.login(t), remote.WithPageSize(1))
	if err != nil || strings.Join(listed, " ") != "multi v1" {
		t.Errorf("tags %v (%v)", listed, err)
	}
	registry, err := name.NewRegistry(e.host)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := remote.Catalog(t.Context(), registry, e.login(t))
	if err != nil || strings.Join(catalog, " ") != "team/orders" {
		t.Errorf("catalog %v (%v)", catalog, err)
	}
}

// orasRepository returns an oras client of a repository.
func (e *endpoint) orasRepository(t *testing.T, repository string) *orasremote.Repository {
	t.Helper()
	r, err := orasremote.NewRepository(e.host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	r.Client = &auth.Client{Credential: auth.StaticCredential(e.host, auth.Credential{Username: "AWS", Password: e.password(t)})}
	return r
}

func TestArtifactsAndReferrers(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	ctx := t.Context()
	source := memory.New()
	pack := func(artifactType string, options oras.PackManifestOptions) ocispec.Descriptor {
		t.Helper()
		desc, err := oras.PackManifest(ctx, source, oras.PackManifestVersion1_1, artifactType, options)
		if err != nil {
			t.Fatal(err)
		}
		return desc
	}
	layer, err := oras.PushBytes(ctx, source, "text/plain", []byte("a bill of materials"))
	if err != nil {
		t.Fatal(err)
	}
	image := pack("application/vnd.example", oras.PackManifestOptions{})
	sbom := pack("application/vnd.example.sbom", oras.PackManifestOptions{
		Subject: &image, Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: map[string]string{"of": "orders"},
	})
	if err := source.Tag(ctx, image, "v1"); err != nil {
		t.Fatal(err)
	}
	target := e.orasRepository(t, "orders")
	if _, err := oras.ExtendedCopy(ctx, source, "v1", target, "v1", oras.DefaultExtendedCopyOptions); err != nil {
		t.Fatal(err)
	}
	referrers, err := registry.Referrers(ctx, target, image, "application/vnd.example.sbom")
	if err != nil {
		t.Fatal(err)
	}
	if len(referrers) != 1 || referrers[0].Digest != sbom.Digest || referrers[0].Annotations["of"] != "orders" {
		t.Errorf("referrers %+v", referrers)
	}
	// What a puller gets is what was pushed.
	back := memory.New()
	if _, err := oras.Copy(ctx, target, sbom.Digest.String(), back, "", oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	details, err := e.DescribeImages(ctx, &api.DescribeImagesInput{RepositoryName: aws.String("orders"), ImageIds: []types.ImageIdentifier{{ImageDigest: aws.String(sbom.Digest.String())}}})
	if err != nil {
		t.Fatal(err)
	}
	if d := details.ImageDetails[0]; *d.ArtifactMediaType != "application/vnd.example.sbom" || *d.SubjectManifestDigest != image.Digest.String() {
		t.Errorf("detail %+v", d)
	}
}

func TestNoRepositoryByPush(t *testing.T) {
	e := newEndpoint(t)
	want := "The repository with name 'orders' does not exist in the registry with id '000000000000'"
	for _, probe := range [][2]string{{"POST", "/v2/orders/blobs/uploads/"}, {"PUT", "/v2/orders/manifests/v1"}, {"GET", "/v2/orders/tags/list"}, {"GET", "/v2/orders/manifests/v1"}} {
		header := http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}}
		body := expect(t, e.send(t, probe[0], probe[1], header, strings.NewReader(`{"schemaVersion":2,"config":{"mediaType":"x","digest":"`+digestOf(nil)+`"}}`)), http.StatusNotFound)
		if !strings.Contains(body, "NAME_UNKNOWN") || !strings.Contains(body, want) {
			t.Errorf("%v: %s", probe, body)
		}
	}
	err := remote.Write(e.reference(t, "orders:v1"), randomImage(t), e.login(t))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	e := newEndpoint(t)
	other := newEndpoint(t)
	e.repository(t, "orders")
	for what, credentials := range map[string][2]string{
		"none":                {"", ""},
		"wrong password":      {"AWS", "secret"},
		"wrong user":          {"root", e.password(t)},
		"of another registry": {"AWS", other.password(t)},
		"with a later expiry": {"AWS", "9" + e.password(t)},
		"without a signature": {"AWS", strings.Split(e.password(t), ".")[0] + "."},
	} {
		for _, path := range []string{"/v2/", "/v2/orders/tags/list"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", e.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if credentials[0] != "" {
				r.SetBasicAuth(credentials[0], credentials[1])
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			expect(t, response, http.StatusUnauthorized)
			if got, want := response.Header.Get("Www-Authenticate"), `Basic realm="`+e.url+`/",service="ecr.amazonaws.com"`; got != want {
				t.Errorf("%s: Www-Authenticate %q, want %q", what, got, want)
			}
		}
	}
	expect(t, e.send(t, "GET", "/v2/", nil, nil), http.StatusOK)
	if err := remote.Write(e.reference(t, "orders:v1"), randomImage(t), remote.WithAuth(authn.Anonymous)); err == nil {
		t.Error("an anonymous push succeeded")
	}
}

func TestImmutableTags(t *testing.T) {
	e := newEndpoint(t)
	_, err := e.CreateRepository(t.Context(), &api.CreateRepositoryInput{
		RepositoryName:     aws.String("orders"),
		ImageTagMutability: types.ImageTagMutabilityImmutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{
			{Filter: aws.String("tasuki-live"), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard},
			{Filter: aws.String("tasuki-held-*"), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	first, second := randomImage(t), randomImage(t)
	digest := e.push(t, "orders:v1", first)
	e.push(t, "orders:v1", first) // the same digest again is no change
	e.push(t, "orders:tasuki-live", first)
	e.push(t, "orders:tasuki-live", second)
	e.push(t, "orders:tasuki-held-stack", first)
	e.push(t, "orders:tasuki-held-stack", second)

	const text = "The image tag 'v1' already exists in the 'orders' repository and cannot be overwritten because the repository is immutable."
	err = remote.Write(e.reference(t, "orders:v1"), second, e.login(t))
	if err == nil || !strings.Contains(err.Error(), "TAG_INVALID") || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v", err)
	}
	raw, err := second.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, e.send(t, "PUT", "/v2/orders/manifests/v1", http.Header{"Content-Type": {"application/vnd.docker.distribution.manifest.v2+json"}}, bytes.NewReader(raw)), http.StatusBadRequest)
	_, err = e.PutImage(t.Context(), &api.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: aws.String(string(raw)), ImageTag: aws.String("v1")})
	expectCode(t, err, "ImageTagAlreadyExistsException", text)
	if got := e.digest(t, "orders", "v1"); got != digest {
		t.Errorf("v1 names %s, want %s", got, digest)
	}

	// With the other exclusion, what matches is what cannot be moved.
	if _, err := e.PutImageTagMutability(t.Context(), &api.PutImageTagMutabilityInput{
		RepositoryName:     aws.String("orders"),
		ImageTagMutability: types.ImageTagMutabilityMutableWithExclusion,
		ImageTagMutabilityExclusionFilters: []types.ImageTagMutabilityExclusionFilter{
			{Filter: aws.String("tasuki-*"), FilterType: types.ImageTagMutabilityExclusionFilterTypeWildcard},
		},
	}); err != nil {
		t.Fatal(err)
	}
	e.push(t, "orders:v1", second)
	if err := remote.Write(e.reference(t, "orders:tasuki-live"), first, e.login(t)); err == nil {
		t.Error("an excluded tag was moved")
	}
}

func TestManifestNeedsItsParts(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	img := randomImage(t)
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	put := func(mediaType string, body []byte) *http.Response {
		return e.send(t, "PUT", "/v2/orders/manifests/v1", http.Header{"Content-Type": {mediaType}}, bytes.NewReader(body))
	}
	digest, _ := firstLayer(t, img)
	body := expect(t, put("application/vnd.docker.distribution.manifest.v2+json", raw), http.StatusNotFound)
	if !strings.Contains(body, "BLOB_UNKNOWN") || !strings.Contains(body, digest) || !strings.Contains(body, "required for pushing image into repository with name 'orders' in the registry with id '000000000000' do not exist") {
		t.Error(body)
	}
	index, err := randomIndex(t).RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	body = expect(t, put("application/vnd.oci.image.index.v1+json", index), http.StatusNotFound)
	if !strings.Contains(body, "MANIFEST_BLOB_UNKNOWN") || !strings.Contains(body, "Images with digests '[sha256:") {
		t.Error(body)
	}
	for what, bad := range map[string]string{
		"no JSON":          `{`,
		"no configuration": `{"schemaVersion":2}`,
		"old schema":       `{"schemaVersion":1}`,
		"another type":     `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}`,
		"no digest":        `{"schemaVersion":2,"config":{"digest":"x"}}`,
		"too long":         `{"schemaVersion":2,"x":"` + strings.Repeat("x", 4<<20) + `"}`,
	} {
		if body := expect(t, put(ocispec.MediaTypeImageManifest, []byte(bad)), http.StatusBadRequest); !strings.Contains(body, "MANIFEST_INVALID") {
			t.Errorf("%s: %s", what, body)
		}
	}
}

func TestDeletionIsRefused(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	digest := e.push(t, "orders:v1", randomImage(t))
	for _, path := range []string{"/v2/orders/manifests/v1", "/v2/orders/manifests/" + digest, "/v2/orders/blobs/" + digest} {
		if body := expect(t, e.send(t, "DELETE", path, nil, nil), http.StatusMethodNotAllowed); !strings.Contains(body, "UNSUPPORTED") {
			t.Error(body)
		}
	}
	e.digest(t, "orders", "v1")
}

func TestMount(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	e.repository(t, "copy")
	img := randomImage(t)
	e.push(t, "orders:v1", img)
	digest, content := firstLayer(t, img)
	mount := func(from, digest string) *http.Response {
		return e.send(t, "POST", "/v2/copy/blobs/uploads/?mount="+digest+"&from="+from, nil, nil)
	}
	// A blob is the business of its repository until it is mounted.
	expect(t, e.send(t, "GET", "/v2/copy/blobs/"+digest, nil, nil), http.StatusNotFound)
	response := mount("orders", digest)
	expect(t, response, http.StatusCreated)
	if got := response.Header.Get("Location"); got != "/v2/copy/blobs/"+digest {
		t.Errorf("mounted at %q", got)
	}
	if got := expect(t, e.send(t, "GET", "/v2/copy/blobs/"+digest, nil, nil), http.StatusOK); got != string(content) {
		t.Error("the mounted blob is another")
	}
	// A blob that no manifest names, or that is not there, is to be uploaded into the
	// session that the answer opens.
	orphan := []byte("no manifest names this")
	e.upload(t, "orders", orphan)
	for _, response := range []*http.Response{mount("orders", digestOf(orphan)), mount("absent", digestOf(orphan))} {
		expect(t, response, http.StatusAccepted)
		expect(t, e.send(t, "PUT", response.Header.Get("Location")+"?digest="+digestOf(orphan), nil, bytes.NewReader(orphan)), http.StatusCreated)
	}
	// Clients mount by themselves.
	source, err := remote.Image(e.reference(t, "orders:v1"), e.login(t))
	if err != nil {
		t.Fatal(err)
	}
	e.push(t, "copy:v1", source)
	if _, err := oras.Copy(t.Context(), e.orasRepository(t, "orders"), "v1", e.orasRepository(t, "copy"), "v2", oras.CopyOptions{
		CopyGraphOptions: oras.CopyGraphOptions{MountFrom: func(context.Context, ocispec.Descriptor) ([]string, error) { return []string{"orders"}, nil }},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestRanges(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	path := "/v2/orders/blobs/" + e.upload(t, "orders", []byte("0123456789"))
	for asked, want := range map[string][2]string{
		"bytes=2-4":    {"234", "bytes 2-4/10"},
		"bytes=7-":     {"789", "bytes 7-9/10"},
		"bytes=8-1000": {"89", "bytes 8-9/10"},
	} {
		response := e.send(t, "GET", path, http.Header{"Range": {asked}}, nil)
		if body := expect(t, response, http.StatusPartialContent); body != want[0] || response.Header.Get("Content-Range") != want[1] {
			t.Errorf("%s: %q, %s", asked, body, response.Header.Get("Content-Range"))
		}
	}
	expect(t, e.send(t, "GET", path, http.Header{"Range": {"bytes=10-"}}, nil), http.StatusRequestedRangeNotSatisfiable)
	response := e.send(t, "HEAD", path, nil, nil)
	expect(t, response, http.StatusOK)
	if response.ContentLength != 10 || response.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("length %d, ranges %q", response.ContentLength, response.Header.Get("Accept-Ranges"))
	}
}

func TestChunkedUploadResumes(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	e.repository(t, "other")
	content := make([]byte, 3<<20)
	_, _ = rand.Read(content)
	digest := digestOf(content)
	location := e.start(t, "orders")
	chunk := func(from, to int) *http.Response {
		return e.send(t, "PATCH", location, http.Header{"Content-Range": {fmt.Sprintf("%d-%d", from, to-1)}}, bytes.NewReader(content[from:to]))
	}
	const half = 1 << 20
	expect(t, chunk(0, half), http.StatusAccepted)

	// The second piece breaks off after it has begun.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pipe, writer := io.Pipe()
	request, err := http.NewRequestWithContext(ctx, "PATCH", e.url+location, pipe)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("AWS", e.password(t))
	broken := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		broken <- err
	}()
	if _, err := writer.Write(content[half : half+100_000]); err != nil {
		t.Fatal(err)
	}
	_ = writer.CloseWithError(errors.New("cut off"))
	if err := <-broken; err == nil {
		t.Fatal("the request that was cut off succeeded")
	}

	// The session says how far it came. The client may know before the server has read
	// the request that was cut off at all, so its bytes are waited for.
	var arrived int
	for deadline := time.Now().Add(time.Minute); arrived <= half; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing of the piece that was cut off has arrived: %d bytes", arrived)
		}
		response := e.send(t, "GET", location, nil, nil)
		expect(t, response, http.StatusNoContent)
		var last int
		if _, err := fmt.Sscanf(response.Header.Get("Range"), "0-%d", &last); err != nil {
			t.Fatalf("range %q: %v", response.Header.Get("Range"), err)
		}
		arrived = last + 1
	}
	if arrived > half+100_000 {
		t.Fatalf("%d bytes arrived", arrived)
	}

	// It goes on there, and nowhere else.
	expect(t, chunk(0, half), http.StatusRequestedRangeNotSatisfiable)
	expect(t, chunk(arrived+1, len(content)), http.StatusRequestedRangeNotSatisfiable)
	expect(t, e.send(t, "GET", strings.Replace(location, "/orders/", "/other/", 1), nil, nil), http.StatusNotFound)
	expect(t, chunk(arrived, len(content)), http.StatusAccepted)
	expect(t, e.send(t, "PUT", location+"?digest="+digest, nil, nil), http.StatusCreated)
	if got := expect(t, e.send(t, "GET", "/v2/orders/blobs/"+digest, nil, nil), http.StatusOK); got != string(content) {
		t.Error("the blob is another")
	}
	if body := expect(t, e.send(t, "GET", location, nil, nil), http.StatusNotFound); !strings.Contains(body, "BLOB_UPLOAD_UNKNOWN") {
		t.Error(body)
	}
}

func TestDigestMismatchIsRefused(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	wrong := digestOf([]byte("something else"))
	location := e.start(t, "orders")
	if body := expect(t, e.send(t, "PUT", location+"?digest="+wrong, nil, strings.NewReader("something")), http.StatusBadRequest); !strings.Contains(body, "DIGEST_INVALID") {
		t.Error(body)
	}
	expect(t, e.send(t, "POST", "/v2/orders/blobs/uploads/?digest="+wrong, nil, strings.NewReader("something")), http.StatusBadRequest)
	expect(t, e.send(t, "HEAD", "/v2/orders/blobs/"+wrong, nil, nil), http.StatusNotFound)
	right := digestOf([]byte("something"))
	expect(t, e.send(t, "POST", "/v2/orders/blobs/uploads/?digest="+right, nil, strings.NewReader("something")), http.StatusCreated)
	if _, err := e.service.OpenBlob(t.Context(), wrong); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// zeros is as many zero bytes as anybody reads.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestBlobsAreStreamed(t *testing.T) {
	const size, most = 96 << 20, 16 << 20
	e := newEndpoint(t)
	e.repository(t, "orders")
	hash := sha256.New()
	if _, err := io.CopyN(hash, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	digest := fmt.Sprintf("sha256:%x", hash.Sum(nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	location := e.start(t, "orders")
	expect(t, e.send(t, "PATCH", location, nil, io.LimitReader(zeros{}, size)), http.StatusAccepted)
	expect(t, e.send(t, "PUT", location+"?digest="+digest, nil, nil), http.StatusCreated)
	response := e.send(t, "GET", "/v2/orders/blobs/"+digest, nil, nil)
	if n, err := io.Copy(io.Discard, response.Body); err != nil || n != size {
		t.Errorf("%d bytes came back (%v)", n, err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
		t.Errorf("%d bytes of memory for a blob of %d", allocated, size)
	}
}

func TestConcurrentPushesOfOneBlob(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	e.repository(t, "copy")
	img := randomImage(t)
	login := e.login(t)
	var pushes errgroup.Group
	for i := range 8 {
		ref := e.reference(t, fmt.Sprintf("%s:v%d", []string{"orders", "copy"}[i%2], i))
		pushes.Go(func() error { return remote.Write(ref, img, login) })
	}
	if err := pushes.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		pulled, err := remote.Image(e.reference(t, fmt.Sprintf("%s:v%d", []string{"orders", "copy"}[i%2], i)), login)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(pulled); err != nil {
			t.Error(err)
		}
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	open := func() *state.Store {
		t.Helper()
		store, err := state.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := open()
	before := serve(t, store)
	before.repository(t, "orders")
	before.repository(t, "doomed")
	img := randomImage(t)
	digest := before.push(t, "orders:v1", img)
	password := before.password(t)
	pending := before.upload(t, "orders", []byte("its manifest comes after the restart"))
	location := before.start(t, "orders")
	expect(t, before.send(t, "PATCH", location, nil, strings.NewReader("abandoned")), http.StatusAccepted)
	doomed := before.push(t, "doomed:v1", randomImage(t))
	if _, err := before.DeleteRepository(t.Context(), &api.DeleteRepositoryInput{RepositoryName: aws.String("doomed"), Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = open()
	defer store.Close()
	after := serve(t, store)
	pulled, err := remote.Image(after.reference(t, "orders:v1"), remote.WithAuth(&authn.Basic{Username: "AWS", Password: password}))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	if got := after.digest(t, "orders", "v1"); got != digest {
		t.Errorf("v1 names %s, want %s", got, digest)
	}
	expect(t, after.send(t, "HEAD", "/v2/orders/blobs/"+pending, nil, nil), http.StatusOK)
	expect(t, after.send(t, "GET", location, nil, nil), http.StatusNotFound)
	abandoned, err := os.ReadDir(filepath.Join(dir, "blobs", "uploads"))
	if err != nil || len(abandoned) != 0 {
		t.Errorf("uploads left: %v (%v)", abandoned, err)
	}
	// Three layers, a configuration and the pending blob; nothing of the deleted repository.
	files, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil || len(files) != 5 {
		t.Errorf("%d blobs (%v), want 5; the deleted image was %s", len(files), err, doomed)
	}
}

func TestResolve(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "team/orders")
	img := randomImage(t)
	digest := e.push(t, "team/orders:latest", img)
	want, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	canonical := "000000000000.dkr.ecr.eu-west-1.amazonaws.com/team/orders"
	for _, uri := range []string{canonical + ":latest", canonical + "@" + digest, e.host + "/team/orders:latest", e.host + "/team/orders@" + digest} {
		got, manifest, mediaType, err := e.service.Resolve(t.Context(), uri)
		if err != nil || got != digest || !bytes.Equal(manifest, want) || mediaType != "application/vnd.docker.distribution.manifest.v2+json" {
			t.Errorf("%s: %s, %s (%v)", uri, got, mediaType, err)
		}
	}
	for uri, want := range map[string]error{
		"111111111111.dkr.ecr.eu-west-1.amazonaws.com/team/orders:latest": ecr.ErrNotHere,
		"000000000000.dkr.ecr.us-east-1.amazonaws.com/team/orders:latest": ecr.ErrNotHere,
		"public.ecr.aws/team/orders:latest":                               ecr.ErrNotHere,
		canonical:                                                         ecr.ErrNotHere,
		canonical + "@latest":                                             ecr.ErrNotHere,
		"":                                                                ecr.ErrNotHere,
		"000000000000.dkr.ecr.eu-west-1.amazonaws.com/orders:latest": ecr.ErrRepositoryMissing,
		canonical + ":v1":               ecr.ErrImageMissing,
		canonical + "@" + digestOf(nil): ecr.ErrImageMissing,
	} {
		if _, _, _, err := e.service.Resolve(t.Context(), uri); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", uri, err, want)
		}
	}
	layer, content := firstLayer(t, img)
	blob, err := e.service.OpenBlob(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%v: another layer", err)
	}
}

// Nothing is enforced of a repository's policy but that it denies Lambda to pull.
func TestResolveDeniesLambdaWhatThePolicyDenies(t *testing.T) {
	e := newEndpoint(t)
	e.repository(t, "orders")
	e.push(t, "orders:v1", randomImage(t))
	for statement, denied := range map[string]bool{
		`{"Effect":"Deny","Principal":"*","Action":"ecr:*"}`: true,
		`[{"Effect":"Deny","Principal":{"Service":["ecs.amazonaws.com","lambda.amazonaws.com"]},"Action":["ecr:PutImage","ecr:getdownloadurlforlayer"]}]`: true,
		`{"Effect":"Deny","Principal":{"AWS":"*"},"NotAction":"ecr:PutImage"}`:                                                                            true,
		`{"Effect":"Deny","Principal":"*","NotAction":"ecr:*"}`:                                                                                           false,
		`{"Effect":"Deny","Principal":"*","Action":"ecr:PutImage"}`:                                                                                       false,
		`{"Effect":"Deny","Principal":{"Service":"ecs.amazonaws.com"},"Action":"ecr:*"}`:                                                                  false,
		`{"Effect":"Deny","Principal":"*","Action":"ecr:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`:                                         false,
		`{"Effect":"Allow","Principal":{"Service":"ecs.amazonaws.com"},"Action":"ecr:*"}`:                                                                 false,
		`{"Effect":"Deny","NotPrincipal":{"Service":"lambda.amazonaws.com"},"Action":"ecr:*"}`:                                                            false,
	} {
		if _, err := e.SetRepositoryPolicy(t.Context(), &api.SetRepositoryPolicyInput{RepositoryName: aws.String("orders"), PolicyText: aws.String(`{"Statement":` + statement + `}`)}); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := e.service.Resolve(t.Context(), "000000000000.dkr.ecr.eu-west-1.amazonaws.com/orders:v1")
		if errors.Is(err, ecr.ErrLambdaDenied) != denied || !denied && err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
