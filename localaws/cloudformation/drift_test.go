package cloudformation_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"
)

// drifts detects the stack's drift, and returns how the detection ended and what it found,
// a line for each resource and each difference.
func (w *world) drifts(filters ...types.StackResourceDriftStatus) (detection string, lines []string) {
	w.t.Helper()
	ctx := w.t.Context()
	detected, err := w.DetectStackDrift(ctx, &sdk.DetectStackDriftInput{StackName: aws.String(name)})
	if err != nil {
		w.t.Fatal(err)
	}
	ended, err := w.DescribeStackDriftDetectionStatus(ctx, &sdk.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: detected.StackDriftDetectionId})
	if err != nil {
		w.t.Fatal(err)
	}
	detection = fmt.Sprintf("%s %s %d", ended.DetectionStatus, ended.StackDriftStatus, *ended.DriftedStackResourceCount)
	if status := w.stack().DriftInformation.StackDriftStatus; status != ended.StackDriftStatus {
		w.t.Errorf("the stack is %s, and its detection %s", status, ended.StackDriftStatus)
	}
	out, err := w.DescribeStackResourceDrifts(ctx, &sdk.DescribeStackResourceDriftsInput{StackName: aws.String(name), StackResourceDriftStatusFilters: filters})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range out.StackResourceDrifts {
		lines = append(lines, fmt.Sprintf("%s %s", *d.LogicalResourceId, d.StackResourceDriftStatus))
		for _, p := range d.PropertyDifferences {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s, %s", *d.LogicalResourceId, *p.PropertyPath, p.DifferenceType, *p.ExpectedValue, *p.ActualValue))
		}
	}
	return detection, lines
}

// change changes a thing in nobody's name.
func (s *things) change(id string, change func(properties map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.all[id].properties)
}

func TestDrift(t *testing.T) {
	w := newWorld(t)
	template := `{"Resources": {
	  "A": {"Type": "Test::Thing", "Properties": {"Name": "a", "Value": "1", "Tags": [{"Key": "x", "Value": "1"}, {"Key": "y", "Value": "2"}]}},
	  "B": {"Type": "Test::Thing", "Properties": {"Name": "b"}},
	  "C": {"Type": "Test::Thing", "Properties": {"Name": "c", "Value": "1"}},
	  "D": {"Type": "Custom::Thing", "Properties": {"Id": "d", "Value": "1"}}
	}}`
	w.deploy(deployment{template: template})
	if status := w.stack().DriftInformation.StackDriftStatus; status != types.StackDriftStatusNotChecked {
		t.Errorf("before anybody has looked, the stack is %s", status)
	}
	check := func(wantDetection string, want ...string) {
		t.Helper()
		detection, lines := w.drifts()
		if diff := cmp.Diff(want, lines); diff != "" || detection != wantDetection {
			t.Errorf("it ends as %s, want %s (-want +got):\n%s", detection, wantDetection, diff)
		}
	}
	check("DETECTION_COMPLETE IN_SYNC 0", "A IN_SYNC", "B IN_SYNC", "C IN_SYNC") // D is a custom resource

	// The order of tags, and what the template does not say, make no difference.
	w.things.change("a", func(p map[string]any) {
		p["Tags"] = []any{map[string]any{"Key": "y", "Value": "2"}, map[string]any{"Key": "x", "Value": "1"}}
		p["Fixed"] = "beside the template"
	})
	check("DETECTION_COMPLETE IN_SYNC 0", "A IN_SYNC", "B IN_SYNC", "C IN_SYNC")

	w.things.change("a", func(p map[string]any) {
		p["Value"] = 2
		p["Tags"] = []any{map[string]any{"Key": "x", "Value": "1"}, map[string]any{"Key": "z", "Value": "3"}}
	})
	w.things.change("c", func(p map[string]any) { delete(p, "Value") })
	w.things.mu.Lock()
	delete(w.things.all, "b")
	w.things.mu.Unlock()
	check("DETECTION_COMPLETE DRIFTED 3",
		"A MODIFIED", `A /Tags/1 REMOVE: {"Key":"y","Value":"2"}, null`, `A /Tags/2 ADD: null, {"Key":"z","Value":"3"}`, "A /Value NOT_EQUAL: 1, 2",
		"B DELETED", "C MODIFIED", "C /Value REMOVE: 1, null")
	if _, lines := w.drifts(types.StackResourceDriftStatusDeleted); !cmp.Equal(lines, []string{"B DELETED"}) {
		t.Errorf("of those that are deleted there are %v", lines)
	}
	resource, err := w.DescribeStackResource(t.Context(), &sdk.DescribeStackResourceInput{StackName: aws.String(name), LogicalResourceId: aws.String("A")})
	if err != nil || resource.StackResourceDetail.DriftInformation.StackResourceDriftStatus != types.StackResourceDriftStatusModified {
		t.Errorf("the resource is %+v, %v", resource, err)
	}

	// A deployment that changes a resource takes its drift away.
	w.things.change("c", func(p map[string]any) { p["Value"] = "secret" })
	secret, err := w.DetectStackResourceDrift(t.Context(), &sdk.DetectStackResourceDriftInput{StackName: aws.String(name), LogicalResourceId: aws.String("C")})
	if err != nil || secret.StackResourceDrift.StackResourceDriftStatus != types.StackResourceDriftStatusUnknown || *secret.StackResourceDrift.DriftStatusReason != "it may not be read" {
		t.Errorf("one that cannot be read: %+v, %v", secret, err)
	}
	check("DETECTION_FAILED DRIFTED 2",
		"A MODIFIED", `A /Tags/1 REMOVE: {"Key":"y","Value":"2"}, null`, `A /Tags/2 ADD: null, {"Key":"z","Value":"3"}`, "A /Value NOT_EQUAL: 1, 2",
		"B DELETED", "C UNKNOWN")
	w.things.mu.Lock()
	w.things.all["b"] = &thing{id: "b", properties: map[string]any{"Name": "b"}}
	w.things.mu.Unlock()
	if status := w.deploy(deployment{template: `{"Resources": {
	  "A": {"Type": "Test::Thing", "Properties": {"Name": "a", "Value": "5"}},
	  "B": {"Type": "Test::Thing", "Properties": {"Name": "b", "Value": "6"}},
	  "C": {"Type": "Test::Thing", "Properties": {"Name": "c", "Value": "7"}},
	  "D": {"Type": "Custom::Thing", "Properties": {"Id": "d", "Value": "1"}}
	}}`}); status != "UPDATE_COMPLETE" {
		t.Fatal(status)
	}
	out, err := w.DescribeStackResourceDrifts(t.Context(), &sdk.DescribeStackResourceDriftsInput{StackName: aws.String(name)})
	if err != nil || len(out.StackResourceDrifts) != 0 {
		t.Errorf("after a deployment there is the drift %+v, %v", out, err)
	}
	check("DETECTION_COMPLETE IN_SYNC 0", "A IN_SYNC", "B IN_SYNC", "C IN_SYNC")

	for _, test := range []struct {
		id   string
		want string
	}{{"missing", "ValidationError: Resource missing does not exist for stack web"}, {"D", "ValidationError: Drift detection is not supported for the resource type Custom::Thing of D."}} {
		if _, err := w.DetectStackResourceDrift(t.Context(), &sdk.DetectStackResourceDriftInput{StackName: aws.String(name), LogicalResourceId: &test.id}); err == nil || err.Error() != test.want {
			t.Errorf("of %s it answers %v", test.id, err)
		}
	}
	if _, err := w.DescribeStackDriftDetectionStatus(t.Context(), &sdk.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: aws.String("missing")}); code(err) != "ValidationError" {
		t.Errorf("a detection that there was not: %v", err)
	}
	w.failAt("before update A")
	w.deploy(deployment{template: one(`"Name": "a", "Value": "8"`, ""), noRollback: true})
	if _, err := w.DetectStackDrift(t.Context(), &sdk.DetectStackDriftInput{StackName: aws.String(name)}); code(err) != "ValidationError" {
		t.Errorf("in the middle of an update it answers %v", err)
	}
}
