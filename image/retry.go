package image

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	mostAttempts = 5
	firstWait    = 250 * time.Millisecond
	longestWait  = 8 * time.Second
	// longestRetryAfter is how long a registry may ask us to wait. A person would
	// rather read that it is busy than wait longer for each blob.
	longestRetryAfter = time.Minute
)

// retry calls do until it succeeds, fails for good, or has failed mostAttempts
// times. Between attempts it waits: twice as long each time, or as long as the
// registry asks. It returns at once when ctx ends.
func retry(ctx context.Context, do func() error) error {
	for attempt := range mostAttempts {
		err := do()
		if err != nil && ctx.Err() != nil {
			return ctx.Err() // not what the cancellation did to the request
		}
		if err == nil || !transient(err) || attempt == mostAttempts-1 {
			return err
		}
		wait, patient := pause(attempt, err)
		if !patient {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	panic("unreachable: the last attempt returns")
}

// pause returns how long to wait after a failed attempt, and false where the
// registry asks for more patience than we have.
func pause(attempt int, err error) (time.Duration, bool) {
	var answer *responseError
	if errors.As(err, &answer) && answer.retryAfter > 0 {
		return answer.retryAfter, answer.retryAfter <= longestRetryAfter
	}
	wait := min(firstWait<<attempt, longestWait)
	return wait/2 + rand.N(wait/2), true
}

// transient reports whether the same request may succeed a little later.
func transient(err error) bool {
	var answer *responseError
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var network net.Error
	var request *url.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &answer):
		// A lost upload session is begun anew with the blob.
		return answer.code == errcode.ErrorCodeBlobUploadUnknown || answer.status == http.StatusRequestTimeout || answer.status == http.StatusTooManyRequests ||
			answer.status >= http.StatusInternalServerError && answer.status != http.StatusNotImplemented
	case errors.As(err, &certificate), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, &name) && name.IsNotFound:
		return false
	case errors.Is(err, errBroken):
		return false
	}
	return errors.As(err, &network) || errors.As(err, &request) || errors.Is(err, io.ErrUnexpectedEOF)
}
