//go:build linux

package main

import (
	"errors"
	"strconv"
	"strings"
)

// response is what the runtime needs to know of an HTTP answer.
type response struct {
	status    int
	requestID string // of the invocation; "" where the answer has none that can be used
	last      bool   // the connection cannot be used again
}

// longestLine bounds a line of an answer's head; Lambda's longest header, the
// client context, has about 5 KB.
const longestLine = 64 << 10

// mostHeaders bounds the lines of an answer's head.
const mostHeaders = 200

// reader reads HTTP/1.1 answers from source.
type reader struct {
	source     func([]byte) (int, error) // at least one byte, or an error
	buffer     [longestLine]byte
	start, end int // what has been received and not been used
}

// reset forgets what an earlier connection had sent.
func (r *reader) reset() { r.start, r.end = 0, 0 }

// response reads an answer and throws its body away. A body that breaks off is no
// error, because the head says all that is needed; the connection is then of no
// further use.
func (r *reader) response() (response, error) {
	for {
		answer, body, err := r.head()
		if err != nil {
			return response{}, err
		}
		if answer.status < 200 { // an interim answer: the one that counts follows
			continue
		}
		if err := r.discardBody(body); err != nil {
			answer.last = true
		}
		return answer, nil
	}
}

// The lengths of a body that are not a number of bytes.
const (
	untilClosed = -1
	chunked     = -2
)

// head reads the status line and the headers; length is that of the body.
func (r *reader) head() (answer response, length int64, err error) {
	malformed := errors.New("its answer is not HTTP/1.1")
	line, err := r.line()
	if err != nil {
		return response{}, 0, err
	}
	version, rest, _ := strings.Cut(line, " ")
	status, _, _ := strings.Cut(rest, " ")
	code, err := strconv.ParseUint(status, 10, 16)
	if err != nil || len(status) != 3 || len(version) != len("HTTP/1.1") || version[:len("HTTP/1.")] != "HTTP/1." {
		return response{}, 0, malformed
	}
	answer = response{status: int(code), last: version != "HTTP/1.1"}
	length = untilClosed
	if code < 200 || code == 204 || code == 304 {
		length = 0
	}
	for range mostHeaders {
		line, err := r.line()
		if err != nil {
			return response{}, 0, err
		}
		if line == "" {
			return answer, length, nil
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return response{}, 0, malformed
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "lambda-runtime-aws-request-id") && isRequestID(value):
			answer.requestID = value
		case strings.EqualFold(name, "connection") && strings.EqualFold(value, "close"):
			answer.last = true
		case strings.EqualFold(name, "transfer-encoding") && strings.EqualFold(value, "chunked"):
			length = chunked
		case strings.EqualFold(name, "content-length") && length == untilClosed:
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return response{}, 0, malformed
			}
			length = int64(n)
		}
	}
	return response{}, 0, malformed
}

// discardBody reads to the end of the answer. An error means that the end was not
// found, or that it is the connection's end too.
func (r *reader) discardBody(length int64) error {
	switch length {
	case untilClosed:
		for {
			if err := r.fill(); err != nil {
				return err
			}
			r.start = r.end
		}
	case chunked:
		return r.discardChunks()
	}
	return r.discard(length)
}

func (r *reader) discardChunks() error {
	for {
		line, err := r.line()
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";") // an extension may follow
		size, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 63)
		if err != nil {
			return err
		}
		if size == 0 {
			return r.discardTrailer()
		}
		if err := r.discard(int64(size)); err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return err
		}
		if line != "" {
			return errors.New("a chunk of its answer is longer than it says")
		}
	}
}

func (r *reader) discardTrailer() error {
	for range mostHeaders {
		line, err := r.line()
		if err != nil || line == "" {
			return err
		}
	}
	return errors.New("the trailer of its answer does not end")
}

// discard throws n bytes away.
func (r *reader) discard(n int64) error {
	for {
		used := min(n, int64(r.end-r.start))
		r.start += int(used)
		if n -= used; n == 0 {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// line returns the next line without its end.
func (r *reader) line() (string, error) {
	for seen := r.start; ; {
		for ; seen < r.end; seen++ {
			if r.buffer[seen] != '\n' {
				continue
			}
			line := r.buffer[r.start:seen]
			r.start = seen + 1
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return string(line), nil
		}
		seen -= r.start // fill moves what is there to the front
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}

// fill receives more, behind what has not been used yet.
func (r *reader) fill() error {
	copy(r.buffer[:], r.buffer[r.start:r.end])
	r.start, r.end = 0, r.end-r.start
	if r.end == len(r.buffer) {
		return errors.New("a line of its answer is too long")
	}
	n, err := r.source(r.buffer[r.end:])
	r.end += n
	return err
}

// isRequestID reports whether s can stand in a path and in a line of the log.
func isRequestID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128
}
