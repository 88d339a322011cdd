package template

import (
	"maps"
	"slices"
	"strings"
)

// provided reports whether a function is one of those that this package has.
func provided(function string) bool {
	return isValueFunction(function) || isConditionFunction(function)
}

func isValueFunction(name string) bool {
	switch name {
	case "Ref", "Fn::Base64", "Fn::FindInMap", "Fn::GetAtt", "Fn::If", "Fn::ImportValue", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub":
		return true
	}
	return false
}

func isConditionFunction(name string) bool {
	switch name {
	case "Condition", "Fn::And", "Fn::Equals", "Fn::Not", "Fn::Or":
		return true
	}
	return isRuleFunction(name)
}

func isRuleFunction(name string) bool {
	switch name {
	case "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn":
		return true
	}
	return false
}

// call returns the function that an object calls, and its argument; "" where the
// object is data. Data has no member that is named like a function.
func call(place string, object map[string]any) (name string, argument any, err error) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch {
		case key != "Ref" && !strings.HasPrefix(key, "Fn::"):
		case len(object) == 1:
			return key, object[key], nil
		case key != "Ref":
			return "", nil, malformed(place, "%s must be the only member of its object.", key)
		}
	}
	return "", nil, nil
}

// list returns a function's argument that must be a list of from least to most
// elements.
func list(place, function string, argument any, least, most int) ([]any, error) {
	elements, ok := argument.([]any)
	switch {
	case !ok && least == most:
		return nil, wrong(place, "every %s object requires a list of %d elements", function, least)
	case !ok:
		return nil, wrong(place, "every %s object requires a list of %d to %d elements", function, least, most)
	case len(elements) < least || len(elements) > most:
		return nil, wrong(place, "%s has %d elements, and takes from %d to %d", function, len(elements), least, most)
	}
	return elements, nil
}

// attribute reads the argument of Fn::GetAtt. The attribute's name may be a function.
func attribute(place string, argument any) (id string, name any, err error) {
	if s, ok := argument.(string); ok {
		id, name, found := strings.Cut(s, ".")
		if !found || id == "" || name == "" {
			return "", nil, wrong(place, "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
		}
		return id, name, nil
	}
	elements, _ := argument.([]any)
	if len(elements) != 2 || elements[0] == "" || elements[1] == "" {
		return "", nil, wrong(place, "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	id, ok := elements[0].(string)
	if !ok {
		return "", nil, wrong(place, "every Fn::GetAtt object must name its resource with a string")
	}
	return id, elements[1], nil
}
