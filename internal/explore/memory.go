package explore

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// site is where in the code an operation was called.
type site struct {
	stack     string // the whole stack of its goroutine
	caller    string // the function that called the port
	resolving bool   // that function resolves, and does not yet act
}

// sites finds call sites, and remembers those that it has found.
type sites struct {
	mu    sync.Mutex
	found map[[32]uintptr]site
}

// here returns the site of the operation that is being called.
func (s *sites) here() site {
	var pcs [32]uintptr
	n := runtime.Callers(2, pcs[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, known := s.found[pcs]; known {
		return found
	}
	found := site{stack: fmt.Sprintf("%x", pcs[:n])}
	for frames := runtime.CallersFrames(pcs[:n]); ; {
		frame, more := frames.Next()
		own := strings.Contains(frame.Function, "explore.(*Port)") || strings.Contains(frame.Function, "explore.(*run)") || strings.Contains(frame.Function, "explore.pass")
		if !own {
			found.caller = fmt.Sprintf("%s:%d", frame.Function, frame.Line)
			found.resolving = strings.Contains(frame.Function, "tasuki.Resolver.")
			break
		}
		if !more {
			break
		}
	}
	s.found[pcs] = found
	return found
}

// answer is what an operation was answered.
type answer struct {
	text     string
	revision string // of the function, "" for none
}

// recollection is what a command still remembers of its answers.
type recollection struct {
	registered bool              // the parameter was written, and that was answered
	first      string            // the image that the function ran when a release began
	phase      string            // where the parameter was read last
	answers    map[string]answer // by operation and caller
	failures   []string          // that it was told of
}

// remember notes an answer, and forgets what it puts out of mind.
func (m *recollection) remember(command Command, op operation, at site, a answer, failed bool) {
	if m.answers == nil {
		m.answers = map[string]answer{}
	}
	if failed {
		failure := op.name + " " + a.text
		if !slices.Contains(m.failures, failure) {
			m.failures = append(m.failures, failure)
			slices.Sort(m.failures)
		}
	}
	switch op.name {
	case readTag.name:
		m.phase = at.stack
		if m.registered || command.Kind == Reconciles {
			maps.DeleteFunc(m.answers, func(key string, _ answer) bool { return !strings.HasPrefix(key, readTag.name) })
		}
	case writeTag.name:
		if !failed {
			clear(m.answers)
			m.first, m.registered = "", true
		}
	case readFunction.name:
		if m.first == "" && command.Kind == Releases && !m.registered {
			m.first, _, _ = strings.Cut(a.text, " ")
		}
		if !at.resolving {
			maps.DeleteFunc(m.answers, func(key string, _ answer) bool { return strings.HasPrefix(key, readFunction.name+"!") })
			m.answers[readFunction.name+"!"] = a
			return
		}
	case updateCode.name:
		if !failed {
			return
		}
	}
	m.answers[op.name+" "+at.caller] = a
}

// revisions names revisions by the order in which they are met.
type revisions map[string]int

func (r revisions) name(revision string) int {
	if revision == "" {
		return 0
	}
	if _, known := r[revision]; !known {
		r[revision] = len(r) + 1
	}
	return r[revision]
}

// key tells what is remembered.
func (m *recollection) key(b *strings.Builder, names revisions) {
	fmt.Fprintf(b, "%t %s %s %s\n", m.registered, m.first, m.phase, m.failures)
	for _, at := range slices.Sorted(maps.Keys(m.answers)) {
		fmt.Fprintf(b, "%s: %s %d\n", at, m.answers[at].text, names.name(m.answers[at].revision))
	}
}
