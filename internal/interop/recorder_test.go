//go:build cdk && interop

package interop

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// recorder hands requests on to an endpoint, and keeps those for one service and their
// answers.
type recorder struct {
	*httptest.Server
	service string

	mu    sync.Mutex
	calls []recorded
}

// recorded is a call in the query protocol as it was on the wire.
type recorded struct {
	form   url.Values
	status int
	answer []byte
}

func newRecorder(endpoint, service string) *recorder {
	to, err := url.Parse(endpoint)
	if err != nil {
		panic(err) // of our own server
	}
	r := &recorder{service: service}
	on := httputil.NewSingleHostReverseProxy(to)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !strings.Contains(request.Header.Get("Authorization"), "/"+service+"/aws4_request") {
			on.ServeHTTP(w, request)
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		on.ServeHTTP(answer, request)
		form, err := url.ParseQuery(string(body))
		if err != nil {
			form = url.Values{"Action": {fmt.Sprintf("a body that is no form: %v", err)}}
		}
		r.mu.Lock()
		r.calls = append(r.calls, recorded{form, answer.Code, answer.Body.Bytes()})
		r.mu.Unlock()
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // a client that hung up needs no answer
	}))
	return r
}

// check holds what was recorded against a model.
func (r *recorder) check(t *testing.T, model *serviceModel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A stack's own events have its status, of which the model's enumeration has some only.
	events := model.Shapes["ResourceStatus"]
	events.Enum = append(events.Enum, model.Shapes["StackStatus"].Enum...)
	model.Shapes["ResourceStatus"] = events
	counts := map[string]int{}
	for _, call := range r.calls {
		name := call.form.Get("Action")
		if err := model.checkRecorded(name, call); err != nil {
			t.Errorf("%s: %v\nrequest: %s\nanswer: %d %s", name, err, call.form.Encode(), call.status, call.answer[:min(len(call.answer), 2000)])
		}
		if counts[name]++; call.status/100 != 2 {
			counts[name+" refused"]++
		}
	}
	t.Logf("calls of %s that are as the model has them: %v", r.service, counts)
	if len(counts) < 10 {
		t.Errorf("the sessions make %d kinds of calls only: %v", len(counts), counts)
	}
}

// checkRecorded returns what a call has that the model has not.
func (m *serviceModel) checkRecorded(name string, call recorded) error {
	operation, found := m.Operations[name]
	if !found {
		return fmt.Errorf("the model has no such operation")
	}
	if operation.Input.Shape != "" {
		// The CDK CLI is newer than some AWS CLIs, whose models do not have this yet.
		const newer = "DeploymentConfig"
		if _, known := m.Shapes[operation.Input.Shape].Members[newer]; !known {
			delete(call.form, newer+".Mode")
		}
		input, err := m.fromXML(operation.Input.Shape, formElement(call.form))
		if err != nil {
			return fmt.Errorf("the request: %w", err)
		}
		if err := m.check(operation.Input.Shape, input, name); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
	}
	var response element
	if err := xml.Unmarshal(call.answer, &response); err != nil {
		return err
	}
	if call.status/100 != 2 {
		code := response.find("Error").find("Code").Text
		if !slices.Contains(commonErrors, code) && !slices.Contains(m.errorCodes(name), code) {
			return fmt.Errorf("the error %q is not in the model", code)
		}
		return nil
	}
	if operation.Output.Shape == "" {
		return nil
	}
	output, err := m.fromXML(operation.Output.Shape, response.find(operation.Output.ResultWrapper))
	if err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return m.check(operation.Output.Shape, output, name)
}

// find returns the first child of a name.
func (e element) find(name string) element {
	for _, child := range e.Elements {
		if child.XMLName.Local == name {
			return child
		}
	}
	return element{}
}

// formElement returns a form of the query protocol as an answer would have it: the
// elements of A.member.1 and A.member.2 are called member.
func formElement(form url.Values) element {
	root := &node{}
	for key, values := range form {
		if key == "Action" || key == "Version" {
			continue
		}
		at := root
		for part := range strings.SplitSeq(key, ".") {
			at = at.child(part)
		}
		at.text = values[0]
	}
	return root.element("")
}

// node is a part of a form's keys.
type node struct {
	text     string
	names    []string
	children map[string]*node
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[name] == nil {
		n.children[name] = &node{}
		n.names = append(n.names, name)
	}
	return n.children[name]
}

func (n *node) element(name string) element {
	e := element{XMLName: xml.Name{Local: name}, Text: n.text}
	if list := n.children["member"]; list != nil && len(n.names) == 1 {
		// By their numbers, as they would be read.
		slices.SortFunc(list.names, func(a, b string) int {
			i, _ := strconv.Atoi(a)
			j, _ := strconv.Atoi(b)
			return i - j
		})
		for _, number := range list.names {
			e.Elements = append(e.Elements, list.children[number].element("member"))
		}
		return e
	}
	for _, name := range n.names {
		e.Elements = append(e.Elements, n.children[name].element(name))
	}
	return e
}
