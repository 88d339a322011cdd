package resource

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// The longest names in IAM, in characters.
const (
	longestRoleName   = 64
	longestPolicyName = 128
)

// role is AWS::IAM::Role.
func role() Type {
	return Type{
		Name: "AWS::IAM::Role",
		Properties: map[string]Property{
			"AssumeRolePolicyDocument": required(document()), "Description": text(), "ManagedPolicyArns": texts(), "MaxSessionDuration": integer(),
			"Path": text(), "PermissionsBoundary": text(),
			"Policies": listOf(object(map[string]Property{"PolicyDocument": required(document()), "PolicyName": required(text())})),
			"RoleName": text(), "Tags": tagList(),
		},
		CreateOnly: []string{"Path", "RoleName"},
		Attributes: []string{"Arn", "RoleId"},
		Create:     createRole,
		Update:     updateRole,
		Delete:     deleteRole,
	}
}

func createRole(ctx context.Context, r Request) (Result, error) {
	in := &iam.CreateRoleInput{}
	if err := decode(pick(r.Properties, "Description", "MaxSessionDuration", "Path", "PermissionsBoundary"), in); err != nil {
		return Result{}, err
	}
	var err error
	if in.AssumeRolePolicyDocument, err = documentText(r.Properties["AssumeRolePolicyDocument"]); err != nil {
		return Result{}, err
	}
	in.RoleName = aws.String(r.named("RoleName", longestRoleName))
	in.Tags = r.iamTags()
	if _, err := iam.NewFromConfig(r.AWS).CreateRole(ctx, in); err != nil && !r.mine(err) {
		return Result{}, err
	}
	r.PhysicalID = *in.RoleName
	if err := r.setRolePolicies(ctx); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	return r.roleResult(ctx)
}

func updateRole(ctx context.Context, r Request) (Result, error) {
	client, result := iam.NewFromConfig(r.AWS), Result{PhysicalID: r.PhysicalID}
	if r.changed("AssumeRolePolicyDocument") {
		document, err := documentText(r.Properties["AssumeRolePolicyDocument"])
		if err != nil {
			return result, err
		}
		if _, err := client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &r.PhysicalID, PolicyDocument: document}); err != nil {
			return result, err
		}
	}
	if r.changed("Description", "MaxSessionDuration") {
		const hour = 3600 // IAM's own, in seconds
		in := &iam.UpdateRoleInput{RoleName: &r.PhysicalID, Description: aws.String(r.text("Description")), MaxSessionDuration: aws.Int32(hour)}
		if seconds, err := strconv.ParseInt(r.text("MaxSessionDuration"), 10, 32); err == nil {
			in.MaxSessionDuration = aws.Int32(int32(seconds))
		}
		if _, err := client.UpdateRole(ctx, in); err != nil {
			return result, err
		}
	}
	if err := r.setBoundary(ctx); err != nil {
		return result, err
	}
	if err := r.setRolePolicies(ctx); err != nil {
		return result, err
	}
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &r.PhysicalID, TagKeys: gone}); err != nil {
			return result, err
		}
	}
	if r.retagged() {
		if _, err := client.TagRole(ctx, &iam.TagRoleInput{RoleName: &r.PhysicalID, Tags: r.iamTags()}); err != nil {
			return result, err
		}
	}
	return r.roleResult(ctx)
}

func (r Request) setBoundary(ctx context.Context) error {
	if !r.changed("PermissionsBoundary") {
		return nil
	}
	client, boundary := iam.NewFromConfig(r.AWS), r.optional("PermissionsBoundary")
	if boundary == nil {
		_, err := client.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &r.PhysicalID})
		return unlessMissing(err)
	}
	_, err := client.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &r.PhysicalID, PermissionsBoundary: boundary})
	return err
}

// setRolePolicies brings the policies in the role, and those attached to it, up to
// date. Those that other resources gave it stay.
func (r Request) setRolePolicies(ctx context.Context) error {
	client := iam.NewFromConfig(r.AWS)
	before, now := inlinePolicies(r.Previous), inlinePolicies(r.Properties)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[name]; !still {
			if err := r.dropRolePolicy(ctx, r.PhysicalID, name); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old, was := before[name]; was && same(old, now[name]) {
			continue
		}
		if err := r.putRolePolicy(ctx, r.PhysicalID, name, now[name]); err != nil {
			return err
		}
	}
	attached, attach := textsOf(r.Previous["ManagedPolicyArns"]), r.texts("ManagedPolicyArns")
	for _, arn := range lost(attached, attach) {
		if err := r.detach(ctx, r.PhysicalID, arn); err != nil {
			return err
		}
	}
	for _, arn := range lost(attach, attached) {
		if _, err := client.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &r.PhysicalID, PolicyArn: &arn}); err != nil {
			return err
		}
	}
	return nil
}

// inlinePolicies returns the documents of a role's own policies by their names.
func inlinePolicies(properties map[string]any) map[string]any {
	policies := map[string]any{}
	elements, _ := properties["Policies"].([]any)
	for _, element := range elements {
		policy, _ := element.(map[string]any)
		if name, ok := scalar(policy["PolicyName"]); ok {
			policies[name] = policy["PolicyDocument"]
		}
	}
	return policies
}

func (r Request) putRolePolicy(ctx context.Context, role, name string, policy any) error {
	document, err := documentText(policy)
	if err != nil {
		return err
	}
	_, err = iam.NewFromConfig(r.AWS).PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: &name, PolicyDocument: document})
	return err
}

func (r Request) dropRolePolicy(ctx context.Context, role, name string) error {
	_, err := iam.NewFromConfig(r.AWS).DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: &name})
	return unlessMissing(err)
}

func (r Request) detach(ctx context.Context, role, arn string) error {
	_, err := iam.NewFromConfig(r.AWS).DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: &arn})
	return unlessMissing(err)
}

func (r Request) roleResult(ctx context.Context) (Result, error) {
	result := Result{PhysicalID: r.PhysicalID}
	out, err := iam.NewFromConfig(r.AWS).GetRole(ctx, &iam.GetRoleInput{RoleName: &r.PhysicalID})
	if err != nil {
		return result, err
	}
	result.Attributes = map[string]any{"Arn": aws.ToString(out.Role.Arn), "RoleId": aws.ToString(out.Role.RoleId)}
	return result, nil
}

func deleteRole(ctx context.Context, r Request) error {
	for _, name := range slices.Sorted(maps.Keys(inlinePolicies(r.Properties))) {
		if err := r.dropRolePolicy(ctx, r.PhysicalID, name); err != nil {
			return err
		}
	}
	for _, arn := range r.texts("ManagedPolicyArns") {
		if err := r.detach(ctx, r.PhysicalID, arn); err != nil {
			return err
		}
	}
	_, err := iam.NewFromConfig(r.AWS).DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &r.PhysicalID})
	return unlessMissing(err)
}

func (r Request) iamTags() []types.Tag {
	return pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}

// policy is AWS::IAM::Policy: a policy that is put into roles.
func policy() Type {
	return Type{
		Name:       "AWS::IAM::Policy",
		Properties: map[string]Property{"PolicyDocument": required(document()), "PolicyName": required(text()), "Roles": texts()},
		Attributes: []string{"Id"},
		Create:     putPolicy,
		Update:     putPolicy,
		Delete: func(ctx context.Context, r Request) error {
			for _, role := range r.texts("Roles") {
				if err := r.dropRolePolicy(ctx, role, r.text("PolicyName")); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func putPolicy(ctx context.Context, r Request) (Result, error) {
	if r.PhysicalID == "" {
		r.PhysicalID = r.name(longestPolicyName, "")
	}
	result := Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{"Id": r.PhysicalID}}
	for _, role := range r.texts("Roles") {
		if err := r.putRolePolicy(ctx, role, r.text("PolicyName"), r.Properties["PolicyDocument"]); err != nil {
			return result, err
		}
	}
	before, _ := scalar(r.Previous["PolicyName"])
	for _, role := range textsOf(r.Previous["Roles"]) {
		if before == r.text("PolicyName") && slices.Contains(r.texts("Roles"), role) {
			continue
		}
		if err := r.dropRolePolicy(ctx, role, before); err != nil {
			return result, err
		}
	}
	return result, nil
}

// managedPolicy is AWS::IAM::ManagedPolicy. Its physical id is its ARN.
func managedPolicy() Type {
	return Type{
		Name: "AWS::IAM::ManagedPolicy",
		Properties: map[string]Property{
			"Description": text(), "ManagedPolicyName": text(), "Path": text(), "PolicyDocument": required(document()), "Roles": texts(),
		},
		CreateOnly: []string{"Description", "ManagedPolicyName", "Path"},
		Attributes: []string{"PolicyArn"},
		Create:     createManagedPolicy,
		Update:     updateManagedPolicy,
		Delete: func(ctx context.Context, r Request) error {
			for _, role := range r.texts("Roles") {
				if err := r.detach(ctx, role, r.PhysicalID); err != nil {
					return err
				}
			}
			if err := r.dropOldVersions(ctx); err != nil {
				return unlessMissing(err)
			}
			_, err := iam.NewFromConfig(r.AWS).DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

func createManagedPolicy(ctx context.Context, r Request) (Result, error) {
	in := &iam.CreatePolicyInput{}
	if err := decode(pick(r.Properties, "Description", "Path"), in); err != nil {
		return Result{}, err
	}
	var err error
	if in.PolicyDocument, err = documentText(r.Properties["PolicyDocument"]); err != nil {
		return Result{}, err
	}
	in.PolicyName = aws.String(r.named("ManagedPolicyName", longestPolicyName))
	path := r.text("Path")
	if path == "" {
		path = "/"
	}
	r.PhysicalID = "arn:aws:iam::" + r.Account + ":policy" + path + *in.PolicyName
	if _, err := iam.NewFromConfig(r.AWS).CreatePolicy(ctx, in); err != nil && !r.mine(err) {
		return Result{}, err
	}
	return r.managedPolicyResult(), r.attachToRoles(ctx)
}

func updateManagedPolicy(ctx context.Context, r Request) (Result, error) {
	result := r.managedPolicyResult()
	if r.changed("PolicyDocument") {
		document, err := documentText(r.Properties["PolicyDocument"])
		if err != nil {
			return result, err
		}
		// A policy has five versions at most.
		if err := r.dropOldVersions(ctx); err != nil {
			return result, err
		}
		if _, err := iam.NewFromConfig(r.AWS).CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &r.PhysicalID, PolicyDocument: document, SetAsDefault: true}); err != nil {
			return result, err
		}
	}
	for _, role := range lost(textsOf(r.Previous["Roles"]), r.texts("Roles")) {
		if err := r.detach(ctx, role, r.PhysicalID); err != nil {
			return result, err
		}
	}
	return result, r.attachToRoles(ctx)
}

// dropOldVersions deletes the policy's versions but the one in force.
func (r Request) dropOldVersions(ctx context.Context) error {
	client := iam.NewFromConfig(r.AWS)
	out, err := client.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: &r.PhysicalID})
	if err != nil {
		return err
	}
	for _, v := range out.Versions {
		if v.IsDefaultVersion {
			continue
		}
		if _, err := client.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &r.PhysicalID, VersionId: v.VersionId}); err != nil {
			return err
		}
	}
	return nil
}

func (r Request) attachToRoles(ctx context.Context) error {
	for _, role := range lost(r.texts("Roles"), textsOf(r.Previous["Roles"])) {
		if _, err := iam.NewFromConfig(r.AWS).AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: &r.PhysicalID}); err != nil {
			return err
		}
	}
	return nil
}

func (r Request) managedPolicyResult() Result {
	return Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{"PolicyArn": r.PhysicalID}}
}
