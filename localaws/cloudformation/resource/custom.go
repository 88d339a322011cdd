package resource

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// What CloudFormation bounds custom resources with
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html).
const (
	longestAnswer  = 4096 // bytes
	longestTimeout = time.Hour
)

// Custom returns the type of custom resources, whatever name a template gives it: a
// function is invoked, and what it answers through a URL is the resource. The function
// must be there for the resource's deletion too.
func Custom() Type {
	return Type{
		Name: "AWS::CloudFormation::CustomResource",
		Create: func(ctx context.Context, r Request) (Result, error) {
			result, err := r.callCustom(ctx, "Create")
			if result.PhysicalID == "" && err != nil {
				// The function may have created something: its Delete is called with a name.
				result.PhysicalID = r.name(128, "")
			}
			return result, err
		},
		Update: func(ctx context.Context, r Request) (Result, error) {
			if r.changed("ServiceToken") {
				return Result{PhysicalID: r.PhysicalID}, refusal("Modifying service token is not allowed.")
			}
			result, err := r.callCustom(ctx, "Update")
			if err != nil {
				result.PhysicalID = r.PhysicalID
			}
			return result, err
		},
		Delete: func(ctx context.Context, r Request) error {
			_, err := r.callCustom(ctx, "Delete")
			return err
		},
	}.explained()
}

// customRequest is the event that the function gets
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html).
type customRequest struct {
	RequestType           string
	ServiceToken          string
	ResponseURL           string
	StackId               string
	RequestId             string
	LogicalResourceId     string
	PhysicalResourceId    string `json:",omitempty"`
	ResourceType          string
	ResourceProperties    any
	OldResourceProperties any `json:",omitempty"`
}

// customAnswer is what the function sends to the URL.
type customAnswer struct {
	Status             string
	Reason             string
	PhysicalResourceId string
	StackId            string
	RequestId          string
	LogicalResourceId  string
	Data               map[string]any
	NoEcho             any // a boolean, or its text
}

// callCustom invokes the function and waits for its answer.
func (r Request) callCustom(ctx context.Context, requestType string) (Result, error) {
	timeout, err := r.serviceTimeout()
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNoAnswer)
	defer cancel()
	url, answers, forget := r.Answers.Expect()
	defer forget()
	request := customRequest{
		RequestType: requestType, ServiceToken: r.text("ServiceToken"), ResponseURL: url, StackId: r.StackID, RequestId: newID(),
		LogicalResourceId: r.LogicalID, PhysicalResourceId: r.PhysicalID, ResourceType: r.Type, ResourceProperties: asTexts(r.Properties),
	}
	if requestType == "Update" {
		request.OldResourceProperties = asTexts(r.Previous)
	}
	if err := r.invoke(ctx, request); err != nil {
		return Result{}, err
	}
	select {
	case body := <-answers:
		return readAnswer(body, request)
	case <-ctx.Done():
	}
	if !errors.Is(context.Cause(ctx), errNoAnswer) {
		return Result{}, context.Cause(ctx)
	}
	return Result{}, refusal(fmt.Sprintf("CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [%s]. If you are using the Python cfn-response module, you may need to update your Lambda function code so that CloudFormation can attach the updated version.", request.RequestId))
}

var errNoAnswer = errors.New("no answer in time")

// serviceTimeout returns how long the function may take to answer.
func (r Request) serviceTimeout() (time.Duration, error) {
	given, is := r.Properties["ServiceTimeout"]
	if !is {
		return longestTimeout, nil
	}
	s, _ := scalar(given)
	seconds, err := strconv.Atoi(s)
	if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > longestTimeout {
		return 0, refusal(fmt.Sprintf("ServiceTimeout must be a number of seconds from 1 to 3600, and is %q", s))
	}
	return time.Duration(seconds) * time.Second, nil
}

// invoke hands the function its event, without waiting for what becomes of it.
func (r Request) invoke(ctx context.Context, request customRequest) error {
	if !strings.HasPrefix(request.ServiceToken, "arn:") || !strings.Contains(request.ServiceToken, ":lambda:") {
		return refusal("Invalid service token: " + request.ServiceToken + " is not the ARN of a Lambda function, and tasuki local provides no others.")
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return err
	}
	_, err = lambda.NewFromConfig(r.AWS).Invoke(ctx, &lambda.InvokeInput{
		FunctionName: aws.String(request.ServiceToken), InvocationType: types.InvocationTypeEvent, Payload: payload,
	})
	return err
}

// readAnswer reads what a function sent.
func readAnswer(body []byte, request customRequest) (Result, error) {
	if len(body) > longestAnswer {
		return Result{}, refusal("Response object is too long.")
	}
	answer := customAnswer{}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Result{}, refusal("Invalid response object: " + err.Error())
	}
	result := Result{PhysicalID: answer.PhysicalResourceId, Attributes: answer.Data, NoEcho: fmt.Sprint(answer.NoEcho) == "true"}
	switch {
	case answer.Status != "SUCCESS" && answer.Status != "FAILED":
		return result, refusal("Invalid response status '" + answer.Status + "'")
	case answer.StackId != request.StackId || answer.RequestId != request.RequestId || answer.LogicalResourceId != request.LogicalResourceId:
		return result, refusal("Invalid response object: StackId, RequestId and LogicalResourceId must be the request's.")
	case answer.Status == "FAILED" && answer.Reason == "":
		return result, refusal("Invalid response object: a FAILED one must have a Reason.")
	case answer.Status == "FAILED":
		return result, refusal(fmt.Sprintf("Received response status [FAILED] from custom resource. Message returned: %s (RequestId: %s)", answer.Reason, request.RequestId))
	case answer.PhysicalResourceId == "" && request.RequestType != "Delete":
		return result, refusal("Invalid PhysicalResourceId")
	}
	return result, nil
}

// asTexts returns properties as functions get them: every scalar is a text.
func asTexts(value any) any {
	switch v := value.(type) {
	case map[string]any:
		found := make(map[string]any, len(v))
		for name, member := range v {
			found[name] = asTexts(member)
		}
		return found
	case []any:
		found := make([]any, len(v))
		for i, element := range v {
			found[i] = asTexts(element)
		}
		return found
	}
	if s, is := scalar(value); is {
		return s
	}
	return value
}

// newID returns a random UUID, as requests have.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
