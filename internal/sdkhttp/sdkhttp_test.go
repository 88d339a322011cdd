package sdkhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
)

// closable is a request's body as the SDK makes it: once closed, it ends in io.EOF where
// none should be seen.
type closable struct {
	*strings.Reader
	closed chan struct{}
	close  func()
}

func (c closable) WriteTo(w io.Writer) (int64, error) {
	if n, err := c.Reader.WriteTo(w); n > 0 || err != nil {
		return n, err
	}
	<-c.closed
	return 0, io.EOF
}

func (c closable) Close() error {
	c.close()
	return nil
}

// A server answers before net/http has looked for the end of the request's body, and the
// SDK closes the body on the answer's first bytes.
func TestAnAnswerThatComesEarlyIsWhole(t *testing.T) {
	rest := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil || string(body) != "Action=DescribeStacks" {
			t.Errorf("the request's body is %q: %v", body, err)
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case <-rest:
		case <-r.Context().Done(): // the client broke the connection
		}
		_, _ = io.WriteString(w, "all of the answer")
	}))
	defer server.Close()
	closed := make(chan struct{})
	body := closable{strings.NewReader("Action=DescribeStacks"), closed, sync.OnceFunc(func() { close(closed) })}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = body.Size()
	response, err := sdkhttp.New().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // for net/http to look again, if it does
	close(rest)
	if got, err := io.ReadAll(response.Body); err != nil || string(got) != "all of the answer" {
		t.Errorf("the answer is %q: %v", got, err)
	}
}
