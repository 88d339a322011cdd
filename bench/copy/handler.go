package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

const handlerName = "cdk-ecr-deployment"

// handler is a function that CloudFormation calls: it is given its event by a Lambda
// Runtime API of ours, and answers to a URL of ours.
type handler struct{ bootstrap string }

// copy lets the function carry out one event. Its wall time is from the event to the
// answer: what it takes to start is not in it.
func (h handler) copy(ctx context.Context, from, to string) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute) // the longest that Lambda allows
	defer cancel()
	answered := make(chan string, 1)
	var given sync.Once
	var started time.Time
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/invocation/next"):
			first := false
			given.Do(func() { first = true })
			if !first {
				<-r.Context().Done()
				return
			}
			event, err := json.Marshal(map[string]any{
				"RequestType": "Create", "ResponseURL": server.URL + "/answer", "StackId": "arn:x", "RequestId": "r1", "LogicalResourceId": "CR",
				"ResourceType":       "Custom::CDKECRDeployment",
				"ResourceProperties": map[string]string{"SrcImage": "docker://" + from, "DestImage": "docker://" + to},
			})
			if err != nil {
				panic(err) // strings only
			}
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "r1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Minute).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:x")
			started = time.Now()
			_, _ = w.Write(event)
		case r.URL.Path == "/answer":
			body, _ := io.ReadAll(r.Body)
			select {
			case answered <- string(body):
			default:
			}
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	defer server.Close()
	trust, err := os.CreateTemp("", "registries-*.conf")
	if err != nil {
		return usage{}, err
	}
	defer os.Remove(trust.Name())
	for _, registry := range []string{hostOf(from), hostOf(to)} {
		fmt.Fprintf(trust, "[[registry]]\nlocation = %q\ninsecure = true\n", registry)
	}
	if err := trust.Close(); err != nil {
		return usage{}, err
	}
	c := exec.CommandContext(ctx, h.bootstrap)
	c.Env = append(os.Environ(), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(server.URL, "http://"), "CONTAINERS_REGISTRIES_CONF="+trust.Name())
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	if err := c.Start(); err != nil {
		return usage{}, err
	}
	var body string
	select {
	case body = <-answered:
	case <-ctx.Done():
	}
	took := time.Since(started)
	server.CloseClientConnections()
	_ = c.Process.Kill()
	_ = c.Wait() // it was killed
	if !strings.Contains(body, `"SUCCESS"`) {
		return usage{}, fmt.Errorf("it answered %q\n%s", body, output.Bytes())
	}
	return used(c.ProcessState, took), nil
}
