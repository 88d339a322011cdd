package awsbackend

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki"
)

// Registry is the OCI registry of the caller's account and region, and what to log
// in to it with. Its texts leave the password out; only the field has it.
type Registry struct {
	Host      string // host, or host:port
	PlainHTTP bool   // the registry speaks HTTP without TLS
	User      string
	Password  string `json:"-"`
	Expires   time.Time
}

// String names the registry and the user.
func (r Registry) String() string { return r.User + "@" + r.Host }

// GoString implements fmt.GoStringer, for %#v.
func (r Registry) GoString() string { return fmt.Sprintf("awsbackend.Registry{%s}", r) }

// LogValue implements slog.LogValuer.
func (r Registry) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Registry asks ECR for the address of a repository's registry, which may be of another
// account and region, and for a password, good for 12 hours and for all that the caller
// may read.
func (s *Images) Registry(ctx context.Context, repository tasuki.Repository) (Registry, error) {
	c := call{op: "log in to", side: tasuki.SideImage, subject: "registry", action: "ecr:GetAuthorizationToken"}
	out, err := s.api.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{}, in(repository))
	if err != nil {
		return Registry{}, c.failed(err)
	}
	if len(out.AuthorizationData) == 0 {
		return Registry{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has no token")
	}
	data := out.AuthorizationData[0]
	// No error about the token may quote it.
	token, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	user, password, found := strings.Cut(string(token), ":")
	if err != nil || !found {
		return Registry{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has a malformed token")
	}
	endpoint, err := url.Parse(aws.ToString(data.ProxyEndpoint))
	if err != nil || endpoint.Host == "" {
		return Registry{}, c.wrong(tasuki.ErrUnavailable, "ECR's answer has no address of the registry")
	}
	// ECR names the caller's own registry. An address that is none of ECR's names is
	// that of an endpoint which has all accounts' repositories.
	host := endpoint.Host
	if _, err := tasuki.ParseRepository(host + "/" + repository.Name()); err == nil {
		host = repository.Host()
	}
	return Registry{
		Host:      host,
		PlainHTTP: endpoint.Scheme == "http",
		User:      user,
		Password:  password,
		Expires:   aws.ToTime(data.ExpiresAt),
	}, nil
}
