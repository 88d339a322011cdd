package cloudformation

import (
	"slices"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/resource"
	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

// typeOf returns a type of resource by its name, and whether it is provided.
func (s *Service) typeOf(name string) (resource.Type, bool) {
	if kind, found := s.o.Types[name]; found {
		return kind, true
	}
	if isCustom(name) {
		return resource.Custom(), true
	}
	return resource.Type{}, false
}

// typeFor is typeOf for the type of a resource that was accepted once.
func (s *Service) typeFor(name string) resource.Type {
	kind, _ := s.typeOf(name)
	return kind
}

// checkProperties checks what a template gives a resource.
func (s *Service) checkProperties(id string, written template.Resource) error {
	if err := s.typeFor(written.Type).Check(id, written.Properties); err != nil {
		return &refusedResource{invalid("%s", err), id, written.Type}
	}
	return nil
}

// refusedResource is the error for a resource whose properties are wrong.
type refusedResource struct {
	error
	id, typeName string
}

// Unwrap returns the error as CloudFormation answers it.
func (r *refusedResource) Unwrap() error { return r.error }

// replaces reports whether a property's change replaces the resource.
func replaces(kind resource.Type, name string) bool { return slices.Contains(kind.CreateOnly, name) }

// replacing returns the properties that replace a resource by their change.
func replacing(kind resource.Type, before, after values) (changed []string) {
	for _, name := range kind.CreateOnly {
		if !same(before[name], after[name]) {
			changed = append(changed, name)
		}
	}
	return changed
}

// keepsName returns the name that a template gives to a resource, where a new one would
// have the same: the two cannot be there together.
func keepsName(kind resource.Type, live deployed, after values, changed []string) (name string, keeps bool) {
	for _, property := range kind.CreateOnly {
		if given := after[property]; given == live.PhysicalID && !slices.Contains(changed, property) {
			return live.PhysicalID, true
		}
	}
	return "", false
}

// takesTags reports whether a resource of a type has the stack's tags.
func takesTags(kind resource.Type) bool {
	_, takes := kind.Properties["Tags"]
	return takes
}
