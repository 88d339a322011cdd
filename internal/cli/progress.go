package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
)

const (
	// worthALine is the size in bytes from which a blob's arrival is news.
	worthALine = 1 << 20
	// quiet is how long a blob that is under way says nothing.
	quiet = 5 * time.Second
)

// progress returns what tells a person how far the blobs of an image are: a line
// when one is done, and one now and then while it is under way. It serves several
// pushes at once.
func (p *printer) progress() func(image.Progress) {
	var mu sync.Mutex
	last := map[tasuki.Digest]time.Time{}
	return func(b image.Progress) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case b.Total < worthALine:
		case b.Present:
			p.say("layer %s is there already", b.Digest.Short())
		case b.Done == b.Total:
			p.say("pushed layer %s, %s", b.Digest.Short(), megabytes(b.Total))
		case last[b.Digest].IsZero():
			last[b.Digest] = time.Now()
		case time.Since(last[b.Digest]) >= quiet:
			last[b.Digest] = time.Now()
			p.say("pushing layer %s: %s of %s", b.Digest.Short(), megabytes(b.Done), megabytes(b.Total))
		}
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
