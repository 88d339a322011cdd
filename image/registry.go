package image

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

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

// authorization returns the header that is sent with each request, "" for none.
func (r Registry) authorization() string {
	if r.Username == "" && r.Password == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(r.Username+":"+r.Password))
}

// connection is a repository of a registry, and the client that reaches it.
type connection struct {
	*remote.Repository
	client   *client
	requests *counting
	idle     func() // closes idle connections
}

// connect prepares to reach the repository that reference names. It sends nothing.
func connect(reference registry.Reference, o OpenOptions) (*connection, error) {
	credential, err := o.credential(reference.Host())
	if err != nil {
		return nil, err
	}
	plain, authorization := loopback(reference.Registry), ""
	if o.Registry != nil {
		reference.Registry, plain, authorization = o.Registry.Host, o.Registry.PlainHTTP, o.Registry.authorization()
	}
	if err := reference.ValidateRegistry(); err != nil {
		return nil, failed(tasuki.ErrInvalid, "%q is not a registry's host", printable(reference.Registry))
	}
	if err := reference.ValidateRepository(); err != nil {
		return nil, failed(tasuki.ErrInvalid, "%q is not a repository's name", printable(reference.Repository))
	}
	transport, idle := o.Transport, func() {}
	if transport == nil {
		own := newTransport()
		transport, idle = own, own.CloseIdleConnections
	}
	requests := &counting{RoundTripper: transport}
	inner := &auth.Client{
		Client:     &http.Client{Transport: requests, CheckRedirect: redirects},
		Header:     headers(),
		Credential: credential,
		Cache:      auth.NewCache(),
		ClientID:   userAgent,
	}
	if loopback(reference.Registry) {
		// A registry on this machine may send us to a token service on this machine.
		inner.BlockedRealmPrefixes = []netip.Prefix{}
	}
	c := &client{inner: inner, requests: requests, authorization: authorization}
	if o.LateLogin != nil {
		c.late = &lateLogin{host: reference.Host(), ask: o.LateLogin}
	}
	repository := &remote.Repository{
		Client:             c,
		Reference:          reference,
		PlainHTTP:          plain,
		ManifestMediaTypes: tasuki.ManifestMediaTypes(),
		MaxMetadataBytes:   MaxDocument,
	}
	// ECR has the referrers API. Otherwise oras would push an index of referrers
	// beside a manifest that has a subject, under a tag that nobody asked for.
	if err := repository.SetReferrersCapability(true); err != nil {
		return nil, err
	}
	return &connection{repository, c, requests, idle}, nil
}

// mostRedirects is how often a request may be sent on: as often as net/http allows.
const mostRedirects = 10

// redirects implements http.Client's CheckRedirect.
func redirects(_ *http.Request, via []*http.Request) error {
	if len(via) >= mostRedirects {
		return failed(tasuki.ErrUnavailable, "the registry redirects without end: %d times", mostRedirects)
	}
	return nil
}

// address returns the URL of path, which begins with a slash, in the repository.
func (c *connection) address(path string) *url.URL {
	scheme := "https"
	if c.PlainHTTP {
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: c.Reference.Host(), Path: "/v2/" + c.Reference.Repository + path}
}

// sameRegistry reports whether two repositories are one registry's.
func (c *connection) sameRegistry(other *connection) bool {
	return c.Reference.Host() == other.Reference.Host() && c.PlainHTTP == other.PlainHTTP
}
