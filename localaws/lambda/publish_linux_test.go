package lambda_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/lambda"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

// publish publishes the function orders, waits until the version can be used, and
// returns its number.
func (e *endpoint) publish(t testing.TB) string {
	t.Helper()
	out, err := e.PublishVersion(t.Context(), &sdk.PublishVersionInput{FunctionName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	if f := e.settled(t, "orders:"+*out.Version); f.Configuration.State != types.StateActive {
		t.Fatalf("version %s is %s: %s", *out.Version, f.Configuration.State, aws.ToString(f.Configuration.StateReason))
	}
	return *out.Version
}

// updateTo puts an image into the function orders and waits until it runs.
func (e *endpoint) updateTo(t testing.TB, uri string) {
	t.Helper()
	if _, err := e.update(t, uri, nil); err != nil {
		t.Fatal(err)
	}
	if c := e.settled(t, "orders").Configuration; c.LastUpdateStatus != types.LastUpdateStatusSuccessful {
		t.Fatalf("the update is %s", c.LastUpdateStatus)
	}
}

// answers invokes a version and checks which image answered, and as which version.
func (e *endpoint) answers(t testing.TB, name, image, number string) {
	t.Helper()
	out := e.invoke(t, name, `{"do":"env"}`)
	var env map[string]string
	if err := json.Unmarshal(out.Payload, &env); err != nil || out.FunctionError != nil {
		t.Fatalf("%s answers %s %v", name, out.Payload, err)
	}
	if env["VERSION"] != image || env["AWS_LAMBDA_FUNCTION_VERSION"] != number || aws.ToString(out.ExecutedVersion) != number {
		t.Errorf("%s is answered by image %s as version %s, executed version %s; want %s, %s", name, env["VERSION"], env["AWS_LAMBDA_FUNCTION_VERSION"], aws.ToString(out.ExecutedVersion), image, number)
	}
	if log := decodeLog(t, out); !strings.Contains(log, " Version: "+number+"\n") || !strings.Contains(env["AWS_LAMBDA_LOG_STREAM_NAME"], "["+number+"]") {
		t.Errorf("%s logs to %s\n%s", name, env["AWS_LAMBDA_LOG_STREAM_NAME"], log)
	}
}

// numbers lists the versions of the function orders, so many a page.
func (e *endpoint) numbers(t testing.TB, size int32) (numbers []string, pages int) {
	t.Helper()
	p := sdk.NewListVersionsByFunctionPaginator(e, &sdk.ListVersionsByFunctionInput{FunctionName: aws.String("orders"), MaxItems: &size})
	for ; p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Versions {
			if aws.ToString(v.FunctionArn) != arn+":"+*v.Version || v.State != "" {
				t.Errorf("listed as %s, %s", aws.ToString(v.FunctionArn), v.State)
			}
			numbers = append(numbers, *v.Version)
		}
	}
	return numbers, pages
}

func TestPublish(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, first := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{})
	before := e.create(t, "orders", v1, func(in *sdk.CreateFunctionInput) {
		in.Description, in.Tags = aws.String("of the function"), map[string]string{"team": "a"}
	}).Configuration
	sum := strings.TrimPrefix(first, "sha256:")
	out, err := e.PublishVersion(t.Context(), &sdk.PublishVersionInput{
		FunctionName: aws.String("orders"), CodeSha256: &sum, RevisionId: before.RevisionId, Description: aws.String("the first"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Version != "1" || *out.FunctionArn != arn+":1" || out.State != types.StatePending || out.StateReasonCode != types.StateReasonCodeCreating || *out.Description != "the first" || *out.CodeSha256 != sum {
		t.Errorf("published as %+v", out)
	}
	f := e.settled(t, "orders:1")
	if c := f.Configuration; c.State != types.StateActive || *c.Version != "1" || *c.FunctionArn != arn+":1" || *c.Description != "the first" || *c.RevisionId != *out.RevisionId {
		t.Errorf("then it is %+v", c)
	}
	if aws.ToString(f.Code.ResolvedImageUri) != repository+"@"+first || f.Tags["team"] != "a" {
		t.Errorf("it is %+v %v", f.Code, f.Tags)
	}
	after := e.settled(t, "orders").Configuration
	if *after.Version != "$LATEST" || *after.FunctionArn != arn || *after.Description != "of the function" || *after.RevisionId == *before.RevisionId || *after.RevisionId == *out.RevisionId {
		t.Errorf("the function is %+v", after)
	}
	if c := e.settled(t, "orders:$LATEST").Configuration; *c.FunctionArn != arn+":$LATEST" {
		t.Errorf("as $LATEST the function is %s", *c.FunctionArn)
	}
	e.answers(t, "orders:1", "v1", "1")
	e.answers(t, "orders", "v1", "$LATEST")

	// Without a change it is the same version, and the function stays as it is.
	again, err := e.PublishVersion(t.Context(), &sdk.PublishVersionInput{FunctionName: aws.String("orders"), Description: aws.String("another")})
	if err != nil || *again.Version != "1" || *again.Description != "the first" || again.State != types.StateActive {
		t.Errorf("published again as %+v %v", again, err)
	}
	if c := e.settled(t, "orders").Configuration; *c.RevisionId != *after.RevisionId {
		t.Error("publishing nothing has changed the function's revision")
	}

	e.updateTo(t, v2)
	if got := e.publish(t); got != "2" {
		t.Errorf("another image is version %s", got)
	}
	if _, err := e.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("orders"), MemorySize: aws.Int32(256)}); err != nil {
		t.Fatal(err)
	}
	e.settled(t, "orders")
	if got := e.publish(t); got != "3" {
		t.Errorf("another configuration is version %s", got)
	}
	for number, memory := range map[string]int32{"1": 128, "2": 128, "3": 256} {
		c, err := e.GetFunctionConfiguration(t.Context(), &sdk.GetFunctionConfigurationInput{FunctionName: aws.String("orders"), Qualifier: &number})
		if err != nil || *c.MemorySize != memory || *c.FunctionArn != arn+":"+number {
			t.Errorf("version %s is %+v %v", number, c, err)
		}
	}
	for name, want := range map[string][2]string{
		"orders:1": {"v1", "1"}, account + ":function:orders:2": {"v2", "2"}, arn + ":3": {"v2", "3"}, "orders:$LATEST": {"v2", "$LATEST"}, "orders": {"v2", "$LATEST"},
	} {
		e.answers(t, name, want[0], want[1])
	}
}

func TestPublishWithTheChange(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, second := e.images.push(t, "v2", picture{files: map[string]string{"other": "layer"}})
	broken, _ := e.images.push(t, "broken", picture{files: map[string]string{"../outside": "x"}})
	created, err := e.CreateFunction(t.Context(), &sdk.CreateFunctionInput{
		FunctionName: aws.String("orders"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v1}, Publish: true,
	})
	if err != nil || *created.Version != "1" || *created.FunctionArn != arn || created.State != types.StatePending {
		t.Fatalf("created as %+v %v", created, err)
	}
	e.settled(t, "orders")
	e.settled(t, "orders:1")
	if got := e.publish(t); got != "1" {
		t.Errorf("the creation's version is published again as %s", got)
	}
	publish := func(in *sdk.UpdateFunctionCodeInput) { in.Publish = true }
	gate := make(chan struct{})
	e.images.setGate(gate)
	updated, err := e.update(t, v2, publish)
	if err != nil || *updated.Version != "2" || *updated.FunctionArn != arn+":2" || updated.State != types.StatePending || *updated.CodeSha256 != strings.TrimPrefix(second, "sha256:") {
		t.Fatalf("updated as %+v %v", updated, err)
	}
	_, err = e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders"), Qualifier: aws.String("2")})
	wantError(t, err, "ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Pending")
	e.answers(t, "orders:1", "v1", "1")
	close(gate)
	e.settled(t, "orders")
	e.settled(t, "orders:2")
	e.answers(t, "orders:2", "v2", "2")
	e.answers(t, "orders:1", "v1", "1")

	if out, err := e.update(t, v1, func(in *sdk.UpdateFunctionCodeInput) { in.Publish, in.DryRun = true, true }); err != nil || *out.Version != "$LATEST" {
		t.Errorf("a dry run is answered with %+v %v", out, err)
	}
	if _, err := e.update(t, broken, publish); err != nil {
		t.Fatal(err)
	}
	e.settled(t, "orders")
	if c := e.settled(t, "orders:3").Configuration; c.State != types.StateFailed || c.StateReasonCode != types.StateReasonCodeInvalidImage {
		t.Errorf("the version of a broken image is %s %s", c.State, c.StateReasonCode)
	}
	e.answers(t, "orders", "v2", "$LATEST")
	if got := e.publish(t); got != "4" {
		t.Errorf("after a failed update the function is version %s", got)
	}
	e.answers(t, "orders:4", "v2", "4")
}

func TestPublishIsGuarded(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, first := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{files: map[string]string{"other": "layer"}})
	publish := func(edit func(*sdk.PublishVersionInput)) error {
		in := &sdk.PublishVersionInput{FunctionName: aws.String("orders")}
		if edit != nil {
			edit(in)
		}
		_, err := e.PublishVersion(t.Context(), in)
		return err
	}
	wantError(t, publish(nil), "ResourceNotFoundException", "Function not found: "+arn)
	gate := make(chan struct{})
	e.images.setGate(gate)
	if _, err := e.CreateFunction(t.Context(), &sdk.CreateFunctionInput{FunctionName: aws.String("orders"), Role: aws.String(role), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &v1}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, publish(nil), "ResourceConflictException", "The operation cannot be performed at this time. The function is currently in the following state: Pending")
	close(gate)
	stale := e.settled(t, "orders").Configuration.RevisionId
	e.publish(t)
	wantError(t, publish(func(in *sdk.PublishVersionInput) { in.RevisionId = stale }), "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	wantError(t, publish(func(in *sdk.PublishVersionInput) { in.CodeSha256 = aws.String("abc") }), "InvalidParameterValueException",
		"CodeSHA256 (abc) is different from current CodeSHA256 in $LATEST ("+strings.TrimPrefix(first, "sha256:")+"). Please try again with the CodeSHA256 in $LATEST.")
	wantError(t, publish(func(in *sdk.PublishVersionInput) { in.Description = aws.String(strings.Repeat("x", 257)) }), "ValidationException", "…at 'description'…")
	wantError(t, publish(func(in *sdk.PublishVersionInput) {
		in.PublishTo = types.FunctionVersionLatestPublishedLatestPublished
	}), "NotImplemented", "Member PublishTo of lambda is not provided by tasuki local.")
	const notLatest = "Current operation does not support versions other than $LATEST. Please set the version to $LATEST or do not set a version in your request."
	wantError(t, publish(func(in *sdk.PublishVersionInput) { in.FunctionName = aws.String("orders:1") }), "InvalidParameterValueException", notLatest)
	_, err := e.update(t, v2, func(in *sdk.UpdateFunctionCodeInput) { in.FunctionName = aws.String(arn + ":1") })
	wantError(t, err, "InvalidParameterValueException", notLatest)
	_, err = e.TagResource(t.Context(), &sdk.TagResourceInput{Resource: aws.String(arn + ":1"), Tags: map[string]string{"a": "b"}})
	wantError(t, err, "InvalidParameterValueException", "Tags on function aliases and versions are not supported. Please specify a function ARN.")

	gate = make(chan struct{})
	e.images.setGate(gate)
	if _, err := e.update(t, v2, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, publish(nil), "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress for resource: "+arn)
	close(gate)
	e.settled(t, "orders")

	for qualifier, want := range map[string]string{"2": arn + ":2", "01": arn + ":01", "99999999999999999999": arn + ":99999999999999999999"} {
		_, err := e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("orders"), Qualifier: &qualifier})
		wantError(t, err, "ResourceNotFoundException", "Function not found: "+want)
		_, err = e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders"), Qualifier: &qualifier})
		wantError(t, err, "ResourceNotFoundException", "Function not found: "+want)
	}
	_, err = e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("orders"), Qualifier: aws.String("a.b")})
	wantError(t, err, "ValidationException", "…at 'qualifier'…")
	_, err = e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("orders:1"), Qualifier: aws.String("2")})
	wantError(t, err, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.")
}

func TestPublishDelay(t *testing.T) {
	const delay = 200 * time.Millisecond
	e := newEndpoint(t, func(o *lambda.Options) { o.UpdateDelay = delay })
	v1, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", v1, nil)
	started := time.Now()
	e.publish(t)
	if took := time.Since(started); took < delay {
		t.Errorf("it took %v", took)
	}
}

func TestDeleteVersion(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{})
	e.create(t, "orders", v1, nil)
	e.publish(t)
	e.updateTo(t, v2)
	e.publish(t)
	e.alias(t, "live", "1")
	e.answers(t, "orders:2", "v2", "2")
	remove := func(qualifier string) error {
		_, err := e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders"), Qualifier: &qualifier})
		return err
	}
	wantError(t, remove("1"), "ResourceConflictException", "Unable to delete version because the following aliases reference it: [live]")
	wantError(t, remove("live"), "InvalidParameterValueException", "Deletion of aliases is not currently supported.")
	wantError(t, remove("$LATEST"), "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function.")
	for _, gone := range []string{"2", "2", "02", "7"} {
		if err := remove(gone); err != nil {
			t.Errorf("delete version %s: %v", gone, err)
		}
	}
	if err := remove("01"); err != nil {
		t.Error(err)
	}
	_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders:2")})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":2")
	if got, _ := e.numbers(t, 50); !slices.Equal(got, []string{"$LATEST", "1"}) {
		t.Errorf("left are %v", got)
	}
	if got := e.publish(t); got != "3" {
		t.Errorf("the number after the deleted one is %s", got)
	}
	e.answers(t, "orders:3", "v2", "3")
	e.answers(t, "orders:live", "v1", "1")
}

func TestDeleteTakesVersionsAndAliasesAlong(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{})
	e.create(t, "orders-2", v1, nil) // of a name that begins alike
	if _, err := e.PublishVersion(t.Context(), &sdk.PublishVersionInput{FunctionName: aws.String("orders-2")}); err != nil {
		t.Fatal(err)
	}
	e.create(t, "orders", v1, nil)
	e.publish(t)
	e.alias(t, "live", "1")
	e.answers(t, "orders:live", "v1", "1")
	if _, err := e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders")}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders:1")})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":1")
	e.create(t, "orders", v2, nil)
	if got, _ := e.numbers(t, 50); !slices.Equal(got, []string{"$LATEST"}) {
		t.Errorf("the function of the same name has %v", got)
	}
	_, err = e.GetAlias(t.Context(), &sdk.GetAliasInput{FunctionName: aws.String("orders"), Name: aws.String("live")})
	wantError(t, err, "ResourceNotFoundException", "Cannot find alias arn: "+arn+":live")
	if got := e.publish(t); got != "1" {
		t.Errorf("its first version is %s", got)
	}
	e.answers(t, "orders:1", "v2", "1")
	e.settled(t, "orders-2:1")
	e.answers(t, "orders-2:1", "v1", "1")
}

func TestListVersions(t *testing.T) {
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", v1, nil)
	want := []string{"$LATEST"}
	for range 11 {
		want = append(want, e.publish(t))
		if _, err := e.UpdateFunctionConfiguration(t.Context(), &sdk.UpdateFunctionConfigurationInput{FunctionName: aws.String("orders"), Timeout: aws.Int32(5)}); err != nil {
			t.Fatal(err)
		}
		e.settled(t, "orders")
	}
	for size, pages := range map[int32]int{1: 12, 5: 3, 12: 1, 10000: 1} {
		if got, n := e.numbers(t, size); !slices.Equal(got, want) || n != pages {
			t.Errorf("with %d a page there are %v on %d pages, want %v on %d", size, got, n, want, pages)
		}
	}
	_, err := e.ListVersionsByFunction(t.Context(), &sdk.ListVersionsByFunctionInput{FunctionName: aws.String("orders"), MaxItems: aws.Int32(0)})
	wantError(t, err, "ValidationException", "…at 'maxItems'…")
}

func TestRestartWithVersions(t *testing.T) {
	store, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e := &endpoint{images: newRegistry(), store: store, logs: &localawstest.Log{}}
	v1, first := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{files: map[string]string{"other": "layer"}})
	stop := e.serve(t, nil)
	e.create(t, "orders", v1, nil)
	e.publish(t)
	before := e.alias(t, "live", "1")
	gate := make(chan struct{}) // nothing is unpacked until the restart
	e.images.setGate(gate)
	if _, err := e.update(t, v2, func(in *sdk.UpdateFunctionCodeInput) { in.Publish = true }); err != nil {
		t.Fatal(err)
	}
	stop()
	e.images.setGate(nil)
	stop = e.serve(t, nil)
	e.settled(t, "orders")
	e.settled(t, "orders:2")
	stop()
	// From now on nothing but version 1 uses the first image.
	stop = e.serve(t, nil)
	defer stop()
	e.answers(t, "orders", "v2", "$LATEST")
	e.answers(t, "orders:2", "v2", "2")
	e.answers(t, "orders:live", "v1", "1")
	if after, err := e.GetAlias(t.Context(), &sdk.GetAliasInput{FunctionName: aws.String("orders"), Name: aws.String("live")}); err != nil || *after.RevisionId != *before.RevisionId {
		t.Errorf("the alias is %+v %v", after, err)
	}
	if got := e.publish(t); got != "2" {
		t.Errorf("published again as %s", got)
	}
	if _, err := os.Stat(filepath.Join(store.Dir(), "rootfs", strings.ReplaceAll(first, ":", "-"))); err != nil {
		t.Errorf("the image that a version uses: %v", err)
	}
}
