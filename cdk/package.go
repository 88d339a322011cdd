package tasukicdk

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/cdk/internal/providerpackage"
)

// providerCode returns the provider's program: the zip file that is given, else one that
// is built now.
func providerCode(at constructs.Construct, arch tasuki.Architecture, zip *string) awslambda.Code {
	if zip != nil {
		if info, err := os.Stat(*zip); err != nil || info.IsDir() || !strings.HasSuffix(*zip, ".zip") {
			mistake(at, "the provider's Package %q is no zip file: give the path of one that has the program as bootstrap, or leave Package out to build it", *zip)
			return noCode(at)
		}
		return awslambda.Code_FromAsset(zip, nil)
	}
	built, err := providerpackage.Build(context.Background(), providerpackage.Options{
		GOARCH: arch.OCI(),
	})
	if err != nil {
		mistake(at, "%v", err)
		return noCode(at)
	}
	return awslambda.Code_FromAsset(jsii.String(built.Dir), &awss3assets.AssetOptions{
		AssetHash:     jsii.String(built.Hash),
		AssetHashType: awscdk.AssetHashType_CUSTOM,
	})
}

// noCode stands in for a program that there is not, in a template that is never deployed.
func noCode(at constructs.Construct) awslambda.Code {
	bucket := awss3.Bucket_FromBucketName(at, jsii.String("NoPackage"), jsii.String("no-package"))
	return awslambda.Code_FromBucket(bucket, jsii.String("bootstrap.zip"), jsii.String("none"))
}
