package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// PutRolePolicy writes an inline policy of a role.
func (s *Service) PutRolePolicy(_ context.Context, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	if !nameGrammar().MatchString(*in.PolicyName) {
		return nil, invalid("The specified value for policyName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[*in.PolicyName] = *in.PolicyDocument
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.PutRolePolicyOutput), nil
}

func noInline(policy string) error {
	return noEntity("The role policy with name %s cannot be found.", policy)
}

// GetRolePolicy returns an inline policy of a role.
func (s *Service) GetRolePolicy(_ context.Context, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	r, err := s.role(*in.RoleName)
	if err != nil {
		return nil, err
	}
	document, found := r.Inline[*in.PolicyName]
	if !found {
		return nil, noInline(*in.PolicyName)
	}
	return &iam.GetRolePolicyOutput{RoleName: in.RoleName, PolicyName: in.PolicyName, PolicyDocument: escaped(document)}, nil
}

// DeleteRolePolicy deletes an inline policy of a role.
func (s *Service) DeleteRolePolicy(_ context.Context, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		if _, found := r.Inline[*in.PolicyName]; !found {
			return noInline(*in.PolicyName)
		}
		delete(r.Inline, *in.PolicyName)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DeleteRolePolicyOutput), nil
}

// ListRolePolicies returns the names of a role's inline policies.
func (s *Service) ListRolePolicies(_ context.Context, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	r, err := s.role(*in.RoleName)
	if err != nil {
		return nil, err
	}
	names, next, err := page(slices.Sorted(maps.Keys(r.Inline)), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = []string{}
	}
	return &iam.ListRolePoliciesOutput{PolicyNames: names, Marker: next, IsTruncated: next != nil}, nil
}

// AttachRolePolicy attaches a managed policy to a role; one that is attached already
// is no error. Every policy of AWS's own is taken to exist.
func (s *Service) AttachRolePolicy(_ context.Context, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	err := s.edit(in.RoleName, func(tx *state.Tx, r *role) error {
		if !strings.HasPrefix(*in.PolicyArn, awsManaged) {
			if _, err := s.findPolicy(tx, *in.PolicyArn); err != nil {
				return err
			}
		}
		if !slices.Contains(r.Attached, *in.PolicyArn) {
			r.Attached = append(r.Attached, *in.PolicyArn)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.AttachRolePolicyOutput), nil
}

// DetachRolePolicy detaches a managed policy from a role.
func (s *Service) DetachRolePolicy(_ context.Context, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		i := slices.Index(r.Attached, *in.PolicyArn)
		if i < 0 {
			return noEntity("Policy %s was not found.", *in.PolicyArn)
		}
		r.Attached = slices.Delete(r.Attached, i, i+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DetachRolePolicyOutput), nil
}

// ListAttachedRolePolicies returns the managed policies that are attached to a role.
func (s *Service) ListAttachedRolePolicies(_ context.Context, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	r, err := s.role(*in.RoleName)
	if err != nil {
		return nil, err
	}
	arns, next, err := page(slices.Sorted(slices.Values(r.Attached)), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: []types.AttachedPolicy{}, Marker: next, IsTruncated: next != nil}
	for _, arn := range arns {
		out.AttachedPolicies = append(out.AttachedPolicies, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(arn[strings.LastIndexByte(arn, '/')+1:])})
	}
	return out, nil
}

// PutRolePermissionsBoundary names the policy that bounds what a role may do.
func (s *Service) PutRolePermissionsBoundary(_ context.Context, in *iam.PutRolePermissionsBoundaryInput) (*iam.PutRolePermissionsBoundaryOutput, error) {
	err := s.edit(in.RoleName, func(tx *state.Tx, r *role) error {
		if !strings.HasPrefix(*in.PermissionsBoundary, awsManaged) {
			if _, err := s.findPolicy(tx, *in.PermissionsBoundary); err != nil {
				return err
			}
		}
		r.Boundary = *in.PermissionsBoundary
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.PutRolePermissionsBoundaryOutput), nil
}

// DeleteRolePermissionsBoundary takes a role's bound away.
func (s *Service) DeleteRolePermissionsBoundary(_ context.Context, in *iam.DeleteRolePermissionsBoundaryInput) (*iam.DeleteRolePermissionsBoundaryOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		if r.Boundary == "" {
			return noEntity("Role %s does not have a permissions boundary.", r.Name)
		}
		r.Boundary = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DeleteRolePermissionsBoundaryOutput), nil
}
