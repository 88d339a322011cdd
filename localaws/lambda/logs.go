package lambda

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// logTail is how much of an invocation's log Invoke answers with, in bytes.
const logTail = 4 << 10

// longestLine is how much of a line is kept in memory, in bytes: what is longer is
// written as several lines.
const longestLine = 256 << 10

// logs keeps a file for each function's log, and copies every line to one writer.
type logs struct {
	dir string

	mu   sync.Mutex
	copy io.Writer
}

func newLogs(dir string, to io.Writer) (*logs, error) {
	return &logs{dir: dir, copy: to}, os.MkdirAll(dir, 0o700)
}

// write adds whole lines to a function's log. A log that cannot be written is no
// reason to stop a function.
func (l *logs) write(name string, lines []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, err := os.OpenFile(filepath.Join(l.dir, name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
		_, _ = f.Write(lines)
		_ = f.Close()
	}
	for line := range bytes.Lines(lines) {
		_, _ = fmt.Fprintf(l.copy, "[%s] %s", name, line)
	}
}

// stream is the log of one environment: what its function writes, in whole lines,
// and what Lambda writes of its invocations.
type stream struct {
	logs *logs
	name string

	mu      sync.Mutex
	partial []byte // a line that has not ended
	tail    []byte // the last of the current invocation
}

// Write implements io.Writer for the function's output.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, p...)
	if end := bytes.LastIndexByte(s.partial, '\n'); end >= 0 {
		s.emit(s.partial[:end+1])
		s.partial = append(s.partial[:0], s.partial[end+1:]...)
	}
	for len(s.partial) > longestLine {
		s.emit(append(bytes.Clone(s.partial[:longestLine]), '\n'))
		s.partial = append(s.partial[:0], s.partial[longestLine:]...)
	}
	return len(p), nil
}

// linef writes a line of Lambda's own.
func (s *stream) linef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partial) > 0 {
		s.emit(append(s.partial, '\n'))
		s.partial = s.partial[:0]
	}
	s.emit(fmt.Appendf(nil, format+"\n", args...))
}

func (s *stream) emit(lines []byte) {
	s.logs.write(s.name, lines)
	s.tail = append(s.tail, lines...)
	s.tail = s.tail[max(0, len(s.tail)-logTail):]
}

// takeTail returns the last of the log since it was taken before.
func (s *stream) takeTail() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	tail := bytes.Clone(s.tail)
	s.tail = s.tail[:0]
	return tail
}
