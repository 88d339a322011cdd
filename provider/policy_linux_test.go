package provider

import (
	"maps"
	"slices"
	"strings"

	"github.com/tasuki-dev/tasuki/policy"
)

// called returns the actions that the provider needed so far. The registry's requests
// are unsigned: among them are those of the test's own pushes.
func (w *world) called() map[string]bool {
	actions := map[string]bool{}
	for _, call := range w.server.Calls().All() {
		if call.Service != "registry" && call.Principal != "provider" {
			continue
		}
		needed := call.Actions()
		if len(needed) == 0 && call.Service != "registry" {
			needed = []string{call.Name()} // that no policy has it must be seen
		}
		for _, action := range needed {
			actions[action] = true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(actions, w.played)
	return actions
}

// allowed returns the actions that statements allow.
func allowed(lists ...[]policy.Statement) map[string]bool {
	actions := map[string]bool{}
	for _, s := range slices.Concat(lists...) {
		for _, action := range s.Actions {
			actions[action] = true
		}
	}
	return actions
}

// ofAHandoff is what the constructs allow the provider for a handoff with an alias.
func ofAHandoff(mappings ...string) map[string]bool {
	return allowed(policy.Adoption(localStack), policy.Provider(
		policy.Resources{TagParameter: "tag", Repository: "repository", Functions: []string{"orders"}, Aliased: true},
		policy.ProviderOptions{Stack: localStack, Mappings: mappings},
	))
}

// wantNoMoreThan fails where the provider needed what it is not allowed.
func (w *world) wantNoMoreThan(allowed map[string]bool) {
	w.t.Helper()
	for _, action := range slices.Sorted(maps.Keys(w.called())) {
		if !allowed[action] {
			w.t.Errorf("the provider needed %s, which its policy does not allow", action)
		}
	}
}

// wantAllOf fails where the provider did not need what it is allowed, but for what is
// named.
func (w *world) wantAllOf(allowed map[string]bool, but ...string) {
	w.t.Helper()
	called := w.called()
	var idle []string
	for _, action := range slices.Sorted(maps.Keys(allowed)) {
		if !called[action] {
			idle = append(idle, action)
		}
	}
	if !slices.Equal(idle, but) {
		w.t.Errorf("the provider is allowed %s, and did not need it; want that of %s alone", strings.Join(idle, ", "), strings.Join(but, ", "))
	}
}
