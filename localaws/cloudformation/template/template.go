package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// The bounds of a template
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
const (
	LongestSource  = 1 << 20 // bytes
	mostResources  = 500
	mostParameters = 200
	mostOutputs    = 200
	mostMappings   = 200

	longestDescription = 1024 // bytes
)

// Template is a template that has been parsed and checked: its functions have the
// form that they need, and refer to what the template has.
type Template struct {
	Description string
	Metadata    any // as written: it is not evaluated
	Parameters  map[string]Parameter
	Mappings    map[string]map[string]map[string]any
	Conditions  map[string]any
	Rules       map[string]Rule
	Resources   map[string]Resource
	Outputs     map[string]Output

	references map[string][]string        // by the logical id that refers
	attributes map[string]map[string]bool // that are read, by the logical id that has them
}

// Resource is a resource as the template has it, not evaluated.
type Resource struct {
	Type                string
	Properties          map[string]any
	DependsOn           []string
	Condition           string // the name of one, or ""
	DeletionPolicy      string // Delete, Retain, RetainExceptOnCreate, Snapshot, or ""
	UpdateReplacePolicy string // likewise, but for RetainExceptOnCreate
	Metadata            any
}

// Output is an output as the template has it, not evaluated.
type Output struct {
	Description string
	Value       any
	Export      any    // the name to export it under; nil for none
	Condition   string // the name of one, or ""
}

// Parse reads a template and checks it.
func Parse(source []byte) (*Template, error) {
	if len(source) > LongestSource {
		return nil, malformed("", "The template is larger than %d bytes.", LongestSource)
	}
	value, err := decode(source)
	if err != nil {
		return nil, err
	}
	sections, ok := value.(map[string]any)
	if !ok {
		return nil, malformed("", "The template is not an object.")
	}
	t := &Template{references: map[string][]string{}, attributes: map[string]map[string]bool{}}
	if err := t.read(sections); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

// read takes the sections over.
func (t *Template) read(sections map[string]any) (err error) {
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		section := sections[name]
		switch name {
		case "AWSTemplateFormatVersion":
			if section != "2010-09-09" {
				err = malformed("/"+name, "Template format version %v is not supported; it must be 2010-09-09.", section)
			}
		case "Description":
			if t.Description, err = text("/"+name, section); err == nil && len(t.Description) > longestDescription {
				err = malformed("", "'Description' length is greater than %d.", longestDescription)
			}
		case "Metadata":
			t.Metadata = section
		case "Parameters":
			t.Parameters, err = entries(name, section, mostParameters, readParameter)
		case "Mappings":
			t.Mappings, err = entries(name, section, mostMappings, readMapping)
		case "Conditions":
			t.Conditions, err = entries(name, section, 0, func(_ string, value any) (any, error) { return value, nil })
		case "Rules":
			t.Rules, err = entries(name, section, 0, readRule)
		case "Resources":
			t.Resources, err = entries(name, section, mostResources, readResource)
		case "Outputs":
			t.Outputs, err = entries(name, section, mostOutputs, readOutput)
		case "Transform", "Hooks":
			err = notProvided("", "The section "+name)
		default:
			err = bare("Invalid template property or properties [%s]", name)
		}
		if err != nil {
			return err
		}
	}
	if len(t.Resources) == 0 {
		return malformed("", "At least one Resources member must be defined.")
	}
	return nil
}

// logicalID is what names anything in a template.
var logicalID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`) })

// entries reads a section: its members by their logical ids.
func entries[T any](name string, section any, most int, read func(place string, value any) (T, error)) (map[string]T, error) {
	members, ok := section.(map[string]any)
	if !ok {
		return nil, malformed("/"+name, "The section %s must be an object.", name)
	}
	if most > 0 && len(members) > most {
		return nil, malformed("", "Number of %s, %d, is greater than maximum allowed, %d", strings.ToLower(name), len(members), most)
	}
	found := make(map[string]T, len(members))
	for _, id := range slices.Sorted(maps.Keys(members)) {
		if strings.HasPrefix(id, "Fn::") {
			return nil, notProvided("/"+name, id)
		}
		if !logicalID().MatchString(id) && name != "Mappings" {
			return nil, malformed("", "%s name %s is non alphanumeric.", strings.TrimSuffix(name, "s"), id)
		}
		entry, err := read("/"+name+"/"+id, members[id])
		if err != nil {
			return nil, err
		}
		found[id] = entry
	}
	return found, nil
}

// object reads an object whose members are among those that readers are given for.
func object(place, what string, value any, readers map[string]func(place string, value any) error) error {
	members, ok := value.(map[string]any)
	if !ok {
		return malformed(place, "Every %s object must be an object.", what)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		read, known := readers[name]
		if !known {
			return bare("Invalid template %s property '%s'", what, name)
		}
		if err := read(place+"/"+name, members[name]); err != nil {
			return err
		}
	}
	return nil
}

// into reads a text into a variable.
func into(to *string) func(place string, value any) error {
	return func(place string, value any) (err error) {
		*to, err = text(place, value)
		return err
	}
}

// as takes any value into a variable.
func as(to *any) func(place string, value any) error {
	return func(place string, value any) error {
		if value == nil {
			return null(place)
		}
		*to = value
		return nil
	}
}

// refuse refuses a member by name.
func refuse(place string, _ any) error {
	return notProvided(place, place[strings.LastIndexByte(place, '/')+1:])
}

func readResource(place string, value any) (Resource, error) {
	r := Resource{}
	policy := func(to *string, allowed ...string) func(string, any) error {
		return func(place string, value any) error {
			if err := into(to)(place, value); err != nil {
				return err
			}
			if !slices.Contains(allowed, *to) {
				return malformed(place, "Unrecognized policy %s; it must be one of %s.", *to, strings.Join(allowed, ", "))
			}
			return nil
		}
	}
	err := object(place, "resource", value, map[string]func(string, any) error{
		"Type":      into(&r.Type),
		"Condition": into(&r.Condition),
		"Metadata":  as(&r.Metadata),
		"Properties": func(place string, value any) error {
			properties, ok := value.(map[string]any)
			for name := range properties {
				if strings.HasPrefix(name, "Fn::") {
					return notProvided(place, name)
				}
			}
			if !ok {
				return malformed(place, "Every Properties member must be an object.")
			}
			r.Properties = properties
			return nil
		},
		"DependsOn":           func(place string, value any) (err error) { r.DependsOn, err = names(place, value); return err },
		"DeletionPolicy":      policy(&r.DeletionPolicy, "Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
		"UpdateReplacePolicy": policy(&r.UpdateReplacePolicy, "Delete", "Retain", "Snapshot"),
		"CreationPolicy":      refuse,
		"UpdatePolicy":        refuse,
	})
	if err == nil && r.Type == "" {
		err = malformed(place, "Every Resources object must contain a Type member.")
	}
	return r, err
}

func readOutput(place string, value any) (Output, error) {
	o := Output{}
	err := object(place, "output", value, map[string]func(string, any) error{
		"Description": into(&o.Description),
		"Condition":   into(&o.Condition),
		"Value":       as(&o.Value),
		"Export": func(place string, value any) error {
			return object(place, "export", value, map[string]func(string, any) error{"Name": as(&o.Export)})
		},
	})
	if err == nil && o.Value == nil {
		err = malformed(place, "Every Outputs object must contain a Value member.")
	}
	return o, err
}

func readMapping(place string, value any) (map[string]map[string]any, error) {
	mapping := map[string]map[string]any{}
	levels, ok := value.(map[string]any)
	if !ok {
		return nil, malformed(place, "Every Mappings member must be an object.")
	}
	for _, key := range slices.Sorted(maps.Keys(levels)) {
		second, ok := levels[key].(map[string]any)
		if !ok {
			return nil, malformed(place+"/"+key, "Every Mappings attribute must be an object.")
		}
		for _, name := range slices.Sorted(maps.Keys(second)) {
			if _, err := scalars(second[name]); err != nil {
				return nil, malformed(place+"/"+key+"/"+name, "Every Mappings attribute must be a String or a List.")
			}
		}
		mapping[key] = second
	}
	return mapping, nil
}

// names reads a name or a list of names.
func names(place string, value any) ([]string, error) {
	if _, one := value.(string); one {
		value = []any{value}
	}
	list, ok := value.([]any)
	if !ok {
		return nil, malformed(place, "It must be a string or a list of strings.")
	}
	var found []string
	for _, element := range list {
		name, err := text(place, element)
		if err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, nil
}

// text reads a text.
func text(place string, value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", malformed(place, "It must be a string.")
	}
	return s, nil
}

// scalars reads a scalar or a list of scalars as texts.
func scalars(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var found []string
	for _, element := range list {
		s, ok := Scalar(element)
		if !ok {
			return nil, fmt.Errorf("%T is not a scalar", element)
		}
		found = append(found, s)
	}
	return found, nil
}

func null(place string) *Error {
	return malformed(place, "'null' values are not allowed in templates")
}
