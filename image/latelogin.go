package image

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// longestLogin is how long a late login may take. It is beside the point of the request
// that waits for it, and credentials that are nowhere are looked for in slow places.
const longestLogin = 10 * time.Second

// lateLogin logs in to a registry that serves everybody, up to a limit, once it refuses
// or throttles a caller without credentials. Where that does not help, all is as if it
// had not been tried (docs/adr/0022-ecr-publics-login-comes-late.md).
type lateLogin struct {
	host string
	ask  func(ctx context.Context) (username, password string, err error)

	mu    sync.Mutex // held while it is asked
	asked bool
	in    atomic.Pointer[auth.Client] // that has logged in; nil for none
}

// do sends a request: as nobody, until that has been refused.
func (l *lateLogin) do(nobody *auth.Client, request *http.Request) (*http.Response, error) {
	if in := l.in.Load(); in != nil {
		return in.Do(request)
	}
	response, err := nobody.Do(request)
	if request.Body != nil && request.Body != http.NoBody || !turnedAway(response, err) {
		return response, err
	}
	in := l.login(request.Context(), nobody)
	if in == nil {
		return response, err
	}
	again, errAgain := in.Do(request.Clone(request.Context()))
	if errAgain != nil {
		l.in.Store(nil)
		return response, err
	}
	if turnedAway(again, nil) {
		l.in.Store(nil)
		again.Body.Close()
		return response, err
	}
	if err == nil {
		response.Body.Close()
	}
	return again, nil
}

// turnedAway reports whether a registry, or its token service, refuses or throttles.
func turnedAway(response *http.Response, err error) bool {
	status := 0
	var token *errcode.ErrorResponse
	switch {
	case errors.As(err, &token):
		status = token.StatusCode
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		status = http.StatusUnauthorized
	case err == nil:
		status = response.StatusCode
	}
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests
}

// login returns a client that has logged in, or nil where that was tried before, docker
// login has been used for the registry, or nobody gives credentials.
func (l *lateLogin) login(ctx context.Context, nobody *auth.Client) *auth.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked {
		return l.in.Load()
	}
	if stored, err := nobody.Credential(ctx, l.host); err != nil || stored != auth.EmptyCredential {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, longestLogin)
	defer cancel()
	username, password, err := l.ask(bounded)
	l.asked = ctx.Err() == nil
	if err != nil {
		return nil
	}
	in := *nobody
	in.Credential = auth.StaticCredential(l.host, auth.Credential{Username: username, Password: password})
	in.Cache = auth.NewCache() // the other one has nobody's tokens
	l.in.Store(&in)
	return &in
}
