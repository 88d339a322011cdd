package image_test

import (
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/image"
)

func TestRepositoryOf(t *testing.T) {
	const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/"
	for reference, want := range map[string]string{
		"docker://" + host + "orders":                                       "orders",
		"docker://" + host + "team/orders:v1":                               "team/orders",
		"docker://" + host + "orders@sha256:" + strings.Repeat("0", 64):     "orders",
		"docker://" + host + "orders:v1@sha256:" + strings.Repeat("0", 64):  "orders",
		"docker://public.ecr.aws/lambda/provided:al2023":                    "",
		"docker://orders:v1":                                                "",
		"docker://123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test/x": "",
		"docker://localhost:5000/orders":                                    "",
		"oci:" + host + "orders":                                            "",
	} {
		repository, isECR := image.RepositoryOf(reference)
		if isECR != (want != "") || isECR && repository.Name() != want {
			t.Errorf("%s is of %q, %t, want %q", reference, repository.Name(), isECR, want)
		}
	}
}

func TestParseLogin(t *testing.T) {
	for text, want := range map[string][2]string{
		`{"username":"me","password":"s3cret"}`:              {"me", "s3cret"},
		`{"Username":"me","Password":"a:b","engine":"none"}`: {"me", "a:b"},
		"me:s3cret\n": {"me", "s3cret"},
		"me:a:b":      {"me", "a:b"},
	} {
		if user, password, err := image.ParseLogin(text); err != nil || user != want[0] || password != want[1] {
			t.Errorf("%q is %q, %q, %v", text, user, password, err)
		}
	}
	for _, text := range []string{"", "s3cret", ":s3cret", `{"password":"s3cret"}`, ` {"username":"","password":"s3cret:x"}`} {
		if _, _, err := image.ParseLogin(text); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
