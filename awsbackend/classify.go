package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tasuki-dev/tasuki"
)

// call is what an adapter asks of AWS, as far as a person needs to know when it fails.
type call struct {
	op       string // as in tasuki.Error
	side     tasuki.Side
	subject  string
	action   string   // the IAM action that the caller needs, as in "ssm:GetParameter"
	resource string   // what it needs it on, as in "parameter /tasuki/orders/image-tag"
	missing  []string // the error codes that say that the subject does not exist
	lost     string   // the hint where it does not
}

// failed returns err, which a call of the SDK's ended in, as a *tasuki.Error.
//
// The SDK's error is not kept underneath: it may hold a pre-signed URL, and AWS's
// complaint about a signature quotes the headers that were signed, the session
// token among them.
func (c call) failed(err error) error {
	if _, repeated := errors.AsType[*repeatedError](err); repeated {
		return c.unsure(c.explained(err))
	}
	return c.explained(err)
}

func (c call) explained(err error) *tasuki.Error {
	e := &tasuki.Error{Op: c.op, Side: c.side, Subject: c.subject}
	if errors.Is(err, context.Canceled) {
		e.Err = context.Canceled
		return e
	}
	if credentials, ok := errors.AsType[*credentialsError](err); ok {
		e.Kind, e.Err, e.Hint = tasuki.ErrDenied, credentialsCause(credentials.err), hintSignIn
		return e
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && answered(api) {
		return c.refused(e, api, statusOf(err))
	}
	if download, ok := errors.AsType[*downloadError](err); ok {
		e.Kind, e.Err = kindOfStatus(download.status), download
		e.Hint = fmt.Sprintf("ECR has it downloaded from %s: check that proxies and VPC endpoint policies allow that.", download.host)
		return e
	}
	if status := statusOf(err); status != 0 && status != http.StatusOK {
		return c.unexplained(e, status, hostOf(err))
	}
	if invalid, ok := errors.AsType[*smithy.InvalidParamsError](err); ok {
		e.Kind, e.Err = tasuki.ErrInvalid, errors.New(clean(invalid.Error()))
		return e
	}
	return unanswered(e, err)
}

// wrong returns an error about an answer that came, but cannot be used.
func (c call) wrong(kind error, format string, args ...any) error {
	return &tasuki.Error{Op: c.op, Side: c.side, Subject: c.subject, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// answered reports whether a service said what went wrong: the SDK makes up a code
// for an answer that names none.
func answered(api smithy.APIError) bool {
	return api.ErrorCode() != "" && api.ErrorCode() != "UnknownError"
}

// refused fills in e from the code that the service answered with.
func (c call) refused(e *tasuki.Error, api smithy.APIError, status int) *tasuki.Error {
	code := api.ErrorCode()
	e.Kind, e.Err = c.kind(code, status), answer(code, api.ErrorMessage())
	switch e.Kind {
	case tasuki.ErrMissing:
		e.Hint = c.lost
	case tasuki.ErrDenied:
		e.Hint = c.deniedHint(code, api.ErrorMessage())
	case tasuki.ErrThrottled:
		e.Hint = hintThrottled
	case tasuki.ErrUnavailable:
		e.Hint = hintUnavailable
	case tasuki.ErrRefused:
		if code == "ParameterMaxVersionLimitExceeded" {
			e.Hint = "Remove the label from the parameter's oldest version: SSM keeps 100 versions, and none that bears a label gives way."
		}
	}
	return e
}

// The codes are those in the service models of SSM, ECR, Lambda and STS for the
// operations called here, and AWS's common errors
// (https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html).
func (c call) kind(code string, status int) error {
	if slices.Contains(c.missing, code) {
		return tasuki.ErrMissing
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[code]; throttled {
		return tasuki.ErrThrottled
	}
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthFailure", "OptInRequired",
		"BlockedByOrganizationPolicyException", "RegionDisabledException", "KMSAccessDeniedException", "InvalidKeyId", "KmsException":
		return tasuki.ErrDenied
	case "Unavailable", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure", "InternalServerError", "InternalError",
		"ServerException", "ServiceException", "RequestTimeout", "RequestTimeoutException", "ResourceNotReadyException",
		"UnableToGetUpstreamImageException", "UnableToGetUpstreamLayerException":
		return tasuki.ErrUnavailable
	// TooManyUpdates: two writes of one parameter met, and this one was not done. It
	// is no throttling, because others write the same parameter. The SSM client
	// tries again; what is still so after that is somebody else's busy writing.
	case "TooManyUpdates", "ParameterAlreadyExists", "ResourceConflictException", "PreconditionFailedException", "ResourceInUseException",
		"ImageTagAlreadyExistsException":
		return tasuki.ErrConflict
	// Lambda says InvalidParameterValueException of images that it does not take.
	case "InvalidParameterValueException", "InvalidCodeSignatureException", "CodeVerificationFailedException", "CodeStorageExceededException",
		"CodeSigningConfigNotFoundException", "ParameterLimitExceeded", "ParameterMaxVersionLimitExceeded", "HierarchyTypeMismatchException",
		"ParameterPatternMismatchException", "PoliciesLimitExceededException", "IncompatiblePolicyException", "ImageArchivedException",
		"UnsupportedImageTypeException", "UnsupportedUpstreamRegistryException":
		return tasuki.ErrRefused
	case "ValidationException", "ValidationError", "InvalidParameterException", "InvalidParameterValue", "InvalidParameterCombination",
		"MissingParameter", "SerializationException", "HierarchyLevelLimitExceededException", "InvalidAllowedPatternException",
		"UnsupportedParameterType", "InvalidFilterKey", "InvalidFilterOption", "InvalidFilterValue", "InvalidNextToken":
		return tasuki.ErrInvalid
	}
	if expired(code) || notAccepted(code) {
		return tasuki.ErrDenied
	}
	return kindOfStatus(status)
}

// kindOfStatus returns the kind of an answer that has no code, or an unknown one.
// Such an answer says nothing for certain: with status 404 it may be a proxy's.
func kindOfStatus(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return tasuki.ErrDenied
	case http.StatusTooManyRequests:
		return tasuki.ErrThrottled
	}
	return tasuki.ErrUnavailable
}

// expired reports whether a code says that the credentials were good once.
func expired(code string) bool {
	switch code {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "ExpiredTradeInTokenException":
		return true
	}
	return false
}

// notAccepted reports whether a code says that AWS cannot tell who is calling.
func notAccepted(code string) bool {
	switch code {
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"InvalidToken", "InvalidIdentityToken", "InvalidIdentityTokenException":
		return true
	}
	return badSignature(code)
}

// badSignature reports whether a code says that the signature is wrong. AWS's
// message then quotes the signed request, which no error may.
func badSignature(code string) bool {
	switch code {
	case "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed",
		"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture":
		return true
	}
	return false
}

const (
	hintSignIn      = "Sign in to AWS again, for example with 'aws sso login', or check AWS_PROFILE and the other AWS_ variables."
	hintThrottled   = "AWS asks to slow down: run the command again in a minute."
	hintUnavailable = "Run the command again."
)

// deniedHint says what would let the caller in.
func (c call) deniedHint(code, message string) string {
	switch {
	case badSignature(code):
		return "Check the secret access key and this machine's clock: AWS takes a signature for wrong when either is."
	case expired(code), notAccepted(code):
		return hintSignIn
	// Lambda pulls the image itself, so its refusal is not about the caller.
	case strings.HasPrefix(message, "Lambda does not have permission"):
		return "The repository's policy must allow lambda.amazonaws.com ecr:BatchGetImage and ecr:GetDownloadUrlForLayer."
	case c.resource == "":
		return fmt.Sprintf("The caller needs %s.", c.action)
	}
	return fmt.Sprintf("The caller needs %s on %s.", c.action, c.resource)
}

// unexplained fills in e from an answer without an error code, such as a proxy's.
func (c call) unexplained(e *tasuki.Error, status int, host string) *tasuki.Error {
	from := "the service"
	if host != "" {
		from = host
	}
	e.Kind, e.Hint = kindOfStatus(status), hintUnavailable
	e.Err = fmt.Errorf("%s answered %d %s without saying why", from, status, http.StatusText(status))
	switch e.Kind {
	case tasuki.ErrDenied:
		e.Hint = c.deniedHint("", "")
	case tasuki.ErrThrottled:
		e.Hint = hintThrottled
	}
	return e
}

// unanswered fills in e where there was no usable answer.
func unanswered(e *tasuki.Error, err error) *tasuki.Error {
	e.Kind, e.Hint = tasuki.ErrUnavailable, hintUnavailable
	host := hostOf(err)
	if host != "" {
		e.Hint = fmt.Sprintf("Check that %s can be reached from here (network, proxy, AWS_ENDPOINT_URL), and run the command again.", host)
	}
	switch {
	case timedOut(err):
		if host == "" {
			host = "the service"
		}
		e.Err = fmt.Errorf("%s gave no answer in time: %w", host, context.DeadlineExceeded)
	case garbled(err):
		// What could not be understood may be a token: it is not quoted.
		e.Err = errors.New("the answer could not be understood")
	case host != "":
		e.Err = fmt.Errorf("no answer from %s: %s", host, clean(bare(err).Error()))
	default:
		e.Err = errors.New(clean(bare(err).Error()))
	}
	return e
}

// timedOut reports whether err is that of a deadline, the caller's or an attempt's.
func timedOut(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// garbled reports whether an answer came whole, and is not what the SDK expects.
// The SDK says the same of an answer that broke off.
func garbled(err error) bool {
	_, garbled := errors.AsType[*smithy.DeserializationError](err)
	_, broken := errors.AsType[net.Error](err)
	return garbled && !broken && !errors.Is(err, io.ErrUnexpectedEOF)
}

// credentialsCause says in a few words why there are no usable credentials.
func credentialsCause(err error) error {
	if signInExpired(err) {
		return errors.New("the AWS sign-in session has expired or is not there")
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && answered(api) {
		return fmt.Errorf("no usable credentials: %w", answer(api.ErrorCode(), api.ErrorMessage()))
	}
	if _, ok := errors.AsType[*processcreds.ProviderError](err); ok {
		// What the process printed, which the SDK quotes, may be credentials.
		cause := "the credential_process of the AWS profile failed, or printed no credentials"
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			cause = "the credential_process of the AWS profile failed: " + exit.Error()
		}
		return errors.New(cause)
	}
	// The metadata service of EC2 is where the default chain looks last.
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok && operation.ServiceID == "ec2imds" {
		return errors.New("no AWS credentials were found")
	}
	// A container's credentials come from an address of its own.
	if request, ok := errors.AsType[*url.Error](err); ok {
		cause := "gave no answer: " + clean(bare(request).Error())
		if timedOut(request) {
			cause = "gave no answer in time"
		}
		return fmt.Errorf("no usable AWS credentials: %s, which is to give them, %s", hostOf(request), cause)
	}
	return errors.New("no usable AWS credentials: " + strings.TrimPrefix(clean(bare(err).Error()), "failed to refresh cached credentials, "))
}

// signInExpired reports whether a person has to sign in again before there are
// credentials. Of most of that the SDK says so in a text only.
func signInExpired(err error) bool {
	if _, ok := errors.AsType[*ssocreds.InvalidTokenError](err); ok {
		return true
	}
	operation, called := errors.AsType[*smithy.OperationError](err)
	api, answered := errors.AsType[smithy.APIError](err)
	if called && answered && strings.HasPrefix(operation.ServiceID, "SSO") {
		switch api.ErrorCode() {
		case "UnauthorizedException", "InvalidGrantException", "ExpiredTokenException", "InvalidClientException":
			return true
		}
		return false
	}
	for _, text := range []string{"failed to read cached SSO token file", "cached SSO token is expired", "please reauthenticate"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// answer is a service's error code and message, as a text.
func answer(code, message string) error {
	message = clean(message)
	if message == "" || badSignature(code) {
		return errors.New(code)
	}
	return errors.New(code + ": " + message)
}

// clean brings a text from outside onto one line of bounded length.
func clean(text string) string {
	const longest = 500
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return text
}

// bare takes off the layers that the SDK and net/http put around a cause, which
// repeat the operation and name URLs.
func bare(err error) error {
	for {
		switch err.(type) {
		case *smithy.OperationError, *smithy.DeserializationError, *retry.MaxAttemptsError, *aws.RequestCanceledError,
			*awshttp.ResponseError, *smithyhttp.ResponseError, *smithyhttp.RequestSendError, *url.Error:
		default:
			return err
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		if joined, ok := inner.(interface{ Unwrap() []error }); ok {
			inner = joined.Unwrap()[0] // the other one says that the SDK will not retry any more
		}
		err = inner
	}
}

// statusOf returns the HTTP status that err came with; 0 for none.
func statusOf(err error) int {
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// hostOf returns the host that a request went to; "" where err does not say.
func hostOf(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(failed.URL); err == nil {
			return u.Host
		}
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && response.Response != nil && response.Response.Response != nil {
		if request := response.Response.Request; request != nil && request.URL != nil {
			return request.URL.Host
		}
	}
	return ""
}
