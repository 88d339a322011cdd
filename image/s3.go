package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/tasuki-dev/tasuki"
)

// S3 is how Amazon S3 is reached. Requests are signed here: an S3 client of the SDK's
// would add a megabyte to a function's package.
type S3 struct {
	Credentials aws.CredentialsProvider // nil where s3:// sources are not offered
	Region      string                  // where the bucket is, or where to ask
	Endpoint    string                  // in place of AWS's, as in "http://127.0.0.1:4566"; "" for AWS's
}

// openS3 opens the archive that reference, BUCKET/KEY[:TAG|@DIGEST], names. It reads
// the archive's headers; a layer is read when it is asked for, in pieces, and never
// held whole.
func openS3(ctx context.Context, reference string, o OpenOptions) (store, error) {
	bucket, rest, found := strings.Cut(reference, "/")
	if !found || bucket == "" || rest == "" {
		return nil, misnamed("it is not the name of an object: give s3://BUCKET/KEY")
	}
	if o.S3.Credentials == nil {
		return nil, failed(tasuki.ErrInvalid, "s3: is not offered here: download the archive, and give docker-archive:FILE or oci-archive:FILE")
	}
	key, pick, err := splitKey(rest)
	if err != nil {
		return nil, err
	}
	object, err := openObject(ctx, bucket, key, o)
	if err != nil {
		return nil, err
	}
	a, err := newArchive(ctx, object, object.size, object)
	if err != nil {
		return nil, errors.Join(err, object.Close())
	}
	at, err := openSaved(ctx, a, pick)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return at, nil
}

// splitKey divides KEY[:TAG|@DIGEST]. A key with a colon cannot be named.
func splitKey(s string) (key string, pick selector, err error) {
	if i := strings.LastIndex(s, "@sha256:"); i > 0 {
		if pick.digest, err = tasuki.ParseDigest(s[i+1:]); err != nil {
			return "", selector{}, misnamed("%v", err)
		}
		return s[:i], pick, nil
	}
	key, pick.tag, _ = strings.Cut(s, ":")
	return key, pick, nil
}

// pieceSize is how much is asked for at once: enough for a good rate with four layers
// at a time, at 30 ms a request; little enough for headers that lie far apart.
const pieceSize = 1 << 20

// mostPieces is how many pieces are held, 32 MiB in all.
const mostPieces = 32

// object is an object in S3, read in pieces. It does not change while it is read: S3 is
// asked for the version that was there first.
type object struct {
	ctx    context.Context // of the one who opened it: a ReaderAt has none of its own
	http   *http.Client
	signer *v4.Signer
	s3     S3
	bucket string
	key    string
	idle   func()

	size int64
	etag string

	mu     sync.Mutex
	pieces map[int64]*piece // by number
	clock  int              // of the uses
}

// piece is a part of an object, being read or held.
type piece struct {
	once sync.Once
	b    []byte
	err  error
	used int
}

func openObject(ctx context.Context, bucket, key string, o OpenOptions) (*object, error) {
	transport, idle := o.Transport, func() {}
	if transport == nil {
		own := newTransport()
		transport, idle = own, own.CloseIdleConnections
	}
	s := &object{
		ctx: ctx, http: &http.Client{Transport: transport}, s3: o.S3, bucket: bucket, key: key, idle: idle, pieces: map[int64]*piece{},
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), // S3 wants paths as they are
	}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	first := s.piece(0)
	if first.err != nil {
		idle()
		return nil, first.err
	}
	return s, nil
}

func (s *object) Close() error {
	s.idle()
	return nil
}

// ReadAt implements io.ReaderAt.
func (s *object) ReadAt(b []byte, offset int64) (n int, err error) {
	for n < len(b) && offset < s.size {
		p := s.piece(offset / pieceSize)
		if p.err != nil {
			return n, p.err
		}
		copied := copy(b[n:], p.b[min(offset%pieceSize, int64(len(p.b))):])
		if copied == 0 {
			return n, io.ErrUnexpectedEOF
		}
		n, offset = n+copied, offset+int64(copied)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// piece returns a part of the object. Those who ask for the same wait for one request.
func (s *object) piece(number int64) *piece {
	s.mu.Lock()
	p, held := s.pieces[number]
	if !held {
		s.makeRoom()
		p = &piece{}
		s.pieces[number] = p
	}
	s.clock++
	p.used = s.clock
	s.mu.Unlock()
	p.once.Do(func() {
		p.err = retry(s.ctx, func() (err error) {
			p.b, err = s.read(number*pieceSize, pieceSize)
			return err
		})
	})
	if p.err != nil {
		s.mu.Lock()
		if s.pieces[number] == p {
			delete(s.pieces, number) // to be asked for again
		}
		s.mu.Unlock()
	}
	return p
}

// makeRoom gives up the piece that has not been used for the longest time.
func (s *object) makeRoom() {
	if len(s.pieces) < mostPieces {
		return
	}
	oldest, used := int64(0), s.clock+1
	for number, p := range s.pieces {
		if p.used < used {
			oldest, used = number, p.used
		}
	}
	delete(s.pieces, oldest)
}

// read asks S3 for a part of the object.
func (s *object) read(offset, length int64) ([]byte, error) {
	b, err := s.get(offset, length)
	// A bucket says which region it is in to whoever asks in another one.
	var elsewhere *wrongRegion
	if errors.As(err, &elsewhere) && elsewhere.region != s.s3.Region && s.size == 0 {
		s.s3.Region = elsewhere.region
		b, err = s.get(offset, length)
	}
	return b, err
}

// wrongRegion says that the bucket is in another region.
type wrongRegion struct{ region string }

func (e *wrongRegion) Error() string { return "the bucket is in region " + e.region }

func (s *object) get(offset, length int64) ([]byte, error) {
	r, err := s.request(offset, length)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	response, err := s.http.Do(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = newAnswer(response.Body, cancel)
	defer response.Body.Close()
	if region := response.Header.Get("x-amz-bucket-region"); response.StatusCode != http.StatusPartialContent && region != "" && region != s.s3.Region {
		return nil, &wrongRegion{region}
	}
	if response.StatusCode != http.StatusPartialContent {
		return nil, s.refused(response)
	}
	if err := s.learn(response.Header); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(response.Body, length))
}

// learn takes the object's size and version from the first answer.
func (s *object) learn(header http.Header) error {
	if s.etag != "" {
		return nil
	}
	_, total, _ := strings.Cut(header.Get("Content-Range"), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || size <= 0 || header.Get("ETag") == "" {
		return failed(tasuki.ErrUnavailable, "the answer from S3 does not say how large the object is, and of which version")
	}
	s.size, s.etag = size, header.Get("ETag")
	return nil
}

// request returns a signed request for a part of the object.
func (s *object) request(offset, length int64) (*http.Request, error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.address(), nil)
	if err != nil {
		return nil, failed(tasuki.ErrInvalid, "%s/%s is not the name of an object", printable(s.bucket), printable(s.key))
	}
	empty := sha256.Sum256(nil)
	r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(empty[:]))
	if s.etag != "" {
		r.Header.Set("If-Match", s.etag)
	}
	who, err := s.s3.Credentials.Retrieve(s.ctx)
	if err != nil {
		return nil, &failure{kind: tasuki.ErrDenied, text: "there are no credentials for S3", cause: err}
	}
	return r, s.signer.SignHTTP(s.ctx, who, r, hex.EncodeToString(empty[:]), "s3", s.s3.Region, time.Now())
}

// address returns the object's URL: with the bucket in the host, as AWS prefers it,
// but for names with dots, which no certificate covers.
func (s *object) address() string {
	var escaped []string
	for _, part := range strings.Split(s.key, "/") {
		escaped = append(escaped, strings.ReplaceAll(url.QueryEscape(part), "+", "%20"))
	}
	key := strings.Join(escaped, "/")
	switch host := "s3." + s.s3.Region + "." + tasuki.RegionDomain(s.s3.Region); {
	case s.s3.Endpoint != "":
		return strings.TrimSuffix(s.s3.Endpoint, "/") + "/" + s.bucket + "/" + key
	case strings.Contains(s.bucket, "."):
		return "https://" + host + "/" + s.bucket + "/" + key
	default:
		return "https://" + s.bucket + "." + host + "/" + key
	}
}

// refused reads why S3 does not give the object.
func (s *object) refused(response *http.Response) error {
	var document struct{ Code, Message string }
	b, err := io.ReadAll(io.LimitReader(response.Body, longestErrorBody))
	if err == nil {
		// What is not XML of S3's has no code, and is judged by the status alone.
		_ = xml.Unmarshal(b, &document)
		document.Code = printable(document.Code)
	}
	name := "s3://" + s.bucket + "/" + s.key
	switch status := response.StatusCode; {
	case document.Code == "NoSuchBucket":
		return failed(tasuki.ErrMissing, "there is no bucket %s", s.bucket)
	case document.Code == "NoSuchKey", status == http.StatusNotFound:
		return failed(tasuki.ErrMissing, "there is no object %s", name)
	case status == http.StatusPreconditionFailed:
		return failed(tasuki.ErrConflict, "the object %s was replaced while it was read", name)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return failed(tasuki.ErrInvalid, "the object %s is empty", name)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return &failure{kind: tasuki.ErrDenied, text: "S3 does not give it: " + cmp.Or(document.Code, http.StatusText(status)),
			hint: fmt.Sprintf("Allow the caller s3:GetObject on arn:aws:s3:::%s/%s; S3 says the same of an object that does not exist to who may not list the bucket.", s.bucket, s.key)}
	case status == http.StatusOK:
		return failed(tasuki.ErrUnavailable, "S3 answered the whole object where a part was asked for")
	}
	return &responseError{server: "S3", status: response.StatusCode, code: document.Code, retryAfter: retryAfter(response.Header, time.Now())}
}
