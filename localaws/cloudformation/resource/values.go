package resource

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// text returns the text of a property, "" where it is not given.
func (r Request) text(name string) string {
	s, _ := scalar(r.Properties[name])
	return s
}

// optional returns the text of a property, nil where it is not given.
func (r Request) optional(name string) *string {
	if s, given := scalar(r.Properties[name]); given {
		return &s
	}
	return nil
}

// without returns properties without some of them.
func without(properties map[string]any, names ...string) map[string]any {
	rest := maps.Clone(properties)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// pick returns some of the properties.
func pick(properties map[string]any, names ...string) map[string]any {
	picked := map[string]any{}
	for _, name := range names {
		if value, given := properties[name]; given {
			picked[name] = value
		}
	}
	return picked
}

// lost returns what was before and is not now.
func lost(before, now []string) (gone []string) {
	for _, one := range before {
		if !slices.Contains(now, one) {
			gone = append(gone, one)
		}
	}
	return gone
}

// decode reads properties into an input of the SDK's, whose members have the same
// names.
func decode(properties any, into any) error {
	b, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// texts returns the texts of a list property.
func (r Request) texts(name string) []string { return textsOf(r.Properties[name]) }

func textsOf(value any) (found []string) {
	elements, _ := value.([]any)
	for _, element := range elements {
		if s, ok := scalar(element); ok {
			found = append(found, s)
		}
	}
	return found
}

// changed reports whether any of the named properties is another than before.
func (r Request) changed(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return !same(r.Properties[name], r.Previous[name]) })
}

// same reports whether two values of typed properties are equal.
func same(a, b any) bool {
	first, errA := json.Marshal(a)
	second, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(first, second)
}

// documentText returns a document as the text that services take; nil for none.
func documentText(value any) (*string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return &v, nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("write a document: %w", err)
	}
	s := strings.TrimSuffix(b.String(), "\n")
	return &s, nil
}

// tags returns the resource's tags: the stack's, and its own over them.
func (r Request) tags() map[string]string { return mergeTags(r.Tags, r.Properties["Tags"]) }

func (r Request) lastTags() map[string]string { return mergeTags(r.LastTags, r.Previous["Tags"]) }

// retagged reports whether the resource's tags are others than before.
func (r Request) retagged() bool { return !maps.Equal(r.tags(), r.lastTags()) }

// mergeTags puts a Tags property over a stack's tags.
func mergeTags(stack map[string]string, own any) map[string]string {
	tags := maps.Clone(stack)
	if tags == nil {
		tags = map[string]string{}
	}
	switch own := own.(type) {
	case map[string]any:
		for key, value := range own {
			tags[key], _ = scalar(value)
		}
	case []any:
		for _, element := range own {
			tag, _ := element.(map[string]any)
			key, _ := scalar(tag["Key"])
			tags[key], _ = scalar(tag["Value"])
		}
	}
	return tags
}

// pairs returns tags as a service's list of them, in the order of their keys.
func pairs[T any](tags map[string]string, pair func(key, value string) T) []T {
	list := make([]T, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, pair(key, tags[key]))
	}
	return list
}

// goneTags returns the keys of tags that the resource has no more.
func (r Request) goneTags() (keys []string) {
	now := r.tags()
	for _, key := range slices.Sorted(maps.Keys(r.lastTags())) {
		if _, still := now[key]; !still {
			keys = append(keys, key)
		}
	}
	return keys
}

// name returns a name for a resource that the template gives none, as CloudFormation
// makes them: the stack's name, the logical id and twelve characters. The longest
// that the service takes is given in characters.
func (r Request) name(longest int, prefix string) string {
	const length = 12
	sum := sha256.Sum256([]byte(r.StackID + "/" + r.LogicalID + "/" + r.Token))
	end := base32.StdEncoding.EncodeToString(sum[:])[:length]
	stack, id := r.StackName, r.LogicalID
	if prefix != "" {
		stack = prefix
	}
	// The longer one gives way first, until both have a half.
	room := longest - length - 2
	if len(stack)+len(id) > room {
		half := room / 2
		switch {
		case len(id) <= half:
			stack = stack[:room-len(id)]
		case len(stack) <= half:
			id = id[:room-len(stack)]
		default:
			stack, id = stack[:half], id[:room-half]
		}
	}
	return stack + "-" + id + "-" + end
}

// named returns the name that a property gives the resource, or one that is made.
func (r Request) named(property string, longest int) string {
	if given := r.text(property); given != "" {
		return given
	}
	return r.name(longest, "")
}

// lower is named in lower case, for services that take no other.
func (r Request) lower(property string, longest int) string {
	if given := r.text(property); given != "" {
		return given
	}
	return strings.ToLower(r.name(longest, ""))
}
