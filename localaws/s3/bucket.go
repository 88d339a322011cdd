package s3

import (
	"context"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// bucket is a bucket as it is stored.
type bucket struct {
	Created  time.Time
	Settings map[string]string // the documents that were put, by the setting's key in a query
}

// namespace is of every XML document of S3's.
const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// owner is the account that has every bucket.
type owner struct{ ID, DisplayName string }

func (s *Service) owner() owner { return owner{ID: s.account, DisplayName: "local"} }

// nameGrammar is a general purpose bucket's name (Amazon S3 user guide, "Bucket naming rules").
var nameGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })

// largestDocument bounds the XML documents that are read into memory, in bytes.
// DeleteObjects with a thousand of the longest keys is the largest.
const largestDocument = 4 << 20

// readXML reads a request's document into v; an empty one leaves v as it is.
func readXML(r *http.Request, v any) error {
	content, err := readDocument(r)
	if err != nil || len(content) == 0 {
		return err
	}
	if err := xml.Unmarshal(content, v); err != nil {
		return errMalformed()
	}
	return nil
}

// readDocument reads a small body, and checks it against its checksums.
func readDocument(r *http.Request) ([]byte, error) {
	p, err := newPayload(r, "")
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(p, largestDocument+1))
	if err != nil {
		return nil, p.failure(err)
	}
	if len(content) > largestDocument {
		return nil, wire.Errorf("MaxMessageLengthExceeded", "Your request was too large.")
	}
	return content, p.verify()
}

func (s *Service) createBucket(_ context.Context, r *wire.Request, name, _ string) (wire.Answer, error) {
	if !nameGrammar().MatchString(name) || net.ParseIP(name) != nil {
		return wire.Answer{}, wire.Errorf("InvalidBucketName", "The specified bucket is not valid.")
	}
	var in struct {
		XMLName            xml.Name `xml:"CreateBucketConfiguration"`
		LocationConstraint string
	}
	if err := readXML(r.HTTP, &in); err != nil {
		return wire.Answer{}, err
	}
	if err := refuseHeaders(r.HTTP.Header); err != nil {
		return wire.Answer{}, err
	}
	// us-east-1 is named by naming none (API reference, CreateBucket).
	if want := s.location(); in.LocationConstraint != want {
		if in.LocationConstraint == "" {
			return wire.Answer{}, wire.Errorf("IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
		}
		return wire.Answer{}, wire.Errorf("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", in.LocationConstraint)
	}
	err := s.store.Update(func(tx *state.Tx) error {
		_, found, err := s.buckets.Get(tx, name)
		switch {
		case err != nil:
			return err
		case found && s.location() == "":
			return nil // as us-east-1 does (API reference, CreateBucket)
		case found:
			return wire.Errorf("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.").WithStatus(http.StatusConflict)
		}
		return s.buckets.Put(tx, name, bucket{Created: time.Now().UTC().Truncate(time.Second)})
	})
	return wire.Answer{Header: http.Header{"Location": {"/" + name}}}, err
}

// location is the region as S3 names it in a bucket's location.
func (s *Service) location() string {
	if s.region == "us-east-1" {
		return ""
	}
	return s.region
}

func (s *Service) headBucket(_ context.Context, _ *wire.Request, name, _ string) (wire.Answer, error) {
	_, err := s.bucket(name)
	return wire.Answer{Header: http.Header{"X-Amz-Bucket-Region": {s.region}}}, err
}

func (s *Service) getBucketLocation(_ context.Context, _ *wire.Request, name, _ string) (wire.Answer, error) {
	if _, err := s.bucket(name); err != nil {
		return wire.Answer{}, err
	}
	return wire.XMLAnswer(struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		NS      string   `xml:"xmlns,attr"`
		Region  string   `xml:",chardata"`
	}{NS: namespace, Region: s.location()})
}

func (s *Service) listBuckets(_ context.Context, r *wire.Request, _, _ string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	for _, key := range []string{"max-buckets", "continuation-token", "prefix", "bucket-region"} {
		if query.Get(key) != "" {
			return wire.Answer{}, wire.NotProvided("s3", "ListBuckets with "+key)
		}
	}
	type entry struct{ Name, CreationDate, BucketRegion string }
	var entries []entry
	if err := s.store.View(func(tx *state.Tx) (err error) {
		for name, b := range s.buckets.All(tx, "", &err) {
			entries = append(entries, entry{name, timestamp(b.Created), s.region})
		}
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	return wire.XMLAnswer(struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		NS      string   `xml:"xmlns,attr"`
		Owner   owner
		Buckets []entry `xml:"Buckets>Bucket"`
	}{NS: namespace, Owner: s.owner(), Buckets: entries})
}

func (s *Service) deleteBucket(_ context.Context, _ *wire.Request, name, _ string) (wire.Answer, error) {
	err := s.store.Update(func(tx *state.Tx) (err error) {
		if _, err := s.bucketIn(tx, name); err != nil {
			return err
		}
		for range s.objects.All(tx, objectKey(name, ""), &err) {
			return wire.Errorf("BucketNotEmpty", "The bucket you tried to delete is not empty").WithStatus(http.StatusConflict)
		}
		if err != nil {
			return err
		}
		return s.buckets.Delete(tx, name)
	})
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.Answer{Status: http.StatusNoContent}, s.dropUploads(name)
}

// bucket returns a bucket, or S3's error.
func (s *Service) bucket(name string) (b bucket, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		b, err = s.bucketIn(tx, name)
		return err
	})
	return b, err
}

func (s *Service) bucketIn(tx *state.Tx, name string) (bucket, error) {
	b, found, err := s.buckets.Get(tx, name)
	if err == nil && !found {
		err = errNoBucket()
	}
	return b, err
}

// timestamp is a time in S3's XML.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
