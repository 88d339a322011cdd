//go:build linux

package main

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
)

// runtimeAPI is Lambda's Runtime API, version 2018-06-01, over one connection that
// is kept for as long as the server keeps it.
type runtimeAPI struct {
	host    string // as it was given: the Host header
	address syscall.SockaddrInet4
	fd      int // -1 for no connection
	in      reader
}

const pathInvocation = "/2018-06-01/runtime/invocation/"

func newRuntimeAPI(host string, address syscall.SockaddrInet4) *runtimeAPI {
	a := &runtimeAPI{host: host, address: address, fd: -1}
	a.in.source = func(p []byte) (int, error) { return readSome(a.fd, p) }
	return a
}

// next waits for an invocation and returns its request id. The event is thrown away.
func (a *runtimeAPI) next() (id string, err error) {
	request := []byte("GET " + pathInvocation + "next HTTP/1.1\r\nHost: " + a.host + "\r\nUser-Agent: tasuki-placeholder\r\n\r\n")
	r, err := a.insist(request, func(r response) bool { return r.status == 200 && r.requestID != "" })
	return r.requestID, err
}

// fail ends an invocation with the error in body.
func (a *runtimeAPI) fail(id string, body []byte) error {
	request := []byte("POST " + pathInvocation + id + "/error HTTP/1.1\r\nHost: " + a.host +
		"\r\nUser-Agent: tasuki-placeholder\r\nContent-Type: application/vnd.aws.lambda.error+json\r\nLambda-Runtime-Function-Error-Type: " + errorType +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
	r, err := a.insist(append(request, body...), func(r response) bool { return r.status >= 200 && r.status < 500 })
	if err != nil || r.status < 300 {
		return err
	}
	// The invocation is over already: it timed out, or an answer to this call was
	// lost and the call repeated. The pause is for a server that is merely confused.
	say("request " + id + ": the Runtime API refused the error with status " + strconv.Itoa(r.status))
	pause(0)
	return nil
}

// patience is how many attempts are repeated in a row, which takes about 7 s: less
// than the 10 s that Lambda gives to initialise. To end then makes Lambda start
// afresh, and is never taken for a success.
const patience = 8

// insist sends the request until the answer is accepted, on a new connection and
// after a longer pause each time.
func (a *runtimeAPI) insist(request []byte, accept func(response) bool) (response, error) {
	for attempt := 0; ; attempt++ {
		r, err := a.exchange(request)
		if err == nil && accept(r) {
			return r, nil
		}
		if err == nil {
			err = errors.New("it answered with status " + strconv.Itoa(r.status))
		}
		a.disconnect()
		if attempt == patience {
			return response{}, errors.New("the Runtime API at " + a.host + " does not answer as it should: " + err.Error())
		}
		pause(attempt)
	}
}

// exchange sends the request once and reads the answer to it.
func (a *runtimeAPI) exchange(request []byte) (response, error) {
	if err := a.connect(); err != nil {
		return response{}, err
	}
	if err := writeAll(a.fd, request); err != nil {
		return response{}, err
	}
	r, err := a.in.response()
	if err == nil && r.last {
		a.disconnect()
	}
	return r, err
}

func (a *runtimeAPI) connect() error {
	if a.fd >= 0 {
		return nil
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &a.address); err != nil {
		_ = syscall.Close(fd)
		return err
	}
	a.fd = fd
	a.in.reset()
	return nil
}

func (a *runtimeAPI) disconnect() {
	if a.fd >= 0 {
		_ = syscall.Close(a.fd)
		a.fd = -1
	}
}

// pause waits 50 ms after the first failed attempt, twice as long after each
// further one, and 2 s at most.
func pause(attempt int) {
	const millisecond int64 = 1_000_000 // in ns
	wait := syscall.NsecToTimespec(min(50*millisecond<<attempt, 2000*millisecond))
	for syscall.Nanosleep(&wait, &wait) == syscall.EINTR {
	}
}

// readSome reads at least one byte; the end of the stream is an error, because
// every use of it is in the middle of an answer.
func readSome(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, p)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errors.New("it closed the connection")
		}
		return n, nil
	}
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := syscall.Write(fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// parseAddress reads "HOST:PORT". The host is a numeric IPv4 address, which is what
// Lambda gives, or localhost: a resolver would cost more than the rest of the program.
func parseAddress(s string) (syscall.SockaddrInet4, error) {
	refuse := errors.New(variableAPI + " is not an IPv4 address and a port, as in 127.0.0.1:9001: " + s)
	host, port, found := strings.Cut(s, ":")
	number, err := strconv.ParseUint(port, 10, 16)
	if !found || err != nil || number == 0 {
		return syscall.SockaddrInet4{}, refuse
	}
	address := syscall.SockaddrInet4{Port: int(number)}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	for i := range address.Addr {
		part, rest, more := strings.Cut(host, ".")
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || more != (i < len(address.Addr)-1) {
			return syscall.SockaddrInet4{}, refuse
		}
		address.Addr[i], host = byte(n), rest
	}
	return address, nil
}
