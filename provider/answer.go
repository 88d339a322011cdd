package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// The statuses of an answer.
const (
	success = "SUCCESS"
	failed  = "FAILED"
)

// answer is what CloudFormation wants to know ("Custom resource response objects", AWS
// CloudFormation User Guide).
type answer struct {
	Status             string
	Reason             string `json:",omitempty"` // shown where Status is FAILED
	PhysicalResourceID string `json:"PhysicalResourceId"`
	StackID            string `json:"StackId"`
	RequestID          string `json:"RequestId"`
	LogicalResourceID  string `json:"LogicalResourceId"`
	Data               map[string]string
}

// longestAnswer is how many bytes CloudFormation takes of an answer ("Custom resource
// response objects").
const longestAnswer = 4096

// encode returns the answer's JSON, its reason cut to what CloudFormation takes. An
// answer that is too long for another cause becomes a failure: half of its attributes
// would deploy something else.
func (a answer) encode() ([]byte, error) {
	for {
		b, err := json.Marshal(a)
		over := len(b) - longestAnswer
		switch {
		case err != nil || over <= 0:
			return b, err
		case a.Reason != "":
			a.Reason = shorten(a.Reason, over)
		case a.Data != nil:
			a.Data, a.Status = nil, failed
			a.Reason = fmt.Sprintf("the answer has %d bytes, and CloudFormation takes %d", len(b), longestAnswer)
		default:
			return nil, fmt.Errorf("the answer has %d bytes without its reason and attributes, and CloudFormation takes %d", len(b), longestAnswer)
		}
	}
}

// shorten takes off the end of a text of which JSON has n bytes too many: not all of
// them, because one byte of the text may be six of JSON's.
func shorten(text string, n int) string {
	const ellipsis = "…"
	text = strings.TrimSuffix(text, ellipsis)
	keep := min(longestAnswer, len(text)-min(n, len(text)/8+1)-len(ellipsis))
	for keep > 0 && !utf8.RuneStart(text[keep]) {
		keep--
	}
	if keep <= 0 {
		return ""
	}
	return text[:keep] + ellipsis
}

// amazonS3 matches the hosts of S3's buckets, in the forms that AWS has given them.
var amazonS3 = regexp.MustCompile(`^(?:[a-z0-9.-]+\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.(?:com(?:\.cn)?|eu)$`)

// answerer sends answers to where CloudFormation wants them.
type answerer struct {
	client *http.Client
	local  string // host:port that is trusted besides Amazon S3; "" for none
}

// newAnswerer returns an answerer that trusts endpoint, the URL of a local one, besides
// Amazon S3; "" for none.
func newAnswerer(endpoint string, transport http.RoundTripper) answerer {
	a := answerer{client: &http.Client{Timeout: attemptTimeout, Transport: transport}}
	if u, err := url.Parse(endpoint); err == nil {
		a.local = u.Host
	}
	// An answer follows no redirection to where it would not have gone by itself.
	a.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error { return a.trusted(r.URL) }
	return a
}

// trusted says why an answer does not go to u, or nil. An event that somebody else made
// up could name any host.
func (a answerer) trusted(u *url.URL) error {
	switch {
	case a.local != "" && u.Host == a.local:
		return nil
	case u.Scheme == "https" && u.User == nil && (u.Port() == "" || u.Port() == "443") && amazonS3.MatchString(u.Hostname()):
		return nil
	}
	return fmt.Errorf("the response URL names the host %q, and answers go to Amazon S3 only", u.Host)
}

const (
	sendAttempts   = 6
	attemptTimeout = 3 * time.Second // S3 takes well under a second for so little
	firstPause     = 100 * time.Millisecond
)

// send puts an answer to the response URL, again where that may help. No error holds
// the URL, which is a credential.
func (a answerer) send(ctx context.Context, to string, body []byte) error {
	u, err := url.Parse(to)
	if err != nil {
		return errors.New("the response URL is malformed")
	}
	if err := a.trusted(u); err != nil {
		return err
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		again, err := a.sendOnce(ctx, u, body)
		if err == nil || !again || attempt == sendAttempts {
			return err
		}
		if ended := wait(ctx, pause); ended != nil {
			return err
		}
		pause *= 2
	}
}

// sendOnce reports with an error whether another attempt may succeed.
func (a answerer) sendOnce(ctx context.Context, u *url.URL, body []byte) (again bool, err error) {
	// Without a Content-Type: the signature in the URL is for none.
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the response URL is malformed")
	}
	response, err := a.client.Do(r)
	if err != nil {
		// The client's own error holds the whole URL.
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return true, fmt.Errorf("no answer from %s: %w", u.Host, err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, longestAnswer)); err != nil {
		return true, fmt.Errorf("the answer from %s broke off: %w", u.Host, err)
	}
	switch status := response.StatusCode; {
	case status/100 == 2:
		return false, nil
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return true, fmt.Errorf("%s answered %d", u.Host, status)
	default:
		return false, fmt.Errorf("%s answered %d", u.Host, status)
	}
}

// wait returns after d, or with ctx's error when that ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
