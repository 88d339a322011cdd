package ssm

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// invalid is a request that breaks a rule which is not in the service's model.
func invalid(format string, args ...any) error {
	return wire.Errorf("ValidationException", format, args...)
}

// violation is a member that breaks its constraint in the service's model, in the
// words of every AWS service.
func violation(member string, value any, constraint string) error {
	return invalid("1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: %s", value, member, constraint)
}

// required returns a required member's value.
func required[T any](member string, value *T) (T, error) {
	if value == nil {
		var zero T
		return zero, invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
	}
	return *value, nil
}

// checkLength checks how many characters a member has.
func checkLength(member, value string, shortest, longest int) error {
	switch n := utf8.RuneCountInString(value); {
	case n < shortest:
		return violation(member, value, fmt.Sprintf("Member must have length greater than or equal to %d", shortest))
	case n > longest:
		return violation(member, value, fmt.Sprintf("Member must have length less than or equal to %d", longest))
	}
	return nil
}

// checkCount checks that a list has an element, and how many it has.
func checkCount(member string, list []string, most int) error {
	value := "[" + strings.Join(list, ", ") + "]"
	switch {
	case len(list) == 0:
		return violation(member, value, "Member must have length greater than or equal to 1")
	case len(list) > most:
		return violation(member, value, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	return nil
}

// checkEnum checks that a member is one of its enumeration's values.
func checkEnum[E ~string](member string, value E, values []E) error {
	if slices.Contains(values, value) {
		return nil
	}
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return violation(member, value, "Member must satisfy enum value set: ["+strings.Join(names, ", ")+"]")
}

// pageSize returns how many elements a page may have: most, where none is asked for.
func pageSize(asked *int32, most int) (int, error) {
	if asked == nil {
		return most, nil
	}
	switch n := int(*asked); {
	case n < 1:
		return 0, violation("maxResults", n, "Member must have value greater than or equal to 1")
	case n > most:
		return 0, violation("maxResults", n, fmt.Sprintf("Member must have value less than or equal to %d", most))
	default:
		return n, nil
	}
}
