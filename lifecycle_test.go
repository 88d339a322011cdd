package tasuki

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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
		{"rulePriority":3,"selection":{"countType":"sinceImagePulled","countUnit":"days","countNumber":60},"action":{"type":"transition"}},
		{"rulePriority":4,"selection":{"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}},
		{"rulePriority":5,"selection":{"countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"lifecycle rule 1 keeps 10 images and expires older ones",
		"lifecycle rule 2 expires images 14 days after they were pushed",
		"lifecycle rule 3 archives images 60 days after they were last pulled",
		"lifecycle rule 4 keeps 1 image and expires older ones",
		"lifecycle rule 5 expires images 1 day after they were pushed",
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

// stored is an image of a repository, as ECR's evaluator sees it.
type stored struct {
	name     string
	tags     []string
	pushed   int // days ago, when it was pushed, or taken out of the archive
	pulled   int // days ago; -1 for never
	archived int // days ago; -1 where it is not in the archive
}

// evaluate is ECR's evaluator as its documentation tells of it, for a day: it returns
// the priority of the rule that takes each image. The policy's rules are sorted.
//
//   - All rules are evaluated at the same time, and then applied by priority.
//   - An image is taken by one rule at most, and never by one of lower priority than a
//     rule whose tags and storage class it fits.
//   - A rule counts the images that others take.
//   - imageCountMoreThan keeps the youngest, by when they were pushed.
//   - What was never pulled counts as pulled when it was pushed.
//   - Only images in the archive fall under sinceImageTransitioned, and under no other.
func evaluate(p lifecyclePolicy, images []stored) map[string]int {
	taken, seen := map[string]int{}, map[string]bool{}
	for _, rule := range p.Rules {
		var selected []stored
		for _, i := range images {
			if selects(rule, i) {
				selected = append(selected, i)
			}
		}
		slices.SortStableFunc(selected, func(a, b stored) int { return cmp.Compare(a.pushed, b.pushed) })
		for n, i := range selected {
			days := map[string]int{"sinceImagePushed": i.pushed, "sinceImagePulled": i.pulled, "sinceImageTransitioned": i.archived}
			if i.pulled < 0 {
				days["sinceImagePulled"] = i.pushed
			}
			marked := n >= rule.Selection.CountNumber
			if age, ages := days[rule.Selection.CountType]; ages {
				marked = age > rule.Selection.CountNumber
			}
			if marked && !seen[i.name] {
				taken[i.name] = rule.Priority
			}
		}
		for _, i := range selected {
			seen[i.name] = true
		}
	}
	return taken
}

func selects(rule lifecycleRule, i stored) bool {
	if archive := rule.Selection.CountType == "sinceImageTransitioned"; archive != (i.archived >= 0) {
		return false
	}
	var wanted []*regexp.Regexp
	for _, prefix := range rule.Selection.TagPrefixes {
		wanted = append(wanted, regexp.MustCompile("^"+regexp.QuoteMeta(prefix)))
	}
	for _, pattern := range rule.Selection.TagPatterns {
		wanted = append(wanted, regexp.MustCompile("^"+strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")+"$"))
	}
	switch rule.Selection.TagStatus {
	case "any":
		return true
	case "untagged":
		return len(i.tags) == 0
	}
	for _, each := range wanted {
		if !slices.ContainsFunc(i.tags, each.MatchString) {
			return false
		}
	}
	return true
}

// The repositories, policies and results are those of the Amazon ECR User Guide,
// "Examples of lifecycle policies in Amazon ECR".
func TestDocumentedLifecycles(t *testing.T) {
	rule := func(priority int, selection string) string {
		return fmt.Sprintf(`{"rulePriority":%d,"selection":{%s},"action":{"type":"expire"}}`, priority, selection)
	}
	const (
		prod   = `"tagStatus":"tagged","tagPrefixList":["prod"],"countType":"imageCountMoreThan","countNumber":1`
		beta   = `"tagStatus":"tagged","tagPrefixList":["beta"],"countType":"imageCountMoreThan","countNumber":1`
		both   = `"tagStatus":"tagged","tagPrefixList":["alpha","beta"],"countType":"sinceImagePushed","countUnit":"days","countNumber":5`
		newest = `"tagStatus":"tagged","tagPrefixList":["alpha","beta"],"countType":"imageCountMoreThan","countNumber":1`
		every  = `"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1`
	)
	image := func(name string, pushed int, tags ...string) stored {
		return stored{name: name, tags: tags, pushed: pushed, pulled: -1, archived: -1}
	}
	two := []stored{image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"), image("C", 8, "beta-3")}
	for name, c := range map[string]struct {
		rules  []string
		images []stored
		want   map[string]int
	}{
		"multiple rules, A": {[]string{rule(1, prod), rule(2, beta)}, two, map[string]int{"A": 1}},
		"multiple rules, B": {[]string{rule(1, beta), rule(2, prod)}, two, map[string]int{"A": 1, "B": 1}},
		"multiple tags in a single rule, A": {[]string{rule(1, both)}, []stored{
			image("A", 12, "alpha-1"), image("B", 11, "beta-1"), image("C", 10, "alpha-2", "beta-2"), image("D", 4, "alpha-3"), image("E", 3, "beta-3"), image("F", 2, "alpha-4", "beta-4"),
		}, map[string]int{"C": 1}},
		"multiple tags in a single rule, B": {[]string{rule(1, newest)}, []stored{
			image("A", 10, "alpha-1", "beta-1", "gamma-1"), image("B", 9, "alpha-2", "beta-2"), image("C", 8, "alpha-3", "beta-3", "gamma-2"),
		}, map[string]int{"A": 1, "B": 1}},
		"all images": {[]string{rule(1, every)}, []stored{image("A", 3, "alpha-1"), image("B", 2), image("C", 1, "alpha-2")}, map[string]int{"A": 1, "B": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := parseLifecyclePolicy(`{"rules":[` + strings.Join(c.rules, ",") + `]}`)
			if err != nil {
				t.Fatal(err)
			}
			if got := evaluate(policy, c.images); !maps.Equal(got, c.want) {
				t.Errorf("expires %v, want %v", got, c.want)
			}
		})
	}
}

// Whatever ECR may do to an image one day is foreseen, and nothing else is: threatens is
// held against the evaluator on policies and repositories by chance.
func TestThreatsAreWhatECRMayDo(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	threats := 0
	for range 4_000 {
		policy := anyPolicy(chance)
		var images []stored
		for n := range 1 + chance.IntN(6) {
			i := stored{name: fmt.Sprint(n), tags: anyTags(chance, n), pushed: chance.IntN(40), pulled: chance.IntN(40) - 1, archived: -1}
			if chance.IntN(5) == 0 {
				i.archived = chance.IntN(200)
			}
			images = append(images, i)
		}
		taken := evaluate(policy, images)
		for _, i := range images {
			threat := 0
			if rule := policy.threatens(i.tags); rule != nil {
				threat = rule.Priority
			}
			if i.archived >= 0 {
				continue // it is gone for Lambda already
			}
			if taken[i.name] != 0 && taken[i.name] != threat {
				t.Fatalf("ECR takes the image tagged %q by rule %d, and it is threatened by rule %d of %+v", i.tags, taken[i.name], threat, policy)
			}
			if later := evaluate(policy, later(i)); later[i.name] != threat {
				t.Fatalf("in time, ECR takes the image tagged %q by rule %d, and it is threatened by rule %d of %+v", i.tags, later[i.name], threat, policy)
			}
			if threat != 0 {
				threats++
			}
		}
	}
	if threats < 500 {
		t.Errorf("%d threats are too few to tell anything", threats)
	}
}

// later is a repository in which an image has grown as old as rules ask for, and more
// images of its kind were pushed than they keep.
func later(i stored) []stored {
	i.pushed, i.pulled = 999, 999
	images := []stored{i}
	for n := range 20 {
		images = append(images, stored{name: fmt.Sprint("later ", n), tags: i.tags, pushed: 1, pulled: 1, archived: -1})
	}
	return images
}

// anyPolicy is a policy of a few rules, of every kind that ECR takes.
func anyPolicy(chance *rand.Rand) (p lifecyclePolicy) {
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	for n := range 1 + chance.IntN(4) {
		var r lifecycleRule
		r.Priority = n + 1
		r.Selection.TagStatus = pick("tagged", "tagged", "untagged", "any")
		if r.Selection.TagStatus == "tagged" {
			list := &r.Selection.TagPrefixes
			words := []string{"v", "rc-", "tasuki-", "tasuki-live", "prod"}
			if chance.IntN(2) == 0 {
				list, words = &r.Selection.TagPatterns, []string{"v*", "*rc*", "tasuki-*", "*-live", "*", "p*d*"}
			}
			for range 1 + chance.IntN(2) {
				*list = append(*list, pick(words...))
			}
		}
		r.Selection.CountNumber = 1 + chance.IntN(15)
		if chance.IntN(4) == 0 {
			r.Selection.CountNumber = spares
		}
		// Only these pairs are taken (Amazon ECR User Guide, "Lifecycle policy properties").
		switch r.Selection.CountType = pick("imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"); r.Selection.CountType {
		case "sinceImagePulled":
			r.Action.Type = "transition"
		case "sinceImageTransitioned":
			r.Action.Type, r.Selection.Storage = "expire", "archive"
		default:
			r.Action.Type, r.Selection.Storage = pick("expire", "transition"), pick("", "standard")
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

func anyTags(chance *rand.Rand, n int) (tags []string) {
	for _, tag := range []string{fmt.Sprintf("v%d", n), fmt.Sprintf("rc-%d", n), "tasuki-live", "prod"} {
		if chance.IntN(3) == 0 {
			tags = append(tags, tag)
		}
	}
	return tags
}
