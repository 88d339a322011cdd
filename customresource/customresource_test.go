package customresource_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/customresource"
)

// resources are one of each type, with every property.
func resources() map[string]any {
	return map[string]any{
		customresource.TypeImage: customresource.Image{
			Handoff: "orders", Repository: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders", TagParameter: "lambdaImageTag", PlaceholderTag: "initial",
			Placeholder: "docker://docker.io/library/busybox:1.37", Architecture: "arm64", Nonce: "1",
			Functions: []customresource.ImageFunction{{LogicalID: "Orders", Name: "orders"}, {LogicalID: "Bills"}},
		},
		customresource.TypeAlias: customresource.Alias{Handoff: "orders", Function: "orders", Alias: "live"},
		customresource.TypePlaceholder: customresource.Placeholder{
			Handoff: "orders", Repository: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders", Tag: "initial", Source: "s3://images/a.tar", Architecture: "x86_64",
		},
		customresource.TypeDeployment: customresource.Deployment{
			Source: "docker://docker.io/library/busybox:1.37", SourceSecret: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf",
			Destination: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders", Tag: "v1", Architecture: "arm64", ForLambda: customresource.True,
		},
	}
}

// TestPropertiesArrive takes properties through a template: CloudFormation adds its own,
// and hands the rest on as it is.
func TestPropertiesArrive(t *testing.T) {
	for kind, sent := range resources() {
		given := asRequest(t, customresource.Properties(sent))
		given["ServiceToken"], given["ServiceTimeout"] = json.RawMessage(`"arn:aws:lambda:eu-west-1:111122223333:function:tasuki"`), json.RawMessage(`"360"`)
		got := reflect.New(reflect.TypeOf(sent))
		if err := customresource.Parse(given, got.Interface()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if !reflect.DeepEqual(got.Elem().Interface(), sent) {
			t.Errorf("%s: sent %+v, got %+v", kind, sent, got.Elem())
		}
	}
}

// TestPropertiesAreTexts: CloudFormation makes texts of numbers and truth values, and a
// property of another type would come back as another than it was sent.
func TestPropertiesAreTexts(t *testing.T) {
	var check func(kind string, v any)
	check = func(kind string, v any) {
		switch v := v.(type) {
		case string:
		case []any:
			for _, member := range v {
				check(kind, member)
			}
		case map[string]any:
			for _, member := range v {
				check(kind, member)
			}
		default:
			t.Errorf("%s has the property value %v, a %T", kind, v, v)
		}
	}
	for kind, sent := range resources() {
		check(kind, customresource.Properties(sent))
	}
}

func TestWrongPropertiesAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ properties, says string }{
		"of a later provider": {`{"Handoff":"orders","Color":"red"}`, "Color"},
		"a list for a text":   {`{"Handoff":["orders"]}`, "Handoff"},
		"a number":            {`{"Alias":7}`, "Alias"},
	} {
		var given map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.properties), &given); err != nil {
			t.Fatal(err)
		}
		var alias customresource.Alias
		if err := customresource.Parse(given, &alias); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want an error that names %s", name, err, test.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, sent := range resources() {
		b, err := json.Marshal(customresource.Properties(sent))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var given map[string]json.RawMessage
		if json.Unmarshal(b, &given) != nil {
			return
		}
		var image customresource.Image
		if customresource.Parse(given, &image) != nil {
			return
		}
		var again customresource.Image
		if err := customresource.Parse(asRequest(t, customresource.Properties(image)), &again); err != nil || len(again.Functions) != len(image.Functions) {
			t.Errorf("%+v came back as %+v: %v", image, again, err)
		}
	})
}

// asRequest returns properties as a request holds them.
func asRequest(tb testing.TB, properties map[string]any) map[string]json.RawMessage {
	tb.Helper()
	b, err := json.Marshal(properties)
	if err != nil {
		tb.Fatal(err)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(b, &given); err != nil {
		tb.Fatal(err)
	}
	return given
}
