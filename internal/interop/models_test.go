//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdkecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation"
	"github.com/tasuki-dev/tasuki/localaws/ecr"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/sts"
	"github.com/tasuki-dev/tasuki/localaws/wire"
	"github.com/tasuki-dev/tasuki/placeholder"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// commonErrors are the codes that any operation of AWS's may answer with, whether its
// model names them or not ("Common Errors" in each service's API reference).
var commonErrors = []string{
	"AccessDeniedException", "InternalFailure", "InvalidParameterException", "InvalidParameterValueException", "SerializationException", "ThrottlingException", "ValidationError", "ValidationException", "AccessDenied",
}

const (
	account = localaws.Account
	region  = localaws.DefaultRegion
)

// call is one operation with a valid input, its members as the model names them. In
// the input, words in braces stand for what the fixture has: see fixture.words.
type call struct{ service, operation, input string }

// calls has every operation that tasuki local provides, in an order in which each
// succeeds.
var calls = []call{
	{"ssm", "PutParameter", `{"Name":"/models/tag","Value":"v1","Type":"String","Description":"d","Tier":"Standard","Tags":[{"Key":"k","Value":"v"}]}`},
	{"ssm", "GetParameter", `{"Name":"/models/tag","WithDecryption":true}`},
	{"ssm", "GetParameters", `{"Names":["/models/tag","/models/missing"]}`},
	{"ssm", "GetParametersByPath", `{"Path":"/models","Recursive":true,"ParameterFilters":[{"Key":"Type","Option":"Equals","Values":["String"]}]}`},
	{"ssm", "DescribeParameters", `{"ParameterFilters":[{"Key":"Name","Option":"Equals","Values":["/models/tag"]}],"MaxResults":10}`},
	{"ssm", "LabelParameterVersion", `{"Name":"/models/tag","ParameterVersion":1,"Labels":["stable"]}`},
	{"ssm", "GetParameterHistory", `{"Name":"/models/tag","MaxResults":50}`},
	{"ssm", "UnlabelParameterVersion", `{"Name":"/models/tag","ParameterVersion":1,"Labels":["stable"]}`},
	{"ssm", "AddTagsToResource", `{"ResourceType":"Parameter","ResourceId":"/models/tag","Tags":[{"Key":"l","Value":"w"}]}`},
	{"ssm", "ListTagsForResource", `{"ResourceType":"Parameter","ResourceId":"/models/tag"}`},
	{"ssm", "RemoveTagsFromResource", `{"ResourceType":"Parameter","ResourceId":"/models/tag","TagKeys":["k"]}`},
	{"ssm", "DeleteParameters", `{"Names":["/models/missing"]}`},
	{"ssm", "DeleteParameter", `{"Name":"/models/tag"}`},

	{"ecr", "GetAuthorizationToken", `{}`},
	{"ecr", "CreateRepository", `{"repositoryName":"models","imageTagMutability":"MUTABLE","imageScanningConfiguration":{"scanOnPush":false},"encryptionConfiguration":{"encryptionType":"AES256"},"tags":[{"Key":"k","Value":"v"}]}`},
	{"ecr", "DescribeRepositories", `{"repositoryNames":["models","functions"]}`},
	{"ecr", "PutImage", `{"repositoryName":"functions","imageManifest":"{manifest}","imageManifestMediaType":"{type}","imageTag":"again"}`},
	{"ecr", "BatchGetImage", `{"repositoryName":"functions","imageIds":[{"imageTag":"again"},{"imageTag":"missing"}],"acceptedMediaTypes":["{type}"]}`},
	{"ecr", "BatchCheckLayerAvailability", `{"repositoryName":"functions","layerDigests":["{layer}","sha256:00","nonsense"]}`},
	{"ecr", "GetDownloadUrlForLayer", `{"repositoryName":"functions","layerDigest":"{layer}"}`},
	{"ecr", "DescribeImages", `{"repositoryName":"functions","filter":{"tagStatus":"TAGGED"}}`},
	{"ecr", "ListImages", `{"repositoryName":"functions","filter":{"tagStatus":"TAGGED"}}`},
	{"ecr", "PutImageTagMutability", `{"repositoryName":"models","imageTagMutability":"IMMUTABLE_WITH_EXCLUSION","imageTagMutabilityExclusionFilters":[{"filterType":"WILDCARD","filter":"live*"}]}`},
	{"ecr", "SetRepositoryPolicy", `{"repositoryName":"models","policyText":"{policy}"}`},
	{"ecr", "GetRepositoryPolicy", `{"repositoryName":"models"}`},
	{"ecr", "DeleteRepositoryPolicy", `{"repositoryName":"models"}`},
	{"ecr", "PutLifecyclePolicy", `{"repositoryName":"models","lifecyclePolicyText":"{lifecycle}"}`},
	{"ecr", "GetLifecyclePolicy", `{"repositoryName":"models"}`},
	{"ecr", "DeleteLifecyclePolicy", `{"repositoryName":"models"}`},
	{"ecr", "TagResource", `{"resourceArn":"{repository}","tags":[{"Key":"l","Value":"w"}]}`},
	{"ecr", "ListTagsForResource", `{"resourceArn":"{repository}"}`},
	{"ecr", "UntagResource", `{"resourceArn":"{repository}","tagKeys":["k"]}`},
	{"ecr", "BatchDeleteImage", `{"repositoryName":"functions","imageIds":[{"imageTag":"again"},{"imageTag":"missing"}]}`},
	{"ecr", "DeleteRepository", `{"repositoryName":"models","force":true}`},

	{"lambda", "CreateFunction", `{"FunctionName":"models","PackageType":"Image","Role":"arn:aws:iam::000000000000:role/function","Code":{"ImageUri":"{image}"},"Architectures":["{machine}"],"Environment":{"Variables":{"NAME":"value"}},"ImageConfig":{"WorkingDirectory":"/"},"EphemeralStorage":{"Size":512},"Tags":{"k":"v"}}`},
	{"lambda", "GetFunction", `{"FunctionName":"models"}`},
	{"lambda", "GetFunctionConfiguration", `{"FunctionName":"models"}`},
	{"lambda", "ListFunctions", `{"MaxItems":10}`},
	{"lambda", "UpdateFunctionConfiguration", `{"FunctionName":"models","Description":"d"}`},
	{"lambda", "UpdateFunctionCode", `{"FunctionName":"models","ImageUri":"{image}","Architectures":["{machine}"]}`},
	{"lambda", "Invoke", `{"FunctionName":"models","InvocationType":"RequestResponse","LogType":"Tail","Payload":"{}"}`},
	{"lambda", "PublishVersion", `{"FunctionName":"models","Description":"one"}`},
	{"lambda", "ListVersionsByFunction", `{"FunctionName":"models"}`},
	{"lambda", "CreateAlias", `{"FunctionName":"models","Name":"live","FunctionVersion":"1"}`},
	{"lambda", "ListAliases", `{"FunctionName":"models"}`},
	{"lambda", "GetAlias", `{"FunctionName":"models","Name":"live"}`},
	{"lambda", "UpdateAlias", `{"FunctionName":"models","Name":"live","Description":"d"}`},
	{"lambda", "DeleteAlias", `{"FunctionName":"models","Name":"live"}`},
	{"lambda", "ListTags", `{"Resource":"{function}"}`},
	{"lambda", "TagResource", `{"Resource":"{function}","Tags":{"l":"w"}}`},
	{"lambda", "UntagResource", `{"Resource":"{function}","TagKeys":["k"]}`},
	{"lambda", "DeleteFunction", `{"FunctionName":"models"}`},

	{"sts", "GetCallerIdentity", `{}`},
	{"sts", "AssumeRole", `{"RoleArn":"arn:aws:iam::000000000000:role/models","RoleSessionName":"session","DurationSeconds":900,"Tags":[{"Key":"k","Value":"v"}]}`},

	{"cloudformation", "ValidateTemplate", `{"TemplateBody":"{template}"}`},
	{"cloudformation", "CreateStack", `{"StackName":"models","TemplateBody":"{template}","Parameters":[{"ParameterKey":"Value","ParameterValue":"1"}],"Tags":[{"Key":"k","Value":"v"}],"Capabilities":["CAPABILITY_IAM"],"OnFailure":"ROLLBACK"}`},
	{"cloudformation", "CreateStack", `{"StackName":"importer","TemplateBody":"{importer}"}`},
	{"cloudformation", "DescribeStacks", `{"StackName":"models"}`},
	{"cloudformation", "ListStacks", `{"StackStatusFilter":["CREATE_COMPLETE"]}`},
	{"cloudformation", "DescribeStackEvents", `{"StackName":"models"}`},
	{"cloudformation", "DescribeEvents", `{"StackName":"models","Filters":{"FailedEvents":false}}`},
	{"cloudformation", "DescribeStackResource", `{"StackName":"models","LogicalResourceId":"Parameter"}`},
	{"cloudformation", "DescribeStackResources", `{"StackName":"models"}`},
	{"cloudformation", "ListStackResources", `{"StackName":"models"}`},
	{"cloudformation", "GetTemplate", `{"StackName":"models","TemplateStage":"Original"}`},
	{"cloudformation", "GetTemplateSummary", `{"StackName":"models"}`},
	{"cloudformation", "ListExports", `{}`},
	{"cloudformation", "ListImports", `{"ExportName":"models"}`},
	{"cloudformation", "DetectStackDrift", `{"StackName":"models","LogicalResourceIds":["Parameter"]}`},
	{"cloudformation", "DescribeStackDriftDetectionStatus", `{"StackDriftDetectionId":"{detection}"}`},
	{"cloudformation", "DetectStackResourceDrift", `{"StackName":"models","LogicalResourceId":"Parameter"}`},
	{"cloudformation", "DescribeStackResourceDrifts", `{"StackName":"models","StackResourceDriftStatusFilters":["IN_SYNC"],"MaxResults":10}`},
	{"cloudformation", "CreateChangeSet", `{"StackName":"models","ChangeSetName":"first","ChangeSetType":"UPDATE","UsePreviousTemplate":true,"Parameters":[{"ParameterKey":"Value","ParameterValue":"2"}],"OnStackFailure":"ROLLBACK"}`},
	{"cloudformation", "ListChangeSets", `{"StackName":"models"}`},
	{"cloudformation", "DescribeChangeSet", `{"StackName":"models","ChangeSetName":"first"}`},
	{"cloudformation", "DeleteChangeSet", `{"StackName":"models","ChangeSetName":"first"}`},
	{"cloudformation", "CreateChangeSet", `{"StackName":"models","ChangeSetName":"second","UsePreviousTemplate":true,"Parameters":[{"ParameterKey":"Value","ParameterValue":"2"}]}`},
	{"cloudformation", "ExecuteChangeSet", `{"StackName":"models","ChangeSetName":"second"}`},
	// Its parameter cannot be, and its repository is gone when it is rolled back.
	{"cloudformation", "UpdateStack", `{"StackName":"models","TemplateBody":"{failing}","DisableRollback":true}`},
	{"ecr", "DeleteRepository", `{"repositoryName":"stack"}`},
	{"cloudformation", "RollbackStack", `{"StackName":"models"}`},
	{"cloudformation", "ContinueUpdateRollback", `{"StackName":"models","ResourcesToSkip":["Repository"]}`},
	{"cloudformation", "UpdateTerminationProtection", `{"StackName":"models","EnableTerminationProtection":false}`},
	{"cloudformation", "DeleteStack", `{"StackName":"importer","DeletionMode":"STANDARD"}`},
}

// TestModels holds what tasuki local answers against the models that the AWS CLI works by.
func TestModels(t *testing.T) {
	models := map[string]*serviceModel{}
	for _, service := range []string{"ssm", "ecr", "lambda", "sts", "cloudformation", "iam", "events", "sqs", "logs"} {
		models[service] = readModel(t, service)
	}
	t.Run("every operation is tried", func(t *testing.T) {
		for service, operations := range provided(t, models) {
			for _, operation := range operations {
				if _, found := models[service].Operations[operation]; !found {
					t.Errorf("the model of %s has no operation %s", service, operation)
				}
				if !slices.ContainsFunc(allCalls(), func(c call) bool { return c.service == service && c.operation == operation }) {
					t.Errorf("%s of %s is provided, and not in this test's table", operation, service)
				}
			}
		}
		for _, c := range allCalls() {
			if !slices.Contains(provided(t, models)[c.service], c.operation) {
				t.Errorf("%s of %s is in this test's table, and not provided", c.operation, c.service)
			}
		}
	})
	words := newWords(t)
	t.Run("where nothing is", func(t *testing.T) {
		empty := newFixture(t, models, words)
		for _, c := range allCalls() {
			t.Run(c.service+" "+c.operation, func(t *testing.T) {
				answer := empty.send(t, c, empty.input(t, c))
				if answer.status >= 400 {
					empty.checkError(t, c, answer)
				}
			})
		}
	})
	t.Run("where everything is", func(t *testing.T) {
		full := newFixture(t, models, words)
		full.push(t)
		for _, c := range allCalls() {
			t.Run(c.service+" "+c.operation, func(t *testing.T) {
				full.settle(t)
				input := full.input(t, c)
				for _, variant := range models[c.service].broken(models[c.service].Operations[c.operation].Input.Shape, input) {
					t.Run(variant.what, func(t *testing.T) { full.checkRefused(t, c, variant) })
				}
				full.settle(t)
				full.checkAnswer(t, c, full.send(t, c, input))
			})
		}
	})
}

// provided returns the operations of each service, and fails the test where one is
// under another route than in the model.
func provided(t *testing.T, models map[string]*serviceModel) map[string][]string {
	t.Helper()
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	nowhere := func() string { return "http://localhost" }
	registry, err := ecr.New(ecr.Options{Store: store, Account: account, Region: region, URL: nowhere})
	if err != nil {
		t.Fatal(err)
	}
	functions, err := lambda.New(lambda.Options{Store: store, Account: account, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	defer functions.Close()
	stacks := cloudformation.New(cloudformation.Options{Store: store, Account: account, Region: region})
	defer stacks.Close()
	operations := map[string][]string{}
	services := []wire.Service{ssm.New(store, account, region).Wire(), registry.Wire(), functions.Wire(), sts.New(sts.Options{Account: account}).Wire(), stacks.Wire()}
	for _, service := range append(services, stackServices(store)...) {
		name := service.Name()
		model := models[name]
		switch service := service.(type) {
		case *wire.JSON:
			version := "1.1"
			if service.Version != "" {
				version = service.Version
			}
			if model.Metadata.Protocol != "json" || model.Metadata.JSONVersion != version || model.Metadata.TargetPrefix != service.Target {
				t.Errorf("%s speaks awsJson%s of %s, and the model %+v", name, version, service.Target, model.Metadata)
			}
			for operation := range service.Operations {
				operations[name] = append(operations[name], operation)
			}
		case *wire.Query:
			for operation := range service.Operations {
				operations[name] = append(operations[name], operation)
			}
		case *wire.REST:
			for _, route := range service.Routes {
				operations[name] = append(operations[name], route.Operation)
				want := model.Operations[route.Operation].HTTP
				if route.Method != want.Method || strings.Trim(route.Path, "/") != strings.Trim(want.RequestURI, "/") {
					t.Errorf("%s of %s is at %s %s, and in the model at %s %s", route.Operation, name, route.Method, route.Path, want.Method, want.RequestURI)
				}
			}
		default:
			t.Errorf("%s is a %T, which this test does not know", name, service)
		}
	}
	return operations
}

// words are what the calls' words in braces stand for.
type words struct {
	image    placeholder.Image
	replacer *strings.Replacer
}

func newWords(t *testing.T) words {
	t.Helper()
	arch := tasuki.X86_64
	if runtime.GOARCH == "arm64" {
		arch = tasuki.ARM64
	}
	handoff, err := tasuki.ParseHandoffName("models")
	if err != nil {
		t.Fatal(err)
	}
	image, err := placeholder.Build(handoff, arch)
	if err != nil {
		t.Fatal(err)
	}
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string
		}
		return string(b[1 : len(b)-1])
	}
	return words{image, strings.NewReplacer(
		"{manifest}", quoted(string(image.Manifest.Bytes)),
		"{type}", image.Manifest.MediaType,
		"{layer}", image.LayerDescriptor.Digest.String(),
		"{policy}", quoted(`{"Version":"2012-10-17","Statement":[{"Sid":"lambda","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage"]}]}`),
		"{lifecycle}", quoted(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`),
		"{repository}", "arn:aws:ecr:"+region+":"+account+":repository/models",
		"{function}", "arn:aws:lambda:"+region+":"+account+":function:models",
		"{image}", account+".dkr.ecr."+region+".amazonaws.com/functions:initial",
		"{machine}", string(arch),
		"{template}", quoted(stackTemplate("1", "models")),
		"{failing}", quoted(stackTemplate("2", " ")),
		"{importer}", quoted(`{"Resources":{"Parameter":{"Type":"AWS::SSM::Parameter","Properties":{"Type":"String","Value":{"Fn::ImportValue":"models"}}}}}`),
	)}
}

// stackTemplate returns a template whose repository lets something else be pulled, and
// whose parameter has a name.
func stackTemplate(sid, parameter string) string {
	return `{"Parameters":{"Value":{"Type":"String","Default":"1"}},"Resources":{` +
		`"Repository":{"Type":"AWS::ECR::Repository","Properties":{"RepositoryName":"stack","RepositoryPolicyText":{"Version":"2012-10-17","Statement":[{"Sid":"s` + sid + `","Effect":"Allow","Principal":"*","Action":"ecr:BatchGetImage"}]}}},` +
		`"Parameter":{"Type":"AWS::SSM::Parameter","DependsOn":"Repository","Properties":{"Name":"/stack/` + parameter + `","Type":"String","Value":{"Ref":"Value"}}}},` +
		`"Outputs":{"Parameter":{"Description":"d","Value":"1","Export":{"Name":"models"}}}}`
}

// fixture is an endpoint that calls are sent to.
type fixture struct {
	models map[string]*serviceModel
	words  words
	server *localaws.Server
}

func newFixture(t *testing.T, models map[string]*serviceModel, words words) *fixture {
	t.Helper()
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fixture{models, words, server}
}

// input returns a call's input, with what its words stand for.
func (f *fixture) input(t *testing.T, c call) map[string]any {
	t.Helper()
	var input map[string]any
	if err := json.Unmarshal([]byte(f.made(t, f.words.replacer.Replace(c.input))), &input); err != nil {
		t.Fatalf("the input of %s: %v", c.operation, err)
	}
	return input
}

// push makes the repository of functions, with an image in it, and the role models.
func (f *fixture) push(t *testing.T) {
	t.Helper()
	roles := sdkiam.NewFromConfig(f.server.Config("models"))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	if _, err := roles.CreateRole(t.Context(), &sdkiam.CreateRoleInput{RoleName: aws.String("models"), AssumeRolePolicyDocument: &trust}); err != nil {
		t.Fatal(err)
	}
	client := sdkecr.NewFromConfig(f.server.Config("models"))
	if _, err := client.CreateRepository(t.Context(), &sdkecr.CreateRepositoryInput{RepositoryName: aws.String("functions")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := remote.NewRepository(f.server.Registry() + "/functions")
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	repository.Client = &auth.Client{Header: http.Header{"Authorization": {"Basic " + *out.AuthorizationData[0].AuthorizationToken}}}
	image := f.words.image
	descriptor := func(mediaType string, content []byte) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	}
	for _, blob := range [][]byte{image.Config, image.Layer} {
		if err := repository.Blobs().Push(t.Context(), descriptor("application/octet-stream", blob), bytes.NewReader(blob)); err != nil {
			t.Fatal(err)
		}
	}
	manifest := descriptor(image.Manifest.MediaType, image.Manifest.Bytes)
	if err := repository.Manifests().PushReference(t.Context(), manifest, bytes.NewReader(image.Manifest.Bytes), "initial"); err != nil {
		t.Fatal(err)
	}
}

// settle waits until neither the function nor a stack, if there are any, is being
// changed.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for {
		answer := f.send(t, call{"lambda", "GetFunctionConfiguration", ""}, map[string]any{"FunctionName": "models"})
		var function struct{ State, LastUpdateStatus string }
		still := answer.status == http.StatusNotFound || json.Unmarshal(answer.body, &function) == nil && function.State != "Pending" && function.LastUpdateStatus != "InProgress"
		stacks := f.send(t, call{"cloudformation", "DescribeStacks", ""}, nil)
		if still && stacks.status == http.StatusOK && !bytes.Contains(stacks.body, []byte("_IN_PROGRESS</StackStatus>")) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("there is no rest after 10 s: %s, %s", answer.body, stacks.body)
		}
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a call in its service's protocol, as the model describes it.
func (f *fixture) send(t *testing.T, c call, input map[string]any) answer {
	t.Helper()
	model := f.models[c.service]
	operation := model.Operations[c.operation]
	header, path, query, body := http.Header{}, "/", url.Values{}, []byte(nil)
	switch model.Metadata.Protocol {
	case "json":
		header.Set("Content-Type", "application/x-amz-json-"+model.Metadata.JSONVersion)
		header.Set("X-Amz-Target", model.Metadata.TargetPrefix+"."+c.operation)
		body = encoded(input)
	case "query":
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		form := url.Values{"Action": {c.operation}, "Version": {"2010-05-08"}}
		model.form(operation.Input.Shape, input, "", form)
		body = []byte(form.Encode())
	case "rest-json":
		path = operation.HTTP.RequestURI
		shape := model.Shapes[operation.Input.Shape]
		inBody := map[string]any{}
		for name, member := range shape.Members {
			value, given := input[name]
			text := fmt.Sprint(value)
			switch {
			case !given:
			case member.Location == "uri":
				path = strings.Replace(path, "{"+member.LocationName+"}", url.PathEscape(text), 1)
			case member.Location == "querystring":
				values, isList := value.([]any)
				if !isList {
					values = []any{value}
				}
				for _, value := range values {
					query.Add(member.LocationName, fmt.Sprint(value))
				}
			case member.Location == "header":
				header.Set(member.LocationName, text)
			case name == shape.Payload:
				body = []byte(text)
			default:
				inBody[member.wireName(name)] = value
			}
		}
		if shape.Payload == "" && len(inBody) > 0 {
			header.Set("Content-Type", "application/json")
			body = encoded(inBody)
		}
	}
	target := f.server.URL() + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), operation.HTTP.Method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "models", SecretAccessKey: "secret"}, r, "UNSIGNED-PAYLOAD", c.service, region, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, content}
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it comes from JSON
	}
	return b
}

// code returns the code of an error in the protocol of a service.
func (f *fixture) code(c call, a answer) (code, message string) {
	var e struct {
		Type    string `json:"__type" xml:"-"`
		Code    string `json:"-" xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	switch f.models[c.service].Metadata.Protocol {
	case "json":
		if json.Unmarshal(a.body, &e) != nil {
			return "", ""
		}
		return e.Type, e.Message
	case "rest-json":
		if json.Unmarshal(a.body, &e) != nil {
			return "", ""
		}
		return a.header.Get("X-Amzn-Errortype"), e.Message
	}
	if xml.Unmarshal(a.body, &e) != nil {
		return "", ""
	}
	return e.Code, e.Message
}

// checkError checks that an error is one of the operation's, and says something.
func (f *fixture) checkError(t *testing.T, c call, a answer) {
	t.Helper()
	code, message := f.code(c, a)
	if known := append(f.models[c.service].errorCodes(c.operation), commonErrors...); !slices.Contains(known, code) {
		t.Errorf("it answers %d %q, which is not one of %v: %s", a.status, code, known, a.body)
	}
	if message == "" {
		t.Errorf("the error says nothing: %s", a.body)
	}
	if a.status >= 500 {
		t.Errorf("it answers %d: %s", a.status, a.body)
	}
}

// checkRefused checks that a call with something wrong is refused as the caller's fault.
func (f *fixture) checkRefused(t *testing.T, c call, v variant) {
	t.Helper()
	a := f.send(t, c, v.input)
	if a.status < 400 {
		t.Fatalf("it is accepted, with %d: %s", a.status, a.body)
	}
	f.checkError(t, c, a)
}

// checkAnswer checks that a call succeeds, and that its answer is as the model has it.
func (f *fixture) checkAnswer(t *testing.T, c call, a answer) {
	t.Helper()
	model := f.models[c.service]
	operation := model.Operations[c.operation]
	shape := model.Shapes[operation.Output.Shape]
	inStatus := false
	for name, member := range shape.Members {
		inStatus = inStatus || member.Location == "statusCode"
		if value := a.header.Get(member.LocationName); member.Location == "header" && value != "" {
			if err := model.checkMember(member, value, name); err != nil {
				t.Error(err)
			}
		}
	}
	want := operation.HTTP.ResponseCode
	if want == 0 {
		want = http.StatusOK
	}
	if a.status != want && !(inStatus && a.status/100 == 2) {
		t.Fatalf("it answers %d, want %d: %s", a.status, want, a.body)
	}
	switch {
	case model.Metadata.Protocol == "query":
		f.checkXML(t, c, operation, a)
	case operation.Output.Shape == "" || shape.Payload != "":
		if operation.Output.Shape == "" && len(a.body) > 0 {
			t.Errorf("it answers %s, and has no output", a.body)
		}
	case len(a.body) == 0:
		if slices.ContainsFunc(slices.Collect(maps.Values(shape.Members)), func(m memberModel) bool { return m.Location == "" }) {
			t.Error("the answer has no body")
		}
	default:
		var body any
		if err := json.Unmarshal(a.body, &body); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		if err := model.check(operation.Output.Shape, body, c.operation); err != nil {
			t.Errorf("%v\nin %s", err, a.body)
		}
	}
}

// checkXML checks an answer in the query protocol.
func (f *fixture) checkXML(t *testing.T, c call, operation operationModel, a answer) {
	t.Helper()
	var response element
	if err := xml.Unmarshal(a.body, &response); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if operation.Output.Shape == "" {
		return
	}
	if len(response.Elements) == 0 || response.Elements[0].XMLName.Local != operation.Output.ResultWrapper {
		t.Fatalf("it answers %s, without %s", a.body, operation.Output.ResultWrapper)
	}
	model := f.models[c.service]
	body, err := model.fromXML(operation.Output.Shape, response.Elements[0])
	if err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if err := model.check(operation.Output.Shape, body, c.operation); err != nil {
		t.Errorf("%v\nin %s", err, a.body)
	}
}
