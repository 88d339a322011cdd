package awsbackend

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	image   = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders"
)

func configuration(more string) string {
	return `"FunctionName":"orders","FunctionArn":"arn:aws:lambda:eu-west-1:123456789012:function:orders","RevisionId":"r1","LastModified":"2026-05-01T12:30:00.250+0000"` + more
}

func TestFunction(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"GetFunction": ok(`{"Configuration":{%s},"Code":{"RepositoryType":"ECR","ImageUri":"%s:v1","ResolvedImageUri":"%s@%s"}}`,
		configuration(`,"PackageType":"Image","Architectures":["arm64"],"State":"Active","StateReason":"s","StateReasonCode":"Idle","LastUpdateStatus":"Failed","LastUpdateStatusReason":"r","LastUpdateStatusReasonCode":"InvalidImage"`), image, image, digestA)})
	got, err := backend.Functions.Function(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	want := tasuki.Function{
		Name: "orders", ARN: "arn:aws:lambda:eu-west-1:123456789012:function:orders", PackageType: "Image", ImageURI: image + ":v1",
		Repository: image, Digest: parse(t, tasuki.ParseDigest, digestA), Architecture: tasuki.ARM64, RevisionID: "r1",
		State: "Active", StateReason: "s", StateReasonCode: "Idle", UpdateStatus: "Failed", UpdateReason: "r", UpdateReasonCode: "InvalidImage", Modified: got.Modified,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !got.Modified.Equal(time.Date(2026, 5, 1, 12, 30, 0, 250e6, time.UTC)) {
		t.Errorf("modified at %v", got.Modified)
	}
}

func TestFunctionOfAnArchive(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{
		"GetFunction": ok(`{"Configuration":{%s},"Code":{"RepositoryType":"S3","Location":"https://bucket/key?X-Amz-Signature=abc"}}`, configuration(`,"PackageType":"Zip"`)),
	})
	got, err := backend.Functions.Function(t.Context(), "orders")
	if err != nil || got.PackageType != "Zip" || !got.Digest.IsZero() || got.Architecture != tasuki.X86_64 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestUpdateCode(t *testing.T) {
	backend, fake := serve(t, Options{}, map[string]operation{"UpdateFunctionCode": func(w http.ResponseWriter, in map[string]any) {
		want := map[string]any{"ImageUri": image + "@" + digestA, "Architectures": []any{"arm64"}, "RevisionId": "r0"}
		if fmt.Sprint(in) != fmt.Sprint(want) {
			t.Errorf("asked for %v, want %v", in, want)
		}
		fmt.Fprintf(w, `{%s}`, configuration(`,"PackageType":"Image","Architectures":["arm64"],"LastUpdateStatus":"InProgress"`))
	}})
	got, err := backend.Functions.UpdateCode(t.Context(), update(t))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Updating() || got.RevisionID != "r1" || got.Digest.String() != digestA || got.Repository != image {
		t.Errorf("got %+v", got)
	}
	if n := fake.count("UpdateFunctionCode"); n != 1 {
		t.Errorf("it took %d calls", n)
	}
}

func update(t *testing.T) tasuki.CodeUpdate {
	return tasuki.CodeUpdate{Function: "orders", Image: parse(t, tasuki.ParseImageURI, image+"@"+digestA), Architecture: tasuki.ARM64, RevisionID: "r0"}
}

// The first answer is lost, and the SDK's second attempt meets what the first one did.
func TestLostAnswerIsAConflict(t *testing.T) {
	for _, second := range []operation{
		fail(412, "PreconditionFailedException", "The RevisionId provided does not match the latest Revision Id."),
		fail(409, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress for resource: orders"),
	} {
		synctest.Test(t, func(t *testing.T) {
			backend, fake := inProcess(t, Options{RetryMaxAttempts: 3}, map[string]operation{"UpdateFunctionCode": then(func(w http.ResponseWriter, _ map[string]any) { w.WriteHeader(504) }, second)})
			_, err := backend.Functions.UpdateCode(t.Context(), update(t))
			wantKind(t, err, tasuki.ErrConflict)
			if n := fake.count("UpdateFunctionCode"); n != 2 {
				t.Errorf("it took %d calls", n)
			}
		})
	}
}

func TestLambdasWordsAreKept(t *testing.T) {
	const words = "Source image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:aa does not exist. Provide a valid source image."
	backend, _ := serve(t, Options{}, map[string]operation{"UpdateFunctionCode": fail(400, "InvalidParameterValueException", words)})
	_, err := backend.Functions.UpdateCode(t.Context(), update(t))
	if e := wantKind(t, err, tasuki.ErrRefused); !strings.Contains(e.Error(), words) {
		t.Errorf("%v does not say %q", e, words)
	}
}
