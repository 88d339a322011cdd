package authorization

import (
	"net/url"
	"strings"
)

func (f Reference) iam(action string, form url.Values) []Need {
	path := func() string { return "/" + strings.TrimPrefix(form.Get("Path"), "/") }
	switch action {
	case "iam:ListRoles":
		return on(action, anything)
	case "iam:CreateRole":
		return on(action, f.global("role"+path()+form.Get("RoleName")))
	case "iam:CreatePolicy":
		return on(action, f.global("policy"+path()+form.Get("PolicyName")))
	}
	if !form.Has("RoleName") {
		return on(action, form.Get("PolicyArn"))
	}
	role := f.Role(form.Get("RoleName"))
	if role == "" {
		role = f.global("role/" + form.Get("RoleName"))
	}
	need := Need{Action: action, Resource: role}
	if form.Has("PolicyArn") {
		need.Context = map[string][]string{"iam:PolicyARN": {form.Get("PolicyArn")}}
	}
	return []Need{need}
}

// global returns the ARN of a resource that is in no region.
func (f Reference) global(resource string) string {
	return "arn:aws:iam::" + f.Account + ":" + resource
}

// AssumeRole is the action that a role's trust policy is about as well.
const AssumeRole = "sts:AssumeRole"

func sts(action string, form url.Values) []Need {
	if action != AssumeRole {
		return nil // who one is, everybody may ask
	}
	need := Need{Action: action, Resource: form.Get("RoleArn"), Context: map[string][]string{"sts:RoleSessionName": {form.Get("RoleSessionName")}}}
	if form.Has("ExternalId") {
		need.Context["sts:ExternalId"] = []string{form.Get("ExternalId")}
	}
	return []Need{need}
}
