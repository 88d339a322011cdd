package image_test

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

// TestProxy copies from a registry and its storage service, which speak HTTP/2, and
// neither of which can be reached but through the proxy that the environment names, which
// wants a password. The HTTP client reads the environment once, so another program does it.
func TestProxy(t *testing.T) {
	const from, into = "TASUKI_TEST_PROXIED_FROM", "TASUKI_TEST_PROXIED_INTO"
	if source := os.Getenv(from); source != "" {
		copied(t, must(image.Open(t.Context(), source, image.OpenOptions{NoDockerLogin: true})), os.Getenv(into), tasuki.ARM64)
		return
	}
	img := randomImage(t, "arm64", 100_000, 2)
	handler := registries["ociregistry"]()
	startServer(t, handler).seed(t, "app", "v1", img)
	start := func(handler http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("%s %s came with %s", r.Method, r.URL.Path, r.Proto)
			}
			handler(w, r)
		}))
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	storage := start(handler.ServeHTTP)
	registry := start(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, "https://storage.example.com"+r.URL.Path+"?X-Amz-Signature=s3cret", http.StatusTemporaryRedirect)
			return
		}
		handler.ServeHTTP(w, r)
	})
	hosts := map[string]string{"example.com:443": registry.Listener.Addr().String(), "storage.example.com:443": storage.Listener.Addr().String()}
	proxy := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic bWU6czNjcmV0" { // me:s3cret
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		to, err := net.Dial("tcp", hosts[r.Host])
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		w.WriteHeader(http.StatusOK)
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		go func() {
			defer to.Close()
			_, _ = io.Copy(to, client)
		}()
		_, _ = io.Copy(client, to)
	}))
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	var roots []byte
	for _, s := range []*httptest.Server{registry, storage} {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})...)
	}
	if err := os.WriteFile(trusted, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(user *url.Userinfo, dir string) (string, error) {
		address := url.URL{Scheme: "http", User: user, Host: proxy.host()}
		program := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxy$")
		program.Env = append(os.Environ(), from+"=docker://example.com/app:v1", into+"=oci:"+dir+":v1",
			"HTTPS_PROXY="+address.String(), "https_proxy=", "NO_PROXY=", "no_proxy=", "SSL_CERT_FILE="+trusted, "SSL_CERT_DIR="+t.TempDir())
		out, err := program.CombinedOutput()
		return string(out), err
	}
	dir := t.TempDir()
	if out, err := run(url.UserPassword("me", "s3cret"), dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := tagged(t, dir)["v1"].Digest; got != must(img.Digest()) {
		t.Errorf("the copy is %s", got)
	}
	if n := countPrefix(proxy.take(), "CONNECT "); n < 2 {
		t.Errorf("the proxy was used %d times", n)
	}
	out, err := run(url.UserPassword("me", "wr0ng"), t.TempDir())
	if err == nil || !strings.Contains(out, "Proxy Authentication Required") || strings.Contains(out, "wr0ng") {
		t.Errorf("with another password, %v: %s", err, out)
	}
}
