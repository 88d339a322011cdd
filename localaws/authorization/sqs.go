package authorization

import "strings"

func (f Reference) sqs(action string, m members) []Need {
	queue := m.text("QueueName")
	if m.has("QueueUrl") {
		queue = last(m.text("QueueUrl"), "/")
	}
	if action == "sqs:ListQueues" {
		return on(action, anything)
	}
	return on(strings.TrimSuffix(action, "Batch"), f.arn("sqs", queue))
}
