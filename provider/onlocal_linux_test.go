package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/image"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

const imageID = "tasuki-image/orders"

// given fails unless CloudFormation was given an image, and returns its URI.
func (w *world) given(a answer, digest tasuki.Digest, origin tasuki.Origin) string {
	w.t.Helper()
	if a.Status != success || a.PhysicalResourceID != imageID || a.Data["Origin"] != string(origin) ||
		!digest.IsZero() && (a.Data["Digest"] != digest.String() || "sha256:"+a.Data["DigestHex"] != digest.String()) {
		w.t.Errorf("answered %s, want %s from the %s\n%s", a, digest, origin, w.logs)
	}
	return a.Data["ImageUri"]
}

func (w *world) refused(a answer, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if a.Status != failed || !strings.Contains(a.Reason, text) {
			w.t.Errorf("answered %s, want a failure that says %q", a, text)
		}
	}
}

// TestTheRelayOfAStack takes one stack through its life, in the order in which things
// happen to it, with the packed provider.
func TestTheRelayOfAStack(t *testing.T) {
	w := newWorld(t, 60)

	// S1: no parameter, no image.
	w.stack("CREATE_IN_PROGRESS")
	first := w.event("image.json", map[string]string{"RequestType": create})
	a := w.askEvent(first)
	uri := w.given(a, tasuki.Digest{}, tasuki.OriginPlaceholder)
	if again := w.askEvent(first); again.String() != a.String() { // I4
		t.Errorf("the same request again is answered %s, and was %s", again, a)
	}
	w.create(uri)
	if failure := w.invoke("orders", "", nil); !strings.Contains(failure, "no release") { // I6
		t.Errorf("the placeholder answers %q, want that there is no release", failure)
	}
	alias := w.ask("alias.json", create, "")
	if alias.Status != success || alias.Data["Version"] != "1" {
		t.Errorf("the alias: %s", alias)
	}
	w.stack("CREATE_COMPLETE")
	if failure := w.reconcile("stack"); failure != "" {
		t.Errorf("reconcile without a release: %s", failure)
	}

	// A first release is registered; the parameter's event puts it into the function.
	v1 := w.register("v1", machine())
	for range 2 { // S23: twice
		if failure := w.reconcile("parameter"); failure != "" {
			t.Errorf("reconcile: %s", failure)
		}
	}
	w.wantRuns("v1", "")
	w.wantRuns("v1", "live")
	if n := w.server.Calls().Count("lambda:UpdateFunctionCode"); n != 1 {
		t.Errorf("the function was updated %d times, want once", n)
	}

	// S22: the tag is pushed again after its release.
	w.push("v1", "other", machine())
	w.stack("UPDATE_IN_PROGRESS")
	w.given(w.ask("image.json", update, imageID), v1, tasuki.OriginParameter)

	// S5: the parameter is deleted by accident.
	w.forget()
	w.given(w.ask("image.json", update, imageID), v1, tasuki.OriginFunction)
	if !strings.Contains(w.logs.String(), "no release is registered") {
		t.Errorf("nothing warns of the missing parameter:\n%s", w.logs)
	}

	// S20: and the architecture is changed, or the function is replaced.
	w.refused(w.ask("image.json", update, imageID, "Architecture", string(otherMachine())), string(otherMachine()))
	w.given(w.ask("image.json", update, imageID), v1, tasuki.OriginFunction)

	// S7: a tag that is not in ECR.
	if _, err := w.backend.Tags.WriteTag(t.Context(), w.handoff.TagParameter, must(t, tasuki.ParseTag, "v9"), ""); err != nil {
		t.Fatal(err)
	}
	w.refused(w.ask("image.json", update, imageID), "v9", w.handoff.Repository.String())
	w.stack("UPDATE_ROLLBACK_IN_PROGRESS")
	w.given(w.ask("image.json", update, imageID), v1, tasuki.OriginFunction)
	w.stack("UPDATE_ROLLBACK_COMPLETE")
	if failure := w.reconcile("stack"); !strings.Contains(failure, "v9") {
		t.Errorf("reconcile to what is not in ECR: %q", failure)
	}
	w.wantRuns("v1", "")

	// S6: the parameter cannot be read.
	v2 := w.register("v2", machine())
	w.server.Faults().Add(fault.Rule{Operation: "ssm:GetParameter*", Kind: fault.Denied})
	w.stack("UPDATE_IN_PROGRESS")
	w.refused(w.ask("image.json", update, imageID), "access denied", parameter)
	w.stack("UPDATE_ROLLBACK_IN_PROGRESS")
	w.given(w.ask("image.json", update, imageID), v1, tasuki.OriginFunction)
	w.stack("UPDATE_ROLLBACK_COMPLETE")
	if failure := w.reconcile("schedule"); !strings.Contains(failure, "access denied") {
		t.Errorf("reconcile without reading the parameter: %q", failure)
	}
	w.wantRuns("v1", "")
	w.server.Faults().Clear()

	// Throttled and lost answers are tried again (I4).
	w.server.Faults().Add(
		fault.Rule{Operation: "ssm:GetParameter*", Kind: fault.Throttle, Times: 1},
		fault.Rule{Operation: "lambda:UpdateFunctionCode", Kind: fault.LostAnswer, Times: 1},
		fault.Rule{Operation: "lambda:PublishVersion", Kind: fault.LostAnswer, Times: 1},
		fault.Rule{Operation: "lambda:UpdateAlias", Kind: fault.LostAnswer, Times: 1},
	)
	if failure := w.reconcile("stack"); failure != "" {
		t.Errorf("reconcile among faults: %s", failure)
	}
	w.server.Faults().Clear()
	w.wantRuns("v2", "")
	w.wantRuns("v2", "live")
	w.given(w.ask("image.json", update, imageID), v2, tasuki.OriginParameter)

	// S20: the architecture changes under a release.
	w.refused(w.ask("image.json", update, imageID, "Architecture", string(otherMachine())), otherMachine().OCI())

	// S21: the alias is renamed, and that is rolled back.
	renamed := w.ask("alias.json", update, alias.PhysicalResourceID, "Alias", "next")
	if renamed.Status != success || renamed.PhysicalResourceID == alias.PhysicalResourceID {
		t.Errorf("renamed: %s", renamed)
	}
	w.wantRuns("v2", "next")
	back := w.ask("alias.json", update, renamed.PhysicalResourceID, "Alias", "live")
	w.ask("alias.json", remove, renamed.PhysicalResourceID, "Alias", "next")
	if back.PhysicalResourceID != alias.PhysicalResourceID {
		t.Errorf("rolled back: %s", back)
	}
	w.wantRuns("v2", "live")

	// S23: an event that comes while the stack is being deleted, or is gone.
	for _, status := range []string{"DELETE_IN_PROGRESS", ""} {
		w.stack(status)
		if failure := w.reconcile("stack"); failure != "" {
			t.Errorf("reconcile while the stack is %q: %s", status, failure)
		}
	}
	w.ask("alias.json", remove, alias.PhysicalResourceID)
	w.ask("image.json", remove, imageID)
	if _, err := w.lambda.DeleteFunction(t.Context(), &lambda.DeleteFunctionInput{FunctionName: aws.String("orders")}); err != nil {
		t.Fatal(err)
	}
	w.resource = ""
	w.stack("DELETE_FAILED")
	if failure := w.reconcile("schedule"); failure != "" {
		t.Errorf("reconcile without a function: %s", failure)
	}

	// S14: deployed again, the images and the history are there.
	w.stack("CREATE_IN_PROGRESS")
	w.given(w.ask("image.json", create, ""), v2, tasuki.OriginParameter)

	w.wantNothingRefused()
	// Aliases are allowed by both of the names that Lambda may ask about; the built-in
	// placeholder is not looked for layer by layer, another one would be.
	w.wantAllNeeded(ofAHandoff("orders"), "ecr:BatchCheckLayerAvailability Repository", "lambda:CreateAlias Versions", "lambda:DeleteAlias Versions", "lambda:GetAlias Versions", "lambda:UpdateAlias Versions")
}

func TestAdoption(t *testing.T) { // S24
	w := newWorld(t, 60)
	w.allow(ofAHandoff()) // the policy that names the function waits for it
	v1 := w.push("v1", "v1", machine())
	w.create(tasuki.ImageURI{Repository: w.handoff.Repository, Ref: tasuki.ByDigest(v1)}.String())
	before := aws.ToString(w.settled("orders").Configuration.RevisionId)
	a := w.ask("image.json", create, "")
	w.given(a, v1, tasuki.OriginFunction)
	w.stack("UPDATE_ROLLBACK_IN_PROGRESS")
	if a := w.ask("image.json", remove, a.PhysicalResourceID); a.Status != success {
		t.Errorf("rolled back: %s", a)
	}
	w.wantRuns("v1", "")
	if now := aws.ToString(w.settled("orders").Configuration.RevisionId); now != before {
		t.Error("the function was touched")
	}
}

// TestTheAliasOfAReplacedFunction is deleted after the policy has been changed to name the
// function's successor.
func TestTheAliasOfAReplacedFunction(t *testing.T) {
	w := newWorld(t, 60)
	w.create(tasuki.ImageURI{Repository: w.handoff.Repository, Ref: tasuki.ByDigest(w.register("v1", machine()))}.String())
	alias := w.ask("alias.json", create, "")
	w.allow(ofAHandoff("successor"))
	w.stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
	if a := w.ask("alias.json", remove, alias.PhysicalResourceID); a.Status != success {
		t.Errorf("answered %s", a)
	}
	if n := w.server.Calls().Count("lambda:DeleteAlias"); n != 1 {
		t.Errorf("DeleteAlias was called %d times, want once", n)
	}
}

func TestSilenceIsAnsweredInTime(t *testing.T) {
	w := newWorld(t, 8)
	w.server.Faults().Add(fault.Rule{Operation: "ssm:GetParameter*", Kind: fault.Timeout})
	silent := w.event("image.json", map[string]string{"RequestType": create})
	w.refused(w.askEvent(silent), "ran out of time")
	w.server.Faults().Clear()
	v1 := w.register("v1", machine())
	w.given(w.askEvent(silent), v1, tasuki.OriginParameter) // I4: the same request, again
	if failure := w.reconcile("stack"); !strings.Contains(failure, "UPDATE_IN_PROGRESS") {
		t.Errorf("reconcile while the stack is busy: %q", failure)
	}
}

func TestPlaceholderOnLocal(t *testing.T) {
	w := newWorld(t, 60)
	first := w.ask("placeholder.json", create, "")
	if first.Status != success || first.Data["ImageUri"] != w.handoff.Repository.String()+":initial" {
		t.Fatalf("answered %s\n%s", first, w.logs)
	}
	if again := w.ask("placeholder.json", update, first.PhysicalResourceID); again.String() != first.String() {
		t.Errorf("again: %s", again)
	}
	w.given(w.ask("image.json", create, ""), must(t, tasuki.ParseDigest, first.Data["Digest"]), tasuki.OriginPlaceholder)
}

func TestDeploymentOnLocal(t *testing.T) {
	w := newWorld(t, 60)
	ofACopy := ofADeployment(arn("ecr", "repository/orders"), "")
	w.allow(ofACopy)
	v1 := w.push("v1", "v1", machine())
	from := "docker://" + w.handoff.Repository.String() + ":v1"
	first := w.ask("deployment.json", create, "", "Source", from)
	if first.Status != success || first.Data["Digest"] != v1.String() || first.PhysicalResourceID != "tasuki-image-deployment/"+strings.Replace(w.handoff.Repository.String(), "orders", "copies", 1)+":v1" {
		t.Fatalf("answered %s\n%s", first, w.logs)
	}
	w.wantNothingRefused()
	// The first is for a failure, the others for layers that the registry does not mount.
	w.wantAllNeeded(ofACopy, "cloudformation:DescribeStacks Stack", "ecr:CompleteLayerUpload Repository", "ecr:UploadLayerPart Repository")
	w.server.Calls().Reset()
	if again := w.ask("deployment.json", update, first.PhysicalResourceID, "Source", from); again.Data["Digest"] != v1.String() {
		t.Errorf("again: %s", again)
	}
	for _, call := range w.server.Calls().All() {
		if strings.Contains(call.Name(), "registry:PUT") || strings.Contains(call.Name(), "registry:POST") {
			t.Errorf("what was there was sent again: %s", call.Name())
		}
	}
	w.refused(w.ask("deployment.json", update, first.PhysicalResourceID, "Source", from+"9"), "holds no such image")
	w.refused(w.ask("deployment.json", update, first.PhysicalResourceID, "Source", "docker-daemon:x"), "docker-daemon")
	w.wantNothingRefused()
}

func TestDeploymentWithASecret(t *testing.T) {
	const secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:robot"
	w := newWorld(t, 60)
	w.allow(ofADeployment("", secret))
	w.secret = `{"username":"robot","password":"` + secretMark + `"}`
	private := ociserver.New(ocimem.New(), nil)
	from := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "robot" || password != secretMark {
			rw.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		private.ServeHTTP(rw, r)
	}))
	defer from.Close()
	host := strings.TrimPrefix(from.URL, "http://")
	source, inspected := w.version("v1", machine())
	to := image.Registry{Host: host, PlainHTTP: true, Username: "robot", Password: secretMark}
	if err := to.Push(t.Context(), source, inspected, w.handoff.Repository, must(t, tasuki.ParseTag, "v1"), image.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	reference := "docker://" + host + "/orders:v1"
	w.refused(w.ask("deployment.json", create, "", "Source", reference), "access denied")
	a := w.ask("deployment.json", create, "", "Source", reference, "SourceSecret", secret)
	if a.Status != success || a.Data["Digest"] != inspected.Digest().String() {
		t.Errorf("answered %s\n%s", a, w.logs)
	}
	w.secret = secretMark
	w.refused(w.ask("deployment.json", update, a.PhysicalResourceID, "Source", reference, "SourceSecret", secret), "neither")
	w.wantNothingRefused()
	w.wantAllNeeded(ofADeployment("", secret))
	for _, a := range w.answers {
		if strings.Contains(a.String(), secretMark) {
			t.Errorf("CloudFormation was told a secret: %s", a)
		}
	}
}
