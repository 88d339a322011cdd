package awsbackend

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
)

func ordersRepository(t *testing.T) tasuki.Repository {
	return parse(t, tasuki.ParseRepository, "210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/orders")
}

// batch answers BatchGetImage with the images and failures.
func batch(images []map[string]any, failures ...map[string]any) operation {
	b, _ := json.Marshal(map[string]any{"images": images, "failures": failures})
	return ok("%s", b)
}

func ecrImage(manifest, tag string) map[string]any {
	id := map[string]any{"imageDigest": tasuki.DigestOf([]byte(manifest)).String()}
	if tag != "" {
		id["imageTag"] = tag
	}
	return map[string]any{"imageId": id, "imageManifest": manifest, "imageManifestMediaType": tasuki.MediaTypeOCIManifest}
}

func ecrFailure(tag, code string) map[string]any {
	return map[string]any{"imageId": map[string]any{"imageTag": tag}, "failureCode": code, "failureReason": "the reason"}
}

func TestManifestsAsksForWhatIsStored(t *testing.T) {
	backend, fake := serve(t, Options{}, map[string]operation{"BatchGetImage": func(w http.ResponseWriter, in map[string]any) {
		want := map[string]any{
			"registryId": "210987654321", "repositoryName": "team/orders", "imageIds": []any{map[string]any{"imageTag": "v1"}},
			"acceptedMediaTypes": []any{tasuki.MediaTypeOCIManifest, tasuki.MediaTypeOCIIndex, tasuki.MediaTypeDockerManifest, tasuki.MediaTypeDockerList},
		}
		if fmt.Sprint(in) != fmt.Sprint(want) {
			t.Errorf("asked for %v, want %v", in, want)
		}
		batch([]map[string]any{ecrImage(`{"a": 1}`, "v1")})(w, in)
	}})
	v1 := tasuki.ByTag(parse(t, tasuki.ParseTag, "v1"))
	got, err := backend.Images.Manifests(t.Context(), ordersRepository(t), v1, v1)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || string(got[v1].Bytes) != `{"a": 1}` || got[v1].MediaType != tasuki.MediaTypeOCIManifest {
		t.Errorf("got %+v", got)
	}
	if n := fake.count("BatchGetImage"); n != 1 {
		t.Errorf("it took %d calls", n)
	}
}

// One image that was asked for by tag and by digest may be answered once or twice.
func TestManifestsByTagAndDigest(t *testing.T) {
	manifest := `{"a":1}`
	v1, digest := tasuki.ByTag(parse(t, tasuki.ParseTag, "v1")), tasuki.ByDigest(tasuki.DigestOf([]byte(manifest)))
	for what, images := range map[string][]map[string]any{
		"once":  {ecrImage(manifest, "v1")},
		"twice": {ecrImage(manifest, ""), ecrImage(manifest, "v1")},
	} {
		t.Run(what, func(t *testing.T) {
			backend, _ := serve(t, Options{}, map[string]operation{"BatchGetImage": batch(images)})
			got, err := backend.Images.Manifests(t.Context(), ordersRepository(t), v1, digest)
			if err != nil || len(got) != 2 || got[v1].Digest != digest.Digest() || got[digest].Digest != digest.Digest() {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// Absent from the map is only what ECR says is not there.
func TestManifestsFailures(t *testing.T) {
	good := ecrImage(`{"a":1}`, "v1")
	forged := ecrImage(`{"a":1}`, "v2")
	forged["imageManifest"] = `{"a":2}`
	for _, c := range []struct {
		what   string
		answer operation
		kind   error
		says   string
	}{
		{"not found", batch([]map[string]any{good}, ecrFailure("v2", "ImageNotFound")), nil, ""},
		{"nothing about it", batch([]map[string]any{good}), tasuki.ErrUnavailable, "v2"},
		{"a key", batch([]map[string]any{good}, ecrFailure("v2", "KmsError")), tasuki.ErrDenied, "KmsError"},
		{"inaccessible", batch([]map[string]any{good}, ecrFailure("v2", "ImageInaccessible")), tasuki.ErrRefused, "image v2: ImageInaccessible: the reason"},
		{"upstream denied", batch([]map[string]any{good}, ecrFailure("v2", "UpstreamAccessDenied")), tasuki.ErrDenied, "UpstreamAccessDenied"},
		{"upstream throttled", batch([]map[string]any{good}, ecrFailure("v2", "UpstreamTooManyRequests")), tasuki.ErrThrottled, "UpstreamTooManyRequests"},
		{"a malformed tag", batch([]map[string]any{good}, ecrFailure("v2", "InvalidImageTag")), tasuki.ErrInvalid, "InvalidImageTag"},
		{"other bytes", batch([]map[string]any{good, forged}), tasuki.ErrUnavailable, "digest"},
		{"no identifier", batch([]map[string]any{good, {"imageManifest": "{}"}}), tasuki.ErrUnavailable, "identifier"},
	} {
		t.Run(c.what, func(t *testing.T) {
			backend, _ := serve(t, Options{}, map[string]operation{"BatchGetImage": c.answer})
			v1, v2 := tasuki.ByTag(parse(t, tasuki.ParseTag, "v1")), tasuki.ByTag(parse(t, tasuki.ParseTag, "v2"))
			got, err := backend.Images.Manifests(t.Context(), ordersRepository(t), v1, v2)
			if c.kind == nil {
				if _, found := got[v2]; err != nil || found || len(got) != 1 {
					t.Errorf("got %v, %v; want v1 only", got, err)
				}
				return
			}
			if e := wantKind(t, err, c.kind); !strings.Contains(e.Error(), c.says) {
				t.Errorf("%v does not say %q", e, c.says)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	config := []byte(`{"os":"linux"}`)
	descriptor := tasuki.Descriptor{Digest: tasuki.DigestOf(config), Size: int64(len(config))}
	send := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			fmt.Fprintf(w, "<Error><Message>%s</Message></Error>", r.URL)
		}
	}
	for _, c := range []struct {
		what string
		blob http.HandlerFunc
		kind error
	}{
		{"good", send(config), nil},
		{"other bytes", send([]byte(`{"os":"plan9"}`)), tasuki.ErrUnavailable},
		{"too long", send(make([]byte, longestConfig+1)), tasuki.ErrUnavailable},
		{"denied", status(403), tasuki.ErrDenied},
		{"not found is not missing", status(404), tasuki.ErrUnavailable},
		{"broken", status(500), tasuki.ErrUnavailable},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, tasuki.ErrUnavailable},
		{"half", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "{")
		}, tasuki.ErrUnavailable},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}, tasuki.ErrUnavailable},
		{"hanging", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, tasuki.ErrUnavailable},
	} {
		t.Run(c.what, func(t *testing.T) {
			storage := httptest.NewServer(c.blob)
			t.Cleanup(storage.Close)
			backend, _ := serve(t, Options{AttemptTimeout: time.Second}, map[string]operation{
				"GetDownloadUrlForLayer": ok(`{"downloadUrl":"%s/bucket/key?X-Amz-Security-Token=%s&X-Amz-Signature=abc"}`, storage.URL, secret),
			})
			got, err := backend.Images.Config(t.Context(), ordersRepository(t), descriptor)
			if c.kind == nil {
				if err != nil || string(got) != string(config) {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			e := wantKind(t, err, c.kind)
			for _, text := range []string{fmt.Sprintf("%v %+v", err, e.Err), e.Hint} {
				if strings.Contains(text, "X-Amz") || strings.Contains(text, "bucket") || strings.Contains(text, secret) {
					t.Errorf("the URL is in the error: %s", text)
				}
			}
		})
	}
}

func TestConfigRefusesMalformedURLsWithoutQuotingThem(t *testing.T) {
	for _, location := range []string{"http://host:port/?X-Amz-Signature=" + secret, "gopher://host/?X-Amz-Signature=" + secret, "?X-Amz-Signature=" + secret} {
		backend, _ := serve(t, Options{}, map[string]operation{"GetDownloadUrlForLayer": ok(`{"downloadUrl":%q}`, location)})
		_, err := backend.Images.Config(t.Context(), ordersRepository(t), tasuki.Descriptor{Digest: tasuki.DigestOf(nil)})
		wantKind(t, err, tasuki.ErrUnavailable)
	}
}

func TestConfigThatIsTooLongIsNotAskedFor(t *testing.T) {
	backend, fake := serve(t, Options{}, nil)
	_, err := backend.Images.Config(t.Context(), ordersRepository(t), tasuki.Descriptor{Digest: tasuki.DigestOf(nil), Size: longestConfig + 1})
	wantKind(t, err, tasuki.ErrInvalid)
	if len(fake.calls) != 0 {
		t.Errorf("called %v", fake.calls)
	}
}

func TestDownloadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := `{"os":"linux"}`
		unavailable := func(w http.ResponseWriter, _ map[string]any) { w.WriteHeader(503) }
		backend, fake := inProcess(t, Options{RetryMaxAttempts: 3}, map[string]operation{
			"GetDownloadUrlForLayer": ok(`{"downloadUrl":"https://storage.example.com/key"}`),
			"GET /key":               then(unavailable, unavailable, ok("%s", config)),
		})
		got, err := backend.Images.Config(t.Context(), ordersRepository(t), tasuki.Descriptor{Digest: tasuki.DigestOf([]byte(config))})
		if err != nil || string(got) != config {
			t.Errorf("got %q, %v", got, err)
		}
		if n := fake.count("GET /key"); n != 3 {
			t.Errorf("it took %d downloads", n)
		}
	})
}

func TestRepository(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"DescribeRepositories": then(
		ok(`{"repositories":[{"repositoryName":"orders","repositoryUri":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders"}]}`),
		ok(`{"repositories":[{"repositoryName":"orders","repositoryUri":"registry.example.com/orders"}]}`),
		fail(400, "RepositoryNotFoundException", "The repository with name 'orders' does not exist"),
	)})
	got, err := backend.Images.Repository(t.Context(), "orders")
	if err != nil || got.String() != "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders" {
		t.Errorf("got %s, %v", got, err)
	}
	_, err = backend.Images.Repository(t.Context(), "orders")
	wantKind(t, err, tasuki.ErrUnavailable)
	_, err = backend.Images.Repository(t.Context(), "orders")
	if e := wantKind(t, err, tasuki.ErrMissing); e.Hint == "" || e.Subject != "orders" {
		t.Errorf("the error is %#v", e)
	}
}

func TestManifestsOfAMissingRepository(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"BatchGetImage": fail(400, "RepositoryNotFoundException", "The repository with name 'team/orders' does not exist")})
	_, err := backend.Images.Manifests(t.Context(), ordersRepository(t), tasuki.ByTag(parse(t, tasuki.ParseTag, "v1")))
	e := wantKind(t, err, tasuki.ErrMissing)
	if e.Side != tasuki.SideImage || e.Subject != ordersRepository(t).String() || !strings.Contains(e.Hint, "210987654321") {
		t.Errorf("the error is %#v", e)
	}
	if !errors.Is(err, tasuki.ErrMissing) {
		t.Errorf("%v is not ErrMissing", err)
	}
}
