package wire

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Checked returns f behind [Check].
func Checked[In, Out any](f func(context.Context, *In) (*Out, error), required ...string) func(context.Context, *In) (*Out, error) {
	return func(ctx context.Context, in *In) (*Out, error) {
		if err := Check(in, required...); err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
}

// Check checks an input of the SDK's as the services' own front end does: that it has
// the required members, and that its enumerations have values of theirs. A member of
// a member is named with a dot, as in "Targets.Id", and is required of every element
// of a list.
func Check(in any, required ...string) error {
	v := reflect.ValueOf(in).Elem()
	for _, path := range required {
		if at, absent := lacking(v, strings.Split(path, "."), ""); absent {
			return Errorf("ValidationException", "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", at)
		}
	}
	return checkEnums(v, "")
}

// lacking returns the first place under v where the member of a path is absent. What
// is in a member that is itself absent is not required.
func lacking(v reflect.Value, path []string, at string) (string, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return at, false
		}
		return lacking(v.Elem(), path, at)
	case reflect.Slice:
		for i := range v.Len() {
			if at, absent := lacking(v.Index(i), path, fmt.Sprintf("%s.%d.member", at, i+1)); absent {
				return at, true
			}
		}
		return at, false
	}
	field := v.FieldByName(path[0])
	if !field.IsValid() {
		panic(fmt.Sprintf("%s has no member %s", v.Type(), path[0])) // a mistake in a table of operations
	}
	at = within(at, path[0])
	if len(path) == 1 {
		return at, empty(field)
	}
	return lacking(field, path[1:], at)
}

func within(at, member string) string {
	r, size := utf8.DecodeRuneInString(member)
	return strings.TrimPrefix(at+"."+string(unicode.ToLower(r))+member[size:], ".")
}

// checkEnums checks every enumeration in v: the SDK's types list their values.
func checkEnums(v reflect.Value, at string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return checkEnums(v.Elem(), at)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return nil
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				if err := checkEnums(v.Field(i), within(at, field.Name)); err != nil {
					return err
				}
			}
		}
	case reflect.Slice:
		if v.Type() == bytesType {
			return nil
		}
		for i := range v.Len() {
			if err := checkEnums(v.Index(i), fmt.Sprintf("%s.%d.member", at, i+1)); err != nil {
				return err
			}
		}
	case reflect.String:
		return checkEnum(v, at)
	}
	return nil
}

func checkEnum(v reflect.Value, at string) error {
	values := v.MethodByName("Values")
	if !values.IsValid() || v.Len() == 0 {
		return nil
	}
	known := values.Call(nil)[0]
	names := make([]string, known.Len())
	for i := range names {
		if names[i] = known.Index(i).String(); names[i] == v.String() {
			return nil
		}
	}
	return Errorf("ValidationException", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", v.String(), at, strings.Join(names, ", "))
}
