package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Pattern is an event pattern: which events a rule is for (Amazon EventBridge user
// guide, "Event patterns").
type Pattern struct{ fields map[string]field }

// field is what a pattern says of one field: of an object's fields, or of a value.
type field struct {
	nested *Pattern
	oneOf  []test
}

// test is one alternative for a value. An absent value is given as absent.
type test func(value any) bool

type absent struct{}

// deepestPattern bounds how deep a pattern is nested, so that a hostile one ends.
const deepestPattern = 100

// ParsePattern parses an event pattern. Operators that it does not know are refused
// by name.
func ParsePattern(text string) (Pattern, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return Pattern{}, fmt.Errorf("it is not JSON: %w", err)
	}
	if d.More() {
		return Pattern{}, errors.New("there is more behind the JSON")
	}
	object, ok := tree.(map[string]any)
	if !ok || len(object) == 0 {
		return Pattern{}, errors.New("it is not an object with fields")
	}
	return parseFields(object, "", 0)
}

func parseFields(object map[string]any, path string, depth int) (Pattern, error) {
	if depth > deepestPattern {
		return Pattern{}, errors.New("it is nested too deep")
	}
	p := Pattern{map[string]field{}}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := strings.TrimPrefix(path+"."+name, ".")
		if strings.HasPrefix(name, "$") {
			return p, fmt.Errorf("%s is not provided by tasuki local", at)
		}
		switch value := object[name].(type) {
		case map[string]any:
			if len(value) == 0 {
				return p, fmt.Errorf("%s is an empty object", at)
			}
			nested, err := parseFields(value, at, depth+1)
			if err != nil {
				return p, err
			}
			p.fields[name] = field{nested: &nested}
		case []any:
			if len(value) == 0 {
				return p, fmt.Errorf("%s is an empty array", at)
			}
			for _, alternative := range value {
				t, err := parseTest(alternative)
				if err != nil {
					return p, fmt.Errorf("%s: %w", at, err)
				}
				p.fields[name] = field{oneOf: append(p.fields[name].oneOf, t)}
			}
		default:
			return p, fmt.Errorf("%s must be an object or an array", at)
		}
	}
	return p, nil
}

func parseTest(alternative any) (test, error) {
	object, isObject := alternative.(map[string]any)
	if !isObject {
		return exactly(alternative)
	}
	if len(object) != 1 {
		return nil, errors.New("an operator stands alone in its object")
	}
	for operator, operand := range object {
		switch operator {
		case "prefix":
			return onText(operator, operand, strings.HasPrefix)
		case "suffix":
			return onText(operator, operand, strings.HasSuffix)
		case "equals-ignore-case":
			return onText(operator, operand, strings.EqualFold)
		case "exists":
			wanted, ok := operand.(bool)
			if !ok {
				return nil, errors.New("exists takes true or false")
			}
			return func(value any) bool {
				_, isAbsent := value.(absent)
				return isAbsent != wanted
			}, nil
		case "numeric":
			return parseNumeric(operand)
		case "anything-but":
			return parseAnythingBut(operand)
		}
		return nil, fmt.Errorf("the operator %q is not provided by tasuki local", operator)
	}
	return nil, nil // not reached: there is one
}

// exactly is the test for one value.
func exactly(wanted any) (test, error) {
	switch wanted := wanted.(type) {
	case []any:
		return nil, errors.New("an array cannot stand in an array")
	case json.Number:
		number, err := wanted.Float64()
		if err != nil {
			return nil, err
		}
		return func(value any) bool {
			n, ok := number64(value)
			return ok && n == number
		}, nil
	}
	return func(value any) bool {
		switch value.(type) {
		case string, bool, nil:
			return value == wanted
		}
		return false
	}, nil
}

func number64(value any) (float64, bool) {
	switch n := value.(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, true
	}
	return 0, false
}

func onText(operator string, operand any, match func(value, operand string) bool) (test, error) {
	text, ok := operand.(string)
	if !ok {
		return nil, fmt.Errorf("%s takes a text", operator)
	}
	return func(value any) bool {
		s, ok := value.(string)
		return ok && match(s, text)
	}, nil
}

// parseNumeric parses bounds, as in [">", 0, "<=", 5].
func parseNumeric(operand any) (test, error) {
	bounds, ok := operand.([]any)
	if !ok || len(bounds) == 0 || len(bounds)%2 != 0 {
		return nil, errors.New("numeric takes operators with numbers")
	}
	var all []func(float64) bool
	for i := 0; i < len(bounds); i += 2 {
		bound, ok := number64(bounds[i+1])
		if !ok {
			return nil, errors.New("numeric takes operators with numbers")
		}
		compare := map[any]func(float64) bool{
			"<": func(n float64) bool { return n < bound }, "<=": func(n float64) bool { return n <= bound }, "=": func(n float64) bool { return n == bound },
			">": func(n float64) bool { return n > bound }, ">=": func(n float64) bool { return n >= bound },
		}
		operator, isText := bounds[i].(string)
		if !isText || compare[operator] == nil {
			return nil, fmt.Errorf("numeric does not know %v", bounds[i])
		}
		all = append(all, compare[operator])
	}
	return func(value any) bool {
		n, ok := number64(value)
		return ok && !slices.ContainsFunc(all, func(holds func(float64) bool) bool { return !holds(n) })
	}, nil
}

// parseAnythingBut parses values, or an operator, that a value must not match.
func parseAnythingBut(operand any) (test, error) {
	alternatives, isList := operand.([]any)
	if !isList {
		alternatives = []any{operand}
	}
	if len(alternatives) == 0 {
		return nil, errors.New("anything-but takes something")
	}
	var none []test
	for _, alternative := range alternatives {
		if object, isObject := alternative.(map[string]any); isObject && (object["exists"] != nil || object["numeric"] != nil || object["anything-but"] != nil) {
			return nil, errors.New("anything-but takes values, prefix, suffix or equals-ignore-case")
		}
		t, err := parseTest(alternative)
		if err != nil {
			return nil, err
		}
		none = append(none, t)
	}
	return func(value any) bool {
		if _, isAbsent := value.(absent); isAbsent {
			return false
		}
		return !slices.ContainsFunc(none, func(t test) bool { return t(value) })
	}, nil
}

// Matches reports whether an event has every field as the pattern says. A value that
// is an array matches where one of its elements does. The event is an object of
// JSON's, as [json.Unmarshal] makes it.
func (p Pattern) Matches(event map[string]any) bool {
	for name, wanted := range p.fields {
		value, found := event[name]
		if !found {
			value = absent{}
		}
		if !wanted.matches(value) {
			return false
		}
	}
	return true
}

func (f field) matches(value any) bool {
	if elements, isArray := value.([]any); isArray {
		if len(elements) == 0 {
			return f.matches(absent{})
		}
		return slices.ContainsFunc(elements, f.matches)
	}
	if f.nested != nil {
		object, isObject := value.(map[string]any)
		if !isObject {
			object = nil // where nothing is, a nested field can be wanted not to exist
		}
		return f.nested.Matches(object)
	}
	return slices.ContainsFunc(f.oneOf, func(t test) bool { return t(value) })
}
