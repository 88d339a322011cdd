package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Property is a property of a resource, or a member of one.
type Property struct {
	Kind     Kind
	Required bool
	Of       *Property           // what a List or a Map has; nil for Text
	Members  map[string]Property // that an Object can have
}

// Kind is what a property's value is.
type Kind string

// The kinds of property. Numbers and booleans may be given as texts.
const (
	Text     Kind = "String"
	Integer  Kind = "Integer"
	Number   Kind = "Number"
	Boolean  Kind = "Boolean"
	List     Kind = "JSONArray"
	Object   Kind = "JSONObject" // with the members that are named
	Map      Kind = "Map"        // with any members
	Document Kind = "Document"   // JSON, as an object or as a text
)

func required(p Property) Property {
	p.Required = true
	return p
}

func text() Property    { return Property{Kind: Text} }
func integer() Property { return Property{Kind: Integer} }
func boolean() Property { return Property{Kind: Boolean} }

func document() Property          { return Property{Kind: Document} }
func listOf(of Property) Property { return Property{Kind: List, Of: &of} }
func mapOf(of Property) Property  { return Property{Kind: Map, Of: &of} }
func texts() Property             { return listOf(text()) }
func object(members map[string]Property) Property {
	return Property{Kind: Object, Members: members}
}

// tagList is the Tags of most types. Which members a tag must have differs, and is
// left to the services.
func tagList() Property { return listOf(object(map[string]Property{"Key": text(), "Value": text()})) }

// Check checks properties that a template gives a resource, evaluated or not: what is
// still a function is taken for right.
func (t Type) Check(logicalID string, properties map[string]any) error {
	_, err := t.typed(logicalID, properties)
	return err
}

// typed returns the properties with each scalar in its property's own kind.
func (t Type) typed(logicalID string, properties map[string]any) (map[string]any, error) {
	if t.Properties == nil {
		return properties, nil
	}
	typed, problem := Property{Kind: Object, Members: t.Properties}.typed("#", properties)
	if problem != "" {
		if strings.HasPrefix(problem, "Encountered") {
			return nil, refusal(problem)
		}
		return nil, refusal("Properties validation failed for resource " + logicalID + " with message:\n" + problem)
	}
	object, _ := typed.(map[string]any)
	return object, nil
}

// typed returns a value in the property's kind, or what is wrong with it.
func (p Property) typed(place string, value any) (typed any, problem string) {
	if isFunction(value) {
		return value, ""
	}
	switch p.Kind {
	case Object, Map:
		members, ok := value.(map[string]any)
		if !ok {
			return nil, p.expected(place, value)
		}
		return p.typedMembers(place, members)
	case List:
		elements, ok := value.([]any)
		if !ok {
			return nil, p.expected(place, value)
		}
		found := make([]any, len(elements))
		for i, element := range elements {
			if found[i], problem = p.Of.typed(fmt.Sprintf("%s/%d", place, i), element); problem != "" {
				return nil, problem
			}
		}
		return found, ""
	case Document:
		switch value.(type) {
		case string, map[string]any:
			return value, ""
		}
		return nil, p.expected(place, value)
	}
	return p.scalar(place, value)
}

func (p Property) typedMembers(place string, members map[string]any) (typed any, problem string) {
	found := make(map[string]any, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		of, known := p.Members[name]
		switch {
		case p.Kind == Map:
			of = *p.Of
		case !known:
			// CloudFormation says so of what is misspelt. It may be right there, and not here.
			return nil, "Encountered unsupported property " + name + ". It is not provided by tasuki local."
		}
		if found[name], problem = of.typed(place+"/"+name, members[name]); problem != "" {
			return nil, problem
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Members)) {
		if _, given := members[name]; !given && p.Members[name].Required {
			return nil, fmt.Sprintf("%s: required key [%s] not found", place, name)
		}
	}
	return found, ""
}

func (p Property) scalar(place string, value any) (typed any, problem string) {
	s, ok := scalar(value)
	if !ok {
		return nil, p.expected(place, value)
	}
	switch p.Kind {
	case Integer:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			f, err := strconv.ParseFloat(s, 64)
			if n = int64(f); err != nil || float64(n) != f {
				return nil, p.expected(place, value)
			}
		}
		return n, ""
	case Number:
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return nil, p.expected(place, value)
		}
		return json.Number(s), ""
	case Boolean:
		if b, err := strconv.ParseBool(strings.ToLower(s)); err == nil {
			return b, ""
		}
		return nil, p.expected(place, value)
	}
	return s, ""
}

func (p Property) expected(place string, value any) string {
	found := "String"
	switch value.(type) {
	case map[string]any:
		found = "JSONObject"
	case []any:
		found = "JSONArray"
	case nil:
		found = "Null"
	}
	kind := p.Kind
	if kind == Map || kind == Document {
		kind = Object
	}
	return fmt.Sprintf("%s: expected type: %s, found: %s", place, kind, found)
}

// isFunction reports whether a value is a function that is not evaluated.
func isFunction(value any) bool {
	object, _ := value.(map[string]any)
	if len(object) != 1 {
		return false
	}
	for name := range object {
		return name == "Ref" || strings.HasPrefix(name, "Fn::")
	}
	return false
}

// scalar returns the text of a text, a number or a boolean.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}
