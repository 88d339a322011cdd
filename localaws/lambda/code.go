package lambda

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// largestConfig bounds an image's configuration, in bytes.
const largestConfig = 4 << 20

// layerMediaTypes are the layers that can be unpacked, in OCI's and Docker's words.
var layerMediaTypes = []string{
	"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar.zstd",
}

// resolve finds out what image a URI names now, once and for all: a tag that moves
// later changes nothing.
func (s *Service) resolve(ctx context.Context, uri string) (image, error) {
	digest, content, mediaType, err := s.o.Images.Resolve(ctx, uri)
	switch {
	case errors.Is(err, ErrNotECR):
		return image{}, invalid("Source image %s is not valid. Provide a valid source image.", uri)
	case errors.Is(err, ErrNoRepository), errors.Is(err, ErrNoImage):
		return image{}, invalid("Source image %s does not exist. Provide a valid source image.", uri)
	case errors.Is(err, ErrDenied):
		return image{}, wire.Errorf("AccessDeniedException", "Lambda does not have permission to access the ECR image. Check the ECR permissions.").WithStatus(http.StatusForbidden)
	case err != nil:
		return image{}, err
	}
	unsupported := invalid("The image manifest, config or layer media type for the source image %s is not supported.", uri)
	if mediaType != tasuki.MediaTypeOCIManifest && mediaType != tasuki.MediaTypeDockerManifest {
		return image{}, unsupported
	}
	d, err := tasuki.ParseDigest(digest)
	if err != nil {
		return image{}, err
	}
	config, layers, err := tasuki.Manifest{Digest: d, MediaType: mediaType, Bytes: content}.ConfigAndLayers()
	if err != nil || config.MediaType != tasuki.MediaTypeOCIConfig && config.MediaType != tasuki.MediaTypeDockerConfig {
		return image{}, unsupported
	}
	found := image{URI: uri, Digest: digest, Resolved: repositoryOf(uri) + "@" + digest}
	for _, layer := range layers {
		if !slices.Contains(layerMediaTypes, layer.MediaType) {
			return image{}, unsupported
		}
		found.Layers = append(found.Layers, layer.Digest.String())
	}
	facts, err := s.readConfig(ctx, config.Digest.String())
	if err != nil {
		return image{}, err
	}
	if facts == nil {
		return image{}, unsupported
	}
	found.Entrypoint, found.Command, found.WorkingDir, found.Env = facts.Config.Entrypoint, facts.Config.Cmd, facts.Config.WorkingDir, facts.Config.Env
	return found, nil
}

// readConfig reads an image's configuration; nil where it is none.
func (s *Service) readConfig(ctx context.Context, digest string) (*tasuki.ImageConfig, error) {
	blob, err := s.o.Images.OpenBlob(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	content, err := io.ReadAll(io.LimitReader(blob, largestConfig))
	if err != nil {
		return nil, err
	}
	config := new(tasuki.ImageConfig)
	if json.Unmarshal(content, config) != nil {
		return nil, nil
	}
	return config, nil
}

// repositoryOf returns an image URI without its tag or digest.
func repositoryOf(uri string) string {
	repository, _, _ := strings.Cut(uri, "@")
	if slash := strings.LastIndexByte(repository, '/'); slash >= 0 {
		name, _, _ := strings.Cut(repository[slash:], ":")
		return repository[:slash] + name
	}
	return repository
}

// keepObject stores the package that is an object in S3.
func (s *Service) keepObject(ctx context.Context, bucket, key string) (hash string, size int64, err error) {
	object, _, err := s.o.Objects.Open(ctx, bucket, key)
	const refused = "Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s"
	switch {
	case errors.Is(err, ErrNoBucket):
		return "", 0, invalid(refused, "NoSuchBucket", "The specified bucket does not exist")
	case errors.Is(err, ErrNoObject):
		return "", 0, invalid(refused, "NoSuchKey", "The specified key does not exist.")
	case err != nil:
		return "", 0, err
	}
	defer object.Close()
	return s.keepZip(object)
}

// keepZip checks a package and stores it, durably before the answer that it was taken.
// It returns its hash and its size in bytes.
func (s *Service) keepZip(content io.Reader) (hash string, size int64, err error) {
	dir := filepath.Dir(new(version).zip(s.o.Store.Dir()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", 0, err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return "", 0, err
	}
	defer os.Remove(f.Name()) // where it was not renamed
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(content, sandbox.LargestZip+1))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", 0, err
	}
	switch err := sandbox.CheckZip(f.Name()); {
	case size > sandbox.LargestZip, errors.Is(err, sandbox.ErrZipTooLarge):
		return "", 0, invalid("Unzipped size must be smaller than %d bytes", sandbox.LargestZip)
	case errors.Is(err, sandbox.ErrNotZip):
		return "", 0, invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	case err != nil:
		return "", 0, err
	}
	v := &version{ZipSHA256: hex.EncodeToString(sum.Sum(nil))}
	return v.ZipSHA256, size, os.Rename(f.Name(), v.zip(s.o.Store.Dir()))
}

// failure is why a version could not be made ready.
type failure struct {
	reason string
	code   types.LastUpdateStatusReasonCode
}

// prepare unpacks a version's code: the work of a creation or an update.
func (s *Service) prepare(ctx context.Context, v *version) *failure {
	dir := v.rootfs(s.o.Store.Dir())
	var err error
	if v.PackageType == types.PackageTypeZip {
		err = sandbox.UnpackZip(ctx, dir, v.zip(s.o.Store.Dir()))
	} else {
		var layers []sandbox.Layer
		for _, digest := range v.Image.Layers {
			layers = append(layers, func() (io.ReadCloser, error) { return s.o.Images.OpenBlob(ctx, digest) })
		}
		err = sandbox.Unpack(ctx, dir, layers...)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sandbox.ErrTooLarge):
		return &failure{"InvalidImage(SizeLimitExceeded: Uncompressed container image size exceeds 10 GiB limit)", types.LastUpdateStatusReasonCodeInvalidImage}
	case errors.Is(err, sandbox.ErrNotZip):
		return &failure{"Could not unzip uploaded file. Please check your file, then try to upload again. (" + err.Error() + ")", types.LastUpdateStatusReasonCodeInvalidZipFileException}
	case errors.Is(err, ErrNoImage):
		return &failure{"The function is trying to use a deleted image.", types.LastUpdateStatusReasonCodeImageDeleted}
	}
	return &failure{"InvalidImage: ImageLayerFailure: " + err.Error(), types.LastUpdateStatusReasonCodeInvalidImage}
}
