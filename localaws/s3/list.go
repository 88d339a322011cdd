package s3

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// longestList is how many keys a page has at most.
const longestList = 1000

type listedObject struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
	Owner        *owner `xml:",omitempty"`
}

type listedPrefix struct{ Prefix string }

type list struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	NS                    string   `xml:"xmlns,attr"`
	Name                  string
	Prefix                string
	Delimiter             string `xml:",omitempty"`
	StartAfter            string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listedObject
	CommonPrefixes        []listedPrefix
}

// listObjects lists a bucket's objects in the order of their keys; those with the
// delimiter after the prefix are rolled up into what is before it.
func (s *Service) listObjects(_ context.Context, r *wire.Request, bucket, _ string) (wire.Answer, error) {
	query := r.HTTP.URL.Query()
	out := &list{
		NS: namespace, Name: bucket, Prefix: query.Get("prefix"), Delimiter: query.Get("delimiter"), StartAfter: query.Get("start-after"),
		EncodingType: query.Get("encoding-type"), MaxKeys: longestList, ContinuationToken: query.Get("continuation-token"),
	}
	if out.EncodingType != "" && out.EncodingType != "url" {
		return wire.Answer{}, errArgument("Invalid Encoding Method specified in Request")
	}
	if given := query.Get("max-keys"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 0 {
			return wire.Answer{}, errArgument("Provided max-keys not an integer or within integer range")
		}
		out.MaxKeys = min(n, longestList)
	}
	after := out.StartAfter
	if out.ContinuationToken != "" {
		last, err := base64.RawURLEncoding.DecodeString(out.ContinuationToken)
		if err != nil {
			return wire.Answer{}, errArgument("The continuation token provided is incorrect")
		}
		after = string(last)
	}
	if err := s.store.View(func(tx *state.Tx) error {
		if _, err := s.bucketIn(tx, bucket); err != nil {
			return err
		}
		return s.fill(tx, out, after, query.Get("fetch-owner") == "true")
	}); err != nil {
		return wire.Answer{}, err
	}
	if out.EncodingType == "url" {
		out.escape()
	}
	return wire.XMLAnswer(out)
}

// fill adds what comes behind after. A token names the last key or the last common
// prefix of a page, behind which all that begins with it is skipped.
func (s *Service) fill(tx *state.Tx, out *list, after string, withOwner bool) (err error) {
	last := ""
	for tableKey, o := range s.objects.All(tx, objectKey(out.Name, out.Prefix), &err) {
		key := strings.TrimPrefix(tableKey, objectKey(out.Name, ""))
		common := ""
		if out.Delimiter != "" {
			if before, _, found := strings.Cut(key[len(out.Prefix):], out.Delimiter); found {
				common = out.Prefix + before + out.Delimiter
			}
		}
		switch {
		case key <= after, common != "" && strings.HasPrefix(after, common):
			continue
		case common != "" && len(out.CommonPrefixes) > 0 && out.CommonPrefixes[len(out.CommonPrefixes)-1].Prefix == common:
			continue
		case out.KeyCount == out.MaxKeys:
			if out.MaxKeys > 0 {
				out.IsTruncated, out.NextContinuationToken = true, base64.RawURLEncoding.EncodeToString([]byte(last))
			}
			return err
		}
		out.KeyCount++
		if common != "" {
			out.CommonPrefixes, last = append(out.CommonPrefixes, listedPrefix{common}), common
			continue
		}
		listed := listedObject{Key: key, LastModified: timestamp(o.Modified), ETag: o.ETag, Size: o.Size, StorageClass: "STANDARD"}
		if withOwner {
			owner := s.owner()
			listed.Owner = &owner
		}
		out.Contents, last = append(out.Contents, listed), key
	}
	return err
}

// escape writes keys as clients ask for them that cannot read every character in XML.
func (l *list) escape() {
	quote := func(text *string) { *text = strings.ReplaceAll(url.QueryEscape(*text), "%2F", "/") }
	quote(&l.Prefix)
	quote(&l.Delimiter)
	quote(&l.StartAfter)
	for i := range l.Contents {
		quote(&l.Contents[i].Key)
	}
	for i := range l.CommonPrefixes {
		quote(&l.CommonPrefixes[i].Prefix)
	}
}
