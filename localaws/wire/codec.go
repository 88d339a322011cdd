package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	smithytime "github.com/aws/smithy-go/time"
)

// Casing is how a service spells its members' first letters in JSON.
type Casing int

// The casings of AWS's JSON services.
const (
	Upper Casing = iota // as the SDK's Go fields: SSM, Lambda
	Lower               // ECR
)

var (
	timeType  = reflect.TypeFor[time.Time]()
	bytesType = reflect.TypeFor[[]byte]()
)

// Marshal encodes an output of the SDK's as its service does: nil members are left
// out, timestamps are seconds since the epoch to the millisecond, blobs are base64.
// The same output always gives the same bytes.
func Marshal(v any, casing Casing) ([]byte, error) {
	var b bytes.Buffer
	if err := encode(&b, reflect.ValueOf(v), casing); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func encode(b *bytes.Buffer, v reflect.Value, casing Casing) error {
	switch v.Type() {
	case timeType:
		b.WriteString(strconv.FormatFloat(smithytime.FormatEpochSeconds(v.Interface().(time.Time)), 'f', -1, 64))
		return nil
	case bytesType:
		b.WriteString(`"` + base64.StdEncoding.EncodeToString(v.Bytes()) + `"`)
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("null")
			return nil
		}
		return encode(b, v.Elem(), casing)
	case reflect.Struct:
		return encodeStruct(b, v, casing)
	case reflect.Map:
		b.WriteByte('{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, key, casing); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := encode(b, v.MapIndex(key), casing); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, v.Index(i), casing); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	encoded, err := json.Marshal(v.Interface())
	b.Write(encoded)
	return err
}

func encodeStruct(b *bytes.Buffer, v reflect.Value, casing Casing) error {
	b.WriteByte('{')
	first := true
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" || empty(v.Field(i)) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteString(`"` + memberName(field.Name, casing) + `":`)
		if err := encode(b, v.Field(i), casing); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// sortedKeys returns the keys of a map in order; they are strings in every service.
func sortedKeys(m reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(m.MapKeys()), func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
}

// empty reports whether a member is absent. Scalars that are not pointers are
// members with a default, which services send; enumerations have none.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	}
	return false
}

func memberName(field string, casing Casing) string {
	if casing == Upper {
		return field
	}
	r, size := utf8.DecodeRuneInString(field)
	return string(unicode.ToLower(r)) + field[size:]
}

// Unmarshal decodes a request's JSON into an input of the SDK's. Members are
// matched without regard to case; unknown ones are refused by name, because a
// member that is silently dropped is a request half done. A null is an absent member.
func Unmarshal(body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return fmt.Errorf("the request's body is not JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the request's body is not JSON: there is more behind it")
	}
	return decode(tree, reflect.ValueOf(v).Elem(), "")
}

func decode(tree any, v reflect.Value, path string) error {
	switch {
	case tree == nil:
		return nil
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(tree, v.Elem(), path)
	case v.Type() == timeType, v.Type() == bytesType:
		return decodeScalar(tree, v, path)
	}
	members, isObject := tree.(map[string]any)
	elements, isList := tree.([]any)
	switch v.Kind() {
	case reflect.Struct:
		if !isObject {
			return wrongType("body", path)
		}
		for name, member := range members {
			field := v.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
			if !field.IsValid() || !field.CanSet() {
				return fmt.Errorf("member %s%s is not known to tasuki local", path, name)
			}
			if err := decode(member, field, path+name+"."); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		if !isObject {
			return wrongType("body", path)
		}
		v.Set(reflect.MakeMapWithSize(v.Type(), len(members)))
		for name, member := range members {
			element := reflect.New(v.Type().Elem()).Elem()
			if err := decode(member, element, path+name+"."); err != nil {
				return err
			}
			v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
		}
		return nil
	case reflect.Slice:
		if !isList {
			return wrongType("body", path)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(elements), len(elements)))
		for i, element := range elements {
			if err := decode(element, v.Index(i), fmt.Sprintf("%s%d.", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return decodeScalar(tree, v, path)
}

func decodeScalar(tree any, v reflect.Value, path string) error {
	var err error
	switch v.Type() {
	case timeType:
		n, _ := tree.(json.Number) // "", which is no number, for anything else
		var seconds float64
		seconds, err = n.Float64()
		v.Set(reflect.ValueOf(smithytime.ParseEpochSeconds(seconds)))
	case bytesType:
		text, isText := tree.(string)
		if !isText {
			return wrongType("body", path)
		}
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		v.SetBytes(b)
	default:
		var encoded []byte
		if encoded, err = json.Marshal(tree); err != nil {
			return err
		}
		err = json.Unmarshal(encoded, v.Addr().Interface())
	}
	if err != nil {
		return wrongType("body", path)
	}
	return nil
}

// wrongType is the error of a member; path is "" for the whole of the request's body or form.
func wrongType(whole, path string) error {
	if path == "" {
		return fmt.Errorf("the request's %s has the wrong type", whole)
	}
	return fmt.Errorf("member %s has the wrong type", strings.TrimSuffix(path, "."))
}
