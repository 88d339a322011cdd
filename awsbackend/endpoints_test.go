package awsbackend

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki"
)

// Where calls go is the SDK's business, in every partition; that its variables are obeyed,
// within a function too, and that a repository's region counts, is this package's.
func TestEndpoints(t *testing.T) {
	for _, c := range []struct {
		region, repository string
		environment        map[string]string
		want               []string // of GetParameter, BatchGetImage, GetFunction, DescribeStacks
	}{
		{"eu-west-1", account + ".dkr.ecr.eu-west-1.amazonaws.com/orders", nil,
			[]string{"ssm.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "lambda.eu-west-1.amazonaws.com", "cloudformation.eu-west-1.amazonaws.com"}},
		{"eu-west-1", account + ".dkr.ecr.us-east-1.amazonaws.com/orders", nil,
			[]string{"ssm.eu-west-1.amazonaws.com", "api.ecr.us-east-1.amazonaws.com", "lambda.eu-west-1.amazonaws.com", "cloudformation.eu-west-1.amazonaws.com"}},
		{"cn-north-1", account + ".dkr.ecr.cn-north-1.amazonaws.com.cn/orders", nil,
			[]string{"ssm.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn", "lambda.cn-north-1.amazonaws.com.cn", "cloudformation.cn-north-1.amazonaws.com.cn"}},
		{"eusc-de-east-1", account + ".dkr.ecr.eusc-de-east-1.amazonaws.eu/orders", nil,
			[]string{"ssm.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu", "lambda.eusc-de-east-1.amazonaws.eu", "cloudformation.eusc-de-east-1.amazonaws.eu"}},
		{"us-gov-west-1", account + ".dkr.ecr.us-gov-west-1.amazonaws.com/orders", map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"},
			[]string{"ssm.us-gov-west-1.amazonaws.com", "api.ecr-fips.us-gov-west-1.amazonaws.com", "lambda-fips.us-gov-west-1.amazonaws.com", "cloudformation.us-gov-west-1.amazonaws.com"}},
		{"eu-west-1", account + ".dkr-ecr.eu-west-1.on.aws/orders", map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"},
			[]string{"ssm.eu-west-1.api.aws", "ecr.eu-west-1.api.aws", "lambda.eu-west-1.api.aws", "cloudformation.eu-west-1.api.aws"}},
		{"eu-west-1", account + ".dkr.ecr.eu-west-1.amazonaws.com/orders", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566", "AWS_ENDPOINT_URL_ECR": "https://vpce-1.ecr.example"},
			[]string{"localhost:4566", "vpce-1.ecr.example", "localhost:4566", "localhost:4566"}},
		{"eu-west-1", account + ".dkr.ecr.eu-west-1.amazonaws.com/orders", map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
			[]string{"ssm.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com", "lambda.eu-west-1.amazonaws.com", "cloudformation.eu-west-1.amazonaws.com"}},
	} {
		t.Run(fmt.Sprint(c.region, c.environment), func(t *testing.T) {
			withoutCredentials(t)
			for _, name := range []string{"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_ENDPOINT_URL_ECR"} {
				t.Setenv(name, "")
			}
			t.Setenv("AWS_REGION", c.region)
			t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			outside, err := Load(t.Context(), Options{RetryMaxAttempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			inside, err := LoadInFunction(Options{RetryMaxAttempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			for where, backend := range map[string]*Backend{"outside": outside, "in a function": inside} {
				if diff := cmp.Diff(c.want, hostsOf(t, backend, c.repository)); diff != "" {
					t.Errorf("%s: %s", where, diff)
				}
			}
		})
	}
}

// hostsOf returns the hosts that the backend's calls go to.
func hostsOf(t *testing.T, backend *Backend, repository string) (hosts []string) {
	t.Helper()
	cfg := backend.Config
	cfg.HTTPClient = clientFunc(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host)
		return nil, errors.New("nobody is asked")
	})
	backend = backendOf(cfg)
	for i, call := range []func() error{
		func() error {
			_, err := backend.Contracts.ReadContract(t.Context(), parse(t, tasuki.ParseHandoffName, "orders"))
			return err
		},
		func() error {
			_, err := backend.Images.Manifests(t.Context(), parse(t, tasuki.ParseRepository, repository), tasuki.ByTag(parse(t, tasuki.ParseTag, "v1")))
			return err
		},
		func() error { _, err := backend.Functions.Function(t.Context(), "orders"); return err },
		func() error { _, err := backend.Stacks.StackStatus(t.Context(), "shop"); return err },
	} {
		if err := call(); !errors.Is(err, tasuki.ErrUnavailable) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	return hosts
}
