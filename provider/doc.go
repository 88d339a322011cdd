// Package provider is the Lambda function that serves a stack: CloudFormation's custom
// resources and EventBridge's events become calls of package tasuki. It translates, and
// decides nothing about tags.
//
// [Handler] answers CloudFormation whatever happens: at the end of its time, after a
// panic of its own or of package tasuki's, for an event that it does not understand.
// CloudFormation would wait an hour for an answer that does not come. (A panic in a
// goroutine that a library has started ends the process; Lambda then tries again.) What
// goes wrong with an event of EventBridge is returned, so that Lambda tries again and
// hands the event to a dead-letter queue.
//
// The custom resources and the event are described in package customresource.
package provider
