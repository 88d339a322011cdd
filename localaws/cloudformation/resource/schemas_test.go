//go:build cdk

package resource

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// schemas prints CloudFormation's own schemas, which cfn-lint ships, of the types that
// it is given.
const schemas = `
import importlib, json, os, sys
try:
    import cfnlint
except ImportError:
    sys.exit("cfn-lint is not installed: pip install cfn-lint")
types = importlib.import_module("cfnlint.data.schemas.providers.us_east_1").types
folder = os.path.join(os.path.dirname(cfnlint.__file__), "data", "schemas", "resources")
print(json.dumps({name: json.load(open(os.path.join(folder, types[name] + ".json"))) for name in sys.argv[1:]}))
`

// schema is a resource type's, as far as it is compared.
type schema struct {
	Properties  map[string]shape
	Definitions map[string]shape
	Required    []string
	CreateOnly  []string `json:"createOnlyProperties"`
	Conditional []string `json:"conditionalCreateOnlyProperties"`
	ReadOnly    []string `json:"readOnlyProperties"`
	WriteOnly   []string `json:"writeOnlyProperties"`
}

// shape is a property's schema.
type shape struct {
	Ref        string          `json:"$ref"`
	Type       json.RawMessage // a text or a list of texts
	Properties map[string]shape
	Required   []string
	Items      *shape
}

// beyond are attributes that CloudFormation has and its schema has not, because they
// are properties too: see the return values in each type's documentation.
var beyond = map[string][]string{
	"AWS::SSM::Parameter": {"Type", "Value"},
	"AWS::SQS::Queue":     {"QueueName"},
}

// TestPropertiesAreCloudFormations compares the tables of properties with
// CloudFormation's schemas: each has the kind that it has there, what is required is,
// and what replaces a resource does.
func TestPropertiesAreCloudFormations(t *testing.T) {
	all := Types()
	var names []string
	for name, kind := range all {
		if kind.Properties != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out, err := exec.Command("python3", append([]string{"-c", schemas}, names...)...).Output()
	if err != nil {
		t.Fatalf("the schemas could not be read: %v\n%s", err, stderr(err))
	}
	var published map[string]schema
	if err := json.Unmarshal(out, &published); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.ReplaceAll(name, "::", "."), func(t *testing.T) {
			kind, s := all[name], published[name]
			s.compare(t, "#", Property{Kind: Object, Members: kind.Properties}, shape{Properties: s.Properties, Required: s.Required})
			var replacing []string
			for _, path := range slices.Concat(s.CreateOnly, s.Conditional) {
				property, nested, _ := strings.Cut(strings.TrimPrefix(path, "/properties/"), "/")
				_, provided := kind.Properties[property]
				if nested == "" && provided {
					replacing = append(replacing, property)
				}
			}
			slices.Sort(replacing)
			if have := slices.Sorted(slices.Values(kind.CreateOnly)); !slices.Equal(have, replacing) {
				t.Errorf("changes of %v replace the resource; of CloudFormation's %v do", have, replacing)
			}
			for _, path := range s.WriteOnly {
				property, _, _ := strings.Cut(strings.TrimPrefix(path, "/properties/"), "/")
				if _, provided := kind.Properties[property]; provided && kind.Read != nil && !slices.Contains(kind.Unread, property) {
					t.Errorf("%s is write-only, and drift of it is detected", property)
				}
			}
			for _, attribute := range kind.Attributes {
				if !slices.Contains(s.ReadOnly, "/properties/"+attribute) && !slices.Contains(beyond[name], attribute) {
					t.Errorf("CloudFormation has no attribute %s", attribute)
				}
			}
		})
	}
}

func stderr(err error) string {
	if exit, is := err.(*exec.ExitError); is {
		return string(exit.Stderr)
	}
	return ""
}

// resolve follows a shape's references.
func (s schema) resolve(is shape) shape {
	for is.Ref != "" {
		is = s.Definitions[strings.TrimPrefix(is.Ref, "#/definitions/")]
	}
	return is
}

func (s schema) compare(t *testing.T, place string, have Property, is shape) {
	t.Helper()
	is = s.resolve(is)
	untyped := len(is.Type) == 0 && have.Kind == Document // as a managed policy's is
	if place != "#" && !untyped && !strings.Contains(string(is.Type), jsonType(have.Kind)) {
		t.Errorf("%s is %s; of CloudFormation %s", place, have.Kind, is.Type)
		return
	}
	switch have.Kind {
	case List:
		if is.Items == nil {
			t.Errorf("%s has no elements", place)
			return
		}
		s.compare(t, place+"/*", *have.Of, *is.Items)
	case Object:
		for name, member := range have.Members {
			published, exists := is.Properties[name]
			if !exists {
				t.Errorf("%s/%s does not exist", place, name)
				continue
			}
			s.compare(t, place+"/"+name, member, published)
			if member.Required && !slices.Contains(is.Required, name) {
				t.Errorf("%s/%s is not required", place, name)
			}
		}
		for _, name := range is.Required {
			member, known := have.Members[name]
			if !known || place == "#" && !member.Required {
				t.Errorf("%s/%s is required", place, name)
			}
		}
	}
}

// jsonType is what JSON Schema calls a kind.
func jsonType(kind Kind) string {
	switch kind {
	case Text:
		return "string"
	case Integer:
		return "integer"
	case Number:
		return "number"
	case Boolean:
		return "boolean"
	case List:
		return "array"
	}
	return "object"
}
