package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parameter is a parameter as the template has it.
type Parameter struct {
	Type        string
	Description string
	Default     *string  // nil where a value must be given
	Allowed     []string // nil for any value
	Pattern     string   // that the whole value must match; "" for none
	Constraint  string   // what the template says in the place of CloudFormation's own message
	NoEcho      bool
	MinLength   *int // characters
	MaxLength   *int
	MinValue    *float64
	MaxValue    *float64

	pattern *regexp.Regexp // of Pattern
}

const (
	ssmName  = "AWS::SSM::Parameter::Name"
	ssmValue = "AWS::SSM::Parameter::Value<"
)

// types are the types that a parameter can have here. The ids of other services'
// resources, as in AWS::EC2::VPC::Id, are none of them.
var parameterTypes = regexp.MustCompile(`^(String|Number|List<Number>|CommaDelimitedList|AWS::SSM::Parameter::Name|AWS::SSM::Parameter::Value<(String|CommaDelimitedList|List<String>)>)$`)

func readParameter(place string, value any) (Parameter, error) {
	p := Parameter{}
	length := func(to **int) func(string, any) error {
		return func(place string, value any) error {
			n, err := number(place, value)
			if err == nil {
				whole := int(n)
				*to = &whole
			}
			return err
		}
	}
	bound := func(to **float64) func(string, any) error {
		return func(place string, value any) error {
			n, err := number(place, value)
			*to = &n
			return err
		}
	}
	err := object(place, "parameter", value, map[string]func(string, any) error{
		"Type":                  into(&p.Type),
		"Description":           into(&p.Description),
		"ConstraintDescription": into(&p.Constraint),
		"AllowedPattern":        into(&p.Pattern),
		"MinLength":             length(&p.MinLength),
		"MaxLength":             length(&p.MaxLength),
		"MinValue":              bound(&p.MinValue),
		"MaxValue":              bound(&p.MaxValue),
		"Default": func(place string, value any) error {
			s, ok := Scalar(value)
			if !ok {
				return malformed(place, "Every Default member must be a string.")
			}
			p.Default = &s
			return nil
		},
		"AllowedValues": func(place string, value any) (err error) {
			if _, isList := value.([]any); !isList {
				return malformed(place, "Every AllowedValues member must be a list.")
			}
			if p.Allowed, err = scalars(value); err != nil {
				return malformed(place, "Every AllowedValues member must be a list of strings.")
			}
			return nil
		},
		"NoEcho": func(place string, value any) (err error) {
			s, _ := Scalar(value)
			if p.NoEcho, err = strconv.ParseBool(s); err != nil {
				return malformed(place, "Every NoEcho member must be true or false.")
			}
			return nil
		},
	})
	if err != nil {
		return p, err
	}
	return p, p.complete(place)
}

// complete checks what the members say together.
func (p *Parameter) complete(place string) (err error) {
	switch {
	case p.Type == "":
		return malformed(place, "Every Parameters object must contain a Type member.")
	case !parameterTypes.MatchString(p.Type):
		return malformed("", "Unrecognized parameter type: %s", p.Type)
	case p.Pattern == "":
		return nil
	}
	// CloudFormation takes Java's expressions, which have a few forms more.
	if p.pattern, err = regexp.Compile(`^(?:` + p.Pattern + `)$`); err != nil {
		return malformed(place+"/AllowedPattern", "The regular expression is not provided by tasuki local: %v", err)
	}
	return nil
}

// ReadsSSM reports whether the parameter's value is the name of an SSM parameter,
// whose value the template gets.
func (p Parameter) ReadsSSM() bool { return strings.HasPrefix(p.Type, ssmValue) }

// NamesSSM reports whether the parameter's value is the name of an SSM parameter, be it
// that the template gets its value or that it must only exist.
func (p Parameter) NamesSSM() bool { return p.ReadsSSM() || p.Type == ssmName }

// IsList reports whether the template gets a list of texts.
func (p Parameter) IsList() bool { return strings.Contains(p.Type, "List") }

// Value returns what a template gets for a parameter's text: the text, or a list of
// its parts between commas. Of a parameter that reads SSM the text is the one read.
func (p Parameter) Value(text string) any {
	if !p.IsList() {
		return text
	}
	list := []any{}
	if text == "" {
		return list
	}
	for part := range strings.SplitSeq(text, ",") {
		list = append(list, strings.TrimSpace(part))
	}
	return list
}

// Check checks a value that is given for the parameter: of one that reads SSM, the
// name.
func (p Parameter) Check(name, value string) error {
	values := []string{value}
	if p.IsList() && !p.ReadsSSM() {
		values = nil
		for part := range strings.SplitSeq(value, ",") {
			values = append(values, strings.TrimSpace(part))
		}
	}
	for _, v := range values {
		if problem := p.problem(v); problem != "" {
			if p.Constraint != "" {
				return fmt.Errorf("Parameter %s failed to satisfy constraint: %s", name, p.Constraint)
			}
			return fmt.Errorf("Parameter '%s' %s", name, problem)
		}
	}
	return nil
}

// problem says what is wrong with one value, or "".
func (p Parameter) problem(value string) string {
	n, notNumber := strconv.ParseFloat(value, 64)
	switch {
	case strings.Contains(p.Type, "Number") && notNumber != nil:
		return "must be a number."
	case p.Allowed != nil && !slices.Contains(p.Allowed, value):
		return "must be one of AllowedValues"
	case p.pattern != nil && !p.pattern.MatchString(value):
		return "must match pattern " + p.Pattern
	case p.MinLength != nil && utf8.RuneCountInString(value) < *p.MinLength:
		return fmt.Sprintf("must contain at least %d characters", *p.MinLength)
	case p.MaxLength != nil && utf8.RuneCountInString(value) > *p.MaxLength:
		return fmt.Sprintf("must contain at most %d characters", *p.MaxLength)
	case p.MinValue != nil && notNumber == nil && n < *p.MinValue:
		return fmt.Sprintf("must be a number not less than %v", *p.MinValue)
	case p.MaxValue != nil && notNumber == nil && n > *p.MaxValue:
		return fmt.Sprintf("must be a number not greater than %v", *p.MaxValue)
	}
	return ""
}

// number reads a number, which may be written as a text.
func number(place string, value any) (float64, error) {
	s, _ := Scalar(value)
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, malformed(place, "It must be a number.")
	}
	return n, nil
}

// Scalar returns the text of a text, a number or a boolean.
func Scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case float64: // of an environment's: it may have been through JSON
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	}
	return "", false
}
