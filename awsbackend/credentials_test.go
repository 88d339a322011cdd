package awsbackend

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tasuki-dev/tasuki"
)

const (
	signIn = "[default]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = deploy\n"
	// session is the form that 'aws configure sso' writes nowadays.
	session = "[default]\nsso_session = work\nsso_account_id = 123456789012\nsso_role_name = deploy\n[sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n"
)

// What the default chain fails with is one sentence, says what is the matter, and
// quotes nothing that may be a credential.
func TestCredentialsThatCannotBeHad(t *testing.T) {
	refuse := func(code string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fail(400, code, "no")(w, nil) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	const expired = "the AWS sign-in session has expired or is not there"
	for _, c := range []struct {
		what, config, token string
		environment         map[string]string
		want                string
	}{
		{"never signed in", signIn, "", nil, expired},
		{"never signed in to the session", session, "", nil, expired},
		{"session expired", session, `{"accessToken":"` + secret + `","expiresAt":"2020-01-01T00:00:00Z"}`, nil, expired},
		{"session revoked", session, `{"accessToken":"` + secret + `","expiresAt":"2999-01-01T00:00:00Z"}`,
			map[string]string{"AWS_ENDPOINT_URL_SSO": refuse("UnauthorizedException")}, expired},
		{"session not renewed", session, `{"accessToken":"` + secret + `","expiresAt":"2020-01-01T00:00:00Z","clientId":"id","clientSecret":"` + secret + `","refreshToken":"` + secret + `"}`,
			map[string]string{"AWS_ENDPOINT_URL_SSO_OIDC": refuse("InvalidGrantException")}, expired},
		{"role not given", session, `{"accessToken":"` + secret + `","expiresAt":"2999-01-01T00:00:00Z"}`,
			map[string]string{"AWS_ENDPOINT_URL_SSO": refuse("ForbiddenException")}, "no usable credentials: ForbiddenException: no"},
		{"aws login", "[default]\nlogin_session = arn:aws:iam::123456789012:user/zoe\n", "", nil, expired},
		{"process fails", "[default]\ncredential_process = /bin/sh -c 'echo " + secret + "; exit 3'\n", "", nil, "credential_process of the AWS profile failed: exit status 3"},
		{"process prints something else", "[default]\ncredential_process = /bin/echo export AWS_SESSION_TOKEN=" + secret + "\n", "", nil, "failed, or printed no credentials"},
		{"nobody at the container's address", "", "", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/" + secret}, "no usable AWS credentials: 127.0.0.1:1, which is to give them, gave no answer: dial tcp"},
		{"no token of the workload", "", "", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy"}, "open /nowhere/token: no such file or directory"},
	} {
		t.Run(c.what, func(t *testing.T) {
			withoutCredentials(t)
			home := t.TempDir()
			write(t, filepath.Join(home, ".aws", "config"), c.config)
			t.Setenv("HOME", home)
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws", "config"))
			if c.token != "" {
				name := sha1.Sum([]byte("work"))
				write(t, filepath.Join(home, ".aws", "sso", "cache", hex.EncodeToString(name[:])+".json"), c.token)
			}
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			backend, err := Load(t.Context(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = backend.Caller(t.Context())
			e := wantKind(t, err, tasuki.ErrDenied)
			if !strings.Contains(e.Error(), c.want) || strings.Contains(e.Error(), "refresh cached") {
				t.Errorf("the error is %v, want %q", e, c.want)
			}
			if e.Hint != hintSignIn {
				t.Errorf("the hint is %q", e.Hint)
			}
		})
	}
}

// withoutCredentials gives the test an environment in which the default chain finds none.
func withoutCredentials(t *testing.T) {
	t.Helper()
	environment(t, map[string]string{
		"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A provider makes several attempts itself, of up to ten seconds each: five times that is
// minutes, for a person who is not signed in.
func TestCredentialsAreAskedForOnce(t *testing.T) {
	var asked atomic.Int64
	backend, _ := serve(t, Options{RetryMaxAttempts: 5, Config: &aws.Config{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			asked.Add(1)
			return aws.Credentials{}, &url.Error{Op: "Get", URL: "http://169.254.170.2/" + secret, Err: syscall.ECONNREFUSED}
		}),
	}}, nil)
	_, err := backend.Caller(t.Context())
	wantKind(t, err, tasuki.ErrDenied)
	if n := asked.Load(); n != 1 {
		t.Errorf("they were asked for %d times", n)
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		what, config string
		environment  map[string]string
		want         string
	}{
		{"MFA", "[default]\nrole_arn = arn:aws:iam::123456789012:role/deploy\nsource_profile = keys\nmfa_serial = arn:aws:iam::123456789012:mfa/zoe\n[profile keys]\naws_access_key_id = AKID\naws_secret_access_key = " + secret + "\n", nil, "asks for an MFA code"},
		{"half a key", "[default]\naws_access_key_id = AKID\n", nil, "partial credentials found for profile default"},
		{"endpoint", "", map[string]string{"AWS_ENDPOINT_URL": "localhost:4566"}, `"localhost:4566"`},
		{"endpoint of a service", "", map[string]string{"AWS_ENDPOINT_URL_ECR": "localhost:4566"}, `"localhost:4566"`},
		{"region", "", map[string]string{"AWS_REGION": "eu west"}, `"eu west" is not the name of an AWS region`},
		{"region that leads elsewhere", "", map[string]string{"AWS_REGION": "example.com/"}, `"example.com/" is not the name of an AWS region`},
	} {
		t.Run(c.what, func(t *testing.T) {
			withoutCredentials(t)
			write(t, os.Getenv("AWS_CONFIG_FILE"), c.config)
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			_, err := Load(t.Context(), Options{})
			if e := wantKind(t, err, tasuki.ErrInvalid); !strings.Contains(e.Error(), c.want) {
				t.Errorf("the error is %v, want %q", e, c.want)
			}
		})
	}
}
