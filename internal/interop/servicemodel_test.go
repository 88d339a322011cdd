//go:build interop

package interop

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serviceModel is what AWS publishes of a service, in the form that botocore and the
// AWS CLI ship it.
type serviceModel struct {
	Metadata struct {
		Protocol, TargetPrefix, JSONVersion string
	}
	Operations map[string]operationModel
	Shapes     map[string]shapeModel
}

type operationModel struct {
	HTTP struct {
		Method, RequestURI string
		ResponseCode       int
	}
	Input, Output struct{ Shape, ResultWrapper string }
	Errors        []struct{ Shape string }
}

type shapeModel struct {
	Type       string
	Members    map[string]memberModel
	Required   []string
	Payload    string
	Enum       []string
	Member     memberModel // of a list
	Key, Value memberModel // of a map
	Error      struct{ Code string }

	TimestampFormat string
}

type memberModel struct {
	Shape, Location, LocationName string
	TimestampFormat               string
}

// wireName is what a member is called in a request or an answer.
func (m memberModel) wireName(name string) string {
	if m.LocationName != "" {
		return m.LocationName
	}
	return name
}

// modelFolder returns the folder of the models that the installed AWS CLI works by,
// wherever its packager put them.
func modelFolder() (string, error) {
	program, err := exec.LookPath("aws")
	if err != nil {
		return "", fmt.Errorf("the AWS CLI is not installed: %w", err)
	}
	// Version 2 as AWS packs it: beside the program.
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		if folder := filepath.Join(filepath.Dir(resolved), "awscli", "botocore", "data"); isFolder(folder) {
			return folder, nil
		}
	}
	// As a Python package: version 2 has botocore in it, version 1 beside it.
	const ask = "import importlib, os\n" +
		"for name in ('awscli.botocore', 'botocore'):\n" +
		"    try: print(os.path.join(os.path.dirname(importlib.import_module(name).__file__), 'data')); break\n" +
		"    except ImportError: pass"
	out, err := exec.Command("python3", "-c", ask).Output()
	if folder := strings.TrimSpace(string(out)); err == nil && isFolder(folder) {
		return folder, nil
	}
	return "", fmt.Errorf("the AWS CLI is %s, and its service models are neither beside it nor where python3 finds botocore: install the package awscli with the python3 of this PATH", program)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return path != "" && err == nil && info.IsDir()
}

// readModel reads the newest model of a service.
func readModel(t *testing.T, service string) *serviceModel {
	t.Helper()
	folder, err := modelFolder()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(folder, service, "*", "service-2.json*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no model of %s: %v", folder, service, err)
	}
	path := slices.Max(paths) // versions are dates
	t.Logf("the model of %s is %s", service, path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	model := new(serviceModel)
	if err := json.NewDecoder(r).Decode(model); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return model
}

// errorCodes returns what an operation's errors are called on the wire.
func (m *serviceModel) errorCodes(operation string) []string {
	var codes []string
	for _, e := range m.Operations[operation].Errors {
		code := e.Shape
		if given := m.Shapes[e.Shape].Error.Code; given != "" {
			code = given
		}
		codes = append(codes, code)
	}
	return codes
}

// variant is a valid input with one thing wrong.
type variant struct {
	what  string
	input map[string]any
}

// broken returns the input without each of its required members, and with nonsense
// in each of its enumerations. What stands in the path cannot be left out: the path
// would be another operation's.
func (m *serviceModel) broken(shape string, input map[string]any) []variant {
	var variants []variant
	m.visit(shape, input, "", func(holder map[string]any, name, path string, member memberModel, required bool) {
		value := holder[name]
		if required && member.Location != "uri" {
			delete(holder, name)
			variants = append(variants, variant{"without " + path, clone(input)})
			holder[name] = value
		}
		if _, isString := value.(string); isString && len(m.Shapes[member.Shape].Enum) > 0 {
			holder[name] = "Nonsense"
			variants = append(variants, variant{"with nonsense as " + path, clone(input)})
			holder[name] = value
		}
	})
	return variants
}

// visit calls do with every member of every structure in an input.
func (m *serviceModel) visit(shape string, value any, path string, do func(holder map[string]any, name, path string, member memberModel, required bool)) {
	s := m.Shapes[shape]
	switch value := value.(type) {
	case map[string]any:
		if s.Type == "map" {
			for key, element := range value {
				m.visit(s.Value.Shape, element, path+key+".", do)
			}
			return
		}
		for _, name := range slices.Sorted(maps.Keys(value)) {
			do(value, name, path+name, s.Members[name], slices.Contains(s.Required, name))
			m.visit(s.Members[name].Shape, value[name], path+name+".", do)
		}
	case []any:
		for i, element := range value {
			m.visit(s.Member.Shape, element, fmt.Sprintf("%s%d.", path, i), do)
		}
	}
}

// clone returns a copy of JSON's object, all the way down.
func clone(object map[string]any) map[string]any {
	b, err := json.Marshal(object)
	if err != nil {
		panic(err) // it comes from JSON
	}
	var copied map[string]any
	if err := json.Unmarshal(b, &copied); err != nil {
		panic(err)
	}
	return copied
}

// check returns what an answer's JSON has that the shape has not.
func (m *serviceModel) check(shape string, value any, path string) error {
	s, found := m.Shapes[shape]
	if !found {
		return fmt.Errorf("%s: the model has no shape %s", path, shape)
	}
	wrong := func() error { return fmt.Errorf("%s is %T (%v), and a %s in the model", path, value, value, s.Type) }
	var errs []error
	switch s.Type {
	case "structure":
		object, ok := value.(map[string]any)
		if !ok {
			return wrong()
		}
		for key, element := range object {
			member, found := m.answered(s, key)
			if !found {
				errs = append(errs, fmt.Errorf("%s.%s is not in the model", path, key))
				continue
			}
			errs = append(errs, m.checkMember(member, element, path+"."+key))
		}
		for _, name := range s.Required {
			if member := s.Members[name]; member.Location == "" && object[member.wireName(name)] == nil {
				errs = append(errs, fmt.Errorf("%s.%s is required, and missing", path, name))
			}
		}
	case "list":
		list, ok := value.([]any)
		if !ok {
			return wrong()
		}
		for i, element := range list {
			errs = append(errs, m.check(s.Member.Shape, element, fmt.Sprintf("%s[%d]", path, i)))
		}
	case "map":
		object, ok := value.(map[string]any)
		if !ok {
			return wrong()
		}
		for key, element := range object {
			errs = append(errs, m.check(s.Key.Shape, key, path+" key"), m.check(s.Value.Shape, element, path+"."+key))
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			return wrong()
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
			return fmt.Errorf("%s is %q, which is not one of %v", path, text, s.Enum)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			return wrong()
		}
	case "integer", "long":
		if n, ok := value.(float64); !ok || n != math.Trunc(n) {
			return wrong()
		}
	case "float", "double":
		if _, ok := value.(float64); !ok {
			return wrong()
		}
	case "blob":
		text, ok := value.(string)
		if _, err := base64.StdEncoding.DecodeString(text); !ok || err != nil {
			return wrong()
		}
	case "timestamp":
		return m.check(timestampShape(m, s.TimestampFormat), value, path)
	default:
		return fmt.Errorf("%s is a %s, which this test does not know", path, s.Type)
	}
	return errors.Join(errs...)
}

// checkMember checks a member, whose timestamp may have a format of its own.
func (m *serviceModel) checkMember(member memberModel, value any, path string) error {
	if m.Shapes[member.Shape].Type == "timestamp" && member.TimestampFormat != "" {
		return m.check(timestampShape(m, member.TimestampFormat), value, path)
	}
	return m.check(member.Shape, value, path)
}

// timestampShape returns the shape that a timestamp has in JSON: seconds, unless its
// format says otherwise.
func timestampShape(m *serviceModel, format string) string {
	name, kind := "tasuki.seconds", "double"
	if format == "iso8601" || format == "rfc822" {
		name, kind = "tasuki.date", "string"
	}
	m.Shapes[name] = shapeModel{Type: kind}
	return name
}

// answered returns the member that an answer calls by a name.
func (m *serviceModel) answered(s shapeModel, wireName string) (memberModel, bool) {
	for name, member := range s.Members {
		if member.Location == "" && member.wireName(name) == wireName {
			return member, true
		}
	}
	return memberModel{}, false
}

// form adds an input to a form of the query protocol.
func (m *serviceModel) form(shape string, value any, path string, form url.Values) {
	s := m.Shapes[shape]
	within := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			m.form(s.Members[name].Shape, member, within(s.Members[name].wireName(name)), form)
		}
	case []any:
		for i, element := range value {
			m.form(s.Member.Shape, element, within(fmt.Sprintf("member.%d", i+1)), form)
		}
	default:
		form.Set(path, fmt.Sprint(value))
	}
}

// element is an element of an answer in XML.
type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Elements []element `xml:",any"`
}

// fromXML returns what an element says, as it would stand in JSON.
func (m *serviceModel) fromXML(shape string, e element) (any, error) {
	s := m.Shapes[shape]
	switch s.Type {
	case "structure":
		object := map[string]any{}
		for _, child := range e.Elements {
			name := child.XMLName.Local
			member, found := m.answered(s, name)
			if !found {
				return nil, fmt.Errorf("%s.%s is not in the model", shape, name)
			}
			var err error
			if object[name], err = m.fromXML(member.Shape, child); err != nil {
				return nil, err
			}
		}
		return object, nil
	case "list":
		list := []any{}
		for _, child := range e.Elements {
			value, err := m.fromXML(s.Member.Shape, child)
			if err != nil || child.XMLName.Local != "member" {
				return nil, fmt.Errorf("an element of %s is called %s: %w", shape, child.XMLName.Local, err)
			}
			list = append(list, value)
		}
		return list, nil
	case "boolean":
		return strconv.ParseBool(e.Text)
	case "integer", "long", "float", "double":
		return strconv.ParseFloat(e.Text, 64)
	case "timestamp":
		at, err := time.Parse(time.RFC3339, e.Text)
		return float64(at.UnixMilli()) / 1000, err
	}
	return e.Text, nil
}
