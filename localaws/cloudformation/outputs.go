package cloudformation

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

var nameOfExport = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-:a-zA-Z0-9]{1,255}$`) })

// evaluateOutputs returns a template's outputs whose conditions hold, in the order of
// their keys, and whether there are others with values that are known only after the
// deployment.
func evaluateOutputs(t *template.Template, env template.Environment) (known []output, more bool, err error) {
	exported := map[string]string{} // the outputs' keys, by the names that they export
	for _, key := range sortedKeys(t.Outputs) {
		written := t.Outputs[key]
		holds, err := t.Holds(written.Condition, env)
		if err != nil {
			return nil, false, err
		}
		if !holds {
			continue
		}
		o := output{Key: key, Description: written.Description}
		if o.Export, err = exportName(t, env, key, written.Export); err != nil {
			return nil, false, err
		}
		if other, twice := exported[o.Export]; twice && o.Export != "" {
			return nil, false, fmt.Errorf("Template format error: Output %s is malformed. Output %s exports the name %s too.", key, other, o.Export) //lint:ignore ST1005 in CloudFormation's form
		}
		exported[o.Export] = key
		value, err := t.Evaluate(written.Value, env)
		switch {
		case errors.Is(err, template.ErrUnknown):
			more = true
			continue
		case err != nil:
			return nil, false, err
		}
		if o.Value, err = outputText(value); err != nil {
			return nil, false, err
		}
		known = append(known, o)
	}
	return known, more, nil
}

// outputText returns the text of an output's value.
func outputText(value any) (string, error) {
	text, ok := template.Scalar(value)
	if !ok {
		return "", errors.New("Template format error: The Value field of every Outputs member must evaluate to a String.") //lint:ignore ST1005 CloudFormation's own words
	}
	return text, nil
}

// exportName returns the name that an output is exported under, "" for none.
func exportName(t *template.Template, env template.Environment, key string, written any) (string, error) {
	if written == nil {
		return "", nil
	}
	value, err := t.Evaluate(written, env)
	if err != nil {
		return "", err
	}
	name, err := outputText(value)
	if err != nil || !nameOfExport().MatchString(name) {
		return "", fmt.Errorf("Template format error: Output %s is malformed. The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens.", key) //lint:ignore ST1005 CloudFormation's own words
	}
	return name, nil
}
