//go:build linux

package main

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// sourceOf gives what r holds to a reader, and reports what is left of it as the
// connection would: nothing more is an error.
func sourceOf(r io.Reader) func([]byte) (int, error) {
	return func(p []byte) (int, error) {
		n, err := r.Read(p)
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
}

func TestResponse(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, answer string
		want         response
		fails        bool
	}{
		{name: "content length", answer: ok + "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4\r\nContent-Length: 2\r\n\r\n{}", want: response{200, "8476a536-e9f4", false}},
		{name: "other case and white space", answer: ok + "LAMBDA-runtime-aws-REQUEST-id: \t id-1 \r\ncontent-LENGTH:2 \r\n\r\n{}", want: response{200, "id-1", false}},
		{name: "bare line feeds", answer: "HTTP/1.1 202 Accepted\nContent-Length: 0\n\n", want: response{202, "", false}},
		{name: "no reason", answer: "HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n", want: response{202, "", false}},
		{name: "chunked", answer: ok + "Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n", want: response{200, "", false}},
		{name: "chunked overrides a length", answer: ok + "Transfer-Encoding: chunked\r\nContent-Length: 999\r\n\r\n1\r\na\r\n0\r\n\r\n", want: response{200, "", false}},
		{name: "an interim answer first", answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", want: response{200, "", false}},
		{name: "no content", answer: "HTTP/1.1 204 No Content\r\n\r\n", want: response{204, "", false}},
		{name: "the server closes", answer: ok + "Connection: Close\r\nContent-Length: 0\r\n\r\n", want: response{200, "", true}},
		{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", want: response{200, "", true}},
		{name: "until closed", answer: ok + "\r\nwhatever follows", want: response{200, "", true}},
		{name: "body breaks off", answer: ok + "Lambda-Runtime-Aws-Request-Id: id-2\r\nContent-Length: 10\r\n\r\nabc", want: response{200, "id-2", true}},
		{name: "chunk breaks off", answer: ok + "Transfer-Encoding: chunked\r\n\r\nff\r\nabc", want: response{200, "", true}},
		{name: "chunk without a size", answer: ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", want: response{200, "", true}},
		{name: "chunk longer than it says", answer: ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", want: response{200, "", true}},
		{name: "request id that is none", answer: ok + "Lambda-Runtime-Aws-Request-Id: ../../etc x\r\nContent-Length: 0\r\n\r\n", want: response{200, "", false}},
		{name: "long header", answer: ok + "Lambda-Runtime-Client-Context: " + strings.Repeat("x", 8<<10) + "\r\nContent-Length: 0\r\n\r\n", want: response{200, "", false}},

		{name: "nothing", answer: "", fails: true},
		{name: "head breaks off", answer: ok + "Content-Le", fails: true},
		{name: "no HTTP", answer: "SSH-2.0-OpenSSH_9.6\r\n\r\n", fails: true},
		{name: "HTTP/2", answer: "HTTP/2.0 200 OK\r\n\r\n", fails: true},
		{name: "status too long", answer: "HTTP/1.1 2000 OK\r\n\r\n", fails: true},
		{name: "header without a colon", answer: ok + "Content-Length\r\n\r\n", fails: true},
		{name: "negative length", answer: ok + "Content-Length: -5\r\n\r\n", fails: true},
		{name: "endless line", answer: ok + "X: " + strings.Repeat("x", longestLine), fails: true},
		{name: "endless headers", answer: ok + strings.Repeat("X: y\r\n", mostHeaders+1) + "\r\n", fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for how, stream := range map[string]io.Reader{
				"at once":      strings.NewReader(test.answer),
				"byte by byte": iotest.OneByteReader(strings.NewReader(test.answer)),
			} {
				r := &reader{source: sourceOf(stream)}
				got, err := r.response()
				if (err != nil) != test.fails {
					t.Errorf("%s: error %v, want one: %t", how, err, test.fails)
				}
				if got != test.want {
					t.Errorf("%s: got %+v, want %+v", how, got, test.want)
				}
			}
		})
	}
}

// TestResponsesInARow holds that an answer is read to its end and no further.
func TestResponsesInARow(t *testing.T) {
	answers := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" +
		"HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n" +
		"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
	r := &reader{source: sourceOf(iotest.HalfReader(strings.NewReader(answers)))}
	for _, want := range []int{200, 202, 403} {
		got, err := r.response()
		if err != nil || got.status != want || got.last {
			t.Fatalf("got %+v and error %v, want status %d on a connection that goes on", got, err, want)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: a-1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		r := &reader{source: sourceOf(strings.NewReader(answer))}
		got, err := r.response()
		if err == nil && (got.status < 200 || got.status > 999) {
			t.Errorf("%q was read as status %d", answer, got.status)
		}
		if got.requestID != "" && !isRequestID(got.requestID) {
			t.Errorf("%q was read as request id %q", answer, got.requestID)
		}
	})
}

func TestParseAddress(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1:9001":      "127.0.0.1:9001",
		"169.254.100.1:9001":  "169.254.100.1:9001",
		"localhost:8080":      "127.0.0.1:8080",
		"255.255.255.255:1":   "255.255.255.255:1",
		"":                    "",
		"127.0.0.1":           "",
		"127.0.0.1:":          "",
		"127.0.0.1:0":         "",
		"127.0.0.1:65536":     "",
		"127.0.0.256:80":      "",
		"127.0.0:80":          "",
		"127.0.0.1.1:80":      "",
		"1.2.3.+4:80":         "",
		"[::1]:80":            "",
		"runtime.example:80":  "",
		"http://127.0.0.1:80": "",
	} {
		address, err := parseAddress(s)
		if want == "" {
			if err == nil {
				t.Errorf("%q was taken for %v", s, address)
			}
			continue
		}
		if got := netip.AddrPortFrom(netip.AddrFrom4(address.Addr), uint16(address.Port)).String(); err != nil || got != want {
			t.Errorf("%q was taken for %s (error %v), want %s", s, got, err, want)
		}
	}
}
