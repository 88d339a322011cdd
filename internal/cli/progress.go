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
	// quiet is how long a blob that is under way says nothing, where there are no bars.
	quiet = 5 * time.Second
)

// verb is what is done with blobs.
type verb struct{ ing, ed string }

var (
	pushes = verb{"pushing", "pushed"}
	writes = verb{"writing", "wrote"}
	reads  = verb{"reading", "read"}
)

// progress returns what tells a person how far the blobs of an image are: a bar for
// each on a terminal; elsewhere a line when one is done, and one now and then while it
// is under way. It serves several images at once.
func (p *printer) progress(v verb) func(image.Progress) {
	var mu sync.Mutex
	last := map[tasuki.Digest]time.Time{} // when a blob last had a line; the beginning counts
	return func(b image.Progress) {
		if b.Total < worthALine {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case b.Present:
			p.say("layer %s is there already", b.Digest.Short())
		case b.Mounted:
			p.say("layer %s is in another repository of the registry, and is used from there", b.Digest.Short())
		case b.Done == b.Total:
			p.bars.remove(b.Digest)
			p.say("%s layer %s, %s", v.ed, b.Digest.Short(), megabytes(b.Total))
		case p.bars != nil:
			p.bars.set(b)
		case last[b.Digest].IsZero():
			last[b.Digest] = time.Now()
		case time.Since(last[b.Digest]) >= quiet:
			last[b.Digest] = time.Now()
			p.say("%s layer %s: %s of %s", v.ing, b.Digest.Short(), megabytes(b.Done), megabytes(b.Total))
		}
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
