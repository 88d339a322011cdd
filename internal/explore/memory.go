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
	beginning bool   // a verb looks at what it begins with
	polling   bool   // that function waits for the end of an update, and does nothing else
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
		found.beginning = found.beginning || strings.HasSuffix(frame.Function, ".readyFunction")
		own := strings.Contains(frame.Function, "explore.(*Port)") || strings.Contains(frame.Function, "explore.(*run)") || strings.Contains(frame.Function, "explore.pass")
		if !own && found.caller == "" {
			found.caller = fmt.Sprintf("%s:%d", frame.Function, frame.Line)
			found.polling = strings.HasSuffix(frame.Function, "tasuki.Reconciler.settled")
			found.resolving = strings.Contains(frame.Function, "tasuki.Resolver.")
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
	revision string // of the function or the alias, "" for none
}

// recollection is what a command still remembers of its answers.
type recollection struct {
	registered bool              // the parameter was written, and that was answered
	first      map[string]string // the images that the functions ran when a release began
	phase      string            // where the parameter was read last
	answers    map[string]answer // by operation and caller
	failures   []string          // that it was told of
}

// remember notes an answer, and forgets what it puts out of mind.
func (m *recollection) remember(command Command, op operation, at site, a answer, failed bool) {
	if m.answers == nil {
		m.answers, m.first = map[string]answer{}, map[string]string{}
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
			clear(m.first)
			m.registered = true
		}
	case readFunction.name:
		if _, known := m.first[op.function]; command.Kind == Releases && !m.registered && (at.beginning || !known) {
			m.first[op.function], _, _ = strings.Cut(a.text, " ")
		}
		if !at.resolving {
			m.answers[readFunction.name+"! "+op.function] = a
			return
		}
	case updateCode.name:
		if !failed {
			return
		}
	}
	m.answers[op.name+" "+op.function+" "+at.caller] = a
}

// revisions tells the revisions that are current from those that are not. A revision
// that is not current never becomes current again, so it does not matter which one it is.
type revisions map[string]bool

func (current revisions) name(revision string) string {
	switch {
	case revision == "":
		return ""
	case current[revision]:
		return "current"
	}
	return "outdated"
}

// key tells what is remembered.
func (m *recollection) key(b *strings.Builder, names revisions) {
	fmt.Fprintf(b, "%t %s %s\n", m.registered, m.phase, m.failures)
	for _, at := range slices.Sorted(maps.Keys(m.answers)) {
		fmt.Fprintf(b, "%s: %s %s\n", at, m.answers[at].text, names.name(m.answers[at].revision))
	}
}
