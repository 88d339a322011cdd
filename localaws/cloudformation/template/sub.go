package template

import (
	"regexp"
	"strings"
)

// variable is a variable in the text of Fn::Sub; ${!Literal} stands for ${Literal}.
var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// variableName is what a variable may be named: a parameter, a resource, a resource's
// attribute or a pseudo parameter.
var variableName = regexp.MustCompile(`^[A-Za-z0-9_:.-]+$`)

// substitution is the argument of Fn::Sub.
type substitution struct {
	text      string
	variables map[string]any // of its own; nil for none
}

func readSub(place string, argument any) (s substitution, err error) {
	switch a := argument.(type) {
	case string:
		s.text = a
	case []any:
		text, isText := "", false
		if len(a) == 2 {
			text, isText = a[0].(string)
			s.variables, _ = a[1].(map[string]any)
		}
		if !isText || s.variables == nil {
			return s, wrong(place, "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
		}
		s.text = text
	default:
		return s, wrong(place, "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
	}
	for _, m := range variable.FindAllStringSubmatch(s.text, -1) {
		if !strings.HasPrefix(m[1], "!") && !variableName.MatchString(strings.TrimSpace(m[1])) {
			return s, wrong(place, "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
		}
	}
	return s, nil
}

// names returns the variables that are not the substitution's own.
func (s substitution) names() (names []string) {
	for _, m := range variable.FindAllStringSubmatch(s.text, -1) {
		name := strings.TrimSpace(m[1])
		if _, own := s.variables[name]; !own && !strings.HasPrefix(name, "!") {
			names = append(names, name)
		}
	}
	return names
}

// expand returns the text with the variables' values in it.
func (s substitution) expand(value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	end := 0
	for _, m := range variable.FindAllStringSubmatchIndex(s.text, -1) {
		b.WriteString(s.text[end:m[0]])
		end = m[1]
		name := s.text[m[2]:m[3]]
		if literal, is := strings.CutPrefix(name, "!"); is {
			b.WriteString("${" + literal + "}")
			continue
		}
		text, err := value(strings.TrimSpace(name))
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	b.WriteString(s.text[end:])
	return b.String(), nil
}
