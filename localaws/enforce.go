package localaws

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/iam"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// reference returns what knows the ARNs of the endpoint's resources.
func (s *Server) reference() authorization.Reference {
	return authorization.Reference{
		Account: Account, Region: s.region,
		Stack: func(name string) string {
			out, err := s.stacks.DescribeStacks(context.Background(), &cloudformation.DescribeStacksInput{StackName: &name})
			if err != nil || len(out.Stacks) == 0 {
				return ""
			}
			return aws.ToString(out.Stacks[0].StackId)
		},
		ChangeSet: func(changeSet, stack string) string {
			in := &cloudformation.DescribeChangeSetInput{ChangeSetName: &changeSet}
			if stack != "" {
				in.StackName = &stack
			}
			out, err := s.stacks.DescribeChangeSet(context.Background(), in)
			if err != nil {
				return ""
			}
			return aws.ToString(out.StackId)
		},
		Role: func(name string) string {
			out, err := s.iam.GetRole(context.Background(), &sdkiam.GetRoleInput{RoleName: &name})
			if err != nil {
				return ""
			}
			return aws.ToString(out.Role.Arn)
		},
	}
}

// enforcement refuses what the policies of roles do not allow. Whoever is no session of
// a role is the account's owner, who may do anything; so is CloudFormation.
type enforcement struct {
	iam       *iam.Service
	tags      func(arn string) (map[string]string, error) // of functions
	reference authorization.Reference
}

// refusal returns the error that a call is refused with, nil where it may be made.
func (e *enforcement) refusal(principal string, needs []authorization.Need) *wire.Error {
	for _, need := range needs {
		if err := e.refusalOf(principal, need); err != nil {
			return err
		}
	}
	return nil
}

func (e *enforcement) refusalOf(principal string, need authorization.Need) *wire.Error {
	role, assumed := wire.RoleOf(principal)
	if need.Action != authorization.AssumeRole && !assumed {
		return nil
	}
	access, err := e.access(principal, need)
	allowed, reason := false, ""
	switch {
	case err != nil:
	case need.Action == authorization.AssumeRole:
		asked := need.Resource[strings.LastIndexByte(need.Resource, '/')+1:]
		allowed, err = e.iam.MayAssume(asked, iam.Caller{ARN: wire.PrincipalARN(principal, Account), Role: role}, access)
	default:
		allowed, reason, err = e.iam.Authorize(role, access)
	}
	if err != nil {
		return wire.Errorf("InternalFailure", "The policies of %s could not be evaluated: %v", principal, err).WithStatus(http.StatusInternalServerError)
	}
	if allowed {
		return nil
	}
	message := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", wire.PrincipalARN(principal, Account), need.Action, need.Resource)
	if reason != "" {
		message += " " + reason
	}
	return wire.Errorf("AccessDeniedException", "%s", message)
}

// access returns what a principal wants, with the values of the condition keys that are
// known: the action's own, the global ones, and the tags of functions.
func (e *enforcement) access(principal string, need authorization.Need) (iam.Access, error) {
	account := []string{Account}
	values := map[string][]string{
		"aws:PrincipalAccount": account,
		"aws:PrincipalArn":     {wire.PrincipalARN(principal, Account)},
		"aws:RequestedRegion":  {e.reference.Region},
		"aws:ResourceAccount":  account,
		"aws:SecureTransport":  {"true"}, // as AWS would have it
		"s3:ResourceAccount":   account,
	}
	if role, assumed := wire.RoleOf(principal); assumed {
		values["aws:PrincipalArn"] = []string{e.reference.Role(role)}
	}
	for key, given := range need.Context {
		values[key] = given
	}
	tags, err := e.tags(need.Resource)
	for key, value := range tags {
		values["aws:ResourceTag/"+key] = []string{value}
	}
	return iam.Access{Action: need.Action, Resource: need.Resource, Context: values}, err
}
