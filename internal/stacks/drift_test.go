//go:build cdk

package stacks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// drifted returns what CloudFormation finds of the stack's resources that is not as the
// template has it, and how many resources it has looked at.
func (w *world) drifted() (differences string, checked int) {
	w.Helper()
	detected, err := w.cfn.DetectStackDrift(w.Context(), &cloudformation.DetectStackDriftInput{StackName: &w.stack})
	if err != nil {
		w.Fatal(err)
	}
	ended, err := w.cfn.DescribeStackDriftDetectionStatus(w.Context(), &cloudformation.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: detected.StackDriftDetectionId})
	if err != nil {
		w.Fatal(err)
	}
	if ended.DetectionStatus != "DETECTION_COMPLETE" {
		w.Fatalf("the detection has ended as %s: %s", ended.DetectionStatus, aws.ToString(ended.DetectionStatusReason))
	}
	out, err := w.cfn.DescribeStackResourceDrifts(w.Context(), &cloudformation.DescribeStackResourceDriftsInput{StackName: &w.stack})
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, d := range out.StackResourceDrifts {
		if d.StackResourceDriftStatus != "IN_SYNC" && len(d.PropertyDifferences) == 0 {
			lines = append(lines, fmt.Sprintf("%s %s", aws.ToString(d.ResourceType), d.StackResourceDriftStatus))
		}
		for _, p := range d.PropertyDifferences {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s, %s", aws.ToString(d.ResourceType), aws.ToString(p.PropertyPath), p.DifferenceType, aws.ToString(p.ExpectedValue), aws.ToString(p.ActualValue)))
		}
	}
	return strings.Join(lines, "\n"), len(out.StackResourceDrifts)
}

// held is the drift that a release makes: the mapping that the construct holds until then
// is disabled in the template.
const held = "AWS::Lambda::EventSourceMapping /Enabled NOT_EQUAL: false, true"

// A release's image is no drift: CloudFormation does not read the code of a function. What
// else somebody changes is.
func TestDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.deploy("Base", "CREATE_COMPLETE")
	has := func(when, want string) {
		t.Helper()
		if differences, checked := w.drifted(); differences != want || checked < 5 {
			t.Errorf("%s, %d resources are looked at, and the drift is\n%s\nwant\n%s", when, checked, differences, want)
		}
	}
	has("when it is deployed", "")
	for _, version := range []string{"v1", "v2"} {
		w.release(version)
		w.deliver(1)
		w.runs(version)
		has("on "+version, held)
	}
	w.deploy("Configured", "UPDATE_COMPLETE")
	w.deliver(1)
	has("with another configuration", held)
	w.deploy("Failing", "UPDATE_ROLLBACK_COMPLETE")
	w.deliver(1)
	has("after a rollback", held)

	if _, err := w.lambda.UpdateFunctionConfiguration(w.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String(w.resource(functionID)), MemorySize: aws.Int32(640)}); err != nil {
		t.Fatal(err)
	}
	w.eventually("Lambda is through with it", func() bool { return !w.isBusy() })
	const memory = "AWS::Lambda::Function /MemorySize NOT_EQUAL: 512, 640"
	has("with another memory size", memory+"\n"+held)
	queue := w.output("QueueUrl")
	if _, err := w.sqs.DeleteQueue(w.Context(), &sqs.DeleteQueueInput{QueueUrl: &queue}); err != nil {
		t.Fatal(err)
	}
	has("without its queue", memory+"\n"+held+"\nAWS::SQS::Queue DELETED")
}
