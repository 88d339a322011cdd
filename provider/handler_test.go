package provider

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

func contextWithin(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// deployment are the properties of a Custom::TasukiImageDeployment.
func deployment() customresource.Deployment {
	return customresource.Deployment{Source: "docker://docker.io/library/nginx:1.29", Destination: repository, Tag: "v1", Architecture: "arm64", ForLambda: customresource.True}
}

func (r *relay) deploy(f func(Deployment) (tasuki.Digest, []string, error)) {
	r.handler.Images = store{r, f}
}

func TestTheEndOfTimeIsAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		timeout, reserve time.Duration
		deaf             bool // work that does not hear of the end
	}{
		"long timeout":  {15 * time.Minute, 5 * time.Second, false},
		"short timeout": {10 * time.Second, time.Second, false},
		"deaf":          {15 * time.Minute, 4 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				release := make(chan struct{})
				defer synctest.Wait()
				defer close(release)
				ctx, cancel := contextWithin(t, test.timeout)
				defer cancel()
				// The function is being updated for ever.
				r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
				r.ChangeFunction(function, func(f *tasuki.Function) { f.UpdateStatus = "InProgress" })
				if test.deaf {
					r.Before = func(string, string) error { <-release; return errors.New("too late") }
				}
				began := time.Now()
				a := r.askWithin(ctx, create, customresource.TypeAlias, "", customresource.Properties(customresource.Alias{Handoff: "orders", Function: function, Alias: "live"}))
				r.wantFailed(a, "ran out of time")
				if took := time.Since(began); took != test.timeout-test.reserve {
					t.Errorf("answered after %v of %v, want %v before the end", took, test.timeout, test.reserve)
				}
			})
		})
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	r := newRelay(t)
	r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
		panic("at https://example.com/?token=" + secretMark)
	})
	a := r.ask(create, customresource.TypeDeployment, "", deployment())
	r.wantFailed(a, "panicked")
	if strings.Contains(a.Reason, "goroutine") || !strings.Contains(r.log.String(), "stackTrace") {
		t.Errorf("the trace belongs in the log: %q\n%s", a.Reason, r.log)
	}
}

func TestPanicsWhileReconcilingAreErrors(t *testing.T) {
	for _, operation := range []string{
		"Function",   // by the handler itself
		"UpdateCode", // by a goroutine that package tasuki starts
	} {
		t.Run(operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.stacks.status = "UPDATE_COMPLETE"
				r.create(r.push("v1", tasuki.ARM64), tasuki.ARM64)
				r.release("v2", tasuki.ARM64)
				r.Before = func(called, _ string) error {
					if called == operation {
						panic("now")
					}
					return nil
				}
				if err := r.send(t.Context(), r.event(customresource.TriggerStack)); err == nil || !strings.Contains(err.Error(), "panicked") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestMalformedEvents(t *testing.T) {
	for name, test := range map[string]struct {
		event  string
		answer string // what the answer says; "" for an error
	}{
		"not JSON":        {`{"RequestType":`, ""},
		"of nobody":       {`{"source":"aws.s3"}`, ""},
		"no object":       {`[1]`, ""},
		"wrong types":     {`{"RequestType":"Create","ResponseURL":"` + responseURL + `","StackId":7,"RequestId":"r","LogicalResourceId":"L","ResourceType":"Custom::TasukiImage"}`, "malformed"},
		"properties list": {`{"RequestType":"Create","ResponseURL":"` + responseURL + `","ResourceType":"Custom::TasukiImage","ResourceProperties":[]}`, "malformed"},
		"unknown type":    {`{"RequestType":"Create","ResponseURL":"` + responseURL + `","ResourceType":"Custom::TasukiTea","ResourceProperties":{}}`, "Custom::TasukiTea"},
		"unknown request": {`{"RequestType":"Read","ResponseURL":"` + responseURL + `","ResourceType":"Custom::TasukiImage","ResourceProperties":{}}`, "Read"},
		"no properties":   {`{"RequestType":"Create","ResponseURL":"` + responseURL + `","ResourceType":"Custom::TasukiImage"}`, "Handoff"},
		"later version":   {`{"tasukiReconcile":"2","trigger":"stack"}`, ""},
		"no contract":     {`{"tasukiReconcile":"1","trigger":"stack"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t)
			_, err := r.handler.Invoke(t.Context(), []byte(test.event))
			switch {
			case test.answer == "" && (err == nil || len(r.answers) > 0):
				t.Errorf("got %v and answers %v, want an error", err, r.answers)
			case test.answer != "" && (err != nil || len(r.answers) != 1):
				t.Errorf("got %v and answers %v, want an answer", err, r.answers)
			case test.answer != "":
				r.wantFailed(r.answers[0], test.answer)
			}
		})
	}
}

func TestAMalformedDeleteIsDone(t *testing.T) {
	r := newRelay(t)
	_, err := r.handler.Invoke(t.Context(), []byte(`{"RequestType":"Delete","PhysicalResourceId":"id","ResponseURL":"`+responseURL+`","ResourceType":"Custom::TasukiImage","ResourceProperties":[]}`))
	if err != nil || len(r.answers) != 1 || r.answers[0].Status != success {
		t.Errorf("got %v and %v", err, r.answers)
	}
}

func TestOversizedReasonsAreCut(t *testing.T) {
	r := newRelay(t)
	r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
		return tasuki.Digest{}, nil, errors.New("because " + strings.Repeat(`of "日本" <&>`, 2000))
	})
	a := r.ask(create, customresource.TypeDeployment, "", deployment())
	r.wantFailed(a, "because of", "…")
	if len(a.Reason) < 1000 {
		t.Errorf("only %d bytes of the reason are left", len(a.Reason))
	}
}

func TestReasonsHoldNoSignedURLs(t *testing.T) {
	r := newRelay(t)
	r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
		return tasuki.Digest{}, nil, errors.New(`Get "https://b.s3.amazonaws.com/layer?X-Amz-Signature=abc": EOF`)
	})
	a := r.ask(create, customresource.TypeDeployment, "", deployment())
	r.wantFailed(a, `"https://b.s3.amazonaws.com/layer?…": EOF`)
}

func TestOversizedAttributesAreAFailure(t *testing.T) {
	b, err := answer{Status: success, StackID: stackID, Data: map[string]string{"Digest": strings.Repeat("x", 5000)}}.encode()
	if err != nil || !strings.Contains(string(b), `"FAILED"`) || len(b) > longestAnswer {
		t.Errorf("got %s, %v", b, err)
	}
	if b, err := (answer{Status: success, StackID: strings.Repeat("x", 5000)}).encode(); err == nil {
		t.Errorf("got %d bytes", len(b))
	}
}

func FuzzAnswersFit(f *testing.F) {
	f.Add(strings.Repeat("\u2028", 3000), "digest")
	f.Add(strings.Repeat("\xff<", 4000), strings.Repeat("d", 4000))
	f.Fuzz(func(t *testing.T, reason, data string) {
		b, err := answer{Status: success, StackID: stackID, Reason: reason, Data: map[string]string{"Digest": data}}.encode()
		if err != nil || len(b) > longestAnswer {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

func TestAnswersAreSentAgain(t *testing.T) {
	for name, test := range map[string]struct {
		first func(*http.Request) (*http.Response, error)
		err   string // "" for an answer that arrives
	}{
		"broken connections": {first: func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }},
		"500":                {first: func(*http.Request) (*http.Response, error) { return status(http.StatusInternalServerError), nil }},
		"503":                {first: func(*http.Request) (*http.Response, error) { return status(http.StatusServiceUnavailable), nil }},
		"429":                {first: func(*http.Request) (*http.Response, error) { return status(http.StatusTooManyRequests), nil }},
		"403":                {func(*http.Request) (*http.Response, error) { return status(http.StatusForbidden), nil }, "answered 403"},
		"a redirection elsewhere": {func(*http.Request) (*http.Response, error) {
			response := status(http.StatusTemporaryRedirect)
			response.Header.Set("Location", "https://evil.example.com/?"+secretMark)
			return response, nil
		}, "evil.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t)
				r.deploy(func(Deployment) (tasuki.Digest, []string, error) {
					return memoryDigest(tasuki.ARM64, "v1", nil), nil, nil
				})
				tries := 0
				r.sendTo = func(request *http.Request) (*http.Response, error) {
					if tries++; tries < 3 || test.err != "" {
						return test.first(request)
					}
					return status(http.StatusOK), nil
				}
				if test.err == "" {
					if a := r.ask(create, customresource.TypeDeployment, "", deployment()); a.Status != success {
						t.Errorf("answered %s", a)
					}
					return
				}
				event := map[string]any{
					"RequestType": create, "ResponseURL": responseURL, "ResourceType": customresource.TypeDeployment,
					"ResourceProperties": customresource.Properties(deployment()),
				}
				if err := r.send(t.Context(), event); err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
			})
		})
	}
}

func TestAnswersGoToAmazonS3Only(t *testing.T) {
	a := newAnswerer("http://127.0.0.1:4566", nil)
	for url, want := range map[string]bool{
		"https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x?y":         true,
		"https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/x": true,
		"https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/x": true,
		"https://s3.cn-north-1.amazonaws.com.cn/bucket/x":                                      true,
		"https://bucket.s3.eusc-de-east-1.amazonaws.eu/x":                                      true,
		"https://bucket.s3.dualstack.eu-west-1.amazonaws.com/x":                                true,
		"https://bucket.s3.eu-west-1.amazonaws.com:443/x":                                      true,
		"http://127.0.0.1:4566/cloudformation-custom-resource-response/x":                      true,
		"http://127.0.0.1:4567/x":                       false,
		"http://bucket.s3.eu-west-1.amazonaws.com/x":    false,
		"https://bucket.s3.eu-west-1.amazonaws.com:8/x": false,
		"https://u@bucket.s3.amazonaws.com/x":           false,
		"https://evil.com/bucket.s3.amazonaws.com":      false,
		"https://bucket.s3.amazonaws.com.evil.com/x":    false,
		"https://evil-s3.amazonaws.com/x":               false,
		"https://lambda.eu-west-1.amazonaws.com/x":      false,
		"https://x.s3.evil.com/amazonaws.com":           false,
		"https://169.254.169.254/latest":                false,
		"file:///etc/passwd":                            false,
	} {
		err := a.send(canceled(t), url, nil)
		refused := err != nil && strings.Contains(err.Error(), "Amazon S3 only")
		if refused == want {
			t.Errorf("%s: got %v, want it trusted: %v", url, err, want)
		}
	}
	if err := newAnswerer("", nil).send(canceled(t), "http:///x", nil); err == nil || !strings.Contains(err.Error(), "Amazon S3 only") {
		t.Errorf("without a local endpoint, a URL without a host: %v", err)
	}
}

// canceled returns a context in which nothing is sent.
func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestLogsAreRedacted(t *testing.T) {
	l := &localawstest.Log{}
	newLog(l).Info("Put \"https://b.s3.amazonaws.com/k?X-Amz-Signature=abc\": EOF", "also", "see http://h/p?token=def.")
	if got := l.String(); strings.Contains(got, "abc") || strings.Contains(got, "def") || !strings.Contains(got, "b.s3.amazonaws.com/k?…") {
		t.Errorf("logged %s", got)
	}
}

func TestAProviderWithoutAnEnvironmentSaysSo(t *testing.T) {
	r := newRelay(t)
	r.handler.broken = errors.New("AWS_REGION is not set")
	r.wantFailed(r.ask(create, customresource.TypeImage, "", imageProperties()), "AWS_REGION")
	if err := r.send(t.Context(), r.event(customresource.TriggerStack)); err == nil {
		t.Error("an event of EventBridge succeeded")
	}
}

func TestDeployment(t *testing.T) {
	digest := memoryDigest(tasuki.ARM64, "v1", nil)
	r := newRelay(t)
	r.deploy(func(d Deployment) (tasuki.Digest, []string, error) {
		if d.Source != "docker://docker.io/library/nginx:1.29" || d.Tag.String() != "v1" || d.Destination != r.handoff.Repository || !d.ForLambda || d.Architecture != tasuki.ARM64 {
			t.Errorf("asked for %+v", d)
		}
		return digest, []string{"a layer is compressed with zstd"}, nil
	})
	a := r.ask(create, customresource.TypeDeployment, "", deployment())
	if a.Status != success || a.PhysicalResourceID != "tasuki-image-deployment/"+repository+":v1" || a.Data["Digest"] != digest.String() || a.Data["ImageUri"] != repository+"@"+digest.String() {
		t.Errorf("answered %s", a)
	}
	if !strings.Contains(r.log.String(), "zstd") {
		t.Errorf("the warning is not in the log:\n%s", r.log)
	}
	for name, change := range map[string]func(*customresource.Deployment){
		"Source":       func(d *customresource.Deployment) { d.Source = "" },
		"Destination":  func(d *customresource.Deployment) { d.Destination = "docker.io/x" },
		"Tag":          func(d *customresource.Deployment) { d.Tag = "a b" },
		"Architecture": func(d *customresource.Deployment) { d.Architecture = "amd64" },
	} {
		d := deployment()
		change(&d)
		r.wantFailed(r.ask(update, customresource.TypeDeployment, "id", d), "property "+name)
	}
}

func TestPlaceholder(t *testing.T) {
	p := customresource.Placeholder{Repository: repository, Tag: "initial", Architecture: "arm64"}
	r := newRelay(t)
	first := r.ask(create, customresource.TypePlaceholder, "", p)
	want := memoryDigest(tasuki.ARM64, "placeholder", map[string]string{tasuki.PlaceholderLabel: "orders"})
	if first.Status != success || first.Data["Digest"] != want.String() || first.Data["ImageUri"] != repository+":initial" {
		t.Errorf("answered %s", first)
	}
	p.Source = "docker://other"
	if again := r.ask(update, customresource.TypePlaceholder, first.PhysicalResourceID, p); again.String() != first.String() {
		t.Errorf("it replaced what was there: %s", again)
	}
	p.Architecture = "x86_64"
	r.wantFailed(r.ask(update, customresource.TypePlaceholder, first.PhysicalResourceID, p), "arm64", "x86_64")
	for name, change := range map[string]func(*customresource.Placeholder){
		"Repository":   func(p *customresource.Placeholder) { p.Repository = "orders" },
		"Tag":          func(p *customresource.Placeholder) { p.Tag = "" },
		"Architecture": func(p *customresource.Placeholder) { p.Architecture = "" },
		"Handoff":      func(p *customresource.Placeholder) { p.Handoff = "-" },
	} {
		bad := p
		change(&bad)
		r.wantFailed(r.ask(create, customresource.TypePlaceholder, "", bad), "property "+name)
	}
}
