package iam

import (
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki/localaws/state"
)

// Authorize reports whether the recorded policies of a role allow an access, and why:
// inline ones, attached ones, and the boundary, which has to allow it as well. One of
// AWS's own policies whose document is not known here allows nothing; the reason says
// so. A role that there is not may do nothing.
func (s *Service) Authorize(roleName string, a Access) (allowed bool, reason string, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		r, found, err := s.roles.Get(tx, roleName)
		if err == nil && !found {
			reason = "because there is no role " + roleName
		}
		if err != nil || !found {
			return err
		}
		allowed, reason, err = s.authorize(tx, r, a)
		return err
	})
	return allowed, reason, err
}

func (s *Service) authorize(tx *state.Tx, r role, a Access) (allowed bool, reason string, err error) {
	documents := map[string]string{}
	for name, document := range r.Inline {
		documents[name] = document
	}
	missing, err := s.addManaged(tx, documents, r.Attached)
	if err != nil {
		return false, "", err
	}
	allowed, reason = Evaluate(documents, a)
	if allowed && r.Boundary != "" {
		bounds := map[string]string{}
		if missing, err = s.addManaged(tx, bounds, []string{r.Boundary}); err != nil {
			return false, "", err
		}
		allowed, reason = evaluate("permissions boundary", bounds, a)
	}
	if !allowed && missing != "" {
		reason += "; what " + missing + " allows is not known to tasuki local"
	}
	return allowed, reason, nil
}

// addManaged adds the documents of managed policies, by their ARNs, and returns the ARN
// of one whose document is not known; "" where all are.
func (s *Service) addManaged(tx *state.Tx, documents map[string]string, arns []string) (missing string, err error) {
	for _, arn := range arns {
		if name, isAWS := strings.CutPrefix(arn, awsManaged); isAWS {
			if document, found := managed(name); found {
				documents[arn] = document
			} else {
				missing = arn
			}
			continue
		}
		p, err := s.findPolicy(tx, arn)
		if err != nil {
			return "", err
		}
		v, _ := p.version(versionID(p.Default))
		documents[arn] = v.Document
	}
	return missing, nil
}

// Caller is who asks to assume a role.
type Caller struct {
	ARN  string // a session of a role, or a user
	Role string // name of the role whose session it is; "" for the owner of the account
}

// MayAssume reports whether a caller may assume a role. Its trust policy has to allow
// it. One that trusts the account leaves it to the policies of the caller, of whom the
// owner may do anything; one that names the caller does not
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-single-account.html).
func (s *Service) MayAssume(roleName string, caller Caller, a Access) (allowed bool, err error) {
	err = s.store.View(func(tx *state.Tx) error {
		r, found, err := s.roles.Get(tx, roleName)
		if err != nil || !found {
			return err
		}
		trusted, named, err := s.trusts(tx, r, caller, a)
		if err != nil || !trusted {
			return err
		}
		if allowed = named || caller.Role == ""; allowed {
			return nil
		}
		own, found, err := s.roles.Get(tx, caller.Role)
		if err != nil || !found {
			return err
		}
		a.Resource = s.arn(r)
		allowed, _, err = s.authorize(tx, own, a)
		return err
	})
	return allowed, err
}

// trusts reports whether a role's trust policy allows an access to a caller, and
// whether it does so by the caller's own name.
func (s *Service) trusts(tx *state.Tx, r role, caller Caller, a Access) (trusted, named bool, err error) {
	d, err := parseDocument(r.Trust)
	if err != nil {
		return false, false, nil // it was checked when it was written
	}
	names := []string{"*", caller.ARN}
	if caller.Role != "" {
		own, found, err := s.roles.Get(tx, caller.Role)
		if err != nil || !found {
			return false, false, err
		}
		names = append(names, s.arn(own))
	}
	account := []string{s.account, "arn:aws:iam::" + s.account + ":root"}
	for _, st := range d.Statement {
		principals := st.principals()
		byName, byAccount := intersect(principals, names), intersect(principals, account)
		applies, unknown := st.applies(a)
		switch {
		case !byName && !byAccount && st.NotPrincipal == nil:
		case st.Effect == "Deny" && (applies || unknown != ""):
			return false, false, nil
		case st.Effect == "Allow" && applies && st.NotPrincipal == nil:
			trusted, named = true, named || byName
		}
	}
	return trusted, named, nil
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(member string) bool { return slices.Contains(b, member) })
}

// principals returns the accounts, users, roles and sessions that a statement is for,
// as it names them. Services are none of them.
func (st statement) principals() (names []string) {
	add := func(value any) {
		switch value := value.(type) {
		case string:
			names = append(names, value)
		case []any:
			for _, member := range value {
				if name, ok := member.(string); ok {
					names = append(names, name)
				}
			}
		}
	}
	switch principal := st.Principal.(type) {
	case string:
		add(principal)
	case map[string]any:
		add(principal["AWS"])
	}
	return names
}
