// Package fault lets a test, or a person who rehearses, make the local endpoint
// fail: at the n-th call of an operation, in a way that AWS fails.
package fault

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Kind is a way to fail.
type Kind string

// The ways to fail.
const (
	Error      Kind = "error"       // 500, nothing done
	Throttle   Kind = "throttle"    // the service's throttling error, nothing done
	Denied     Kind = "denied"      // AccessDeniedException, nothing done
	Timeout    Kind = "timeout"     // no answer until the client hangs up, nothing done
	LostAnswer Kind = "lost-answer" // done, but the connection breaks before the answer
	Stale      Kind = "stale"       // a read answers what was there before the last write
)

// Rule makes calls fail.
type Rule struct {
	Operation string // as in "ssm:GetParameter"; '*' matches within a part
	Kind      Kind
	Nth       int // the first matching call that fails, from 1; 0 means 1
	Times     int // how many matching calls fail from there; 0 means all
}

// ParseRule reads "OPERATION=KIND", with "@N" for the N-th call only, or "@N+" for
// the N-th and all later ones, as in "ssm:GetParameter=throttle@2".
func ParseRule(s string) (Rule, error) {
	operation, kind, _ := strings.Cut(s, "=")
	if service, name, _ := strings.Cut(operation, ":"); service == "" || name == "" || kind == "" {
		return Rule{}, fmt.Errorf("%q is not a fault: give it as SERVICE:OPERATION=KIND[@N], as in ssm:GetParameter=throttle@2", s)
	}
	// A pattern that is malformed never matches, and its fault would never strike.
	if _, err := path.Match(operation, ""); err != nil {
		return Rule{}, fmt.Errorf("%q is not a pattern of operations: write it as in ssm:Get*", operation)
	}
	rule := Rule{Operation: operation}
	kind, nth, counted := strings.Cut(kind, "@")
	if counted {
		rule.Times = 1
		if strings.HasSuffix(nth, "+") {
			rule.Times, nth = 0, strings.TrimSuffix(nth, "+")
		}
		n, err := strconv.ParseUint(nth, 10, 31)
		if err != nil || n < 1 {
			return Rule{}, fmt.Errorf("%q is not a fault: what stands behind '@' counts calls from 1", s)
		}
		rule.Nth = int(n)
	}
	switch rule.Kind = Kind(kind); rule.Kind {
	case Error, Throttle, Denied, Timeout, LostAnswer, Stale:
		return rule, nil
	}
	return Rule{}, fmt.Errorf("%q is not a kind of fault: it is error, throttle, denied, timeout, lost-answer or stale", kind)
}

// Plan holds the rules in force. The zero Plan has none.
type Plan struct {
	mu    sync.Mutex
	rules []*counted
}

type counted struct {
	Rule
	seen int
}

// Add puts a rule in force; its count begins now.
func (p *Plan) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &counted{Rule: r})
	}
}

// Clear removes all rules.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Next counts a call of operation with every rule that matches it, and returns how
// the call is to fail, or "".
func (p *Plan) Next(operation string) Kind {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kind Kind
	for _, r := range p.rules {
		if matched, err := path.Match(r.Operation, operation); err != nil || !matched {
			continue
		}
		r.seen++
		first := max(r.Nth, 1)
		if kind == "" && r.seen >= first && (r.Times == 0 || r.seen < first+r.Times) {
			kind = r.Kind
		}
	}
	return kind
}

type staleKey struct{}

// WithStale marks ctx as one of a call whose reads must be stale.
func WithStale(ctx context.Context) context.Context {
	return context.WithValue(ctx, staleKey{}, true)
}

// IsStale reports whether reads under ctx must be stale.
func IsStale(ctx context.Context) bool { return ctx.Value(staleKey{}) != nil }
