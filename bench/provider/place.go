package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/placeholder"
)

// place is where the functions run: the Lambda Runtime API, CloudFormation's response
// URL, and a registry in memory, without a login, which plays ECR for the one that
// asks ECR where its registry is.
type place struct {
	registry *httptest.Server
	trust    string // file by which the peer takes the registry without TLS
}

// function is a function to be measured.
type function struct {
	name      string
	key       string // of its repositories
	bootstrap string
	event     func(name string) map[string]any // that puts a placeholder into the repository of a name
}

// figure is what one start of a function took.
type figure struct {
	first time.Duration // from its start to its first answer
	warm  time.Duration // from its second event to the answer
	peak  int64         // bytes
}

func newPlace(ctx context.Context) (*place, error) {
	p := &place{registry: httptest.NewServer(ociserver.New(ocimem.New(), nil))}
	if err := p.seed(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// seed gives the peer something to copy, because it brings no placeholder along, and
// says where it may do so.
func (p *place) seed(ctx context.Context) error {
	name, err := tasuki.ParseHandoffName("orders")
	if err != nil {
		return err
	}
	built, err := placeholder.Build(name, tasuki.X86_64)
	if err != nil {
		return err
	}
	source := image.Memory("the placeholder", built.Manifest, map[tasuki.Digest][]byte{
		built.ConfigDescriptor.Digest: built.Config, built.LayerDescriptor.Digest: built.Layer,
	})
	inspected, err := source.Inspect(ctx, tasuki.X86_64)
	if err != nil {
		return err
	}
	repository, err := tasuki.ParseRepository(inECR("source"))
	if err != nil {
		return err
	}
	to := image.Registry{Host: p.host(), PlainHTTP: true}
	if err := to.Push(ctx, source, inspected, repository, tasuki.DefaultPlaceholderTag, image.PushOptions{}); err != nil {
		return err
	}
	trust, err := os.CreateTemp("", "registries-*.conf")
	if err != nil {
		return err
	}
	p.trust = trust.Name()
	_, err = fmt.Fprintf(trust, "[[registry]]\nlocation = %q\ninsecure = true\n", p.host())
	return errors.Join(err, trust.Close())
}

func (p *place) close() error {
	p.registry.Close()
	if p.trust == "" {
		return nil
	}
	return os.Remove(p.trust)
}

func (p *place) host() string { return strings.TrimPrefix(p.registry.URL, "http://") }

func inECR(name string) string {
	return "000000000000.dkr.ecr.us-east-1.amazonaws.com/" + name
}

// placeholderEvent asks for the built-in placeholder.
func (p *place) placeholderEvent(name string) map[string]any {
	return map[string]any{
		"ResourceType":       "Custom::TasukiPlaceholder",
		"ResourceProperties": map[string]string{"Repository": inECR(name), "Tag": "initial", "Architecture": "x86_64"},
	}
}

// deploymentEvent asks for the same image, from the registry, as the peer is asked.
func (p *place) deploymentEvent(name string) map[string]any {
	return map[string]any{
		"ResourceType":       "Custom::TasukiImageDeployment",
		"ResourceProperties": map[string]string{"Source": "docker://" + p.host() + "/source:initial", "Destination": inECR(name), "Tag": "initial"},
	}
}

func (p *place) copyEvent(name string) map[string]any {
	return map[string]any{
		"ResourceType":       "Custom::CDKECRDeployment",
		"ResourceProperties": map[string]string{"SrcImage": "docker://" + p.host() + "/source:initial", "DestImage": "docker://" + p.host() + "/" + name + ":initial"},
	}
}

// call is one event on its way.
type call struct {
	event map[string]any
	given chan time.Time // holds one, from when the function has taken the event
}

// measure starts a function, and gives it two events.
func (p *place) measure(ctx context.Context, f function, run int) (figure, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	calls := make(chan *call, 2)
	answers := make(chan []byte, 2)
	front := p.front(calls, answers)
	defer front.Close()
	var all []*call
	for n := range 2 {
		event := f.event(fmt.Sprintf("%s-%d-%d", f.key, run, n))
		for name, value := range map[string]string{
			"RequestType": "Create", "ResponseURL": front.URL + "/answer", "RequestId": fmt.Sprint(n), "LogicalResourceId": "R",
			"StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/bench/0",
		} {
			event[name] = value
		}
		all = append(all, &call{event: event, given: make(chan time.Time, 1)})
	}
	c := exec.CommandContext(ctx, f.bootstrap)
	c.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(front.URL, "http://"), "CONTAINERS_REGISTRIES_CONF="+p.trust,
		"AWS_ENDPOINT_URL="+front.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench")
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	var got figure
	var err error
	started := time.Now()
	if err := c.Start(); err != nil {
		return figure{}, err
	}
	for n, next := range all {
		calls <- next
		var answer []byte
		select {
		case answer = <-answers:
		case <-ctx.Done():
		}
		if !bytes.Contains(answer, []byte(`"SUCCESS"`)) {
			err = fmt.Errorf("it answered %q", answer)
			break
		}
		if n == 0 {
			got.first = time.Since(started)
		} else {
			got.warm = time.Since(<-next.given)
		}
	}
	front.CloseClientConnections()
	_ = c.Process.Kill() // it would wait for its next event
	_ = c.Wait()
	if err != nil {
		return figure{}, fmt.Errorf("%w\n%s", err, output.Bytes())
	}
	if used, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		got.peak = used.Maxrss << 10 // Linux counts in KiB
	}
	return got, nil
}

// front is the Runtime API, the response URL, and the API of an ECR that is empty.
func (p *place) front(calls <-chan *call, answers chan<- []byte) *httptest.Server {
	var mu sync.Mutex
	n := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/invocation/next"):
			select {
			case next := <-calls:
				mu.Lock()
				n++
				w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint(n))
				mu.Unlock()
				w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
				w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:bench")
				next.given <- time.Now()
				_ = json.NewEncoder(w).Encode(next.event) // a function that has gone away is noticed by its answer
			case <-r.Context().Done():
			}
		case strings.Contains(r.URL.Path, "/runtime/invocation/"):
			w.WriteHeader(http.StatusAccepted)
		case r.URL.Path == "/answer":
			body, err := io.ReadAll(r.Body)
			if err == nil {
				answers <- body
			}
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken"):
			fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"proxyEndpoint":%q}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:bench")), p.registry.URL)
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchGetImage"):
			fmt.Fprint(w, `{"images":[],"failures":[{"imageId":{"imageTag":"initial"},"failureCode":"ImageNotFound"}]}`)
		default:
			w.WriteHeader(http.StatusNotImplemented)
		}
	}))
}
