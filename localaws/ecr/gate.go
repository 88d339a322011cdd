package ecr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

// gate is what ECR's registry does before, or instead of, what the distribution
// specification says: ociserver does the rest.
type gate struct {
	service *Service
	backend *backend
	next    http.Handler
}

func newGate(s *Service) *gate {
	b := &backend{service: s}
	return &gate{service: s, backend: b, next: ociserver.New(b, &ociserver.Options{MaxListPageSize: longestPage})}
}

// The paths on which the gate does something.
var (
	manifestPath = regexp.MustCompile(`^/v2/.+/manifests/[^/]+$`)
	uploadPath   = regexp.MustCompile(`^/v2/.+/blobs/uploads/[^/]+$`)
)

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := g.service.admit(r); err != nil {
		g.challenge(w, err)
		return
	}
	var err error
	switch {
	case r.Method == http.MethodDelete:
		// As in ECR, images are deleted through the API only.
		answerError(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.")
		return
	case r.Method == http.MethodPut && manifestPath.MatchString(r.URL.Path):
		err = checkManifestBody(w, r)
	case r.Method == http.MethodPost && r.URL.Query().Has("mount"):
		err = g.decideMount(r)
	case uploadPath.MatchString(r.URL.Path) && r.Header.Get("Content-Range") != "":
		r = r.WithContext(context.WithValue(r.Context(), rangedKey{}, true))
	}
	if err != nil {
		_ = ociregistry.WriteError(w, err) // a client that hung up needs no answer
		return
	}
	g.next.ServeHTTP(w, r)
}

// challenge answers a request without good credentials, GET /v2/ included: that is
// how docker login checks them.
func (g *gate) challenge(w http.ResponseWriter, err error) {
	w.Header().Set("Www-Authenticate", fmt.Sprintf(`Basic realm="%s/",service="ecr.amazonaws.com"`, g.service.url()))
	message := "Not Authorized"
	if errors.Is(err, errExpired) {
		message = "Your authorization token has expired. Reauthenticate and try again."
	}
	answerError(w, http.StatusUnauthorized, "UNAUTHORIZED", message)
}

// answerError answers with a status that ociregistry would not choose for the code.
func answerError(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(ociregistry.WireErrors{Errors: []ociregistry.WireError{{Code_: code, Message: message}}})
	if err != nil {
		panic(err) // strings only
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up needs no answer
}

// checkManifestBody reads a manifest and refuses what ociserver would answer with an
// internal error: one that is too long, or is not JSON.
func checkManifestBody(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestManifest))
	if err != nil {
		return manifestInvalid("the manifest could not be read: " + err.Error())
	}
	if !json.Valid(body) {
		return manifestInvalid("the manifest is not JSON")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func manifestInvalid(message string) error {
	return ociregistry.NewError(message, ociregistry.ErrManifestInvalid.Code(), nil)
}

// decideMount turns the request to mount a blob that cannot be mounted into one for
// an upload session, which answers 202 instead of 201.
func (g *gate) decideMount(r *http.Request) error {
	query := r.URL.Query()
	mountable, err := g.backend.mountable(query.Get("from"), query.Get("mount"))
	if err != nil || mountable {
		return err
	}
	query.Del("mount")
	query.Del("from")
	r.URL.RawQuery = query.Encode()
	return nil
}

// rangedKey marks the context of a request that says where in the upload its bytes
// belong. ociserver gives the backend the offset 0 both for "at the beginning" and
// for "not said".
type rangedKey struct{}

func isRanged(ctx context.Context) bool { return ctx.Value(rangedKey{}) != nil }
