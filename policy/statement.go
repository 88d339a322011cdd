package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Statement allows actions on resources.
type Statement struct {
	Sid       string   // what the resources are, as in "TagParameter": letters and digits
	Actions   []string // sorted, as in "ssm:GetParameter"
	Resources []string // ARNs
	// Conditions are operators with the keys that they compare, as IAM has them; nil for none.
	Conditions map[string]map[string]string
}

// MarshalJSON writes the statement as IAM reads it.
func (s Statement) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Sid       string
		Effect    string
		Action    []string
		Resource  []string
		Condition map[string]map[string]string `json:",omitempty"`
	}{s.Sid, "Allow", s.Actions, s.Resources, s.Conditions})
}

// sameScope reports whether two statements are about the same resources under the
// same conditions.
func (s Statement) sameScope(other Statement) bool {
	return slices.Equal(s.Resources, other.Resources) &&
		maps.EqualFunc(s.Conditions, other.Conditions, maps.Equal[map[string]string])
}

// Merge returns the statements of all lists with each resource's actions in one, in
// the order in which the resources appear first. It allows what the lists allow, no
// more. Every Sid is there once: where two statements share one, the later gets a number.
func Merge(lists ...[]Statement) []Statement {
	var merged []Statement
	for _, s := range slices.Concat(lists...) {
		i := slices.IndexFunc(merged, s.sameScope)
		if i < 0 {
			s.Actions = distinct(s.Actions)
			merged = append(merged, s)
			continue
		}
		merged[i].Actions = distinct(slices.Concat(merged[i].Actions, s.Actions))
	}
	seen := map[string]int{}
	for i, s := range merged {
		if seen[s.Sid]++; seen[s.Sid] > 1 {
			merged[i].Sid = fmt.Sprintf("%s%d", s.Sid, seen[s.Sid])
		}
	}
	return merged
}

// distinct returns the members of list, sorted, each once.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// Document is an IAM policy document. It marshals to what IAM reads.
type Document struct {
	Version   string
	Statement []Statement
}

// NewDocument returns the document that allows what the lists of statements allow.
func NewDocument(lists ...[]Statement) Document {
	return Document{Version: "2012-10-17", Statement: Merge(lists...)}
}

// String returns the document as indented JSON.
func (d Document) String() string {
	b, err := marshal(d)
	if err != nil {
		panic(err) // strings only
	}
	var indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(json.RawMessage(b)); err != nil {
		panic(err) // it was just encoded
	}
	return strings.TrimSuffix(indented.String(), "\n")
}

// marshal encodes v without the escapes that HTML needs and that make ARNs unreadable.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
