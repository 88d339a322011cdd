package iam_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/internal/sdkhttp"
	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/iam"
)

// endpoint is a running endpoint and the SDK's own client of its IAM.
type endpoint struct {
	*testing.T
	*sdk.Client
	server *localaws.Server
}

func start(t *testing.T) endpoint {
	t.Helper()
	server, err := localaws.Start(localaws.Options{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return endpoint{t, sdk.New(sdk.Options{
		BaseEndpoint: aws.String(server.URL()), Region: "us-east-1", Retryer: aws.NopRetryer{}, // IAM is signed for us-east-1 from everywhere
		Credentials: credentials.NewStaticCredentialsProvider("alice", "secret", ""), HTTPClient: sdkhttp.New(),
	}), server}
}

// call carries out an operation that must succeed.
func call[In, Out any](e endpoint, operation func(context.Context, *In, ...func(*sdk.Options)) (*Out, error), in *In) *Out {
	e.Helper()
	out, err := operation(e.Context(), in)
	if err != nil {
		e.Fatalf("%T: %v", in, err)
	}
	return out
}

// fails carries out an operation that must fail with a code.
func fails[In, Out any](e endpoint, code string, operation func(context.Context, *In, ...func(*sdk.Options)) (*Out, error), in *In) {
	e.Helper()
	_, err := operation(e.Context(), in)
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		e.Errorf("%T: got %v, want %s", in, err, code)
	}
}

func (e endpoint) document(escaped *string) string {
	e.Helper()
	document, err := url.PathUnescape(aws.ToString(escaped))
	if err != nil {
		e.Fatal(err)
	}
	return document
}

const (
	trust  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	reads  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:Get*","Resource":"arn:aws:ssm:*:*:parameter/a b/*"}]}`
	writes = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:Put*","Resource":"*"}]}`
)

func TestRole(t *testing.T) {
	e := start(t)
	name := aws.String("orders")
	fails(e, "NoSuchEntity", e.GetRole, &sdk.GetRoleInput{RoleName: name})
	fails(e, "MalformedPolicyDocument", e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String("{")})
	fails(e, "ValidationError", e.CreateRole, &sdk.CreateRoleInput{RoleName: aws.String("a b"), AssumeRolePolicyDocument: aws.String(trust)})
	created := call(e, e.CreateRole, &sdk.CreateRoleInput{
		RoleName: name, Path: aws.String("/service/"), AssumeRolePolicyDocument: aws.String(trust), Description: aws.String("<&>"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	}).Role
	if *created.Arn != "arn:aws:iam::000000000000:role/service/orders" || !strings.HasPrefix(*created.RoleId, "AROA") {
		t.Errorf("it is %s, %s", *created.Arn, *created.RoleId)
	}
	fails(e, "EntityAlreadyExists", e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	got := call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role
	if e.document(got.AssumeRolePolicyDocument) != trust || *got.Description != "<&>" || *got.MaxSessionDuration != 3600 || *got.RoleId != *created.RoleId {
		t.Errorf("it is %+v", got)
	}
	call(e, e.UpdateRole, &sdk.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(7200)})
	call(e, e.UpdateAssumeRolePolicy, &sdk.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(reads)})
	if got := call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role; *got.MaxSessionDuration != 7200 || e.document(got.AssumeRolePolicyDocument) != reads {
		t.Errorf("it is %+v", got)
	}
	call(e, e.TagRole, &sdk.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("l"), Value: aws.String("")}}})
	call(e, e.UntagRole, &sdk.UntagRoleInput{RoleName: name, TagKeys: []string{"k"}})
	if tags := call(e, e.ListRoleTags, &sdk.ListRoleTagsInput{RoleName: name}).Tags; len(tags) != 1 || *tags[0].Key != "l" {
		t.Errorf("its tags are %v", tags)
	}
	fails(e, "NoSuchEntity", e.DeleteRolePermissionsBoundary, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: name})
	bound := aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")
	call(e, e.PutRolePermissionsBoundary, &sdk.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: bound})
	if got := call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role; *got.PermissionsBoundary.PermissionsBoundaryArn != *bound {
		t.Errorf("it is bound by %+v", got.PermissionsBoundary)
	}
	call(e, e.DeleteRolePermissionsBoundary, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: name})
	call(e, e.CreateRole, &sdk.CreateRoleInput{RoleName: aws.String("other"), AssumeRolePolicyDocument: aws.String(trust)})
	page := call(e, e.ListRoles, &sdk.ListRolesInput{MaxItems: aws.Int32(1)})
	if !page.IsTruncated || *page.Roles[0].RoleName != "orders" {
		t.Errorf("the first page is %+v", page)
	}
	if page := call(e, e.ListRoles, &sdk.ListRolesInput{Marker: page.Marker}); page.IsTruncated || *page.Roles[0].RoleName != "other" {
		t.Errorf("the second page is %+v", page)
	}
}

func TestPolicies(t *testing.T) {
	e := start(t)
	name, inline := aws.String("orders"), aws.String("inline")
	call(e, e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	read := iam.Access{Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:000000000000:parameter/a b/c"}
	allows := func(a iam.Access, want bool, why string) {
		t.Helper()
		got, reason, err := e.server.IAM().Authorize("orders", a)
		if err != nil || got != want || !strings.Contains(reason, why) {
			t.Errorf("%s: %t, %s, %v", a.Action, got, reason, err)
		}
	}
	allows(read, false, "no identity-based policy")
	fails(e, "MalformedPolicyDocument", e.PutRolePolicy, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: inline, PolicyDocument: aws.String(`{"Statement":[{"Effect":"Maybe","Action":"*"}]}`)})
	call(e, e.PutRolePolicy, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: inline, PolicyDocument: aws.String(reads)})
	if got := call(e, e.GetRolePolicy, &sdk.GetRolePolicyInput{RoleName: name, PolicyName: inline}); e.document(got.PolicyDocument) != reads {
		t.Errorf("it is %s", *got.PolicyDocument)
	}
	allows(read, true, "policy inline")
	managed := call(e, e.CreatePolicy, &sdk.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: aws.String(reads)}).Policy.Arn
	fails(e, "EntityAlreadyExists", e.CreatePolicy, &sdk.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: aws.String(reads)})
	fails(e, "NoSuchEntity", e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(*managed + "-not")})
	call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: managed})
	call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: managed})
	if list := call(e, e.ListAttachedRolePolicies, &sdk.ListAttachedRolePoliciesInput{RoleName: name}).AttachedPolicies; len(list) != 1 || *list[0].PolicyName != "managed" {
		t.Errorf("attached are %+v", list)
	}
	write := iam.Access{Action: "ssm:PutParameter", Resource: "*"}
	allows(write, false, "")
	v2 := call(e, e.CreatePolicyVersion, &sdk.CreatePolicyVersionInput{PolicyArn: managed, PolicyDocument: aws.String(writes), SetAsDefault: true}).PolicyVersion
	allows(write, true, "policy arn:aws:iam::000000000000:policy/managed")
	if got := call(e, e.GetPolicy, &sdk.GetPolicyInput{PolicyArn: managed}).Policy; *got.DefaultVersionId != *v2.VersionId || *got.AttachmentCount != 1 {
		t.Errorf("it is %+v", got)
	}
	if got := call(e, e.GetPolicyVersion, &sdk.GetPolicyVersionInput{PolicyArn: managed, VersionId: v2.VersionId}).PolicyVersion; e.document(got.Document) != writes {
		t.Errorf("it is %s", *got.Document)
	}
	fails(e, "DeleteConflict", e.DeletePolicyVersion, &sdk.DeletePolicyVersionInput{PolicyArn: managed, VersionId: v2.VersionId})
	fails(e, "DeleteConflict", e.DeletePolicy, &sdk.DeletePolicyInput{PolicyArn: managed})
	call(e, e.DeletePolicyVersion, &sdk.DeletePolicyVersionInput{PolicyArn: managed, VersionId: aws.String("v1")})
	if got := call(e, e.ListPolicyVersions, &sdk.ListPolicyVersionsInput{PolicyArn: managed}).Versions; len(got) != 1 {
		t.Errorf("%d versions are left", len(got))
	}
	fails(e, "DeleteConflict", e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	if got := call(e, e.ListRolePolicies, &sdk.ListRolePoliciesInput{RoleName: name}).PolicyNames; len(got) != 1 || got[0] != "inline" {
		t.Errorf("inline policies are %v", got)
	}
	call(e, e.DeleteRolePolicy, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: inline})
	fails(e, "NoSuchEntity", e.DeleteRolePolicy, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: inline})
	fails(e, "DeleteConflict", e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: managed})
	fails(e, "NoSuchEntity", e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: managed})
	for arn, why := range map[string]string{"arn:aws:iam::aws:policy/PowerUserAccess": "what arn:aws:iam::aws:policy/PowerUserAccess allows is not known to tasuki local"} {
		call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: &arn})
		allows(read, false, why)
		call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	allows(read, true, "AdministratorAccess")
	call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	call(e, e.DeletePolicy, &sdk.DeletePolicyInput{PolicyArn: managed})
	call(e, e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	fails(e, "NotImplemented", e.CreateUser, &sdk.CreateUserInput{UserName: name})
}
