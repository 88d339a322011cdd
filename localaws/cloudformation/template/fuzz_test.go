package template_test

import (
	"encoding/json"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

// anything is an environment that knows everything.
type anything struct{ list bool }

func (a anything) Ref(name string) (any, error) {
	if a.list {
		return []any{name, "{{resolve:ssm:" + name + "}}"}, nil
	}
	return name, nil
}

func (a anything) GetAtt(id, attribute string) (any, error) { return a.Ref(id + attribute) }
func (anything) ImportValue(name string) (string, error)    { return name, nil }
func (anything) Dynamic(reference string) (string, error)   { return reference, nil }

// FuzzParse: whatever is given for a template, parsing and evaluating it ends, with a
// value that JSON can hold or with an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(resources(`{"X":{"Fn::Join":["",[{"Ref":"B"},{"Fn::GetAtt":["B","Arn"]},{"Fn::Sub":["${a}${B.C}${!x}",{"a":1}]}]]}}`)))
	f.Add([]byte(`{"Conditions":{"C":{"Fn::Or":[{"Fn::Equals":[{"Ref":"AWS::Region"},"x"]},{"Fn::Not":[{"Condition":"D"}]}]},"D":{"Fn::Equals":["",""]}},"Resources":{"A":{"Type":"T","Condition":"C"}}}`))
	f.Add([]byte("Resources: {A: {Type: T, Properties: {X: !If [C, !Ref AWS::NoValue, .5], Y: 1_000, Z: 0o17}}}\nConditions: {C: !Equals [a, b]}\n"))
	f.Fuzz(func(t *testing.T, source []byte) {
		parsed, err := template.Parse(source)
		if err != nil {
			if parsed != nil {
				t.Error("a template beside an error")
			}
			return
		}
		for _, env := range []template.Environment{anything{}, anything{list: true}, environment{}} {
			for name := range parsed.Conditions {
				_, _ = parsed.Holds(name, env)
			}
			_ = parsed.CheckRules(env)
			for id, resource := range parsed.Resources {
				parsed.References(id)
				_, _ = parsed.Uses(resource.Properties, env)
				_, _ = parsed.Shown(resource.Properties, env, anything{})
				evaluate(t, parsed, resource.Properties, env)
			}
			for _, output := range parsed.Outputs {
				evaluate(t, parsed, output.Value, env)
			}
		}
	})
}

// FuzzEvaluate: a value that was not checked with the template ends likewise.
func FuzzEvaluate(f *testing.F) {
	f.Add(`{"Fn::If":["C",{"Ref":1},{"Fn::Select":[0]}]}`)
	f.Add(`{"a":{"Fn::Join":["-",{"Fn::Split":["x","axb"]}]},"b":["{{resolve:ssm:a}}","{{resolve:}}"]}`)
	f.Add(`{"Fn::Sub":["${a}${b.c}",{"a":{"Fn::FindInMap":[{},[],""]}}]}`)
	parsed, err := template.Parse([]byte(everything))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		var value any
		if json.Unmarshal([]byte(source), &value) == nil {
			evaluate(t, parsed, value, anything{})
			evaluate(t, parsed, value, anything{list: true})
		}
	})
}

func evaluate(t *testing.T, parsed *template.Template, value any, env template.Environment) {
	t.Helper()
	found, err := parsed.Evaluate(value, env)
	if err != nil {
		return
	}
	if _, err := json.Marshal(found); err != nil {
		t.Errorf("a value that JSON cannot hold: %v", err)
	}
}
