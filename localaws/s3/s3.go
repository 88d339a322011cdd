// Package s3 is the local endpoint's Amazon S3: buckets with their settings, objects
// of any size, streamed to the disk and checked on the way, and multipart uploads.
//
// A bucket's settings are recorded and answered as they were given, and change
// nothing: of a bucket with versioning, only the last version is kept.
package s3

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The errors of [Service.Open].
var (
	ErrNoBucket = errors.New("the specified bucket does not exist")
	ErrNoObject = errors.New("the specified key does not exist")
)

// Service is the local S3 of one account and region.
type Service struct {
	store   *state.Store
	account string
	region  string
	dir     string // of the objects' contents

	buckets state.Table[bucket] // by name
	objects state.Table[object] // by objectKey
	uploads state.Table[upload] // by uploadKey
	parts   state.Table[part]   // by partKey
}

// New returns the service with its buckets in store. Contents that no object has,
// such as those of an upload that a process's end interrupted, are removed.
func New(store *state.Store, account, region string) (*Service, error) {
	s := &Service{
		store: store, account: account, region: region, dir: filepath.Join(store.Dir(), "s3"),
		buckets: state.Table[bucket]{Name: "s3.buckets"},
		objects: state.Table[object]{Name: "s3.objects"},
		uploads: state.Table[upload]{Name: "s3.uploads"},
		parts:   state.Table[part]{Name: "s3.parts"},
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("take up the objects of %s: %w", store.Dir(), err)
	}
	return s, nil
}

// sweep removes the files that nothing in the tables names.
func (s *Service) sweep() error {
	used := map[string]bool{}
	if err := s.store.View(func(tx *state.Tx) (err error) {
		for _, o := range s.objects.All(tx, "", &err) {
			used[o.File] = true
		}
		for _, p := range s.parts.All(tx, "", &err) {
			used[p.File] = true
		}
		return err
	}); err != nil {
		return err
	}
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if used[file.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, file.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	routes := []wire.XMLRoute{
		{Operation: "ListBuckets", Method: "GET", Level: wire.AllBuckets, Handle: s.listBuckets},
		{Operation: "CreateBucket", Method: "PUT", Level: wire.OneBucket, Handle: s.createBucket},
		{Operation: "HeadBucket", Method: "HEAD", Level: wire.OneBucket, Handle: s.headBucket},
		{Operation: "DeleteBucket", Method: "DELETE", Level: wire.OneBucket, Handle: s.deleteBucket},
		{Operation: "GetBucketLocation", Method: "GET", Level: wire.OneBucket, Query: "location", Handle: s.getBucketLocation},
		{Operation: "ListObjectsV2", Method: "GET", Level: wire.OneBucket, Query: "list-type=2", Handle: s.listObjects},
		{Operation: "DeleteObjects", Method: "POST", Level: wire.OneBucket, Query: "delete", Handle: s.deleteObjects},
		{Operation: "PutObject", Method: "PUT", Level: wire.OneObject, Handle: s.putObject},
		{Operation: "GetObject", Method: "GET", Level: wire.OneObject, Handle: s.getObject},
		{Operation: "HeadObject", Method: "HEAD", Level: wire.OneObject, Handle: s.headObject},
		{Operation: "DeleteObject", Method: "DELETE", Level: wire.OneObject, Handle: s.deleteObject},
		{Operation: "CreateMultipartUpload", Method: "POST", Level: wire.OneObject, Query: "uploads", Handle: s.createMultipartUpload},
		{Operation: "UploadPart", Method: "PUT", Level: wire.OneObject, Query: "uploadId&partNumber", Handle: s.uploadPart},
		{Operation: "CompleteMultipartUpload", Method: "POST", Level: wire.OneObject, Query: "uploadId", Handle: s.completeMultipartUpload},
		{Operation: "AbortMultipartUpload", Method: "DELETE", Level: wire.OneObject, Query: "uploadId", Handle: s.abortMultipartUpload},
		{Operation: "ListParts", Method: "GET", Level: wire.OneObject, Query: "uploadId", Handle: s.listParts},
	}
	for _, setting := range settings() {
		routes = append(routes, s.settingRoutes(setting)...)
	}
	return &wire.XML{Service: "s3", Routes: routes}
}

// Open opens an object for the endpoint's other services, and returns its size in
// bytes. The errors are [ErrNoBucket] and [ErrNoObject].
func (s *Service) Open(bucket, key string) (io.ReadCloser, int64, error) {
	for last := ""; ; {
		o, err := s.find(bucket, key)
		if err != nil {
			return nil, 0, err
		}
		f, err := os.Open(s.path(o.File))
		if errors.Is(err, fs.ErrNotExist) && o.File != last {
			last = o.File // the object has been replaced or deleted since it was found
			continue
		}
		if err != nil {
			return nil, 0, err // and no file: a nil one would not be a nil io.ReadCloser
		}
		return f, o.Size, nil
	}
}

func (s *Service) path(file string) string { return filepath.Join(s.dir, file) }
