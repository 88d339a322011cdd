package sandbox

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// output takes what a function writes out of a pipe, to a writer.
type output struct {
	read *os.File
	raw  syscall.RawConn
	done chan struct{} // closed at the end of the pipe

	mu  sync.Mutex
	to  io.Writer
	buf [32 << 10]byte
}

// newOutput returns an output and the end of the pipe that the function gets.
func newOutput(to io.Writer) (*output, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	// Only our end: the function's has to block, as a program expects of its output.
	err := unix.SetNonblock(fds[0], true)
	o := &output{read: os.NewFile(uintptr(fds[0]), "output"), to: to, done: make(chan struct{})}
	write := os.NewFile(uintptr(fds[1]), "output")
	if err == nil {
		o.raw, err = o.read.SyscallConn()
	}
	if err != nil {
		return nil, nil, errors.Join(err, o.read.Close(), write.Close())
	}
	go func() {
		defer close(o.done)
		// The error is that of a file that was closed.
		_ = o.raw.Read(o.pump)
	}()
	return o, write, nil
}

// pump writes out what is in the pipe, and reports whether the pipe has ended.
func (o *output) pump(fd uintptr) (ended bool) {
	for {
		switch n, err := o.pass(fd, len(o.buf)); {
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil || n == 0:
			return true
		}
	}
}

// pass writes out what one read gives, most bytes at the most. Between two of them
// somebody else has a turn.
func (o *output) pass(fd uintptr, most int) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if n, err = unix.Read(int(fd), o.buf[:min(most, len(o.buf))]); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if n > 0 {
		_, _ = o.to.Write(o.buf[:n]) // a log that cannot be written must not stop the function
	}
	return n, err
}

// flush returns when everything that was written before has reached the writer. What is
// written meanwhile may stay in the pipe: there are functions that never stop.
func (o *output) flush() {
	// The error is that of a closed pipe, which was pumped dry.
	_ = o.raw.Control(func(fd uintptr) {
		left := o.waiting(fd)
		for left > 0 {
			n, err := o.pass(fd, left)
			if err != nil || n == 0 {
				return // the pump was faster
			}
			left -= n
		}
	})
}

// waiting returns how many bytes are in the pipe, when what was read of it before has
// reached the writer.
func (o *output) waiting(fd uintptr) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ) // FIONREAD by its other name
	if err != nil {
		return 0 // it is a pipe: it can tell
	}
	return n
}

// close writes out the rest; nobody can write any more.
func (o *output) close() {
	<-o.done
	_ = o.read.Close() // only reading
}
