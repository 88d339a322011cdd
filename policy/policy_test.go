package policy_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/policy"
)

// tokens are resources as the CDK has them: nothing may look into them.
var tokens = policy.Resources{
	TagParameter: "${Token[Tag.1]}", Contract: "${Token[Contract.2]}", Repository: "${Token[Repository.3]}",
	Functions: []string{"${Token[Function.4]}", "${Token[Function.5]}"}, Stack: "${Token[Stack.6]}", Aliased: true, ArchitectureUnknown: true, RepositoryByName: true,
}

var (
	everything  = policy.Options{Push: true, Smoke: true, Publish: true, Several: true, Seed: true}
	onlyOn      = map[string]string{"ecr:GetAuthorizationToken": "*"}
	sidGrammar  = regexp.MustCompile(`^[A-Za-z0-9]+$`) // IAM's
	ofProvider  = policy.ProviderOptions{Stack: "${Token[Stack.6]}", Mappings: []string{"${Token[Mapping.7]}"}}
	ofDeploying = policy.DeploymentResources{Destination: "${Token[To.8]}", Source: "${Token[From.9]}", Secret: "${Token[Secret.10]}", Object: "${Token[Object.11]}", Stack: "${Token[Stack.6]}"}
)

// all returns every list of statements that this package makes, by name.
func all() map[string][]policy.Statement {
	lists := map[string][]policy.Statement{"provider": policy.Provider(tokens, ofProvider), "deployment": policy.Deployment(ofDeploying)}
	for _, c := range policy.Commands() {
		lists[c.Name] = c.Statements(tokens, everything)
	}
	return lists
}

func TestStatementsNameTheHandoffsOwnResources(t *testing.T) {
	for name, statements := range all() {
		if len(statements) == 0 {
			t.Errorf("%s allows nothing", name)
		}
		sids := map[string]bool{}
		for _, s := range statements {
			if !sidGrammar.MatchString(s.Sid) || sids[s.Sid] {
				t.Errorf("%s: Sid %q is malformed, or there twice", name, s.Sid)
			}
			sids[s.Sid] = true
			if len(s.Actions) == 0 || !slices.IsSorted(s.Actions) || len(slices.Compact(slices.Clone(s.Actions))) != len(s.Actions) {
				t.Errorf("%s: the actions of %s are not there, sorted, once each: %v", name, s.Sid, s.Actions)
			}
			for _, resource := range s.Resources {
				if bare := strings.TrimSuffix(resource, ":*"); strings.HasPrefix(bare, "${Token[") && strings.HasSuffix(bare, "]}") {
					continue
				}
				for _, action := range s.Actions {
					if onlyOn[action] != resource {
						t.Errorf("%s: %s is allowed on %q", name, action, resource)
					}
				}
			}
			for _, action := range s.Actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s allows %s", name, action)
				}
			}
		}
	}
}

func TestWhoMayWriteTheTagParameter(t *testing.T) {
	writers := []string{"release", "rollback", "register"}
	for name, statements := range all() {
		for _, s := range statements {
			writes := slices.Contains(s.Actions, "ssm:PutParameter") && slices.Contains(s.Resources, tokens.TagParameter)
			if writes && !slices.Contains(writers, name) {
				t.Errorf("%s may write the tag parameter", name)
			}
		}
	}
}

func TestProviderMayDoWhatItsVerbsDo(t *testing.T) {
	tokens := tokens
	tokens.WithoutContract, tokens.RepositoryByName = true, false
	provider := policy.Provider(tokens, policy.ProviderOptions{})
	for _, verb := range []func(policy.Resources, policy.Options) []policy.Statement{policy.Resolve, policy.Reconcile, policy.Seed} {
		for _, s := range verb(tokens, policy.Options{Seed: true}) {
			i := slices.IndexFunc(provider, func(p policy.Statement) bool { return slices.Equal(p.Resources, s.Resources) })
			for _, action := range s.Actions {
				if i < 0 || !slices.Contains(provider[i].Actions, action) {
					t.Errorf("the provider may not do %s on %v", action, s.Resources)
				}
			}
		}
	}
	for _, s := range policy.Provider(tokens, ofProvider) {
		if slices.Contains(s.Resources, tokens.Contract) {
			t.Errorf("the provider may do %v on the contract, which its events carry", s.Actions)
		}
	}
}

func TestNothingIsAllowedOnWhatThereIsNot(t *testing.T) {
	var none policy.Resources
	lists := [][]policy.Statement{policy.Provider(none, policy.ProviderOptions{}), policy.Deployment(policy.DeploymentResources{})}
	for _, c := range policy.Commands() {
		lists = append(lists, c.Statements(none, everything))
	}
	if merged := policy.Merge(lists...); len(merged) > 0 {
		t.Errorf("without resources, this is allowed: %v", merged)
	}
}

func TestMerge(t *testing.T) {
	conditioned := map[string]map[string]string{"StringEquals": {"aws:ResourceTag/team": "orders"}}
	first := []policy.Statement{
		{Sid: "A", Actions: []string{"s:Write", "s:Read"}, Resources: []string{"a"}},
		{Sid: "B", Actions: []string{"s:Read"}, Resources: []string{"a", "b"}},
	}
	second := []policy.Statement{
		{Sid: "A", Actions: []string{"s:Read", "s:Delete"}, Resources: []string{"a"}},
		{Sid: "A", Actions: []string{"s:Read"}, Resources: []string{"c"}},
		{Sid: "A", Actions: []string{"s:Read"}, Resources: []string{"a"}, Conditions: conditioned},
	}
	got := fmt.Sprint(policy.Merge(first, second))
	want := fmt.Sprint([]policy.Statement{
		{Sid: "A", Actions: []string{"s:Delete", "s:Read", "s:Write"}, Resources: []string{"a"}},
		{Sid: "B", Actions: []string{"s:Read"}, Resources: []string{"a", "b"}},
		{Sid: "A2", Actions: []string{"s:Read"}, Resources: []string{"c"}},
		{Sid: "A3", Actions: []string{"s:Read"}, Resources: []string{"a"}, Conditions: conditioned},
	})
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if first[0].Actions[0] != "s:Write" {
		t.Error("what was given to Merge was changed")
	}
	if again := fmt.Sprint(policy.Merge(policy.Merge(first, second))); again != want {
		t.Errorf("merged again it is\n%s", again)
	}
}

func TestDocument(t *testing.T) {
	document := policy.NewDocument(policy.Adoption("arn:aws:cloudformation:eu-west-1:111122223333:stack/<&>/1"))
	b, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource []string
			Condition        map[string]map[string]string
		}
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Version != "2012-10-17" || len(back.Statement) != 1 {
		t.Fatalf("the document is %s", b)
	}
	s := back.Statement[0]
	if s.Effect != "Allow" || s.Sid != "FunctionsOfStack" || !slices.Equal(s.Action, []string{"lambda:DeleteAlias", "lambda:GetAlias", "lambda:GetFunction"}) || !slices.Equal(s.Resource, []string{"*"}) ||
		s.Condition["StringEquals"]["aws:ResourceTag/aws:cloudformation:stack-id"] != "arn:aws:cloudformation:eu-west-1:111122223333:stack/<&>/1" {
		t.Errorf("the statement is %+v", s)
	}
	if text := document.String(); !strings.Contains(text, "stack/<&>/1") || !strings.HasPrefix(text, "{\n  \"Version\"") {
		t.Errorf("as text it is %s", text)
	}
}

func ExampleRelease() {
	app := policy.Resources{
		TagParameter: "arn:aws:ssm:eu-west-1:111122223333:parameter/tasuki/orders/image-tag",
		Contract:     "arn:aws:ssm:eu-west-1:111122223333:parameter/tasuki/orders/contract",
		Repository:   "arn:aws:ecr:eu-west-1:111122223333:repository/orders",
		Functions:    []string{"arn:aws:lambda:eu-west-1:111122223333:function:orders"},
	}
	for _, s := range policy.Release(app, policy.Options{}) {
		fmt.Println(s.Sid, s.Actions)
	}
	// Output:
	// Contract [ssm:GetParameter]
	// TagParameter [ssm:GetParameter ssm:GetParameterHistory ssm:PutParameter]
	// Repository [ecr:BatchGetImage ecr:GetDownloadUrlForLayer ecr:PutImage]
	// Functions [lambda:GetFunction lambda:UpdateFunctionCode]
}
