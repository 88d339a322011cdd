package tasuki

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// unknownFields returns the fields of a JSON object that a later revision of its
// specification has added: those that known does not name; nil for none. What
// encoding/json takes for a known field, whatever its case, is not one of them: written
// again beside the field, it would be read in its place.
func unknownFields(b []byte, known []string) (map[string]json.RawMessage, error) {
	var unknown map[string]json.RawMessage
	if err := json.Unmarshal(b, &unknown); err != nil {
		return nil, err
	}
	maps.DeleteFunc(unknown, func(name string, _ json.RawMessage) bool {
		return slices.ContainsFunc(known, func(field string) bool { return strings.EqualFold(field, name) })
	})
	if len(unknown) == 0 {
		return nil, nil
	}
	return unknown, nil
}

// marshalWith writes v, a struct, with the unknown fields behind its own, sorted.
func marshalWith(v any, unknown map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || len(unknown) == 0 {
		return b, err
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b = append(b[:len(b)-1], ',')
		b = append(b, key...)
		b = append(b, ':')
		b = append(b, unknown[name]...)
		b = append(b, '}')
	}
	return b, nil
}
