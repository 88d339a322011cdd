package ecr

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ecr"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// longestPolicy is the model's limit of a repository policy's text.
const longestPolicy = 10240

// checkPolicy checks that a text has the form of an IAM resource policy: JSON with a
// Statement, each with an Effect and an Action. All that is enforced of it here is what
// [deniesLambda] says.
func checkPolicy(text *string) error {
	if text == nil || len(*text) > longestPolicy {
		return invalidParameter("policyText", "Member must have length less than or equal to 10240")
	}
	type statement struct {
		Effect            string
		Action, NotAction any
	}
	var policy struct{ Statement json.RawMessage }
	malformed := func(why string) error {
		return invalidParameter("PolicyText", "Invalid repository policy provided: "+why)
	}
	if err := json.Unmarshal([]byte(*text), &policy); err != nil {
		return malformed(err.Error())
	}
	var statements []statement
	if json.Unmarshal(policy.Statement, &statements) != nil {
		// One statement may stand without a list around it.
		statements = make([]statement, 1)
		if err := json.Unmarshal(policy.Statement, &statements[0]); err != nil {
			return malformed("it has no Statement")
		}
	}
	for _, st := range statements {
		if st.Effect != "Allow" && st.Effect != "Deny" {
			return malformed("a statement's Effect is neither Allow nor Deny")
		}
		if st.Action == nil && st.NotAction == nil {
			return malformed("a statement has no Action")
		}
	}
	return nil
}

// pullActions is what Lambda does to pull an image.
var pullActions = []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}

// deniesLambda reports whether a repository's policy denies Lambda to pull, in a statement
// without conditions. That it allows nothing denies nothing: Lambda adds the permission
// itself where the caller may do that, and here all callers may.
func deniesLambda(policy string) bool {
	type statement struct {
		Effect            string
		Principal         any
		Action, NotAction any
		Condition         map[string]any
	}
	var p struct{ Statement json.RawMessage }
	var statements []statement
	if policy == "" || json.Unmarshal([]byte(policy), &p) != nil {
		return false
	}
	if json.Unmarshal(p.Statement, &statements) != nil {
		statements = make([]statement, 1)
		if json.Unmarshal(p.Statement, &statements[0]) != nil {
			return false
		}
	}
	for _, st := range statements {
		isLambda := st.Principal == "*"
		if kinds, ok := st.Principal.(map[string]any); ok {
			services := textsOf(kinds["Service"])
			isLambda = slices.Contains(services, "lambda.amazonaws.com") || slices.Contains(services, "*") || slices.Contains(textsOf(kinds["AWS"]), "*")
		}
		if st.Effect != "Deny" || !isLambda || len(st.Condition) > 0 {
			continue
		}
		for _, action := range pullActions {
			matches := func(pattern string) bool {
				matched, _ := path.Match(strings.ToLower(pattern), strings.ToLower(action)) // '*' and '?' mean the same
				return matched
			}
			if slices.ContainsFunc(textsOf(st.Action), matches) || st.NotAction != nil && !slices.ContainsFunc(textsOf(st.NotAction), matches) {
				return true
			}
		}
	}
	return false
}

// textsOf returns the texts of a policy's element, which are a list or stand alone.
func textsOf(element any) (texts []string) {
	if text, ok := element.(string); ok {
		return []string{text}
	}
	list, _ := element.([]any)
	for _, member := range list {
		if text, ok := member.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// text is one of the documents that a repository may have: where it is kept, and
// what is answered where there is none.
type text struct {
	of      func(*repository) *string
	missing func(*Service, repository) error
}

var (
	policyText    = text{func(r *repository) *string { return &r.Policy }, (*Service).policyNotFound}
	lifecycleText = text{func(r *repository) *string { return &r.Lifecycle }, (*Service).lifecycleNotFound}
)

func (s *Service) putText(t text, registryID, name *string, content string) error {
	return s.change(registryID, name, func(r *repository) error {
		*t.of(r) = content
		return nil
	})
}

func (s *Service) getText(t text, registryID, name *string) (content string, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		r, err := s.repository(tx, registryID, name)
		if err != nil {
			return err
		}
		if content = *t.of(&r); content == "" {
			return t.missing(s, r)
		}
		return nil
	})
	return content, err
}

func (s *Service) deleteText(t text, registryID, name *string) (content string, err error) {
	err = s.change(registryID, name, func(r *repository) error {
		if content = *t.of(r); content == "" {
			return t.missing(s, *r)
		}
		*t.of(r) = ""
		return nil
	})
	return content, err
}

func (s *Service) setRepositoryPolicy(_ context.Context, in *api.SetRepositoryPolicyInput) (*api.SetRepositoryPolicyOutput, error) {
	if err := checkPolicy(in.PolicyText); err != nil {
		return nil, err
	}
	if err := s.putText(policyText, in.RegistryId, in.RepositoryName, *in.PolicyText); err != nil {
		return nil, err
	}
	return &api.SetRepositoryPolicyOutput{PolicyText: in.PolicyText, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) getRepositoryPolicy(_ context.Context, in *api.GetRepositoryPolicyInput) (*api.GetRepositoryPolicyOutput, error) {
	content, err := s.getText(policyText, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &api.GetRepositoryPolicyOutput{PolicyText: &content, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) deleteRepositoryPolicy(_ context.Context, in *api.DeleteRepositoryPolicyInput) (*api.DeleteRepositoryPolicyOutput, error) {
	content, err := s.deleteText(policyText, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	return &api.DeleteRepositoryPolicyOutput{PolicyText: &content, RegistryId: aws.String(s.account), RepositoryName: in.RepositoryName}, nil
}

func (s *Service) policyNotFound(r repository) error {
	return wire.Errorf(codePolicyNotFound, "Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", r.Name, s.account)
}
