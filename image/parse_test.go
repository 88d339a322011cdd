package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki"
)

func TestParseRemote(t *testing.T) {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := map[string]string{
		"alpine":                           "docker.io/library/alpine:latest",
		"alpine:3":                         "docker.io/library/alpine:3",
		"me/app":                           "docker.io/me/app:latest",
		"index.docker.io/me/app":           "docker.io/me/app:latest",
		"docker.io/alpine":                 "docker.io/library/alpine:latest",
		"localhost/app:v1":                 "localhost/app:v1",
		"localhost:5000/app":               "localhost:5000/app:latest",
		"public.ecr.aws/lambda/go:1":       "public.ecr.aws/lambda/go:1",
		"registry.example/app@" + digest:   "registry.example/app@" + digest,
		"registry.example/app:1@" + digest: "registry.example/app@" + digest,
		"[::1]:5000/app":                   "[::1]:5000/app:latest",
	}
	for s, want := range tests {
		got, err := parseRemote(s)
		if err != nil || got.String() != want {
			t.Errorf("%s is %s, %v; want %s", s, got, err, want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:80": true, "127.9.9.9": true, "[::1]:5000": true, "[::1]": true, "x.localhost": true,
		"registry.example": false, "10.0.0.1:5000": false, "localhost.example": false, "127.0.0.1.example": false,
	} {
		if loopback(host) != want {
			t.Errorf("loopback(%s) is %v", host, !want)
		}
	}
}

// Tests divide layers in a way of their own; everybody else in this one.
func TestPortions(t *testing.T) {
	at, err := openRemote(must(parseRemote("registry.example/app:v1")), OpenOptions{NoDockerLogin: true})
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	if at.portions != (portions{64 << 20, 4 << 20}) {
		t.Errorf("large layers are divided as %+v", at.portions)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestRedact(t *testing.T) {
	tests := map[string]string{
		`Get "https://s3.example/blob?X-Amz-Signature=abc": refused`:   `Get "https://s3.example/blob": refused`,
		`dial https://me:secret@registry.example/v2/?a=b now`:          `dial https://registry.example/v2/ now`,
		`http://registry.example/v2/#token https://other.example/?x=y`: `http://registry.example/v2/ https://other.example/`,
		`nothing to hide?`: `nothing to hide?`,
		`failed to parse Location header "/blob%zz?X-Amz-Signature=abc": invalid`: `failed to parse Location header "/blob%zz": invalid`,
		`https://me:a'b@c@registry.example/v2/`:                                   `https://registry.example/v2/`,
		`docker://me:a/b@registry.example:5000/app:v1`:                            `docker://…`,
		`docker://me:a?b@registry.example/app@sha256:12`:                          `docker://…`,
		`docker://registry.example:5000/app:v1@sha256:12 and app:v1@sha256:12`:    `docker://registry.example:5000/app:v1@sha256:12 and app:v1@sha256:12`,
		`https://registry.example/@me/app`:                                        `https://registry.example/@me/app`,
		`http://[::1]:5000/@me/app`:                                               `http://[::1]:5000/@me/app`,
		`invalid proxy address "me:a%zz@proxy:8080"`:                              `invalid proxy address "proxy:8080"`,
		`bad token Bearer abcdefghijklmnop: try again`:                            `bad token Bearer …: try again`,
		`basic credential not found`:                                              `basic credential not found`,
		`token eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2ln is expired`:              `token … is expired`,
	}
	for text, want := range tests {
		if got := redact(text); got != want {
			t.Errorf("redact(%s) = %s, want %s", text, got, want)
		}
	}
}

// Whatever is around it, a secret in a URL is in no error: in the user information, in a
// query, in what a server says, and in what the HTTP client says of a redirection.
func FuzzSecrets(f *testing.F) {
	const secret = "s3cretS3CRETs3cret"
	for _, seed := range [][4]string{{"me", "registry.example", "/v2/app", "X-Amz-Signature"}, {"a@b", "[::1]:5000", "/a'b@c/", "a'b&c"}, {"", "", "", ""}, {"a'", "h:1", "/%zz#", "x=y#z?w"}, {strings.Repeat("me", 240), "h", "", ""}, {"0", ":A", "0", "@"}, {"\u0092", "0", "", ""}} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	inURL := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f })
	}
	f.Fuzz(func(t *testing.T, user, host, path, query string) {
		if !inURL(user+host+path+query) || strings.ContainsAny(user+host, "/?#") || strings.Contains(host, "@") {
			return
		}
		path = "/" + path
		for _, address := range []string{
			"https://" + user + ":" + secret + "@" + host + path,
			"https://" + host + path + "?" + query + "=" + secret,
			"https://" + host + path + "?" + secret + "&" + query,
			"https://" + host + path + "#" + query + secret,
			path + "?" + query + "=" + secret,
			"Bearer " + secret, "Basic " + secret,
		} {
			for _, err := range []error{
				errors.New(address),
				&responseError{status: 400, message: "see " + address + " for more"},
				&url.Error{Op: "Get", URL: address, Err: fmt.Errorf("failed to parse Location header %q: %w", address, io.ErrUnexpectedEOF)},
				&sourceFault{&lostSession{&responseError{status: 500, message: address}}},
				fmt.Errorf("GET %q: %w", address, &url.Error{Op: "Get", URL: address, Err: errors.New("proxy says " + address)}),
			} {
				told := newError("read", tasuki.SideSource, "docker://app", err)
				if text := fmt.Sprintf("%v %+v %q", told, told, tasuki.HintOf(told)); strings.Contains(text, secret) {
					t.Errorf("%q is told as %s", err, text)
				}
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", value, got, want)
		}
	}
}

// Without a variable an engine is where Docker and Podman put its socket, in the order of
// sockets; that of Podman without root is in XDG_RUNTIME_DIR.
func TestDefaultSockets(t *testing.T) {
	dir, err := os.MkdirTemp("", "engine") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for variable, value := range map[string]string{"DOCKER_HOST": "", "CONTAINER_HOST": "", "HOME": dir, "XDG_RUNTIME_DIR": dir} {
		t.Setenv(variable, value)
	}
	own := filepath.Join(dir, "podman", "podman.sock")
	if err := os.Mkdir(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", own)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	e, err := findEngine()
	if err != nil {
		t.Fatal(err)
	}
	want := "unix://" + own
	if info, err := os.Stat("/var/run/docker.sock"); err == nil && info.Mode().Type() == fs.ModeSocket {
		want = "unix:///var/run/docker.sock"
	}
	if e.address != want {
		t.Errorf("the engine is at %s, want %s", e.address, want)
	}
}

// A blob that is not what its descriptor says is never given in full.
func TestVerifier(t *testing.T) {
	want := tasuki.Descriptor{Digest: tasuki.DigestOf([]byte("content")), Size: 7}
	for content, ok := range map[string]bool{"content": true, "content and more": true, "c0ntent": false, "cont": false, "": false} {
		for _, chunk := range []int{1, 3, 100} {
			v := verified(io.NopCloser(bytes.NewReader([]byte(content))), want)
			got, err := io.ReadAll(struct{ io.Reader }{chunked{v, chunk}})
			if ok && (err != nil || string(got) != "content") {
				t.Errorf("%q by %d gives %q, %v", content, chunk, got, err)
			}
			if !ok && err == nil {
				t.Errorf("%q by %d is accepted", content, chunk)
			}
		}
	}
	empty := verified(io.NopCloser(bytes.NewReader(nil)), tasuki.Descriptor{Digest: tasuki.DigestOf(nil)})
	if b, err := io.ReadAll(empty); err != nil || len(b) != 0 {
		t.Errorf("an empty blob gives %q, %v", b, err)
	}
}

type chunked struct {
	io.Reader
	most int
}

func (c chunked) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.most)]) }

func FuzzReference(f *testing.F) {
	for _, seed := range []string{"docker://alpine", "docker://a.b/c:d@sha256:00", "oci:/x:y", "oci:x@sha256:0", "oci-archive:a:b", "docker-archive:f:n:t", "docker:", ":", "oci:C:\\x:v"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		transport, rest, err := splitTransport(s)
		if err != nil {
			return
		}
		if transport == "docker" {
			if reference, err := parseRemote(rest); err == nil && (reference.Registry == "" || reference.Repository == "" || reference.Reference == "") {
				t.Errorf("%q is %+v", s, reference)
			}
			return
		}
		if file, _, err := splitPath(rest); err == nil && file == "" {
			t.Errorf("%q has no path", s)
		}
	})
}

// Whatever an archive holds, it is opened or refused, and every file that it
// offers lies in it.
func FuzzArchive(f *testing.F) {
	for _, seed := range [][]byte{nil, []byte("\x1f\x8b"), fuzzTar("manifest.json", `[{"Config":"c","Layers":["l"]}]`), fuzzTar("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := readMembers(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		a := &archive{bytes.NewReader(b), io.NopCloser(nil), members}
		for name, m := range members {
			if !fs.ValidPath(name) || m.size < 0 || m.link == "" && m.offset+m.size > int64(len(b)) {
				t.Fatalf("member %q: %+v", name, m)
			}
			if r, size, err := a.open(name); err == nil {
				if n, err := io.Copy(io.Discard, r); err != nil || n != size {
					t.Fatalf("member %q has %d of %d bytes: %v", name, n, size, err)
				}
			}
		}
		if l, err := openLayout(a, selector{}); err == nil {
			_, _ = (&Source{"fuzz", l}).Inspect(t.Context(), tasuki.ARM64)
		}
		if d, err := openDockerArchive(a, selector{}); err == nil {
			_, _ = (&Source{"fuzz", d}).Inspect(t.Context(), tasuki.ARM64)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"","size":-1}}`), "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"platform":null}]}`), tasuki.MediaTypeOCIIndex)
	f.Fuzz(func(t *testing.T, b []byte, mediaType string) {
		m, err := newManifest(b, mediaType, tasuki.DigestOf(b))
		if err != nil {
			return
		}
		if blobs, err := blobsOf(m); err == nil {
			for _, blob := range blobs {
				if blob.Size < 0 || blob.Digest.IsZero() {
					t.Errorf("blob %+v", blob)
				}
			}
		}
		_, _ = choose(b, selector{tag: "v1"})
		_, _ = chooseEntry(b, selector{tag: "v1"})
		_, _ = Memory("fuzz", m, nil).Inspect(t.Context(), tasuki.ARM64)
	})
}

// Whatever a layout's index.json has, it is refused, or an image is added to it and all
// else is kept.
func FuzzLayoutIndex(f *testing.F) {
	for _, seed := range []string{`null`, `{}`, `[]`, `{"manifests":null}`, `{"manifests":[null,1,{"digest":"x"}],"more":{"a":1}}`, `{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`} {
		f.Add(seed)
	}
	root := tasuki.Manifest{Digest: tasuki.DigestOf([]byte("root")), MediaType: tasuki.MediaTypeOCIManifest, Bytes: []byte("root")}
	f.Fuzz(func(t *testing.T, before string) {
		l := &toLayout{t.TempDir(), "v1"}
		file := l.path("index.json")
		if err := errors.Join(os.WriteFile(file, []byte(before), 0o600), os.Mkdir(l.path(unfinished), 0o700)); err != nil {
			t.Fatal(err)
		}
		err := l.list(root)
		after, readErr := os.ReadFile(file)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if err != nil {
			if string(after) != before {
				t.Errorf("%q is refused and became %q", before, after)
			}
			return
		}
		found, err := choose(after, selector{tag: "v1"})
		var old, now map[string]json.RawMessage
		if unmarshalErr := errors.Join(json.Unmarshal([]byte(before), &old), json.Unmarshal(after, &now)); unmarshalErr != nil {
			t.Fatal(unmarshalErr)
		}
		// What was there may be what choose refuses; what was added is not.
		if err == nil && found.Digest != root.Digest {
			t.Errorf("%q became %q: v1 is %s, %v", before, after, found.Digest, err)
		}
		for key := range old {
			if _, kept := now[key]; !kept {
				t.Errorf("%q became %q: %s is lost", before, after, key)
			}
		}
	})
}
