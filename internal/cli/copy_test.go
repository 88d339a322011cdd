package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
)

// Both registries of a copy may have their password in a secret.
func TestCopyBetweenRegistriesWithSecrets(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	// What Secrets Manager has, by the end of the ARN.
	secrets := map[string]string{"source": `{"username":"one","password":"s3cret-1"}`, "destination": "two:s3cret-2"}
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SecretId string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("%s %s: %v", r.Method, r.Header.Get("X-Amz-Target"), err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": secrets[in.SecretId[strings.LastIndexByte(in.SecretId, ':')+1:]]})
	}))
	defer manager.Close()
	source, destination := startRegistry(t, "one", "s3cret-1"), startRegistry(t, "two", "s3cret-2")
	backend := awsbackend.Options{Config: &aws.Config{Region: "eu-west-1", BaseEndpoint: &manager.URL, Credentials: credentials.NewStaticCredentialsProvider("me", "me", "")}}
	tasuki := func(args ...string) (int, string) {
		var out, err bytes.Buffer
		code := cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &err}, backend)
		return code, out.String() + err.String()
	}
	app := must((&apps{dir: t.TempDir()}).build("v1", "arm64"))
	const of = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
	if code, said := tasuki("copy", "oci:"+app, "docker://"+source+"/app:v1"); code != 1 || !strings.Contains(said, "docker login "+source) {
		t.Errorf("without a secret: %d %s", code, said)
	}
	if code, said := tasuki("copy", "oci:"+app, "docker://"+source+"/app:v1", "--destination-secret", of+"source"); code != 0 {
		t.Fatalf("%d %s", code, said)
	}
	code, said := tasuki("copy", "docker://"+source+"/app:v1", "docker://"+destination+"/app:v1", "--source-secret", of+"source", "--destination-secret", of+"destination")
	if code != 0 || !strings.Contains(said, destination+"/app:v1 is sha256:") {
		t.Errorf("%d %s", code, said)
	}
	if code, said = tasuki("copy", "docker://"+source+"/app:v1", "docker://"+destination+"/app:v2", "--source-secret", of+"source", "--destination-secret", of+"source"); code != 1 || strings.Contains(said, "s3cret") {
		t.Errorf("with the other's secret: %d %s", code, said)
	}
}

// startRegistry starts a registry that serves one user.
func startRegistry(t *testing.T, user, password string) (host string) {
	t.Helper()
	registry := ociserver.New(ocimem.New(), nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		registry.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
