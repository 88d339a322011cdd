package ecr

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The model's limits of a lifecycle policy's text.
const (
	shortestLifecycle = 100
	longestLifecycle  = 30720
)

// checkLifecycle checks that a text has the form of a lifecycle policy: JSON with
// rules, each of its own priority. The rules never run here.
func checkLifecycle(text *string) error {
	if text == nil || len(*text) < shortestLifecycle || len(*text) > longestLifecycle {
		return invalidParameter("lifecyclePolicyText", "Member must have length between 100 and 30720")
	}
	var policy struct {
		Rules []struct {
			RulePriority int
			Selection    *struct{ TagStatus, CountType string }
			Action       *struct{ Type string }
		}
	}
	malformed := func(why string) error {
		return invalidParameter("LifecyclePolicyText", "Lifecycle policy validation failure: "+why)
	}
	if err := json.Unmarshal([]byte(*text), &policy); err != nil {
		return malformed(err.Error())
	}
	if len(policy.Rules) == 0 {
		return malformed("it has no rules")
	}
	seen := map[int]bool{}
	for _, rule := range policy.Rules {
		switch {
		case rule.RulePriority < 1:
			return malformed("a rule's rulePriority is not a number from 1")
		case seen[rule.RulePriority]:
			return malformed(fmt.Sprintf("two rules have the rulePriority %d", rule.RulePriority))
		case rule.Selection == nil || rule.Selection.TagStatus == "" || rule.Selection.CountType == "":
			return malformed(fmt.Sprintf("the rule of rulePriority %d has no selection with tagStatus and countType", rule.RulePriority))
		case rule.Action == nil || rule.Action.Type == "":
			return malformed(fmt.Sprintf("the rule of rulePriority %d has no action with a type", rule.RulePriority))
		}
		seen[rule.RulePriority] = true
	}
	return nil
}

func (s *Service) putLifecyclePolicy(_ context.Context, in *api.PutLifecyclePolicyInput) (*api.PutLifecyclePolicyOutput, error) {
	if err := checkLifecycle(in.LifecyclePolicyText); err != nil {
		return nil, err
	}
	if err := s.putText(lifecycleText, in.RegistryId, in.RepositoryName, *in.LifecyclePolicyText); err != nil {
		return nil, err
	}
	return &api.PutLifecyclePolicyOutput{LifecyclePolicyText: in.LifecyclePolicyText, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) getLifecyclePolicy(_ context.Context, in *api.GetLifecyclePolicyInput) (*api.GetLifecyclePolicyOutput, error) {
	content, err := s.getText(lifecycleText, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &api.GetLifecyclePolicyOutput{LifecyclePolicyText: &content, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) deleteLifecyclePolicy(_ context.Context, in *api.DeleteLifecyclePolicyInput) (*api.DeleteLifecyclePolicyOutput, error) {
	content, err := s.deleteText(lifecycleText, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &api.DeleteLifecyclePolicyOutput{LifecyclePolicyText: &content, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) lifecycleNotFound(r repository) error {
	return wire.Errorf(codeLifecycleNotFound, "Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, s.account)
}
