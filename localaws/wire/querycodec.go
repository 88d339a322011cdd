package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	smithytime "github.com/aws/smithy-go/time"
)

// In awsQuery's forms and answers the elements of a list are called "member", and
// those of a map "entry", with "key" and "value". Services that call them otherwise
// (EC2, SQS) are not provided.

// deepestForm bounds how deep a form's members lie: AWS's lie 6 deep at most.
const deepestForm = 32

// encodeElement writes an output of the SDK's as an XML element: nil members are left
// out, timestamps are of ISO 8601 to the millisecond, blobs are base64.
func encodeElement(b *bytes.Buffer, name string, v any) error {
	return encodeXML(b, name, reflect.ValueOf(v))
}

func encodeXML(b *bytes.Buffer, name string, v reflect.Value) error {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	b.WriteString("<" + name + ">")
	if err := encodeContent(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.WriteString("</" + name + ">")
	return nil
}

func encodeContent(b *bytes.Buffer, v reflect.Value) error {
	switch v.Type() {
	case timeType:
		b.WriteString(v.Interface().(time.Time).UTC().Format("2006-01-02T15:04:05.000Z"))
		return nil
	case bytesType:
		b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Name == "ResultMetadata" || empty(v.Field(i)) {
				continue
			}
			if err := encodeXML(b, field.Name, v.Field(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		for i := range v.Len() {
			if err := encodeXML(b, "member", v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			b.WriteString("<entry>")
			if err := encodeXML(b, "key", key); err != nil {
				return err
			}
			if err := encodeXML(b, "value", v.MapIndex(key)); err != nil {
				return err
			}
			b.WriteString("</entry>")
		}
		return nil
	case reflect.String:
		return xml.EscapeText(b, []byte(v.String()))
	case reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		fmt.Fprint(b, v.Interface())
		return nil
	}
	return fmt.Errorf("a %s has no form in XML", v.Type())
}

// formNode is a member of a form: a value, or members of its own.
type formNode struct {
	value   *string
	members map[string]*formNode
}

// UnmarshalForm decodes a request's form into an input of the SDK's. Unknown members
// are refused by name, as [Unmarshal] does.
func UnmarshalForm(body []byte, v any) error {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return fmt.Errorf("the request's body is not a form: %w", err)
	}
	root := new(formNode)
	for name, values := range form {
		if name == "Action" || name == "Version" {
			continue
		}
		if len(values) > 1 {
			return fmt.Errorf("member %s is given more than once", name)
		}
		parts := strings.Split(name, ".")
		if len(parts) > deepestForm {
			return errors.New("the request's form is nested too deep")
		}
		node := root
		for _, part := range parts {
			if node.members == nil {
				node.members = map[string]*formNode{}
			}
			if node.members[part] == nil {
				node.members[part] = new(formNode)
			}
			node = node.members[part]
		}
		node.value = &values[0]
	}
	return decodeForm(root, reflect.ValueOf(v).Elem(), "")
}

func decodeForm(node *formNode, v reflect.Value, path string) error {
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeForm(node, v.Elem(), path)
	case v.Type() == timeType, v.Type() == bytesType:
		return decodeFormScalar(node, v, path)
	case v.Kind() == reflect.Struct:
		if node.value != nil {
			return wrongType("form", path)
		}
		for name, member := range node.members {
			field := v.FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) }) // the model of STS has a member "arn"
			if !field.IsValid() || !field.CanSet() {
				return fmt.Errorf("member %s%s is not known to tasuki local", path, name)
			}
			if err := decodeForm(member, field, path+name+"."); err != nil {
				return err
			}
		}
		return nil
	case v.Kind() == reflect.Slice:
		return decodeFormList(node, v, path)
	case v.Kind() == reflect.Map:
		return decodeFormMap(node, v, path)
	}
	return decodeFormScalar(node, v, path)
}

// numbered returns a list's nodes, which are numbered from 1 under the name given. An
// empty list is sent as its name with an empty value.
func numbered(node *formNode, name, path string) ([]*formNode, error) {
	if node.value != nil {
		if *node.value != "" || len(node.members) > 0 {
			return nil, wrongType("form", path)
		}
		return nil, nil
	}
	if len(node.members) != 1 || node.members[name] == nil || node.members[name].value != nil {
		return nil, wrongType("form", path)
	}
	elements := node.members[name].members
	list := make([]*formNode, len(elements))
	for i := range list {
		if list[i] = elements[strconv.Itoa(i+1)]; list[i] == nil {
			return nil, fmt.Errorf("the elements of %s are not numbered from 1", strings.TrimSuffix(path, "."))
		}
	}
	return list, nil
}

func decodeFormList(node *formNode, v reflect.Value, path string) error {
	list, err := numbered(node, "member", path)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
	for i, element := range list {
		if err := decodeForm(element, v.Index(i), fmt.Sprintf("%smember.%d.", path, i+1)); err != nil {
			return err
		}
	}
	return nil
}

func decodeFormMap(node *formNode, v reflect.Value, path string) error {
	entries, err := numbered(node, "entry", path)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(entries)))
	for i, entry := range entries {
		path := fmt.Sprintf("%sentry.%d.", path, i+1)
		if entry.members["key"] == nil || entry.members["key"].value == nil || entry.members["value"] == nil || len(entry.members) != 2 {
			return wrongType("form", path)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := decodeForm(entry.members["value"], element, path+"value."); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(*entry.members["key"].value).Convert(v.Type().Key()), element)
	}
	return nil
}

func decodeFormScalar(node *formNode, v reflect.Value, path string) error {
	if node.value == nil || len(node.members) > 0 {
		return wrongType("form", path)
	}
	text := *node.value
	var err error
	switch {
	case v.Type() == timeType:
		var at time.Time
		at, err = smithytime.ParseDateTime(text)
		v.Set(reflect.ValueOf(at))
	case v.Type() == bytesType:
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		v.SetBytes(b)
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	case v.CanFloat():
		var n float64
		n, err = strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(n)
	default:
		return fmt.Errorf("member %s is not known to tasuki local", strings.TrimSuffix(path, "."))
	}
	if err != nil {
		return wrongType("form", path)
	}
	return nil
}
