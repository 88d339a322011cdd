package awsbackend

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
)

func TestRepositorySettings(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{
		"DescribeRepositories": ok(`{"repositories":[{"imageTagMutability":"IMMUTABLE_WITH_EXCLUSION","imageTagMutabilityExclusionFilters":[{"filterType":"WILDCARD","filter":"tasuki-*"}],
			"encryptionConfiguration":{"encryptionType":"KMS","kmsKey":"arn:aws:kms:eu-west-1:111111111111:key/k"}}]}`),
		"GetLifecyclePolicy": fail(http.StatusBadRequest, "LifecyclePolicyNotFoundException", "none"),
	})
	got, err := backend.Images.RepositorySettings(t.Context(), ordersRepository(t))
	if err != nil {
		t.Fatal(err)
	}
	if got.Mutability != "IMMUTABLE_WITH_EXCLUSION" || !slices.Equal(got.Exclusions, []string{"tasuki-*"}) || got.LifecyclePolicy != "" ||
		got.Encryption != "KMS" || got.KMSKey != "arn:aws:kms:eu-west-1:111111111111:key/k" {
		t.Errorf("got %+v", got)
	}
}

func TestRepositoryPolicy(t *testing.T) {
	cases := map[string]struct {
		answer operation
		want   string
		err    error
	}{
		"one":           {ok(`{"policyText":"{\"Statement\":[]}"}`), `{"Statement":[]}`, nil},
		"none":          {fail(http.StatusBadRequest, "RepositoryPolicyNotFoundException", "none"), "", nil},
		"no repository": {fail(http.StatusBadRequest, "RepositoryNotFoundException", "none"), "", tasuki.ErrMissing},
		"denied":        {fail(http.StatusBadRequest, "AccessDeniedException", "no"), "", tasuki.ErrDenied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			backend, _ := serve(t, Options{}, map[string]operation{"GetRepositoryPolicy": c.answer})
			got, err := backend.Images.RepositoryPolicy(t.Context(), ordersRepository(t))
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v", got, err)
			}
			if errors.Is(c.err, tasuki.ErrDenied) && !strings.Contains(tasuki.HintOf(err), "ecr:GetRepositoryPolicy") {
				t.Errorf("hint %q", tasuki.HintOf(err))
			}
		})
	}
}

// Archived images are asked for too, and one that is not there is no error.
func TestStoredImages(t *testing.T) {
	active, archived, gone := tasuki.DigestOf([]byte("active")), tasuki.DigestOf([]byte("archived")), tasuki.DigestOf([]byte("gone"))
	backend, fake := serve(t, Options{}, map[string]operation{"DescribeImages": func(w http.ResponseWriter, in map[string]any) {
		if fmt.Sprint(in["filter"]) != "map[imageStatus:ANY]" {
			t.Errorf("filter %v", in["filter"])
		}
		switch asked := fmt.Sprint(in["imageIds"]); {
		case strings.Contains(asked, active.String()):
			ok(`{"imageDetails":[{"imageDigest":%q,"imageStatus":"ACTIVE","imageTags":["v1","tasuki-live"]}]}`, active)(w, in)
		case strings.Contains(asked, archived.String()):
			ok(`{"imageDetails":[{"imageDigest":%q,"imageStatus":"ARCHIVED"}]}`, archived)(w, in)
		default:
			fail(http.StatusBadRequest, "ImageNotFoundException", "none")(w, in)
		}
	}})
	got, err := backend.Images.StoredImages(t.Context(), ordersRepository(t), active, archived, gone)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[active].Status != "ACTIVE" || !slices.Equal(got[active].Tags, []string{"v1", "tasuki-live"}) || got[archived].Status != "ARCHIVED" {
		t.Errorf("got %+v", got)
	}
	if n := fake.count("DescribeImages"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestStoredImagesThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		answer operation
		kind   error
	}{
		"denied":        {fail(http.StatusBadRequest, "AccessDeniedException", "no"), tasuki.ErrDenied},
		"no repository": {fail(http.StatusBadRequest, "RepositoryNotFoundException", "none"), tasuki.ErrMissing},
		"nothing said":  {ok(`{"imageDetails":[]}`), tasuki.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			backend, _ := serve(t, Options{}, map[string]operation{"DescribeImages": c.answer})
			got, err := backend.Images.StoredImages(t.Context(), ordersRepository(t), tasuki.DigestOf(nil))
			if got != nil || !errors.Is(err, c.kind) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestFunctionsOwnSettings(t *testing.T) {
	backend, _ := serve(t, Options{}, map[string]operation{"GetFunction": ok(`{"Configuration":{%s},"Code":{"ImageUri":"%s:v1","ResolvedImageUri":"%s@%s"}}`,
		configuration(`,"PackageType":"Image","ImageConfigResponse":{"ImageConfig":{"EntryPoint":["/app"],"Command":["handler"],"WorkingDirectory":"/srv"}}`), image, image, digestA)})
	got, err := backend.Functions.Function(t.Context(), "orders")
	if err != nil || got.Settings == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	if s := *got.Settings; !slices.Equal(s.EntryPoint, []string{"/app"}) || !slices.Equal(s.Command, []string{"handler"}) || s.WorkingDirectory != "/srv" {
		t.Errorf("settings %+v", s)
	}
}
