package image

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Registry is where images are pushed to: what ECR's GetAuthorizationToken gives.
// Its password is not printed, however it is formatted.
type Registry struct {
	Host      string // with a port where it is not the scheme's; where the bytes go
	PlainHTTP bool
	Username  string // sent with each request, without waiting to be asked; "" for nobody
	Password  string
	Transport http.RoundTripper // nil for one like http.DefaultTransport
}

// String returns the registry's address, without credentials.
func (r Registry) String() string {
	if r.PlainHTTP {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// Format implements fmt.Formatter: every verb, %+v and %#v too, prints [Registry.String].
func (r Registry) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r Registry) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText keeps the credentials out of JSON and its like.
func (r Registry) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// repository returns oras's client of a repository by that name. The canonical
// AWS host in name is not where the bytes go when the registry is a local one.
func (r Registry) repository(name tasuki.Repository, transport http.RoundTripper) (*remote.Repository, error) {
	at := registry.Reference{Registry: r.Host, Repository: name.Name()}
	if err := at.ValidateRegistry(); err != nil {
		return nil, failed(tasuki.ErrInvalid, "%q is not a registry's host", printable(r.Host))
	}
	if err := at.ValidateRepository(); err != nil {
		return nil, failed(tasuki.ErrInvalid, "%q is not a repository's name", printable(name.Name()))
	}
	c := &client{inner: &auth.Client{
		Client: &http.Client{Transport: transport},
		Header: http.Header{"User-Agent": {userAgent}},
	}}
	if r.Username != "" || r.Password != "" {
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(r.Username+":"+r.Password))
	}
	repository := &remote.Repository{
		Client:             c,
		Reference:          at,
		PlainHTTP:          r.PlainHTTP,
		ManifestMediaTypes: tasuki.ManifestMediaTypes(),
		MaxMetadataBytes:   MaxDocument,
	}
	// ECR has the referrers API. Otherwise oras would push an index of referrers
	// beside a manifest that has a subject, under a tag that nobody asked for.
	if err := repository.SetReferrersCapability(true); err != nil {
		return nil, err
	}
	return repository, nil
}
