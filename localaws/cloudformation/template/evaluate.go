package template

import (
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Environment is what a template's functions are evaluated in. Any of its methods
// may return [ErrUnknown].
type Environment interface {
	// Ref returns the value of a parameter, which is a text or a list of texts, of a
	// pseudo parameter other than AWS::NoValue, or of a resource.
	Ref(name string) (any, error)
	// GetAtt returns a resource's attribute.
	GetAtt(logicalID, attribute string) (any, error)
	// ImportValue returns what another stack exports under a name.
	ImportValue(name string) (string, error)
	// Dynamic returns what a dynamic reference stands for. Of {{resolve:ssm:name:1}}
	// it is given "ssm:name:1".
	Dynamic(reference string) (string, error)
}

// mostText bounds the text that one evaluation makes, in bytes: a template can double
// a text as often as it has lines.
const mostText = 16 << 20

// Evaluate returns a value of the template with its functions carried out. Members
// and elements that are AWS::NoValue are left out; a value that is it altogether is
// nil. Scalars that are no function's result keep their types.
func (t *Template) Evaluate(value any, env Environment) (any, error) {
	return newEvaluation(t, env).evaluate(value)
}

func (e *evaluation) evaluate(value any) (any, error) {
	found, err := e.value(value)
	if err != nil {
		return nil, err
	}
	if found == (noValue{}) {
		return nil, nil
	}
	return e.dynamic(found)
}

// Shown evaluates a value for being shown: in an environment that hides what is not to
// be read. Conditions hold as they do in the true one.
func (t *Template) Shown(value any, env, hiding Environment) (any, error) {
	e := newEvaluation(t, hiding)
	e.conditions = newEvaluation(t, env)
	return e.evaluate(value)
}

// Holds reports whether a condition of the template holds. The condition "" does.
func (t *Template) Holds(condition string, env Environment) (bool, error) {
	if condition == "" {
		return true, nil
	}
	return newEvaluation(t, env).holds(condition)
}

// noValue is the result of {"Ref": "AWS::NoValue"}.
type noValue struct{}

// evaluation is the evaluation of one value.
type evaluation struct {
	t    *Template
	env  Environment
	left int             // bytes of text that may still be made
	held map[string]bool // conditions that were evaluated

	conditions *evaluation // which evaluates conditions; nil for this one
}

func newEvaluation(t *Template, env Environment) *evaluation {
	return &evaluation{t: t, env: env, left: mostText, held: map[string]bool{}}
}

func (e *evaluation) value(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		return e.values(v)
	case map[string]any:
		name, argument, err := call("", v)
		switch {
		case err != nil:
			return nil, err
		case name != "":
			return e.call(name, argument)
		}
		found := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			member, err := e.value(v[key])
			if err != nil {
				return nil, err
			}
			if member != (noValue{}) {
				found[key] = member
			}
		}
		return found, nil
	}
	return value, nil
}

func (e *evaluation) values(values []any) (any, error) {
	found := make([]any, 0, len(values))
	for _, element := range values {
		value, err := e.value(element)
		if err != nil {
			return nil, err
		}
		if value != (noValue{}) {
			found = append(found, value)
		}
	}
	return found, nil
}

// call carries a function out. Parse has checked the arguments of what the template
// evaluates, but anybody may ask for the value of something else, as of Metadata.
func (e *evaluation) call(name string, argument any) (any, error) {
	switch name {
	case "Ref":
		s, _ := argument.(string)
		return e.ref(s)
	case "Fn::GetAtt":
		id, name, err := attribute("", argument)
		if err != nil {
			return nil, err
		}
		attribute, err := e.text("Fn::GetAtt", name)
		if err != nil {
			return nil, err
		}
		return e.env.GetAtt(id, attribute)
	case "Fn::Sub":
		return e.sub(argument)
	case "Fn::ImportValue":
		export, err := e.text(name, argument)
		if err != nil {
			return nil, err
		}
		return e.env.ImportValue(export)
	case "Fn::Base64":
		s, err := e.text(name, argument)
		if err != nil {
			return nil, err
		}
		return e.made(base64.StdEncoding.EncodeToString([]byte(s)))
	case "Fn::If":
		branches, err := list("", name, argument, 3, 3)
		if err != nil {
			return nil, err
		}
		condition, _ := branches[0].(string)
		holds, err := e.holds(condition)
		if err != nil {
			return nil, err
		}
		if holds {
			return e.value(branches[1])
		}
		return e.value(branches[2])
	case "Fn::FindInMap":
		keys, err := list("", name, argument, 3, 3)
		if err != nil {
			return nil, err
		}
		return e.find(keys)
	case "Fn::Join", "Fn::Split", "Fn::Select":
		arguments, err := list("", name, argument, 2, 2)
		if err != nil {
			return nil, err
		}
		return e.pair(name, arguments[0], arguments[1])
	}
	return nil, notProvided("", name)
}

func (e *evaluation) ref(name string) (any, error) {
	if name == "AWS::NoValue" {
		return noValue{}, nil
	}
	return e.env.Ref(name)
}

// made counts a text that a function has made.
func (e *evaluation) made(text string) (string, error) {
	if e.left -= len(text); e.left < 0 {
		return "", wrong("", "the functions of one value make more than %d bytes of text", mostText)
	}
	return text, nil
}

// text evaluates what a function needs as a text.
func (e *evaluation) text(function string, value any) (string, error) {
	found, err := e.value(value)
	if err != nil {
		return "", err
	}
	s, ok := Scalar(found)
	if !ok {
		return "", wrong("", "%s requires a string, and was given %s", function, kind(found))
	}
	return s, nil
}

// list evaluates what a function needs as a list.
func (e *evaluation) list(function string, value any) ([]any, error) {
	found, err := e.value(value)
	if err != nil {
		return nil, err
	}
	list, ok := found.([]any)
	if !ok {
		return nil, wrong("", "%s requires a list, and was given %s", function, kind(found))
	}
	return list, nil
}

func kind(value any) string {
	switch value.(type) {
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case noValue, nil:
		return "no value"
	}
	return "a string"
}

// pair carries out a function of two arguments.
func (e *evaluation) pair(name string, first, second any) (any, error) {
	if name == "Fn::Select" {
		return e.choose(first, second)
	}
	delimiter, ok := first.(string)
	switch {
	case !ok:
		return nil, wrong("", "every %s object requires a string delimiter as its first element", name)
	case name == "Fn::Join":
		return e.join(delimiter, second)
	}
	return e.split(delimiter, second)
}

func (e *evaluation) join(delimiter string, joined any) (any, error) {
	elements, err := e.list("Fn::Join", joined)
	if err != nil {
		return nil, err
	}
	texts, size := make([]string, len(elements)), max(0, len(elements)-1)*len(delimiter)
	for i, element := range elements {
		s, ok := Scalar(element)
		if !ok {
			return nil, wrong("", "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
		}
		texts[i], size = s, size+len(s)
	}
	if e.left -= size; e.left < 0 {
		return nil, wrong("", "the functions of one value make more than %d bytes of text", mostText)
	}
	return strings.Join(texts, delimiter), nil
}

func (e *evaluation) split(delimiter string, whole any) (any, error) {
	if delimiter == "" {
		return nil, wrong("", "Fn::Split requires a delimiter that is not empty")
	}
	s, err := e.text("Fn::Split", whole)
	if err != nil {
		return nil, err
	}
	if _, err := e.made(s); err != nil {
		return nil, err
	}
	parts := []any{}
	for part := range strings.SplitSeq(s, delimiter) {
		parts = append(parts, part)
	}
	return parts, nil
}

func (e *evaluation) choose(position, from any) (any, error) {
	s, err := e.text("Fn::Select", position)
	if err != nil {
		return nil, err
	}
	elements, err := e.list("Fn::Select", from)
	if err != nil {
		return nil, err
	}
	index, err := strconv.Atoi(s)
	if err != nil || index < 0 || index >= len(elements) {
		return nil, wrong("", "Fn::Select cannot select nonexistent value at index %s", s)
	}
	return elements[index], nil
}

func (e *evaluation) find(arguments []any) (any, error) {
	var keys [3]string
	for i, argument := range arguments {
		var err error
		if keys[i], err = e.text("Fn::FindInMap", argument); err != nil {
			return nil, err
		}
	}
	value, found := e.t.Mappings[keys[0]][keys[1]][keys[2]]
	if !found {
		return nil, wrong("", "Unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
	}
	return value, nil
}

func (e *evaluation) sub(argument any) (any, error) {
	s, err := readSub("", argument)
	if err != nil {
		return nil, err
	}
	own := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.variables)) {
		if own[name], err = e.text("Fn::Sub", s.variables[name]); err != nil {
			return nil, err
		}
	}
	text, err := s.expand(func(name string) (string, error) {
		if text, found := own[name]; found {
			return e.made(text)
		}
		var value any
		if id, attribute, isAttribute := strings.Cut(name, "."); isAttribute {
			value, err = e.env.GetAtt(id, attribute)
		} else {
			value, err = e.ref(name)
		}
		if err != nil {
			return "", err
		}
		text, ok := Scalar(value)
		if !ok {
			return "", wrong("", "Fn::Sub expression does not resolve to a string: ${%s} is %s", name, kind(value))
		}
		return e.made(text)
	})
	return text, err
}

// holds evaluates a named condition, once.
func (e *evaluation) holds(name string) (bool, error) {
	if e.conditions != nil {
		return e.conditions.holds(name)
	}
	if held, known := e.held[name]; known {
		return held, nil
	}
	expression, found := e.t.Conditions[name]
	if !found {
		return false, malformed("", "Unresolved condition dependency %s", name)
	}
	held, err := e.condition(expression)
	if err == nil {
		e.held[name] = held
	}
	return held, err
}

func (e *evaluation) condition(expression any) (bool, error) {
	object, _ := expression.(map[string]any)
	for name, argument := range object { // one: Parse has checked it
		if other, isName := argument.(string); isName && name == "Condition" {
			return e.holds(other)
		}
		arguments, err := list("", name, argument, 1, 10)
		if err != nil {
			return false, err
		}
		switch name {
		case "Fn::Not":
			held, err := e.condition(arguments[0])
			return !held, err
		case "Fn::And", "Fn::Or":
			for _, element := range arguments {
				held, err := e.condition(element)
				if err != nil || held == (name == "Fn::Or") {
					return held, err
				}
			}
			return name == "Fn::And", nil
		}
		sides, err := e.values(arguments)
		if err != nil {
			return false, err
		}
		if list := sides.([]any); len(list) == 2 {
			return compare(name, list[0], list[1])
		}
		return false, wrong("", "%s requires two values", name)
	}
	return false, wrong("", "a condition is empty")
}

// compare carries out the functions of two values.
func compare(function string, a, b any) (bool, error) {
	if function == "Fn::Equals" {
		return canonical(a) == canonical(b), nil
	}
	first, err := scalars(a)
	if err != nil {
		return false, wrong("", "%s: %v", function, err)
	}
	second, err := scalars(b)
	if err != nil {
		return false, wrong("", "%s: %v", function, err)
	}
	switch function {
	case "Fn::Contains":
		return len(second) == 1 && slices.Contains(first, second[0]), nil
	case "Fn::EachMemberEquals":
		return len(second) == 1 && !slices.ContainsFunc(first, func(s string) bool { return s != second[0] }), nil
	case "Fn::EachMemberIn":
		return !slices.ContainsFunc(first, func(s string) bool { return !slices.Contains(second, s) }), nil
	}
	return false, notProvided("", function)
}

// canonical writes a value so that equal ones are written alike: scalars are equal
// when their texts are.
func canonical(value any) string {
	switch v := value.(type) {
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			texts[i] = canonical(element)
		}
		return "[" + strings.Join(texts, ",") + "]"
	case map[string]any:
		texts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, strconv.Quote(key)+":"+canonical(v[key]))
		}
		return "{" + strings.Join(texts, ",") + "}"
	}
	s, _ := Scalar(value)
	return strconv.Quote(s)
}

// dynamicReference is a reference to a value outside of CloudFormation.
var dynamicReference = regexp.MustCompile(`\{\{resolve:([^{}]+)\}\}`)

// dynamic resolves the dynamic references in a value whose functions are done.
func (e *evaluation) dynamic(value any) (any, error) {
	switch v := value.(type) {
	case []any:
		found := make([]any, len(v))
		for i, element := range v {
			var err error
			if found[i], err = e.dynamic(element); err != nil {
				return nil, err
			}
		}
		return found, nil
	case map[string]any:
		found := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			if found[key], err = e.dynamic(v[key]); err != nil {
				return nil, err
			}
		}
		return found, nil
	case string:
		return e.resolve(v)
	}
	return value, nil
}

func (e *evaluation) resolve(s string) (any, error) {
	var b strings.Builder
	end := 0
	for _, m := range dynamicReference.FindAllStringSubmatchIndex(s, -1) {
		text, err := e.env.Dynamic(s[m[2]:m[3]])
		if err != nil {
			return nil, err
		}
		if text, err = e.made(text); err != nil {
			return nil, err
		}
		b.WriteString(s[end:m[0]] + text)
		end = m[1]
	}
	if end == 0 {
		return s, nil
	}
	b.WriteString(s[end:])
	return b.String(), nil
}
