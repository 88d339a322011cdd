package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/image"
)

// central is a repository of another account and region than the provider's.
const central = "444455556666.dkr.ecr.us-east-1.amazonaws.com/orders"

// ECR names the caller's own registry, whichever repository the login is for.
func TestALoginIsToTheRepositorysRegistry(t *testing.T) {
	ecr := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"proxyEndpoint":"https://111122223333.dkr.ecr.eu-west-1.amazonaws.com"}]}`,
			base64.StdEncoding.EncodeToString([]byte("AWS:password")))
	}))
	defer ecr.Close()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(ecr.URL), Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	backend, err := awsbackend.Load(t.Context(), awsbackend.Options{Config: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{repository, central} {
		at := must(t, tasuki.ParseRepository, uri)
		registry, err := newImages(backend).register(t.Context(), at)
		if err != nil || registry.Host != at.Host() {
			t.Errorf("for %s the login is to %q: %v", uri, registry.Host, err)
		}
	}
}

// TestImagesGoToTheirRepositorysRegistry: a placeholder and a deployment of another
// account's repository are not put into the repository of the same name in one's own.
func TestImagesGoToTheirRepositorysRegistry(t *testing.T) {
	to := must(t, tasuki.ParseRepository, central)
	tag := must(t, tasuki.ParseTag, "v1")
	const archive = "docker-archive:../image/testdata/docker-save-20.10.tar"
	asked := errors.New("asked")
	var logins []tasuki.Repository
	s := images{register: func(_ context.Context, at tasuki.Repository) (image.Registry, error) {
		logins = append(logins, at)
		return image.Registry{}, asked
	}}
	handoff := must(t, tasuki.ParseHandoffName, "orders")
	for _, reference := range []string{"", archive} {
		source := s.Open(handoff, reference)
		inspected, err := source.Inspect(t.Context(), tasuki.X86_64)
		if err != nil {
			t.Fatal(err)
		}
		if err := source.Push(t.Context(), inspected, to, tag); !errors.Is(err, asked) {
			t.Errorf("%q: nobody logged in: %v", reference, err)
		}
	}
	if _, _, err := s.Deploy(t.Context(), Deployment{Source: archive, Destination: to, Tag: tag}); !errors.Is(err, asked) {
		t.Errorf("the deployment: nobody logged in: %v", err)
	}
	for _, at := range logins {
		if at != to {
			t.Errorf("logged in at %s, want %s", at, to)
		}
	}
}
