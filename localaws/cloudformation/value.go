package cloudformation

import (
	"encoding/json"
	"fmt"
)

// same reports whether two values are equal, as CloudFormation has it: scalars are
// where their texts are.
func same(a, b any) bool { return canonical(a) == canonical(b) }

func canonical(value any) string {
	b, err := json.Marshal(texts(value))
	if err != nil {
		panic(err) // values come from JSON
	}
	return string(b)
}

// texts replaces scalars by their texts.
func texts(value any) any {
	switch v := value.(type) {
	case nil, string:
		return v
	case values:
		return texts(map[string]any(v))
	case map[string]any:
		found := make(map[string]any, len(v))
		for key, member := range v {
			found[key] = texts(member)
		}
		return found
	case []any:
		found := make([]any, len(v))
		for i, element := range v {
			found[i] = texts(element)
		}
		return found
	}
	return fmt.Sprint(value)
}
