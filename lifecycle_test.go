package tasuki

import "testing"

func TestLifecyclePolicyThreatens(t *testing.T) {
	const (
		shield     = `{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["tasuki-"],"countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}}`
		keepTen    = `{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}}`
		untagged   = `{"rulePriority":3,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}`
		pattern    = `{"rulePriority":4,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":"sinceImagePushed","countUnit":"days","countNumber":30},"action":{"type":"expire"}}`
		twoAtOnce  = `{"rulePriority":5,"selection":{"tagStatus":"tagged","tagPrefixList":["v","rc-"],"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}`
		shieldLast = `{"rulePriority":9,"selection":{"tagStatus":"tagged","tagPrefixList":["tasuki-"],"countType":"imageCountMoreThan","countNumber":1000},"action":{"type":"expire"}}`
		archive    = `{"rulePriority":6,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":60},"action":{"type":"transition","targetStorageClass":"archive"}}`
		archived   = `{"rulePriority":1,"selection":{"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"expire"}}`
	)
	protected := []string{"v1", "tasuki-live"}
	for name, c := range map[string]struct {
		rules string
		tags  []string
		want  int // priority of the threatening rule; 0 for none
	}{
		"no rules":                     {"", protected, 0},
		"any":                          {keepTen, protected, 2},
		"shielded":                     {keepTen + "," + shield, protected, 0},
		"shielded too late":            {shieldLast + "," + keepTen, protected, 2},
		"shield does not fit":          {shield + "," + keepTen, []string{"v1"}, 2},
		"untagged only":                {untagged, protected, 0},
		"pattern":                      {pattern, protected, 4},
		"pattern of others":            {pattern, []string{"0123abc"}, 0},
		"needs a tag for each prefix":  {twoAtOnce, protected, 0},
		"has a tag for each prefix":    {twoAtOnce, []string{"v1", "rc-1"}, 5},
		"archived when not pulled":     {archive, protected, 6},
		"of those that are archived":   {archived, protected, 0},
		"of both kinds":                {archived + "," + archive, protected, 6},
		"the first that fits is alone": {untagged + "," + pattern + "," + keepTen, protected, 2},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := parseLifecyclePolicy(`{"rules":[` + c.rules + `]}`)
			if err != nil {
				t.Fatal(err)
			}
			got := 0
			if rule := policy.threatens(c.tags); rule != nil {
				got = rule.Priority
			}
			if got != c.want {
				t.Errorf("threatened by rule %d, want %d", got, c.want)
			}
		})
	}
}

func TestLifecycleRulesSayWhatTheyDo(t *testing.T) {
	policy, err := parseLifecyclePolicy(`{"rules":[
		{"rulePriority":1,"selection":{"countType":"imageCountMoreThan","countNumber":10},"action":{"type":"expire"}},
		{"rulePriority":2,"selection":{"countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}},
		{"rulePriority":3,"selection":{"countType":"sinceImagePulled","countUnit":"days","countNumber":60},"action":{"type":"transition"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"lifecycle rule 1 keeps 10 images and expires older ones",
		"lifecycle rule 2 expires images 14 days after they were pushed",
		"lifecycle rule 3 archives images 60 days after they were last pulled",
	} {
		if got := policy.Rules[i].String(); got != want {
			t.Errorf("rule %d says %q, want %q", i+1, got, want)
		}
	}
}

func TestMatchesWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"tasuki-*", "tasuki-live", true}, {"tasuki-*", "tasuki", false}, {"*", "", true}, {"*", "a", true}, {"v1", "v1", true}, {"v1", "v10", false},
		{"*-live", "tasuki-live", true}, {"a*b*c", "a-b-c", true}, {"a*b*c", "a-c", false}, {"ab*ba", "aba", false}, {"", "a", false},
	} {
		if got := matchesWildcard(c.pattern, c.s); got != c.want {
			t.Errorf("matchesWildcard(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

func FuzzParseLifecyclePolicy(f *testing.F) {
	f.Add(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["*a*"]},"action":{"type":"expire"}}]}`, "v1")
	f.Fuzz(func(_ *testing.T, text, tag string) {
		if policy, err := parseLifecyclePolicy(text); err == nil {
			policy.threatens([]string{tag})
		}
	})
}
