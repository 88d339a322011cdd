package policy_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/policy"
)

var update = flag.Bool("update", false, "write the tables of docs/iam.md")

// reason is what makes something needed that is not needed always.
type reason struct {
	text       string
	statements []policy.Statement
	several    bool // made of other reasons: counts only for what none of them gives
}

// column is a column of a table: what is needed always, and what for a reason.
type column struct {
	name    string
	always  []policy.Statement
	reasons []reason
}

// plain is a handoff with a contract, without an alias.
var plain = policy.Resources{TagParameter: "tag", Contract: "contract", Repository: "repository", Functions: []string{"function"}}

func commandColumns() (columns []column) {
	aliased, byName, unknown, stack := plain, plain, plain, plain
	aliased.Aliased, byName.RepositoryByName, unknown.ArchitectureUnknown, stack.Stack = true, true, true, "stack"
	for _, c := range policy.Commands() {
		columns = append(columns, column{"`" + c.Name + "`", c.Statements(plain, policy.Options{}), []reason{
			{text: "alias", statements: c.Statements(aliased, policy.Options{})},
			{text: "`--image`", statements: c.Statements(plain, policy.Options{Push: true})},
			{text: "`--publish`", statements: c.Statements(plain, policy.Options{Publish: true})},
			{text: "`--smoke`", statements: c.Statements(plain, policy.Options{Smoke: true})},
			{text: "`--smoke` of a version", statements: c.Statements(plain, policy.Options{Smoke: true, Publish: true}), several: true},
			{text: "`--deep`", statements: c.Statements(plain, policy.Options{Deep: true})},
			{text: "several", statements: c.Statements(plain, policy.Options{Several: true})},
			{text: "placeholder", statements: c.Statements(plain, policy.Options{Seed: true})},
			{text: "by name", statements: c.Statements(byName, policy.Options{})},
			{text: "no architecture", statements: c.Statements(unknown, policy.Options{})},
			{text: "stack", statements: c.Statements(stack, policy.Options{})},
		}})
	}
	return columns
}

func functionColumns() []column {
	aliased := plain
	aliased.Aliased = true
	deploying := func(r policy.DeploymentResources) []policy.Statement {
		r.Destination = "repository"
		return policy.Deployment(r)
	}
	return []column{
		{"a handoff", policy.Provider(plain, policy.ProviderOptions{Stack: "stack"}), []reason{
			{text: "alias", statements: policy.Provider(aliased, policy.ProviderOptions{})},
			{text: "held events", statements: policy.Provider(plain, policy.ProviderOptions{Mappings: []string{"mapping"}})},
			{text: "functions that nothing names", statements: policy.Adoption("stack")},
		}},
		{"an image deployment", deploying(policy.DeploymentResources{Stack: "stack"}), []reason{
			{text: "from ECR", statements: deploying(policy.DeploymentResources{Source: "source"})},
			{text: "with credentials", statements: deploying(policy.DeploymentResources{Secret: "secret"})},
			{text: "from S3", statements: deploying(policy.DeploymentResources{Object: "object"})},
		}},
	}
}

// allows reports whether statements allow an action on the resources of a Sid.
func allows(statements []policy.Statement, sid, action string) bool {
	return slices.ContainsFunc(statements, func(s policy.Statement) bool { return s.Sid == sid && slices.Contains(s.Actions, action) })
}

// cell says when a column's subject needs an action on the resources of a Sid.
func (c column) cell(sid, action string) string {
	if allows(c.always, sid, action) {
		return "✓"
	}
	var texts []string
	for _, r := range c.reasons {
		if allows(r.statements, sid, action) && !(r.several && len(texts) > 0) {
			texts = append(texts, r.text)
		}
	}
	return strings.Join(texts, ", ")
}

// table prints columns, a row for all the actions of a resource that are needed alike.
func table(columns []column) string {
	type row struct{ sid, cells string }
	var rows []row
	actions := map[row][]string{}
	for _, c := range columns {
		lists := [][]policy.Statement{c.always}
		for _, r := range c.reasons {
			lists = append(lists, r.statements)
		}
		for _, s := range slices.Concat(lists...) {
			for _, action := range s.Actions {
				var cells []string
				for _, of := range columns {
					cells = append(cells, of.cell(s.Sid, action))
				}
				r := row{s.Sid, strings.Join(cells, " | ")}
				if actions[r] == nil {
					rows = append(rows, r)
				}
				if !slices.Contains(actions[r], action) {
					actions[r] = append(actions[r], action)
				}
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return strings.Compare(a.sid, b.sid) })
	var b strings.Builder
	b.WriteString("| on | actions |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(columns)+2) + "\n")
	for _, r := range rows {
		slices.Sort(actions[r])
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", r.sid, strings.Join(actions[r], "`, `"), r.cells)
	}
	return b.String()
}

// TestTheTablesAreCurrent holds the tables of docs/iam.md against the package; with
// -update it writes them.
func TestTheTablesAreCurrent(t *testing.T) {
	const file = "../docs/iam.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	current := string(b)
	for name, columns := range map[string][]column{"commands": commandColumns(), "functions": functionColumns()} {
		begin, end := "<!-- table of "+name+", written by go generate ./policy -->\n", "<!-- end of table -->"
		before, rest, found := strings.Cut(current, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Fatalf("%s has no place for the table of %s", file, name)
		}
		current = before + begin + table(columns) + end + after
	}
	if current == string(b) {
		return
	}
	if !*update {
		t.Fatalf("the tables of %s are not those of the package: run go generate ./policy", file)
	}
	if err := os.WriteFile(file, []byte(current), 0o644); err != nil {
		t.Fatal(err)
	}
}
