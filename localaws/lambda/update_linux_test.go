package lambda_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

const arn = "arn:aws:lambda:" + region + ":" + account + ":function:orders"

func (e *endpoint) update(t testing.TB, uri string, edit func(*sdk.UpdateFunctionCodeInput)) (*sdk.UpdateFunctionCodeOutput, error) {
	t.Helper()
	in := &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("orders"), ImageUri: &uri}
	if edit != nil {
		edit(in)
	}
	return e.UpdateFunctionCode(t.Context(), in)
}

func TestCreateUpdateInvoke(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, first := e.images.push(t, "v1", picture{})
	v2, second := e.images.push(t, "v2", picture{})
	created, err := e.CreateFunction(t.Context(), &sdk.CreateFunctionInput{FunctionName: aws.String("orders"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v1}})
	if err != nil {
		t.Fatal(err)
	}
	if created.State != types.StatePending || created.StateReasonCode != types.StateReasonCodeCreating || aws.ToString(created.FunctionArn) != arn || aws.ToString(created.CodeSha256) != strings.TrimPrefix(first, "sha256:") {
		t.Errorf("created as %+v", created)
	}
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$`).MatchString(aws.ToString(created.LastModified)) {
		t.Errorf("last modified %s", aws.ToString(created.LastModified))
	}
	f := e.settled(t, "orders")
	if c := f.Configuration; c.State != types.StateActive || c.LastUpdateStatus != types.LastUpdateStatusSuccessful || c.Architectures[0] != types.ArchitectureX8664 || *c.MemorySize != 128 || *c.Timeout != 3 {
		t.Errorf("then it is %+v", c)
	}
	if aws.ToString(f.Code.ImageUri) != v1 || aws.ToString(f.Code.ResolvedImageUri) != repository+"@"+first || aws.ToString(f.Code.RepositoryType) != "ECR" {
		t.Errorf("its code is %+v", f.Code)
	}
	if c := f.Configuration.ImageConfigResponse; c == nil || c.ImageConfig != nil {
		t.Errorf("its image's configuration is overridden by %+v", c)
	}
	if got := e.versionOf(t, "orders"); got != "v1" {
		t.Errorf("answered by %s", got)
	}

	// The revision that is read when a change is done guards the next one.
	updated, err := e.update(t, v2, func(in *sdk.UpdateFunctionCodeInput) { in.RevisionId = f.Configuration.RevisionId })
	if err != nil {
		t.Fatal(err)
	}
	if updated.LastUpdateStatus != types.LastUpdateStatusInProgress || aws.ToString(updated.RevisionId) == aws.ToString(f.Configuration.RevisionId) {
		t.Errorf("updating as %+v", updated)
	}
	after := e.settled(t, "orders")
	if aws.ToString(after.Code.ResolvedImageUri) != repository+"@"+second || aws.ToString(after.Configuration.RevisionId) == aws.ToString(updated.RevisionId) {
		t.Errorf("then it is %+v of %+v", after.Code, after.Configuration)
	}
	if got := e.versionOf(t, "orders"); got != "v2" {
		t.Errorf("answered by %s", got)
	}
	_, err = e.update(t, v1, func(in *sdk.UpdateFunctionCodeInput) { in.RevisionId = f.Configuration.RevisionId })
	wantError(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	if _, err = e.update(t, v1, func(in *sdk.UpdateFunctionCodeInput) { in.RevisionId = after.Configuration.RevisionId }); err != nil {
		t.Error(err)
	}
}

func TestOldCodeServesUntilTheUpdateIsDone(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{files: map[string]string{"other": "layer"}})
	e.create(t, "orders", v1, nil)
	gate := make(chan struct{})
	e.images.setGate(gate)
	if _, err := e.update(t, v2, nil); err != nil {
		t.Fatal(err)
	}
	if got := e.versionOf(t, "orders"); got != "v1" {
		t.Errorf("during the update %s answers", got)
	}
	const busy = "The operation cannot be performed at this time. An update is in progress for resource: " + arn
	_, err := e.update(t, v1, nil)
	wantError(t, err, "ResourceConflictException", busy)
	_, err = e.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("orders"), Timeout: aws.Int32(9)})
	wantError(t, err, "ResourceConflictException", busy)
	close(gate)
	e.settled(t, "orders")
	if got := e.versionOf(t, "orders"); got != "v2" {
		t.Errorf("after the update %s answers", got)
	}
}

func TestUpdateDelay(t *testing.T) {
	e := newEndpoint(t, func(o *lambda.Options) { o.UpdateDelay = 200 * time.Millisecond })
	v1, _ := e.images.push(t, "v1", picture{})
	started := time.Now()
	e.create(t, "orders", v1, nil)
	if took := time.Since(started); took < 200*time.Millisecond {
		t.Errorf("the creation took %v", took)
	}
}

func TestWhilePending(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	gate := make(chan struct{})
	e.images.setGate(gate)
	in := &sdk.CreateFunctionInput{FunctionName: aws.String("orders"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v1}}
	if _, err := e.CreateFunction(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	const pending = "The operation cannot be performed at this time. The function is currently in the following state: Pending"
	_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders")})
	wantError(t, err, "ResourceConflictException", pending)
	_, err = e.update(t, v1, nil)
	wantError(t, err, "ResourceConflictException", pending)
	_, err = e.CreateFunction(t.Context(), in)
	wantError(t, err, "ResourceConflictException", "Function already exist: orders")
	close(gate)
	e.settled(t, "orders")
}

func TestFailedUpdateKeepsTheOldCode(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, first := e.images.push(t, "v1", picture{})
	broken, _ := e.images.push(t, "broken", picture{files: map[string]string{"../outside": "x"}})
	e.create(t, "orders", v1, nil)
	if _, err := e.update(t, broken, nil); err != nil {
		t.Fatal(err)
	}
	f := e.settled(t, "orders")
	c := f.Configuration
	if c.State != types.StateActive || c.LastUpdateStatus != types.LastUpdateStatusFailed || c.LastUpdateStatusReasonCode != types.LastUpdateStatusReasonCodeInvalidImage || !strings.HasPrefix(aws.ToString(c.LastUpdateStatusReason), "InvalidImage: ImageLayerFailure: ") {
		t.Errorf("after the update: %s %s %s %s", c.State, c.LastUpdateStatus, c.LastUpdateStatusReasonCode, aws.ToString(c.LastUpdateStatusReason))
	}
	if aws.ToString(f.Code.ResolvedImageUri) != repository+"@"+first || aws.ToString(f.Code.ImageUri) != v1 {
		t.Errorf("the code is %+v", f.Code)
	}
	if got := e.versionOf(t, "orders"); got != "v1" {
		t.Errorf("answered by %s", got)
	}
	if _, err := e.update(t, v1, func(in *sdk.UpdateFunctionCodeInput) { in.RevisionId = c.RevisionId }); err != nil {
		t.Errorf("the next update: %v", err)
	}
}

func TestFailedCreation(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, digest := e.images.push(t, "v1", picture{})
	layer := regexp.MustCompile(`"digest":"(sha256:[0-9a-f]+)"`).FindAllSubmatch(e.images.manifests[digest].content, -1)[1][1]
	e.images.forget(string(layer))
	f := e.create(t, "orders", v1, nil)
	if c := f.Configuration; c.State != types.StateFailed || c.StateReasonCode != types.StateReasonCodeImageDeleted {
		t.Errorf("it is %s %s", c.State, c.StateReasonCode)
	}
	_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders")})
	wantError(t, err, "ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Failed")
	v2, _ := e.images.push(t, "v2", picture{files: map[string]string{"more": ""}})
	if _, err := e.update(t, v2, nil); err != nil {
		t.Fatal(err)
	}
	e.settled(t, "orders")
	if got := e.versionOf(t, "orders"); got != "v2" {
		t.Errorf("answered by %s", got)
	}
}

func TestTagIsResolvedOnce(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, first := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, nil)
	_, second := e.images.push(t, "v1", picture{env: []string{"VERSION=moved"}})
	if first == second {
		t.Fatal("the tag was not moved")
	}
	if f := e.settled(t, "orders"); aws.ToString(f.Code.ResolvedImageUri) != repository+"@"+first {
		t.Errorf("it runs %s", aws.ToString(f.Code.ResolvedImageUri))
	}
	if got := e.versionOf(t, "orders"); got != "v1" {
		t.Errorf("answered by %s", got)
	}
}

func TestArchitectureDefaultsToX8664AtEveryUpdate(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "arm", picture{arch: "arm64"})
	f := e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) {
		in.Architectures = []types.Architecture{types.ArchitectureArm64}
	})
	if f.Configuration.Architectures[0] != types.ArchitectureArm64 {
		t.Errorf("created for %v", f.Configuration.Architectures)
	}
	if _, err := e.update(t, uri, nil); err != nil {
		t.Fatal(err)
	}
	if f := e.settled(t, "orders"); f.Configuration.Architectures[0] != types.ArchitectureX8664 {
		t.Errorf("updated to %v", f.Configuration.Architectures)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, second := e.images.push(t, "v2", picture{})
	before := e.create(t, "orders", v1, nil)
	out, err := e.update(t, v2, func(in *sdk.UpdateFunctionCodeInput) { in.DryRun = true })
	if err != nil || aws.ToString(out.CodeSha256) != strings.TrimPrefix(second, "sha256:") {
		t.Errorf("got %v %v", out, err)
	}
	after := e.settled(t, "orders")
	if aws.ToString(after.Configuration.RevisionId) != aws.ToString(before.Configuration.RevisionId) || aws.ToString(after.Code.ImageUri) != v1 {
		t.Errorf("it is %+v now", after.Code)
	}
	_, err = e.update(t, v2, func(in *sdk.UpdateFunctionCodeInput) { in.DryRun, in.RevisionId = true, aws.String("stale") })
	wantError(t, err, "PreconditionFailedException", "…")
}

func TestUpdateConfiguration(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, first := e.images.push(t, "v1", picture{})
	e.create(t, "orders", v1, nil)
	e.versionOf(t, "orders")
	if _, err := e.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{
		FunctionName: aws.String("orders"), MemorySize: aws.Int32(512), Environment: &types.Environment{Variables: map[string]string{"VERSION": "configured"}},
	}); err != nil {
		t.Fatal(err)
	}
	f := e.settled(t, "orders")
	if c := f.Configuration; *c.MemorySize != 512 || *c.Timeout != 30 || c.Environment.Variables["VERSION"] != "configured" || aws.ToString(f.Code.ResolvedImageUri) != repository+"@"+first {
		t.Errorf("it is %+v", c)
	}
	if got := e.versionOf(t, "orders"); got != "configured" {
		t.Errorf("a warm environment of the old configuration answers: %s", got)
	}
}

func TestRefusals(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	foreign, _ := e.images.push(t, "foreign", picture{layerType: "application/vnd.in-toto+json"})
	e.images.putManifest("index", tasuki.MediaTypeOCIIndex, map[string]any{"manifests": []any{}})
	e.images.putManifest("odd", tasuki.MediaTypeOCIManifest, map[string]any{"config": e.images.putBlob([]byte("{}"), "application/vnd.oci.empty.v1+json"), "layers": []any{}})
	e.create(t, "orders", v1, nil)
	const elsewhere = account + ".dkr.ecr." + region + ".amazonaws.com/none:v1"
	for uri, want := range map[string]string{
		"docker.io/library/alpine:3": "Source image docker.io/library/alpine:3 is not valid. Provide a valid source image.",
		repository + ":gone":         "Source image " + repository + ":gone does not exist. Provide a valid source image.",
		elsewhere:                    "Source image " + elsewhere + " does not exist. Provide a valid source image.",
		repository + ":index":        "The image manifest, config or layer media type for the source image " + repository + ":index is not supported.",
		repository + ":odd":          "The image manifest, config or layer media type for the source image " + repository + ":odd is not supported.",
		foreign:                      "The image manifest, config or layer media type for the source image " + foreign + " is not supported.",
	} {
		_, err := e.update(t, uri, nil)
		wantError(t, err, "InvalidParameterValueException", want)
	}
	_, err := e.UpdateFunctionCode(t.Context(), &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("orders"), ZipFile: []byte("zip")})
	wantError(t, err, "InvalidParameterValueException", "Please provide ImageUri when updating a function with packageType Image.")
	_, err = e.update(t, v1, func(in *sdk.UpdateFunctionCodeInput) {
		in.PublishTo = types.FunctionVersionLatestPublishedLatestPublished
	})
	wantError(t, err, "NotImplemented", "Member PublishTo of lambda is not provided by tasuki local.")
	_, err = e.GetFunctionConcurrency(t.Context(), &sdk.GetFunctionConcurrencyInput{FunctionName: aws.String("orders")})
	wantError(t, err, "NotImplemented", "GET /2019-09-30/functions/orders/concurrency of lambda is not provided by tasuki local.")
	_, err = e.ListFunctions(t.Context(), &sdk.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll})
	wantError(t, err, "NotImplemented", "Member FunctionVersion of lambda is not provided by tasuki local.")
	_, err = e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("nosuch")})
	wantError(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:"+region+":"+account+":function:nosuch")

	for _, test := range []struct {
		code, message string
		edit          func(*sdk.CreateFunctionInput)
	}{
		{"ValidationException", "1 validation error detected: Value '64' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128", func(in *sdk.CreateFunctionInput) { in.MemorySize = aws.Int32(64) }},
		{"ValidationException", "…'memorySize'…less than or equal to 10240", func(in *sdk.CreateFunctionInput) { in.MemorySize = aws.Int32(10241) }},
		{"ValidationException", "…Value '901' at 'timeout'…less than or equal to 900", func(in *sdk.CreateFunctionInput) { in.Timeout = aws.Int32(901) }},
		{"ValidationException", "…at 'role' failed to satisfy constraint: …", func(in *sdk.CreateFunctionInput) { in.Role = aws.String("orders") }},
		{"ValidationException", "…at 'functionName'…", func(in *sdk.CreateFunctionInput) { in.FunctionName = aws.String("a name") }},
		{"ValidationException", "…at 'functionName'…", func(in *sdk.CreateFunctionInput) { in.FunctionName = aws.String(strings.Repeat("x", 65)) }},
		{"ValidationException", "…at 'architectures'…", func(in *sdk.CreateFunctionInput) { in.Architectures = []types.Architecture{"mips"} }},
		{"InvalidParameterValueException", "…Reserved keys used in this request: AWS_REGION", func(in *sdk.CreateFunctionInput) {
			in.Environment = &types.Environment{Variables: map[string]string{"AWS_REGION": "x"}}
		}},
		{"InvalidParameterValueException", "…exceeded the 4KB limit.", func(in *sdk.CreateFunctionInput) {
			in.Environment = &types.Environment{Variables: map[string]string{"LONG": strings.Repeat("x", 4096)}}
		}},
		{"InvalidParameterValueException", "Runtime and Handler are mandatory parameters for functions created with deployment packages.", func(in *sdk.CreateFunctionInput) { in.PackageType = types.PackageTypeZip }},
		{"NotImplemented", "Member VpcConfig of lambda is not provided by tasuki local.", func(in *sdk.CreateFunctionInput) { in.VpcConfig = &types.VpcConfig{SubnetIds: []string{"subnet-1"}} }},
	} {
		in := &sdk.CreateFunctionInput{FunctionName: aws.String("other"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v1}}
		test.edit(in)
		_, err := e.CreateFunction(t.Context(), in)
		wantError(t, err, test.code, test.message)
	}
}

func TestNamesOfAFunction(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", v1, nil)
	for _, name := range []string{"orders", "orders:$LATEST", account + ":function:orders", "function:orders", arn, arn + ":$LATEST"} {
		if got := e.versionOf(t, name); got != "v1" {
			t.Errorf("%s: %s", name, got)
		}
	}
	_, err := e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("arn:aws:lambda:us-east-1:" + account + ":function:orders")})
	wantError(t, err, "ResourceNotFoundException", "Functions from 'us-east-1' are not reachable in this region ('"+region+"')")
}

func TestDelete(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{})
	e.create(t, "orders", v1, nil)
	e.versionOf(t, "orders")
	if _, err := e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders")}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders")})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn)
	_, err = e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders")})
	wantError(t, err, "ResourceNotFoundException", "…")
	e.create(t, "orders", v2, nil)
	if got := e.versionOf(t, "orders"); got != "v2" {
		t.Errorf("the function of the same name is answered by %s", got)
	}
}

func TestListAndTags(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	for i := range 3 {
		e.create(t, fmt.Sprint("f", i), v1, func(in *sdk.CreateFunctionInput) { in.Tags = map[string]string{"n": fmt.Sprint(i)} })
	}
	var names []string
	pages := sdk.NewListFunctionsPaginator(e, &sdk.ListFunctionsInput{MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			names = append(names, *f.FunctionName)
		}
	}
	if !slices.Equal(names, []string{"f0", "f1", "f2"}) {
		t.Errorf("listed %v", names)
	}
	resource := aws.String(strings.TrimSuffix(arn, "orders") + "f1")
	if _, err := e.TagResource(t.Context(), &sdk.TagResourceInput{Resource: resource, Tags: map[string]string{"team": "a b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.UntagResource(t.Context(), &sdk.UntagResourceInput{Resource: resource, TagKeys: []string{"n"}}); err != nil {
		t.Fatal(err)
	}
	out, err := e.ListTags(t.Context(), &sdk.ListTagsInput{Resource: resource})
	if err != nil || fmt.Sprint(out.Tags) != "map[team:a b]" {
		t.Errorf("the tags are %v %v", out, err)
	}
}

func TestRestart(t *testing.T) {
	store, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e := &endpoint{images: newRegistry(), store: store, logs: &localawstest.Log{}}
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{files: map[string]string{"other": "layer"}})
	stop := e.serve(t, nil)
	e.create(t, "orders", v1, nil)
	e.versionOf(t, "orders")
	e.images.setGate(make(chan struct{})) // nothing is unpacked until the restart
	if _, err := e.update(t, v2, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.CreateFunction(t.Context(), &sdk.CreateFunctionInput{FunctionName: aws.String("second"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v2}}); err != nil {
		t.Fatal(err)
	}
	stop()
	left := filepath.Join(store.Dir(), "rootfs", ".sha256-killed")
	if err := os.MkdirAll(filepath.Join(left, "half"), 0o700); err != nil {
		t.Fatal(err)
	}
	stop = e.serve(t, nil)
	if f, err := e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("orders")}); err != nil || f.Configuration.LastUpdateStatus != types.LastUpdateStatusInProgress {
		t.Errorf("after the restart the update is %+v %v", f, err)
	}
	if got := e.versionOf(t, "orders"); got != "v1" {
		t.Errorf("after the restart %s answers", got)
	}
	stop()
	e.images.setGate(nil)
	stop = e.serve(t, nil)
	defer stop()
	for _, name := range []string{"orders", "second"} {
		e.settled(t, name)
		if got := e.versionOf(t, name); got != "v2" {
			t.Errorf("in the end %s answers for %s", got, name)
		}
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
}
