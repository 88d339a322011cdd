package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki"
)

// longestConfig bounds an image configuration in bytes. Real ones have some
// kilobytes; this is the bound that containerd and Docker put on manifests.
const longestConfig = 4 << 20

// Config implements [tasuki.Images]: it asks ECR where the blob is, and downloads
// it from there.
func (s *Images) Config(ctx context.Context, repository tasuki.Repository, config tasuki.Descriptor) ([]byte, error) {
	c := imageCall("read the configuration of", "ecr:GetDownloadUrlForLayer", repository)
	c.subject += "@" + config.Digest.String()
	c.missing = append(c.missing, "LayersNotFoundException")
	c.lost = "The repository does not hold the image's configuration: push the image again."
	if config.Size > longestConfig {
		return nil, c.wrong(tasuki.ErrInvalid, "it has %d bytes, and an image configuration has %d at most", config.Size, longestConfig)
	}
	out, err := s.api.GetDownloadUrlForLayer(ctx, &ecr.GetDownloadUrlForLayerInput{
		RegistryId:     aws.String(repository.Account()),
		RepositoryName: aws.String(repository.Name()),
		LayerDigest:    aws.String(config.Digest.String()),
	}, in(repository))
	if err != nil {
		return nil, c.failed(err)
	}
	blob, err := s.download(ctx, aws.ToString(out.DownloadUrl))
	if err != nil {
		return nil, c.failed(err)
	}
	if got := tasuki.DigestOf(blob); got != config.Digest {
		return nil, c.wrong(tasuki.ErrUnavailable, "the blob that was downloaded has digest %s", got.Short())
	}
	return blob, nil
}

// download gets what a pre-signed URL points to, with the attempts and pauses of
// the SDK's own calls. The URL is a credential: no error names more than its host.
func (s *Images) download(ctx context.Context, presigned string) ([]byte, error) {
	u, err := url.Parse(presigned)
	if err != nil {
		return nil, errors.New("the download URL that ECR gave is malformed")
	}
	for attempt := 1; ; attempt++ {
		blob, err := s.downloadOnce(ctx, u)
		if err == nil {
			return blob, nil
		}
		if attempt >= s.retryer.MaxAttempts() || ctx.Err() != nil || !s.retryer.IsErrorRetryable(err) {
			return nil, err
		}
		pause, delayErr := s.retryer.RetryDelay(attempt, err)
		if delayErr != nil {
			return nil, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (s *Images) downloadOnce(ctx context.Context, u *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the download URL that ECR gave is malformed")
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, redacted(u, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &downloadError{u.Host, response.StatusCode}
	}
	blob, err := io.ReadAll(io.LimitReader(response.Body, longestConfig+1))
	if err != nil {
		return nil, redacted(u, err)
	}
	if len(blob) > longestConfig {
		return nil, fmt.Errorf("%s sent more than %d bytes", u.Host, longestConfig)
	}
	return blob, nil
}

// redacted returns err, which a request to u ended in, with u's host as its URL.
func redacted(u *url.URL, err error) error {
	return &url.Error{Op: http.MethodGet, URL: u.Scheme + "://" + u.Host, Err: bare(err)}
}

// downloadError is an answer to a download that is not the blob.
type downloadError struct {
	host   string
	status int
}

func (e *downloadError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.host, e.status, http.StatusText(e.status))
}

// HTTPStatusCode tells the SDK's retryer what was answered.
func (e *downloadError) HTTPStatusCode() int { return e.status }
