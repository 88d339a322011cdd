//go:build cdk

package stacks

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// S1 to S4, and S9: from nothing to a release, and deploys around it.
func TestRelay(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.deploy("Base", "CREATE_COMPLETE") // S1
		w.hasNoRelease()
		queue := w.output("QueueUrl")
		if _, err := w.sqs.SendMessage(w.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String("an order")}); err != nil {
			w.Fatal(err)
		}
		w.deliver(1)
		w.hasNoRelease()
		if n := w.messages(queue); n != "1" {
			w.Errorf("the queue has %s messages before the first release, want the one that was sent", n)
		}

		w.release("v1") // S2
		w.runs("v1")
		w.registered("v1")
		w.deliver(1)
		w.runs("v1")
		w.eventually("the function takes the message", func() bool { return w.messages(queue) == "0" })

		w.untouched(func() { // S3
			w.deploy("Base", "")
			w.fires()
		})
		w.runs("v1")

		w.untouched(func() { // S4
			w.deploy("Configured", "UPDATE_COMPLETE")
			w.deliver(1)
		})
		w.runs("v1")
		if of, alias := w.memory("-"), w.memory("live"); of != 512 || alias != 512 {
			w.Errorf("the function has %d MB and its alias %d, want 512", of, alias)
		}

		w.release("v2") // S9
		w.untouched(func() {
			w.deploy("RenamedFailing", "UPDATE_ROLLBACK_COMPLETE")
			w.deliver(1)
		})
		w.failed("Refused")
		w.runs("v2")
		w.registered("v2")
	})
}

// messages returns how many messages a queue has, received or not.
func (w *world) messages(queue string) string {
	w.Helper()
	out, err := w.sqs.GetQueueAttributes(w.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil {
		w.Fatal(err)
	}
	if hidden := out.Attributes["ApproximateNumberOfMessagesNotVisible"]; hidden != "0" {
		return hidden + " hidden"
	}
	return out.Attributes["ApproximateNumberOfMessages"]
}

// S9 where the image is resolved at every deploy: CloudFormation puts the image back
// that it knew, and the stack's event the released one.
func TestFailingDeployThatMovesTheCode(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.deploy("Every", "CREATE_COMPLETE")
		w.release("v1")
		w.deploy("EveryConfigured", "UPDATE_COMPLETE")
		w.deliver(1)
		w.runs("v1")
		w.release("v2")
		w.deploy("EveryFailing", "UPDATE_ROLLBACK_COMPLETE")
		w.failed("Refused")
		w.deliver(1)
		w.runs("v2")
		w.registered("v2")
	})
}

// S14: the stack is destroyed. Its images and the history stay, and the next one says
// how to take them over.
func TestDestroyedAndDeployedAgain(t *testing.T) {
	t.Parallel()
	both(t, func(w *world) {
		w.deploy("Base", "CREATE_COMPLETE")
		w.release("v1")
		w.deliver(1)
		w.release("v2")
		w.deliver(1)
		repository := w.repository()
		w.destroy()
		w.registered("v2")

		w.deploy("Base", "ROLLBACK_COMPLETE") // with a repository of its own, which is empty
		w.failed("v2", repository, "import")
		w.destroy()

		w.sends(0, func() {
			w.deploy("Imported", "CREATE_COMPLETE", parameter{"RepositoryName", repository})
			w.runs("v2")
			w.deliver(1)
		})
		w.runs("v2")
		w.tasuki("rollback", "orders")
		w.runs("v1")
	})
}
