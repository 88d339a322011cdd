package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

// environment answers from maps: attributes under "Id.Attribute".
type environment struct {
	refs, attributes map[string]any
	exports, dynamic map[string]string
}

func (e environment) Ref(name string) (any, error) { return lookup(e.refs, name) }

func (e environment) GetAtt(id, attribute string) (any, error) {
	return lookup(e.attributes, id+"."+attribute)
}

func (e environment) ImportValue(name string) (string, error) { return lookup(e.exports, name) }

func (e environment) Dynamic(reference string) (string, error) { return lookup(e.dynamic, reference) }

func lookup[T any](in map[string]T, name string) (T, error) {
	value, found := in[name]
	if !found {
		return value, fmt.Errorf("%s: %w", name, template.ErrUnknown)
	}
	return value, nil
}

func parse(t *testing.T, source string) *template.Template {
	t.Helper()
	parsed, err := template.Parse([]byte(source))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return parsed
}

// everything is one template in YAML that uses all that is provided.
const everything = `
AWSTemplateFormatVersion: 2010-09-09
Description: a stack
Metadata: {Anything: [1, null]}
Parameters:
  Tag: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /tasuki/orders/image-tag}
  Names: {Type: CommaDelimitedList, Default: 'a, b,c'}
  Size: {Type: Number, Default: 128, MinValue: 128, MaxValue: 1024}
Mappings:
  Regions:
    us-east-1: {Zone: one, Zones: [x, y]}
Conditions:
  Production: !Equals [!Ref AWS::StackName, production]
  Small: !And [!Not [!Condition Production], !Equals [!Ref Size, 128]]
  Either: !Or [!Condition Production, Condition: Small]
Rules:
  CheckSize:
    RuleCondition: !Equals [!Ref Size, '128']
    Assertions:
      - Assert: !Not [!Contains [['1', '2'], !Ref Tag]]
        AssertDescription: The tag is a number.
Resources:
  Repository:
    Type: AWS::ECR::Repository
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
  Extra: {Type: 'AWS::SQS::Queue', Condition: Production}
  Function:
    Type: AWS::Lambda::Function
    DependsOn: Extra
    Properties:
      Code:
        ImageUri: !Sub
          - '${Repository.RepositoryUri}:${ Tag }-${Suffix}${!Literal}'
          - Suffix: !Select [1, !Ref Names]
      MemorySize: 512
      Publish: yes
      Ready: true
      Ratio: 1.50
      Hex: 0x10
      Version: 2012-10-17
      Absent: !Ref AWS::NoValue
      List: [1, !Ref AWS::NoValue, !If [Production, !Ref AWS::NoValue, two]]
      Zones: !FindInMap [Regions, !Ref AWS::Region, Zones]
      Joined: !Join ['-', !Split ['/', a/b/c]]
      Encoded: !Base64 text
      Imported: !ImportValue {'Fn::Sub': '${AWS::StackName}-vpc'}
      Secret: !Join [':', ['{{resolve:ssm:/x', '3}}/{{resolve:ssm:/y}}']]
      Nested: !GetAtt [Repository, !Select [0, [Arn]]]
Outputs:
  Uri:
    Condition: Either
    Description: where
    Value: !GetAtt Repository.RepositoryUri
    Export: {Name: !Sub '${AWS::StackName}-uri'}
`

func TestEvaluate(t *testing.T) {
	parsed := parse(t, everything)
	env := environment{
		refs: map[string]any{
			"Tag": "v1", "Names": parsed.Parameters["Names"].Value(*parsed.Parameters["Names"].Default), "Size": "128",
			"AWS::StackName": "staging", "AWS::Region": "us-east-1",
		},
		attributes: map[string]any{"Repository.RepositoryUri": "host/orders", "Repository.Arn": "arn:repository"},
		exports:    map[string]string{"staging-vpc": "vpc-1"},
		dynamic:    map[string]string{"ssm:/x:3": "three", "ssm:/y": "why"},
	}
	got, err := parsed.Evaluate(parsed.Resources["Function"].Properties, env)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Code":       map[string]any{"ImageUri": "host/orders:v1-b${Literal}"},
		"MemorySize": json.Number("512"), "Publish": "yes", "Ready": true, "Ratio": json.Number("1.50"), "Hex": json.Number("16"),
		"Version": "2012-10-17",
		"List":    []any{json.Number("1"), "two"}, "Zones": []any{"x", "y"}, "Joined": "a-b-c", "Encoded": "dGV4dA==", "Imported": "vpc-1",
		"Secret": "three/why", "Nested": "arn:repository",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	for condition, want := range map[string]bool{"": true, "Production": false, "Small": true, "Either": true} {
		if holds, err := parsed.Holds(condition, env); err != nil || holds != want {
			t.Errorf("condition %q: %v, %v; want %v", condition, holds, err, want)
		}
	}
	if name, err := parsed.Evaluate(parsed.Outputs["Uri"].Export, env); err != nil || name != "staging-uri" {
		t.Errorf("export: %v, %v", name, err)
	}
	if diff := cmp.Diff([]string{"Extra", "Repository"}, parsed.References("Function")); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"RepositoryUri"}, parsed.Attributes("Repository")); diff != "" {
		t.Errorf("attributes that are read (-want +got):\n%s", diff)
	}
	if nothing, err := parsed.Evaluate(map[string]any{"Ref": "AWS::NoValue"}, env); nothing != nil || err != nil {
		t.Errorf("AWS::NoValue: %v, %v", nothing, err)
	}
}

func TestEvaluateSaysWhatIsUnknown(t *testing.T) {
	parsed := parse(t, everything)
	if _, err := parsed.Evaluate(parsed.Outputs["Uri"].Value, environment{}); !errors.Is(err, template.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// What a value uses depends on conditions, and not on what is known of resources.
func TestUses(t *testing.T) {
	parsed := parse(t, `
Parameters: {P: {Type: String}}
Conditions: {Yes: !Equals [!Ref P, x]}
Resources:
  A:
    Type: T
    Properties:
      X: !Join ['', [!Ref B, !If [Yes, !GetAtt C.Arn, !Sub '${D}${P}']]]
  B: {Type: T}
  C: {Type: T}
  D: {Type: T}
`)
	for value, want := range map[string][]string{"x": {"B", "C"}, "y": {"B", "D"}} {
		got, err := parsed.Uses(parsed.Resources["A"].Properties, environment{refs: map[string]any{"P": value}})
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("with %s: %v, %v; want %v", value, got, err, want)
		}
	}
}

// What is hidden in a value that is shown has no part in conditions.
func TestShown(t *testing.T) {
	parsed := parse(t, `
Parameters: {P: {Type: String}}
Conditions: {Yes: !Equals [!Ref P, secret]}
Resources: {A: {Type: T, Properties: {X: !If [Yes, !Sub 'it is ${P}', no]}}}
`)
	env, hiding := environment{refs: map[string]any{"P": "secret"}}, environment{refs: map[string]any{"P": "****"}}
	got, err := parsed.Shown(parsed.Resources["A"].Properties, env, hiding)
	if diff := cmp.Diff(map[string]any{"X": "it is ****"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestJSONAndYAMLAreAlike(t *testing.T) {
	const (
		long  = `{"Resources":{"A":{"Type":"T::T::T","Properties":{"N":1e3,"L":[true,"x"],"F":{"Fn::Join":["",[{"Ref":"B"},{"Fn::GetAtt":["B","Arn"]}]]}}},"B":{"Type":"T::T::T","DependsOn":[]}}}`
		short = "Resources:\n  A:\n    Type: T::T::T\n    Properties: {N: 1e3, L: [true, x], F: !Join ['', [!Ref B, !GetAtt [B, Arn]]]}\n  B: {Type: 'T::T::T', DependsOn: []}\n"
	)
	if diff := cmp.Diff(parse(t, long).Resources, parse(t, short).Resources); diff != "" {
		t.Errorf("JSON against YAML:\n%s", diff)
	}
}

func TestRules(t *testing.T) {
	parsed := parse(t, everything)
	env := environment{refs: map[string]any{"Tag": "v1", "Size": "128"}}
	if err := parsed.CheckRules(env); err != nil {
		t.Errorf("a rule that is kept: %v", err)
	}
	env.refs["Tag"] = "2"
	if err := parsed.CheckRules(env); err == nil || !strings.Contains(err.Error(), "The tag is a number.") {
		t.Errorf("a rule that is not kept: %v", err)
	}
	env.refs["Size"] = "256"
	if err := parsed.CheckRules(env); err != nil {
		t.Errorf("a rule that does not apply: %v", err)
	}
}

// resources returns a template of one resource A with the given properties, and of B.
func resources(properties string) string {
	return `{"Resources":{"A":{"Type":"T::T::T","Properties":` + properties + `},"B":{"Type":"T::T::T"}}}`
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"nothing":                   {``, "YAML not well-formed"},
		"a text":                    {`text`, "The template is not an object."},
		"broken JSON":               {"{\n\"Resources\": {,}}", "Template format error: JSON not well-formed. (line 2, column 15)"},
		"two documents":             {"Resources: {}\n---\nResources: {}\n", "a template is one document"},
		"no resources":              {`{"Description":"d"}`, "Template format error: At least one Resources member must be defined."},
		"a version":                 {`{"AWSTemplateFormatVersion":"2020-01-01"}`, "[/AWSTemplateFormatVersion]"},
		"a section":                 {`{"Resource":{}}`, "Invalid template property or properties [Resource]"},
		"a transform":               {`{"Transform":"AWS::Serverless-2016-10-31"}`, "The section Transform is not provided by tasuki local."},
		"a hook":                    {`{"Hooks":{}}`, "Hooks is not provided"},
		"a loop":                    {`{"Resources":{"Fn::ForEach::X":[]}}`, "Fn::ForEach::X is not provided"},
		"a logical id":              {`{"Resources":{"a-b":{"Type":"T"}}}`, "Resource name a-b is non alphanumeric."},
		"no type":                   {`{"Resources":{"A":{}}}`, "[/Resources/A] Every Resources object must contain a Type member."},
		"a member":                  {`{"Resources":{"A":{"Type":"T","Property":{}}}}`, "Invalid template resource property 'Property'"},
		"a creation policy":         {`{"Resources":{"A":{"Type":"T","CreationPolicy":{}}}}`, "CreationPolicy is not provided"},
		"a deletion policy":         {`{"Resources":{"A":{"Type":"T","DeletionPolicy":"Keep"}}}`, "[/Resources/A/DeletionPolicy] Unrecognized policy Keep"},
		"null":                      {resources(`{"X":[null]}`), "[/Resources/A/Properties/X/0] 'null' values are not allowed in templates"},
		"an unknown Ref":            {resources(`{"X":{"Ref":"C"}}`), "Template format error: Unresolved resource dependencies [C] in the Resources block of the template"},
		"a Ref of a list":           {resources(`{"X":{"Ref":["C"]}}`), "[/Resources/A/Properties/X] every Ref object must have a single String value."},
		"an unknown GetAtt":         {resources(`{"X":{"Fn::GetAtt":["C","Arn"]}}`), "Template error: instance of Fn::GetAtt references undefined resource C"},
		"a short GetAtt":            {resources(`{"X":{"Fn::GetAtt":["B"]}}`), "every Fn::GetAtt object requires two non-empty parameters"},
		"an unknown variable":       {resources(`{"X":{"Fn::Sub":"${C.Arn}"}}`), "Unresolved resource dependencies [C]"},
		"a variable's name":         {resources(`{"X":{"Fn::Sub":"${a b}"}}`), "variable names in Fn::Sub syntax"},
		"an unknown mapping":        {resources(`{"X":{"Fn::FindInMap":["M","a","b"]}}`), "Mapping named 'M' is not present in the 'Mappings' section of template."},
		"a condition":               {resources(`{"X":{"Fn::If":["C",1,2]}}`), "Template error: unresolved condition dependency C in Fn::If"},
		"a short Join":              {resources(`{"X":{"Fn::Join":["-"]}}`), "Fn::Join has 1 elements"},
		"a macro":                   {resources(`{"X":{"Fn::Transform":{}}}`), "[/Resources/A/Properties/X] Fn::Transform is not provided by tasuki local."},
		"a macro over all":          {resources(`{"Fn::Transform":{}}`), "Fn::Transform is not provided"},
		"zones":                     {resources(`{"X":{"Fn::GetAZs":""}}`), "Fn::GetAZs is not provided"},
		"zones in short":            {"Resources: {A: {Type: T, Properties: {X: !GetAZs ''}}}", "Fn::GetAZs (line 1) is not provided"},
		"an unknown function":       {resources(`{"X":{"Fn::Nonsense":""}}`), "Fn::Nonsense is not provided"},
		"a misplaced Equals":        {resources(`{"X":{"Fn::Equals":[1,2]}}`), "Fn::Equals is not allowed here"},
		"a function and more":       {resources(`{"X":{"Fn::Sub":"","Y":1}}`), "Fn::Sub must be the only member of its object."},
		"an alias":                  {"Resources: {A: &a {Type: T}, B: *a}", "YAML aliases are not allowed"},
		"a merge":                   {"Resources: {A: {<<: {Type: T}}}", "hash merges are not allowed"},
		"a key twice":               {"Resources: {A: {Type: T, Type: U}}", "duplicate key Type"},
		"a tag":                     {"Resources: {A: {Type: !!binary aGk=}}", "tag !!binary is not allowed"},
		"a parameter's type":        {`{"Parameters":{"P":{"Type":"AWS::EC2::VPC::Id"}},"Resources":{"A":{"Type":"T"}}}`, "Unrecognized parameter type: AWS::EC2::VPC::Id"},
		"an id twice":               {`{"Parameters":{"A":{"Type":"String"}},"Resources":{"A":{"Type":"T"}}}`, "Logical ID A is both a parameter and a resource."},
		"an unknown DependsOn":      {`{"Resources":{"A":{"Type":"T","DependsOn":"C"}}}`, "Unresolved resource dependencies [C]"},
		"a circle":                  {`{"Resources":{"A":{"Type":"T","Properties":{"X":{"Ref":"B"}}},"B":{"Type":"T","DependsOn":["A"]}}}`, "Circular dependency between resources: [A, B]"},
		"circular conditions":       {`{"Conditions":{"A":{"Condition":"B"},"B":{"Condition":"A"}},"Resources":{"A":{"Type":"T"}}}`, "Circular dependency between conditions: [A, B]"},
		"a resource in a condition": {`{"Conditions":{"C":{"Fn::Equals":[{"Ref":"A"},"x"]}},"Resources":{"A":{"Type":"T"}}}`, "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template"},
		"a rule's function":         {`{"Rules":{"R":{"Assertions":[{"Assert":{"Fn::RefAll":"x"}}]}},"Resources":{"A":{"Type":"T"}}}`, "Fn::RefAll is not provided"},
		"a secret":                  {resources(`{"X":["{{resolve:secretsmanager:a:SecretString:b}}"]}`), "[/Resources/A/Properties/X/0] A dynamic reference to secretsmanager is not provided by tasuki local."},
		"a secure parameter":        {resources(`{"X":{"Fn::Sub":"{{resolve:ssm-secure:${B}}}"}}`), "A dynamic reference to ssm-secure is not provided by tasuki local."},
		"a joined secret":           {resources(`{"X":{"Fn::Join":["",["{{resolve:secretsmanager:",{"Ref":"B"},"}}"]]}}`), "A dynamic reference to secretsmanager"},
		"a long description":        {`{"Description":"` + strings.Repeat("x", 1025) + `","Resources":{"A":{"Type":"T"}}}`, "Template format error: 'Description' length is greater than 1024."},
		"a list for an output":      {`{"Resources":{"A":{"Type":"T"}},"Outputs":{"O":{"Value":["a"]}}}`, "Template format error: The Value field of every Outputs member must evaluate to a String and not a List."},
		"an object for an output":   {`{"Resources":{"A":{"Type":"T"}},"Outputs":{"O":{"Value":{"a":"b"}}}}`, "must evaluate to a String and not a Map."},
		"a resource in an export":   {`{"Resources":{"A":{"Type":"T"}},"Outputs":{"O":{"Value":"a","Export":{"Name":{"Fn::Sub":"x-${A}"}}}}}`, "Output O is malformed. The Name field of Export must not depend on any resources"},
		"an import in an export":    {`{"Resources":{"A":{"Type":"T"}},"Outputs":{"O":{"Value":"a","Export":{"Name":{"Fn::Join":["",[{"Fn::ImportValue":"x"}]]}}}}}`, "must not depend on any resources, imported values"},
		"an output without value":   {`{"Resources":{"A":{"Type":"T"}},"Outputs":{"O":{}}}`, "[/Outputs/O] Every Outputs object must contain a Value member."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := template.Parse([]byte(test.source))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestEvaluateRefuses(t *testing.T) {
	env := environment{refs: map[string]any{"B": "b", "L": []any{"x"}}}
	tests := map[string]struct{ value, want string }{
		"an index":         {`{"Fn::Select":[3,["a"]]}`, "Template error: Fn::Select cannot select nonexistent value at index 3"},
		"a negative index": {`{"Fn::Select":["-1",["a"]]}`, "at index -1"},
		"no list":          {`{"Fn::Select":[0,{"Ref":"B"}]}`, "Fn::Select requires a list, and was given a string"},
		"a joined object":  {`{"Fn::Join":["",[{"a":"b"}]]}`, "every Fn::Join object requires two parameters"},
		"a list in Sub":    {`{"Fn::Sub":"${L}"}`, "${L} is a list"},
		"no delimiter":     {`{"Fn::Split":["","a"]}`, "Fn::Split requires a delimiter"},
		"no mapping":       {`{"Fn::FindInMap":["a","b","c"]}`, "Unable to get mapping for a::b::c"},
		"no text":          {`{"Fn::Base64":["a"]}`, "Fn::Base64 requires a string, and was given a list"},
	}
	parsed := parse(t, resources(`{}`))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var value any
			if err := json.Unmarshal([]byte(test.value), &value); err != nil {
				t.Fatal(err)
			}
			_, err := parsed.Evaluate(value, env)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// doubling is a text that doubles with each level.
func doubling(levels int) any {
	value := any("xxxxxxxx")
	for range levels {
		value = map[string]any{"Fn::Sub": []any{"${a}${a}", map[string]any{"a": value}}}
	}
	return value
}

func TestEvaluateIsBounded(t *testing.T) {
	parsed := parse(t, resources(`{}`))
	if _, err := parsed.Evaluate(doubling(10), environment{}); err != nil {
		t.Errorf("some text: %v", err)
	}
	if _, err := parsed.Evaluate(doubling(200), environment{}); err == nil || !strings.Contains(err.Error(), "bytes of text") {
		t.Errorf("text without end: %v", err)
	}
	// Each condition names the one before twice: evaluated once each, or 2^100 times.
	conditions := map[string]any{"C0": map[string]any{"Fn::Equals": []any{"a", "a"}}}
	for i := range 100 {
		before := map[string]any{"Condition": fmt.Sprintf("C%d", i)}
		conditions[fmt.Sprintf("C%d", i+1)] = map[string]any{"Fn::And": []any{before, before}}
	}
	source, err := json.Marshal(map[string]any{"Conditions": conditions, "Resources": map[string]any{"A": map[string]any{"Type": "T"}}})
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := parse(t, string(source)).Holds("C100", environment{}); err != nil || !holds {
		t.Errorf("conditions of conditions: %v, %v", holds, err)
	}
}

func TestTooManyResources(t *testing.T) {
	all := map[string]any{}
	for i := range 501 {
		all[fmt.Sprintf("R%d", i)] = map[string]any{"Type": "T"}
	}
	source, err := json.Marshal(map[string]any{"Resources": all})
	if err != nil {
		t.Fatal(err)
	}
	_, err = template.Parse(source)
	if err == nil || err.Error() != "Template format error: Number of resources, 501, is greater than maximum allowed, 500" {
		t.Errorf("got %v", err)
	}
}

func TestParameters(t *testing.T) {
	parsed := parse(t, `
Parameters:
  Any: {Type: String}
  One: {Type: String, AllowedValues: [a, 1, true]}
  Matching: {Type: String, AllowedPattern: '[a-z]{1,3}', MinLength: '2', MaxLength: 3}
  Told: {Type: String, AllowedPattern: '[a-z]+', ConstraintDescription: lower case only, NoEcho: true}
  Number: {Type: Number, MinValue: 1, MaxValue: '5.5'}
  Numbers: {Type: List<Number>}
  Read: {Type: 'AWS::SSM::Parameter::Value<List<String>>'}
Resources: {A: {Type: T}}
`)
	tests := []struct{ name, value, want string }{
		{"Any", "", ""}, {"One", "true", ""}, {"One", "1", ""}, {"One", "b", "Parameter 'One' must be one of AllowedValues"},
		{"Matching", "abc", ""}, {"Matching", "abcd", "Parameter 'Matching' must match pattern [a-z]{1,3}"}, {"Matching", "a", "Parameter 'Matching' must contain at least 2 characters"},
		{"Told", "A", "Parameter Told failed to satisfy constraint: lower case only"},
		{"Number", "x", "Parameter 'Number' must be a number."}, {"Number", "5.4", ""}, {"Number", "6", "Parameter 'Number' must be a number not greater than 5.5"}, {"Number", "0", "Parameter 'Number' must be a number not less than 1"},
		{"Numbers", "1, 2", ""}, {"Numbers", "1,b", "Parameter 'Numbers' must be a number."},
		{"Read", "/any/name", ""},
	}
	for _, test := range tests {
		got := ""
		if err := parsed.Parameters[test.name].Check(test.name, test.value); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s=%s: %q, want %q", test.name, test.value, got, test.want)
		}
	}
	if got := parsed.Parameters["Read"].Value("a, b"); !cmp.Equal(got, []any{"a", "b"}) {
		t.Errorf("a list is %v", got)
	}
	if !parsed.Parameters["Read"].ReadsSSM() || parsed.Parameters["Any"].ReadsSSM() || !parsed.Parameters["Told"].NoEcho {
		t.Error("ReadsSSM or NoEcho")
	}
}
