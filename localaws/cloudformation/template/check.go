package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// checker checks the values of one section.
type checker struct {
	t       *Template
	section string
	uses    func(logicalID string)               // is told of each resource that is referred to; nil where none may be
	holds   func(condition string) (bool, error) // leaves out the branches that are not taken; nil for none
}

// check checks what the sections say of each other, and notes which resource refers
// to which.
func (t *Template) check() error {
	if err := t.checkConditions(); err != nil {
		return err
	}
	if err := t.checkRules(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if _, taken := t.Parameters[id]; taken {
			return malformed("", "Logical ID %s is both a parameter and a resource.", id)
		}
		if err := t.checkResource(id); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.Outputs)) {
		output, place := t.Outputs[id], "/Outputs/"+id
		c := checker{t: t, section: "Outputs", uses: func(string) {}}
		if err := c.knowsCondition(output.Condition); err != nil {
			return err
		}
		if err := c.value(place+"/Value", output.Value); err != nil {
			return err
		}
		if err := c.output(place, id, output); err != nil {
			return err
		}
	}
	return t.checkCircles("resources", slices.Sorted(maps.Keys(t.Resources)), t.References)
}

// output checks what an output's value is written as, and what it is exported as.
func (c checker) output(place, id string, output Output) error {
	switch value := output.Value.(type) {
	case []any:
		return malformed("", "The Value field of every Outputs member must evaluate to a String and not a List.")
	case map[string]any:
		if name, _, _ := call(place, value); name == "" {
			return malformed("", "The Value field of every Outputs member must evaluate to a String and not a Map.")
		}
	}
	if output.Export == nil {
		return nil
	}
	known := true
	c.uses = func(string) { known = false }
	if err := c.value(place+"/Export/Name", output.Export); err != nil {
		return err
	}
	if !known || calls(output.Export, "Fn::ImportValue") {
		return malformed("", "Output %s is malformed. The Name field of Export must not depend on any resources, imported values, or Fn::GetAZs.", id)
	}
	return nil
}

// calls reports whether a value has a call of a function in it.
func calls(value any, function string) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, func(element any) bool { return calls(element, function) })
	case map[string]any:
		for key, member := range v {
			if key == function || calls(member, function) {
				return true
			}
		}
	}
	return false
}

func (t *Template) checkResource(id string) error {
	resource, used := t.Resources[id], map[string]bool{}
	c := checker{t: t, section: "Resources", uses: func(other string) { used[other] = true }}
	if err := c.knowsCondition(resource.Condition); err != nil {
		return err
	}
	for _, other := range resource.DependsOn {
		if _, exists := t.Resources[other]; !exists {
			return c.unresolved(other)
		}
		used[other] = true
	}
	for _, name := range slices.Sorted(maps.Keys(resource.Properties)) {
		if err := c.value("/Resources/"+id+"/Properties/"+name, resource.Properties[name]); err != nil {
			return err
		}
	}
	t.references[id] = slices.Sorted(maps.Keys(used))
	return nil
}

// References returns, sorted, the resources that the resource refers to, whatever
// conditions say: they must exist before it, those of them that the stack has.
func (t *Template) References(logicalID string) []string { return t.references[logicalID] }

// Attributes returns, sorted, the attributes of a resource that the template reads by
// a name that is written in it.
func (t *Template) Attributes(logicalID string) []string {
	return slices.Sorted(maps.Keys(t.attributes[logicalID]))
}

// Uses returns, sorted, the resources that a value of the template refers to where its
// conditions are as in an environment.
func (t *Template) Uses(value any, env Environment) ([]string, error) {
	used := map[string]bool{}
	c := checker{t: t, uses: func(id string) { used[id] = true }, holds: newEvaluation(t, env).holds}
	if err := c.value("", value); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(used)), nil
}

// reads notes that the template reads a resource's attribute.
func (t *Template) reads(logicalID, attribute string) {
	if t.attributes[logicalID] == nil {
		t.attributes[logicalID] = map[string]bool{}
	}
	t.attributes[logicalID][attribute] = true
}

// checkCircles refuses things that refer to each other in a circle.
func (t *Template) checkCircles(what string, ids []string, next func(id string) []string) error {
	const entered, left = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(id string) []string
	visit = func(id string) []string {
		switch state[id] {
		case left:
			return nil
		case entered:
			return path[slices.Index(path, id):]
		}
		state[id], path = entered, append(path, id)
		for _, other := range next(id) {
			if circle := visit(other); circle != nil {
				return circle
			}
		}
		state[id], path = left, path[:len(path)-1]
		return nil
	}
	for _, id := range ids {
		if circle := visit(id); circle != nil {
			return bare("Circular dependency between %s: [%s]", what, strings.Join(slices.Sorted(slices.Values(circle)), ", "))
		}
	}
	return nil
}

func (c checker) unresolved(name string) error {
	if c.section == "Conditions" {
		return malformed("", "Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", name)
	}
	return malformed("", "Unresolved resource dependencies [%s] in the %s block of the template", name, c.section)
}

func (c checker) knowsCondition(name string) error {
	if _, known := c.t.Conditions[name]; !known && name != "" {
		return malformed("", "Unresolved condition dependency %s in the %s block of the template", name, c.section)
	}
	return nil
}

// reference checks what Ref and Fn::Sub name.
func (c checker) reference(name string) error {
	if isPseudo(name) {
		return nil
	}
	if _, isParameter := c.t.Parameters[name]; isParameter {
		return nil
	}
	return c.resource(name)
}

func (c checker) resource(name string) error {
	if _, exists := c.t.Resources[name]; !exists || c.uses == nil {
		return c.unresolved(name)
	}
	c.uses(name)
	return nil
}

// isPseudo reports whether a name is that of a pseudo parameter.
func isPseudo(name string) bool {
	switch name {
	case "AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix":
		return true
	}
	return false
}

// value checks the functions in a value.
func (c checker) value(place string, value any) error {
	switch v := value.(type) {
	case nil:
		return null(place)
	case string:
		return dynamicServices(place, v)
	case []any:
		return c.values(place, v)
	case map[string]any:
		name, argument, err := call(place, v)
		switch {
		case err != nil:
			return err
		case name != "":
			return c.call(place, name, argument)
		}
		return c.members(place, v)
	}
	return nil
}

// dynamicService is the beginning of a dynamic reference, which functions may complete.
var dynamicService = regexp.MustCompile(`\{\{resolve:([^:{}]*):`)

// dynamicServices refuses dynamic references to services other than Parameter Store.
func dynamicServices(place, text string) error {
	for _, m := range dynamicService.FindAllStringSubmatch(text, -1) {
		if m[1] != "ssm" {
			return notProvided(place, "A dynamic reference to "+m[1])
		}
	}
	return nil
}

func (c checker) values(place string, values []any) error {
	for i, element := range values {
		if err := c.value(fmt.Sprintf("%s/%d", place, i), element); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) members(place string, object map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if err := c.value(place+"/"+key, object[key]); err != nil {
			return err
		}
	}
	return nil
}

// call checks a call of a function that stands in the place of a value.
func (c checker) call(place, name string, argument any) error {
	switch name {
	case "Ref":
		s, ok := argument.(string)
		if !ok || s == "" {
			return wrong(place, "every Ref object must have a single String value.")
		}
		return c.reference(s)
	case "Fn::GetAtt":
		id, attribute, err := attribute(place, argument)
		if err != nil {
			return err
		}
		if c.resource(id) != nil {
			return wrong("", "instance of Fn::GetAtt references undefined resource %s", id)
		}
		if name, ok := attribute.(string); ok {
			c.t.reads(id, name)
		}
		return c.value(place, attribute)
	case "Fn::Sub":
		return c.sub(place, argument)
	case "Fn::If":
		elements, err := list(place, name, argument, 3, 3)
		if err != nil {
			return err
		}
		condition, ok := elements[0].(string)
		if !ok {
			return wrong(place, "Fn::If requires the name of a condition as its first element")
		}
		if c.knowsCondition(condition) != nil {
			return wrong("", "unresolved condition dependency %s in Fn::If", condition)
		}
		if c.holds == nil {
			return c.values(place, elements[1:])
		}
		holds, err := c.holds(condition)
		if err != nil {
			return err
		}
		if holds {
			return c.value(place, elements[1])
		}
		return c.value(place, elements[2])
	case "Fn::Join", "Fn::Split", "Fn::Select":
		elements, err := list(place, name, argument, 2, 2)
		if err != nil {
			return err
		}
		if _, ok := elements[0].(string); !ok && name != "Fn::Select" {
			return wrong(place, "every %s object requires a string delimiter as its first element", name)
		}
		return c.values(place, elements)
	case "Fn::FindInMap":
		elements, err := list(place, name, argument, 3, 3)
		if err != nil {
			return err
		}
		if mapping, ok := elements[0].(string); ok && c.t.Mappings[mapping] == nil {
			return wrong("", "Mapping named '%s' is not present in the 'Mappings' section of template.", mapping)
		}
		return c.values(place, elements)
	case "Fn::Base64", "Fn::ImportValue":
		return c.value(place, argument)
	}
	if isConditionFunction(name) {
		return wrong(place, "%s is not allowed here: it belongs into the Conditions or Rules section", name)
	}
	return notProvided(place, name)
}

func (c checker) sub(place string, argument any) error {
	s, err := readSub(place, argument)
	if err != nil {
		return err
	}
	if err := dynamicServices(place, s.text); err != nil {
		return err
	}
	for _, name := range s.names() {
		id, attribute, isAttribute := strings.Cut(name, ".")
		if !isAttribute {
			err = c.reference(name)
		} else if err = c.resource(id); err == nil {
			c.t.reads(id, attribute)
		}
		if err != nil {
			return err
		}
	}
	return c.members(place, s.variables)
}

// condition checks an expression of the Conditions or Rules section.
func (c checker) condition(place string, expression any, mayName func(name string) error) error {
	object, _ := expression.(map[string]any)
	if len(object) != 1 {
		return malformed(place, "Every condition must be an object with one condition function.")
	}
	for name, argument := range object {
		switch {
		case name == "Condition":
			other, ok := argument.(string)
			if !ok {
				return malformed(place, "Every Condition object must have a single String value.")
			}
			return mayName(other)
		case name == "Fn::Equals" || isRuleFunction(name) && c.section == "Rules":
			elements, err := list(place, name, argument, 2, 2)
			if err != nil {
				return err
			}
			return c.values(place, elements)
		case name == "Fn::And" || name == "Fn::Or" || name == "Fn::Not":
			least, most := 2, 10
			if name == "Fn::Not" {
				least, most = 1, 1
			}
			elements, err := list(place, name, argument, least, most)
			if err != nil {
				return err
			}
			for i, element := range elements {
				if err := c.condition(fmt.Sprintf("%s/%d", place, i), element, mayName); err != nil {
					return err
				}
			}
			return nil
		case strings.HasPrefix(name, "Fn::") && !provided(name):
			return notProvided(place, name)
		default:
			return malformed(place, "%s is not a function of the %s section.", name, c.section)
		}
	}
	return nil
}

func (t *Template) checkConditions() error {
	names := slices.Sorted(maps.Keys(t.Conditions))
	used := map[string][]string{}
	c := checker{t: t, section: "Conditions"}
	for _, name := range names {
		if err := c.condition("/Conditions/"+name, t.Conditions[name], func(other string) error {
			used[name] = append(used[name], other)
			return c.knowsCondition(other)
		}); err != nil {
			return err
		}
	}
	return t.checkCircles("conditions", names, func(name string) []string { return used[name] })
}
