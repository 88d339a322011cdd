package tasuki

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Tag is the tag of a released image. The zero Tag is no tag.
//
// A Tag obeys the OCI distribution specification's grammar, and is a tag that a
// handoff can rely on: "latest" and the protecting tags are not.
type Tag struct{ s string }

// tagGrammar and longestTag are the <reference> of the OCI distribution
// specification 1.1.
var tagGrammar = grammar(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)

const longestTag = 128

// TagLive protects the released image in ECR from lifecycle rules. It decides
// nothing, but where it exists there has been a release.
var TagLive = Tag{"tasuki-live"}

// heldPrefix begins the tags that protect images given to a stack.
const heldPrefix = "tasuki-held-"

// heldTags return the tags that protect the images that a stack was given for a
// handoff: the last one, and the one before, to which the stack goes back when it is
// rolled back.
func heldTags(stack string, handoff HandoffName) (last, before Tag) {
	const beforeSuffix = "_before"
	name := heldPrefix + stack + "." + strings.ReplaceAll(handoff.s, "/", "_")
	if longest := longestTag - len(beforeSuffix); len(name) > longest {
		sum := sha256.Sum256([]byte(name))
		name = name[:longest-17] + "-" + hex.EncodeToString(sum[:8])
	}
	return Tag{name}, Tag{name + beforeSuffix}
}

// DefaultPlaceholderTag is the tag of the placeholder image unless the contract names another.
var DefaultPlaceholderTag = Tag{"initial"}

// ParseTag returns s as a Tag, or one sentence on why it cannot be one.
func ParseTag(s string) (Tag, error) {
	switch {
	case s == "":
		return Tag{}, invalid("the image tag is empty")
	case s == "latest":
		return Tag{}, invalid(`the image tag "latest" is refused, because it names another image tomorrow; use the commit hash`)
	case s == TagLive.s || strings.HasPrefix(s, heldPrefix):
		return Tag{}, invalid("the image tag %q is one of those that Tasuki keeps to protect images; release under another tag", s)
	case len(s) > longestTag || !tagGrammar().MatchString(s):
		return Tag{}, invalid("%s is not an image tag: a tag has 1 to 128 letters, digits, '_', '.' or '-', and does not begin with '.' or '-'", quote(s))
	}
	return Tag{s}, nil
}

// String returns the tag as it stands in ECR.
func (t Tag) String() string { return t.s }

// IsZero reports whether t is no tag.
func (t Tag) IsZero() bool { return t.s == "" }

// MarshalText implements encoding.TextMarshaler.
func (t Tag) MarshalText() ([]byte, error) { return []byte(t.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler by way of [ParseTag]; the
// empty text is the zero Tag.
func (t *Tag) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*t = Tag{}
		return nil
	}
	*t, err = ParseTag(string(b))
	return err
}

// quote returns s in quotes, escaped, and cut to a length that fits in a sentence.
func quote(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		return fmt.Sprintf("%q… (%d characters)", string(r[:longest]), len(r))
	}
	return fmt.Sprintf("%q", s)
}
