package sandbox

import (
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// echo is a function that never stops writing: whatever it has written, it writes again.
type echo struct {
	pipe    atomic.Pointer[os.File]
	stopped atomic.Bool
	written atomic.Int64 // bytes
}

func (e *echo) Write(b []byte) (int, error) {
	e.written.Add(int64(len(b)))
	if e.stopped.Load() {
		return len(b), nil
	}
	return e.pipe.Load().Write(b)
}

// A process that writes on and on, in the background of a function, does not keep an
// invocation from its end.
func TestFlushEndsWhileTheFunctionWrites(t *testing.T) {
	var function echo
	out, pipe, err := newOutput(&function)
	if err != nil {
		t.Fatal(err)
	}
	function.pipe.Store(pipe)
	const text = "and so on\n"
	if _, err := pipe.WriteString(text); err != nil {
		t.Fatal(err)
	}
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		out.flush()
	}()
	select {
	case <-flushed:
	case <-time.After(time.Minute):
		t.Error("flush goes on as long as the function writes")
	}
	if function.written.Load() == 0 {
		t.Error("what had been written was not flushed")
	}
	function.stopped.Store(true)
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	out.close()
	if n := function.written.Load(); n%int64(len(text)) != 0 {
		t.Errorf("%d bytes were written out: some are lost", n)
	}
}
