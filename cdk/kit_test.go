package tasukicdk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// environmentTemplates names a directory that keeps the synthesized templates, for
// cfn-lint. It is emptied before.
const environmentTemplates = "TEMPLATES"

// assembly is what all scenarios' stacks are synthesized into, once for all tests:
// each synthesis costs seconds.
var assembly map[string]*template

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	defer jsii.Close()
	temporary, err := os.MkdirTemp("", "tasukicdk-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(temporary)
	if err := isolate(temporary); err != nil {
		return 0, err
	}
	out := filepath.Join(temporary, "cdk.out")
	if kept := os.Getenv(environmentTemplates); kept != "" {
		out = kept
		if err := os.RemoveAll(out); err != nil {
			return 0, err
		}
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(out), AnalyticsReporting: jsii.Bool(false)})
	for name, define := range scenarios(temporary) {
		define(app, jsii.String(name))
	}
	app.Synth(nil)
	if assembly, err = load(out); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// isolate gives the tests a cache of their own for the provider's package, but Go's own
// build cache. There are no credentials, and no way to get any.
func isolate(temporary string) error {
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"GOCACHE":                     strings.TrimSpace(string(gocache)),
		"XDG_CACHE_HOME":              temporary,
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"GOPROXY":                     "off",
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// template is a stack's template, and what its constructs were annotated with.
type template struct {
	Resources  map[string]*resource
	Parameters map[string]struct{ Type, Default string }
	Conditions map[string]any

	errors, warnings []string
}

type resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           any
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// load reads the templates and the annotations of an assembly.
func load(dir string) (map[string]*template, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil {
		return nil, err
	}
	templates := map[string]*template{}
	for _, file := range files {
		t := &template{}
		if err := decode(file, t); err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".template.json")
		var metadata map[string][]struct {
			Type string
			Data any
		}
		if err := decode(filepath.Join(dir, name+".metadata.json"), &metadata); err != nil && !strings.HasSuffix(name, ".nested") {
			return nil, err // of nested stacks the parent's has it
		}
		for _, entries := range metadata {
			for _, entry := range entries {
				switch entry.Type {
				case "aws:cdk:error":
					t.errors = append(t.errors, fmt.Sprint(entry.Data))
				case "aws:cdk:warning":
					t.warnings = append(t.warnings, fmt.Sprint(entry.Data))
				}
			}
		}
		templates[name] = t
	}
	return templates, nil
}

func decode(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// stack returns a scenario's template, which must be free of mistakes.
func stack(t *testing.T, name string) *template {
	t.Helper()
	found := assembly[name]
	if found == nil {
		t.Fatalf("there is no stack %s", name)
	}
	if len(found.errors) > 0 {
		t.Errorf("stack %s has mistakes: %q", name, found.errors)
	}
	return found
}

// only returns the one resource of a type.
func (t *template) only(tb testing.TB, kind string) *resource {
	tb.Helper()
	_, r := t.onlyWithID(tb, kind)
	return r
}

func (t *template) onlyWithID(tb testing.TB, kind string) (string, *resource) {
	tb.Helper()
	ids := t.ids(kind)
	if len(ids) != 1 {
		tb.Fatalf("there are %d resources of type %s (%q), want 1", len(ids), kind, ids)
	}
	return ids[0], t.Resources[ids[0]]
}

// ids returns the logical ids of the resources of a type, sorted.
func (t *template) ids(kind string) []string {
	var ids []string
	for id, r := range t.Resources {
		if r.Type == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// policyOf returns the logical id of the one policy whose id begins with a text.
func (t *template) policyOf(tb testing.TB, begins string) string {
	tb.Helper()
	for _, id := range t.ids("AWS::IAM::Policy") {
		if strings.HasPrefix(id, begins) {
			return id
		}
	}
	tb.Fatalf("no policy is named %s", begins)
	return ""
}

// function returns the function that is not the provider.
func (t *template) function(tb testing.TB) (string, *resource) {
	tb.Helper()
	for _, id := range t.ids("AWS::Lambda::Function") {
		if t.Resources[id].Properties["PackageType"] == "Image" {
			return id, t.Resources[id]
		}
	}
	tb.Fatal("the function is not in the template")
	return "", nil
}

// statements returns the statements of all policies on a role, by their Sid's.
func (t *template) statements() []map[string]any {
	var all []map[string]any
	for _, id := range t.ids("AWS::IAM::Policy") {
		document := t.Resources[id].Properties["PolicyDocument"].(map[string]any)
		for _, s := range document["Statement"].([]any) {
			all = append(all, s.(map[string]any))
		}
	}
	return all
}

// list returns v as a list of strings; CDK writes a list of one as its member.
func list(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []string
		for _, member := range v {
			all = append(all, text(member))
		}
		return all
	default:
		return []string{text(v)}
	}
}

// text returns a value's text as CloudFormation would make it in account 111122223333 and
// region eu-west-1. A resource's Ref is "ref-" and its logical id.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		return intrinsic(v)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func intrinsic(v map[string]any) string {
	for name, argument := range v {
		switch name {
		case "Ref":
			return reference(argument.(string))
		case "Fn::Join":
			arguments := argument.([]any)
			return strings.Join(members(arguments[1]), arguments[0].(string))
		case "Fn::Split":
			arguments := argument.([]any)
			b, _ := json.Marshal(strings.Split(text(arguments[1]), arguments[0].(string)))
			return string(b)
		case "Fn::Select":
			arguments := argument.([]any)
			of := members(arguments[1])
			var index int
			fmt.Sscan(fmt.Sprint(arguments[0]), &index)
			if index >= len(of) {
				return fmt.Sprintf("no member %d of %q", index, of)
			}
			return of[index]
		case "Fn::GetAtt":
			arguments := argument.([]any)
			return attribute(arguments[0].(string), arguments[1].(string))
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// members returns a list, or what Fn::Split makes.
func members(v any) []string {
	if _, isList := v.([]any); isList {
		return list(v)
	}
	var split []string
	if err := json.Unmarshal([]byte(text(v)), &split); err != nil {
		return []string{err.Error()}
	}
	return split
}

func reference(to string) string {
	switch to {
	case "AWS::AccountId":
		return "111122223333"
	case "AWS::Region":
		return "eu-west-1"
	case "AWS::Partition":
		return "aws"
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::StackId":
		return "arn:aws:cloudformation:eu-west-1:111122223333:stack/s/1"
	}
	if strings.HasPrefix(to, "Slashed") {
		return "/ref/" + to
	}
	return "ref-" + to
}

func attribute(of, name string) string {
	if name == "Arn" && strings.Contains(of, "Repository") {
		return "arn:aws:ecr:eu-west-1:111122223333:repository/" + strings.ToLower(of)
	}
	return of + "." + name
}

// noCycle fails the test if resources wait for each other.
func noCycle(t *testing.T, resources map[string]*resource) {
	t.Helper()
	const waiting, done = 1, 2
	state := map[string]int{}
	var visit func(id string, path []string)
	visit = func(id string, path []string) {
		path = append(path, id)
		if state[id] == done {
			return
		}
		if state[id] == waiting {
			t.Fatalf("resources wait for each other: %s", strings.Join(path, " → "))
		}
		state[id] = waiting
		r := resources[id]
		needed := list(r.DependsOn)
		refs(r.Properties, &needed)
		for _, other := range needed {
			if resources[other] != nil {
				visit(other, path)
			}
		}
		state[id] = done
	}
	for id := range resources {
		visit(id, nil)
	}
}

// refs collects the logical ids that a value refers to.
func refs(v any, into *[]string) {
	switch v := v.(type) {
	case []any:
		for _, member := range v {
			refs(member, into)
		}
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			*into = append(*into, id)
		}
		if arguments, ok := v["Fn::GetAtt"].([]any); ok {
			*into = append(*into, arguments[0].(string))
		}
		for _, member := range v {
			refs(member, into)
		}
	}
}

// said reports whether one of the sentences has all of the parts.
func said(sentences []string, parts ...string) bool {
	return slices.ContainsFunc(sentences, func(sentence string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(sentence, part) })
	})
}

// zipFile writes a provider's package that is no program, for stacks that are not deployed.
func zipFile(dir string) *string {
	name := filepath.Join(dir, "provider.zip")
	if err := os.WriteFile(name, bytes.Repeat([]byte("no program"), 10), 0o644); err != nil {
		panic(err)
	}
	return jsii.String(name)
}
