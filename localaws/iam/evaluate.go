package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Access is what somebody wants to do.
type Access struct {
	Action   string              // as in "ssm:GetParameter"
	Resource string              // an ARN
	Context  map[string][]string // the values of condition keys, as in "aws:SourceArn"
}

// document is a policy document.
type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement statements
}

type statement struct {
	Sid          string
	Effect       string
	Principal    any
	NotPrincipal any
	Action       texts
	NotAction    texts
	Resource     texts
	NotResource  texts
	Condition    map[string]map[string]texts
}

// statements are a list of statements, or one.
type statements []statement

// UnmarshalJSON implements [json.Unmarshaler].
func (s *statements) UnmarshalJSON(b []byte) error { return oneOrMany(b, (*[]statement)(s)) }

// texts are a list of texts, or one; numbers and booleans are their texts.
type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(b []byte) error {
	var many []any
	if err := oneOrMany(b, &many); err != nil {
		return err
	}
	for _, value := range many {
		switch value.(type) {
		case string, bool, float64:
			*t = append(*t, fmt.Sprint(value))
		default:
			return fmt.Errorf("%s is no text", b)
		}
	}
	return nil
}

func oneOrMany[T any](b []byte, to *[]T) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return json.Unmarshal(b, to)
	}
	*to = make([]T, 1)
	return json.Unmarshal(b, &(*to)[0])
}

// parseDocument parses a policy document. Elements that it does not know are errors.
func parseDocument(text string) (d document, err error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return d, err
	}
	if len(d.Statement) == 0 {
		return d, errors.New("the required field Statement is missing")
	}
	for _, st := range d.Statement {
		switch {
		case st.Effect != "Allow" && st.Effect != "Deny":
			return d, fmt.Errorf("the effect %q is neither Allow nor Deny", st.Effect)
		case len(st.Action) == 0 && len(st.NotAction) == 0:
			return d, errors.New("the required field Action is missing")
		}
	}
	return d, nil
}

// Evaluate reports whether identity-based policies allow an access, and why: a Deny
// that applies counts, else an Allow that does, else nothing is allowed. A condition
// that it does not know never makes an Allow apply, and always a Deny. The reason of a
// refusal goes on from AWS's "is not authorized to perform: ACTION on resource: ARN".
func Evaluate(documents map[string]string, a Access) (allowed bool, reason string) {
	return evaluate("identity-based policy", documents, a)
}

// evaluate is Evaluate for policies of a kind.
func evaluate(kind string, documents map[string]string, a Access) (allowed bool, reason string) {
	reason = "because no " + kind + " allows the " + a.Action + " action"
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		d, err := parseDocument(documents[name])
		if err != nil {
			return false, fmt.Sprintf("because policy %s cannot be read: %v", name, err)
		}
		for i, st := range d.Statement {
			applies, unknown := st.applies(a)
			place := fmt.Sprintf("statement %d of policy %s", i+1, name)
			if st.Sid != "" {
				place = fmt.Sprintf("statement %s of policy %s", st.Sid, name)
			}
			switch {
			case st.Effect == "Deny" && (applies || unknown != ""):
				return false, "with an explicit deny in " + place
			case st.Effect == "Allow" && applies:
				allowed, reason = true, place+" allows it"
			case st.Effect == "Allow" && unknown != "" && !allowed:
				reason = "because " + place + " has " + unknown + ", which tasuki local does not know"
			}
		}
	}
	return allowed, reason
}

// applies reports whether a statement is about an access. Where it depends on a
// condition that is not known, the second result says which.
func (st statement) applies(a Access) (applies bool, unknown string) {
	fold := strings.ToLower
	action := func(pattern string) bool { return like(fold(pattern), fold(a.Action)) }
	resource := func(pattern string) bool { return like(pattern, a.Resource) }
	switch {
	case len(st.Action) > 0 && !slices.ContainsFunc(st.Action, action), slices.ContainsFunc(st.NotAction, action):
		return false, ""
	case len(st.Resource) > 0 && !slices.ContainsFunc(st.Resource, resource), slices.ContainsFunc(st.NotResource, resource):
		return false, ""
	}
	for operator, keys := range st.Condition {
		for key, wanted := range keys {
			holds, known := condition(operator, wanted, a.values(key))
			if !known {
				unknown = "the condition " + operator
			} else if !holds {
				return false, ""
			}
		}
	}
	return unknown == "", unknown
}

// values returns the values of a condition's key, whose case does not count.
func (a Access) values(key string) []string {
	for name, values := range a.Context {
		if strings.EqualFold(name, key) {
			return values
		}
	}
	return nil
}

// condition reports whether a condition holds, and whether its operator is known.
func condition(operator string, wanted, have []string) (holds, known bool) {
	quantifier, operator, quantified := strings.Cut(operator, ":")
	if !quantified {
		quantifier, operator = "", quantifier
	}
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	if operator == "Null" {
		return len(wanted) == 1 && (wanted[0] == "true") == (len(have) == 0), true
	}
	operator, negated := positive(operator)
	match := map[string]func(pattern, value string) bool{
		"StringEquals":           func(pattern, value string) bool { return pattern == value },
		"StringEqualsIgnoreCase": strings.EqualFold,
		"StringLike":             like,
		"ArnLike":                likeARN,
		"ArnEquals":              likeARN,
		"Bool":                   strings.EqualFold,
	}[operator]
	if match == nil || quantifier != "" && quantifier != "ForAnyValue" && quantifier != "ForAllValues" {
		return false, false
	}
	one := func(value string) bool {
		return slices.ContainsFunc(wanted, func(pattern string) bool { return match(pattern, value) }) != negated
	}
	switch {
	case len(have) == 0:
		return ifExists || negated || quantifier == "ForAllValues", true
	case quantifier == "ForAllValues" || negated && quantifier == "":
		return !slices.ContainsFunc(have, func(value string) bool { return !one(value) }), true
	}
	return slices.ContainsFunc(have, one), true
}

// positive returns an operator without its negation.
func positive(operator string) (string, bool) {
	for _, kind := range []string{"String", "Arn"} {
		if rest, found := strings.CutPrefix(operator, kind+"Not"); found {
			return kind + rest, true
		}
	}
	return operator, false
}

// likeARN is like for ARNs, whose parts are matched one by one.
func likeARN(pattern, value string) bool {
	const parts = 6
	patterns, values := strings.SplitN(pattern, ":", parts), strings.SplitN(value, ":", parts)
	if len(patterns) != parts || len(values) != parts {
		return like(pattern, value)
	}
	for i := range patterns {
		if !like(patterns[i], values[i]) {
			return false
		}
	}
	return true
}

// like reports whether a value has the form of a pattern, in which '*' stands for any
// text and '?' for one character.
func like(pattern, value string) bool {
	p, v, star, mark := 0, 0, -1, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, v
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == value[v]):
			p, v = p+1, v+1
		case star >= 0:
			mark++
			p, v = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
