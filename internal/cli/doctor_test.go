package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/klauspost/compress/zstd"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/awsbackend"
	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/provider"
)

// row is something that Lambda refuses, stumbles over or will lose, and who sees it
// beforehand. Each test of a row has a healthy handoff of its own: release "base" runs.
type row struct {
	design string // the scenario, or the failure as Lambda words it
	name   string

	prepare func(h *patient)             // what is wrong with the handoff; nil for nothing
	image   func(arch string) (l layout) // what is wrong with the image "new"; nil for no such image
	local   bool                         // the image is judged where it was built: ECR has no such image

	deep    bool     // doctor needs --deep to see it
	finds   []string // what doctor finds: "severity rule: subject: sentence", parts of it between "…"; nil for nothing
	looks   string   // what doctor says that it looked at
	refuses string   // why release, whose preflight this is, does not take it; "" where it does
	hint    string   // what release says to do about it
	warns   string   // what a release that takes it says
	unseen  string   // why release does not look for it, and is not run
	infra   string   // why the provider, which gives stacks their image, does not take it
	given   bool     // the provider does take it
	lambda  string   // what the endpoint's Lambda says of it, in Lambda's words
}

const (
	gzipLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	keepsTen     = `{"rules":[{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}]}`
	archivesIdle = `{"rules":[{"rulePriority":3,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":60},"action":{"type":"transition","targetStorageClass":"archive"}}]}`
	lambdaPulls  = `{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}`
	unsupported  = "The image manifest, config or layer media type for the source image …:new is not supported."
	lambdaDenied = `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:BatchGetImage"}]}`
)

// rows is S15, S16 and the failures of Lambda's that can be seen before they happen, and
// what keeps a release from being found again later.
func rows() []row {
	is := func(change func(*build)) func(string) layout {
		return func(arch string) layout {
			b := program(arch)
			change(&b)
			return b.layout()
		}
	}
	deepOnly := "what is in the layers is not read by a release: Lambda says it once the update has begun, and the release is undone"
	return []row{
		{design: "S15", name: "a buildx index with an attestation", lambda: unsupported, image: func(arch string) layout { return index(program(arch)) },
			looks: "for linux/$ARCH in index sha256:", warns: "is an index; Lambda takes its image for linux/$ARCH, sha256:", given: true},
		{design: "S15", name: "a multi-platform index", lambda: unsupported, image: func(arch string) layout { return index(program(otherArch()), program(arch)) },
			looks: "for linux/$ARCH in index sha256:", warns: "tag new names an index, which Lambda refuses when it is given by its tag", given: true},
		{design: "S15", name: "an index without the function's architecture", lambda: unsupported, image: func(string) layout { return index(program(otherArch())) },
			finds:   []string{"error no-image: $IMAGE: the index sha256:…holds no image for linux/$ARCH, which the function's architecture …needs; it holds linux/$OTHER: build for linux/$ARCH"},
			refuses: "holds no image for linux/$ARCH", infra: "holds no image for linux/$ARCH"},
		{design: "The image manifest, config or layer media type for the source image … is not supported.", name: "the released tag names an index",
			prepare: func(h *patient) { h.push("base", index(h.base)) },
			finds:   []string{"warning index-tag: tag base names the index sha256:…, which Lambda refuses when it is given by its tag; its image for the functions is sha256:"}, unseen: "it is released already"},
		{design: "The image manifest, config or layer media type for the source image … is not supported.", name: "an artifact", lambda: unsupported, image: is(func(b *build) { b.configType = "application/vnd.cncf.helm.config.v1+json" }),
			finds:   []string{"error config-type: $IMAGE: the configuration is of type application/vnd.cncf.helm.config.v1+json, so this is an artifact and not a container image"},
			refuses: "this is an artifact and not a container image", hint: "Build and push a container image for one platform", infra: "this is an artifact and not a container image"},
		{design: "InvalidImage: ImageLayerFailure: UnsupportedImageLayerDetected …", name: "a layer of an unknown type", lambda: unsupported, image: is(func(b *build) { b.layerType = "application/vnd.example.squashfs" }),
			finds:   []string{"error layer-type: $IMAGE: layer 1 is of type application/vnd.example.squashfs, which Lambda does not take"},
			refuses: "layer 1 is of type application/vnd.example.squashfs", hint: "tar archives with gzip", infra: "layer 1 is of type application/vnd.example.squashfs"},
		{design: "InvalidImage: ImageLayerFailure: UnsupportedImageLayerDetected …", name: "a foreign layer", local: true, image: is(func(b *build) { b.layerType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }),
			finds:   []string{"error foreign-layer: $IMAGE: layer 1 is of type …, which is not kept in the registry, so Lambda cannot fetch it"},
			refuses: "which is not kept in the registry", hint: "Build on a base image whose layers may be pushed to ECR."},
		{design: "InvalidImage: ImageLayerFailure: UnsupportedImageLayerDetected …", name: "a layer of zstd", image: is(func(b *build) { b.layerType = "application/vnd.oci.image.layer.v1.tar+zstd" }),
			finds: []string{"warning zstd-layer: $IMAGE: layer 1 is compressed with zstd, which AWS does not say that Lambda takes"},
			warns: "layer 1 is compressed with zstd", given: true},
		{design: "S16, InvalidImage(SizeLimitExceeded: Uncompressed container image size exceeds 10 GiB limit)", name: "more than 10 GiB, compressed", local: true, image: is(func(b *build) { b.more = 11 << 30 }),
			finds:   []string{"error too-large: $IMAGE: the image's layers have 11.0 GiB compressed, and Lambda allows 10 GiB uncompressed"},
			refuses: "11.0 GiB compressed", hint: "Make the image smaller"},
		{design: "S16, InvalidImage(SizeLimitExceeded: Uncompressed container image size exceeds 10 GiB limit)", name: "more than 10 GiB, uncompressed", lambda: "InvalidImage(SizeLimitExceeded: Uncompressed container image size exceeds 10 GiB limit)", deep: true, unseen: deepOnly,
			image: is(func(b *build) { b.files = append(b.files, file{name: "zeros", claims: 11 << 30}) }),
			finds: []string{"error too-large: $IMAGE: the image's layers have more than 10 GiB uncompressed, which is the most that Lambda allows"}},
		{design: "S16, fork/exec /lambda-entrypoint.sh: exec format error, Runtime.InvalidEntrypoint", name: "wrong architecture", lambda: "Runtime.InvalidEntrypoint…fork/exec /app: exec format error", image: func(string) layout { return program(otherArch()).layout() },
			finds:   []string{"error wrong-architecture: $IMAGE: the image is for $OTHER, and the function's architecture is …, which needs $ARCH"},
			refuses: "the image is for $OTHER, and the function's architecture is", hint: "Build the image for linux/$ARCH", infra: "the image is for $OTHER"},
		{design: "S16, fork/exec /lambda-entrypoint.sh: exec format error, Runtime.InvalidEntrypoint", name: "a program for another architecture", lambda: "Runtime.InvalidEntrypoint…fork/exec /app: exec format error", deep: true, unseen: deepOnly,
			image: is(func(b *build) { b.files[0].content = elfProgram(otherArch(), "") }),
			finds: []string{"error entrypoint-architecture: $IMAGE: /app is a program for $OTHER, and the function's architecture is"}},
		{design: "S16, fork/exec /lambda-entrypoint.sh: exec format error, Runtime.InvalidEntrypoint", name: "another operating system", image: is(func(b *build) { b.os = "windows" }),
			finds:   []string{"error wrong-os: $IMAGE: the image is for the operating system windows, and Lambda runs linux only"},
			refuses: "Lambda runs linux only", hint: "Build the image for linux/$ARCH", infra: "Lambda runs linux only"},
		{design: "S16", name: "nothing to start", lambda: "Runtime.InvalidEntrypoint", image: is(func(b *build) { b.entrypoint = nil }),
			finds:   []string{"error no-entrypoint: $IMAGE: the image has neither an entry point nor a command, so Lambda has nothing to start"},
			refuses: "Lambda has nothing to start", hint: "Set ENTRYPOINT in the Dockerfile", infra: "Lambda has nothing to start"},
		{design: "S16", name: "a missing entry point", lambda: "Runtime.InvalidEntrypoint…fork/exec /nowhere: no such file or directory", image: is(func(b *build) { b.entrypoint = []string{"/nowhere"} }), deep: true, unseen: deepOnly,
			finds: []string{"error entrypoint-not-found: $IMAGE: /nowhere is what Lambda starts, and the image has no such file"}},
		{design: "S16", name: "a missing entry point of the function's ImageConfig", lambda: "Runtime.InvalidEntrypoint…fork/exec /elsewhere: no such file or directory", prepare: func(h *patient) { h.configure("/elsewhere") }, deep: true, unseen: deepOnly,
			finds: []string{"error entrypoint-not-found: base: /elsewhere is what Lambda starts for function $NAME, and the image has no such file"}},
		{design: "S16", name: "an entry point that nobody may run", lambda: "Runtime.InvalidEntrypoint…fork/exec /app: permission denied", image: is(func(b *build) { b.files[0].mode = 0o644 }), deep: true, unseen: deepOnly,
			finds: []string{"error entrypoint-not-executable: $IMAGE: /app is what Lambda starts, and its mode 0644 does not let every user run it"}},
		{design: "S16", name: "a program without its loader", lambda: "Runtime.InvalidEntrypoint…fork/exec /app: no such file or directory", image: is(func(b *build) { b.files[0].content = elfProgram(b.arch, "/lib64/ld-linux-x86-64.so.2") }), deep: true, unseen: deepOnly,
			finds: []string{"error interpreter-not-found: $IMAGE: /app needs /lib64/ld-linux-x86-64.so.2 to run, and the image has no such program"}},
		{design: "S16", name: "a missing working directory", lambda: "Runtime.InvalidWorkingDir…chdir /srv: no such file or directory", image: is(func(b *build) { b.workingDir = "/srv" }), deep: true, unseen: deepOnly,
			finds: []string{"error working-directory-not-found: $IMAGE: /srv is the working directory, and is no directory in the image"}},
		{design: "S16", name: "too many layers", image: is(func(b *build) { b.layers = 128 }),
			finds:   []string{"error too-many-layers: $IMAGE: the image has 128 layers, and 127 is the most that an image may have"},
			refuses: "the image has 128 layers", hint: "Join instructions of the Dockerfile", infra: "the image has 128 layers"},
		{design: "S16, Please don't provide ImageUri when updating a function with packageType Zip.", name: "a zip function", lambda: "Please don't provide ImageUri when updating a function with packageType Zip.", prepare: func(h *patient) { h.zip() },
			finds:   []string{"error package-type: use function $NAME: its package type is Zip, and Lambda never turns a function of one package type into the other"},
			refuses: "its package type is Zip", hint: "Create a function with PackageType Image, or name the right one."},
		{design: "S16", name: "another region", prepare: func(h *patient) { h.answers.functions = "eu-west-1:000000000000" },
			finds:   []string{"error other-region: use function $NAME: the function is in eu-west-1 and repository …is in us-east-1, and Lambda takes images from its own region only"},
			refuses: "Lambda takes images from its own region only", hint: "Use a repository in eu-west-1"},
		{design: "Source image … does not exist. Provide a valid source image.", name: "a tag that is not there", lambda: "Source image …:new does not exist. Provide a valid source image.", prepare: func(h *patient) { h.register("v9") },
			finds: []string{
				"error disagreement: /tasuki/$NAME/image-tag registers tag v9, which is not in",
			}, refuses: "tag new is not in repository", hint: "Push the image first", infra: "registers tag v9, which is not in repository"},
		{design: "The function is trying to use a deleted image.", name: "the live image is deleted", lambda: "Source image …:base does not exist. Provide a valid source image.", prepare: func(h *patient) { h.delete("base") },
			finds: []string{
				"error disagreement: /tasuki/$NAME/image-tag registers base as sha256:…, which is not in",
				"error disagreement: function $NAME runs sha256:…, which is not in …any more",
			}, refuses: "tag base is not in repository", infra: "registers tag base as sha256:…, which is not in repository"},
		{design: "The function is trying to use a deleted image.", name: "a lifecycle rule that will expire it", prepare: func(h *patient) { h.lifecycle(keepsTen) },
			finds: []string{"error lifecycle: lifecycle rule 2 keeps 10 images and expires older ones, and may expire the released image of $NAME"}, unseen: "it is released already"},
		{design: "The function is trying to use a deleted image.", name: "the release to roll back to is gone", prepare: func(h *patient) { h.release("next"); h.delete("base") },
			finds: []string{"warning rollback-target-gone: release base, the one before next, is not in …any more, so that tasuki rollback cannot go back to it"}, unseen: "rollback says it"},
		{design: "The function is trying to use a deleted image.", name: "the repository's key is another account's", prepare: func(h *patient) { h.answers.key = "arn:aws:kms:us-east-1:111111111111:key/k" },
			finds: []string{"warning encryption: repository …is encrypted with a key of account 111111111111, which can make its images unreadable"}, unseen: "it works until that account takes the key away"},
		{design: "The function is trying to use a deleted image.", name: "an alias on a deleted image", prepare: func(h *patient) { h.aliasOn("base") },
			finds: []string{
				"error disagreement: alias live of function $NAME points to version 1, which runs sha256:…, and next is registered as",
				"error image-gone: the image of version 1, which alias live of function $NAME serves, sha256:…, is not in …any more",
				"warning rollback-target-gone: release base, the one before next, is not in",
			}, unseen: "it is released already"},
		{design: "404 on pull of an archived image", name: "an archived image that ECR does not give", prepare: func(h *patient) { h.answers.inaccessible = "base" },
			finds: []string{"error image-unreadable: read image …: ECR does not give image base …: ImageInaccessible"}, refuses: "ECR does not give image base …: ImageInaccessible", hint: "It may be in ECR's archive"},
		{design: "404 on pull of an archived image", name: "an archived image", prepare: func(h *patient) { h.answers.archived = true }, deep: true, unseen: "a release may not describe images",
			finds: []string{"error image-archived: the released image of $NAME, sha256:…, is ARCHIVED in …, so that Lambda cannot pull it"}},
		{design: "404 on pull of an archived image", name: "a lifecycle rule that will archive it", prepare: func(h *patient) { h.lifecycle(archivesIdle) },
			finds: []string{"error lifecycle: lifecycle rule 3 archives images 60 days after they were last pulled, and may archive the released image of $NAME"}, unseen: "it is released already"},
		{design: "Lambda does not have permission to access the ECR image. Check the ECR permissions.", name: "a repository policy without Lambda", prepare: func(h *patient) { h.permit("") }, deep: true,
			finds: []string{"warning repository-policy: the policy of repository …does not let Lambda pull images for function $NAME; Lambda adds the permission only for a caller who may change the policy"}, unseen: "a release may not read the policy"},
		{design: "Lambda does not have permission to access the ECR image. Check the ECR permissions.", name: "a repository policy against Lambda", lambda: "Lambda does not have permission to access the ECR image. Check the ECR permissions.", prepare: func(h *patient) { h.permit(lambdaDenied) }, deep: true,
			finds: []string{"error repository-policy: the policy of repository …denies Lambda ecr:BatchGetImage and ecr:GetDownloadUrlForLayer for function $NAME"}, unseen: "a release may not read the policy"},
		{design: "Lambda does not have permission to access the ECR image. Check the ECR permissions.", name: "a repository policy without the function's account", prepare: func(h *patient) { h.answers.functions = "us-east-1:222222222222" }, deep: true,
			finds: []string{
				"error repository-policy: the policy of repository …does not let account 222222222222 pull images, which function $NAME needs",
			}, unseen: "a release may not read the policy"},
		{design: "tag invalid: The image tag '…' already exists … cannot be overwritten because the repository is immutable", name: "an immutable tag of another image", local: true, prepare: func(h *patient) { h.push("new", h.other().layout()) }, image: is(func(*build) {}),
			refuses: "is immutable"},
		{design: "S17", name: "a repository whose tags move", prepare: func(h *patient) { h.mutability(ecrtypes.ImageTagMutabilityMutable) },
			finds: []string{"warning movable-tags: repository …lets a released tag be moved to another image"}, unseen: "it is released already"},
	}
}

func TestWhatLambdaRefusesIsSeenBeforehand(t *testing.T) {
	w := newAccount(t)
	for i, r := range rows() {
		t.Run(r.design+"/"+r.name, func(t *testing.T) {
			h := w.patient(t, fmt.Sprintf("row-%02d", i))
			if out, code := h.run("doctor", h.name, "--deep"); code != 0 || !strings.HasPrefix(out, h.name+": nothing found\n") {
				t.Fatalf("the handoff is not healthy before: exit code %d\n%s", code, out)
			}
			h.wantLambda(row{lambda: "Runtime.ExitError"}) // the program ran, and ended
			if r.prepare != nil {
				r.prepare(h)
			}
			image := ""
			if r.image != nil {
				image = "oci:" + h.write(r.image(runtime.GOARCH))
				if !r.local {
					h.mustRun("copy", image, h.uri("new"), "--all")
				}
			}
			h.wantFindings(r, image)
			h.wantRelease(r, image)
			h.wantGiven(r)
			h.wantLambda(r)
		})
	}
}

// fill puts a row's names into what is expected.
func (h *patient) fill(text, image string) string {
	return strings.NewReplacer("$NAME", h.name, "$OTHER", otherArch(), "$ARCH", runtime.GOARCH, "$IMAGE", image).Replace(text)
}

// says reports whether text has the parts of what is expected, in order.
func says(text, expected string) bool {
	for part := range strings.SplitSeq(expected, "…") {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}

func (h *patient) wantFindings(r row, image string) {
	h.t.Helper()
	args := []string{"doctor", h.name, "--output", "json"}
	if image != "" {
		args = append(args, "--image", image)
	}
	if r.deep {
		if out, code := h.run(args...); code != 0 {
			h.t.Errorf("without --deep: exit code %d\n%s", code, out)
		}
		args = append(args, "--deep")
	}
	want := 0
	if len(r.finds) > 0 {
		want = 3
	}
	out, code := h.run(args...)
	var result struct {
		Deep     bool
		Examined []tasuki.Examined
		Findings []tasuki.Finding
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		h.t.Fatalf("%v\n%s%s", err, out, h.stderr.String())
	}
	if code != want || len(result.Findings) != len(r.finds) || result.Deep != r.deep {
		h.t.Errorf("exit code %d, want %d; findings %+v", code, want, result.Findings)
		return
	}
	for i, f := range result.Findings {
		got := fmt.Sprintf("%s %s: %s", f.Severity, f.Rule, f.Summary)
		if f.Subject != "" {
			got = fmt.Sprintf("%s %s: %s: %s", f.Severity, f.Rule, f.Subject, f.Summary)
		}
		if expected := h.fill(r.finds[i], image); !says(got, expected) {
			h.t.Errorf("found %q, want %q", got, expected)
		}
		if strings.ContainsAny(f.Summary, "\n") || strings.HasSuffix(f.Summary, ".") || !strings.HasSuffix(f.Fix, ".") || strings.Contains(f.Fix, "\n") {
			h.t.Errorf("not a sentence and a fix: %+v", f)
		}
	}
	if expected := h.fill(r.looks, image); expected != "" && !slices.ContainsFunc(result.Examined, func(e tasuki.Examined) bool { return says(e.Found, expected) }) {
		h.t.Errorf("looked at %+v, want %q", result.Examined, expected)
	}
}

// wantRelease releases the image of a row, or what is in ECR, and fails unless it is
// refused before anything has changed, or taken, as the row says.
func (h *patient) wantRelease(r row, image string) {
	h.t.Helper()
	if r.unseen != "" {
		return
	}
	args := []string{"release", h.name, "--tag", "new"}
	switch {
	case r.local:
		args = append(args, "--image", image)
	case image == "" && !strings.Contains(r.refuses, "tag new"):
		args[3] = "base"
	}
	calls := h.account.server.Calls()
	calls.Reset()
	out, code := h.run(args...)
	said := h.stderr.String()
	switch {
	case r.refuses != "":
		if code != 1 || !says(said, h.fill(r.refuses, image)) || !says(said, h.fill(r.hint, image)) {
			h.t.Errorf("release: exit code %d, want 1 and %q, %q\n%s%s", code, r.refuses, r.hint, out, said)
		}
		for _, change := range []string{"lambda:UpdateFunctionCode", "ssm:PutParameter", "lambda:PublishVersion"} {
			if n := calls.Count(change); n > 0 {
				h.t.Errorf("release: %d calls of %s before the refusal", n, change)
			}
		}
	case code != 0 || !says(said, h.fill(r.warns, image)):
		h.t.Errorf("release: exit code %d, want 0 and %q\n%s%s", code, r.warns, out, said)
	}
}

// wantGiven asks the provider for the image of a stack's function, as a team that writes
// its parameter by hand would deploy it.
func (h *patient) wantGiven(r row) {
	h.t.Helper()
	if r.infra == "" && !r.given {
		return
	}
	parameter := h.name
	if r.image != nil {
		parameter += "/by-hand"
		h.put("/tasuki/"+parameter+"/image-tag", "new")
	}
	status, reason := h.account.ask(h.t, map[string]any{
		"Handoff": h.name, "Repository": h.repository, "TagParameter": "/tasuki/" + parameter + "/image-tag", "PlaceholderTag": "initial",
		"Architecture": machine(), "Functions": []any{},
	})
	want := "FAILED"
	if r.given {
		want = "SUCCESS"
	}
	if status != want || !says(reason, h.fill(r.infra, "")) {
		h.t.Errorf("the provider answers %s, %q, want %s, %q", status, reason, want, r.infra)
	}
}

// wantLambda gives the function the image without asking anybody, and fails unless Lambda
// says what the row says: at once, when the update has ended, or when it is invoked.
func (h *patient) wantLambda(r row) {
	h.t.Helper()
	if r.lambda == "" {
		return
	}
	tag := "base"
	if r.image != nil || strings.Contains(r.lambda, ":new ") {
		tag = "new"
	}
	ctx, client := h.t.Context(), h.account.lambda
	said := ""
	_, err := client.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: &h.name, ImageUri: aws.String(h.repository + ":" + tag), Architectures: []types.Architecture{types.Architecture(machine())}})
	if err != nil {
		said = err.Error()
	}
	for deadline := time.Now().Add(time.Minute); said == "" && time.Now().Before(deadline); {
		f, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &h.name})
		h.must(err)
		switch f.LastUpdateStatus {
		case types.LastUpdateStatusFailed:
			said = aws.ToString(f.LastUpdateStatusReason)
		case types.LastUpdateStatusSuccessful:
			answer, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &h.name})
			h.must(err)
			said = string(answer.Payload)
		}
	}
	if !says(said, r.lambda) {
		h.t.Errorf("Lambda says %q, want %q", said, r.lambda)
	}
}

// account is an endpoint, with the provider on it.
type account struct {
	server   *localaws.Server
	config   aws.Config
	ecr      *ecr.Client
	lambda   *lambda.Client
	ssm      *ssm.Client
	provider *provider.Handler
	answered []byte // what the provider sent to CloudFormation
	answers  answers
}

func newAccount(t *testing.T) *account {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, variable := range server.Environ(nil) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	a := &account{server: server}
	a.config = server.Config("team")
	a.ecr, a.lambda, a.ssm = ecr.NewFromConfig(a.config), lambda.NewFromConfig(a.config), ssm.NewFromConfig(a.config)
	a.config.HTTPClient = &http.Client{Transport: &a.answers}
	a.provider = provider.New(server.URL())
	a.provider.Transport, a.provider.Log = a, slog.New(slog.DiscardHandler)
	return a
}

// RoundTrip takes the provider's answers. It implements [http.RoundTripper].
func (a *account) RoundTrip(r *http.Request) (_ *http.Response, err error) {
	a.answered, err = io.ReadAll(r.Body)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, err
}

// ask asks the provider for a function's image, as CloudFormation does.
func (a *account) ask(t *testing.T, properties map[string]any) (status, reason string) {
	t.Helper()
	event, err := json.Marshal(map[string]any{
		"RequestType": "Create", "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/answer", "RequestId": "1", "LogicalResourceId": "Image",
		"StackId": "arn:aws:cloudformation:us-east-1:000000000000:stack/shop/1", "ResourceType": "Custom::TasukiImage", "ResourceProperties": properties,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.provider.Invoke(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Status, Reason string }
	if err := json.Unmarshal(a.answered, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Status, answer.Reason
}

// answers changes what ECR answers to what it does on AWS and not at the endpoint.
type answers struct {
	inaccessible string // a tag whose image is archived, and not given
	archived     bool   // images are described as archived
	key          string // that encrypts repositories
	functions    string // region and account where functions are
}

// RoundTrip implements [http.RoundTripper].
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	isFunction := strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/")
	if err != nil || operation == "" && !isFunction || *a == (answers{}) || response.StatusCode != http.StatusOK {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if isFunction && a.functions != "" {
		body = bytes.ReplaceAll(body, []byte(":lambda:us-east-1:"+localaws.Account+":"), []byte(":lambda:"+a.functions+":"))
	}
	if operation != "" {
		if body, err = a.ecr(operation, body); err != nil {
			return nil, err
		}
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response.Header.Del("Content-Length")
	return response, nil
}

// ecr changes what an operation of ECR's answers.
func (a *answers) ecr(operation string, body []byte) ([]byte, error) {
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	list := func(name string) (members []map[string]any) {
		all, _ := answer[name].([]any)
		for _, member := range all {
			members = append(members, member.(map[string]any))
		}
		return members
	}
	switch operation {
	case "BatchGetImage":
		var given, failures []any
		for _, image := range list("images") {
			if id, _ := image["imageId"].(map[string]any); a.inaccessible != "" && id["imageTag"] == a.inaccessible {
				failures = append(failures, map[string]any{"imageId": id, "failureCode": "ImageInaccessible", "failureReason": "The image is archived."})
				continue
			}
			given = append(given, image)
		}
		for _, failure := range list("failures") {
			failures = append(failures, failure)
		}
		answer["images"], answer["failures"] = given, failures
	case "DescribeImages":
		for _, detail := range list("imageDetails") {
			if a.archived {
				detail["imageStatus"] = "ARCHIVED"
			}
		}
	case "DescribeRepositories":
		for _, repository := range list("repositories") {
			if a.key != "" {
				repository["encryptionConfiguration"] = map[string]any{"encryptionType": "KMS", "kmsKey": a.key}
			}
		}
	}
	return json.Marshal(answer)
}

// patient is a handoff whose release "base" runs, with all as it should be.
type patient struct {
	t          *testing.T
	account    *account
	name       string
	repository string
	base       build
	answers    *answers
	stderr     bytes.Buffer // of the last command
}

func (a *account) patient(t *testing.T, name string) *patient {
	t.Helper()
	a.answers = answers{}
	h := &patient{t: t, account: a, name: name, base: program(runtime.GOARCH), answers: &a.answers, repository: localaws.Account + ".dkr.ecr." + a.server.Region() + ".amazonaws.com/" + name}
	_, err := a.ecr.CreateRepository(t.Context(), &ecr.CreateRepositoryInput{RepositoryName: &name})
	h.must(err)
	h.mutability(ecrtypes.ImageTagMutabilityImmutableWithExclusion)
	h.permit(lambdaPulls)
	h.push("base", h.base.layout())
	_, err = a.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: aws.String(h.repository + ":base")},
		Architectures: []types.Architecture{types.Architecture(machine())}, Role: aws.String("arn:aws:iam::" + localaws.Account + ":role/function"),
	})
	h.must(err)
	h.must(lambda.NewFunctionActiveV2Waiter(a.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 5 * time.Millisecond }).Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: &name}, time.Minute))
	h.mustRun("contract", name, "--write", "--repository", name, "--function", name)
	h.mustRun("release", name, "--tag", "base")
	return h
}

func (h *patient) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// run runs tasuki, and returns what it prints and its exit code.
func (h *patient) run(args ...string) (stdout string, code int) {
	h.t.Helper()
	var out bytes.Buffer
	h.stderr.Reset()
	code = cli.Run(h.t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &h.stderr}, awsbackend.Options{Config: &h.account.config})
	return out.String(), code
}

func (h *patient) mustRun(args ...string) {
	h.t.Helper()
	if out, code := h.run(args...); code != 0 {
		h.t.Fatalf("tasuki %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, h.stderr.String())
	}
}

func (h *patient) uri(tag string) string { return "docker://" + h.repository + ":" + tag }

// write writes an image to a directory.
func (h *patient) write(l layout) (dir string) {
	h.t.Helper()
	dir = h.t.TempDir()
	h.must(os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700))
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIIndex, "manifests": []tasuki.Descriptor{l.top}})
	h.must(err)
	h.must(os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600))
	h.must(os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600))
	for digest, blob := range l.blobs {
		h.must(os.WriteFile(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest.String(), "sha256:")), blob, 0o600))
	}
	return dir
}

// push puts an image into the repository, over the one that has the tag.
func (h *patient) push(tag string, l layout) {
	h.t.Helper()
	h.mutability(ecrtypes.ImageTagMutabilityMutable)
	h.mustRun("copy", "oci:"+h.write(l), h.uri(tag), "--all")
	h.mutability(ecrtypes.ImageTagMutabilityImmutableWithExclusion)
}

// other is another image that is right.
func (h *patient) other() build {
	b := program(runtime.GOARCH)
	b.files = append(b.files, file{name: "other", content: "other", mode: 0o644})
	return b
}

func (h *patient) release(tag string) {
	h.t.Helper()
	h.push(tag, h.other().layout())
	h.mustRun("release", h.name, "--tag", tag)
}

func (h *patient) mutability(m ecrtypes.ImageTagMutability) {
	h.t.Helper()
	in := &ecr.PutImageTagMutabilityInput{RepositoryName: &h.name, ImageTagMutability: m}
	if m == ecrtypes.ImageTagMutabilityImmutableWithExclusion {
		in.ImageTagMutabilityExclusionFilters = []ecrtypes.ImageTagMutabilityExclusionFilter{{Filter: aws.String("tasuki-*"), FilterType: ecrtypes.ImageTagMutabilityExclusionFilterTypeWildcard}}
	}
	_, err := h.account.ecr.PutImageTagMutability(h.t.Context(), in)
	h.must(err)
}

// permit gives the repository a policy, "" for none.
func (h *patient) permit(policy string) {
	h.t.Helper()
	if policy == "" {
		_, err := h.account.ecr.DeleteRepositoryPolicy(h.t.Context(), &ecr.DeleteRepositoryPolicyInput{RepositoryName: &h.name})
		h.must(err)
		return
	}
	_, err := h.account.ecr.SetRepositoryPolicy(h.t.Context(), &ecr.SetRepositoryPolicyInput{RepositoryName: &h.name, PolicyText: &policy})
	h.must(err)
}

func (h *patient) lifecycle(policy string) {
	h.t.Helper()
	_, err := h.account.ecr.PutLifecyclePolicy(h.t.Context(), &ecr.PutLifecyclePolicyInput{RepositoryName: &h.name, LifecyclePolicyText: &policy})
	h.must(err)
}

// delete deletes the image of a tag, with all that it is tagged besides.
func (h *patient) delete(tag string) {
	h.t.Helper()
	images, err := h.account.ecr.BatchGetImage(h.t.Context(), &ecr.BatchGetImageInput{RepositoryName: &h.name, ImageIds: []ecrtypes.ImageIdentifier{{ImageTag: &tag}}})
	h.must(err)
	_, err = h.account.ecr.BatchDeleteImage(h.t.Context(), &ecr.BatchDeleteImageInput{RepositoryName: &h.name, ImageIds: []ecrtypes.ImageIdentifier{{ImageDigest: images.Images[0].ImageId.ImageDigest}}})
	h.must(err)
}

// register writes the tag parameter by hand.
func (h *patient) register(tag string) { h.put("/tasuki/"+h.name+"/image-tag", tag) }

func (h *patient) put(parameter, value string) {
	h.t.Helper()
	_, err := h.account.ssm.PutParameter(h.t.Context(), &ssm.PutParameterInput{Name: &parameter, Value: &value, Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)})
	h.must(err)
}

// configure gives the function an entry point of its own.
func (h *patient) configure(entrypoint string) {
	h.t.Helper()
	_, err := h.account.lambda.UpdateFunctionConfiguration(h.t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: &h.name, ImageConfig: &types.ImageConfig{EntryPoint: []string{entrypoint}}})
	h.must(err)
	h.must(lambda.NewFunctionUpdatedV2Waiter(h.account.lambda, func(o *lambda.FunctionUpdatedV2WaiterOptions) { o.MinDelay = 5 * time.Millisecond }).Wait(h.t.Context(), &lambda.GetFunctionInput{FunctionName: &h.name}, time.Minute))
}

// aliasOn leaves an alias on the first release, which it deletes.
func (h *patient) aliasOn(tag string) {
	h.t.Helper()
	h.mustRun("contract", h.name, "--write", "--repository", h.name, "--function", h.name, "--alias", "live")
	h.mustRun("reconcile", h.name)
	h.release("next")
	_, err := h.account.lambda.UpdateAlias(h.t.Context(), &lambda.UpdateAliasInput{FunctionName: &h.name, Name: aws.String("live"), FunctionVersion: aws.String("1")})
	h.must(err)
	h.delete(tag)
}

// zip puts a function of package type Zip in the place of the handoff's.
func (h *patient) zip() {
	h.t.Helper()
	_, err := h.account.lambda.DeleteFunction(h.t.Context(), &lambda.DeleteFunctionInput{FunctionName: &h.name})
	h.must(err)
	h.must(newRelay(h.account.server, nil).zipped(nil, []string{h.name}))
}

// build is an image of one platform, as it is about to be built.
type build struct {
	os, arch   string
	entrypoint []string
	workingDir string
	configType string
	layerType  string
	layers     int // of the same content
	files      []file
	more       int64 // bytes that the manifest says the first layer has beside those it has
}

type file struct {
	name    string
	mode    int64
	content string
	claims  int64 // bytes that the archive says it has; it ends there
}

// program is an image that is right for functions of an architecture.
func program(arch string) build {
	return build{
		os: "linux", arch: arch, entrypoint: []string{"/app"}, configType: tasuki.MediaTypeOCIConfig, layerType: gzipLayer, layers: 1,
		files: []file{{name: "app", mode: 0o755, content: elfProgram(arch, "")}},
	}
}

// layout is an image, or an index, with all that it points to.
type layout struct {
	top   tasuki.Descriptor
	blobs map[tasuki.Digest][]byte
}

func (l *layout) add(mediaType string, blob []byte) tasuki.Descriptor {
	if l.blobs == nil {
		l.blobs = map[tasuki.Digest][]byte{}
	}
	d := tasuki.Descriptor{MediaType: mediaType, Digest: tasuki.DigestOf(blob), Size: int64(len(blob))}
	l.blobs[d.Digest] = blob
	return d
}

func (l *layout) addJSON(mediaType string, v any) tasuki.Descriptor {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers only
	}
	return l.add(mediaType, b)
}

func (b build) layout() (l layout) {
	archive := b.archive()
	layer := l.add(b.layerType, archive)
	layer.Size += b.more
	config := l.addJSON(b.configType, map[string]any{
		"os": b.os, "architecture": b.arch, "config": map[string]any{"Entrypoint": b.entrypoint, "WorkingDir": b.workingDir}, "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
	})
	l.top = l.addJSON(tasuki.MediaTypeOCIManifest, map[string]any{
		"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest, "config": config, "layers": slices.Repeat([]tasuki.Descriptor{layer}, b.layers),
	})
	return l
}

// index is an index as buildx makes it: with an attestation of each image.
func index(builds ...build) (l layout) {
	var manifests []tasuki.Descriptor
	for _, b := range builds {
		image := b.layout()
		for _, blob := range image.blobs {
			l.add("", blob)
		}
		image.top.Platform = &tasuki.Platform{OS: b.os, Architecture: b.arch}
		statement := l.add("application/vnd.in-toto+json", []byte(`{"predicateType":"https://slsa.dev/provenance/v1"}`))
		config := l.addJSON(tasuki.MediaTypeOCIConfig, map[string]any{"os": "unknown", "architecture": "unknown"})
		attestation := l.addJSON(tasuki.MediaTypeOCIManifest, map[string]any{
			"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIManifest, "config": config, "layers": []tasuki.Descriptor{statement},
		})
		attestation.Platform = &tasuki.Platform{OS: "unknown", Architecture: "unknown"}
		attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.top.Digest.String()}
		manifests = append(manifests, image.top, attestation)
	}
	l.top = l.addJSON(tasuki.MediaTypeOCIIndex, map[string]any{"schemaVersion": 2, "mediaType": tasuki.MediaTypeOCIIndex, "manifests": manifests})
	return l
}

// archive returns the layer, compressed as its type says.
func (b build) archive() []byte {
	var out bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&out)
	if strings.HasSuffix(b.layerType, "zstd") {
		var err error
		if z, err = zstd.NewWriter(&out); err != nil {
			panic(err) // it has no options
		}
	}
	archive := tar.NewWriter(z)
	write := func(f file) error {
		if err := archive.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: max(f.claims, int64(len(f.content)))}); err != nil || f.claims > 0 {
			return err
		}
		_, err := io.WriteString(archive, f.content)
		return err
	}
	for _, f := range b.files {
		if err := write(f); err != nil {
			panic(err) // it is memory that is written to
		}
	}
	if b.files[len(b.files)-1].claims == 0 {
		_ = archive.Close()
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// elfProgram returns a program for linux that ends at once, and the name of what loads it,
// "" for nothing.
func elfProgram(arch, loader string) string {
	machine, exit := elf.EM_X86_64, "\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05" // xor edi, edi; mov eax, 60; syscall
	if arch == "arm64" {
		machine, exit = elf.EM_AARCH64, "\x00\x00\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4" // mov x0, 0; mov x8, 93; svc 0
	}
	const header, segment, address = 64, 56, 0x400000
	text := loader + "\x00" + exit
	begin := uint64(header + 2*segment)
	size := begin + uint64(len(text))
	head := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Entry: address + size - uint64(len(exit)),
		Phoff: header, Ehsize: header, Phentsize: segment, Phnum: 2, Shentsize: 64,
	}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS], head.Ident[elf.EI_DATA], head.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	load := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: address, Filesz: size, Memsz: size, Align: 0x1000}
	interpreter := elf.Prog64{Type: uint32(elf.PT_NULL)}
	if loader != "" {
		interpreter = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: begin, Filesz: uint64(len(loader) + 1)}
	}
	var out bytes.Buffer
	for _, part := range []any{head, interpreter, load, []byte(text)} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			panic(err) // they are of fixed sizes
		}
	}
	return out.String()
}
