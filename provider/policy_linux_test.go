package provider

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/authorization"
	"github.com/tasuki-dev/tasuki/localaws/iam"
	"github.com/tasuki-dev/tasuki/policy"
)

// session is whose the provider's calls are: its role's, under its name.
const session = "assumed-role/provider/provider"

// arn returns the ARN of a resource of the endpoint's account.
func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + localaws.DefaultRegion + ":" + localaws.Account + ":" + resource
}

// ofAHandoff is what the constructs allow the provider for a handoff with an alias.
func ofAHandoff(functions ...string) []policy.Statement {
	r := policy.Resources{TagParameter: arn("ssm", "parameter"+parameter), Repository: arn("ecr", "repository/orders"), Aliased: true}
	for _, name := range functions {
		r.Functions = append(r.Functions, arn("lambda", "function:"+name))
	}
	return policy.Merge(policy.Adoption(localStack), policy.Provider(r, policy.ProviderOptions{Stack: localStack}))
}

// ofADeployment is what they allow it for an image deployment.
func ofADeployment(source, secret string) []policy.Statement {
	return policy.Deployment(policy.DeploymentResources{Destination: arn("ecr", "repository/copies"), Source: source, Secret: secret, Stack: localStack})
}

// allow makes the statements all that the provider's role may do. The endpoint enforces
// it, and so do the services that are played here.
func (w *world) allow(statements []policy.Statement) {
	w.t.Helper()
	_, err := w.server.IAM().PutRolePolicy(w.t.Context(), &sdkiam.PutRolePolicyInput{
		RoleName: aws.String("provider"), PolicyName: aws.String("allowed"), PolicyDocument: aws.String(policy.NewDocument(statements).String()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// role makes the provider's role, which may do nothing yet.
func (w *world) role() {
	w.t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	if _, err := w.server.IAM().CreateRole(w.t.Context(), &sdkiam.CreateRoleInput{RoleName: aws.String("provider"), AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
		w.t.Fatal(err)
	}
}

// play notes a call of a service that is played here, and reports whether the provider
// may make it.
func (w *world) play(action, resource string) bool {
	w.played = append(w.played, authorization.Need{Action: action, Resource: resource})
	allowed, reason, err := w.server.IAM().Authorize("provider", iam.Access{Action: action, Resource: resource})
	if err != nil || !allowed {
		w.t.Errorf("the provider may not do %s on %s: %s (%v)", action, resource, reason, err)
	}
	return allowed
}

// needed returns what the provider needed so far.
func (w *world) needed() (needs []authorization.Need) {
	for _, call := range w.server.Calls().All() {
		if call.Principal == session {
			needs = append(needs, call.Needs...)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(needs, w.played...)
}

// wantNothingRefused fails where the provider needed what its role may not do: where it
// can go on without, nothing else shows it.
func (w *world) wantNothingRefused() {
	w.t.Helper()
	for _, n := range w.needed() {
		if allowed, reason, err := w.server.IAM().Authorize("provider", iam.Access{Action: n.Action, Resource: n.Resource}); err != nil || !allowed {
			w.t.Errorf("the provider needed %s on %s: %s (%v)", n.Action, n.Resource, reason, err)
		}
	}
}

// wantAllNeeded fails where statements allow an action on a resource that the provider
// did not need, but for what is named, as in "lambda:GetAlias Versions".
func (w *world) wantAllNeeded(statements []policy.Statement, but ...string) {
	w.t.Helper()
	needs := w.needed()
	var idle []string
	for _, s := range statements {
		for _, action := range s.Actions {
			for _, resource := range s.Resources {
				if !slices.ContainsFunc(needs, allowedBy(action, resource)) {
					idle = append(idle, action+" "+s.Sid)
				}
			}
		}
	}
	slices.Sort(idle)
	slices.Sort(but)
	if !slices.Equal(idle, but) {
		w.t.Errorf("the provider is allowed %s, and did not need it; want that of %s alone", strings.Join(idle, ", "), strings.Join(but, ", "))
	}
}

// allowedBy reports of a need whether an action on a resource's pattern covers it.
func allowedBy(action, resource string) func(authorization.Need) bool {
	document, err := json.Marshal(policy.NewDocument([]policy.Statement{{Sid: "One", Actions: []string{action}, Resources: []string{resource}}}))
	if err != nil {
		panic(err) // strings only
	}
	return func(n authorization.Need) bool {
		allowed, _ := iam.Evaluate(map[string]string{"one": string(document)}, iam.Access{Action: n.Action, Resource: n.Resource})
		return allowed
	}
}
