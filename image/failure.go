package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// failure is what went wrong, in one sentence fit to be shown, and of which kind
// it is. It answers errors.Is for its cause and hides the cause's text, where the
// HTTP client puts whole URLs, and so pre-signed ones.
type failure struct {
	kind  error
	text  string
	hint  string
	cause error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Is(target error) bool {
	return target == f.kind || f.cause != nil && errors.Is(f.cause, target)
}

func failed(kind error, format string, args ...any) *failure {
	return &failure{kind: kind, text: fmt.Sprintf(format, args...)}
}

// classify says what kind of failure err is.
func classify(err error) *failure {
	var own *failure
	if errors.As(err, &own) {
		return own
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{kind: tasuki.ErrUnavailable, text: "it was cancelled", cause: err}
	case errors.Is(err, context.DeadlineExceeded) && !unconnected(err):
		return &failure{kind: tasuki.ErrUnavailable, text: "it took too long", cause: err}
	}
	var answer *responseError
	if errors.As(err, &answer) {
		return answer.failure()
	}
	var quoted *errcode.ErrorResponse
	if errors.As(err, &quoted) {
		return answerOf(quoted).failure()
	}
	kind := tasuki.ErrUnavailable
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return &failure{kind: tasuki.ErrDenied, text: "the registry wants credentials, and there are none for it", cause: err}
	case errors.Is(err, errdef.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		kind = tasuki.ErrMissing
	case errors.Is(err, fs.ErrPermission):
		kind = tasuki.ErrDenied
	case errors.Is(err, errdef.ErrInvalidReference):
		kind = tasuki.ErrInvalid
	case errors.Is(err, tasuki.ErrInvalid):
		kind = tasuki.ErrInvalid
	}
	var request *url.Error
	if errors.As(err, &request) {
		return &failure{kind: kind, text: told(request.Err.Error()), cause: err}
	}
	return &failure{kind: kind, text: told(err.Error()), cause: err}
}

// sourceError returns err as an error about the source that name names.
func sourceError(op, name string, err error) error {
	return newError(op, tasuki.SideSource, name, err)
}

func newError(op string, side tasuki.Side, subject string, err error) error {
	f := classify(err)
	return &tasuki.Error{Op: op, Side: side, Subject: subject, Kind: f.kind, Err: f, Hint: f.hint}
}

// kindOf returns the kind of failure that a registry's answer is. Error codes are
// those of the OCI distribution specification 1.1 and ECR's.
func kindOf(status int, code, message string) error {
	switch {
	// ECR: "The image tag 'v1' already exists in the 'orders' repository and
	// cannot be overwritten because the repository is immutable." (TAG_INVALID)
	case status < http.StatusInternalServerError && strings.Contains(message, "immutable"):
		return tasuki.ErrConflict
	case status == http.StatusTooManyRequests, code == "TOOMANYREQUESTS":
		return tasuki.ErrThrottled
	case status == http.StatusUnauthorized, status == http.StatusForbidden, code == errcode.ErrorCodeUnauthorized, code == errcode.ErrorCodeDenied:
		return tasuki.ErrDenied
	case status == http.StatusNotFound:
		return tasuki.ErrMissing
	case status == http.StatusConflict:
		return tasuki.ErrConflict
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError && status != http.StatusRequestTimeout:
		return tasuki.ErrInvalid
	}
	return tasuki.ErrUnavailable
}
