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

// attempts counts the failures of something that is tried again.
type attempts struct{ failed int }

// again waits before the next attempt after one that ended in err: twice as long each
// time, or as long as the registry asks. It returns the error to end with where there
// is to be no next attempt, and at once when ctx ends.
func (a *attempts) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // not what the cancellation did to the request
	}
	if !transient(err) || a.failed == mostAttempts-1 {
		return err
	}
	wait, patient := pause(a.failed, err)
	if !patient {
		return err
	}
	a.failed++
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// advanced forgets the failures: what was tried has got further since.
func (a *attempts) advanced() { a.failed = 0 }

// retry calls do until it succeeds, fails for good, or has failed mostAttempts times.
func retry(ctx context.Context, do func() error) error {
	var a attempts
	for {
		err := do()
		if err == nil {
			return nil
		}
		if err := a.again(ctx, err); err != nil {
			return err
		}
	}
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
	var source *sourceFault
	var lost *lostSession
	var broken *brokenOff
	var own *failure
	switch {
	case errors.As(err, &source):
		return false // the source has been tried again already
	case errors.As(err, &lost):
		return true // another session may do
	case errors.As(err, &broken):
		return true
	case errors.Is(err, context.Canceled), errors.As(err, &own):
		return false // the end of our own doing, or our own judgement
	case unconnected(err):
		return true
	case errors.Is(err, context.DeadlineExceeded):
		return false // a registry that said nothing for longestSilence had its time
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

// unconnected reports whether a connection could not be made in time. The operating
// system's limit is no end of a context's, and yet errors.Is takes it for one.
func unconnected(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout()
}
