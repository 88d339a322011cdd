package awsbackend

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tasuki-dev/tasuki"
)

// environment gives the test an environment of AWS's with these variables only.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[profile stg]\nregion = eu-north-1\nmax_attempts = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

func TestLoadFindsTheRegion(t *testing.T) {
	for _, c := range []struct {
		what        string
		environment map[string]string
		options     Options
		want        string
	}{
		{"flag", map[string]string{"AWS_REGION": "eu-west-1"}, Options{Region: "eu-central-1"}, "eu-central-1"},
		{"environment", map[string]string{"AWS_REGION": "eu-west-1"}, Options{}, "eu-west-1"},
		{"profile", nil, Options{Profile: "stg"}, "eu-north-1"},
		{"nowhere", nil, Options{}, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			environment(t, c.environment)
			backend, err := Load(t.Context(), c.options)
			if c.want == "" {
				if e := wantKind(t, err, tasuki.ErrInvalid); !strings.Contains(e.Error(), "AWS_REGION") {
					t.Errorf("%v does not say what to do", e)
				}
				return
			}
			if err != nil || backend.Region != c.want {
				t.Errorf("got %+v, %v; want region %s", backend, err, c.want)
			}
		})
	}
}

func TestLoadNamesAMissingProfile(t *testing.T) {
	environment(t, nil)
	_, err := Load(t.Context(), Options{Profile: "nobody"})
	if e := wantKind(t, err, tasuki.ErrInvalid); !strings.Contains(e.Error(), `"nobody"`) || !strings.Contains(e.Error(), "--profile") {
		t.Errorf("%v does not name the profile and what to do", e)
	}
}

// The SDK's own settings are obeyed: endpoint, credentials, attempts.
func TestLoadObeysTheEnvironment(t *testing.T) {
	fake := &fakeAWS{t: t, operations: map[string]operation{"GetCallerIdentity": failXML(400, "Throttling", "Rate exceeded")}}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	environment(t, map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": server.URL, "AWS_MAX_ATTEMPTS": "1",
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "key",
	})
	backend, err := Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = backend.Caller(t.Context())
	wantKind(t, err, tasuki.ErrThrottled)
	if n := fake.count("GetCallerIdentity"); n != 1 {
		t.Errorf("it took %d attempts, and AWS_MAX_ATTEMPTS is 1", n)
	}
}

func TestLoadWithoutCredentials(t *testing.T) {
	withoutCredentials(t)
	backend, err := Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = backend.Caller(t.Context())
	if e := wantKind(t, err, tasuki.ErrDenied); e.Hint != hintSignIn {
		t.Errorf("the error is %v (%s)", e, e.Hint)
	}
}

func TestLoadWhenCancelled(t *testing.T) {
	environment(t, map[string]string{"AWS_REGION": "eu-west-1"})
	backend, err := Load(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Caller(canceled(t)); err == nil || errors.Is(err, tasuki.ErrMissing) {
		t.Errorf("got %v", err)
	}
}

func TestCaller(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"GetCallerIdentity": ok(
		`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/zoe</Arn><UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)})
	got, err := backend.Caller(t.Context())
	if want := (Caller{"123456789012", "arn:aws:iam::123456789012:user/zoe"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.Setenv("AWS_REGION", "eu-west-1")
	for b.Loop() {
		if _, err := Load(b.Context(), Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// The SDK loads a configuration with a client that waits for ever: attempts end all the
// same.
func TestAttemptsOfAGivenConfigurationEnd(t *testing.T) {
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	defer server.Close()
	defer close(released)
	backend := connect(t, Options{AttemptTimeout: 50 * time.Millisecond, Config: &aws.Config{
		Region: region, BaseEndpoint: &server.URL, Credentials: awscredentials.NewStaticCredentialsProvider("AKID", "key", secret),
		HTTPClient: awshttp.NewBuildableClient(),
	}}, "")
	_, err := backend.Tags.ReadTags(t.Context(), tagParameter(t))
	wantKind(t, err, tasuki.ErrUnavailable)
}
