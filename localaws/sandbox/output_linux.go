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
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		switch n, err := unix.Read(int(fd), o.buf[:]); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil || n == 0:
			return true
		default:
			_, _ = o.to.Write(o.buf[:n]) // a log that cannot be written must not stop the function
		}
	}
}

// flush returns when everything that was written before has reached the writer.
func (o *output) flush() {
	_ = o.raw.Control(func(fd uintptr) { o.pump(fd) }) // a closed pipe was pumped dry
}

// close writes out the rest; nobody can write any more.
func (o *output) close() {
	<-o.done
	_ = o.read.Close() // only reading
}
