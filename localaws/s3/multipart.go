package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The bounds of a multipart upload (Amazon S3 user guide, "Multipart upload limits").
const (
	mostParts    = 10000
	smallestPart = 5 << 20 // bytes, of all but the last
)

// upload is a multipart upload under way.
type upload struct {
	Begun     time.Time
	Headers   map[string]string // of the object
	Algorithm string            // of the checksum; "" for none
	Type      string            // of the checksum
}

// part is a part that has arrived.
type part struct {
	File     string
	Size     int64
	MD5      []byte
	Checksum string // in base64; "" for none
	Modified time.Time
}

// checkChecksum refuses a checksum that S3 does not compute. Which algorithms go with
// which type is in the Amazon S3 user guide, "Full object and composite checksum types".
func (u upload) checkChecksum() error {
	refuse := func(format string, args ...any) error { return wire.Errorf("InvalidRequest", format, args...) }
	switch {
	case u.Algorithm != "" && newHash(u.Algorithm) == nil:
		return refuse("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	case u.Type == "":
		return nil
	case u.Type != "FULL_OBJECT" && u.Type != "COMPOSITE":
		return refuse("Value for x-amz-checksum-type header is invalid.")
	case u.Algorithm == "":
		return refuse("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case u.Type == "FULL_OBJECT" && strings.HasPrefix(u.Algorithm, "sha"), u.Type == "COMPOSITE" && u.Algorithm == "crc64nvme":
		return refuse("The %s checksum type cannot be used with the %s checksum algorithm.", u.Type, u.Algorithm)
	}
	return nil
}

func (p part) etag() string { return `"` + hex.EncodeToString(p.MD5) + `"` }

func uploadKey(bucket, key, id string) string { return objectKey(bucket, key) + "\x00" + id }

func partKey(bucket, key, id string, number int) string {
	return uploadKey(bucket, key, id) + fmt.Sprintf("\x00%05d", number)
}

func (s *Service) createMultipartUpload(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	if err := checkKey(key); err != nil {
		return wire.Answer{}, err
	}
	h := r.HTTP.Header
	if err := refuseHeaders(h); err != nil {
		return wire.Answer{}, err
	}
	u := upload{
		Begun: time.Now().UTC(), Headers: headersOf(h),
		Algorithm: strings.ToLower(h.Get("X-Amz-Checksum-Algorithm")), Type: h.Get("X-Amz-Checksum-Type"),
	}
	if err := u.checkChecksum(); err != nil {
		return wire.Answer{}, err
	}
	switch {
	case u.Type != "" || u.Algorithm == "":
	case u.Algorithm == "crc64nvme":
		u.Type = "FULL_OBJECT"
	default:
		u.Type = "COMPOSITE"
	}
	id := rand.Text()
	if err := s.store.Update(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		return s.uploads.Put(tx, uploadKey(bucket, key, id), u)
	}); err != nil {
		return wire.Answer{}, err
	}
	answer, err := wire.XMLAnswer(struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
	}{NS: namespace, Bucket: bucket, Key: key, UploadId: id})
	setEncryption(answer.Header, object{Headers: u.Headers})
	if u.Algorithm != "" {
		answer.Header.Set("X-Amz-Checksum-Algorithm", strings.ToUpper(u.Algorithm))
		answer.Header.Set("X-Amz-Checksum-Type", u.Type)
	}
	return answer, err
}

func (s *Service) uploadPart(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	id := query.Get("uploadId")
	number, err := strconv.Atoi(query.Get("partNumber"))
	if err != nil || number < 1 || number > mostParts {
		return wire.Answer{}, errArgument("Part number must be an integer between 1 and %d, inclusive", mostParts)
	}
	begun, err := s.uploadOf(bucket, key, id)
	if err != nil {
		return wire.Answer{}, err // before the content comes
	}
	p, err := newPayload(r.HTTP, begun.Algorithm)
	if err != nil {
		return wire.Answer{}, err
	}
	file, err := s.receive(p)
	if err != nil {
		return wire.Answer{}, err
	}
	arrived := part{File: file, Size: p.size, MD5: p.md5.Sum(nil), Modified: time.Now().UTC().Truncate(time.Second)}
	var replaced part
	if err := s.store.Update(func(tx *state.Tx) error {
		u, found, err := s.uploads.Get(tx, uploadKey(bucket, key, id))
		switch {
		case err != nil:
			return err
		case !found:
			return errNoUpload()
		case u.Algorithm != "" && u.Algorithm != p.algorithm:
			return wire.Errorf("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", u.Algorithm, p.algorithm)
		case u.Algorithm != "":
			arrived.Checksum = p.sum
		}
		if replaced, _, err = s.parts.Get(tx, partKey(bucket, key, id, number)); err != nil {
			return err
		}
		return s.parts.Put(tx, partKey(bucket, key, id, number), arrived)
	}); err != nil {
		s.discard(file)
		return wire.Answer{}, err
	}
	s.discard(replaced.File)
	header := http.Header{"Etag": {arrived.etag()}}
	if p.algorithm != "" {
		header.Set(checksumHeader+p.algorithm, p.sum)
	}
	return wire.Answer{Header: header}, nil
}

// uploadOf returns an upload under way, or S3's error.
func (s *Service) uploadOf(bucket, key, id string) (u upload, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		found := false
		if u, found, err = s.uploads.Get(tx, uploadKey(bucket, key, id)); err == nil && !found {
			err = errNoUpload()
		}
		return err
	})
	return u, err
}

// completed is a part as a client names it when it completes an upload.
type completed struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

func (c completed) checksum() string {
	return c.ChecksumCRC32 + c.ChecksumCRC32C + c.ChecksumCRC64NVME + c.ChecksumSHA1 + c.ChecksumSHA256
}

func (s *Service) completeMultipartUpload(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	id := r.HTTP.URL.Query().Get("uploadId")
	// What carries a checksum here means the object, and not this request's body.
	whole := r.HTTP.Header.Clone()
	for name := range r.HTTP.Header {
		if strings.HasPrefix(name, checksumHeader) {
			r.HTTP.Header.Del(name)
		}
	}
	var in struct {
		XMLName xml.Name    `xml:"CompleteMultipartUpload"`
		Parts   []completed `xml:"Part"`
	}
	if err := readXML(r.HTTP, &in); err != nil {
		return wire.Answer{}, err
	}
	if len(in.Parts) == 0 {
		return wire.Answer{}, errMalformed()
	}
	u, err := s.uploadOf(bucket, key, id)
	if err != nil {
		return wire.Answer{}, err
	}
	parts, err := s.chosen(bucket, key, id, in.Parts)
	if err != nil {
		return wire.Answer{}, err
	}
	o, err := s.join(u, parts)
	if err != nil {
		return wire.Answer{}, err
	}
	if want := whole.Get(checksumHeader + o.Checksum.Algorithm); o.Checksum.Type == "FULL_OBJECT" && want != "" && want != o.Checksum.Value {
		s.discard(o.File)
		return wire.Answer{}, wire.Errorf("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(o.Checksum.Algorithm))
	}
	var files []string
	if err := s.put(bucket, key, o, r.HTTP.Header, func(tx *state.Tx) error {
		if _, found, err := s.uploads.Get(tx, uploadKey(bucket, key, id)); err != nil || !found {
			return errors.Join(err, errNoUpload())
		}
		files, err = s.forget(tx, uploadKey(bucket, key, id))
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	s.discard(files...)
	return s.completedAnswer(r.HTTP, bucket, key, o)
}

func (s *Service) completedAnswer(r *http.Request, bucket, key string, o object) (wire.Answer, error) {
	out := struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		NS                          string   `xml:"xmlns,attr"`
		Location, Bucket, Key, ETag string
		ChecksumCRC32               string `xml:",omitempty"`
		ChecksumCRC32C              string `xml:",omitempty"`
		ChecksumCRC64NVME           string `xml:",omitempty"`
		ChecksumSHA1                string `xml:",omitempty"`
		ChecksumSHA256              string `xml:",omitempty"`
		ChecksumType                string `xml:",omitempty"`
	}{NS: namespace, Location: "http://" + r.Host + r.URL.EscapedPath(), Bucket: bucket, Key: key, ETag: o.ETag, ChecksumType: o.Checksum.Type}
	switch o.Checksum.Algorithm {
	case "crc32":
		out.ChecksumCRC32 = o.Checksum.Value
	case "crc32c":
		out.ChecksumCRC32C = o.Checksum.Value
	case "crc64nvme":
		out.ChecksumCRC64NVME = o.Checksum.Value
	case "sha1":
		out.ChecksumSHA1 = o.Checksum.Value
	case "sha256":
		out.ChecksumSHA256 = o.Checksum.Value
	}
	answer, err := wire.XMLAnswer(out)
	setEncryption(answer.Header, o)
	return answer, err
}

// chosen returns the parts that a client names, which must be there as he says.
func (s *Service) chosen(bucket, key, id string, named []completed) (parts []part, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		for i, c := range named {
			if i > 0 && c.PartNumber <= named[i-1].PartNumber {
				return wire.Errorf("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
			}
			p, found, err := s.parts.Get(tx, partKey(bucket, key, id, c.PartNumber))
			if err != nil {
				return err
			}
			if want := c.checksum(); !found || !sameETag(c.ETag, p.etag()) || want != "" && p.Checksum != "" && want != p.Checksum {
				return wire.Errorf("InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
			}
			if p.Size < smallestPart && i < len(named)-1 {
				return wire.Errorf("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
			}
			parts = append(parts, p)
		}
		return nil
	})
	return parts, err
}

// join makes one object of parts. Its file is not named in a table yet.
func (s *Service) join(u upload, parts []part) (o object, err error) {
	f, err := s.newFile()
	if err != nil {
		return o, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			s.discard(s.name(f))
		}
	}()
	o = object{File: s.name(f), Modified: time.Now().UTC().Truncate(time.Second), Headers: u.Headers}
	var sum hash.Hash
	to := io.Writer(f)
	if u.Algorithm != "" {
		sum = newHash(u.Algorithm)
	}
	if u.Type == "FULL_OBJECT" {
		to = io.MultiWriter(f, sum)
	}
	tags := md5.New()
	for _, p := range parts {
		if err := s.appendPart(to, p); err != nil {
			return o, err
		}
		o.Size += p.Size
		tags.Write(p.MD5)
		if u.Type == "COMPOSITE" {
			raw, err := base64.StdEncoding.DecodeString(p.Checksum)
			if err != nil {
				return o, err
			}
			sum.Write(raw)
		}
	}
	o.ETag = fmt.Sprintf(`"%x-%d"`, tags.Sum(nil), len(parts))
	if sum != nil {
		o.Checksum = checksum{u.Algorithm, base64.StdEncoding.EncodeToString(sum.Sum(nil)), u.Type}
	}
	if u.Type == "COMPOSITE" {
		o.Checksum.Value += "-" + strconv.Itoa(len(parts))
	}
	return o, s.sync(f)
}

func (s *Service) appendPart(to io.Writer, p part) error {
	f, err := os.Open(s.path(p.File))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}

func (s *Service) abortMultipartUpload(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	id := r.HTTP.URL.Query().Get("uploadId")
	if _, err := s.uploadOf(bucket, key, id); err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Status: http.StatusNoContent}, s.drop(uploadKey(bucket, key, id))
}

// dropUploads ends the uploads to a bucket that is gone.
func (s *Service) dropUploads(bucket string) error { return s.drop(objectKey(bucket, "")) }

// drop ends the uploads whose keys begin with prefix.
func (s *Service) drop(prefix string) error {
	var files []string
	err := s.store.Update(func(tx *state.Tx) (err error) {
		files, err = s.forget(tx, prefix)
		return err
	})
	if err == nil {
		s.discard(files...)
	}
	return err
}

// forget removes the uploads whose keys begin with prefix from the tables, and
// returns the files of their parts.
func (s *Service) forget(tx *state.Tx, prefix string) (files []string, err error) {
	var uploads, parts []string
	for key := range s.uploads.All(tx, prefix, &err) {
		uploads = append(uploads, key)
	}
	for key, p := range s.parts.All(tx, prefix, &err) {
		parts, files = append(parts, key), append(files, p.File)
	}
	for _, key := range uploads {
		err = errors.Join(err, s.uploads.Delete(tx, key))
	}
	for _, key := range parts {
		err = errors.Join(err, s.parts.Delete(tx, key))
	}
	return files, err
}

func (s *Service) listParts(_ context.Context, r *wire.Request, bucket, key string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	id := query.Get("uploadId")
	if _, err := s.uploadOf(bucket, key, id); err != nil {
		return wire.Answer{}, err
	}
	for _, name := range []string{"max-parts", "part-number-marker"} {
		if query.Get(name) != "" {
			return wire.Answer{}, wire.NotProvided("s3", "ListParts with "+name)
		}
	}
	type listed struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
	}
	out := struct {
		XMLName               xml.Name `xml:"ListPartsResult"`
		NS                    string   `xml:"xmlns,attr"`
		Bucket, Key, UploadId string
		MaxParts              int
		IsTruncated           bool
		Part                  []listed
	}{NS: namespace, Bucket: bucket, Key: key, UploadId: id, MaxParts: mostParts}
	prefix := uploadKey(bucket, key, id) + "\x00"
	if err := s.store.View(func(tx *state.Tx) (err error) {
		for tableKey, p := range s.parts.All(tx, prefix, &err) {
			number, failed := strconv.Atoi(strings.TrimPrefix(tableKey, prefix))
			if failed != nil {
				return failed
			}
			out.Part = append(out.Part, listed{number, timestamp(p.Modified), p.etag(), p.Size})
		}
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.XMLAnswer(out)
}
