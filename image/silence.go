package image

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/tasuki-dev/tasuki"
)

const (
	// longestSilence is how long a registry may take to begin its answer, once it has the
	// whole request, and to take any more of one. The end of a large layer's upload takes
	// it some seconds; one that has stopped answering must not hold a release for ever.
	longestSilence = 2 * time.Minute
	// longestPause is how long nothing may come of an answer that has begun. A body of
	// which nothing comes is asked for again, at the byte reached, and the way may be
	// another: so this is shorter.
	longestPause = time.Minute
)

// deadline ends a request unless it is put off again and again.
type deadline struct {
	timer  *time.Timer
	passed atomic.Bool
}

// newDeadline returns a deadline that does not run yet.
func newDeadline(cancel context.CancelFunc) *deadline {
	d := &deadline{}
	d.timer = time.AfterFunc(longestSilence, func() {
		d.passed.Store(true)
		cancel()
	})
	d.timer.Stop()
	return d
}

// explain returns err, or where it is what the deadline did to a request, what the
// registry did wrong.
func (d *deadline) explain(err error, what string, limit time.Duration) error {
	if err == nil || err == io.EOF || !d.passed.Load() {
		return err
	}
	return &brokenOff{failed(tasuki.ErrUnavailable, "nothing has %s for %s", what, limit)}
}

// answer is the body of an answer, which ends when nothing comes of it for longestPause.
type answer struct {
	io.ReadCloser
	cancel   context.CancelFunc // of the request
	deadline *deadline
}

func newAnswer(from io.ReadCloser, cancel context.CancelFunc) *answer {
	return &answer{from, cancel, newDeadline(cancel)}
}

func (a *answer) Read(p []byte) (int, error) {
	a.deadline.timer.Reset(longestPause) // while somebody waits, and not while he is busy
	n, err := a.ReadCloser.Read(p)
	a.deadline.timer.Stop()
	return n, a.deadline.explain(err, "come", longestPause)
}

func (a *answer) Close() error {
	a.cancel()
	return a.ReadCloser.Close()
}
