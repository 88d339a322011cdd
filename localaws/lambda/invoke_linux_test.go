package lambda_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

func TestInvokeRunsTheImage(t *testing.T) {
	const ofTheHost = "of the host"
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, ofTheHost)
	}
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{entrypoint: []string{"/function", "one"}, env: []string{"FROM=image", "ALSO=image"}})
	e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) {
		in.Environment = &types.Environment{Variables: map[string]string{"FROM": "function"}}
		in.MemorySize = aws.Int32(256)
	})
	out := e.invoke(t, "orders", `{"do":"env"}`)
	if out.StatusCode != http.StatusOK || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" {
		t.Fatalf("got %d %s %s", out.StatusCode, aws.ToString(out.FunctionError), out.Payload)
	}
	var env map[string]string
	if err := json.Unmarshal(out.Payload, &env); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"VERSION": "v1", "FROM": "function", "ALSO": "image", "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin", "TZ": ":UTC", "LANG": "en_US.UTF-8",
		"AWS_LAMBDA_FUNCTION_NAME": "orders", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/orders", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_REGION": region, "AWS_DEFAULT_REGION": region,
		"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	for _, name := range []string{"AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		if env[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
	for name, value := range env {
		if name == "HOME" || value == ofTheHost {
			t.Errorf("the host's environment reaches the function: %s is %q", name, value)
		}
	}
}

func TestInvocationsThatFail(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) { in.Timeout = aws.Int32(5) })
	for _, test := range []struct{ name, event, payload, log string }{
		{"error", `{"do":"fail"}`, `{"errorMessage":"asked to fail","errorType":"Test.Error"}`, "START RequestId: …\nEND RequestId: …\nREPORT RequestId: …\n"},
		{"crash", `{"do":"exit","code":1}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited with error: exit status 1"}`, "…START RequestId: …\nRequestId: … Error: Runtime exited with error: exit status 1\nRuntime.ExitError\nEND RequestId: …\tStatus: error\tError Type: Runtime.ExitError\n"},
		{"exit", `{"do":"exit"}`, `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited without providing a reason"}`, "…Runtime.ExitError\nEND…"},
		{"timeout", `{"do":"sleep","milliseconds":60000}`, `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: … Error: Task timed out after 5.00 seconds"}`, "…Z … Task timed out after 5.00 seconds\nEND RequestId: …\tStatus: timeout\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := e.invoke(t, "orders", test.event)
			if aws.ToString(out.FunctionError) != "Unhandled" || out.StatusCode != http.StatusOK || !matches(string(out.Payload), test.payload) {
				t.Errorf("got  %d %s %s\nwant %s", out.StatusCode, aws.ToString(out.FunctionError), out.Payload, test.payload)
			}
			if got := decodeLog(t, out); !matches(got, test.log) {
				t.Errorf("the log is\n%s\nwant\n%s", got, test.log)
			}
			if got := e.versionOf(t, "orders"); got != "v1" {
				t.Errorf("the next invocation is answered by %q", got)
			}
		})
	}
}

func TestImagesThatCannotStart(t *testing.T) {
	e := newEndpoint(t, nil)
	for _, test := range []struct {
		name, payload string
		p             picture
	}{
		{"missing", `{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: … Error: fork/exec /lambda-entrypoint.sh: no such file or directory"}`, picture{entrypoint: []string{"/lambda-entrypoint.sh"}}},
		{"arm64", `{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: … Error: fork/exec /function: exec format error"}`, picture{arch: "arm64"}},
		{"exits", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited with error: exit status 3"}`, picture{env: []string{"INIT=exit"}}},
		{"reports", `{"errorMessage":"no luck","errorType":"Test.Init"}`, picture{env: []string{"INIT=error"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			uri, _ := e.images.push(t, test.name, test.p)
			if f := e.create(t, test.name, uri, nil); f.Configuration.State != types.StateActive {
				t.Fatalf("the function is %s", f.Configuration.State)
			}
			out := e.invoke(t, test.name, `{}`)
			if aws.ToString(out.FunctionError) != "Unhandled" || !matches(string(out.Payload), test.payload) {
				t.Errorf("got  %s\nwant %s", out.Payload, test.payload)
			}
		})
	}
}

func TestImageConfigOverridesTheImage(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{entrypoint: []string{"/nothing"}, files: map[string]string{"srv/x": ""}})
	e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) {
		in.ImageConfig = &types.ImageConfig{EntryPoint: []string{"/function"}, Command: []string{"given"}, WorkingDirectory: aws.String("/srv")}
	})
	if out := e.invoke(t, "orders", `{}`); !strings.Contains(string(out.Payload), `"args":["/function","given"]`) || !strings.Contains(string(out.Payload), `"dir":"/srv"`) {
		t.Errorf("got %s", out.Payload)
	}
}

func TestFiveAtOnce(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) { in.Timeout = aws.Int32(20) })
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if out := e.invoke(t, "orders", `{"do":"sleep","milliseconds":1500}`); out.FunctionError != nil {
				t.Errorf("got %s", out.Payload)
			}
		})
	}
	group.Wait()
	if got := strings.Count(e.logs.String(), "Init Duration"); got != 5 {
		t.Errorf("%d environments were started, want 5", got)
	}
	e.versionOf(t, "orders")
	if got := strings.Count(e.logs.String(), "Init Duration"); got != 5 {
		t.Errorf("a warm environment was not used again: %d were started", got)
	}
}

func TestEventsAreTriedThreeTimes(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, nil)
	out, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders"), InvocationType: types.InvocationTypeEvent, Payload: []byte(`{"do":"fail"}`)})
	if err != nil || out.StatusCode != http.StatusAccepted || len(out.Payload) != 0 {
		t.Fatalf("got %+v %v", out, err)
	}
	for deadline := time.Now().Add(time.Minute); strings.Count(e.logs.String(), "END RequestId") < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log is\n%s", e.logs)
		}
	}
	e.versionOf(t, "orders")
	if got := strings.Count(e.logs.String(), "END RequestId"); got != 4 {
		t.Errorf("there were %d invocations, want three and the last\n%s", got, e.logs)
	}
}

func TestDryRunInvokesNothing(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, nil)
	out, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || out.StatusCode != http.StatusNoContent || e.logs.String() != "" {
		t.Errorf("got %+v %v\n%s", out, err, e.logs)
	}
}

func TestPayloads(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, func(in *sdk.CreateFunctionInput) { in.Timeout = aws.Int32(20) })
	invoke := func(kind types.InvocationType, payload []byte) error {
		_, err := e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders"), InvocationType: kind, Payload: payload})
		return err
	}
	wantError(t, invoke("", []byte(`{"`)), "InvalidRequestContentException", "Could not parse request body into json: …")
	wantError(t, invoke("", []byte(`"`+strings.Repeat("x", 6<<20)+`"`)), "RequestTooLargeException", "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
	wantError(t, invoke(types.InvocationTypeEvent, []byte(`"`+strings.Repeat("x", 1<<20)+`"`)), "RequestTooLargeException", "…")
	if err := invoke("", nil); err != nil {
		t.Errorf("an empty payload: %v", err)
	}
	if err := invoke("", []byte(`{"text":"`+strings.Repeat("x", 6<<20-11)+`"}`)); err != nil {
		t.Errorf("the largest payload: %v", err)
	}
	out := e.invoke(t, "orders", `{"do":"large","code":7000000}`)
	if want := `{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}`; string(out.Payload) != want || out.FunctionError == nil {
		t.Errorf("got %.300s", out.Payload)
	}
}

func TestLogs(t *testing.T) {
	e := newEndpoint(t, nil)
	uri, _ := e.images.push(t, "v1", picture{})
	e.create(t, "orders", uri, nil)
	out := e.invoke(t, "orders", `{"do":"print","text":"one\ntwo"}`)
	want := "START RequestId: … Version: $LATEST\none\ntwo\nEND RequestId: …\nREPORT RequestId: …\tDuration: … ms\tBilled Duration: … ms\tMemory Size: 128 MB\tInit Duration: … ms\n"
	if got := decodeLog(t, out); !matches(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out = e.invoke(t, "orders", fmt.Sprintf(`{"do":"print","text":%q}`, strings.Repeat("a line\n", 2000)))
	if got := decodeLog(t, out); len(got) != 4096 || !strings.HasSuffix(got, " MB\n") || strings.Contains(got, "one") {
		t.Errorf("the tail has %d bytes:\n%s", len(got), got)
	}
	for line := range strings.Lines(e.logs.String()) {
		if !strings.HasPrefix(line, "[orders] ") {
			t.Errorf("a line without the function's name: %s", line)
		}
	}
	content, err := os.ReadFile(filepath.Join(e.store.Dir(), "logs", "orders.log"))
	if err != nil || string(content) != strings.ReplaceAll(e.logs.String(), "[orders] ", "") {
		t.Errorf("the log file differs: %v", err)
	}
}

func TestZipFunction(t *testing.T) {
	e := newEndpoint(t, nil)
	archive := localawstest.Package(t, buildFunction(t, "amd64"))
	asZip := func(in *sdk.CreateFunctionInput) {
		in.PackageType, in.Code = types.PackageTypeZip, &types.FunctionCode{ZipFile: archive}
		in.Runtime, in.Handler = types.RuntimeProvidedal2023, aws.String("bootstrap")
	}
	f := e.create(t, "zipped", "", asZip)
	if f.Configuration.CodeSize != int64(len(archive)) || f.Configuration.State != types.StateActive {
		t.Errorf("got %+v", f.Configuration)
	}
	if out := e.invoke(t, "zipped", `{"do":"env"}`); !strings.Contains(string(out.Payload), `"_HANDLER":"bootstrap"`) {
		t.Errorf("got %s", out.Payload)
	}
	uri, _ := e.images.push(t, "v1", picture{})
	_, err := e.UpdateFunctionCode(t.Context(), &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("zipped"), ImageUri: &uri})
	wantError(t, err, "InvalidParameterValueException", "Please don't provide ImageUri when updating a function with packageType Zip.")
	// What is no package is refused at once, and changes nothing.
	before := e.settled(t, "zipped").Configuration
	for _, c := range []struct {
		content []byte
		want    string
	}{
		{[]byte("no zip"), "Could not unzip uploaded file. Please check your file, then try to upload again."},
		{archive[:len(archive)-30], "Could not unzip uploaded file. Please check your file, then try to upload again."},
		{lying(t, 262144000), "Unzipped size must be smaller than 262144000 bytes"},
	} {
		_, err = e.UpdateFunctionCode(t.Context(), &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("zipped"), ZipFile: c.content})
		wantError(t, err, "InvalidParameterValueException", c.want)
	}
	if after := e.settled(t, "zipped").Configuration; *after.RevisionId != *before.RevisionId {
		t.Errorf("a refused package changes the function to %+v", after)
	}
	// What can only be found out by unpacking fails the update.
	_, err = e.UpdateFunctionCode(t.Context(), &sdk.UpdateFunctionCodeInput{FunctionName: aws.String("zipped"), ZipFile: localawstest.Zip(t, "../escaped", 0o644, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if c := e.settled(t, "zipped").Configuration; c.LastUpdateStatus != types.LastUpdateStatusFailed || c.LastUpdateStatusReasonCode != types.LastUpdateStatusReasonCodeInvalidZipFileException || c.CodeSize != int64(len(archive)) {
		t.Errorf("after a package that cannot be unpacked: %+v", c)
	}
	e.invoke(t, "zipped", `{}`)
}

// lying returns an archive with a file that is said to unpack to so many bytes.
func lying(t *testing.T, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.CreateRaw(&zip.FileHeader{Name: "large", Method: zip.Deflate, UncompressedSize64: size}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkWarm(b *testing.B) {
	e := newEndpoint(b, nil)
	uri, _ := e.images.push(b, "v1", picture{})
	e.create(b, "orders", uri, nil)
	e.invoke(b, "orders", `{}`)
	for b.Loop() {
		e.invoke(b, "orders", `{}`)
	}
}

func BenchmarkCold(b *testing.B) {
	e := newEndpoint(b, nil)
	uri, _ := e.images.push(b, "v1", picture{})
	e.create(b, "orders", uri, nil)
	for b.Loop() {
		b.StopTimer()
		e.invoke(b, "orders", `{"do":"exit"}`)
		b.StartTimer()
		e.invoke(b, "orders", `{}`)
	}
}
