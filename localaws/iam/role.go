package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// role is a role as it is stored.
type role struct {
	Name        string
	Path        string
	Created     time.Time
	Trust       string // the document that says who may assume it
	Description *string
	MaxSession  int32  // seconds
	Boundary    string // the ARN of the policy that bounds it; "" for none
	Tags        map[string]string
	Inline      map[string]string // documents by name
	Attached    []string          // ARNs of managed policies
}

// The bounds of a role's sessions, in seconds, and of its name, in characters.
const (
	shortestSession = 3600
	longestSession  = 43200
	longestRoleName = 64
)

func (s *Service) arn(r role) string {
	return "arn:aws:iam::" + s.account + ":role" + r.Path + r.Name
}

func (s *Service) shown(r role) *types.Role {
	arn := s.arn(r)
	out := &types.Role{
		Arn: &arn, RoleName: &r.Name, Path: &r.Path, RoleId: aws.String(idOf("AROA", arn, r.Created.String())), CreateDate: &r.Created,
		AssumeRolePolicyDocument: escaped(r.Trust), Description: r.Description, MaxSessionDuration: &r.MaxSession, Tags: tagList(r.Tags),
	}
	if r.Boundary != "" {
		out.PermissionsBoundary = &types.AttachedPermissionsBoundary{PermissionsBoundaryArn: &r.Boundary, PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy}
	}
	return out
}

func tagList(tags map[string]string) []types.Tag {
	var list []types.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

// mostTags is how many tags a role or a policy can have.
const mostTags = 50

func withTags(tags map[string]string, further []types.Tag) (map[string]string, error) {
	all := map[string]string{}
	maps.Copy(all, tags)
	for _, tag := range further {
		all[*tag.Key] = *tag.Value
	}
	if len(all) > mostTags {
		return nil, wire.Errorf("LimitExceeded", "The number of tags has reached the maximum limit.")
	}
	return all, nil
}

// CreateRole makes a role.
func (s *Service) CreateRole(_ context.Context, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	path, err := pathOf(in.Path)
	if err != nil {
		return nil, err
	}
	r := role{
		Name: *in.RoleName, Path: path, Created: time.Now().UTC().Truncate(time.Second), Trust: *in.AssumeRolePolicyDocument,
		Description: in.Description, MaxSession: shortestSession, Boundary: aws.ToString(in.PermissionsBoundary),
	}
	if len(r.Name) > longestRoleName || !nameGrammar().MatchString(r.Name) {
		return nil, invalid("The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	if r.Tags, err = withTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if err := r.setSession(in.MaxSessionDuration); err != nil {
		return nil, err
	}
	if err := checkDocument(r.Trust); err != nil {
		return nil, err
	}
	err = s.store.Update(func(tx *state.Tx) error {
		_, found, err := s.roles.Get(tx, r.Name)
		if err == nil && found {
			err = exists("Role with name %s already exists.", r.Name)
		}
		if err != nil {
			return err
		}
		return s.roles.Put(tx, r.Name, r)
	})
	if err != nil {
		return nil, err
	}
	return &iam.CreateRoleOutput{Role: s.shown(r)}, nil
}

func (r *role) setSession(seconds *int32) error {
	if seconds == nil {
		return nil
	}
	if *seconds < shortestSession || *seconds > longestSession {
		return invalid("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between %d and %d", *seconds, shortestSession, longestSession)
	}
	r.MaxSession = *seconds
	return nil
}

func (s *Service) find(tx *state.Tx, name string) (role, error) {
	r, found, err := s.roles.Get(tx, name)
	if err == nil && !found {
		err = noEntity("The role with name %s cannot be found.", name)
	}
	return r, err
}

// role returns a role, or IAM's error.
func (s *Service) role(name string) (r role, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		r, err = s.find(tx, name)
		return err
	})
	return r, err
}

// edit changes a role.
func (s *Service) edit(name *string, do func(tx *state.Tx, r *role) error) error {
	return s.store.Update(func(tx *state.Tx) error {
		r, err := s.find(tx, *name)
		if err != nil {
			return err
		}
		if err := do(tx, &r); err != nil {
			return err
		}
		return s.roles.Put(tx, r.Name, r)
	})
}

// GetRole returns a role.
func (s *Service) GetRole(_ context.Context, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	r, err := s.role(*in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRoleOutput{Role: s.shown(r)}, nil
}

// ListRoles returns the roles below a path.
func (s *Service) ListRoles(_ context.Context, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	all := map[string]role{}
	if err := s.store.View(func(tx *state.Tx) (err error) {
		for name, r := range s.roles.All(tx, "", &err) {
			if strings.HasPrefix(r.Path, aws.ToString(in.PathPrefix)) {
				all[name] = r
			}
		}
		return err
	}); err != nil {
		return nil, err
	}
	names, next, err := page(slices.Sorted(maps.Keys(all)), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iam.ListRolesOutput{Roles: []types.Role{}, Marker: next, IsTruncated: next != nil}
	for _, name := range names {
		shown := s.shown(all[name])
		shown.Tags, shown.PermissionsBoundary = nil, nil // lists leave them out
		out.Roles = append(out.Roles, *shown)
	}
	return out, nil
}

// UpdateRole changes a role's description and the length of its sessions.
func (s *Service) UpdateRole(_ context.Context, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		if in.Description != nil {
			r.Description = in.Description
		}
		return r.setSession(in.MaxSessionDuration)
	})
	if err != nil {
		return nil, err
	}
	return new(iam.UpdateRoleOutput), nil
}

// UpdateAssumeRolePolicy changes who may assume a role.
func (s *Service) UpdateAssumeRolePolicy(_ context.Context, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		r.Trust = *in.PolicyDocument
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.UpdateAssumeRolePolicyOutput), nil
}

// DeleteRole deletes a role that has no policies any more.
func (s *Service) DeleteRole(_ context.Context, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	err := s.store.Update(func(tx *state.Tx) error {
		r, err := s.find(tx, *in.RoleName)
		switch {
		case err != nil:
			return err
		case len(r.Inline) > 0:
			return inUse("Cannot delete entity, must delete policies first.")
		case len(r.Attached) > 0:
			return inUse("Cannot delete entity, must detach all policies first.")
		}
		return s.roles.Delete(tx, r.Name)
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DeleteRoleOutput), nil
}

// TagRole adds tags to a role, or replaces their values.
func (s *Service) TagRole(_ context.Context, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) (err error) {
		r.Tags, err = withTags(r.Tags, in.Tags)
		return err
	})
	if err != nil {
		return nil, err
	}
	return new(iam.TagRoleOutput), nil
}

// UntagRole removes tags from a role; keys that it does not have are no error.
func (s *Service) UntagRole(_ context.Context, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
	err := s.edit(in.RoleName, func(_ *state.Tx, r *role) error {
		maps.DeleteFunc(r.Tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.UntagRoleOutput), nil
}

// ListRoleTags returns a role's tags.
func (s *Service) ListRoleTags(_ context.Context, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
	r, err := s.role(*in.RoleName)
	if err != nil {
		return nil, err
	}
	keys, next, err := page(slices.Sorted(maps.Keys(r.Tags)), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iam.ListRoleTagsOutput{Tags: []types.Tag{}, Marker: next, IsTruncated: next != nil}
	for _, key := range keys {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String(r.Tags[key])})
	}
	return out, nil
}
