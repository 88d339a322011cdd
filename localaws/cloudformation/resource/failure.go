package resource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// refusal is an error whose text is what CloudFormation says, whole.
type refusal string

func (r refusal) Error() string { return string(r) }

// explained returns the type with handlers that check and type the properties, and
// that say in CloudFormation's words what a service answered.
func (t Type) explained() Type {
	wrap := func(handle func(context.Context, Request) (Result, error)) func(context.Context, Request) (Result, error) {
		return func(ctx context.Context, r Request) (Result, error) {
			var err error
			if r.Properties, err = t.typed(r.LogicalID, r.Properties); err != nil {
				return Result{PhysicalID: r.PhysicalID}, err
			}
			// What is left of an earlier attempt may be of another form: it is compared only.
			if previous, err := t.typed(r.LogicalID, r.Previous); err == nil {
				r.Previous = previous
			}
			result, err := handle(ctx, r)
			return result, explain(err, r.Token)
		}
	}
	create, update, remove, read := t.Create, t.Update, t.Delete, t.Read
	if read != nil {
		t.Read = func(ctx context.Context, r Request) (map[string]any, error) {
			found, err := read(ctx, r)
			return found, explain(err, r.Token)
		}
	}
	t.Create, t.Update = wrap(create), wrap(update)
	t.Delete = func(ctx context.Context, r Request) error {
		if typed, err := t.typed(r.LogicalID, r.Properties); err == nil {
			r.Properties = typed
		}
		return explain(remove(ctx, r), r.Token)
	}
	return t
}

// explain returns an error as it stands in a stack's events.
func explain(err error, token string) error {
	var whole refusal
	var api smithy.APIError
	switch {
	case err == nil, errors.As(err, &whole), errors.Is(err, context.Canceled):
		return err
	case !errors.As(err, &api):
		return &Failure{cause: err, text: fmt.Sprintf("Resource handler returned message: %q (RequestToken: %s, HandlerErrorCode: InternalFailure)", err.Error(), token)}
	}
	status, id := 0, ""
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		status, id = response.HTTPStatusCode(), response.ServiceRequestID()
	}
	service := "AWS"
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		service = operation.Service()
	}
	return &Failure{
		Code: api.ErrorCode(), cause: err,
		text: fmt.Sprintf(`Resource handler returned message: "%s (Service: %s, Status Code: %d, Request ID: %s)" (RequestToken: %s, HandlerErrorCode: %s)`,
			api.ErrorMessage(), service, status, id, token, handlerCode(api)),
	}
}

// Failure is a service's answer to a handler, in CloudFormation's words.
type Failure struct {
	Code  string // the service's, as in ResourceConflictException; "" where it did not answer
	text  string
	cause error
}

// Error returns what a stack's event says.
func (f *Failure) Error() string { return f.text }

// Unwrap returns the SDK's error.
func (f *Failure) Unwrap() error { return f.cause }

// handlerCode returns CloudFormation's code for a service's
// (https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html).
func handlerCode(api smithy.APIError) string {
	switch code := api.ErrorCode(); {
	case alreadyExists(api):
		return "AlreadyExists"
	case isMissing(code):
		return "NotFound"
	case strings.Contains(code, "AccessDenied"):
		return "AccessDenied"
	case strings.Contains(code, "Throttl"), strings.Contains(code, "TooMany"):
		return "Throttling"
	case strings.Contains(code, "Conflict"):
		return "ResourceConflict"
	case code == "NotImplemented", strings.Contains(code, "Invalid"), strings.Contains(code, "Validation"), strings.Contains(code, "Malformed"):
		return "InvalidRequest"
	}
	return "GeneralServiceException"
}

// isMissing reports whether a service's code says that something does not exist.
func isMissing(code string) bool {
	return strings.Contains(code, "NotFound") || strings.Contains(code, "NoSuch") || strings.Contains(code, "NonExistent") || strings.Contains(code, "DoesNotExist") || code == "404"
}

// missing reports whether an error says that something does not exist.
func missing(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && isMissing(api.ErrorCode())
}

// alreadyExists reports whether a service says that what was to be created exists.
// Lambda has one code for that and for other conflicts.
func alreadyExists(api smithy.APIError) bool {
	switch code := api.ErrorCode(); code {
	case "BucketAlreadyOwnedByYou", "QueueNameExists":
		return true
	case "ResourceConflictException":
		return strings.Contains(api.ErrorMessage(), "exist")
	default:
		return strings.Contains(code, "AlreadyExist")
	}
}

// mine reports whether an error says that what was to be created exists, because an
// earlier call with the same token created it.
func (r Request) mine(err error) bool {
	var api smithy.APIError
	return r.Again && errors.As(err, &api) && alreadyExists(api)
}

// unless refuses to create what exists already, where a service would take the call for
// it, or would write over it. To look for it fails where it does not exist.
func (r Request) unless(name string, look func() error) error {
	if r.Again {
		return nil // it may be an earlier call's
	}
	switch err := look(); {
	case err == nil:
		return refusal(fmt.Sprintf(`Resource handler returned message: "Resource of type '%s' with identifier '%s' already exists." (RequestToken: %s, HandlerErrorCode: AlreadyExists)`, r.Type, name, r.Token))
	case !missing(err):
		return err
	}
	return nil
}

// unlessMissing returns an error unless it says that something does not exist.
func unlessMissing(err error) error {
	if missing(err) {
		return nil
	}
	return err
}
