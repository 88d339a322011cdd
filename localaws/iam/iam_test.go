package iam_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/iam"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// endpoint is a running endpoint and the SDK's own client of its IAM.
type endpoint struct {
	*testing.T
	*sdk.Client
	server *localaws.Server
}

func start(t *testing.T) endpoint {
	t.Helper()
	server := localawstest.Start(t, localaws.Options{Region: "eu-west-1"})
	config := localawstest.Config(server)
	config.Region = "us-east-1" // IAM is signed for it from everywhere
	return endpoint{t, sdk.NewFromConfig(config), server}
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
	localawstest.Fails(e, "NoSuchEntity", e.GetRole, &sdk.GetRoleInput{RoleName: name})
	localawstest.Fails(e, "MalformedPolicyDocument", e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String("{")})
	localawstest.Fails(e, "ValidationError", e.CreateRole, &sdk.CreateRoleInput{RoleName: aws.String("a b"), AssumeRolePolicyDocument: aws.String(trust)})
	created := localawstest.Call(e, e.CreateRole, &sdk.CreateRoleInput{
		RoleName: name, Path: aws.String("/service/"), AssumeRolePolicyDocument: aws.String(trust), Description: aws.String("<&>"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	}).Role
	if *created.Arn != "arn:aws:iam::000000000000:role/service/orders" || !strings.HasPrefix(*created.RoleId, "AROA") {
		t.Errorf("it is %s, %s", *created.Arn, *created.RoleId)
	}
	localawstest.Fails(e, "EntityAlreadyExists", e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	got := localawstest.Call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role
	if e.document(got.AssumeRolePolicyDocument) != trust || *got.Description != "<&>" || *got.MaxSessionDuration != 3600 || *got.RoleId != *created.RoleId {
		t.Errorf("it is %+v", got)
	}
	localawstest.Call(e, e.UpdateRole, &sdk.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(7200)})
	localawstest.Call(e, e.UpdateAssumeRolePolicy, &sdk.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(reads)})
	if got := localawstest.Call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role; *got.MaxSessionDuration != 7200 || e.document(got.AssumeRolePolicyDocument) != reads {
		t.Errorf("it is %+v", got)
	}
	localawstest.Call(e, e.TagRole, &sdk.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("l"), Value: aws.String("")}}})
	localawstest.Call(e, e.UntagRole, &sdk.UntagRoleInput{RoleName: name, TagKeys: []string{"k"}})
	if tags := localawstest.Call(e, e.ListRoleTags, &sdk.ListRoleTagsInput{RoleName: name}).Tags; len(tags) != 1 || *tags[0].Key != "l" {
		t.Errorf("its tags are %v", tags)
	}
	localawstest.Fails(e, "NoSuchEntity", e.DeleteRolePermissionsBoundary, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: name})
	bound := aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")
	localawstest.Call(e, e.PutRolePermissionsBoundary, &sdk.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: bound})
	if got := localawstest.Call(e, e.GetRole, &sdk.GetRoleInput{RoleName: name}).Role; *got.PermissionsBoundary.PermissionsBoundaryArn != *bound {
		t.Errorf("it is bound by %+v", got.PermissionsBoundary)
	}
	localawstest.Call(e, e.DeleteRolePermissionsBoundary, &sdk.DeleteRolePermissionsBoundaryInput{RoleName: name})
	localawstest.Call(e, e.CreateRole, &sdk.CreateRoleInput{RoleName: aws.String("other"), AssumeRolePolicyDocument: aws.String(trust)})
	page := localawstest.Call(e, e.ListRoles, &sdk.ListRolesInput{MaxItems: aws.Int32(1)})
	if !page.IsTruncated || *page.Roles[0].RoleName != "orders" {
		t.Errorf("the first page is %+v", page)
	}
	if page := localawstest.Call(e, e.ListRoles, &sdk.ListRolesInput{Marker: page.Marker}); page.IsTruncated || *page.Roles[0].RoleName != "other" {
		t.Errorf("the second page is %+v", page)
	}
}

func TestPolicies(t *testing.T) {
	e := start(t)
	name, inline := aws.String("orders"), aws.String("inline")
	localawstest.Call(e, e.CreateRole, &sdk.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trust)})
	read := iam.Access{Action: "ssm:GetParameter", Resource: "arn:aws:ssm:us-east-1:000000000000:parameter/a b/c"}
	allows := func(a iam.Access, want bool, why string) {
		t.Helper()
		got, reason, err := e.server.IAM().Authorize("orders", a)
		if err != nil || got != want || !strings.Contains(reason, why) {
			t.Errorf("%s: %t, %s, %v", a.Action, got, reason, err)
		}
	}
	allows(read, false, "no identity-based policy")
	localawstest.Fails(e, "MalformedPolicyDocument", e.PutRolePolicy, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: inline, PolicyDocument: aws.String(`{"Statement":[{"Effect":"Maybe","Action":"*"}]}`)})
	localawstest.Call(e, e.PutRolePolicy, &sdk.PutRolePolicyInput{RoleName: name, PolicyName: inline, PolicyDocument: aws.String(reads)})
	if got := localawstest.Call(e, e.GetRolePolicy, &sdk.GetRolePolicyInput{RoleName: name, PolicyName: inline}); e.document(got.PolicyDocument) != reads {
		t.Errorf("it is %s", *got.PolicyDocument)
	}
	allows(read, true, "policy inline")
	managed := localawstest.Call(e, e.CreatePolicy, &sdk.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: aws.String(reads)}).Policy.Arn
	localawstest.Fails(e, "EntityAlreadyExists", e.CreatePolicy, &sdk.CreatePolicyInput{PolicyName: aws.String("managed"), PolicyDocument: aws.String(reads)})
	localawstest.Fails(e, "NoSuchEntity", e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(*managed + "-not")})
	localawstest.Call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: managed})
	localawstest.Call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: managed})
	if list := localawstest.Call(e, e.ListAttachedRolePolicies, &sdk.ListAttachedRolePoliciesInput{RoleName: name}).AttachedPolicies; len(list) != 1 || *list[0].PolicyName != "managed" {
		t.Errorf("attached are %+v", list)
	}
	write := iam.Access{Action: "ssm:PutParameter", Resource: "*"}
	allows(write, false, "")
	v2 := localawstest.Call(e, e.CreatePolicyVersion, &sdk.CreatePolicyVersionInput{PolicyArn: managed, PolicyDocument: aws.String(writes), SetAsDefault: true}).PolicyVersion
	allows(write, true, "policy arn:aws:iam::000000000000:policy/managed")
	if got := localawstest.Call(e, e.GetPolicy, &sdk.GetPolicyInput{PolicyArn: managed}).Policy; *got.DefaultVersionId != *v2.VersionId || *got.AttachmentCount != 1 {
		t.Errorf("it is %+v", got)
	}
	if got := localawstest.Call(e, e.GetPolicyVersion, &sdk.GetPolicyVersionInput{PolicyArn: managed, VersionId: v2.VersionId}).PolicyVersion; e.document(got.Document) != writes {
		t.Errorf("it is %s", *got.Document)
	}
	localawstest.Fails(e, "DeleteConflict", e.DeletePolicyVersion, &sdk.DeletePolicyVersionInput{PolicyArn: managed, VersionId: v2.VersionId})
	localawstest.Fails(e, "DeleteConflict", e.DeletePolicy, &sdk.DeletePolicyInput{PolicyArn: managed})
	localawstest.Call(e, e.DeletePolicyVersion, &sdk.DeletePolicyVersionInput{PolicyArn: managed, VersionId: aws.String("v1")})
	if got := localawstest.Call(e, e.ListPolicyVersions, &sdk.ListPolicyVersionsInput{PolicyArn: managed}).Versions; len(got) != 1 {
		t.Errorf("%d versions are left", len(got))
	}
	localawstest.Fails(e, "DeleteConflict", e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	if got := localawstest.Call(e, e.ListRolePolicies, &sdk.ListRolePoliciesInput{RoleName: name}).PolicyNames; len(got) != 1 || got[0] != "inline" {
		t.Errorf("inline policies are %v", got)
	}
	localawstest.Call(e, e.DeleteRolePolicy, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: inline})
	localawstest.Fails(e, "NoSuchEntity", e.DeleteRolePolicy, &sdk.DeleteRolePolicyInput{RoleName: name, PolicyName: inline})
	localawstest.Fails(e, "DeleteConflict", e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	localawstest.Call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: managed})
	localawstest.Fails(e, "NoSuchEntity", e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: managed})
	for arn, why := range map[string]string{"arn:aws:iam::aws:policy/PowerUserAccess": "what arn:aws:iam::aws:policy/PowerUserAccess allows is not known to tasuki local"} {
		localawstest.Call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: &arn})
		allows(read, false, why)
		localawstest.Call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	localawstest.Call(e, e.AttachRolePolicy, &sdk.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	allows(read, true, "AdministratorAccess")
	localawstest.Call(e, e.DetachRolePolicy, &sdk.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	localawstest.Call(e, e.DeletePolicy, &sdk.DeletePolicyInput{PolicyArn: managed})
	localawstest.Call(e, e.DeleteRole, &sdk.DeleteRoleInput{RoleName: name})
	localawstest.Fails(e, "NotImplemented", e.CreateUser, &sdk.CreateUserInput{UserName: name})
}
