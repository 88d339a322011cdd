package awsbackend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki"
)

var _ tasuki.FunctionUpdater = (*Functions)(nil)

// Functions reads, updates, publishes and invokes Lambda functions.
type Functions struct {
	api     *lambda.Client
	invoker *lambda.Client // waits for as long as functions may run, and tries again only when throttled
	region  string
}

// Function implements [tasuki.FunctionReader].
func (f *Functions) Function(ctx context.Context, name string) (tasuki.Function, error) {
	c := f.call("read", "lambda:GetFunction", name)
	out, err := f.api.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(name)})
	if err != nil {
		return tasuki.Function{}, c.failed(err)
	}
	if out.Configuration == nil {
		return tasuki.Function{}, c.wrong(tasuki.ErrUnavailable, "Lambda's answer has no configuration")
	}
	function := functionOf(*out.Configuration)
	if out.Code == nil {
		return function, nil
	}
	function.ImageURI = aws.ToString(out.Code.ImageUri)
	// Lambda resolves a tag once, at the update: this is what runs, wherever the tag
	// has gone since. A zip function has none.
	repository, digest, _ := strings.Cut(aws.ToString(out.Code.ResolvedImageUri), "@")
	if repository == "" {
		return function, nil
	}
	function.Repository = repository
	if function.Digest, err = tasuki.ParseDigest(digest); err != nil {
		return tasuki.Function{}, c.wrong(tasuki.ErrUnavailable, "Lambda's answer has a malformed image URI: %v", err)
	}
	return function, nil
}

// UpdateCode implements [tasuki.FunctionUpdater]. A retry of the SDK's after a lost
// answer meets the revision that the lost call made, and so ends in ErrConflict:
// reading the function tells what happened.
func (f *Functions) UpdateCode(ctx context.Context, update tasuki.CodeUpdate) (tasuki.Function, error) {
	c := f.call("update", "lambda:UpdateFunctionCode", update.Function)
	if err := checkUpdate(update); err != nil {
		return tasuki.Function{}, c.wrong(tasuki.ErrInvalid, "%v", err)
	}
	out, err := f.api.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{
		FunctionName:  aws.String(update.Function),
		ImageUri:      aws.String(update.Image.String()),
		Architectures: []types.Architecture{types.Architecture(update.Architecture)},
		RevisionId:    aws.String(update.RevisionID),
	})
	if err != nil {
		return tasuki.Function{}, c.failed(err)
	}
	if out.RevisionId == nil {
		return tasuki.Function{}, c.wrong(tasuki.ErrUnavailable, "Lambda's answer has no revision")
	}
	function := functionOf(types.FunctionConfiguration{
		FunctionName: out.FunctionName, FunctionArn: out.FunctionArn, PackageType: out.PackageType,
		Architectures: out.Architectures, RevisionId: out.RevisionId, LastModified: out.LastModified,
		State: out.State, StateReason: out.StateReason, StateReasonCode: out.StateReasonCode,
		ImageConfigResponse: out.ImageConfigResponse,
		LastUpdateStatus:    out.LastUpdateStatus, LastUpdateStatusReason: out.LastUpdateStatusReason, LastUpdateStatusReasonCode: out.LastUpdateStatusReasonCode,
	})
	// The answer does not name the image; it is the one that was asked for, by digest.
	function.ImageURI = update.Image.String()
	function.Repository = update.Image.Repository.String()
	function.Digest = update.Image.Ref.Digest()
	return function, nil
}

// checkUpdate refuses updates that Lambda would carry out otherwise than they were
// meant: a tag may move, no architecture means x86_64, no revision guards nothing.
func checkUpdate(update tasuki.CodeUpdate) error {
	switch {
	case update.Image.Repository.IsZero() || update.Image.Ref.Digest().IsZero():
		return errors.New("the update names no image by digest")
	case update.Architecture == "":
		return errors.New("the update names no architecture")
	case update.RevisionID == "":
		return errors.New("the update names no revision of the function")
	}
	return nil
}

// modifiedLayout is how Lambda writes times: ISO 8601, with the zone without a colon.
const modifiedLayout = "2006-01-02T15:04:05.999-0700"

func functionOf(c types.FunctionConfiguration) tasuki.Function {
	architecture := tasuki.X86_64
	if len(c.Architectures) > 0 {
		architecture = tasuki.Architecture(c.Architectures[0])
	}
	// For people only: a time that cannot be read is the zero time.
	modified, _ := time.Parse(modifiedLayout, aws.ToString(c.LastModified))
	var settings *tasuki.ImageSettings
	if c.ImageConfigResponse != nil && c.ImageConfigResponse.ImageConfig != nil {
		own := c.ImageConfigResponse.ImageConfig
		settings = &tasuki.ImageSettings{EntryPoint: own.EntryPoint, Command: own.Command, WorkingDirectory: aws.ToString(own.WorkingDirectory)}
	}
	return tasuki.Function{
		Name:             aws.ToString(c.FunctionName),
		ARN:              aws.ToString(c.FunctionArn),
		PackageType:      string(c.PackageType),
		Architecture:     architecture,
		RevisionID:       aws.ToString(c.RevisionId),
		State:            string(c.State),
		StateReason:      aws.ToString(c.StateReason),
		StateReasonCode:  string(c.StateReasonCode),
		UpdateStatus:     string(c.LastUpdateStatus),
		UpdateReason:     aws.ToString(c.LastUpdateStatusReason),
		UpdateReasonCode: string(c.LastUpdateStatusReasonCode),
		Modified:         modified,
		Settings:         settings,
	}
}

func (f *Functions) call(op, action, name string) call {
	return call{
		op: op, side: tasuki.SideFunction, subject: name, action: action, resource: "function " + name,
		missing: []string{"ResourceNotFoundException"},
		lost:    fmt.Sprintf("There is no such function in region %s of this account: check its name, --region and --profile.", f.region),
	}
}
