package image_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// bucket is an S3 bucket with one object.
type bucket struct {
	*httptest.Server
	content []byte

	mu       sync.Mutex
	requests []*http.Request
	most     int // bytes of the longest answer
	before   func(w http.ResponseWriter, n int) (answered bool)
}

func startBucket(t *testing.T, content []byte) *bucket {
	b := &bucket{content: content}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.requests = append(b.requests, r)
	n, before := len(b.requests), b.before
	b.mu.Unlock()
	if before != nil && before(w, n) {
		return
	}
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKID/") || r.Header.Get("X-Amz-Security-Token") != "s3cret":
		xmlError(w, http.StatusForbidden, "AccessDenied")
	case r.URL.EscapedPath() != "/images/build%20of%20today/image.tar":
		xmlError(w, http.StatusNotFound, "NoSuchKey")
	default:
		w.Header().Set("ETag", `"1"`)
		counted := &counter{ResponseWriter: w}
		http.ServeContent(counted, r, "", time.Time{}, bytes.NewReader(b.content))
		b.mu.Lock()
		b.most = max(b.most, counted.n)
		b.mu.Unlock()
	}
}

type counter struct {
	http.ResponseWriter
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.ResponseWriter.Write(p)
}

func xmlError(w http.ResponseWriter, status int, code string) bool {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>AKID s3cret</Message></Error>", code)
	return true
}

func (b *bucket) options() image.OpenOptions {
	return image.OpenOptions{S3: image.S3{Region: "eu-west-1", Endpoint: b.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "s3cret", SessionToken: "s3cret"}, nil
	})}}
}

const objectName = "s3://images/build of today/image.tar"

func TestArchivesInS3(t *testing.T) {
	img := randomImage(t, "arm64", 3<<20, 3)
	dir := filepath.Join(t.TempDir(), "layout")
	if err := must(layout.Write(dir, buildxIndex(t, map[string]v1.Image{"arm64": img}))).AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "v1"})); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := tarball.Write(must(name.NewTag("orders:v1")), img, &saved); err != nil {
		t.Fatal(err)
	}
	for pick, content := range map[string][]byte{"v1": tarOf(t, entriesOf(t, dir)...), "orders:v1": saved.Bytes()} {
		t.Run(pick, func(t *testing.T) {
			from := startBucket(t, content)
			from.before = func(w http.ResponseWriter, n int) bool { // S3 asks to slow down now and then
				return n%5 == 2 && xmlError(w, http.StatusServiceUnavailable, "SlowDown")
			}
			source, err := image.Open(t.Context(), objectName+":"+pick, from.options())
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			found, err := source.Inspect(t.Context(), tasuki.ARM64)
			if err != nil {
				t.Fatal(err)
			}
			to := startServer(t, registries["ociregistry"]())
			if err := to.registry().Push(t.Context(), source, found, orders, tagOf("v1"), image.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			pulled := to.pull(t, "v1")
			if got, want := must(pulled.ConfigName()), must(img.ConfigName()); got != want {
				t.Errorf("pushed %s, want %s", got, want)
			}
			from.mu.Lock()
			defer from.mu.Unlock()
			if from.most > 1<<20 {
				t.Errorf("S3 was asked for %d bytes at once", from.most)
			}
		})
	}
}

func TestS3Failures(t *testing.T) {
	img := must(savedImage(t))
	for title, test := range map[string]struct {
		reference string
		before    func(w http.ResponseWriter, n int) bool
		kind      error
		says      string
	}{
		"no key":      {"s3://images", nil, tasuki.ErrInvalid, "s3://BUCKET/KEY"},
		"no bucket":   {"s3:///image.tar", nil, tasuki.ErrInvalid, "s3://BUCKET/KEY"},
		"missing":     {"s3://images/other.tar", nil, tasuki.ErrMissing, "other.tar"},
		"gone bucket": {objectName, func(w http.ResponseWriter, _ int) bool { return xmlError(w, 404, "NoSuchBucket") }, tasuki.ErrMissing, "no bucket images"},
		"denied":      {objectName, func(w http.ResponseWriter, _ int) bool { return xmlError(w, 403, "AccessDenied") }, tasuki.ErrDenied, "AccessDenied"},
		"empty":       {objectName, func(w http.ResponseWriter, _ int) bool { return xmlError(w, 416, "InvalidRange") }, tasuki.ErrInvalid, "empty"},
		"replaced":    {objectName, func(w http.ResponseWriter, n int) bool { return n > 1 && xmlError(w, 412, "PreconditionFailed") }, tasuki.ErrConflict, "replaced"},
		"no range":    {objectName, func(w http.ResponseWriter, _ int) bool { _, _ = io.WriteString(w, "all"); return true }, tasuki.ErrUnavailable, "whole object"},
	} {
		t.Run(title, func(t *testing.T) {
			from := startBucket(t, img)
			from.before = test.before
			source, err := image.Open(t.Context(), test.reference, from.options())
			if err == nil {
				defer source.Close()
				_, err = source.Inspect(t.Context(), tasuki.ARM64)
			}
			refused(t, err, tasuki.SideSource, test.kind, test.says)
		})
	}
	_, err := image.Open(t.Context(), objectName, image.OpenOptions{})
	refused(t, err, tasuki.SideSource, tasuki.ErrInvalid, "not offered")
}

// savedImage returns an archive of some pieces' length.
func savedImage(t *testing.T) ([]byte, error) {
	var b bytes.Buffer
	err := tarball.Write(must(name.NewTag("orders:v1")), randomImage(t, "arm64", 3<<20, 1), &b)
	return b.Bytes(), err
}

func TestABucketInAnotherRegion(t *testing.T) {
	from := startBucket(t, must(savedImage(t)))
	from.before = func(w http.ResponseWriter, n int) bool {
		w.Header().Set("x-amz-bucket-region", "ap-northeast-1")
		return n == 1 && xmlError(w, http.StatusMovedPermanently, "PermanentRedirect")
	}
	source, err := image.Open(t.Context(), objectName, from.options())
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	from.mu.Lock()
	defer from.mu.Unlock()
	for i, want := range []string{"/eu-west-1/s3/", "/ap-northeast-1/s3/"} {
		if got := from.requests[i].Header.Get("Authorization"); !strings.Contains(got, want) {
			t.Errorf("request %d is signed for %q, want %s", i, got, want)
		}
	}
}
