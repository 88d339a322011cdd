package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tasuki-dev/tasuki"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// upload is the sending of one blob in a session of the registry's (OCI distribution
// specification 1.1, "Pushing blobs"): a POST begins it, and one PUT has all the bytes
// and ends it. That is how containerd and BuildKit push, to ECR as well, whose own
// layer parts of 5 to 10 MiB are the API's, and not its registry's.
//
// The PUT names the digest, and the registry compares it before it answers. Bytes that
// come from a registry are hashed there alone, unless it does not say in its answer which
// digest it has, or says that it is another one (docs/adr/0018-who-hashes.md).
//
// Where the PUT is cut off, the registry is asked how far it got, and another PUT has
// the rest. A registry that cannot say is sent the blob anew.
type upload struct {
	p       *pusher
	blob    tasuki.Descriptor
	streams int    // to read the source in
	from    string // the repository to mount it from; "" for none
	check   *check

	session       *url.URL // nil for none
	authorization string   // that the session was given for; a body cannot be sent twice to learn what is wanted
	renewed       bool     // the authorization was refused once
	arrived       int64    // bytes that the registry has, at least
	mounted       bool
}

// do sends the blob, or has it mounted.
func (u *upload) do(ctx context.Context) error {
	var a attempts
	var furthest int64 // what is sent again after it was lost is no progress
	for {
		err := u.once(ctx)
		if err == nil {
			return nil
		}
		if u.arrived > furthest {
			furthest = u.arrived
			a.advanced()
		}
		if err := a.again(ctx, err); err != nil {
			return err
		}
	}
}

// once sends what the registry has not got.
func (u *upload) once(ctx context.Context) error {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var source <-chan opened
	resumes := u.session != nil
	if resumes {
		if err := u.locate(ctx); err != nil {
			return err
		}
	}
	if u.session == nil {
		resumes, u.arrived = false, 0
		if u.from == "" {
			source = u.open(reading) // while the session begins: it saves a round trip
		}
		if err := u.begin(ctx); err != nil || u.mounted {
			abandon(source, cancel)
			return err
		}
	}
	if source == nil {
		source = u.open(reading)
	}
	o := <-source
	if o.err != nil {
		return &sourceFault{o.err}
	}
	err := u.put(ctx, o.from, cancel)
	var answer *responseError
	var fault *sourceFault // whose cause may be an answer too, of the source's registry
	if errors.As(err, &fault) || !errors.As(err, &answer) || transient(err) {
		return err
	}
	switch {
	case u.check.hash == nil && (answer.status == http.StatusBadRequest || answer.status == http.StatusCreated):
		// The digest is another, or the registry does not say which one it has. The next
		// attempt finds out here whether the source is to blame.
		u.check, u.session = newCheck(u.blob), nil
		if answer.status == http.StatusCreated {
			u.p.doubts.Store(true)
		}
	case answer.status == http.StatusUnauthorized && strings.HasPrefix(u.authorization, "Bearer ") && !u.renewed:
		u.renewed = true // the token ended; to ask how far the session got brings another
	case !resumes:
		return err
	case answer.status != http.StatusRequestedRangeNotSatisfiable:
		// The registry does not take up what it said that it has. With status 416 it is
		// still writing what came before the cut, and is asked again how far it got.
		u.session = nil
	}
	return &lostSession{answer}
}

// lostSession is what a registry answers that does not go on with an upload as it said.
type lostSession struct{ *responseError }

func (l *lostSession) Unwrap() error { return l.responseError }

// opened is the source's blob, or why it could not be opened.
type opened struct {
	from io.ReadCloser
	err  error
}

// open opens the source's blob where the registry's bytes end.
func (u *upload) open(ctx context.Context) <-chan opened {
	result := make(chan opened, 1)
	offset := u.arrived
	if offset == u.blob.Size && offset > 0 {
		result <- opened{from: http.NoBody} // all is there but the registry's last word
		return result
	}
	go func() {
		var from io.ReadCloser
		err := retry(ctx, func() (err error) {
			from, err = u.p.source.blobFrom(ctx, u.blob, offset, u.streams)
			return err
		})
		result <- opened{from, err}
	}()
	return result
}

// abandon closes a source that is not needed after all.
func abandon(source <-chan opened, cancel context.CancelFunc) {
	if source == nil {
		return
	}
	cancel()
	if o := <-source; o.err == nil {
		// Nothing of it was used.
		_ = o.from.Close()
	}
}

// scope is what a token must allow.
func (u *upload) scope(ctx context.Context) context.Context {
	ctx = auth.AppendRepositoryScope(ctx, u.p.to.Reference, auth.ActionPull, auth.ActionPush)
	if u.from != "" {
		other := u.p.to.Reference
		other.Repository = u.from
		ctx = auth.AppendRepositoryScope(ctx, other, auth.ActionPull)
	}
	return ctx
}

// begin begins a session, or has the blob mounted. A registry that does not mount it
// answers with a session instead.
func (u *upload) begin(ctx context.Context) error {
	address := u.p.to.address("/blobs/uploads/")
	if u.from != "" {
		address.RawQuery = url.Values{"mount": {u.blob.Digest.String()}, "from": {u.from}}.Encode()
	}
	request, err := http.NewRequestWithContext(u.scope(ctx), http.MethodPost, address.String(), nil)
	if err != nil {
		return err
	}
	response, err := u.p.to.client.Do(request)
	var refusal *responseError
	if u.from != "" && errors.As(err, &refusal) && !transient(err) {
		u.from = "" // it will not mount, and may take the bytes all the same
		return u.begin(ctx)
	}
	if err != nil {
		return err
	}
	response.Body.Close()
	switch {
	case response.StatusCode == http.StatusCreated && u.from != "":
		u.mounted = true
		return nil
	case response.StatusCode == http.StatusAccepted:
		return u.moved(request, response)
	}
	return &responseError{status: response.StatusCode}
}

// moved takes the session's address from an answer. It must be on the registry: the
// next request has the credentials with it.
func (u *upload) moved(request *http.Request, response *http.Response) error {
	location, err := response.Location()
	if err != nil {
		return failed(tasuki.ErrUnavailable, "the registry did not say where to upload to")
	}
	if location.Host == request.URL.Host && location.Scheme == "http" && request.URL.Scheme == "https" {
		return failed(tasuki.ErrUnavailable, "the registry wants the upload sent without TLS, which is refused: what is in front of it has to tell it that it is reached by https (X-Forwarded-Proto)")
	}
	if location.Hostname() != request.URL.Hostname() || portOf(location) != portOf(request.URL) {
		return failed(tasuki.ErrUnavailable, "the registry wants the upload sent to a different host, %s, which is refused", location.Host)
	}
	if location.Scheme != request.URL.Scheme && location.Scheme != "https" {
		return failed(tasuki.ErrUnavailable, "the registry wants the upload sent by %s, which is refused", printable(location.Scheme))
	}
	u.session = location
	if response.Request != nil {
		u.authorization = response.Request.Header.Get("Authorization")
	}
	return nil
}

func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}

// locate asks how far an interrupted session got. Afterwards there is no session where
// the registry has lost it, or cannot say.
func (u *upload) locate(ctx context.Context) error {
	request, err := http.NewRequestWithContext(u.scope(ctx), http.MethodGet, u.session.String(), nil)
	if err != nil {
		return err
	}
	response, err := u.p.to.client.Do(request)
	if err != nil && transient(err) {
		return err
	}
	u.session = nil
	if err != nil {
		return nil // begun anew, it fails as it should where more is wrong
	}
	response.Body.Close()
	var last int64
	if _, err := fmt.Sscanf(response.Header.Get("Range"), "0-%d", &last); err != nil || response.StatusCode >= http.StatusMultipleChoices || last >= u.check.passed {
		return nil
	}
	if response.Header.Get("Location") == "" {
		response.Header.Set("Location", request.URL.String())
	}
	if err := u.moved(request, response); err != nil {
		return err
	}
	u.arrived = 0
	if last > 0 { // "0-0" is also what a registry says that has nothing yet
		u.arrived = last + 1
	}
	return nil
}

// put sends the rest of the blob, and ends the session.
func (u *upload) put(ctx context.Context, from io.ReadCloser, cancel context.CancelFunc) error {
	offset := u.arrived
	at := offset
	sending, stop := context.WithCancel(u.scope(ctx))
	defer stop()
	b := &body{from: &verifier{from: from, check: u.check, at: offset}, cancel: cancel, taken: newDeadline(stop), left: u.blob.Size - offset, count: func(n int) {
		u.p.sent.Add(int64(n))
		if at += int64(n); at < u.blob.Size { // the last byte counts when the registry has it
			u.p.tell(Progress{Digest: u.blob.Digest, Done: at, Total: u.blob.Size})
		}
	}}
	address := *u.session
	query := address.Query()
	query.Set("digest", u.blob.Digest.String())
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(sending, http.MethodPut, address.String(), b)
	if err != nil {
		return errors.Join(err, b.end())
	}
	request.ContentLength = u.blob.Size - offset
	request.Header.Set("Content-Type", "application/octet-stream")
	if offset > 0 && offset < u.blob.Size {
		request.Header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, u.blob.Size-1))
	}
	if request.ContentLength == 0 {
		if err := u.check.compare(); err != nil {
			return errors.Join(&sourceFault{err}, b.end())
		}
		request.Body = http.NoBody
	}
	if u.authorization != "" {
		request.Header.Set("Authorization", u.authorization)
	}
	u.p.tell(Progress{Digest: u.blob.Digest, Done: offset, Total: u.blob.Size})
	response, err := u.p.to.client.Do(request)
	if fault := b.end(); err != nil && fault != nil {
		return &sourceFault{fault}
	}
	if err != nil {
		return b.taken.explain(err, "been taken", longestSilence)
	}
	response.Body.Close()
	said := response.Header.Get("Docker-Content-Digest")
	if response.StatusCode != http.StatusCreated || u.check.hash == nil && said != u.blob.Digest.String() {
		return &responseError{status: response.StatusCode}
	}
	return nil
}
