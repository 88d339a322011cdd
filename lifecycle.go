package tasuki

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// lifecyclePolicy is an ECR lifecycle policy, as far as it decides which rule an
// image falls under (Amazon ECR User Guide, "Lifecycle policy evaluation rules" and
// "Lifecycle policy properties in Amazon ECR").
//
// What counts here is whether a rule may ever take an image, and not whether one takes
// it today: that an image which runs is among the ten newest is no comfort when ten
// more are pushed. ECR's own preview answers for today only, and writes to the
// repository to do it.
type lifecyclePolicy struct {
	Rules []lifecycleRule `json:"rules"`
}

type lifecycleRule struct {
	Priority  int `json:"rulePriority"`
	Selection struct {
		TagStatus   string   `json:"tagStatus"` // tagged, untagged or any
		TagPrefixes []string `json:"tagPrefixList"`
		TagPatterns []string `json:"tagPatternList"`
		CountType   string   `json:"countType"`
		CountNumber int      `json:"countNumber"`
		Storage     string   `json:"storageClass"` // standard or archive; "" is standard
	} `json:"selection"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// parseLifecyclePolicy reads a policy's text; the rules are sorted by priority.
func parseLifecyclePolicy(text string) (lifecyclePolicy, error) {
	var p lifecyclePolicy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, invalid("the lifecycle policy is not JSON of a policy's form: %v", err)
	}
	slices.SortStableFunc(p.Rules, func(a, b lifecycleRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return p, nil
}

// spares is how many images a rule keeps that can be taken to keep all.
const spares = 1000

// threatens returns the rule that may expire an image with these tags, or nil. An
// image that fits a rule cannot be expired by one of a higher priority number, so
// only the first that fits it counts.
func (p lifecyclePolicy) threatens(tags []string) *lifecycleRule {
	for i, rule := range p.Rules {
		if !rule.fits(tags) {
			continue
		}
		// An archived image cannot be pulled any more than one that is gone.
		takes := rule.Action.Type == "expire" || rule.Action.Type == "transition"
		if !takes || rule.Selection.CountNumber >= spares {
			return nil
		}
		return &p.Rules[i]
	}
	return nil
}

// fits reports whether an image with these tags, which is not archived, falls under the
// rule: it must have a tag for every prefix or pattern of the rule.
func (r lifecycleRule) fits(tags []string) bool {
	if r.Selection.Storage == "archive" || r.Selection.CountType == "sinceImageTransitioned" {
		return false // it is about images that are archived
	}
	switch r.Selection.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(tags) == 0
	}
	for _, prefix := range r.Selection.TagPrefixes {
		if !slices.ContainsFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, prefix) }) {
			return false
		}
	}
	for _, pattern := range r.Selection.TagPatterns {
		if !slices.ContainsFunc(tags, func(tag string) bool { return matchesWildcard(pattern, tag) }) {
			return false
		}
	}
	return len(tags) > 0
}

// matchesWildcard reports whether s matches a pattern in which '*' stands for any
// characters, none included.
func matchesWildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	rest, found := strings.CutPrefix(s, parts[0])
	if !found || len(parts) == 1 {
		return found && rest == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// takes says what the rule does to an image.
func (r lifecycleRule) takes() string {
	if r.Action.Type == "transition" {
		return "archive"
	}
	return r.Action.Type
}

// String says what the rule does. ECR knows no other unit than days.
func (r lifecycleRule) String() string {
	number := func(of string) string {
		if r.Selection.CountNumber == 1 {
			return "1 " + of
		}
		return fmt.Sprintf("%d %ss", r.Selection.CountNumber, of)
	}
	switch r.Selection.CountType {
	case "sinceImagePushed":
		return fmt.Sprintf("lifecycle rule %d %ss images %s after they were pushed", r.Priority, r.takes(), number("day"))
	case "sinceImagePulled":
		return fmt.Sprintf("lifecycle rule %d %ss images %s after they were last pulled", r.Priority, r.takes(), number("day"))
	}
	return fmt.Sprintf("lifecycle rule %d keeps %s and %ss older ones", r.Priority, number("image"), r.takes())
}
