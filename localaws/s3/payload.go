package s3

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// crc64NVME is the polynomial of CRC-64/NVME, reversed, as the SDK for Go has it.
const crc64NVME = 0x9a6c9329ac4bc9b5

// newHash returns the hash of a checksum algorithm as headers name it, "crc32" for
// example; nil for one that S3 does not have.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "crc32":
		return crc32.NewIEEE()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "crc64nvme":
		return crc64.New(crc64.MakeTable(crc64NVME))
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	}
	return nil
}

// checksumHeader is what the headers that carry checksums begin with.
const checksumHeader = "X-Amz-Checksum-"

// payload reads what a request sends: out of its chunks, where it is sent in chunks,
// and through the hashes that it is checked by.
type payload struct {
	io.Reader
	request *http.Request
	chunks  *chunks // nil where there are none
	size    int64
	md5     hash.Hash
	sha256  hash.Hash // of the payload; nil where the signature names no hash

	algorithm string    // of the checksum, as in "crc32"; "" for none
	checksum  hash.Hash // nil for none
	checked   bool      // whether the request says what the checksum is
	sum       string    // the checksum in base64, once verified
}

// newPayload returns the payload of a request, which is read to its end and then
// verified. Where the request has no checksum, one of the algorithm is computed; ""
// for none.
func newPayload(r *http.Request, algorithm string) (*payload, error) {
	p := &payload{request: r, md5: md5.New()}
	writers := []io.Writer{p.md5}
	body := io.Reader(r.Body)
	switch content := r.Header.Get("X-Amz-Content-Sha256"); {
	case strings.HasPrefix(content, "STREAMING-"):
		p.chunks = &chunks{r: bufio.NewReader(r.Body), trailer: http.Header{}}
		body = p.chunks
	case len(content) == hex.EncodedLen(sha256.Size):
		p.sha256 = sha256.New()
		writers = append(writers, p.sha256)
	}
	var err error
	if p.algorithm, err = checksumAlgorithm(r.Header); err != nil {
		return nil, err
	}
	if p.checked = p.algorithm != ""; !p.checked {
		p.algorithm = algorithm
	}
	if p.algorithm != "" {
		p.checksum = newHash(p.algorithm)
		writers = append(writers, p.checksum)
	}
	p.Reader = io.TeeReader(body, io.MultiWriter(append(writers, (*counter)(&p.size))...))
	return p, nil
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// checksumAlgorithm returns the algorithm of the one checksum that a request has, in
// a header or announced for the trailer.
func checksumAlgorithm(h http.Header) (string, error) {
	var found []string
	for name := range h {
		if algorithm, is := strings.CutPrefix(name, checksumHeader); is && newHash(strings.ToLower(algorithm)) != nil {
			found = append(found, strings.ToLower(algorithm))
		}
	}
	if algorithm, is := strings.CutPrefix(strings.ToLower(h.Get("X-Amz-Trailer")), strings.ToLower(checksumHeader)); is {
		if newHash(algorithm) == nil {
			return "", wire.Errorf("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
		}
		found = append(found, algorithm)
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", wire.Errorf("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// failure is what a payload that could not be read is answered with.
func (p *payload) failure(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errChunk) {
		return wire.Errorf("IncompleteBody", "The request body terminated unexpectedly")
	}
	return err
}

// verify checks what was read against everything that the request says of it.
func (p *payload) verify() error {
	h := p.request.Header
	if want := h.Get("X-Amz-Decoded-Content-Length"); p.chunks != nil && want != strconv.FormatInt(p.size, 10) {
		return wire.Errorf("IncompleteBody", "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header")
	}
	if want := h.Get("Content-Md5"); want != "" {
		sum, err := base64.StdEncoding.DecodeString(want)
		if err != nil || len(sum) != md5.Size {
			return wire.Errorf("InvalidDigest", "The Content-MD5 you specified was invalid.")
		}
		if subtle.ConstantTimeCompare(sum, p.md5.Sum(nil)) == 0 {
			return wire.Errorf("BadDigest", "The Content-MD5 you specified did not match what we received.")
		}
	}
	if p.sha256 != nil && !strings.EqualFold(h.Get("X-Amz-Content-Sha256"), hex.EncodeToString(p.sha256.Sum(nil))) {
		return wire.Errorf("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	if p.checksum == nil {
		return nil
	}
	p.sum = base64.StdEncoding.EncodeToString(p.checksum.Sum(nil))
	if !p.checked {
		return nil
	}
	want := h.Get(checksumHeader + p.algorithm)
	if want == "" && p.chunks != nil {
		want = p.chunks.trailer.Get(checksumHeader + p.algorithm)
	}
	switch {
	case want == "":
		return wire.Errorf("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
	case want != p.sum:
		return wire.Errorf("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(p.algorithm))
	}
	return nil
}

// errChunk is a body that is not in aws-chunked encoding.
var errChunk = errors.New("the body is not in aws-chunked encoding")

// chunks reads aws-chunked encoding: chunks after their sizes in hexadecimal, the
// last one empty, and a trailer of headers (Amazon S3 API reference, "Signature
// calculations: transferring a payload in multiple chunks"). Signatures of chunks are
// not verified.
type chunks struct {
	r       *bufio.Reader
	left    int64 // of the chunk that is being read
	begun   bool
	ended   bool
	trailer http.Header
}

const (
	// longestLine bounds the lines between chunks, in bytes.
	longestLine = 4096
	// mostTrailers bounds the headers of a trailer: S3 takes a checksum and a signature.
	mostTrailers = 16
)

func (c *chunks) Read(b []byte) (int, error) {
	for c.left == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the line before a chunk and, where it is the last, the trailer.
func (c *chunks) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return errors.Join(errChunk, err)
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	c.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || c.left < 0 {
		return fmt.Errorf("%w: %q is no chunk's size", errChunk, size)
	}
	if c.left > 0 {
		return nil
	}
	c.ended = true
	for {
		line, err := c.line()
		if errors.Is(err, io.ErrUnexpectedEOF) || line == "" && err == nil {
			return nil // some clients leave the last empty line out
		}
		if err != nil {
			return err
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return fmt.Errorf("%w: %q is no trailer", errChunk, line)
		}
		if len(c.trailer) == mostTrailers {
			return fmt.Errorf("%w: the trailer is too long", errChunk)
		}
		c.trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
}

func (c *chunks) line() (string, error) {
	var line []byte
	for {
		b, err := c.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case b == '\n':
			return strings.TrimSuffix(string(line), "\r"), nil
		case len(line) == longestLine:
			return "", fmt.Errorf("%w: a line is too long", errChunk)
		}
		line = append(line, b)
	}
}
