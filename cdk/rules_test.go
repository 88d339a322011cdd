package tasukicdk

import (
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// TestRuleName: EventBridge has 64 characters for a name, and a handoff's may have 200.
func TestRuleName(t *testing.T) {
	if got := ruleName(handoffNamed(t, "orders"), customresource.TriggerStack); got != "tasuki-orders-stack" {
		t.Errorf("the rule is named %s", got)
	}
	seen := map[string]string{}
	for _, handoff := range []string{"orders", "stg/orders", "stg.orders", "stg-orders", strings.Repeat("a", 60), strings.Repeat("a", 61), strings.Repeat("a/", 10) + strings.Repeat("b", 180)} {
		for _, trigger := range []customresource.Trigger{customresource.TriggerStack, customresource.TriggerParameter, customresource.TriggerSchedule} {
			name := ruleName(handoffNamed(t, handoff), trigger)
			if len(name) > 64 || !strings.HasPrefix(name, rulePrefix) || strings.Contains(name, "/") {
				t.Errorf("the rule of %s is named %s", handoff, name)
			}
			if other := seen[name]; other != "" {
				t.Errorf("%s and %s have the same rule %s", handoff, other, name)
			}
			seen[name] = handoff
		}
	}
}

func handoffNamed(t *testing.T, name string) tasuki.HandoffName {
	t.Helper()
	handoff, err := tasuki.ParseHandoffName(name)
	if err != nil {
		t.Fatal(err)
	}
	return handoff
}
