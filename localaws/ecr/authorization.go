package ecr

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// How long what is signed is good for: a token as ECR documents it for
// GetAuthorizationToken, a download URL as GetDownloadUrlForLayer's are.
const (
	tokenLifetime    = 12 * time.Hour
	downloadLifetime = time.Hour
)

// registryUser is the user name that ECR's tokens go with.
const registryUser = "AWS"

var (
	errSignature = errors.New("the signature is not one of this registry")
	errExpired   = errors.New("the signature has expired")
)

// signer signs statements that are good until a time, and recognises its own. They
// carry all that is needed to check them, so that they survive a restart.
type signer struct{ key []byte }

// newSigner returns the signer of the store, whose key is made once.
func newSigner(store *state.Store) (signer, error) {
	var key []byte
	err := store.Update(func(tx *state.Tx) error {
		var found bool
		var err error
		if key, found, err = keys.Get(tx, "signing"); err != nil || found {
			return err
		}
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
		return keys.Put(tx, "signing", key)
	})
	return signer{key}, err
}

// sign returns "expiry.signature" for a statement.
func (s signer) sign(statement string, expires time.Time) string {
	expiry := strconv.FormatInt(expires.Unix(), 10)
	return expiry + "." + base64.RawURLEncoding.EncodeToString(s.mac(statement, expiry))
}

// check returns nil when signature is good for the statement at the given time, and
// else errSignature or errExpired.
func (s signer) check(statement, signature string, now time.Time) error {
	expiry, encoded, _ := strings.Cut(signature, ".")
	mac, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !hmac.Equal(mac, s.mac(statement, expiry)) {
		return errSignature
	}
	expires, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil {
		return errSignature
	}
	if now.Unix() >= expires {
		return errExpired
	}
	return nil
}

func (s signer) mac(statement, expiry string) []byte {
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "%s\n%s", expiry, statement)
	return h.Sum(nil)
}

// loginStatement is what a password says: whom it was given to.
func (s *Service) loginStatement(principal string) string {
	return "login " + s.account + " " + principal
}

// password returns what a principal logs in with until a time. It names the principal,
// so that what is pushed and pulled with it is the principal's doing.
func (s *Service) password(principal string, expires time.Time) string {
	return base64.RawURLEncoding.EncodeToString([]byte(principal)) + "." + s.signer.sign(s.loginStatement(principal), expires)
}

// checkPassword returns the principal that a password was given to.
func (s *Service) checkPassword(password string, now time.Time) (principal string, err error) {
	encoded, signature, _ := strings.Cut(password, ".")
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", errSignature
	}
	principal = string(name)
	if err := s.signer.check(s.loginStatement(principal), signature, now); err != nil {
		return "", err
	}
	return principal, nil
}

// downloadStatement is what a download URL's signature says.
func downloadStatement(path string) string { return "download " + path }

// downloadQuery is the query parameter that holds a download URL's signature.
const downloadQuery = "signature"

// getAuthorizationToken leaves registryIds aside, as AWS does since it deprecated them.
func (s *Service) getAuthorizationToken(ctx context.Context, _ *api.GetAuthorizationTokenInput) (*api.GetAuthorizationTokenOutput, error) {
	expires := time.Now().Add(tokenLifetime).Truncate(time.Second)
	password := s.password(wire.Caller(ctx), expires)
	return &api.GetAuthorizationTokenOutput{AuthorizationData: []types.AuthorizationData{{
		AuthorizationToken: aws.String(base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + password))),
		ExpiresAt:          aws.Time(expires),
		ProxyEndpoint:      aws.String(s.url()),
	}}}, nil
}

// downloadURL returns a URL of a blob that works for an hour without credentials.
func (s *Service) downloadURL(repository, digest string) string {
	path := "/v2/" + repository + "/blobs/" + digest
	return s.url() + path + "?" + downloadQuery + "=" + s.signer.sign(downloadStatement(path), time.Now().Add(downloadLifetime))
}

// admit returns nil when a request to the registry carries a good token, or asks for
// a blob by a good download URL.
func (s *Service) admit(r *http.Request) error {
	if signature := r.URL.Query().Get(downloadQuery); signature != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return s.signer.check(downloadStatement(r.URL.Path), signature, time.Now())
	}
	_, err := s.login(r)
	return err
}

// login returns the principal that a request to the registry is from.
func (s *Service) login(r *http.Request) (principal string, err error) {
	user, password, _ := r.BasicAuth()
	if user != registryUser {
		return "", errSignature
	}
	return s.checkPassword(password, time.Now())
}

// Principal returns who a request to the registry is from, by the token that it was
// given; "" where it has no good one.
func (s *Service) Principal(r *http.Request) string {
	principal, err := s.login(r)
	if err != nil {
		return ""
	}
	return principal
}
