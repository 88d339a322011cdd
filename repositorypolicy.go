package tasuki

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// repositoryPolicy is an ECR repository's policy, as far as it says who may pull
// (IAM User Guide, "IAM JSON policy elements reference").
type repositoryPolicy struct {
	Statement oneOrMore[policyStatement]
}

type policyStatement struct {
	Effect    string // Allow or Deny
	Principal policyPrincipal
	Action    oneOrMore[string]
	NotAction oneOrMore[string]
	Condition map[string]map[string]oneOrMore[string] // by operator, by key

	NotPrincipal policyPrincipal // nil where Principal says who
}

// oneOrMore is a list that may stand without brackets where it has one member.
type oneOrMore[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*l = oneOrMore[T]{one}
	return nil
}

// policyPrincipal is whom a statement is about, by kind: AWS, Service, ….
type policyPrincipal map[string]oneOrMore[string]

// UnmarshalJSON implements json.Unmarshaler. "*" alone is everybody.
func (p *policyPrincipal) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		*p = policyPrincipal{"*": {"*"}}
		return nil
	}
	return json.Unmarshal(b, (*map[string]oneOrMore[string])(p))
}

// parseRepositoryPolicy reads a policy's text; "" is a policy without statements.
func parseRepositoryPolicy(text string) (repositoryPolicy, error) {
	var p repositoryPolicy
	if text == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, invalid("the repository policy is not JSON of a policy's form: %v", err)
	}
	return p, nil
}

// pullActions is what pulling takes.
var pullActions = []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}

// lambdaPulls reports whether Lambda may pull for a function, and whether it is denied
// that. A condition on what is not known here is taken to hold for an Allow, and not for
// a Deny: a doctor who cannot tell does not alarm.
func (p repositoryPolicy) lambdaPulls(function, account string) (allowed, denied bool) {
	known := map[string]string{"aws:sourcearn": function, "aws:sourceaccount": account}
	service := func(principal policyPrincipal) bool {
		// "AWS": "*" is everybody, as "*" alone is (IAM User Guide, "AWS JSON policy elements: Principal").
		return slices.Contains(principal["Service"], lambdaService) || slices.Contains(principal["Service"], "*") || slices.Contains(principal["AWS"], "*") || principal["*"] != nil
	}
	return p.decide(service, known)
}

// accountPulls reports whether an account may pull.
func (p repositoryPolicy) accountPulls(account string) bool {
	of := func(principal policyPrincipal) bool {
		return principal["*"] != nil || slices.ContainsFunc(principal["AWS"], func(who string) bool {
			return who == "*" || who == account || parseARN(who).account == account
		})
	}
	allowed, denied := p.decide(of, nil)
	return allowed && !denied
}

// decide reports whether all pull actions are allowed to a principal, and whether one is
// denied.
func (p repositoryPolicy) decide(is func(policyPrincipal) bool, known map[string]string) (allowed, denied bool) {
	granted := map[string]bool{}
	for _, s := range p.Statement {
		about := is(s.Principal)
		if s.NotPrincipal != nil {
			about = !is(s.NotPrincipal)
		}
		if !about {
			continue
		}
		for _, action := range pullActions {
			switch {
			case !s.covers(action):
			case s.Effect == "Allow" && s.holds(known, true):
				granted[action] = true
			case s.Effect == "Deny" && s.holds(known, false):
				denied = true
			}
		}
	}
	return len(granted) == len(pullActions), denied
}

// covers reports whether a statement is about an action. Case does not matter in them.
func (s policyStatement) covers(action string) bool {
	matches := func(pattern string) bool { return likeARN(strings.ToLower(pattern), strings.ToLower(action)) }
	if len(s.NotAction) > 0 {
		return !slices.ContainsFunc(s.NotAction, matches)
	}
	return slices.ContainsFunc(s.Action, matches)
}

// holds reports whether a statement's conditions hold, where a condition that cannot be
// judged counts as unknown says.
func (s policyStatement) holds(known map[string]string, unknown bool) bool {
	for operator, conditions := range s.Condition {
		for key, patterns := range conditions {
			value, isKnown := known[strings.ToLower(key)]
			result := unknown
			switch {
			case !isKnown:
			case operator == "StringEquals":
				result = slices.Contains(patterns, value)
			case operator == "StringLike", operator == "ArnLike", operator == "ArnEquals":
				result = slices.ContainsFunc(patterns, func(pattern string) bool { return likeARN(pattern, value) })
			}
			if !result {
				return false
			}
		}
	}
	return true
}

// likeARN reports whether s matches a pattern of IAM's, in which '*' stands for any
// characters and '?' for one.
func likeARN(pattern, s string) bool {
	var expression strings.Builder
	expression.WriteString("(?s)^")
	for _, r := range pattern {
		switch r {
		case '*':
			expression.WriteString(".*")
		case '?':
			expression.WriteString(".")
		default:
			expression.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	expression.WriteString("$")
	matched, err := regexp.MatchString(expression.String(), s)
	return err == nil && matched
}

// arn is where a resource of AWS is; the zero arn where the text is no ARN.
type arn struct{ partition, service, region, account string }

// parseARN reads "arn:partition:service:region:account:resource".
func parseARN(s string) arn {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return arn{}
	}
	return arn{parts[1], parts[2], parts[3], parts[4]}
}

// mustTakeFrom refuses a repository in another region than a function: Lambda pulls
// from its own only (Lambda Developer Guide, "Create a Lambda function using a container
// image").
func (f Function) mustTakeFrom(repository Repository) error {
	region := parseARN(f.ARN).region
	if region == "" || region == repository.Region() {
		return nil
	}
	return &Error{
		Op: "use", Side: SideFunction, Subject: f.Name, Kind: ErrRefused,
		Err:  &sentence{text: "the function is in " + region + " and repository " + repository.String() + " is in " + repository.Region() + ", and Lambda takes images from its own region only"},
		Hint: "Use a repository in " + region + ", for example one that ECR replicates this one to, or name the function of region " + repository.Region() + ".",
	}
}
