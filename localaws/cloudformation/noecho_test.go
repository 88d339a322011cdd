package cloudformation_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
)

// What a parameter says that is not to be echoed, and what a custom resource answers so,
// reach the resources and nothing that describes them.
func TestNoEcho(t *testing.T) {
	w := newWorld(t)
	const secret = "hunter2"
	w.things.answer = func(resource.Request) string { return secret }
	w.things.quiet = true
	template := `{
	  "Parameters": {"S": {"Type": "String", "NoEcho": true}, "L": {"Type": "CommaDelimitedList", "NoEcho": true, "Default": "` + secret + `,` + secret + `"}},
	  "Conditions": {"Known": {"Fn::Equals": [{"Ref": "S"}, "` + secret + `"]}},
	  "Resources": {
	    "A": {"Type": "Test::Thing", "Properties": {"Name": "a", "Value": {"Fn::If": ["Known", {"Fn::Sub": "it is ${S}"}, "unknown"]}}},
	    "B": {"Type": "Test::Thing", "Properties": {"Name": "b", "Value": {"Fn::Select": [1, {"Ref": "L"}]}}},
	    "C": {"Type": "Custom::Thing", "Properties": {"Id": "c", "Value": "1"}},
	    "D": {"Type": "Test::Thing", "Properties": {"Name": "d", "Value": {"Fn::GetAtt": ["C", "Answer"]}}}
	  }
	}`
	if status := w.deploy(deployment{template: template, parameters: map[string]string{"S": secret}}); status != "CREATE_COMPLETE" {
		t.Fatal(status)
	}
	if diff := cmp.Diff(map[string]string{"a": "it is " + secret, "b": secret, "c": "1", "d": secret}, w.things.values()); diff != "" {
		t.Fatalf("what exists (-want +got):\n%s", diff)
	}
	out, err := w.DescribeStackEvents(t.Context(), &sdk.DescribeStackEventsInput{StackName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, e := range out.StackEvents {
		if e.ResourceStatus == "CREATE_COMPLETE" && e.ResourceProperties != nil {
			shown[*e.LogicalResourceId] = *e.ResourceProperties
		}
		if strings.Contains(aws.ToString(e.ResourceProperties), secret) {
			t.Errorf("an event has %s", *e.ResourceProperties)
		}
	}
	if diff := cmp.Diff(map[string]string{
		"A": `{"Name":"a","Value":"it is ****"}`, "B": `{"Name":"b","Value":"****"}`, "C": `{"Id":"c","Value":"1"}`, "D": `{"Name":"d","Value":"****"}`,
	}, shown); diff != "" {
		t.Errorf("properties in events (-want +got):\n%s", diff)
	}
	for _, p := range w.stack().Parameters {
		if *p.ParameterValue != "****" {
			t.Errorf("parameter %s is %s", *p.ParameterKey, *p.ParameterValue)
		}
	}

	if _, lines := w.drifts(); !cmp.Equal(lines, []string{"A IN_SYNC", "B IN_SYNC", "D IN_SYNC"}) {
		t.Errorf("the drift is %v", lines)
	}
	w.things.change("a", func(p map[string]any) { p["Value"] = secret })
	if _, lines := w.drifts("MODIFIED"); !cmp.Equal(lines, []string{"A MODIFIED", "A /Value NOT_EQUAL: it is ****, ****"}) {
		t.Errorf("the drift is %v", lines)
	}
	drifts, err := w.DescribeStackResourceDrifts(t.Context(), &sdk.DescribeStackResourceDriftsInput{StackName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drifts.StackResourceDrifts {
		if both := *d.ExpectedProperties + *d.ActualProperties; strings.Contains(both, secret) {
			t.Errorf("the drift of %s has %s", *d.LogicalResourceId, both)
		}
	}
}
