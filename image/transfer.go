package image

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/tasuki-dev/tasuki"
)

// transfer is the copying of a source's blobs into files.
type transfer struct {
	source *Source
	tally
}

func newTransfer(source *Source, o PushOptions) *transfer {
	return &transfer{source: source, tally: tally{progress: o.Progress}}
}

// write writes a blob of the source to w, and fails where it is not what it should be.
func (t *transfer) write(ctx context.Context, w io.Writer, blob tasuki.Descriptor, streams int) error {
	var from io.ReadCloser
	err := retry(ctx, func() (err error) {
		from, err = t.source.blobFrom(ctx, blob, 0, streams)
		return err
	})
	if err != nil {
		return &sourceFault{err}
	}
	checked := verified(from, blob)
	defer checked.Close()
	var done int64
	t.tell(Progress{Digest: blob.Digest, Total: blob.Size})
	_, err = io.CopyBuffer(writerOnly{w}, faulty{interruptible{ctx, checked}, func(n int) {
		t.sent.Add(int64(n))
		if done += int64(n); done < blob.Size { // the last byte counts when the blob is in its place
			t.tell(Progress{Digest: blob.Digest, Done: done, Total: blob.Size})
		}
	}}, make([]byte, min(gulp, blob.Size+1)))
	return err
}

// written tells that a blob has been put into its place.
func (t *transfer) written(blob tasuki.Descriptor) {
	t.tell(Progress{Digest: blob.Digest, Done: blob.Size, Total: blob.Size})
}

// writerOnly hides what else a writer can do, such as to read with a smaller buffer.
type writerOnly struct{ io.Writer }

// faulty reads from a source, and marks its errors as the source's.
type faulty struct {
	from  io.Reader
	count func(n int)
}

func (f faulty) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	f.count(n)
	if err != nil && err != io.EOF {
		err = &sourceFault{err}
	}
	return n, err
}

// explainFile says what to do about an error of a file that is written.
func explainFile(name string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return failed(tasuki.ErrUnavailable, "there is no room for the image at %s: make some, or copy to another place", name)
	}
	return err
}
