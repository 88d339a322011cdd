package cli

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/tasuki-dev/tasuki/awsbackend"
)

// ECR Public's password comes from its own service, in us-east-1 wherever the caller is.
func TestLateLogin(t *testing.T) {
	token := base64.StdEncoding.EncodeToString([]byte("AWS:s3cret"))
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Target"); got != "SpencerFrontendService.GetAuthorizationToken" {
			t.Errorf("operation %q", got)
		}
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "/us-east-1/ecr-public/aws4_request") {
			t.Errorf("signed as %q", got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]any{"authorizationData": map[string]any{"authorizationToken": token, "expiresAt": 1700000000}})
	}))
	defer service.Close()
	s := &session{options: awsbackend.Options{Config: &aws.Config{Region: "eu-west-1", BaseEndpoint: &service.URL, Credentials: credentials.NewStaticCredentialsProvider("me", "me", "")}}}
	for _, other := range []string{"docker://docker.io/library/alpine", "docker://public.ecr.aws.example/x", "oci:public.ecr.aws", "docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com/x"} {
		if s.lateLogin(other) != nil {
			t.Errorf("%s is taken for an image in ECR Public", other)
		}
	}
	login := s.lateLogin("docker://public.ecr.aws/lambda/provided:al2023")
	if user, password, err := login(t.Context()); err != nil || user != "AWS" || password != "s3cret" {
		t.Errorf("user %q, %v", user, err)
	}
	token = "s3cret" // which is no token
	if _, _, err := login(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error %v", err)
	}
}
