package tasukicdk

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecrassets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/policy"
)

// ImageSource is where an image comes from. Make one with a function whose name begins
// with Image.
type ImageSource struct {
	bind func(scope constructs.Construct, arch tasuki.Architecture) boundSource
}

// bindTo binds the source to where it is used.
func (s ImageSource) bindTo(scope constructs.Construct, arch tasuki.Architecture) boundSource {
	if s.bind == nil {
		mistake(scope, "there is no Source: make one with ImageFromRegistry, ImageFromEcr, ImageFromDirectory, ImageFromArchive or ImageFromBucket")
		return boundSource{}
	}
	return s.bind(scope, arch)
}

// boundSource is a source in the words of the provider, and what it needs for it.
type boundSource struct {
	reference string
	secret    string // ARN
	policy.DeploymentResources
}

// RegistryOptions say how to read from a registry.
type RegistryOptions struct {
	// CredentialsSecretArn is the full ARN of a secret in Secrets Manager, whose value is
	// USER:PASSWORD or {"username":"…","password":"…"}; "" for a registry that anybody
	// may read.
	CredentialsSecretArn string
}

// ImageFromRegistry is an image in a registry, as in "docker.io/library/nginx:1.29" or
// "public.ecr.aws/lambda/provided:al2023". It is read at deploy time.
func ImageFromRegistry(reference string, options *RegistryOptions) ImageSource {
	return ImageSource{func(scope constructs.Construct, _ tasuki.Architecture) boundSource {
		name := strings.TrimPrefix(reference, "docker://")
		if name == "" || !unresolved(name) && (strings.Contains(name, "://") || strings.ContainsFunc(name, unicode.IsSpace)) {
			mistake(scope, "%q names no image in a registry: give one as in docker.io/library/nginx:1.29", reference)
		}
		bound := boundSource{reference: "docker://" + name}
		if options != nil && options.CredentialsSecretArn != "" && validARN(scope, "a secret", "secretsmanager", options.CredentialsSecretArn) {
			bound.secret = options.CredentialsSecretArn
			bound.Secret = options.CredentialsSecretArn
		}
		return bound
	}}
}

// ImageFromEcr is an image in an ECR repository of the same account, by its tag or its
// digest (sha256:…).
func ImageFromEcr(repository awsecr.IRepository, tagOrDigest *string) ImageSource {
	return ImageSource{func(scope constructs.Construct, _ tasuki.Architecture) boundSource {
		if repository == nil || tagOrDigest == nil {
			mistake(scope, "ImageFromEcr needs a repository, and a tag or a digest")
			return boundSource{}
		}
		return boundSource{
			reference:           "docker://" + *repository.RepositoryUriForTagOrDigest(tagOrDigest),
			DeploymentResources: policy.DeploymentResources{Source: *repository.RepositoryArn()},
		}
	}}
}

// ImageFromDirectory is built by Docker of a directory with a Dockerfile, on the machine
// that runs 'cdk deploy', and for the architecture where it is used unless the options
// name a platform.
func ImageFromDirectory(directory string, options *awsecrassets.DockerImageAssetOptions) ImageSource {
	return ImageSource{func(scope constructs.Construct, arch tasuki.Architecture) boundSource {
		props := awsecrassets.DockerImageAssetProps{Directory: jsii.String(directory)}
		if options != nil {
			props = withOptions(directory, *options)
		}
		dockerfile := filepath.Join(directory, "Dockerfile")
		if props.File != nil {
			dockerfile = filepath.Join(directory, *props.File)
		}
		if !isFile(scope, dockerfile) {
			return boundSource{}
		}
		if props.Platform == nil && arch != "" {
			props.Platform = awsecrassets.Platform_Custom(jsii.String("linux/" + arch.OCI()))
		}
		asset := awsecrassets.NewDockerImageAsset(scope, jsii.String("Image"), &props)
		return boundSource{
			reference:           "docker://" + *asset.ImageUri(),
			DeploymentResources: policy.DeploymentResources{Source: *asset.Repository().RepositoryArn()},
		}
	}}
}

func withOptions(directory string, o awsecrassets.DockerImageAssetOptions) awsecrassets.DockerImageAssetProps {
	return awsecrassets.DockerImageAssetProps{
		Directory: jsii.String(directory),
		Exclude:   o.Exclude, FollowSymlinks: o.FollowSymlinks, IgnoreMode: o.IgnoreMode, ExtraHash: o.ExtraHash,
		AssetName: o.AssetName, BuildArgs: o.BuildArgs, BuildContexts: o.BuildContexts, BuildSecrets: o.BuildSecrets,
		BuildSsh: o.BuildSsh, CacheDisabled: o.CacheDisabled, CacheFrom: o.CacheFrom, CacheTo: o.CacheTo,
		DisplayName: o.DisplayName, File: o.File, Invalidation: o.Invalidation, NetworkMode: o.NetworkMode,
		Outputs: o.Outputs, Platform: o.Platform, Target: o.Target,
	}
}

// ImageFromArchive is a file on the machine that runs 'cdk deploy', as 'docker save' or
// an OCI layout in a tar file. It travels through the bucket that 'cdk bootstrap' has
// made, and needs no Docker.
func ImageFromArchive(path string) ImageSource {
	return ImageSource{func(scope constructs.Construct, _ tasuki.Architecture) boundSource {
		if !isFile(scope, path) {
			return boundSource{}
		}
		asset := awss3assets.NewAsset(scope, jsii.String("Archive"), &awss3assets.AssetProps{Path: jsii.String(path)})
		return inBucket(asset.Bucket(), *asset.S3ObjectKey())
	}}
}

// ImageFromBucket is an archive like that of [ImageFromArchive] which is in S3 already.
func ImageFromBucket(bucket awss3.IBucket, key *string) ImageSource {
	return ImageSource{func(scope constructs.Construct, _ tasuki.Architecture) boundSource {
		if bucket == nil || key == nil {
			mistake(scope, "ImageFromBucket needs a bucket and a key")
			return boundSource{}
		}
		return inBucket(bucket, *key)
	}}
}

func inBucket(bucket awss3.IBucket, key string) boundSource {
	return boundSource{
		reference:           fmt.Sprintf("s3://%s/%s", *bucket.BucketName(), key),
		DeploymentResources: policy.DeploymentResources{Object: *bucket.ArnForObjects(jsii.String(key))},
	}
}
