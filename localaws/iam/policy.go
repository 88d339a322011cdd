package iam

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// awsManaged is what the ARNs of AWS's own policies begin with.
const awsManaged = "arn:aws:iam::aws:policy/"

// mostVersions is how many versions a managed policy has at most.
const mostVersions = 5

// policy is a managed policy as it is stored.
type policy struct {
	Name        string
	Path        string
	Description *string
	Created     time.Time
	Updated     time.Time
	Tags        map[string]string
	Default     int
	Last        int // the highest number that a version was given
	Versions    []policyVersion
}

type policyVersion struct {
	Number   int
	Document string
	Created  time.Time
}

func versionID(n int) string { return "v" + strconv.Itoa(n) }

func (s *Service) policyARN(p policy) string {
	return "arn:aws:iam::" + s.account + ":policy" + p.Path + p.Name
}

// version returns a version by its id.
func (p policy) version(id string) (policyVersion, bool) {
	for _, v := range p.Versions {
		if versionID(v.Number) == id {
			return v, true
		}
	}
	return policyVersion{}, false
}

func (s *Service) findPolicy(tx *state.Tx, arn string) (policy, error) {
	p, found, err := s.policies.Get(tx, arn)
	if err == nil && !found {
		err = noEntity("Policy %s does not exist or is not attachable.", arn)
	}
	return p, err
}

// attachments returns how many roles a policy is attached to.
func (s *Service) attachments(tx *state.Tx, arn string) (n int32, err error) {
	for _, r := range s.roles.All(tx, "", &err) {
		if slices.Contains(r.Attached, arn) {
			n++
		}
	}
	return n, err
}

func (s *Service) shownPolicy(p policy, attachments int32) *types.Policy {
	arn := s.policyARN(p)
	return &types.Policy{
		Arn: &arn, PolicyName: &p.Name, Path: &p.Path, PolicyId: aws.String(idOf("ANPA", arn, p.Created.String())), DefaultVersionId: aws.String(versionID(p.Default)),
		AttachmentCount: &attachments, PermissionsBoundaryUsageCount: aws.Int32(0), IsAttachable: true, Description: p.Description,
		CreateDate: &p.Created, UpdateDate: &p.Updated, Tags: tagList(p.Tags),
	}
}

// CreatePolicy makes a managed policy.
func (s *Service) CreatePolicy(_ context.Context, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	path, err := pathOf(in.Path)
	if err != nil {
		return nil, err
	}
	if !nameGrammar().MatchString(*in.PolicyName) {
		return nil, invalid("The specified value for policyName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-")
	}
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	p := policy{
		Name: *in.PolicyName, Path: path, Description: in.Description, Created: now, Updated: now, Tags: tags,
		Default: 1, Last: 1, Versions: []policyVersion{{1, *in.PolicyDocument, now}},
	}
	err = s.store.Update(func(tx *state.Tx) error {
		_, found, err := s.policies.Get(tx, s.policyARN(p))
		if err == nil && found {
			err = exists("A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		if err != nil {
			return err
		}
		return s.policies.Put(tx, s.policyARN(p), p)
	})
	if err != nil {
		return nil, err
	}
	return &iam.CreatePolicyOutput{Policy: s.shownPolicy(p, 0)}, nil
}

// GetPolicy returns a managed policy, without its document.
func (s *Service) GetPolicy(_ context.Context, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	out := &iam.GetPolicyOutput{}
	err := s.store.View(func(tx *state.Tx) error {
		p, err := s.findPolicy(tx, *in.PolicyArn)
		if err != nil {
			return err
		}
		n, err := s.attachments(tx, *in.PolicyArn)
		out.Policy = s.shownPolicy(p, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeletePolicy deletes a managed policy that is attached to nothing.
func (s *Service) DeletePolicy(_ context.Context, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	err := s.store.Update(func(tx *state.Tx) error {
		p, err := s.findPolicy(tx, *in.PolicyArn)
		if err != nil {
			return err
		}
		n, err := s.attachments(tx, *in.PolicyArn)
		switch {
		case err != nil:
			return err
		case n > 0:
			return inUse("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return inUse("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		return s.policies.Delete(tx, *in.PolicyArn)
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DeletePolicyOutput), nil
}

func (p policy) shownVersion(v policyVersion, withDocument bool) types.PolicyVersion {
	out := types.PolicyVersion{VersionId: aws.String(versionID(v.Number)), IsDefaultVersion: v.Number == p.Default, CreateDate: &v.Created}
	if withDocument {
		out.Document = escaped(v.Document)
	}
	return out
}

// editPolicy changes a managed policy.
func (s *Service) editPolicy(arn *string, do func(*policy) error) error {
	return s.store.Update(func(tx *state.Tx) error {
		p, err := s.findPolicy(tx, *arn)
		if err != nil {
			return err
		}
		if err := do(&p); err != nil {
			return err
		}
		p.Updated = time.Now().UTC().Truncate(time.Second)
		return s.policies.Put(tx, *arn, p)
	})
}

// CreatePolicyVersion adds a version to a managed policy.
func (s *Service) CreatePolicyVersion(_ context.Context, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, error) {
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	out := &iam.CreatePolicyVersionOutput{}
	err := s.editPolicy(in.PolicyArn, func(p *policy) error {
		if len(p.Versions) == mostVersions {
			return wire.Errorf("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", mostVersions)
		}
		p.Last++
		v := policyVersion{p.Last, *in.PolicyDocument, time.Now().UTC().Truncate(time.Second)}
		p.Versions = append(p.Versions, v)
		if in.SetAsDefault {
			p.Default = v.Number
		}
		shown := p.shownVersion(v, false)
		out.PolicyVersion = &shown
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func noVersion(arn, id string) error {
	return noEntity("Policy %s version %s does not exist or is not attachable.", arn, id)
}

// DeletePolicyVersion deletes a version that is not the default.
func (s *Service) DeletePolicyVersion(_ context.Context, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, error) {
	err := s.editPolicy(in.PolicyArn, func(p *policy) error {
		v, found := p.version(*in.VersionId)
		switch {
		case !found:
			return noVersion(*in.PolicyArn, *in.VersionId)
		case v.Number == p.Default:
			return inUse("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(other policyVersion) bool { return other.Number == v.Number })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(iam.DeletePolicyVersionOutput), nil
}

// GetPolicyVersion returns a version with its document.
func (s *Service) GetPolicyVersion(_ context.Context, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	p, err := s.policy(*in.PolicyArn)
	if err != nil {
		return nil, err
	}
	v, found := p.version(*in.VersionId)
	if !found {
		return nil, noVersion(*in.PolicyArn, *in.VersionId)
	}
	shown := p.shownVersion(v, true)
	return &iam.GetPolicyVersionOutput{PolicyVersion: &shown}, nil
}

// ListPolicyVersions returns a policy's versions without their documents. There are
// five at most, which are one page.
func (s *Service) ListPolicyVersions(_ context.Context, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, error) {
	p, err := s.policy(*in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &iam.ListPolicyVersionsOutput{Versions: []types.PolicyVersion{}}
	for _, v := range p.Versions {
		out.Versions = append(out.Versions, p.shownVersion(v, false))
	}
	return out, nil
}

func (s *Service) policy(arn string) (p policy, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		p, err = s.findPolicy(tx, arn)
		return err
	})
	return p, err
}
