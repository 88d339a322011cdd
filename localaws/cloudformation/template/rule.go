package template

import (
	"fmt"
	"maps"
	"slices"
)

// Rule is what parameters' values must keep together.
type Rule struct {
	Condition  any // when the rule applies; nil for always
	Assertions []Assertion
}

// Assertion is one of a rule's demands.
type Assertion struct {
	Assert      any
	Description string
}

func readRule(place string, value any) (Rule, error) {
	r := Rule{}
	err := object(place, "rule", value, map[string]func(string, any) error{
		"RuleCondition": as(&r.Condition),
		"Assertions": func(place string, value any) error {
			elements, ok := value.([]any)
			if !ok {
				return malformed(place, "Every Assertions member must be a list.")
			}
			for i, element := range elements {
				a := Assertion{}
				if err := object(fmt.Sprintf("%s/%d", place, i), "assertion", element, map[string]func(string, any) error{
					"Assert": as(&a.Assert), "AssertDescription": into(&a.Description),
				}); err != nil {
					return err
				}
				r.Assertions = append(r.Assertions, a)
			}
			return nil
		},
	})
	if err == nil && len(r.Assertions) == 0 {
		err = malformed(place, "Every Rules object must contain an Assertions member.")
	}
	return r, err
}

func (t *Template) checkRules() error {
	c := checker{t: t, section: "Rules"}
	none := func(name string) error {
		return malformed("/Rules", "A rule cannot use the condition %s.", name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		rule, place := t.Rules[name], "/Rules/"+name
		if rule.Condition != nil {
			if err := c.condition(place+"/RuleCondition", rule.Condition, none); err != nil {
				return err
			}
		}
		for i, assertion := range rule.Assertions {
			if err := c.condition(fmt.Sprintf("%s/Assertions/%d", place, i), assertion.Assert, none); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckRules returns an error for the first rule, in the order of their names, that
// the parameters' values in env do not keep.
func (t *Template) CheckRules(env Environment) error {
	for _, name := range slices.Sorted(maps.Keys(t.Rules)) {
		rule, e := t.Rules[name], newEvaluation(t, env)
		if rule.Condition != nil {
			applies, err := e.condition(rule.Condition)
			if err != nil {
				return err
			}
			if !applies {
				continue
			}
		}
		for _, assertion := range rule.Assertions {
			kept, err := e.condition(assertion.Assert)
			if err != nil {
				return err
			}
			if !kept {
				return wrong("/Rules/"+name, "%s", assertion.Description)
			}
		}
	}
	return nil
}
