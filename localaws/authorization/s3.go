package authorization

import "github.com/tasuki-dev/tasuki/localaws/wire"

// s3 says what an operation of S3 needs, whose actions often have other names. What a
// request to delete several objects names is in its body, which is not read here: it
// needs all objects of the bucket.
func s3(operation string, r *wire.Request) []Need {
	bucket, key := wire.BucketAndKey(r.HTTP)
	ofBucket := "arn:aws:s3:::" + bucket
	objects := map[string]string{
		"GetObject": "GetObject", "HeadObject": "GetObject", "PutObject": "PutObject", "DeleteObject": "DeleteObject", "DeleteObjects": "DeleteObject",
		"CreateMultipartUpload": "PutObject", "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
		"AbortMultipartUpload": "AbortMultipartUpload", "ListParts": "ListMultipartUploadParts",
	}
	buckets := map[string]string{
		"HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket",
		"GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketEncryption": "PutEncryptionConfiguration",
		"GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock", "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
		"GetBucketLifecycleConfiguration": "GetLifecycleConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration", "DeleteBucketLifecycle": "PutLifecycleConfiguration",
		"DeleteBucketTagging": "PutBucketTagging", "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
	}
	switch {
	case operation == "ListBuckets":
		return on("s3:ListAllMyBuckets", anything)
	case operation == "DeleteObjects":
		return on("s3:DeleteObject", ofBucket+"/*")
	case objects[operation] != "":
		return on("s3:"+objects[operation], ofBucket+"/"+key)
	case buckets[operation] != "":
		return on("s3:"+buckets[operation], ofBucket)
	}
	return on("s3:"+operation, ofBucket)
}
