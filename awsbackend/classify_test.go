package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki"
)

// port is one call that a backend makes for one of the ports.
type port struct {
	operation string
	call      func(context.Context, *Backend) error
	missing   string // the code that means that it is missing
	action    string // what a caller who is denied needs
}

func ports(t *testing.T) []port {
	name := parse(t, tasuki.ParseParameterName, "/tasuki/orders/image-tag")
	handoff := parse(t, tasuki.ParseHandoffName, "orders")
	repository := parse(t, tasuki.ParseRepository, account+".dkr.ecr."+region+".amazonaws.com/orders")
	tag := parse(t, tasuki.ParseTag, "v1")
	digest := tasuki.DigestOf([]byte("image"))
	return []port{
		{"GetParameterHistory", func(ctx context.Context, b *Backend) error { _, err := b.Tags.TagHistory(ctx, name); return err },
			"ParameterNotFound", "ssm:GetParameterHistory on parameter /tasuki/orders/image-tag"},
		{"PutParameter", func(ctx context.Context, b *Backend) error { _, err := b.Tags.WriteTag(ctx, name, tag, ""); return err },
			"", "ssm:PutParameter on parameter /tasuki/orders/image-tag"},
		{"GetParameter", func(ctx context.Context, b *Backend) error {
			_, err := b.Contracts.ReadContract(ctx, handoff)
			return err
		},
			"ParameterNotFound", "ssm:GetParameter on parameter /tasuki/orders/contract"},
		{"GetParametersByPath", func(ctx context.Context, b *Backend) error { _, err := b.Contracts.ListContracts(ctx); return err },
			"", "ssm:GetParametersByPath on parameter /tasuki/*"},
		{"BatchGetImage", func(ctx context.Context, b *Backend) error {
			_, err := b.Images.Manifests(ctx, repository, tasuki.ByTag(tag))
			return err
		}, "RepositoryNotFoundException", "ecr:BatchGetImage on repository orders"},
		{"GetDownloadUrlForLayer", func(ctx context.Context, b *Backend) error {
			_, err := b.Images.Config(ctx, repository, tasuki.Descriptor{Digest: digest})
			return err
		}, "LayersNotFoundException", "ecr:GetDownloadUrlForLayer on repository orders"},
		{"DescribeRepositories", func(ctx context.Context, b *Backend) error { _, err := b.Images.Repository(ctx, "orders"); return err },
			"RepositoryNotFoundException", "ecr:DescribeRepositories on repository orders"},
		{"GetAuthorizationToken", func(ctx context.Context, b *Backend) error { _, err := b.Images.Registry(ctx, repository); return err },
			"", "ecr:GetAuthorizationToken"},
		{"GetFunction", func(ctx context.Context, b *Backend) error { _, err := b.Functions.Function(ctx, "orders"); return err },
			"ResourceNotFoundException", "lambda:GetFunction on function orders"},
		{"UpdateFunctionCode", func(ctx context.Context, b *Backend) error {
			_, err := b.Functions.UpdateCode(ctx, tasuki.CodeUpdate{
				Function: "orders", Image: tasuki.ImageURI{Repository: repository, Ref: tasuki.ByDigest(digest)}, Architecture: tasuki.ARM64, RevisionID: "r1",
			})
			return err
		}, "ResourceNotFoundException", "lambda:UpdateFunctionCode on function orders"},
		{"GetCallerIdentity", func(ctx context.Context, b *Backend) error { _, err := b.Caller(ctx); return err },
			"", "sts:GetCallerIdentity"},
	}
}

// The codes are those that SSM, ECR, Lambda and STS answer the operations with,
// and AWS's common errors; each is tried on every operation.
func TestEveryCodeOnEveryOperation(t *testing.T) {
	codes := []struct {
		code   string
		status int
		kind   error
	}{
		{"AccessDeniedException", 400, tasuki.ErrDenied},
		{"AccessDeniedException", 403, tasuki.ErrDenied},
		{"AccessDenied", 403, tasuki.ErrDenied},
		{"UnrecognizedClientException", 400, tasuki.ErrDenied},
		{"InvalidClientTokenId", 403, tasuki.ErrDenied},
		{"ExpiredTokenException", 400, tasuki.ErrDenied},
		{"ExpiredToken", 403, tasuki.ErrDenied},
		{"InvalidSignatureException", 400, tasuki.ErrDenied},
		{"SignatureDoesNotMatch", 403, tasuki.ErrDenied},
		{"IncompleteSignatureException", 400, tasuki.ErrDenied},
		{"MissingAuthenticationTokenException", 400, tasuki.ErrDenied},
		{"RequestExpired", 400, tasuki.ErrDenied},
		{"OptInRequired", 403, tasuki.ErrDenied},
		{"InvalidKeyId", 400, tasuki.ErrDenied},
		{"SomethingNew", 403, tasuki.ErrDenied},
		{"ThrottlingException", 400, tasuki.ErrThrottled},
		{"Throttling", 400, tasuki.ErrThrottled},
		{"TooManyRequestsException", 429, tasuki.ErrThrottled},
		{"RequestLimitExceeded", 503, tasuki.ErrThrottled},
		{"LimitExceededException", 400, tasuki.ErrThrottled},
		{"SomethingNew", 429, tasuki.ErrThrottled},
		{"TooManyUpdates", 400, tasuki.ErrConflict},
		{"ParameterAlreadyExists", 400, tasuki.ErrConflict},
		{"ResourceConflictException", 409, tasuki.ErrConflict},
		{"PreconditionFailedException", 412, tasuki.ErrConflict},
		{"InternalServerError", 500, tasuki.ErrUnavailable},
		{"InternalFailure", 500, tasuki.ErrUnavailable},
		{"ServerException", 500, tasuki.ErrUnavailable},
		{"ServiceException", 500, tasuki.ErrUnavailable},
		{"ServiceUnavailable", 503, tasuki.ErrUnavailable},
		{"ResourceNotReadyException", 502, tasuki.ErrUnavailable},
		{"UnableToGetUpstreamImageException", 400, tasuki.ErrUnavailable},
		{"LayerInaccessibleException", 400, tasuki.ErrUnavailable},
		{"NotImplemented", 501, tasuki.ErrUnavailable},
		{"SomethingNew", 400, tasuki.ErrUnavailable},
		{"SomethingNew", 404, tasuki.ErrUnavailable},
		{"NotFoundException", 404, tasuki.ErrUnavailable},
		{"ParameterVersionNotFound", 400, tasuki.ErrUnavailable},
		{"InvalidParameterValueException", 400, tasuki.ErrRefused},
		{"CodeSigningConfigNotFoundException", 404, tasuki.ErrRefused},
		{"CodeStorageExceededException", 400, tasuki.ErrRefused},
		{"ParameterLimitExceeded", 400, tasuki.ErrRefused},
		{"ParameterMaxVersionLimitExceeded", 400, tasuki.ErrRefused},
		{"ParameterPatternMismatchException", 400, tasuki.ErrRefused},
		{"HierarchyTypeMismatchException", 400, tasuki.ErrRefused},
		{"ValidationException", 400, tasuki.ErrInvalid},
		{"InvalidParameterException", 400, tasuki.ErrInvalid},
		{"InvalidNextToken", 400, tasuki.ErrInvalid},
		{"UnsupportedParameterType", 400, tasuki.ErrInvalid},
	}
	for _, p := range ports(t) {
		t.Run(p.operation, func(t *testing.T) {
			answer := fail(0, "", "")
			backend, fake := serve(t, Options{}, map[string]operation{
				p.operation: func(w http.ResponseWriter, in map[string]any) { answer(w, in) },
			})
			for i, c := range codes {
				answer = fail(c.status, c.code, "what AWS says")
				if p.operation == "GetCallerIdentity" {
					answer = failXML(c.status, c.code, "what AWS says")
				}
				e := wantKind(t, p.call(t.Context(), backend), c.kind)
				if !strings.Contains(e.Error(), c.code) {
					t.Errorf("the error does not name %s: %v", c.code, e)
				}
				if strings.HasPrefix(c.code, "AccessDenied") && e.Hint != "The caller needs "+p.action+"." {
					t.Errorf("the hint of %s is %q, want %s in it", c.code, e.Hint, p.action)
				}
				if got := fake.count(p.operation); got != i+1 {
					t.Fatalf("%s took %d calls", c.code, got-i)
				}
			}
			for _, code := range []string{"ParameterNotFound", "RepositoryNotFoundException", "LayersNotFoundException", "ResourceNotFoundException", "ImageNotFoundException"} {
				want := tasuki.ErrUnavailable
				if code == p.missing || code == "RepositoryNotFoundException" && p.operation == "GetDownloadUrlForLayer" {
					want = tasuki.ErrMissing
				}
				answer = fail(404, code, "not found")
				if p.operation == "GetCallerIdentity" {
					answer = failXML(404, code, "not found")
				}
				wantKind(t, p.call(t.Context(), backend), want)
			}
		})
	}
}

// failXML answers as STS does.
func failXML(status int, code, message string) operation {
	return func(w http.ResponseWriter, _ map[string]any) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code, message)
	}
}

// What is in the way is not a service: its answers have no code, and a 404 of its
// says nothing about the parameter.
func TestAnswersWithoutACode(t *testing.T) {
	for _, c := range []struct {
		status int
		kind   error
	}{
		{404, tasuki.ErrUnavailable},
		{403, tasuki.ErrDenied},
		{407, tasuki.ErrUnavailable},
		{429, tasuki.ErrThrottled},
		{502, tasuki.ErrUnavailable},
		{503, tasuki.ErrUnavailable},
		{200, tasuki.ErrUnavailable},
	} {
		for _, body := range []string{"<html><h1>No</h1></html>", "", "{", "null"} {
			if c.status == 200 && (body == "null" || body == "") {
				continue // an empty answer is what an operation without output gives
			}
			for _, p := range ports(t) {
				t.Run(fmt.Sprintf("%d %q %s", c.status, body, p.operation), func(t *testing.T) {
					backend, _ := serve(t, Options{}, map[string]operation{p.operation: func(w http.ResponseWriter, _ map[string]any) {
						w.Header().Set("Content-Type", "text/html")
						w.WriteHeader(c.status)
						fmt.Fprint(w, body)
					}})
					wantKind(t, p.call(t.Context(), backend), c.kind)
				})
			}
		}
	}
}

func TestEmptyAnswersAreUnavailable(t *testing.T) {
	for _, p := range ports(t) {
		if p.operation == "GetParametersByPath" {
			continue // no parameters under a path are no parameters
		}
		t.Run(p.operation, func(t *testing.T) {
			backend, _ := serve(t, Options{}, map[string]operation{p.operation: ok(`{}`)})
			wantKind(t, p.call(t.Context(), backend), tasuki.ErrUnavailable)
		})
	}
}

func TestNetworkFailuresAreUnavailable(t *testing.T) {
	cut := func(w http.ResponseWriter, _ map[string]any) { panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, _ map[string]any) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"Para`)
	}
	for _, p := range ports(t) {
		t.Run(p.operation, func(t *testing.T) {
			t.Run("hangs", func(t *testing.T) {
				released := make(chan struct{})
				hang := func(http.ResponseWriter, map[string]any) { <-released }
				backend, fake := serve(t, Options{AttemptTimeout: 50 * time.Millisecond}, map[string]operation{p.operation: hang})
				defer close(released)
				err := p.call(t.Context(), backend)
				wantKind(t, err, tasuki.ErrUnavailable)
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "127.0.0.1:") {
					t.Errorf("%v does not say that the host gave no answer in time", err)
				}
				if n := fake.count(p.operation); n > 1 {
					t.Errorf("it took %d calls", n)
				}
			})
			t.Run("deadline", func(t *testing.T) {
				released := make(chan struct{})
				hang := func(http.ResponseWriter, map[string]any) { <-released }
				backend, _ := serve(t, Options{}, map[string]operation{p.operation: hang})
				defer close(released)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				wantKind(t, p.call(ctx, backend), tasuki.ErrUnavailable)
			})
			t.Run("cut", func(t *testing.T) {
				backend, _ := serve(t, Options{}, map[string]operation{p.operation: cut})
				e := wantKind(t, p.call(t.Context(), backend), tasuki.ErrUnavailable)
				if !strings.Contains(e.Hint, "127.0.0.1:") {
					t.Errorf("the hint does not name the host: %q", e.Hint)
				}
			})
			t.Run("half an answer", func(t *testing.T) {
				backend, _ := serve(t, Options{}, map[string]operation{p.operation: half})
				if e := wantKind(t, p.call(t.Context(), backend), tasuki.ErrUnavailable); !strings.Contains(e.Error(), "EOF") {
					t.Errorf("%v does not say that the answer broke off", e)
				}
			})
			t.Run("nobody listens", func(t *testing.T) {
				// Port 1 is nobody's here, and unlike a port that was free a moment ago
				// it stays so.
				wantKind(t, p.call(t.Context(), connect(t, Options{}, "http://127.0.0.1:1")), tasuki.ErrUnavailable)
			})
			t.Run("cancelled", func(t *testing.T) {
				backend, fake := serve(t, Options{}, map[string]operation{p.operation: cut})
				err := p.call(canceled(t), backend)
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want context.Canceled", err)
				}
				for _, kind := range kinds {
					if errors.Is(err, kind) {
						t.Errorf("%v is of kind %v", err, kind)
					}
				}
				if n := fake.count(p.operation); n != 0 {
					t.Errorf("it took %d calls", n)
				}
			})
		})
	}
}

func TestRetries(t *testing.T) {
	answer := ok(`{"Version":7}`)
	for _, c := range []struct {
		what  string
		first operation
		calls int
	}{
		{"throttled", fail(400, "ThrottlingException", "Rate exceeded"), 2},
		{"server error", fail(500, "InternalServerError", ""), 2},
		{"another write under way", fail(400, "TooManyUpdates", ""), 2},
		{"denied", fail(400, "AccessDeniedException", ""), 1},
		{"refused", fail(400, "ParameterPatternMismatchException", ""), 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend, fake := inProcess(t, Options{RetryMaxAttempts: 5}, map[string]operation{"PutParameter": then(c.first, answer)})
				version, err := backend.Tags.WriteTag(t.Context(), parse(t, tasuki.ParseParameterName, "t"), parse(t, tasuki.ParseTag, "v1"), "")
				if n := fake.count("PutParameter"); n != c.calls {
					t.Errorf("it took %d calls, want %d: %v", n, c.calls, err)
				}
				if c.calls == 2 && (err != nil || version != 7) {
					t.Errorf("got version %d, %v", version, err)
				}
			})
		})
	}
}

// What may have had its effect is not asked for again.
func TestInvocationsAreTriedAgainOnlyWhenThrottled(t *testing.T) {
	const invoke = "POST /2015-03-31/functions/orders/invocations"
	for code, c := range map[string]struct {
		status, calls int
		kind          error
	}{
		"TooManyRequestsException":  {429, 3, tasuki.ErrThrottled},
		"EC2ThrottledException":     {502, 3, tasuki.ErrThrottled},
		"ServiceException":          {500, 1, tasuki.ErrUnavailable},
		"ResourceNotReadyException": {502, 1, tasuki.ErrUnavailable},
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend, fake := inProcess(t, Options{RetryMaxAttempts: 3}, map[string]operation{invoke: fail(c.status, code, "Rate Exceeded.")})
				_, err := backend.Functions.Invoke(t.Context(), "orders", "", nil)
				wantKind(t, err, c.kind)
				if n := fake.count(invoke); n != c.calls {
					t.Errorf("it took %d calls, want %d", n, c.calls)
				}
			})
		})
	}
	t.Run("lost answer", func(t *testing.T) {
		backend, fake := serve(t, Options{RetryMaxAttempts: 3}, map[string]operation{invoke: func(http.ResponseWriter, map[string]any) { panic(http.ErrAbortHandler) }})
		_, err := backend.Functions.Invoke(t.Context(), "orders", "", nil)
		wantKind(t, err, tasuki.ErrUnavailable)
		if n := fake.count(invoke); n != 1 {
			t.Errorf("it took %d calls", n)
		}
	})
}

// The SDK gives up earlier where much fails at the same time, and adds that to the cause.
func TestRetriesEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := connect(t, Options{RetryMaxAttempts: 1000, Config: &aws.Config{
			Region: region, Credentials: awscredentials.NewStaticCredentialsProvider("AKID", "key", secret),
			HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
				return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: syscall.ECONNREFUSED}
			}),
		}}, "")
		_, err := backend.Contracts.ReadContract(t.Context(), parse(t, tasuki.ParseHandoffName, "orders"))
		e := wantKind(t, err, tasuki.ErrUnavailable)
		if want := "no answer from ssm.eu-west-1.amazonaws.com: connection refused"; !strings.HasSuffix(e.Error(), want) {
			t.Errorf("the error is %v, want %q at its end", e, want)
		}
	})
}

// A machine whose clock is wrong signs again with the service's.
func TestClockSkewIsMadeGood(t *testing.T) {
	const skew = 90 * time.Minute
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(skew)
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
			fail(400, "InvalidSignatureException", "Signature expired")(w, nil)
			return
		}
		ok(`{"Version":7}`)(w, nil)
	}))
	t.Cleanup(server.Close)
	version, err := connect(t, Options{RetryMaxAttempts: 2}, server.URL).Tags.WriteTag(t.Context(), parse(t, tasuki.ParseParameterName, "t"), parse(t, tasuki.ParseTag, "v1"), "")
	if err != nil || version != 7 {
		t.Errorf("got version %d, %v", version, err)
	}
}

func TestRetriesEnd(t *testing.T) {
	for _, attempts := range []int{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			fake := &fakeAWS{t: t, operations: map[string]operation{"GetParameter": fail(400, "ThrottlingException", "Rate exceeded")}}
			backend, err := Load(t.Context(), Options{RetryMaxAttempts: attempts, Config: &aws.Config{
				Region: region, Credentials: awscredentials.NewStaticCredentialsProvider("AKID", "key", ""),
				HTTPClient: clientFunc(func(r *http.Request) (*http.Response, error) {
					recorder := httptest.NewRecorder()
					fake.ServeHTTP(recorder, r)
					return recorder.Result(), nil
				}),
			}})
			if err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			_, err = backend.Contracts.ReadContract(t.Context(), parse(t, tasuki.ParseHandoffName, "orders"))
			wantKind(t, err, tasuki.ErrThrottled)
			want := attempts
			if want == 0 {
				want = defaultAttempts
			}
			if n := fake.count("GetParameter"); n != want {
				t.Errorf("it took %d attempts, want %d", n, want)
			}
			if took := time.Since(started); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// AWS's complaint about a signature quotes the headers that were signed, with the
// session token.
func TestSignatureErrorsDoNotQuoteTheRequest(t *testing.T) {
	message := "The request signature we calculated does not match.\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:" + secret + "\n'"
	backend, _ := serve(t, Options{}, map[string]operation{"GetParameter": fail(400, "InvalidSignatureException", message)})
	_, err := backend.Contracts.ReadContract(t.Context(), parse(t, tasuki.ParseHandoffName, "orders"))
	e := wantKind(t, err, tasuki.ErrDenied)
	if !strings.Contains(e.Hint, "clock") {
		t.Errorf("the hint is %q", e.Hint)
	}
	if all := fmt.Sprintf("%+v %#v", err, e.Err); strings.Contains(all, secret) {
		t.Errorf("the session token is in %s", all)
	}
}

func TestLambdaWithoutPermissionIsNotAboutTheCaller(t *testing.T) {
	c := call{op: "update", side: tasuki.SideFunction, subject: "orders", action: "lambda:UpdateFunctionCode", resource: "function orders"}
	e := wantKind(t, c.failed(&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "Lambda does not have permission to access the ECR image. Check the ECR permissions."}), tasuki.ErrDenied)
	if !strings.Contains(e.Hint, "repository's policy") {
		t.Errorf("the hint is %q", e.Hint)
	}
}

func TestNoCredentials(t *testing.T) {
	for _, c := range []struct {
		what  string
		cause error
		want  string
	}{
		{"nothing found", &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: errors.New("request canceled, context deadline exceeded")}, "no AWS credentials were found"},
		{"role refused", &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}}, "AccessDenied: no"},
		{"something else", errors.New("the process failed"), "the process failed"},
	} {
		t.Run(c.what, func(t *testing.T) {
			backend, fake := serve(t, Options{Config: &aws.Config{
				Region: region,
				Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{}, fmt.Errorf("failed to get it: %w", c.cause)
				})),
			}}, nil)
			for _, p := range ports(t) {
				e := wantKind(t, p.call(t.Context(), backend), tasuki.ErrDenied)
				if !strings.Contains(e.Error(), c.want) || !strings.Contains(e.Hint, "Sign in") {
					t.Errorf("%s: %v (%s), want %q", p.operation, e, e.Hint, c.want)
				}
			}
			if n := len(fake.calls); n != 0 {
				t.Errorf("%d calls were made", n)
			}
		})
	}
}
