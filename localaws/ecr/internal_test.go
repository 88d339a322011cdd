package ecr

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

func newService(t *testing.T) (*Service, *state.Store) {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := New(Options{Store: store, Account: "000000000000", Region: "eu-west-1", URL: func() string { return "http://127.0.0.1:4566" }})
	if err != nil {
		t.Fatal(err)
	}
	return s, store
}

func TestSignaturesExpire(t *testing.T) {
	s, _ := newService(t)
	now := time.Now()
	signature := s.signer.sign(s.loginStatement("local"), now.Add(tokenLifetime))
	for _, c := range []struct {
		statement string
		at        time.Time
		want      error
	}{
		{s.loginStatement("local"), now, nil},
		{s.loginStatement("local"), now.Add(tokenLifetime - time.Minute), nil},
		{s.loginStatement("local"), now.Add(tokenLifetime), errExpired},
		{s.loginStatement("somebody else"), now, errSignature},
		{downloadStatement("/v2/x"), now, errSignature},
	} {
		if err := s.signer.check(c.statement, signature, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s at %v: got %v, want %v", c.statement, c.at, err, c.want)
		}
	}

	r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	r.SetBasicAuth(registryUser, s.password("local", now.Add(-time.Second)))
	w := httptest.NewRecorder()
	s.Registry().ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "Your authorization token has expired.") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestPasswordsSayWhomTheyWereGivenTo(t *testing.T) {
	s, _ := newService(t)
	now := time.Now()
	for _, principal := range []string{"local", "assumed-role/ci/run.1", ""} {
		password := s.password(principal, now.Add(tokenLifetime))
		if got, err := s.checkPassword(password, now); err != nil || got != principal {
			t.Errorf("the password of %q is %q's (%v)", principal, got, err)
		}
		_, signature, _ := strings.Cut(password, ".")
		for _, forged := range []string{signature, "." + signature + "x", "b3RoZXI." + signature, "!." + signature} {
			if got, err := s.checkPassword(forged, now); !errors.Is(err, errSignature) || got != "" {
				t.Errorf("%s is taken for %q's (%v)", forged, got, err)
			}
		}
	}
}

func TestSweepDropsUnusedLayers(t *testing.T) {
	s, store := newService(t)
	push := func(content string) string {
		t.Helper()
		u, err := s.blobs.Create("orders")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		digest := ociregistry.Digest(tasuki.DigestOf([]byte(content)).String())
		if _, err := (&upload{u, s, "orders"}).Commit(digest); err != nil {
			t.Fatal(err)
		}
		return string(digest)
	}
	if err := store.Update(func(tx *state.Tx) error {
		return repositories.Put(tx, "orders", repository{Name: "orders"})
	}); err != nil {
		t.Fatal(err)
	}
	used, unused := push("used"), push("unused")
	if err := store.Update(func(tx *state.Tx) error {
		return images.Put(tx, "orders@sha256:0", image{Digest: "sha256:0", Blobs: []descriptor{{Digest: used}}})
	}); err != nil {
		t.Fatal(err)
	}
	there := func(digest string) bool {
		file, err := s.blobs.Blob(digest)
		if err == nil {
			_ = file.Close()
		}
		return err == nil
	}
	if err := s.sweep(time.Now()); err != nil || !there(used) || !there(unused) {
		t.Fatalf("%v: a push under way lost a blob", err)
	}
	if err := s.sweep(time.Now().Add(unusedLayerAge + time.Hour)); err != nil || !there(used) || there(unused) {
		t.Fatalf("%v: used there %t, unused there %t", err, there(used), there(unused))
	}
}
