package architecture

import (
	"bufio"
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tasuki-dev/tasuki"

// allowed lists, for each package or tree of packages ("…" at its end), what of this
// module it may import. The longest entry that fits a package counts. A package
// without one may import nothing of the module, so that a new one has to find its
// place here first.
var allowed = map[string][]string{
	"":                     nil, // the domain
	"lambdaimage":          {""},
	"image":                {""},
	"lambdaimage/contents": {"", "lambdaimage"},
	"placeholder":          {""},
	"awsbackend":           {"", "internal/sdkhttp"},
	"policy":               nil,

	"customresource":      nil,
	"provider":            {"", "customresource", "awsbackend", "image", "lambdaimage", "internal/builtin"},
	"cmd/tasuki-provider": {"provider"},

	"placeholder/runtime":             nil,
	"placeholder/internal/buildlayer": nil,

	"localaws":               {"localaws/…", "internal/sdkhttp"},
	"localaws/wire":          nil,
	"localaws/state":         nil,
	"localaws/fault":         nil,
	"localaws/sandbox":       nil,
	"localaws/ssm":           {"localaws/wire", "localaws/state", "localaws/fault"},
	"localaws/sts":           {"localaws/wire"},
	"localaws/ecr":           {"", "localaws/wire", "localaws/state", "localaws/ecr/…"},
	"localaws/ecr/…":         {""},
	"localaws/lambda":        {"", "localaws/wire", "localaws/state", "localaws/sandbox"},
	"localaws/s3":            {"localaws/wire", "localaws/state"},
	"localaws/iam":           {"localaws/wire", "localaws/state"},
	"localaws/authorization": {"localaws/wire"},
	"localaws/sqs":           {"localaws/wire", "localaws/state"},
	"localaws/events":        {"localaws/wire", "localaws/state"},
	"localaws/logs":          {"localaws/wire", "localaws/state"},

	"localaws/localawstest":  {"localaws"},
	"localaws/wire/wiretest": {"localaws/wire"},

	"localaws/cloudformation":          {"localaws/wire", "localaws/state", "localaws/cloudformation/…"},
	"localaws/cloudformation/template": nil,
	"localaws/cloudformation/resource": nil,

	"internal/architecture": nil,
	"internal/builtin":      {"", "image", "placeholder"},
	"internal/memory":       {""},
	"internal/conformance":  {""},
	"internal/explore":      {"", "internal/memory"},
	"internal/interop":      nil,
	"internal/proof":        nil,
	"internal/sdkhttp":      nil,
	"internal/stacks":       nil,
	"internal/cli":          {"", "awsbackend", "image", "lambdaimage", "lambdaimage/contents", "internal/builtin", "localaws", "localaws/fault", "policy"},
	"bench/copy":            nil,
	"bench/provider":        {"", "image", "placeholder"},
	"bench/relay":           {"", "localaws", "localaws/sandbox", "placeholder"},
	"bench/stacks":          {"localaws", "internal/sdkhttp"},
	"cmd/tasuki":            {"internal/cli", "localaws/sandbox"},
}

// standardOnly lists the packages that import nothing but the standard library.
var standardOnly = []string{"", "lambdaimage", "placeholder", "placeholder/runtime", "policy"}

// imports returns what every package of the module imports, tests left aside.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		found[within(fields[0])] = fields[1:]
	}
	if len(found) < 10 {
		t.Fatalf("go list names %d packages only", len(found))
	}
	return found
}

// within returns a package's path within the module, "" for its root.
func within(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func inModule(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func fits(entry, path string) bool {
	tree, isTree := strings.CutSuffix(entry, "…")
	return entry == path || isTree && strings.HasPrefix(path, tree)
}

func TestImportsPointInward(t *testing.T) {
	for path, imported := range imports(t) {
		rule, found := "", false
		for entry := range allowed {
			if fits(entry, path) && (!found || len(entry) > len(rule)) {
				rule, found = entry, true
			}
		}
		if !found {
			t.Errorf("package %q has no place in the architecture yet: add it to the rules", path)
			continue
		}
		for _, i := range imported {
			if inModule(i) && !slices.ContainsFunc(allowed[rule], func(entry string) bool { return fits(entry, within(i)) }) {
				t.Errorf("package %q must not import %q", path, within(i))
			}
		}
	}
}

func TestTheDomainUsesTheStandardLibraryOnly(t *testing.T) {
	found := imports(t)
	for _, path := range standardOnly {
		if _, exists := found[path]; !exists {
			t.Errorf("there is no package %q", path)
		}
		for _, i := range found[path] {
			if strings.Contains(i, ".") && !inModule(i) {
				t.Errorf("package %q imports %s, which is not in the standard library", path, i)
			}
		}
	}
}

func TestEveryRuleIsOfUse(t *testing.T) {
	found := imports(t)
	for entry, mayImport := range allowed {
		var imported []string
		used := false
		for path := range found {
			if fits(entry, path) {
				used = true
				imported = append(imported, found[path]...)
			}
		}
		if !used {
			t.Errorf("the rule for %q is for no package", entry)
		}
		for _, may := range mayImport {
			if !slices.ContainsFunc(imported, func(i string) bool { return inModule(i) && fits(may, within(i)) }) {
				t.Errorf("package %q may import %q, and does not", entry, may)
			}
		}
	}
}
