package cloudformation

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
)

// longestAnswer bounds a custom resource's answer, in bytes
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html).
const longestAnswer = 4096

// answers takes the answers of custom resources, each at a URL that only the resource
// knows. It implements [resource.Answers].
type answers struct {
	endpoint func() string

	mu       sync.Mutex
	expected map[string]chan []byte // by the last part of the URL
}

func newAnswers(endpoint func() string) *answers {
	return &answers{endpoint: endpoint, expected: map[string]chan []byte{}}
}

// Expect implements [resource.Answers].
func (a *answers) Expect() (url string, answer <-chan []byte, forget func()) {
	name, to := rand.Text(), make(chan []byte, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expected[name] = to
	// The signature is the name itself; the form is that of a pre-signed URL.
	url = a.endpoint() + resource.AnswerPath + name + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=7200&X-Amz-Signature=" + strings.ToLower(rand.Text())
	return url, to, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.expected, name)
	}
}

// ServeHTTP takes an answer. Like S3, which takes it in AWS, it does not say whether
// anybody waits for it: a second answer is taken, and read by nobody.
func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		http.Error(w, "a custom resource's answer is sent with PUT", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longestAnswer+1))
	if err != nil && len(body) <= longestAnswer {
		http.Error(w, "the answer could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	to := a.expected[strings.TrimPrefix(r.URL.Path, resource.AnswerPath)]
	a.mu.Unlock()
	if to == nil {
		http.Error(w, "nobody waits for an answer here", http.StatusForbidden)
		return
	}
	select {
	case to <- body:
	default: // answered before
	}
}
