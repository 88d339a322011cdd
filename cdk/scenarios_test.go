package tasukicdk_test

import (
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecrassets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki"
	tasukicdk "github.com/tasuki-dev/tasuki/cdk"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	digest  = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

type props = tasukicdk.ImageFunctionProps

// scenarios returns what defines each stack, by the stack's name. Files that they need
// go into dir.
func scenarios(dir string) map[string]func(awscdk.App, *string) {
	zip := zipFile(dir)
	archive := filepath.Join(dir, "image.tar")
	dockerfile := filepath.Join(dir, "placeholder")
	must(os.WriteFile(archive, []byte("no image"), 0o644))
	must(os.Mkdir(dockerfile, 0o755))
	must(os.WriteFile(filepath.Join(dockerfile, "Dockerfile"), []byte("FROM scratch\n"), 0o644))

	all := map[string]func(awscdk.App, *string){}
	// in defines a stack with a provider that is not built.
	in := func(name string, env *awscdk.Environment, define func(awscdk.Stack)) {
		all[name] = func(app awscdk.App, id *string) {
			stack := awscdk.NewStack(app, id, &awscdk.StackProps{Env: env})
			tasukicdk.NewProvider(stack, jsii.String(tasukicdk.ProviderID), &tasukicdk.ProviderProps{Package: zip})
			define(stack)
		}
	}
	// with defines a stack with one function.
	with := func(name string, p props) {
		in(name, nil, func(stack awscdk.Stack) { tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &p) })
	}
	from := func(name string, source tasukicdk.ImageSource) {
		with(name, props{Handoff: "orders", Placeholder: &source})
	}

	all["Built"] = func(app awscdk.App, id *string) {
		tasukicdk.NewImageFunction(awscdk.NewStack(app, id, nil), jsii.String("Orders"), &props{Handoff: "orders"})
	}
	in("Default", nil, func(stack awscdk.Stack) {
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders"})
		ci := awsiam.NewRole(stack, jsii.String("Ci"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		f.GrantRelease(ci, &tasukicdk.ReleaseOptions{Push: true, Smoke: true})
		f.GrantRead(awsiam.NewRole(stack, jsii.String("OnCall"), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()}))
	})
	in("Plain", nil, func(stack awscdk.Stack) {
		repository := awsecr.NewRepository(stack, jsii.String("Repository"), nil)
		awslambda.NewDockerImageFunction(stack, jsii.String("Orders"), &awslambda.DockerImageFunctionProps{
			Code: awslambda.DockerImageCode_FromEcr(repository, &awslambda.EcrImageCodeProps{TagOrDigest: jsii.String("initial")}),
		})
	})
	with("Everything", props{
		DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
			FunctionName: jsii.String("orders-fn"),
			Architecture: awslambda.Architecture_ARM_64(),
			MemorySize:   jsii.Number(777),
			Environment:  &map[string]*string{"LEVEL": jsii.String("debug")},
		},
		Handoff: "stg/orders", TagParameter: "lambdaImageTag", PlaceholderTag: "none-yet", Alias: "live",
		Resolve: tasukicdk.ResolveEveryDeploy, ReconcileEvery: awscdk.Duration_Hours(jsii.Number(2)),
		RepositoryProps: &awsecr.RepositoryProps{
			RepositoryName:                     jsii.String("orders"),
			RemovalPolicy:                      awscdk.RemovalPolicy_DESTROY,
			ImageScanOnPush:                    jsii.Bool(true),
			ImageTagMutabilityExclusionFilters: &[]awsecr.ImageTagMutabilityExclusionFilter{awsecr.ImageTagMutabilityExclusionFilter_Wildcard(jsii.String("dev-*"))},
			LifecycleRules:                     &[]*awsecr.LifecycleRule{{MaxImageCount: jsii.Number(50)}},
		},
	})
	with("Tenants", props{Handoff: "orders", DockerImageFunctionProps: awslambda.DockerImageFunctionProps{TenancyConfig: awslambda.TenancyConfig_PER_TENANT()}})
	with("NoSchedule", props{Handoff: "orders", NoSchedule: true})
	with("Mutable", props{Handoff: "orders", RepositoryProps: &awsecr.RepositoryProps{ImageTagMutability: awsecr.TagMutability_MUTABLE}})
	in("Environment", nil, func(stack awscdk.Stack) {
		must(os.Setenv(tasukicdk.EnvironmentHandoff, "from/environment"))
		must(os.Setenv(tasukicdk.EnvironmentTagParameter, "lambdaImageTag"))
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), nil)
		must(os.Unsetenv(tasukicdk.EnvironmentHandoff))
		must(os.Unsetenv(tasukicdk.EnvironmentTagParameter))
	})
	in("Given", nil, func(stack awscdk.Stack) {
		other := tasukicdk.ProviderFromAttributes(stack, jsii.String("Other"), &tasukicdk.ProviderAttributes{
			FunctionArn:        "arn:aws:lambda:eu-west-1:111122223333:function:tasuki",
			RoleArn:            "arn:aws:iam::111122223333:role/tasuki",
			DeadLetterQueueArn: "arn:aws:sqs:eu-west-1:111122223333:tasuki",
			Timeout:            awscdk.Duration_Minutes(jsii.Number(10)),
		})
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{
			Handoff: "orders", Provider: other,
			Repository: awsecr.Repository_FromRepositoryName(stack, jsii.String("Existing"), jsii.String("existing")),
			DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
				Role: awsiam.Role_FromRoleArn(stack, jsii.String("Role"), jsii.String("arn:aws:iam::111122223333:role/orders"), nil),
			},
		})
	})
	in("GivenWithoutRole", nil, func(stack awscdk.Stack) {
		other := tasukicdk.ProviderFromAttributes(stack, jsii.String("Other"), &tasukicdk.ProviderAttributes{
			FunctionArn: "arn:aws:lambda:eu-west-1:111122223333:function:tasuki",
		})
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Provider: other, HoldEvents: true, Alias: "live"})
	})
	in("OwnProvider", nil, func(stack awscdk.Stack) {
		vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
		tasukicdk.NewProvider(stack, jsii.String("Own"), &tasukicdk.ProviderProps{
			Package: zip, Architecture: awslambda.Architecture_X86_64(), Timeout: awscdk.Duration_Minutes(jsii.Number(14)), MemorySize: jsii.Number(2048),
			Role:            awsiam.NewRole(stack, jsii.String("Role"), &awsiam.RoleProps{AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil)}),
			LogGroup:        awslogs.NewLogGroup(stack, jsii.String("Logs"), nil),
			DeadLetterQueue: awssqs.NewQueue(stack, jsii.String("Letters"), nil),
			Vpc:             vpc,
			SecurityGroups:  &[]awsec2.ISecurityGroup{awsec2.NewSecurityGroup(stack, jsii.String("Group"), &awsec2.SecurityGroupProps{Vpc: vpc})},
			VpcSubnets:      &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS},
		})
		tasukicdk.NewProvider(stack, jsii.String("InVpc"), &tasukicdk.ProviderProps{Package: zip, Vpc: vpc})
	})
	all["Sharing"] = func(app awscdk.App, id *string) {
		provider := tasukicdk.NewProvider(awscdk.NewStack(app, jsii.String("Shared"), nil), jsii.String("Provider"), &tasukicdk.ProviderProps{Package: zip})
		tasukicdk.NewImageFunction(awscdk.NewStack(app, id, nil), jsii.String("Orders"), &props{Handoff: "orders", Provider: provider, Alias: "live"})
	}
	in("Tokens", nil, func(stack awscdk.Stack) {
		value := func(id string) *string { return awscdk.NewCfnParameter(stack, jsii.String(id), nil).ValueAsString() }
		tag := value("Tag")
		repository := awsecr.Repository_FromRepositoryName(stack, jsii.String("Existing"), value("Repository"))
		other := tasukicdk.ProviderFromAttributes(stack, jsii.String("Other"), &tasukicdk.ProviderAttributes{
			FunctionArn: *value("ProviderArn"), RoleArn: *value("RoleArn"), DeadLetterQueueArn: *value("QueueArn"),
		})
		for name, parameter := range map[string]*string{"orders": value("PlainName"), "bills": value("SlashedName")} {
			tasukicdk.NewImageFunction(stack, jsii.String(name), &props{
				Handoff: name, TagParameter: *parameter, PlaceholderTag: *tag, Alias: *value(name + "Alias"), Repository: repository, Provider: other,
				DockerImageFunctionProps: awslambda.DockerImageFunctionProps{FunctionName: value(name + "Function")},
			})
		}
		tasukicdk.NewImageDeployment(stack, jsii.String("Deployment"), &tasukicdk.ImageDeploymentProps{
			Source: tasukicdk.ImageFromRegistry("docker.io/library/busybox:"+*tag, &tasukicdk.RegistryOptions{CredentialsSecretArn: *value("CredentialsArn")}), Repository: repository, Tag: *tag,
		})
		tasukicdk.NewPlaceholderImage(stack, jsii.String("Placeholder"), &tasukicdk.PlaceholderImageProps{Repository: repository, Tag: *tag})
	})
	in("Nested", nil, func(stack awscdk.Stack) {
		nested := awscdk.NewNestedStack(stack, jsii.String("Inner"), nil)
		provider := stack.Node().TryFindChild(jsii.String(tasukicdk.ProviderID)).(*tasukicdk.Provider)
		tasukicdk.NewImageFunction(nested, jsii.String("Orders"), &props{Handoff: "orders", Alias: "live", Provider: provider})
	})
	// Aspects change what they find, also what the constructs have made for themselves.
	in("Aspects", nil, func(stack awscdk.Stack) {
		awsiam.PermissionsBoundary_Of(stack).Apply(awsiam.ManagedPolicy_FromAwsManagedPolicyName(jsii.String("PowerUserAccess")))
		awscdk.Tags_Of(stack).Add(jsii.String("team"), jsii.String("orders"), nil)
		awscdk.RemovalPolicies_Of(stack).Retain(nil)
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Alias: "live", HoldEvents: true})
		f.Alias.AddEventSource(awslambdaeventsources.NewSqsEventSource(awssqs.NewQueue(stack, jsii.String("Queue"), nil), nil))
	})
	all["Flags"] = func(app awscdk.App, id *string) {
		stack := awscdk.NewStack(app, id, nil)
		for _, flag := range []string{
			"aws-iam:minimizePolicies", "aws-lambda:createNewPoliciesWithAddToRolePolicy", "aws-lambda:useCdkManagedLogGroup",
			"aws-lambda:recognizeLayerVersion", "core:enablePartitionLiterals", "core:aspectStabilization", "core:checkSecretUsage",
		} {
			stack.Node().SetContext(jsii.String("@aws-cdk/"+flag), true)
		}
		tasukicdk.NewProvider(stack, jsii.String(tasukicdk.ProviderID), &tasukicdk.ProviderProps{Package: zip})
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Alias: "live", HoldEvents: true})
		f.Alias.AddEventSource(awslambdaeventsources.NewSqsEventSource(awssqs.NewQueue(stack, jsii.String("Queue"), nil), nil))
	}
	in("Two", nil, func(stack awscdk.Stack) {
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders"})
		tasukicdk.NewImageFunction(stack, jsii.String("Bills"), &props{Handoff: "bills"})
	})

	in("Alias", nil, func(stack awscdk.Stack) {
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Alias: "live"})
		awslambda.NewFunctionUrl(stack, jsii.String("Url"), &awslambda.FunctionUrlProps{Function: f.Alias})
	})
	in("Held", nil, func(stack awscdk.Stack) {
		queue := awssqs.NewQueue(stack, jsii.String("Queue"), nil)
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Alias: "live", HoldEvents: true})
		f.AddEventSource(awslambdaeventsources.NewSqsEventSource(queue, nil))
		f.Alias.AddEventSource(awslambdaeventsources.NewSqsEventSource(queue, nil))
		other := tasukicdk.NewImageFunction(stack, jsii.String("Bills"), &props{Handoff: "bills"})
		other.AddEventSource(awslambdaeventsources.NewSqsEventSource(queue, nil))
	})
	with("NothingToHold", props{Handoff: "orders", HoldEvents: true})
	in("CurrentVersion", nil, func(stack awscdk.Stack) {
		f := tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders"})
		f.AddAlias(jsii.String("live"), nil)
	})

	from("FromRegistry", tasukicdk.ImageFromRegistry("public.ecr.aws/lambda/provided:al2023", nil))
	from("FromSecretRegistry", tasukicdk.ImageFromRegistry("docker.io/a/b", &tasukicdk.RegistryOptions{CredentialsSecretArn: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf"}))
	from("FromDirectory", tasukicdk.ImageFromDirectory(dockerfile, nil))
	from("FromDirectoryForArm", tasukicdk.ImageFromDirectory(dockerfile, &awsecrassets.DockerImageAssetOptions{Platform: awsecrassets.Platform_LINUX_ARM64(), Target: jsii.String("last")}))
	from("FromArchive", tasukicdk.ImageFromArchive(archive))
	in("FromEcr", nil, func(stack awscdk.Stack) {
		source := tasukicdk.ImageFromEcr(awsecr.Repository_FromRepositoryName(stack, jsii.String("Base"), jsii.String("base")), jsii.String(digest))
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Placeholder: &source})
	})
	in("FromBucket", nil, func(stack awscdk.Stack) {
		source := tasukicdk.ImageFromBucket(awss3.Bucket_FromBucketName(stack, jsii.String("Images"), jsii.String("images")), jsii.String("a/image.tar"))
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Placeholder: &source})
	})

	lookup(in)
	mistakes(with, dir)
	misplaced(in, zip)
	parts(in)
	return all
}

// lookup defines stacks for each outcome of a lookup.
func lookup(in func(string, *awscdk.Environment, func(awscdk.Stack))) {
	here := &awscdk.Environment{Account: jsii.String(account), Region: jsii.String(region)}
	at := func(name string, env *awscdk.Environment, found *tasukicdk.Lookup) {
		in(name, env, func(stack awscdk.Stack) {
			tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Resolve: tasukicdk.ResolveSynthTime, Lookup: found})
		})
	}
	handoff := parsed(tasuki.ParseHandoffName("orders"))
	found := func(origin tasuki.Origin, digest string) *tasukicdk.Lookup {
		l := &tasukicdk.Lookup{Account: account, Region: region, Resolution: tasuki.Resolution{Handoff: handoff, Origin: origin, Tag: tasuki.DefaultPlaceholderTag}}
		if digest != "" {
			l.Digest = parsed(tasuki.ParseDigest(digest))
		}
		return l
	}
	at("LookupRelease", here, found(tasuki.OriginParameter, digest))
	at("LookupFunction", here, found(tasuki.OriginFunction, digest))
	at("LookupPlaceholder", here, found(tasuki.OriginPlaceholder, ""))
	at("LookupMissing", here, nil)
	at("LookupFailed", here, &tasukicdk.Lookup{})
	at("LookupAnywhere", nil, found(tasuki.OriginParameter, digest))
	at("LookupElsewhere", &awscdk.Environment{Account: jsii.String("444455556666"), Region: jsii.String(region)}, found(tasuki.OriginParameter, digest))
	at("LookupOfAnother", here, &tasukicdk.Lookup{Account: account, Region: region, Resolution: tasuki.Resolution{
		Handoff: parsed(tasuki.ParseHandoffName("bills")), Origin: tasuki.OriginParameter, Digest: parsed(tasuki.ParseDigest(digest)),
	}})
}

// mistakes defines stacks that 'cdk deploy' refuses.
func mistakes(with func(string, props), dir string) {
	source := func(name string, source tasukicdk.ImageSource) {
		with(name, props{Handoff: "orders", Placeholder: &source})
	}
	source("NoSource", tasukicdk.ImageSource{})
	source("NoReference", tasukicdk.ImageFromRegistry("", nil))
	source("WrongReference", tasukicdk.ImageFromRegistry("https://docker.io/library/nginx", nil))
	source("NoTag", tasukicdk.ImageFromEcr(nil, nil))
	source("NoObject", tasukicdk.ImageFromBucket(nil, nil))
	source("NoDockerfile", tasukicdk.ImageFromDirectory(filepath.Join(dir, "missing"), nil))
	source("NoArchive", tasukicdk.ImageFromArchive(filepath.Join(dir, "missing.tar")))
	source("DirectoryAsArchive", tasukicdk.ImageFromArchive(dir))
	with("WrongArchitecture", props{Handoff: "orders", DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
		Architecture: awslambda.Architecture_Custom(jsii.String("riscv"), nil),
	}})
	with("WrongPeriod", props{Handoff: "orders", ReconcileEvery: awscdk.Duration_Seconds(jsii.Number(90))})
	with("PeriodOfNoSchedule", props{Handoff: "orders", ReconcileEvery: awscdk.Duration_Minutes(jsii.Number(5)), NoSchedule: true})
	filters := make([]awsecr.ImageTagMutabilityExclusionFilter, 6)
	for i := range filters {
		filters[i] = awsecr.ImageTagMutabilityExclusionFilter_Wildcard(jsii.String(string(rune('a'+i)) + "*"))
	}
	with("SixFilters", props{Handoff: "orders", RepositoryProps: &awsecr.RepositoryProps{ImageTagMutabilityExclusionFilters: &filters}})
	with("WithoutHandoff", props{})
	with("WrongHandoff", props{Handoff: "orders/"})
	with("WrongParameter", props{Handoff: "orders", TagParameter: "/aws/orders"})
	with("WrongPlaceholderTag", props{Handoff: "orders", PlaceholderTag: "latest"})
	with("WrongResolve", props{Handoff: "orders", Resolve: "Sometimes"})
	with("WrongAlias", props{Handoff: "orders", Alias: "7"})
	with("LookupUnasked", props{Handoff: "orders", Lookup: &tasukicdk.Lookup{}})
	with("Immutable", props{Handoff: "orders", RepositoryProps: &awsecr.RepositoryProps{ImageTagMutability: awsecr.TagMutability_IMMUTABLE}})
	with("FirstRule", props{Handoff: "orders", RepositoryProps: &awsecr.RepositoryProps{
		LifecycleRules: &[]*awsecr.LifecycleRule{{RulePriority: jsii.Number(1), MaxImageCount: jsii.Number(5)}},
	}})
	with("CodeSet", props{Handoff: "orders", DockerImageFunctionProps: awslambda.DockerImageFunctionProps{
		Code: awslambda.DockerImageCode_FromImageAsset(jsii.String("."), nil),
	}})
}

// misplaced defines stacks whose constructs do not go together.
func misplaced(in func(string, *awscdk.Environment, func(awscdk.Stack)), zip *string) {
	in("SameHandoff", nil, func(stack awscdk.Stack) {
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders"})
		inner := awscdk.NewNestedStack(stack, jsii.String("Inner"), nil)
		provider := stack.Node().TryFindChild(jsii.String(tasukicdk.ProviderID)).(*tasukicdk.Provider)
		tasukicdk.NewImageFunction(inner, jsii.String("Again"), &props{Handoff: "orders", Provider: provider})
	})
	in("TokenHandoff", nil, func(stack awscdk.Stack) {
		name := awscdk.NewCfnParameter(stack, jsii.String("Name"), nil).ValueAsString()
		awscdk.NewCfnOutput(stack, jsii.String("Out"), &awscdk.CfnOutputProps{Value: name})
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: *name})
	})
	in("TokenValue", nil, func(stack awscdk.Stack) {
		name := awscdk.NewCfnParameter(stack, jsii.String("Name"), nil).ValueAsString()
		tag := tasukicdk.NewSharedTag(stack, jsii.String("Tag"), &tasukicdk.SharedTagProps{Handoff: "orders", TagParameter: *name})
		awscdk.NewCfnOutput(stack, jsii.String("Out"), &awscdk.CfnOutputProps{Value: tag.Value()})
		awscdk.NewCfnOutput(stack, jsii.String("NameOut"), &awscdk.CfnOutputProps{Value: tag.ParameterName()})
	})
	in("LateProvider", nil, func(stack awscdk.Stack) {
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders"})
		tasukicdk.NewProvider(stack, jsii.String(tasukicdk.ProviderID), nil)
	})
	here := &awscdk.Environment{Account: jsii.String(account), Region: jsii.String(region)}
	in("ProviderElsewhere", here, func(stack awscdk.Stack) {
		other := tasukicdk.ProviderFromAttributes(stack, jsii.String("Other"), &tasukicdk.ProviderAttributes{
			FunctionArn: "arn:aws:lambda:us-east-1:111122223333:function:tasuki",
		})
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Provider: other})
	})
	in("ProviderOfAnotherRegion", here, func(stack awscdk.Stack) {
		there := awscdk.NewStack(stack.Node().Scope().(awscdk.App), jsii.String("AnotherRegion"), &awscdk.StackProps{Env: &awscdk.Environment{Account: jsii.String(account), Region: jsii.String("us-east-1")}})
		other := tasukicdk.NewProvider(there, jsii.String("Other"), &tasukicdk.ProviderProps{Package: zip})
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Provider: other})
	})
	in("RepositoryElsewhere", here, func(stack awscdk.Stack) {
		repository := awsecr.Repository_FromRepositoryArn(stack, jsii.String("Existing"), jsii.String("arn:aws:ecr:us-east-1:111122223333:repository/orders"))
		tasukicdk.NewImageFunction(stack, jsii.String("Orders"), &props{Handoff: "orders", Repository: repository})
	})
	in("WrongProviders", nil, func(stack awscdk.Stack) {
		for id, attributes := range map[string]*tasukicdk.ProviderAttributes{
			"Function": {FunctionArn: "tasuki"},
			"Role":     {FunctionArn: "arn:aws:lambda:eu-west-1:111122223333:function:tasuki", RoleArn: "role/tasuki"},
			"Queue":    {FunctionArn: "arn:aws:lambda:eu-west-1:111122223333:function:tasuki", DeadLetterQueueArn: "arn:aws:sns:eu-west-1:111122223333:tasuki"},
			"Timeout":  {FunctionArn: "arn:aws:lambda:eu-west-1:111122223333:function:tasuki", Timeout: awscdk.Duration_Millis(jsii.Number(500))},
		} {
			tasukicdk.ProviderFromAttributes(stack, jsii.String(id), attributes)
		}
	})
}

// parts defines stacks of the other constructs.
func parts(in func(string, *awscdk.Environment, func(awscdk.Stack))) {
	in("SharedTag", nil, func(stack awscdk.Stack) {
		tag := tasukicdk.NewSharedTag(stack, jsii.String("Tag"), &tasukicdk.SharedTagProps{Handoff: "orders", TagParameter: "lambdaImageTag"})
		repository := awsecr.NewRepository(stack, jsii.String("Repository"), nil)
		f := awslambda.NewDockerImageFunction(stack, jsii.String("Orders"), &awslambda.DockerImageFunctionProps{
			Code: awslambda.DockerImageCode_FromEcr(repository, &awslambda.EcrImageCodeProps{TagOrDigest: tag.Value()}),
		})
		f.Node().AddDependency(tasukicdk.NewPlaceholderImage(stack, jsii.String("Placeholder"), &tasukicdk.PlaceholderImageProps{Repository: repository}))
		awscdk.NewCfnOutput(stack, jsii.String("Uri"), &awscdk.CfnOutputProps{Value: tag.ImageUri(repository)})
		awscdk.NewCfnOutput(stack, jsii.String("UriAgain"), &awscdk.CfnOutputProps{Value: tag.ImageUri(repository)})
		role := func(id string) awsiam.Role {
			return awsiam.NewRole(stack, jsii.String(id), &awsiam.RoleProps{AssumedBy: awsiam.NewAccountRootPrincipal()})
		}
		tag.GrantRelease(role("Ci"))
		tag.GrantRead(role("Reader"))
	})
	in("Parts", nil, func(stack awscdk.Stack) {
		repository := awsecr.NewRepository(stack, jsii.String("Repository"), nil)
		registry := tasukicdk.ImageFromRegistry("docker.io/library/busybox:1.37", nil)
		placeholder := tasukicdk.NewPlaceholderImage(stack, jsii.String("Placeholder"), &tasukicdk.PlaceholderImageProps{
			Handoff: "orders", Repository: repository, Tag: "none-yet", Source: &registry, Architecture: awslambda.Architecture_ARM_64(),
		})
		deployment := tasukicdk.NewImageDeployment(stack, jsii.String("Deployment"), &tasukicdk.ImageDeploymentProps{
			Source: tasukicdk.ImageFromRegistry("docker://registry.example.com/base:1", &tasukicdk.RegistryOptions{
				CredentialsSecretArn: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf",
			}),
			Repository: repository, Tag: "base-1", Architecture: awslambda.Architecture_ARM_64(), ForLambda: true,
		})
		for name, value := range map[string]*string{
			"PlaceholderDigest": placeholder.TagOrDigest(), "PlaceholderUri": placeholder.ImageUri(),
			"Digest": deployment.Digest(), "DeploymentUri": deployment.ImageUri(),
		} {
			awscdk.NewCfnOutput(stack, jsii.String(name), &awscdk.CfnOutputProps{Value: value})
		}
	})
	in("PartMistakes", nil, func(stack awscdk.Stack) {
		repository := awsecr.NewRepository(stack, jsii.String("Repository"), nil)
		tasukicdk.NewPlaceholderImage(stack, jsii.String("Placeholder"), &tasukicdk.PlaceholderImageProps{Repository: repository, Tag: "latest", Handoff: "or ders"})
		tasukicdk.NewImageDeployment(stack, jsii.String("Deployment"), &tasukicdk.ImageDeploymentProps{Repository: repository, ForLambda: true})
		tasukicdk.NewProvider(stack, jsii.String("Own"), &tasukicdk.ProviderProps{
			Package: jsii.String("missing.zip"), Timeout: awscdk.Duration_Hours(jsii.Number(1)),
		})
		tasukicdk.NewProvider(stack, jsii.String("Small"), &tasukicdk.ProviderProps{
			Package: jsii.String("missing.zip"), MemorySize: jsii.Number(64), Architecture: awslambda.Architecture_Custom(jsii.String("riscv"), nil),
			VpcSubnets: &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC},
		})
		tasukicdk.NewImageDeployment(stack, jsii.String("Wrong"), &tasukicdk.ImageDeploymentProps{
			Source: tasukicdk.ImageFromRegistry("docker.io/library/nginx:1.29", &tasukicdk.RegistryOptions{CredentialsSecretArn: "hub"}), Repository: repository, Tag: "a b",
		})
		tasukicdk.NewPlaceholderImage(stack, jsii.String("Nowhere"), nil)
		tasukicdk.ProviderFromAttributes(stack, jsii.String("None"), nil)
	})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func parsed[T any](v T, err error) T {
	must(err)
	return v
}
