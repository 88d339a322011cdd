package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// object is an object as it is stored; its content is a file.
type object struct {
	File     string
	Size     int64 // bytes
	ETag     string
	Modified time.Time
	Headers  map[string]string // that it was given, and is answered with
	Checksum checksum
}

// checksum is an object's checksum; the zero one is none.
type checksum struct {
	Algorithm string // as in "crc32"
	Value     string // in base64, of a composite one with "-" and the number of parts
	Type      string // FULL_OBJECT or COMPOSITE
}

// set writes the checksum's headers.
func (c checksum) set(h http.Header) {
	if c.Algorithm != "" {
		h.Set(checksumHeader+c.Algorithm, c.Value)
		h.Set("X-Amz-Checksum-Type", c.Type)
	}
}

// longestKey is in bytes of UTF-8 (Amazon S3 user guide, "Naming Amazon S3 objects").
const longestKey = 1024

// objectKey is an object's key in the table: no bucket's name is another one's prefix.
func objectKey(bucket, key string) string { return bucket + "\x00" + key }

// kept are the headers that an object keeps, besides those of its metadata.
var kept = []string{"Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "Expires"}

const metadataHeader = "X-Amz-Meta-"

// headersOf returns what an object keeps of a request's headers.
func headersOf(h http.Header) map[string]string {
	headers := map[string]string{"Content-Type": "binary/octet-stream", "X-Amz-Server-Side-Encryption": "AES256"}
	for name := range h {
		if strings.HasPrefix(name, metadataHeader) {
			headers[name] = strings.Join(h[name], ",")
		}
	}
	for _, name := range append(kept, "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled") {
		if value := h.Get(name); value != "" {
			headers[name] = value
		}
	}
	// aws-chunked is how the request travels, and not of the object.
	var encodings []string
	for _, encoding := range strings.Split(strings.Join(h["Content-Encoding"], ","), ",") {
		if encoding = strings.TrimSpace(encoding); encoding != "" && encoding != "aws-chunked" {
			encodings = append(encodings, encoding)
		}
	}
	if len(encodings) > 0 {
		headers["Content-Encoding"] = strings.Join(encodings, ",")
	}
	return headers
}

// receive writes a payload to a file of its own, durable where the store is. The
// caller names the file in a table, or removes it.
func (s *Service) receive(p *payload) (file string, err error) {
	f, err := s.newFile()
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name()) // what fails is said already; the next start removes it
		}
	}()
	if _, err := io.Copy(f, p); err != nil {
		return "", p.failure(err)
	}
	if err := p.verify(); err != nil {
		return "", err
	}
	return s.name(f), s.sync(f)
}

func (s *Service) newFile() (*os.File, error) {
	return os.OpenFile(s.path(rand.Text()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

func (s *Service) name(f *os.File) string { return f.Name()[len(s.dir)+1:] }

// sync makes a file and its name durable.
func (s *Service) sync(f *os.File) error {
	if !s.store.Durable() {
		return nil
	}
	if err := f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// discard removes files that nothing names any more. A file that stays is removed at
// the next start.
func (s *Service) discard(files ...string) {
	for _, file := range files {
		if file != "" {
			_ = os.Remove(s.path(file))
		}
	}
}

func checkKey(key string) error {
	switch {
	case len(key) > longestKey:
		return wire.Errorf("KeyTooLongError", "Your key is too long")
	case !utf8.ValidString(key) || strings.ContainsRune(key, 0):
		return errArgument("The key is not valid UTF-8.")
	}
	return nil
}

func (s *Service) putObject(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	if err := checkKey(key); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseHeaders(r.HTTP.Header); err != nil {
		return wire.Answer{}, err
	}
	if _, err := s.bucket(bucket); err != nil {
		return wire.Answer{}, err // before the content comes
	}
	p, err := newPayload(r.HTTP, "")
	if err != nil {
		return wire.Answer{}, err
	}
	file, err := s.receive(p)
	if err != nil {
		return wire.Answer{}, err
	}
	o := object{
		File: file, Size: p.size, ETag: `"` + hex.EncodeToString(p.md5.Sum(nil)) + `"`,
		Modified: time.Now().UTC().Truncate(time.Second), Headers: headersOf(r.HTTP.Header),
	}
	if p.algorithm != "" {
		o.Checksum = checksum{p.algorithm, p.sum, "FULL_OBJECT"}
	}
	if err := s.put(bucket, key, o, r.HTTP.Header, nil); err != nil {
		return wire.Answer{}, err
	}
	header := http.Header{"Etag": {o.ETag}}
	setEncryption(header, o)
	o.Checksum.set(header)
	return wire.Answer{Header: header}, nil
}

func setEncryption(h http.Header, o object) {
	for name, value := range o.Headers {
		if strings.HasPrefix(name, "X-Amz-Server-Side-Encryption") {
			h.Set(name, value)
		}
	}
}

// put makes o the object of a key, if the request's conditions hold, and does what
// else belongs to it. Its file is removed where it fails, and the file of the object
// that it replaces where it does not.
func (s *Service) put(bucket, key string, o object, conditions http.Header, also func(tx *state.Tx) error) error {
	var old object
	err := s.store.Update(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		found := false
		var err error
		if old, found, err = s.objects.Get(tx, objectKey(bucket, key)); err != nil {
			return err
		}
		if match := conditions.Get("If-Match"); match != "" && !found {
			return errNoObject()
		} else if match != "" && !sameETag(match, old.ETag) || conditions.Get("If-None-Match") == "*" && found {
			return errPrecondition()
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return s.objects.Put(tx, objectKey(bucket, key), o)
	})
	if err != nil {
		s.discard(o.File)
		return err
	}
	s.discard(old.File)
	return nil
}

func sameETag(a, b string) bool { return strings.Trim(a, `"`) == strings.Trim(b, `"`) }

// find returns an object, or S3's error.
func (s *Service) find(bucket, key string) (o object, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		found := false
		if o, found, err = s.objects.Get(tx, objectKey(bucket, key)); err == nil && !found {
			err = errNoObject()
		}
		return err
	})
	return o, err
}

// section is a part of a file.
type section struct {
	io.Reader
	io.Closer
}

func (s *Service) getObject(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	for last := ""; ; {
		answer, file, from, length, err := s.read(r.HTTP, bucket, key)
		if err != nil || answer.Status == http.StatusNotModified {
			return answer, err
		}
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) && file != last {
			last = file // the object has been replaced or deleted since it was found
			continue
		}
		if err != nil {
			return wire.Answer{}, err
		}
		answer.Stream = section{io.NewSectionReader(f, from, length), f}
		return answer, nil
	}
}

func (s *Service) headObject(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	answer, _, _, _, err := s.read(r.HTTP, bucket, key)
	if errors.Is(err, ErrNoObject) {
		err = wire.Errorf("NotFound", "Not Found").WithStatus(http.StatusNotFound) // there is no body to say more in
	}
	return answer, err
}

// read answers a request for an object or a range of it, but for the content itself:
// the bytes of the file from an offset.
func (s *Service) read(r *http.Request, bucket, key string) (answer wire.Answer, file string, from, length int64, err error) {
	o, err := s.find(bucket, key)
	if err != nil {
		return answer, "", 0, 0, err
	}
	header := http.Header{"Etag": {o.ETag}, "Last-Modified": {o.Modified.Format(http.TimeFormat)}, "Accept-Ranges": {"bytes"}}
	switch unmodified := notSince(r.Header.Get("If-Modified-Since"), o.Modified); {
	case r.Header.Get("If-Match") != "" && !sameETag(r.Header.Get("If-Match"), o.ETag):
		return answer, "", 0, 0, errPrecondition()
	case r.Header.Get("If-Unmodified-Since") != "" && !notSince(r.Header.Get("If-Unmodified-Since"), o.Modified):
		return answer, "", 0, 0, errPrecondition()
	case r.Header.Get("If-None-Match") != "" && sameETag(r.Header.Get("If-None-Match"), o.ETag), r.Header.Get("If-None-Match") == "" && unmodified:
		return wire.Answer{Status: http.StatusNotModified, Header: header}, "", 0, 0, nil
	}
	for name, value := range o.Headers {
		header.Set(name, value)
	}
	if r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && r.Header.Get("Range") == "" {
		o.Checksum.set(header)
	}
	for _, name := range append(kept, "Content-Encoding") {
		if value := r.URL.Query().Get("response-" + strings.ToLower(name)); value != "" {
			header.Set(name, value)
		}
	}
	from, length, partial, err := byteRange(r.Header.Get("Range"), o.Size)
	if err != nil {
		return answer, "", 0, 0, err
	}
	answer = wire.Answer{Status: http.StatusOK, Header: header}
	if partial {
		answer.Status = http.StatusPartialContent
		header.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+length-1, 10)+"/"+strconv.FormatInt(o.Size, 10))
	}
	header.Set("Content-Length", strconv.FormatInt(length, 10))
	return answer, s.path(o.File), from, length, nil
}

// notSince reports whether an object was last modified at the header's time or before.
func notSince(header string, modified time.Time) bool {
	at, err := http.ParseTime(header)
	return err == nil && !modified.After(at)
}

// byteRange returns the part of size bytes that a Range header asks for. Several
// ranges, and what is no range, are the whole.
func byteRange(header string, size int64) (from, length int64, partial bool, err error) {
	given, isBytes := strings.CutPrefix(header, "bytes=")
	first, last, isRange := strings.Cut(given, "-")
	if !isBytes || !isRange || strings.Contains(given, ",") {
		return 0, size, false, nil
	}
	unsatisfiable := wire.Errorf("InvalidRange", "The requested range is not satisfiable").WithStatus(http.StatusRequestedRangeNotSatisfiable)
	end := size - 1
	if first == "" { // the last so many
		n, err := strconv.ParseInt(last, 10, 64)
		switch {
		case err != nil || n < 0:
			return 0, size, false, nil
		case n == 0 || size == 0:
			return 0, 0, false, unsatisfiable
		}
		from = max(0, size-n)
		return from, size - from, true, nil
	}
	from, err = strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return 0, size, false, nil
	}
	if last != "" {
		given, err := strconv.ParseInt(last, 10, 64)
		if err != nil || given < from {
			return 0, size, false, nil
		}
		end = min(end, given)
	}
	if from >= size {
		return 0, 0, false, unsatisfiable
	}
	return from, end - from + 1, true, nil
}

func (s *Service) deleteObject(_ context.Context, _ *wire.Request, bucket, key string) (wire.Answer, error) {
	return wire.Answer{Status: http.StatusNoContent}, s.remove(bucket, key)
}

// remove deletes objects together; keys that name none are no error.
func (s *Service) remove(bucket string, keys ...string) error {
	var files []string
	err := s.store.Update(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		for _, key := range keys {
			o, found, err := s.objects.Get(tx, objectKey(bucket, key))
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			files = append(files, o.File)
			if err := s.objects.Delete(tx, objectKey(bucket, key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.discard(files...)
	}
	return err
}

// mostDeletes is how many objects one request can delete.
const mostDeletes = 1000

func (s *Service) deleteObjects(_ context.Context, r *wire.Request, bucket, _ string) (wire.Answer, error) {
	type named struct {
		Key       string
		VersionId string `xml:",omitempty"`
	}
	var in struct {
		XMLName xml.Name `xml:"Delete"`
		Objects []named  `xml:"Object"`
		Quiet   bool
	}
	if err := readXML(r.HTTP, &in); err != nil {
		return wire.Answer{}, err
	}
	if len(in.Objects) == 0 || len(in.Objects) > mostDeletes {
		return wire.Answer{}, errMalformed()
	}
	keys := make([]string, len(in.Objects))
	for i, o := range in.Objects {
		if o.VersionId != "" && o.VersionId != "null" {
			return wire.Answer{}, wire.NotProvided("s3", "DeleteObjects with VersionId")
		}
		keys[i] = o.Key
	}
	if err := s.remove(bucket, keys...); err != nil {
		return wire.Answer{}, err
	}
	out := struct {
		XMLName xml.Name `xml:"DeleteResult"`
		NS      string   `xml:"xmlns,attr"`
		Deleted []named
	}{NS: namespace}
	if !in.Quiet {
		out.Deleted = in.Objects
	}
	return wire.XMLAnswer(out)
}
