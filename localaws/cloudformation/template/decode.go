package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// decode reads a template's source, JSON or YAML.
func decode(source []byte) (any, error) {
	trimmed := bytes.TrimSpace(source)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return decodeYAML(source)
	}
	value, ill := decodeJSON(trimmed)
	if ill == nil {
		return value, nil
	}
	// YAML can begin like JSON. What is neither was meant for JSON.
	if value, err := decodeYAML(source); err == nil {
		return value, nil
	}
	return nil, ill
}

func decodeJSON(source []byte) (value any, err error) {
	var ill *json.SyntaxError
	if err := json.Unmarshal(source, new(json.RawMessage)); errors.As(err, &ill) {
		before := source[:ill.Offset]
		return nil, malformed("", "JSON not well-formed. (line %d, column %d)", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n')-1)
	}
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func decodeYAML(source []byte) (any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document, next yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, malformed("", "YAML not well-formed. (%s)", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, malformed("", "YAML not well-formed. (a template is one document)")
	}
	return fromYAML(&document)
}

// fromYAML returns the value of a node. CloudFormation knows no aliases, no merge
// keys and no tags but those of its functions
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html).
func fromYAML(n *yaml.Node) (any, error) {
	if name, short := strings.CutPrefix(n.Tag, "!"); short && !strings.HasPrefix(name, "!") && name != "" {
		return shortForm(n, name)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) != 1 {
			return nil, malformed("", "YAML not well-formed. (line %d)", n.Line)
		}
		return fromYAML(n.Content[0])
	case yaml.MappingNode:
		return fromMapping(n)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, element := range n.Content {
			value, err := fromYAML(element)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.ScalarNode:
		return fromScalar(n)
	}
	return nil, malformed("", "YAML aliases are not allowed in CloudFormation templates (line %d)", n.Line)
}

func fromMapping(n *yaml.Node) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, malformed("", "YAML not well-formed. (line %d, column %d: a key is not a text)", key.Line, key.Column)
		case key.ShortTag() == "!!merge":
			return nil, malformed("", "YAML hash merges are not allowed in CloudFormation templates (line %d)", key.Line)
		}
		if _, twice := object[key.Value]; twice {
			return nil, malformed("", "YAML not well-formed. (line %d, column %d: duplicate key %s)", key.Line, key.Column, key.Value)
		}
		value, err := fromYAML(n.Content[i+1])
		if err != nil {
			return nil, err
		}
		object[key.Value] = value
	}
	return object, nil
}

// jsonNumber is what JSON writes numbers like.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// fromScalar returns a scalar. Dates are texts, as they are in JSON: a policy's
// Version is the usual one.
func fromScalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value), nil
		}
		number, ok := new(big.Int).SetString(strings.ReplaceAll(n.Value, "_", ""), 0)
		if !ok {
			return n.Value, nil
		}
		return json.Number(number.String()), nil
	case "!!float":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value), nil
		}
		var number float64
		if err := n.Decode(&number); err != nil {
			return n.Value, nil
		}
		text, err := json.Marshal(number)
		if err != nil {
			return nil, malformed("", "YAML not well-formed. (line %d: %s is not a number in JSON)", n.Line, n.Value)
		}
		return json.Number(text), nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	}
	return nil, malformed("", "YAML not well-formed. (line %d: the tag %s is not allowed)", n.Line, n.Tag)
}

// shortForm returns what the short form of a function stands for.
func shortForm(n *yaml.Node, name string) (any, error) {
	plain := *n
	plain.Tag = ""
	if n.Kind == yaml.ScalarNode {
		plain.Tag = "!!str"
	}
	argument, err := fromYAML(&plain)
	if err != nil {
		return nil, err
	}
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: argument}, nil
	}
	function := "Fn::" + name
	if !provided(function) {
		return nil, notProvided("", fmt.Sprintf("%s (line %d)", function, n.Line))
	}
	return map[string]any{function: argument}, nil
}
