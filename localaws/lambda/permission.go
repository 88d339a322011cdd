package lambda

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// policies holds resource-based policies, by subject.
var policies = state.Table[policy]{Name: "lambda.policies"}

// policy is the resource-based policy of a function, a version or an alias. It is
// recorded, and not enforced.
type policy struct {
	Revision   string
	Statements []statement
}

// statement is one permission, in the form of a policy document.
type statement struct {
	Sid       string
	Effect    string
	Principal any // "*", or a kind of principal and one
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// actionGrammar and principalGrammar are AddPermission's Action and Principal.
var (
	actionGrammar    = regexp.MustCompile(`^(lambda:[*]|lambda:[a-zA-Z]+|[*])$`)
	principalGrammar = regexp.MustCompile(`^[^\s]+$`)
)

func (s *Service) addPermission(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	in, err := decode[sdk.AddPermissionInput](r)
	if err != nil {
		return wire.Answer{}, err
	}
	if err := wire.Check(in, "StatementId", "Action", "Principal"); err != nil {
		return wire.Answer{}, err
	}
	switch {
	case !qualifierGrammar.MatchString(*in.StatementId) || *in.StatementId == latest:
		return wire.Answer{}, constraint(*in.StatementId, "statementId", `satisfy regular expression pattern: ([a-zA-Z0-9-_]+)`)
	case !actionGrammar.MatchString(*in.Action):
		return wire.Answer{}, constraint(*in.Action, "action", `satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])`)
	case !principalGrammar.MatchString(*in.Principal):
		return wire.Answer{}, constraint(*in.Principal, "principal", `satisfy regular expression pattern: [^\s]+`)
	}
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	added := statement{Sid: *in.StatementId, Effect: "Allow", Principal: principal(*in.Principal), Action: *in.Action, Resource: s.arn(ref), Condition: conditions(in)}
	if err := s.changePolicy(ref, in.RevisionId, func(p *policy) error {
		for _, st := range p.Statements {
			if st.Sid == added.Sid {
				return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", st.Sid)
			}
		}
		p.Statements = append(p.Statements, added)
		return nil
	}); err != nil {
		return wire.Answer{}, err
	}
	document, err := json.Marshal(added)
	if err != nil {
		return wire.Answer{}, err
	}
	text := string(document)
	return wire.JSONAnswer(http.StatusCreated, &sdk.AddPermissionOutput{Statement: &text})
}

// principal is who a permission is for, in the form of a policy document.
func principal(given string) any {
	switch {
	case given == "*":
		return given
	case strings.HasPrefix(given, "arn:"):
		return map[string]string{"AWS": given}
	case !strings.Contains(given, "."):
		return map[string]string{"AWS": "arn:aws:iam::" + given + ":root"}
	}
	return map[string]string{"Service": given}
}

// conditions are what a permission is bound to, in the form of a policy document.
func conditions(in *sdk.AddPermissionInput) map[string]map[string]string {
	all := map[string]map[string]string{}
	add := func(operator, key string, value *string) {
		if value == nil || *value == "" {
			return
		}
		if all[operator] == nil {
			all[operator] = map[string]string{}
		}
		all[operator][key] = *value
	}
	add("ArnLike", "AWS:SourceArn", in.SourceArn)
	add("StringEquals", "AWS:SourceAccount", in.SourceAccount)
	add("StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID)
	add("StringEquals", "lambda:EventSourceToken", in.EventSourceToken)
	authType := string(in.FunctionUrlAuthType)
	add("StringEquals", "lambda:FunctionUrlAuthType", &authType)
	if via := "true"; in.InvokedViaFunctionUrl != nil && *in.InvokedViaFunctionUrl {
		add("Bool", "lambda:InvokedViaFunctionUrl", &via)
	}
	return all
}

// changePolicy edits the policy of a function, a version or an alias; one without
// statements is none.
func (s *Service) changePolicy(ref reference, revision *string, edit func(*policy) error) error {
	return s.o.Store.Update(func(tx *state.Tx) error {
		if _, err := s.find(tx, ref); err != nil {
			return err
		}
		p, _, err := policies.Get(tx, subject(ref))
		if err != nil {
			return err
		}
		if err := mustMatch(revision, p.Revision); err != nil {
			return err
		}
		if err := edit(&p); err != nil {
			return err
		}
		if len(p.Statements) == 0 {
			return policies.Delete(tx, subject(ref))
		}
		p.Revision = wire.NewID()
		return policies.Put(tx, subject(ref), p)
	})
}

func (s *Service) removePermission(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	id, revision := path["StatementId"], notEmpty(r.HTTP.URL.Query().Get("RevisionId"))
	return wire.Answer{Status: http.StatusNoContent}, s.changePolicy(ref, revision, func(p *policy) error {
		for i, st := range p.Statements {
			if st.Sid == id {
				p.Statements = append(p.Statements[:i], p.Statements[i+1:]...)
				return nil
			}
		}
		return wire.Errorf("ResourceNotFoundException", "Statement %s is not found in resource policy.", id).WithStatus(http.StatusNotFound)
	})
}

func (s *Service) getPolicy(_ context.Context, r *wire.Request, path map[string]string) (wire.Answer, error) {
	ref, err := s.subjectOf(r, path)
	if err != nil {
		return wire.Answer{}, err
	}
	var p policy
	if err := s.o.Store.View(func(tx *state.Tx) error {
		p, err = belonging(tx, s, policies, ref, "The resource you requested does not exist. (%s)")
		return err
	}); err != nil {
		return wire.Answer{}, err
	}
	document, err := json.Marshal(struct {
		Version   string
		ID        string `json:"Id"`
		Statement []statement
	}{"2012-10-17", "default", p.Statements})
	if err != nil {
		return wire.Answer{}, err
	}
	text := string(document)
	return wire.JSONAnswer(http.StatusOK, &sdk.GetPolicyOutput{Policy: &text, RevisionId: &p.Revision})
}
