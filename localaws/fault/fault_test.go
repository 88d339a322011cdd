package fault_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/fault"
)

func TestParseRule(t *testing.T) {
	tests := []struct {
		in   string
		want fault.Rule
		err  string
	}{
		{"ssm:GetParameter=throttle", fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Throttle}, ""},
		{"ssm:GetParameter=throttle@2", fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Throttle, Nth: 2, Times: 1}, ""},
		{"ssm:GetParameter=throttle@2+", fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Throttle, Nth: 2}, ""},
		{"ssm:*=error", fault.Rule{Operation: "ssm:*", Kind: fault.Error}, ""},
		{"*:*=denied@1", fault.Rule{Operation: "*:*", Kind: fault.Denied, Nth: 1, Times: 1}, ""},
		{"lambda:Update*=lost-answer", fault.Rule{Operation: "lambda:Update*", Kind: fault.LostAnswer}, ""},
		{"ecr:[BP]*Image=timeout", fault.Rule{Operation: "ecr:[BP]*Image", Kind: fault.Timeout}, ""},
		{"ssm:GetParameter=stale", fault.Rule{Operation: "ssm:GetParameter", Kind: fault.Stale}, ""},
		{"", fault.Rule{}, "is not a fault"},
		{"ssm:GetParameter", fault.Rule{}, "is not a fault"},
		{"GetParameter=error", fault.Rule{}, "is not a fault"},
		{"ssm:GetParameter=", fault.Rule{}, "is not a fault"},
		{"ssm:GetParameter=slow", fault.Rule{}, `"slow" is not a kind of fault`},
		{"ssm:GetParameter=error@", fault.Rule{}, "counts calls from 1"},
		{"ssm:GetParameter=error@0", fault.Rule{}, "counts calls from 1"},
		{"ssm:GetParameter=error@-1", fault.Rule{}, "counts calls from 1"},
		{"ssm:GetParameter=error@+", fault.Rule{}, "counts calls from 1"},
		{"ssm:GetParameter=error@+2", fault.Rule{}, "counts calls from 1"},
		{"ssm:GetParameter=error@2++", fault.Rule{}, "counts calls from 1"},
		{"ssm:Get[=error", fault.Rule{}, "is not a pattern"},
		{"ssm:=error", fault.Rule{}, "is not a fault"},
		{":GetParameter=error", fault.Rule{}, "is not a fault"},
	}
	for _, test := range tests {
		t.Run(test.in, func(t *testing.T) {
			got, err := fault.ParseRule(test.in)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %+v, %v, want an error with %q", got, err, test.err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// A rule that is accepted must be one that can strike.
func FuzzParseRule(f *testing.F) {
	for _, seed := range []string{"ssm:GetParameter=throttle@2", "*:*=error@1+", "a:[=stale", "=", ":=@", `s:\a=timeout`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rule, err := fault.ParseRule(s)
		if err != nil {
			if rule != (fault.Rule{}) {
				t.Fatalf("%q gave %+v and an error", s, rule)
			}
			return
		}
		again := fmt.Sprintf("%s=%s", rule.Operation, rule.Kind)
		if rule.Nth > 0 {
			again += fmt.Sprintf("@%d", rule.Nth)
			if rule.Times == 0 {
				again += "+"
			}
		}
		if got, err := fault.ParseRule(again); err != nil || got != rule {
			t.Fatalf("%q became %q and then %+v, %v", s, again, got, err)
		}
		var plan fault.Plan
		plan.Add(rule)
		if kind := plan.Next("no:such"); kind != "" && !strings.ContainsAny(rule.Operation, `*?[\`) && rule.Operation != "no:such" {
			t.Fatalf("%q strikes another operation", s)
		}
	})
}

func TestNext(t *testing.T) {
	const none = fault.Kind("")
	tests := []struct {
		name  string
		rules []string
		calls string // operations, separated by spaces
		want  []fault.Kind
	}{
		{"no rules", nil, "ssm:A", []fault.Kind{none}},
		{"every call", []string{"ssm:A=error"}, "ssm:A ssm:B ssm:A", []fault.Kind{fault.Error, none, fault.Error}},
		{"the second call", []string{"ssm:A=error@2"}, "ssm:A ssm:B ssm:A ssm:A", []fault.Kind{none, none, fault.Error, none}},
		{"from the second call", []string{"ssm:A=error@2+"}, "ssm:A ssm:A ssm:A", []fault.Kind{none, fault.Error, fault.Error}},
		{"counted over operations", []string{"ssm:*=error@2"}, "ssm:A ecr:A ssm:B ssm:C", []fault.Kind{none, none, fault.Error, none}},
		{"the first rule wins, and all count", []string{"ssm:A=stale@1", "ssm:*=error@1", "ssm:A=throttle@2"}, "ssm:A ssm:A ssm:A", []fault.Kind{fault.Stale, fault.Throttle, none}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var plan fault.Plan
			for _, s := range test.rules {
				rule, err := fault.ParseRule(s)
				if err != nil {
					t.Fatal(err)
				}
				plan.Add(rule)
			}
			var got []fault.Kind
			for _, call := range strings.Fields(test.calls) {
				got = append(got, plan.Next(call))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	var plan fault.Plan
	plan.Add(fault.Rule{Operation: "ssm:A", Kind: fault.Throttle, Times: 2})
	for i, want := range []fault.Kind{fault.Throttle, fault.Throttle, ""} {
		if got := plan.Next("ssm:A"); got != want {
			t.Errorf("call %d: got %q, want %q", i+1, got, want)
		}
	}
	plan.Add(fault.Rule{Operation: "ssm:A", Kind: fault.Error})
	plan.Clear()
	if got := plan.Next("ssm:A"); got != "" {
		t.Errorf("after Clear: got %q", got)
	}
}

// However many callers there are, the rule strikes exactly as often as it says.
func TestNextIsCountedOnce(t *testing.T) {
	var plan fault.Plan
	plan.Add(fault.Rule{Operation: "ssm:A", Kind: fault.Error, Nth: 10, Times: 5})
	var struck sync.Map
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			if plan.Next("ssm:A") == fault.Error {
				struck.Store(i, true)
			}
		})
	}
	group.Wait()
	n := 0
	struck.Range(func(any, any) bool { n++; return true })
	if n != 5 {
		t.Errorf("struck %d times, want 5", n)
	}
}

func TestStale(t *testing.T) {
	if fault.IsStale(t.Context()) {
		t.Error("a plain context is stale")
	}
	if !fault.IsStale(fault.WithStale(t.Context())) {
		t.Error("a stale context is not")
	}
}
