package tasukicdk_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki"
	"github.com/tasuki-dev/tasuki/customresource"
)

// TestFunctionIsAlwaysThere: on the day on which something cannot be read or is wrong,
// the function is in the template all the same.
func TestFunctionIsAlwaysThere(t *testing.T) {
	without := []string{"OwnProvider", "Parts", "PartMistakes", "Shared", "Nested", "AnotherRegion", "WrongProviders", "TokenValue"}
	for _, name := range slices.Sorted(maps.Keys(assembly)) {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(without, name) {
				return
			}
			_, f := assembly[name].function(t)
			if f.Properties["Code"].(map[string]any)["ImageUri"] == nil {
				t.Errorf("the function has no image: %v", f.Properties["Code"])
			}
		})
	}
}

func TestNothingWaitsForItself(t *testing.T) {
	for name, s := range assembly {
		t.Run(name, func(t *testing.T) { noCycle(t, s.Resources) })
	}
}

// TestAdoption: a stack that has a DockerImageFunction can have an ImageFunction in its
// place, without CloudFormation replacing the function or its role.
func TestAdoption(t *testing.T) {
	plain, adopted := stack(t, "Plain"), stack(t, "Default")
	was, _ := plain.function(t)
	is, _ := adopted.function(t)
	if was != is {
		t.Errorf("the function's logical id is %s, and was %s", is, was)
	}
	for _, id := range plain.ids("AWS::IAM::Role") {
		if strings.HasPrefix(id, "Orders") && adopted.Resources[id] == nil {
			t.Errorf("role %s is not in the adopting stack", id)
		}
	}
}

func TestImage(t *testing.T) {
	s := stack(t, "Default")
	function, f := s.function(t)
	id, image := s.onlyWithID(t, customresource.TypeImage)
	want := "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ref-OrdersRepository040C2771"
	if got := text(f.Properties["Code"].(map[string]any)["ImageUri"]); got != want+"@sha256:"+id+".DigestHex" {
		t.Errorf("the function's image is %s", got)
	}
	wantProperties(t, image, customresource.Image{
		Handoff: "orders", Repository: want, TagParameter: "/tasuki/orders/image-tag", PlaceholderTag: "initial", Architecture: "x86_64",
		Functions: []customresource.ImageFunction{{LogicalID: function}},
	})
	if got := text(image.Properties["ServiceTimeout"]); got != "360" {
		t.Errorf("CloudFormation waits %s s, and the provider runs for 300", got)
	}
}

// TestReplacement: what replaces the function changes the custom resource as well, so that
// the image is resolved again.
func TestReplacement(t *testing.T) {
	was := asJSON(stack(t, "Default").only(t, customresource.TypeImage).Properties)
	for _, name := range []string{"Tenants", "Everything"} {
		if is := asJSON(stack(t, name).only(t, customresource.TypeImage).Properties); is == was {
			t.Errorf("the custom resource of %s is that of Default: %s", name, is)
		}
	}
	if nonce := stack(t, "Tenants").only(t, customresource.TypeImage).Properties["Nonce"]; nonce != "tenancy" {
		t.Errorf("the nonce is %v", nonce)
	}
}

func TestEverything(t *testing.T) {
	s := stack(t, "Everything")
	function, f := s.function(t)
	for name, want := range map[string]string{"FunctionName": "orders-fn", "MemorySize": "777", "Architectures": `["arm64"]`, "Environment": `{"Variables":{"LEVEL":"debug"}}`} {
		if got := text(f.Properties[name]); got != want {
			t.Errorf("the function's %s is %s, want %s", name, got, want)
		}
	}
	image := s.only(t, customresource.TypeImage)
	nonce := text(image.Properties["Nonce"])
	if len(nonce) < 13 {
		t.Errorf("the nonce is %q, which is no time in milliseconds", nonce)
	}
	wantProperties(t, image, customresource.Image{
		Handoff: "stg/orders", Repository: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ref-OrdersRepository040C2771", TagParameter: "lambdaImageTag",
		PlaceholderTag: "none-yet", Architecture: "arm64", Nonce: nonce,
		Functions: []customresource.ImageFunction{{LogicalID: function, Name: "orders-fn"}},
	})
	wantProperties(t, s.only(t, customresource.TypeAlias), customresource.Alias{Handoff: "stg/orders", Function: "ref-" + function, Alias: "live"})
	for _, id := range s.ids("AWS::Events::Rule") {
		if rule := s.Resources[id]; strings.HasSuffix(text(rule.Properties["Name"]), "-schedule") && text(rule.Properties["ScheduleExpression"]) != "rate(2 hours)" {
			t.Errorf("the schedule is %s", text(rule.Properties["ScheduleExpression"]))
		}
	}
}

func TestLookedUpImage(t *testing.T) {
	for _, name := range []string{"LookupRelease", "LookupFunction"} {
		s := stack(t, name)
		_, f := s.function(t)
		if got := text(f.Properties["Code"].(map[string]any)["ImageUri"]); !strings.HasSuffix(got, "@"+digest) {
			t.Errorf("%s: the function's image is %s", name, got)
		}
		if ids := append(s.ids(customresource.TypeImage), s.ids(customresource.TypePlaceholder)...); len(ids) > 0 {
			t.Errorf("%s: the stack asks the provider for an image: %q", name, ids)
		}
	}
	s := stack(t, "LookupPlaceholder")
	_, f := s.function(t)
	id, placeholder := s.onlyWithID(t, customresource.TypePlaceholder)
	if got := text(f.Properties["Code"].(map[string]any)["ImageUri"]); !strings.HasSuffix(got, "@sha256:"+id+".DigestHex") {
		t.Errorf("the function's image is %s, want the placeholder that %s puts into ECR", got, id)
	}
	wantProperties(t, placeholder, customresource.Placeholder{
		Handoff:    "orders",
		Repository: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/ref-OrdersRepository040C2771", Tag: "initial", Architecture: "x86_64",
	})
}

// TestContract reads the contract as the application side does.
func TestContract(t *testing.T) {
	for name, want := range map[string]struct{ parameter, handoff, tagParameter, placeholderTag, alias string }{
		"Default":     {"/tasuki/orders/contract", "orders", "/tasuki/orders/image-tag", "initial", ""},
		"Everything":  {"/tasuki/stg/orders/contract", "stg/orders", "lambdaImageTag", "none-yet", "live"},
		"Environment": {"/tasuki/from/environment/contract", "from/environment", "lambdaImageTag", "initial", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := stack(t, name)
			function, _ := s.function(t)
			parameter := s.only(t, "AWS::SSM::Parameter")
			if got := text(parameter.Properties["Name"]); got != want.parameter {
				t.Errorf("the contract is in %s, want %s", got, want.parameter)
			}
			contract := parseContract(t, text(parameter.Properties["Value"]))
			if contract.Name.String() != want.handoff || contract.TagParameter.String() != want.tagParameter || contract.PlaceholderTag.String() != want.placeholderTag {
				t.Errorf("the contract is %+v", contract)
			}
			if contract.Account != account || contract.Region != region || contract.StackID != reference("AWS::StackId") {
				t.Errorf("the contract is of account %s, region %s, stack %s", contract.Account, contract.Region, contract.StackID)
			}
			if f := contract.Functions[0]; f.Name != "ref-"+function || f.Alias != want.alias {
				t.Errorf("the contract's function is %+v", f)
			}
		})
	}
}

// parseContract reads a contract in which names of resources are not known: those of
// repositories have lower-case letters only.
func parseContract(t *testing.T, value string) tasuki.Contract {
	t.Helper()
	contract, err := tasuki.ParseContract([]byte(strings.ReplaceAll(value, "ref-OrdersRepository040C2771", "orders")))
	if err != nil {
		t.Fatalf("%v in %s", err, value)
	}
	return contract
}

func TestRepository(t *testing.T) {
	for name, want := range map[string]struct{ policy, mutability, filters, rules string }{
		"Default": {"Retain", "IMMUTABLE_WITH_EXCLUSION", "tasuki-*", "1 tagged tasuki- 1000"},
		"Mutable": {"Retain", "MUTABLE", "", "1 tagged tasuki- 1000"},
		"Everything": {"Delete", "IMMUTABLE_WITH_EXCLUSION", "dev-* tasuki-*",
			"1 tagged tasuki- 1000, 2 any  50"},
	} {
		t.Run(name, func(t *testing.T) {
			repository := stack(t, name).only(t, "AWS::ECR::Repository")
			if repository.DeletionPolicy != want.policy || repository.UpdateReplacePolicy != want.policy {
				t.Errorf("on deletion %s, on replacement %s, want %s", repository.DeletionPolicy, repository.UpdateReplacePolicy, want.policy)
			}
			if got := text(repository.Properties["ImageTagMutability"]); got != want.mutability {
				t.Errorf("the mutability is %s", got)
			}
			var filters []string
			for _, f := range asList(repository.Properties["ImageTagMutabilityExclusionFilters"]) {
				filters = append(filters, text(f.(map[string]any)["ImageTagMutabilityExclusionFilterValue"]))
			}
			if got := strings.Join(filters, " "); got != want.filters {
				t.Errorf("the exclusions are %q", got)
			}
			if got := lifecycleOf(t, repository); got != want.rules {
				t.Errorf("the lifecycle rules are %q, want %q", got, want.rules)
			}
		})
	}
	if ids := stack(t, "Given").ids("AWS::ECR::Repository"); len(ids) > 0 {
		t.Errorf("a repository is given, and the stack makes %q", ids)
	}
}

func lifecycleOf(t *testing.T, repository *resource) string {
	t.Helper()
	var policy struct {
		Rules []struct {
			RulePriority int
			Selection    struct {
				TagStatus     string
				TagPrefixList []string
				CountNumber   int
			}
		}
	}
	text := text(repository.Properties["LifecyclePolicy"].(map[string]any)["LifecyclePolicyText"])
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, r := range policy.Rules {
		rules = append(rules, strings.Join([]string{asJSON(r.RulePriority), r.Selection.TagStatus, strings.Join(r.Selection.TagPrefixList, ","), asJSON(r.Selection.CountNumber)}, " "))
	}
	return strings.Join(rules, ", ")
}

// TestRules reads what the rules give the provider as the provider does.
func TestRules(t *testing.T) {
	s := stack(t, "Default")
	provider := providerOf(t, s)
	found := map[customresource.Trigger]*resource{}
	for _, id := range s.ids("AWS::Events::Rule") {
		rule := s.Resources[id]
		event, target := eventOf(t, rule)
		found[event.Trigger] = rule
		if event.Version != customresource.ReconcileVersion || len(event.EventSourceMappings) > 0 {
			t.Errorf("rule %s sends %+v", id, event)
		}
		if contract := parseContract(t, string(event.Contract)); contract.Name.String() != "orders" {
			t.Errorf("rule %s is for handoff %s", id, contract.Name)
		}
		if got := text(target["Arn"]); got != provider+".Arn" {
			t.Errorf("rule %s asks %s, not the provider", id, got)
		}
		if target["DeadLetterConfig"] == nil || target["RetryPolicy"] == nil {
			t.Errorf("rule %s loses events that cannot be delivered", id)
		}
		if !strings.HasPrefix(text(rule.Properties["Name"]), "tasuki-orders-") {
			t.Errorf("rule %s is named %s", id, text(rule.Properties["Name"]))
		}
	}
	if len(found) != 3 {
		t.Fatalf("there are rules for %v, want three", slices.Collect(maps.Keys(found)))
	}
	pattern := asJSON(found[customresource.TriggerStack].Properties["EventPattern"])
	for _, part := range []string{`"stack-id":[{"Ref":"AWS::StackId"}]`, `"UPDATE_ROLLBACK_COMPLETE"`, `"UPDATE_COMPLETE"`, `"aws.cloudformation"`, `"CloudFormation Stack Status Change"`} {
		if !strings.Contains(pattern, part) {
			t.Errorf("the stack's rule has no %s: %s", part, pattern)
		}
	}
	pattern = asJSON(found[customresource.TriggerParameter].Properties["EventPattern"])
	if want := `{"detail":{"name":["/tasuki/orders/image-tag"],"operation":["Create","Update"]},"detail-type":["Parameter Store Change"],"source":["aws.ssm"]}`; pattern != want {
		t.Errorf("the parameter's rule has the pattern %s", pattern)
	}
	if got := text(found[customresource.TriggerSchedule].Properties["ScheduleExpression"]); got != "rate(15 minutes)" {
		t.Errorf("the schedule is %s", got)
	}
	if n := len(stack(t, "NoSchedule").ids("AWS::Events::Rule")); n != 2 {
		t.Errorf("without a schedule there are %d rules, want 2", n)
	}
}

// eventOf returns what a rule sends to its one target.
func eventOf(t *testing.T, rule *resource) (customresource.Reconcile, map[string]any) {
	t.Helper()
	targets := asList(rule.Properties["Targets"])
	if len(targets) != 1 {
		t.Fatalf("there are %d targets, want 1", len(targets))
	}
	target := targets[0].(map[string]any)
	var event customresource.Reconcile
	if err := json.Unmarshal([]byte(text(target["Input"])), &event); err != nil {
		t.Fatal(err)
	}
	return event, target
}

func TestAlias(t *testing.T) {
	s := stack(t, "Alias")
	function, _ := s.function(t)
	id, alias := s.onlyWithID(t, customresource.TypeAlias)
	wantProperties(t, alias, customresource.Alias{Handoff: "orders", Function: "ref-" + function, Alias: "live"})
	for _, kind := range []string{"AWS::Lambda::Alias", "AWS::Lambda::Version"} {
		if ids := s.ids(kind); len(ids) > 0 {
			t.Errorf("CloudFormation would move %q back", ids)
		}
	}
	var waits []string
	refs(s.only(t, "AWS::Lambda::Url").Properties["Qualifier"], &waits)
	if !slices.Contains(waits, id) {
		t.Errorf("the URL does not wait for the alias: %q", waits)
	}
}

// TestHeldEvents: the mappings of the function and of its alias are held, and no others.
func TestHeldEvents(t *testing.T) {
	s := stack(t, "Held")
	var held []string
	for _, id := range s.ids("AWS::Lambda::EventSourceMapping") {
		enabled, said := s.Resources[id].Properties["Enabled"]
		if strings.HasPrefix(id, "Bills") != !said || enabled == true {
			t.Errorf("mapping %s is enabled: %v", id, enabled)
		}
		if said {
			held = append(held, "ref-"+id)
		}
	}
	if len(held) != 2 {
		t.Fatalf("held are %q, want two", held)
	}
	for _, id := range s.ids("AWS::Events::Rule") {
		if !strings.HasPrefix(id, "Orders") {
			continue
		}
		event, _ := eventOf(t, s.Resources[id])
		want := held
		if event.Trigger == customresource.TriggerSchedule {
			want = nil
		}
		if slices.Sort(event.EventSourceMappings); !slices.Equal(event.EventSourceMappings, want) {
			t.Errorf("at %s the provider enables %q, want %q", event.Trigger, event.EventSourceMappings, want)
		}
	}
	if !said(assembly["NothingToHold"].warnings, "HoldEvents has nothing to hold") {
		t.Errorf("nobody is told that nothing is held: %q", assembly["NothingToHold"].warnings)
	}
}

func TestMistakesAreSentences(t *testing.T) {
	for name, parts := range map[string][]string{
		"WithoutHandoff":          {"TASUKI_HANDOFF"},
		"WrongHandoff":            {`"orders/" is not the name of a handoff`},
		"WrongParameter":          {`"/aws/orders" is not a name that SSM accepts`},
		"WrongPlaceholderTag":     {`"latest" is refused`},
		"WrongResolve":            {`"Sometimes" is not a way to resolve`, "SynthTime"},
		"WrongAlias":              {`"7" is not the name of an alias`},
		"LookupUnasked":           {"Lookup is for ResolveSynthTime"},
		"Immutable":               {"IMMUTABLE", "leave ImageTagMutability out"},
		"FirstRule":               {"priority 1", "begin with 2"},
		"CodeSet":                 {"Code is not to be set"},
		"CurrentVersion":          {"AddAlias", "set Alias"},
		"LookupMissing":           {"set Lookup"},
		"LookupFailed":            {"set Lookup"},
		"LookupAnywhere":          {"Env with Account and Region"},
		"LookupElsewhere":         {"account 111122223333", "account 444455556666"},
		"LookupOfAnother":         {"handoff bills", "handoff orders"},
		"FromSecretRegistry":      {"a placeholder cannot need credentials"},
		"PartMistakes":            {"missing.zip", "no zip file"},
		"NoSource":                {"there is no Source", "ImageFromRegistry"},
		"NoReference":             {"names no image in a registry"},
		"WrongReference":          {`"https://docker.io/library/nginx" names no image in a registry`},
		"NoTag":                   {"ImageFromEcr needs a repository"},
		"NoObject":                {"ImageFromBucket needs a bucket"},
		"NoDockerfile":            {"the image's source cannot be read", "missing/Dockerfile"},
		"NoArchive":               {"the image's source cannot be read", "missing.tar"},
		"DirectoryAsArchive":      {"is a directory"},
		"WrongArchitecture":       {`"riscv" is not an architecture of Lambda`},
		"WrongPeriod":             {"1.5 minutes", "whole minutes"},
		"PeriodOfNoSchedule":      {"ReconcileEvery and NoSchedule"},
		"SixFilters":              {"6 exclusion filters", "so give 4 at most"},
		"SameHandoff":             {"another function of handoff orders"},
		"TokenHandoff":            {"the Handoff is known at deploy time only", "give it as text"},
		"TokenValue":              {"give TagParameter as text"},
		"LateProvider":            {"there is a provider TasukiProvider already", "make yours before them"},
		"ProviderElsewhere":       {"of region us-east-1", "the stack is for eu-west-1"},
		"ProviderOfAnotherRegion": {"aws://111122223333/us-east-1", "aws://111122223333/eu-west-1"},
		"RepositoryElsewhere":     {"the repository is in us-east-1", "the function in eu-west-1"},
		"WrongProviders":          {`"tasuki" is not the ARN of a function`},
	} {
		t.Run(name, func(t *testing.T) {
			errors := assembly[name].errors
			if !said(errors, parts...) {
				t.Errorf("no mistake has %q: %q", parts, errors)
			}
			if want := map[string]int{"PartMistakes": len(partMistakes) + 1, "WrongProviders": 4}[name]; len(errors) != max(want, 1) {
				t.Errorf("there are %d mistakes: %q", len(errors), errors)
			}
			for _, sentence := range errors {
				if strings.Contains(sentence, "\n") || strings.Contains(sentence, "panic") {
					t.Errorf("this is no sentence: %q", sentence)
				}
			}
		})
	}
	for _, parts := range partMistakes {
		if !said(assembly["PartMistakes"].errors, parts...) {
			t.Errorf("no mistake has %q", parts)
		}
	}
	for _, parts := range [][]string{{`"role/tasuki" is not the ARN of a role`}, {`"arn:aws:sns:eu-west-1:111122223333:tasuki" is not the ARN of a queue`}, {"Timeout is 0.5 s"}} {
		if !said(assembly["WrongProviders"].errors, parts...) {
			t.Errorf("no mistake has %q", parts)
		}
	}
}

// partMistakes are the parts of the sentences on the constructs of the stack
// PartMistakes, in which two providers have the first.
var partMistakes = [][]string{
	{"missing.zip", "no zip file"}, {"no Repository is given"}, {"no FunctionArn is given"}, {"Timeout is 3600 s", "900 s"},
	{`"latest" is refused`}, {`"or ders" is not the name`}, {"there is no Source"}, {"ForLambda needs an Architecture"},
	{"MemorySize is 64 MB", "128"}, {`"riscv" is not an architecture`}, {`"hub" is not the ARN of a secret`}, {`"a b" is not an image tag`}, {"VpcSubnets", "Vpc, and none is given"},
}

// TestTokens: what is known at deploy time only is handed on to where it is needed.
func TestTokens(t *testing.T) {
	s := stack(t, "Tokens")
	granted := asJSON(rendered(s.Resources[s.policyOf(t, "ordersImagePolicy")].Properties)) + asJSON(rendered(s.Resources[s.policyOf(t, "billsImagePolicy")].Properties))
	for _, want := range []string{":parameter/ref-PlainName\"", ":parameter/ref/SlashedName\""} {
		if !strings.Contains(granted, want) {
			t.Errorf("the provider's policies do not name %s: %s", want, granted)
		}
	}
	for _, id := range s.ids(customresource.TypeImage) {
		name := map[bool]string{true: "ref-PlainName", false: "/ref/SlashedName"}[strings.HasPrefix(id, "orders")]
		p := s.Resources[id].Properties
		if got := text(p["TagParameter"]) + " " + text(p["PlaceholderTag"]); got != name+" ref-Tag" {
			t.Errorf("%s has the parameter and the tag %s", id, got)
		}
	}
	for _, id := range s.ids("AWS::Events::Rule") {
		if event, _ := eventOf(t, s.Resources[id]); event.Trigger == customresource.TriggerParameter {
			handoff, _, _ := strings.Cut(id, "ParameterRule")
			name := map[string]string{"orders": "ref-PlainName", "bills": "/ref/SlashedName"}[handoff]
			if pattern := asJSON(rendered(s.Resources[id].Properties["EventPattern"])); !strings.Contains(pattern, `"name":["`+name+`"]`) {
				t.Errorf("%s waits for %s", id, pattern)
			}
			if contract := string(event.Contract); !strings.Contains(contract, `"alias":"ref-`+handoff+`Alias"`) || !strings.Contains(contract, `"tagParameter":"`+name+`"`) {
				t.Errorf("the contract of %s is %s", handoff, contract)
			}
		}
	}
	if d := s.only(t, customresource.TypeDeployment).Properties; text(d["Tag"]) != "ref-Tag" || text(d["SourceSecret"]) != "ref-CredentialsArn" {
		t.Errorf("the deployment is %v", d)
	}
}

// TestAspects: boundaries, tags and removal policies that are put on a stack reach what
// the constructs make, and hold nothing up.
func TestAspects(t *testing.T) {
	s := stack(t, "Aspects")
	for _, id := range s.ids("AWS::IAM::Role") {
		if !strings.Contains(asJSON(s.Resources[id].Properties["PermissionsBoundary"]), "PowerUserAccess") {
			t.Errorf("role %s has no boundary", id)
		}
	}
	function, f := s.function(t)
	if was, _ := stack(t, "Default").function(t); function != was {
		t.Errorf("the function's id is %s, and without aspects %s", function, was)
	}
	if !strings.Contains(asJSON(f.Properties["Tags"]), "team") {
		t.Errorf("the function's tags are %v", f.Properties["Tags"])
	}
	held(t, s)
}

// TestFeatureFlags: a stack of a new CDK program, which has flags that old ones have not,
// has the same functions and holds the same events.
func TestFeatureFlags(t *testing.T) {
	s, was := stack(t, "Flags"), stack(t, "Default")
	if is, was := providerOf(t, s), providerOf(t, was); is != was {
		t.Errorf("the provider's id is %s, and was %s", is, was)
	}
	is, _ := s.function(t)
	if was, _ := was.function(t); is != was {
		t.Errorf("the function's id is %s, and was %s", is, was)
	}
	held(t, s)
}

// held fails the test unless a stack's one event source mapping is held, and the
// provider told of it and allowed to enable it.
func held(t *testing.T, s *template) {
	t.Helper()
	id, mapping := s.onlyWithID(t, "AWS::Lambda::EventSourceMapping")
	if mapping.Properties["Enabled"] != false {
		t.Errorf("the mapping is enabled: %v", mapping.Properties["Enabled"])
	}
	told := false
	for _, rule := range s.ids("AWS::Events::Rule") {
		event, _ := eventOf(t, s.Resources[rule])
		told = told || slices.Contains(event.EventSourceMappings, "ref-"+id)
	}
	if !told || !strings.Contains(asJSON(s.statements()), `"lambda:UpdateEventSourceMapping"`) {
		t.Errorf("the provider is told of the mapping: %v", told)
	}
}

// TestNestedStack: a function in a nested stack is of that stack, not of its parent.
func TestNestedStack(t *testing.T) {
	var nested *template
	for name, s := range assembly {
		if strings.HasPrefix(name, "Nested") && strings.HasSuffix(name, ".nested") {
			nested = s
		}
	}
	if nested == nil {
		t.Fatal("there is no nested stack")
	}
	function, _ := nested.function(t)
	image := nested.only(t, customresource.TypeImage)
	if functions := asJSON(image.Properties["Functions"]); !strings.Contains(functions, function) {
		t.Errorf("the image is for %s, want %s", functions, function)
	}
	var patterns []string
	for _, id := range nested.ids("AWS::Events::Rule") {
		patterns = append(patterns, asJSON(nested.Resources[id].Properties["EventPattern"]))
	}
	if all := strings.Join(patterns, ""); !strings.Contains(all, `"stack-id":[{"Ref":"AWS::StackId"}]`) {
		t.Errorf("the rules wait for %s", all)
	}
}

// wantProperties compares a custom resource's properties with those that the provider reads.
func wantProperties(t *testing.T, r *resource, want any) {
	t.Helper()
	given := map[string]json.RawMessage{}
	for name, value := range r.Properties {
		given[name] = json.RawMessage(asJSON(rendered(value)))
	}
	var got map[string]any
	switch want.(type) {
	case customresource.Image:
		got = properties[customresource.Image](t, given)
	case customresource.Alias:
		got = properties[customresource.Alias](t, given)
	case customresource.Placeholder:
		got = properties[customresource.Placeholder](t, given)
	case customresource.Deployment:
		got = properties[customresource.Deployment](t, given)
	default:
		t.Fatalf("%T is no custom resource", want)
	}
	if a, b := asJSON(got), asJSON(customresource.Properties(want)); a != b {
		t.Errorf("the properties of %s are\n%s, want\n%s", r.Type, a, b)
	}
}

// properties parses a custom resource's properties as the provider does.
func properties[T any](t *testing.T, given map[string]json.RawMessage) map[string]any {
	t.Helper()
	var v T
	if err := customresource.Parse(given, &v); err != nil {
		t.Fatal(err)
	}
	return customresource.Properties(v)
}

// rendered returns a value with texts in place of intrinsic functions.
func rendered(v any) any {
	switch v := v.(type) {
	case []any:
		all := make([]any, len(v))
		for i, member := range v {
			all[i] = rendered(member)
		}
		return all
	case map[string]any:
		for name := range v {
			if len(v) == 1 && (name == "Ref" || strings.HasPrefix(name, "Fn::")) {
				return text(v)
			}
		}
		all := map[string]any{}
		for name, member := range v {
			all[name] = rendered(member)
		}
		return all
	}
	return v
}

func asList(v any) []any {
	all, _ := v.([]any)
	return all
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// providerOf returns the logical id of the stack's provider.
func providerOf(t *testing.T, s *template) string {
	t.Helper()
	for _, id := range s.ids("AWS::Lambda::Function") {
		if s.Resources[id].Properties["PackageType"] != "Image" && strings.HasPrefix(id, "TasukiProvider") {
			return id
		}
	}
	t.Fatal("there is no provider")
	return ""
}
