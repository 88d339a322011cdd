package image_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// public puts a registry in the place of one that gives everybody a token, and serves
// who has such a token, or that of a user, as serves says.
func public(t *testing.T, s *server, serves func(user string, w http.ResponseWriter, r *http.Request) bool) {
	t.Helper()
	s.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			user, password, _ := r.BasicAuth()
			if user != "" && password != "s3cret" {
				return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "bad credentials")
			}
			_, _ = w.Write([]byte(`{"token":"of-` + user + `"}`))
			return true
		}
		user, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer of-")
		if !found {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+s.URL+`/token",service="here"`)
			return refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who are you")
		}
		return serves(user, w, r)
	})
}

func TestLateLogin(t *testing.T) {
	throttle := func(w http.ResponseWriter) bool {
		return refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
	}
	tests := map[string]struct {
		serves   func(user string, w http.ResponseWriter, r *http.Request) bool
		user     string // that is given; "" for an error
		password string
		asked    int32
		kind     error // of the failure; nil for none
	}{
		"everybody is served": {func(string, http.ResponseWriter, *http.Request) bool { return false }, "AWS", "s3cret", 0, nil},
		"who has no credentials is throttled": {func(user string, w http.ResponseWriter, _ *http.Request) bool {
			return user == "" && throttle(w)
		}, "AWS", "s3cret", 1, nil},
		"who has no credentials is throttled at blobs": {func(user string, w http.ResponseWriter, r *http.Request) bool {
			return user == "" && strings.Contains(r.URL.Path, "/blobs/") && throttle(w)
		}, "AWS", "s3cret", 1, nil},
		"who has no credentials is refused": {func(user string, w http.ResponseWriter, _ *http.Request) bool {
			return user == "" && refuse(w, http.StatusForbidden, "DENIED", "no")
		}, "AWS", "s3cret", 1, nil},
		"nobody has credentials": {func(user string, w http.ResponseWriter, _ *http.Request) bool {
			return user == "" && refuse(w, http.StatusForbidden, "DENIED", "no")
		}, "", "", 1, tasuki.ErrDenied},
		"the credentials are wrong": {func(_ string, w http.ResponseWriter, _ *http.Request) bool {
			return refuse(w, http.StatusForbidden, "DENIED", "no")
		}, "AWS", "wrong", 1, tasuki.ErrDenied},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_CONFIG", t.TempDir())
			s, _ := from(t, registries["ociregistry"](), noise(1000), noise(2000))
			public(t, s, test.serves)
			var asked atomic.Int32
			source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{LateLogin: func(context.Context) (string, string, error) {
				asked.Add(1)
				if test.user == "" {
					return "", "", errors.New("no credentials")
				}
				return test.user, test.password, nil
			}}))
			defer source.Close()
			_, err := copyTo(t, source, "oci:"+t.TempDir(), tasuki.ARM64)
			if test.kind != nil {
				refused(t, err, tasuki.SideSource, test.kind, "403")
			} else if err != nil {
				t.Error(err)
			}
			if asked.Load() != test.asked {
				t.Errorf("asked for credentials %d times, want %d", asked.Load(), test.asked)
			}
		})
	}
}

// A late login that does not help leaves what would have been: who is throttled once is
// served when he comes again.
func TestLateLoginThatDoesNotHelp(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s, _ := from(t, registries["ociregistry"](), noise(1000))
	var requests atomic.Int32
	public(t, s, func(user string, w http.ResponseWriter, _ *http.Request) bool {
		if user != "" {
			return refuse(w, http.StatusForbidden, "DENIED", "not you")
		}
		return requests.Add(1) == 1 && refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
	})
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{LateLogin: func(context.Context) (string, string, error) {
		return "AWS", "s3cret", nil
	}}))
	defer source.Close()
	if _, err := copyTo(t, source, "oci:"+t.TempDir(), tasuki.ARM64); err != nil {
		t.Error(err)
	}
}

// What docker login has stored is the caller's own choice, and nobody else is asked.
func TestDockerLoginComesBeforeALateOne(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	s, _ := from(t, registries["ociregistry"](), noise(1000))
	public(t, s, func(user string, w http.ResponseWriter, _ *http.Request) bool {
		if user != "me" {
			t.Errorf("%q logged in", user)
		}
		return refuse(w, http.StatusForbidden, "DENIED", "no")
	})
	config := `{"auths":{"` + s.host() + `":{"auth":"bWU6czNjcmV0"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	source := must(image.Open(t.Context(), "docker://"+s.host()+"/src:v1", image.OpenOptions{LateLogin: func(context.Context) (string, string, error) {
		t.Error("somebody else was asked")
		return "", "", errors.New("nobody")
	}}))
	defer source.Close()
	_, err := copyTo(t, source, "oci:"+t.TempDir(), tasuki.ARM64)
	refused(t, err, tasuki.SideSource, tasuki.ErrDenied, "403")
}

// A push to a registry that serves everybody needs a login all the same.
func TestLateLoginToADestination(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := startServer(t, registries["ociregistry"]())
	public(t, s, func(user string, w http.ResponseWriter, r *http.Request) bool {
		return user == "" && r.Method != http.MethodGet && r.Method != http.MethodHead && refuse(w, http.StatusForbidden, "DENIED", "only who has logged in pushes")
	})
	d := must(image.OpenDestination("docker://"+s.host()+"/orders:v1", image.OpenOptions{LateLogin: func(context.Context) (string, string, error) { return "AWS", "s3cret", nil }}))
	defer d.Close()
	source, _ := memoryImage("app", noise(1000), noise(2_000_000))
	if _, err := d.Copy(t.Context(), source, image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	s.intercept(nil)
	s.pulled(t, "v1")
}
