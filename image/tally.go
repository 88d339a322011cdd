package image

import (
	"sync"
	"sync/atomic"

	"github.com/tasuki-dev/tasuki"
)

// tally counts what a copy does with its blobs, and tells of it.
type tally struct {
	mu       sync.Mutex     // held while progress is told
	progress func(Progress) // nil for nobody

	sent, mounted, present atomic.Int64 // bytes
}

func (t *tally) tell(progress Progress) {
	if t.progress == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress(progress)
}

// there tells that a blob is where it is to go already.
func (t *tally) there(blob tasuki.Descriptor) {
	t.present.Add(blob.Size)
	t.tell(Progress{Digest: blob.Digest, Done: blob.Size, Total: blob.Size, Present: true})
}

// copied returns what the copy took, but for the requests.
func (t *tally) copied(digest tasuki.Digest) Copied {
	return Copied{Digest: digest, Sent: t.sent.Load(), Mounted: t.mounted.Load(), Present: t.present.Load()}
}
