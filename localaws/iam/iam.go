// Package iam is the local endpoint's AWS IAM: roles and managed policies, recorded
// as they are given, and [Evaluate] and [Service.Authorize], which say what they allow.
// Whether that is enforced is for the endpoint to decide.
package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Service is the local IAM of one account; it answers the same in every region.
type Service struct {
	store   *state.Store
	account string

	roles    state.Table[role]   // by name
	policies state.Table[policy] // by ARN
}

// New returns the service with its roles and policies in store.
func New(store *state.Store, account string) *Service {
	return &Service{store: store, account: account, roles: state.Table[role]{Name: "iam.roles"}, policies: state.Table[policy]{Name: "iam.policies"}}
}

// Wire returns the service as the dispatcher takes it.
func (s *Service) Wire() wire.Service {
	return &wire.Query{
		Service:   "iam",
		Namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Operations: map[string]wire.Handler{
			"AttachRolePolicy":              wire.HandleQuery(wire.Checked(s.AttachRolePolicy, "RoleName", "PolicyArn")),
			"CreatePolicy":                  wire.HandleQuery(wire.Checked(s.CreatePolicy, "PolicyName", "PolicyDocument", "Tags.Key", "Tags.Value")),
			"CreatePolicyVersion":           wire.HandleQuery(wire.Checked(s.CreatePolicyVersion, "PolicyArn", "PolicyDocument")),
			"CreateRole":                    wire.HandleQuery(wire.Checked(s.CreateRole, "RoleName", "AssumeRolePolicyDocument", "Tags.Key", "Tags.Value")),
			"DeletePolicy":                  wire.HandleQuery(wire.Checked(s.DeletePolicy, "PolicyArn")),
			"DeletePolicyVersion":           wire.HandleQuery(wire.Checked(s.DeletePolicyVersion, "PolicyArn", "VersionId")),
			"DeleteRole":                    wire.HandleQuery(wire.Checked(s.DeleteRole, "RoleName")),
			"DeleteRolePermissionsBoundary": wire.HandleQuery(wire.Checked(s.DeleteRolePermissionsBoundary, "RoleName")),
			"DeleteRolePolicy":              wire.HandleQuery(wire.Checked(s.DeleteRolePolicy, "RoleName", "PolicyName")),
			"DetachRolePolicy":              wire.HandleQuery(wire.Checked(s.DetachRolePolicy, "RoleName", "PolicyArn")),
			"GetPolicy":                     wire.HandleQuery(wire.Checked(s.GetPolicy, "PolicyArn")),
			"GetPolicyVersion":              wire.HandleQuery(wire.Checked(s.GetPolicyVersion, "PolicyArn", "VersionId")),
			"GetRole":                       wire.HandleQuery(wire.Checked(s.GetRole, "RoleName")),
			"GetRolePolicy":                 wire.HandleQuery(wire.Checked(s.GetRolePolicy, "RoleName", "PolicyName")),
			"ListAttachedRolePolicies":      wire.HandleQuery(wire.Checked(s.ListAttachedRolePolicies, "RoleName")),
			"ListPolicyVersions":            wire.HandleQuery(wire.Checked(s.ListPolicyVersions, "PolicyArn")),
			"ListRolePolicies":              wire.HandleQuery(wire.Checked(s.ListRolePolicies, "RoleName")),
			"ListRoleTags":                  wire.HandleQuery(wire.Checked(s.ListRoleTags, "RoleName")),
			"ListRoles":                     wire.HandleQuery(wire.Checked(s.ListRoles)),
			"PutRolePermissionsBoundary":    wire.HandleQuery(wire.Checked(s.PutRolePermissionsBoundary, "RoleName", "PermissionsBoundary")),
			"PutRolePolicy":                 wire.HandleQuery(wire.Checked(s.PutRolePolicy, "RoleName", "PolicyName", "PolicyDocument")),
			"TagRole":                       wire.HandleQuery(wire.Checked(s.TagRole, "RoleName", "Tags", "Tags.Key", "Tags.Value")),
			"UntagRole":                     wire.HandleQuery(wire.Checked(s.UntagRole, "RoleName", "TagKeys")),
			"UpdateAssumeRolePolicy":        wire.HandleQuery(wire.Checked(s.UpdateAssumeRolePolicy, "RoleName", "PolicyDocument")),
			"UpdateRole":                    wire.HandleQuery(wire.Checked(s.UpdateRole, "RoleName")),
		},
	}
}

func noEntity(format string, args ...any) error {
	return wire.Errorf("NoSuchEntity", format, args...).WithStatus(http.StatusNotFound)
}

func exists(format string, args ...any) error {
	return wire.Errorf("EntityAlreadyExists", format, args...).WithStatus(http.StatusConflict)
}

func inUse(message string) error {
	return wire.Errorf("DeleteConflict", "%s", message).WithStatus(http.StatusConflict)
}

func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationError", format, args...)
}

// nameGrammar is of roles and policies; roles' names are shorter.
var nameGrammar = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w+=,.@-]{1,128}$`) })

// pathGrammar is of the paths that stand before names in ARNs.
var pathGrammar = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)

// pathOf returns the path that a request gives; "/" where there is none.
func pathOf(given *string) (string, error) {
	if given == nil || *given == "" {
		return "/", nil
	}
	if len(*given) > 512 || !pathGrammar.MatchString(*given) {
		return "", invalid("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return *given, nil
}

// checkDocument checks a policy document as far as IAM's parser would.
func checkDocument(document string) error {
	if _, err := parseDocument(document); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return wire.Errorf("MalformedPolicyDocument", "Syntax errors in policy.")
		}
		return wire.Errorf("MalformedPolicyDocument", "%v", err)
	}
	return nil
}

// escaped is a document as IAM answers it, encoded as in RFC 3986.
func escaped(document string) *string {
	text := strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
	return &text
}

// idOf returns an id of the form that IAM gives, always the same one for the same
// entity (IAM user guide, "IAM identifiers").
func idOf(prefix, arn, salt string) string {
	const length = 21
	sum := sha256.Sum256([]byte(arn + salt))
	return (prefix + base32.StdEncoding.EncodeToString(sum[:]))[:length]
}

// page returns the page of names that a request asks for, and the marker of the next
// one, nil for none. The names are in order.
func page(names []string, marker *string, most *int32) (chosen []string, next *string, err error) {
	longest := 100
	if most != nil {
		if *most < 1 || *most > 1000 {
			return nil, nil, invalid("1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000", *most)
		}
		longest = int(*most)
	}
	for _, name := range names {
		if marker != nil && name <= *marker {
			continue
		}
		if len(chosen) == longest {
			return chosen, &chosen[longest-1], nil
		}
		chosen = append(chosen, name)
	}
	return chosen, nil, nil
}
