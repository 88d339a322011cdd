package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// setting is a document about a bucket that is put, read and deleted as a whole.
type setting struct {
	key     string      // in the query
	name    string      // of the operations, as in "BucketEncryption"
	root    string      // the document's root element; "" for a policy, which is JSON
	unset   *wire.Error // what reading answers before one was put; nil where initial is answered
	initial string      // the document that a bucket begins with
	kept    bool        // there is no operation to delete it
	delName string      // where deleting is called otherwise
}

func settings() []setting {
	missing := func(code, message string) *wire.Error {
		return &wire.Error{Code: code, Message: message, Status: http.StatusNotFound}
	}
	return []setting{
		{
			key: "encryption", name: "BucketEncryption", root: "ServerSideEncryptionConfiguration",
			// Since January 2023 every bucket encrypts (Amazon S3 user guide, "Default encryption").
			initial: `<ServerSideEncryptionConfiguration xmlns="` + namespace + `"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		},
		{key: "versioning", name: "BucketVersioning", root: "VersioningConfiguration", initial: `<VersioningConfiguration xmlns="` + namespace + `"/>`, kept: true},
		{key: "policy", name: "BucketPolicy", unset: missing("NoSuchBucketPolicy", "The bucket policy does not exist")},
		{key: "publicAccessBlock", name: "PublicAccessBlock", root: "PublicAccessBlockConfiguration", unset: missing("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")},
		{
			key: "lifecycle", name: "BucketLifecycleConfiguration", delName: "DeleteBucketLifecycle", root: "LifecycleConfiguration",
			unset: missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
		},
		{key: "tagging", name: "BucketTagging", root: "Tagging", unset: missing("NoSuchTagSet", "The TagSet does not exist")},
		{key: "ownershipControls", name: "BucketOwnershipControls", root: "OwnershipControls", unset: missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")},
	}
}

func (s *Service) settingRoutes(c setting) []wire.XMLRoute {
	remove := c.delName
	if remove == "" {
		remove = "Delete" + c.name
	}
	routes := []wire.XMLRoute{
		{Operation: "Put" + c.name, Method: "PUT", Level: wire.OneBucket, Query: c.key, Handle: s.putSetting(c)},
		{Operation: "Get" + c.name, Method: "GET", Level: wire.OneBucket, Query: c.key, Handle: s.getSetting(c)},
	}
	if c.kept {
		return routes
	}
	return append(routes, wire.XMLRoute{Operation: remove, Method: "DELETE", Level: wire.OneBucket, Query: c.key, Handle: s.deleteSetting(c)})
}

type handler = func(ctx context.Context, r *wire.Request, bucket, key string) (wire.Answer, error)

func (s *Service) putSetting(c setting) handler {
	return func(_ context.Context, r *wire.Request, name, _ string) (wire.Answer, error) {
		document, err := readDocument(r.HTTP)
		if err != nil {
			return wire.Answer{}, err
		}
		status := http.StatusOK
		if c.root == "" {
			status = http.StatusNoContent
			if !json.Valid(document) {
				return wire.Answer{}, wire.Errorf("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
			}
		} else if err := checkDocument(document, c.root); err != nil {
			return wire.Answer{}, err
		}
		return wire.Answer{Status: status}, s.changeSettings(name, func(settings map[string]string) { settings[c.key] = string(document) })
	}
}

func (s *Service) getSetting(c setting) handler {
	return func(_ context.Context, _ *wire.Request, name, _ string) (wire.Answer, error) {
		b, err := s.bucket(name)
		if err != nil {
			return wire.Answer{}, err
		}
		document, found := b.Settings[c.key]
		if !found && c.unset != nil {
			return wire.Answer{}, c.unset
		}
		if !found {
			document = c.initial
		}
		contentType := "application/xml"
		if c.root == "" {
			contentType = "application/json"
		}
		return wire.Answer{Header: http.Header{"Content-Type": {contentType}}, Body: []byte(document)}, nil
	}
}

func (s *Service) deleteSetting(c setting) handler {
	return func(_ context.Context, _ *wire.Request, name, _ string) (wire.Answer, error) {
		return wire.Answer{Status: http.StatusNoContent}, s.changeSettings(name, func(settings map[string]string) { delete(settings, c.key) })
	}
}

func (s *Service) changeSettings(name string, edit func(map[string]string)) error {
	return s.store.Update(func(tx *state.Tx) error {
		b, err := s.bucketIn(tx, name)
		if err != nil {
			return err
		}
		if b.Settings == nil {
			b.Settings = map[string]string{}
		}
		edit(b.Settings)
		return s.buckets.Put(tx, name, b)
	})
}

// checkDocument checks that a document is XML with one root element of that name.
func checkDocument(document []byte, root string) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for depth, roots := 0, 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && roots == 1 {
			return nil
		}
		if err != nil {
			return errMalformed()
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				if roots++; token.Name.Local != root || roots > 1 {
					return errMalformed()
				}
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// refuseHeaders refuses what would change how an object or a bucket behaves, and
// would not here.
func refuseHeaders(h http.Header) error {
	for _, name := range []string{
		"X-Amz-Tagging", "X-Amz-Website-Redirect-Location", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Object-Lock-Retain-Until-Date",
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Bucket-Object-Lock-Enabled", "X-Amz-Write-Offset-Bytes",
		"X-Amz-Grant-Full-Control", "X-Amz-Grant-Read", "X-Amz-Grant-Write", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp",
	} {
		if value := h.Get(name); value != "" && value != "false" {
			return wire.NotProvided("s3", "Header "+name)
		}
	}
	for name, usual := range map[string][]string{
		"X-Amz-Acl":           {"private", "bucket-owner-full-control"},
		"X-Amz-Storage-Class": {"STANDARD"},
	} {
		value := h.Get(name)
		if value != "" && value != usual[0] && value != usual[len(usual)-1] {
			return wire.NotProvided("s3", fmt.Sprintf("Header %s: %s", name, value))
		}
	}
	return nil
}
