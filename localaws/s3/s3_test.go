package s3_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// endpoint is a running endpoint and the SDK's own client of its S3.
type endpoint struct {
	*testing.T
	*sdk.Client
	server *localaws.Server
}

func start(t *testing.T, o localaws.Options) endpoint {
	t.Helper()
	server := localawstest.Start(t, o)
	return endpoint{t, client(server), server}
}

func client(server *localaws.Server) *sdk.Client {
	return sdk.NewFromConfig(localawstest.Config(server))
}

// in is the endpoint in a part of its test.
func (e endpoint) in(t *testing.T) endpoint {
	e.T = t
	return e
}

// code returns the code of an error of the API.
func code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	return api.ErrorCode()
}

func (e endpoint) bucket(name string) *string {
	e.Helper()
	localawstest.Call(e, e.CreateBucket, &sdk.CreateBucketInput{Bucket: &name})
	return &name
}

func (e endpoint) put(bucket *string, key, content string) {
	e.Helper()
	localawstest.Call(e, e.PutObject, &sdk.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(content)})
}

func (e endpoint) content(in *sdk.GetObjectInput) string {
	e.Helper()
	out := localawstest.Call(e, e.GetObject, in)
	defer out.Body.Close()
	content, err := io.ReadAll(out.Body)
	if err != nil {
		e.Fatal(err)
	}
	return string(content)
}

func TestBuckets(t *testing.T) {
	e := start(t, localaws.Options{})
	if _, err := e.HeadBucket(t.Context(), &sdk.HeadBucketInput{Bucket: aws.String("assets")}); code(err) != "NotFound" {
		t.Errorf("a bucket that is not there: %v", err)
	}
	for _, name := range []string{"UPPER", "ab", "10.0.0.1"} {
		if _, err := e.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: &name}); code(err) != "InvalidBucketName" {
			t.Errorf("%s: %v", name, err)
		}
	}
	assets := e.bucket("assets")
	e.bucket("assets") // us-east-1 allows it
	if out := localawstest.Call(e, e.HeadBucket, &sdk.HeadBucketInput{Bucket: assets}); aws.ToString(out.BucketRegion) != "us-east-1" {
		t.Errorf("it is in %v", out.BucketRegion)
	}
	if out := localawstest.Call(e, e.GetBucketLocation, &sdk.GetBucketLocationInput{Bucket: assets}); out.LocationConstraint != "" {
		t.Errorf("its location is %q", out.LocationConstraint)
	}
	e.bucket("more")
	var names []string
	for _, b := range localawstest.Call(e, e.ListBuckets, &sdk.ListBucketsInput{}).Buckets {
		names = append(names, *b.Name)
	}
	if diff := cmp.Diff([]string{"assets", "more"}, names); diff != "" {
		t.Error(diff)
	}
	e.put(assets, "k", "v")
	if _, err := e.DeleteBucket(t.Context(), &sdk.DeleteBucketInput{Bucket: assets}); code(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with an object is deleted: %v", err)
	}
	localawstest.Call(e, e.DeleteObject, &sdk.DeleteObjectInput{Bucket: assets, Key: aws.String("k")})
	localawstest.Call(e, e.DeleteBucket, &sdk.DeleteBucketInput{Bucket: assets})
	if _, err := e.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: assets, Key: aws.String("k")}); code(err) != "NoSuchBucket" {
		t.Errorf("an object in a bucket that is gone: %v", err)
	}
}

func TestLocation(t *testing.T) {
	e := start(t, localaws.Options{Region: "eu-west-1"})
	in := &sdk.CreateBucketInput{Bucket: aws.String("assets")}
	if _, err := e.CreateBucket(t.Context(), in); code(err) != "IllegalLocationConstraintException" {
		t.Errorf("without a location: %v", err)
	}
	in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}
	localawstest.Call(e, e.CreateBucket, in)
	if _, err := e.CreateBucket(t.Context(), in); code(err) != "BucketAlreadyOwnedByYou" {
		t.Errorf("again: %v", err)
	}
	if out := localawstest.Call(e, e.GetBucketLocation, &sdk.GetBucketLocationInput{Bucket: in.Bucket}); out.LocationConstraint != "eu-west-1" {
		t.Errorf("its location is %q", out.LocationConstraint)
	}
}

func TestSettings(t *testing.T) {
	e := start(t, localaws.Options{})
	b := e.bucket("assets")
	if out := localawstest.Call(e, e.GetBucketEncryption, &sdk.GetBucketEncryptionInput{Bucket: b}); out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Error("a new bucket does not encrypt")
	}
	localawstest.Call(e, e.PutBucketEncryption, &sdk.PutBucketEncryptionInput{Bucket: b, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: "aws:kms"}}},
	}})
	if out := localawstest.Call(e, e.GetBucketEncryption, &sdk.GetBucketEncryptionInput{Bucket: b}); out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "aws:kms" {
		t.Error("the encryption is not recorded")
	}
	if out := localawstest.Call(e, e.GetBucketVersioning, &sdk.GetBucketVersioningInput{Bucket: b}); out.Status != "" {
		t.Errorf("a new bucket's versioning is %q", out.Status)
	}
	localawstest.Call(e, e.PutBucketVersioning, &sdk.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"}})
	if out := localawstest.Call(e, e.GetBucketVersioning, &sdk.GetBucketVersioningInput{Bucket: b}); out.Status != "Enabled" {
		t.Errorf("the versioning is %q", out.Status)
	}
	_, err := e.GetBucketPolicy(t.Context(), &sdk.GetBucketPolicyInput{Bucket: b})
	if code(err) != "NoSuchBucketPolicy" {
		t.Error(err)
	}
	const policy = `{"Version":"2012-10-17","Statement":[]}`
	localawstest.Call(e, e.PutBucketPolicy, &sdk.PutBucketPolicyInput{Bucket: b, Policy: aws.String(policy)})
	if out := localawstest.Call(e, e.GetBucketPolicy, &sdk.GetBucketPolicyInput{Bucket: b}); *out.Policy != policy {
		t.Errorf("the policy is %s", *out.Policy)
	}
	localawstest.Call(e, e.DeleteBucketPolicy, &sdk.DeleteBucketPolicyInput{Bucket: b})
	if _, err := e.GetBucketPolicy(t.Context(), &sdk.GetBucketPolicyInput{Bucket: b}); code(err) != "NoSuchBucketPolicy" {
		t.Error(err)
	}
	localawstest.Call(e, e.PutPublicAccessBlock, &sdk.PutPublicAccessBlockInput{Bucket: b, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)}})
	if out := localawstest.Call(e, e.GetPublicAccessBlock, &sdk.GetPublicAccessBlockInput{Bucket: b}); !*out.PublicAccessBlockConfiguration.BlockPublicAcls {
		t.Error("the public access block is not recorded")
	}
	if _, err := e.GetBucketLifecycleConfiguration(t.Context(), &sdk.GetBucketLifecycleConfigurationInput{Bucket: b}); code(err) != "NoSuchLifecycleConfiguration" {
		t.Error(err)
	}
	localawstest.Call(e, e.PutBucketLifecycleConfiguration, &sdk.PutBucketLifecycleConfigurationInput{Bucket: b, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
		Rules: []types.LifecycleRule{{ID: aws.String("old"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(30)}}},
	}})
	if out := localawstest.Call(e, e.GetBucketLifecycleConfiguration, &sdk.GetBucketLifecycleConfigurationInput{Bucket: b}); *out.Rules[0].ID != "old" || *out.Rules[0].NoncurrentVersionExpiration.NoncurrentDays != 30 {
		t.Error("the lifecycle is not recorded")
	}
	localawstest.Call(e, e.PutBucketTagging, &sdk.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}})
	if out := localawstest.Call(e, e.GetBucketTagging, &sdk.GetBucketTaggingInput{Bucket: b}); *out.TagSet[0].Value != "v" {
		t.Error("the tags are not recorded")
	}
	localawstest.Call(e, e.DeleteBucketTagging, &sdk.DeleteBucketTaggingInput{Bucket: b})
	if _, err := e.GetBucketTagging(t.Context(), &sdk.GetBucketTaggingInput{Bucket: b}); code(err) != "NoSuchTagSet" {
		t.Error(err)
	}
	_, err = e.GetBucketCors(t.Context(), &sdk.GetBucketCorsInput{Bucket: b})
	if code(err) != "NotImplemented" || !strings.Contains(err.Error(), "GET ?cors of s3 is not provided by tasuki local") {
		t.Errorf("what is not provided: %v", err)
	}
}

func TestObject(t *testing.T) {
	e := start(t, localaws.Options{})
	b, key := e.bucket("assets"), aws.String("a folder/ünï +%&.zip")
	content := "0123456789"
	put := localawstest.Call(e, e.PutObject, &sdk.PutObjectInput{
		Bucket: b, Key: key, Body: strings.NewReader(content), ContentType: aws.String("application/zip"), CacheControl: aws.String("no-cache"),
		Metadata: map[string]string{"commit": "abc"}, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if *put.ETag != `"781e5e245d69b566979b86e28d23f2c7"` || aws.ToString(put.ChecksumSHA256) == "" {
		t.Errorf("it answers %s, %v", *put.ETag, put.ChecksumSHA256)
	}
	head := localawstest.Call(e, e.HeadObject, &sdk.HeadObjectInput{Bucket: b, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	if *head.ContentLength != 10 || *head.ContentType != "application/zip" || *head.CacheControl != "no-cache" || head.Metadata["commit"] != "abc" || aws.ToString(head.ChecksumSHA256) != *put.ChecksumSHA256 || head.ServerSideEncryption != "AES256" {
		t.Errorf("it is %+v", head)
	}
	if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: key}); got != content {
		t.Errorf("it is %q", got)
	}
	for given, want := range map[string]string{"bytes=0-3": "0123", "bytes=4-": "456789", "bytes=-3": "789", "bytes=8-99": "89", "bytes=-99": content, "nonsense": content} {
		if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: key, Range: &given}); got != want {
			t.Errorf("%s is %q, want %q", given, got, want)
		}
	}
	for _, given := range []string{"bytes=10-", "bytes=-0"} {
		if _, err := e.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: b, Key: key, Range: &given}); code(err) != "InvalidRange" {
			t.Errorf("%s: %v", given, err)
		}
	}
	if _, err := e.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: b, Key: key, IfMatch: aws.String(`"other"`)}); code(err) != "PreconditionFailed" {
		t.Errorf("If-Match: %v", err)
	}
	if _, err := e.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: b, Key: key, IfNoneMatch: aws.String("*")}); code(err) != "PreconditionFailed" {
		t.Errorf("If-None-Match: %v", err)
	}
	if _, err := e.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: b, Key: key, Tagging: aws.String("a=b")}); code(err) != "NotImplemented" {
		t.Errorf("tags: %v", err)
	}
	if _, err := e.CopyObject(t.Context(), &sdk.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String("assets/x")}); code(err) != "NotImplemented" {
		t.Errorf("a copy: %v", err)
	}
	e.put(b, *key, "again")
	if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: key}); got != "again" {
		t.Errorf("it is %q", got)
	}
	localawstest.Call(e, e.DeleteObjects, &sdk.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}, {Key: aws.String("missing")}}}})
	var missing *types.NoSuchKey
	if _, err := e.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: b, Key: key}); !errors.As(err, &missing) {
		t.Errorf("an object that is gone: %v", err)
	}
	if _, err := e.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: b, Key: key}); code(err) != "NotFound" {
		t.Errorf("an object that is gone: %v", err)
	}
}

// unseekable hides that a reader can seek, so that the client sends chunks with the
// checksum behind them.
type unseekable struct{ io.Reader }

// An object that is read while it is replaced is the old one or the new one.
func TestReadWhileReplaced(t *testing.T) {
	e := start(t, localaws.Options{})
	bucket := e.bucket("assets")
	e.put(bucket, "key", "v0")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				out, err := e.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: bucket, Key: aws.String("key")})
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				content, err := io.ReadAll(out.Body)
				if err := errors.Join(err, out.Body.Close()); err != nil || !strings.HasPrefix(string(content), "v") {
					t.Errorf("read %q, %v", content, err)
				}
			}
		})
	}
	for i := range 100 {
		e.put(bucket, "key", fmt.Sprint("v", i))
	}
	group.Wait()
}

func TestChunked(t *testing.T) {
	e := start(t, localaws.Options{})
	b := e.bucket("assets")
	content := make([]byte, 300<<10)
	_, _ = rand.Read(content) // never fails
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		t.Run(string(algorithm), func(t *testing.T) {
			e := e.in(t)
			key := aws.String(string(algorithm))
			localawstest.Call(e, e.PutObject, &sdk.PutObjectInput{Bucket: b, Key: key, Body: bytes.NewReader(content), ChecksumAlgorithm: algorithm})
			out := localawstest.Call(e, e.GetObject, &sdk.GetObjectInput{Bucket: b, Key: key, ChecksumMode: types.ChecksumModeEnabled})
			defer out.Body.Close()
			got, err := io.ReadAll(out.Body) // the client verifies the checksum
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	chunked := func(body, trailer, length string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.server.URL()+"/assets/chunked", unseekable{strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{
			"Authorization":        {"AWS4-HMAC-SHA256 Credential=alice/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"},
			"X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "X-Amz-Decoded-Content-Length": {length},
			"X-Amz-Trailer": {trailer}, "Content-Encoding": {"aws-chunked"},
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(answer)
	}
	const crc = "x-amz-checksum-crc32"
	tests := []struct{ name, body, trailer, length, want string }{
		{"two chunks", "4\r\n0123\r\n6;chunk-signature=00\r\n456789\r\n0\r\n" + crc + ":poTHxg==\r\n\r\n", crc, "10", ""},
		{"wrong checksum", "a\r\n0123456789\r\n0\r\n" + crc + ":AAAAAA==\r\n\r\n", crc, "10", "BadDigest"},
		{"no checksum", "a\r\n0123456789\r\n0\r\n\r\n", crc, "10", "MalformedTrailerError"},
		{"cut off", "a\r\n01234", crc, "10", "IncompleteBody"},
		{"another length", "a\r\n0123456789\r\n0\r\n" + crc + ":poTHxg==\r\n\r\n", crc, "11", "IncompleteBody"},
		{"no chunks", "0123456789", crc, "10", "IncompleteBody"},
		{"another trailer", "0\r\n\r\n", "x-amz-checksum-other", "0", "InvalidRequest"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if status, answer := chunked(test.body, test.trailer, test.length); test.want == "" && status != http.StatusOK || !strings.Contains(answer, test.want) {
				t.Errorf("it answers %d %s, want %q", status, answer, test.want)
			}
		})
	}
	if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: aws.String("chunked")}); got != "0123456789" {
		t.Errorf("it is %q", got)
	}
}

func TestList(t *testing.T) {
	e := start(t, localaws.Options{})
	b := e.bucket("assets")
	e.put(e.bucket("assets-2"), "other", "")
	for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "b ü", "c"} {
		e.put(b, key, key)
	}
	list := func(in sdk.ListObjectsV2Input) (keys []string) {
		t.Helper()
		in.Bucket = b
		for pages := sdk.NewListObjectsV2Paginator(e, &in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				keys = append(keys, *o.Key)
			}
			for _, p := range page.CommonPrefixes {
				keys = append(keys, "("+*p.Prefix+")")
			}
		}
		return keys
	}
	tests := []struct {
		name string
		in   sdk.ListObjectsV2Input
		want []string
	}{
		{"all", sdk.ListObjectsV2Input{}, []string{"a", "b ü", "b/1", "b/2", "b/c/3", "c"}},
		{"pages of one", sdk.ListObjectsV2Input{MaxKeys: aws.Int32(1)}, []string{"a", "b ü", "b/1", "b/2", "b/c/3", "c"}},
		{"prefix", sdk.ListObjectsV2Input{Prefix: aws.String("b/")}, []string{"b/1", "b/2", "b/c/3"}},
		{"delimiter", sdk.ListObjectsV2Input{Delimiter: aws.String("/")}, []string{"a", "b ü", "c", "(b/)"}},
		{"delimiter, pages of one", sdk.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)}, []string{"a", "b ü", "(b/)", "c"}},
		{"prefix and delimiter", sdk.ListObjectsV2Input{Prefix: aws.String("b/"), Delimiter: aws.String("/")}, []string{"b/1", "b/2", "(b/c/)"}},
		{"behind a key", sdk.ListObjectsV2Input{StartAfter: aws.String("b/1")}, []string{"b/2", "b/c/3", "c"}},
		{"nothing", sdk.ListObjectsV2Input{Prefix: aws.String("x")}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, list(test.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
	out := localawstest.Call(e, e.ListObjectsV2, &sdk.ListObjectsV2Input{Bucket: b, Prefix: aws.String("b "), EncodingType: types.EncodingTypeUrl})
	if *out.KeyCount != 1 || *out.Contents[0].Size != 4 || *out.Contents[0].Key != "b+%C3%BC" {
		t.Errorf("it answers %+v", out.Contents)
	}
}

func TestMultipart(t *testing.T) {
	e := start(t, localaws.Options{})
	b, key := e.bucket("assets"), aws.String("large.zip")
	content := make([]byte, 5<<20+7)
	_, _ = rand.Read(content) // never fails
	for _, kind := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
	}{{"", ""}, {"CRC32", ""}, {"CRC64NVME", ""}, {"CRC32", "FULL_OBJECT"}} {
		t.Run(string(kind.algorithm)+string(kind.kind), func(t *testing.T) {
			e := e.in(t)
			begun := localawstest.Call(e, e.CreateMultipartUpload, &sdk.CreateMultipartUploadInput{Bucket: b, Key: key, ContentType: aws.String("application/zip"), ChecksumAlgorithm: kind.algorithm, ChecksumType: kind.kind})
			var parts []types.CompletedPart
			for i, piece := range [][]byte{content[:5<<20], content[5<<20:]} {
				number := aws.Int32(int32(i + 1))
				out := localawstest.Call(e, e.UploadPart, &sdk.UploadPartInput{Bucket: b, Key: key, UploadId: begun.UploadId, PartNumber: number, Body: bytes.NewReader(piece), ChecksumAlgorithm: kind.algorithm})
				parts = append(parts, types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
			}
			if listed := localawstest.Call(e, e.ListParts, &sdk.ListPartsInput{Bucket: b, Key: key, UploadId: begun.UploadId}); len(listed.Parts) != 2 || *listed.Parts[1].Size != 7 {
				t.Errorf("its parts are %+v", listed.Parts)
			}
			complete := &sdk.CompleteMultipartUploadInput{Bucket: b, Key: key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String("other")}}}}
			if _, err := e.CompleteMultipartUpload(t.Context(), complete); code(err) != "InvalidPart" {
				t.Errorf("another part: %v", err)
			}
			complete.MultipartUpload.Parts = parts
			done := localawstest.Call(e, e.CompleteMultipartUpload, complete)
			if !strings.HasSuffix(*done.ETag, `-2"`) {
				t.Errorf("its ETag is %s", *done.ETag)
			}
			out := localawstest.Call(e, e.GetObject, &sdk.GetObjectInput{Bucket: b, Key: key, ChecksumMode: types.ChecksumModeEnabled})
			defer out.Body.Close()
			got, err := io.ReadAll(out.Body) // the client verifies a checksum of the whole
			if err != nil || !bytes.Equal(got, content) || *out.ContentType != "application/zip" {
				t.Errorf("%d bytes of %s, %v", len(got), *out.ContentType, err)
			}
			if _, err := e.CompleteMultipartUpload(t.Context(), complete); code(err) != "NoSuchUpload" {
				t.Errorf("completed twice: %v", err)
			}
		})
	}
	aborted := localawstest.Call(e, e.CreateMultipartUpload, &sdk.CreateMultipartUploadInput{Bucket: b, Key: key})
	localawstest.Call(e, e.UploadPart, &sdk.UploadPartInput{Bucket: b, Key: key, UploadId: aborted.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
	localawstest.Call(e, e.AbortMultipartUpload, &sdk.AbortMultipartUploadInput{Bucket: b, Key: key, UploadId: aborted.UploadId})
	_, err := e.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: b, Key: key, UploadId: aborted.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
	if code(err) != "NoSuchUpload" {
		t.Errorf("a part of an aborted upload: %v", err)
	}
}

func TestChecksumsOfMultipartUploads(t *testing.T) {
	e := start(t, localaws.Options{})
	b, key := e.bucket("assets"), aws.String("k")
	for _, refused := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
	}{{"", "FULL_OBJECT"}, {"", "COMPOSITE"}, {"CRC32", "WHOLE"}, {"SHA256", "FULL_OBJECT"}, {"CRC64NVME", "COMPOSITE"}} {
		in := &sdk.CreateMultipartUploadInput{Bucket: b, Key: key, ChecksumAlgorithm: refused.algorithm, ChecksumType: refused.kind}
		if _, err := e.CreateMultipartUpload(t.Context(), in); code(err) != "InvalidRequest" {
			t.Errorf("%s of %s: %v", refused.kind, refused.algorithm, err)
		}
	}
}

// What is in the folder of a durable endpoint is what is in its buckets: nothing is
// lost, and nothing is left over.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	first, err := localaws.Start(localaws.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e := endpoint{t, client(first), first}
	b := e.bucket("assets")
	e.put(b, "k", "old")
	e.put(b, "k", "new")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "s3", "left-over"), []byte("of a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	e = start(t, localaws.Options{Dir: dir})
	if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: aws.String("k")}); got != "new" {
		t.Errorf("it is %q", got)
	}
	files, err := os.ReadDir(filepath.Join(dir, "s3"))
	if err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, %v", files, err)
	}
}

func TestFaults(t *testing.T) {
	e := start(t, localaws.Options{})
	b := e.bucket("assets")
	for kind, want := range map[fault.Kind]string{fault.Throttle: "SlowDown", fault.Denied: "AccessDenied", fault.Error: "InternalError"} {
		e.server.Faults().Add(fault.Rule{Operation: "s3:PutObject", Kind: kind})
		_, err := e.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: b, Key: aws.String("k"), Body: bytes.NewReader(make([]byte, 4<<20))})
		if code(err) != want {
			t.Errorf("%s is %v", kind, err)
		}
		e.server.Faults().Clear()
	}
	e.server.Faults().Add(fault.Rule{Operation: "s3:PutObject", Kind: fault.LostAnswer})
	if _, err := e.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: b, Key: aws.String("k"), Body: strings.NewReader("v")}); err == nil {
		t.Error("the answer was not lost")
	}
	e.server.Faults().Clear()
	if got := e.content(&sdk.GetObjectInput{Bucket: b, Key: aws.String("k")}); got != "v" {
		t.Errorf("it is %q", got)
	}
	if n := e.server.Calls().Count("s3:PutObject"); n != 4 {
		t.Errorf("%d calls are logged", n)
	}
}

// What leads to an object: a URL signed beforehand, in either version of signatures,
// and a host that is the bucket's.
func TestWaysToAnObject(t *testing.T) {
	e := start(t, localaws.Options{})
	b := e.bucket("assets")
	e.put(b, "a/k", "v")
	signed, err := sdk.NewPresignClient(e.Client).PresignGetObject(t.Context(), &sdk.GetObjectInput{Bucket: b, Key: aws.String("a/k")})
	if err != nil {
		t.Fatal(err)
	}
	const header = "AWS4-HMAC-SHA256 Credential=alice/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
	for _, test := range []struct {
		name, url, host, authorization string
		want                           int
	}{
		{"signed beforehand", signed.URL, "", "", http.StatusOK},
		{"signed in the older way", e.server.URL() + "/assets/a/k?AWSAccessKeyId=alice&Signature=0&Expires=2000000000", "", "", http.StatusOK},
		{"the bucket's host", e.server.URL() + "/a/k", "assets.localhost:4566", header, http.StatusOK},
		{"the bucket's host at AWS", e.server.URL() + "/a/k", "assets.s3.us-east-1.amazonaws.com", header, http.StatusOK},
		{"S3's host", e.server.URL() + "/assets/a/k", "s3.us-east-1.amazonaws.com", header, http.StatusOK},
		{"another bucket's host", e.server.URL() + "/a/k", "other.localhost", header, http.StatusNotFound},
		{"not signed", e.server.URL() + "/assets/a/k", "", "", http.StatusNotImplemented},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Host = test.host; test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			content, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.want || (string(content) == "v") != (test.want == http.StatusOK) {
				t.Errorf("it answers %s %q, %v", response.Status, content, err)
			}
		})
	}
}
