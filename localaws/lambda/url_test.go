package lambda

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A function says what the body is, and not how it travels.
func TestURLHeadersOfTheFunction(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeURL(w, []byte(`{"statusCode":201,"headers":{"content-length":"3","Transfer-Encoding":"identity","Connection":"upgrade","X-Own":"kept"},"body":"hello"}`))
	}))
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "hello" || answer.StatusCode != http.StatusCreated || answer.Header.Get("X-Own") != "kept" {
		t.Errorf("got %s %v %q %v", answer.Status, answer.Header, body, err)
	}
}
