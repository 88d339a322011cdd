package resource

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const longestBucketName = 63 // characters

// bucket is AWS::S3::Bucket.
func bucket() Type {
	return Type{
		Name: "AWS::S3::Bucket",
		Properties: map[string]Property{
			"AccessControl": text(), // Private, which every bucket is
			"BucketEncryption": object(map[string]Property{"ServerSideEncryptionConfiguration": required(listOf(object(map[string]Property{
				"BucketKeyEnabled":              boolean(),
				"ServerSideEncryptionByDefault": object(map[string]Property{"KMSMasterKeyID": text(), "SSEAlgorithm": required(text())}),
			})))}),
			"BucketName": text(),
			"LifecycleConfiguration": object(map[string]Property{"Rules": required(listOf(object(map[string]Property{
				"AbortIncompleteMultipartUpload": object(map[string]Property{"DaysAfterInitiation": required(integer())}),
				"ExpirationInDays":               integer(), "ExpiredObjectDeleteMarker": boolean(), "Id": text(),
				"NoncurrentVersionExpiration": object(map[string]Property{"NewerNoncurrentVersions": integer(), "NoncurrentDays": required(integer())}),
				"Prefix":                      text(), "Status": required(text()),
			})))}),
			"PublicAccessBlockConfiguration": object(map[string]Property{
				"BlockPublicAcls": boolean(), "BlockPublicPolicy": boolean(), "IgnorePublicAcls": boolean(), "RestrictPublicBuckets": boolean(),
			}),
			"Tags":                    tagList(),
			"VersioningConfiguration": object(map[string]Property{"Status": required(text())}),
		},
		CreateOnly: []string{"BucketName"},
		Attributes: []string{"Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL"},
		Create:     createBucket,
		Update:     setBucket,
		Delete: func(ctx context.Context, r Request) error {
			_, err := r.s3().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

// s3 returns a client that names buckets in paths: of a local endpoint's name there
// are no subdomains.
func (r Request) s3() *s3.Client {
	return s3.NewFromConfig(r.AWS, func(o *s3.Options) { o.UsePathStyle = true })
}

func createBucket(ctx context.Context, r Request) (Result, error) {
	r.PhysicalID = r.lower("BucketName", longestBucketName)
	// In us-east-1 S3 creates one's own bucket again.
	if err := r.unless(r.PhysicalID, func() error {
		_, err := r.s3().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &r.PhysicalID})
		return err
	}); err != nil {
		return Result{}, err
	}
	in := &s3.CreateBucketInput{Bucket: &r.PhysicalID}
	if r.Region != "us-east-1" { // where S3 refuses one
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(r.Region)}
	}
	if _, err := r.s3().CreateBucket(ctx, in); err != nil && !r.mine(err) {
		return Result{}, err
	}
	return setBucket(ctx, r)
}

// setBucket writes what a bucket is set to and was not before.
func setBucket(ctx context.Context, r Request) (Result, error) {
	if access := r.text("AccessControl"); access != "" && access != "Private" {
		return Result{PhysicalID: r.PhysicalID}, refusal("AccessControl " + access + " is not provided by tasuki local.")
	}
	host := "s3." + r.Region + ".amazonaws.com"
	result := Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{
		"Arn": "arn:aws:s3:::" + r.PhysicalID, "DomainName": r.PhysicalID + ".s3.amazonaws.com", "RegionalDomainName": r.PhysicalID + "." + host,
		"DualStackDomainName": r.PhysicalID + ".s3.dualstack." + r.Region + ".amazonaws.com", "WebsiteURL": "http://" + r.PhysicalID + ".s3-website-" + r.Region + ".amazonaws.com",
	}}
	for _, setting := range []struct {
		property string
		set      func(context.Context, *s3.Client) error
	}{
		{"BucketEncryption", r.setEncryption},
		{"PublicAccessBlockConfiguration", r.setPublicAccess},
		{"VersioningConfiguration", r.setVersioning},
		{"LifecycleConfiguration", r.setLifecycle},
	} {
		if !r.changed(setting.property) {
			continue
		}
		if err := setting.set(ctx, r.s3()); err != nil {
			return result, err
		}
	}
	if !r.retagged() {
		return result, nil
	}
	_, err := r.s3().PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &r.PhysicalID, Tagging: &types.Tagging{
		TagSet: pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }),
	}})
	return result, err
}

func (r Request) setEncryption(ctx context.Context, client *s3.Client) error {
	given := struct {
		ServerSideEncryptionConfiguration []struct {
			BucketKeyEnabled              *bool
			ServerSideEncryptionByDefault *types.ServerSideEncryptionByDefault
		}
	}{}
	if r.Properties["BucketEncryption"] == nil {
		_, err := client.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &r.PhysicalID})
		return err
	}
	if err := decode(r.Properties["BucketEncryption"], &given); err != nil {
		return err
	}
	in := &s3.PutBucketEncryptionInput{Bucket: &r.PhysicalID, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{}}
	for _, rule := range given.ServerSideEncryptionConfiguration {
		in.ServerSideEncryptionConfiguration.Rules = append(in.ServerSideEncryptionConfiguration.Rules, types.ServerSideEncryptionRule{
			BucketKeyEnabled: rule.BucketKeyEnabled, ApplyServerSideEncryptionByDefault: rule.ServerSideEncryptionByDefault,
		})
	}
	_, err := client.PutBucketEncryption(ctx, in)
	return err
}

func (r Request) setPublicAccess(ctx context.Context, client *s3.Client) error {
	if r.Properties["PublicAccessBlockConfiguration"] == nil {
		_, err := client.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: &r.PhysicalID})
		return err
	}
	in := &s3.PutPublicAccessBlockInput{}
	if err := decode(pick(r.Properties, "PublicAccessBlockConfiguration"), in); err != nil {
		return err
	}
	in.Bucket = &r.PhysicalID
	_, err := client.PutPublicAccessBlock(ctx, in)
	return err
}

func (r Request) setVersioning(ctx context.Context, client *s3.Client) error {
	in := &s3.PutBucketVersioningInput{VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}}
	if err := decode(pick(r.Properties, "VersioningConfiguration"), in); err != nil {
		return err
	}
	in.Bucket = &r.PhysicalID
	_, err := client.PutBucketVersioning(ctx, in)
	return err
}

func (r Request) setLifecycle(ctx context.Context, client *s3.Client) error {
	if r.Properties["LifecycleConfiguration"] == nil {
		_, err := client.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: &r.PhysicalID})
		return err
	}
	given := struct {
		Rules []struct {
			AbortIncompleteMultipartUpload *types.AbortIncompleteMultipartUpload
			ExpirationInDays               *int32
			ExpiredObjectDeleteMarker      *bool
			Id                             *string
			NoncurrentVersionExpiration    *types.NoncurrentVersionExpiration
			Prefix                         string
			Status                         types.ExpirationStatus
		}
	}{}
	if err := decode(r.Properties["LifecycleConfiguration"], &given); err != nil {
		return err
	}
	in := &s3.PutBucketLifecycleConfigurationInput{Bucket: &r.PhysicalID, LifecycleConfiguration: &types.BucketLifecycleConfiguration{}}
	for _, g := range given.Rules {
		rule := types.LifecycleRule{
			ID: g.Id, Status: g.Status, Filter: &types.LifecycleRuleFilter{Prefix: &g.Prefix},
			AbortIncompleteMultipartUpload: g.AbortIncompleteMultipartUpload, NoncurrentVersionExpiration: g.NoncurrentVersionExpiration,
		}
		if g.ExpirationInDays != nil || g.ExpiredObjectDeleteMarker != nil {
			rule.Expiration = &types.LifecycleExpiration{Days: g.ExpirationInDays, ExpiredObjectDeleteMarker: g.ExpiredObjectDeleteMarker}
		}
		in.LifecycleConfiguration.Rules = append(in.LifecycleConfiguration.Rules, rule)
	}
	_, err := client.PutBucketLifecycleConfiguration(ctx, in)
	return err
}

// bucketPolicy is AWS::S3::BucketPolicy. Its physical id is its bucket's name.
func bucketPolicy() Type {
	put := func(ctx context.Context, r Request) (Result, error) {
		document, err := documentText(r.Properties["PolicyDocument"])
		if err != nil {
			return Result{PhysicalID: r.PhysicalID}, err
		}
		if _, err := r.s3().PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String(r.text("Bucket")), Policy: document}); err != nil {
			return Result{PhysicalID: r.PhysicalID}, err
		}
		return Result{PhysicalID: r.text("Bucket")}, nil
	}
	return Type{
		Name:       "AWS::S3::BucketPolicy",
		Properties: map[string]Property{"Bucket": required(text()), "PolicyDocument": required(document())},
		CreateOnly: []string{"Bucket"},
		Attributes: []string{},
		Create: func(ctx context.Context, r Request) (Result, error) {
			bucket := r.text("Bucket")
			if err := r.unless(bucket, func() error {
				_, err := r.s3().GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &bucket})
				return err
			}); err != nil {
				return Result{}, err
			}
			return put(ctx, r)
		},
		Update: put,
		Delete: func(ctx context.Context, r Request) error {
			_, err := r.s3().DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: aws.String(r.text("Bucket"))})
			return unlessMissing(err)
		},
	}
}
