package resource

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	tests := []struct{ typeName, properties, want string }{
		{"AWS::Lambda::Function", `{"Code":{"ImageUri":{"Fn::Sub":"${R}:v1"}},"Role":{"Fn::GetAtt":["Role","Arn"]},"MemorySize":"128"}`, ""},
		{"AWS::Lambda::Function", `{"Role":"r"}`, "Properties validation failed for resource Fn with message:\n#: required key [Code] not found"},
		{"AWS::Lambda::Function", `{"Code":{},"Role":"r","Layers":[]}`, "Encountered unsupported property Layers. It is not provided by tasuki local."},
		{"AWS::Lambda::Function", `{"Code":{"ZipFile":"x"},"Role":"r"}`, "Encountered unsupported property ZipFile. It is not provided by tasuki local."},
		{"AWS::Lambda::Function", `{"Code":"x","Role":"r"}`, "Properties validation failed for resource Fn with message:\n#/Code: expected type: JSONObject, found: String"},
		{"AWS::Lambda::Function", `{"Code":{},"Role":"r","MemorySize":"big"}`, "Properties validation failed for resource Fn with message:\n#/MemorySize: expected type: Integer, found: String"},
		{"AWS::Lambda::Function", `{"Code":{},"Role":["r"]}`, "Properties validation failed for resource Fn with message:\n#/Role: expected type: String, found: JSONArray"},
		{"AWS::Lambda::Function", `{"Code":{},"Role":"r","Tags":[{"Name":"x"}]}`, "Encountered unsupported property Name. It is not provided by tasuki local."},
		{"AWS::ECR::Repository", `{"EmptyOnDelete":"perhaps"}`, "Properties validation failed for resource Fn with message:\n#/EmptyOnDelete: expected type: Boolean, found: String"},
		{"AWS::ECR::Repository", `{"RepositoryPolicyText":[]}`, "Properties validation failed for resource Fn with message:\n#/RepositoryPolicyText: expected type: JSONObject, found: JSONArray"},
		{"AWS::CDK::Metadata", `{"Anything":[1]}`, ""},
	}
	types := Types()
	for _, test := range tests {
		got := ""
		if err := types[test.typeName].Check("Fn", decoded(t, test.properties)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %s: %q, want %q", test.typeName, test.properties, got, test.want)
		}
	}
}

func decoded(t *testing.T, source string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(source))
	decoder.UseNumber()
	var properties map[string]any
	if err := decoder.Decode(&properties); err != nil {
		t.Fatal(err)
	}
	return properties
}

func TestTyped(t *testing.T) {
	got, err := Types()["AWS::Lambda::Alias"].typed("A", decoded(t, `{"Name":1,"FunctionName":"f","FunctionVersion":2.0,"RoutingConfig":{"AdditionalVersionWeights":[{"FunctionVersion":"3","FunctionWeight":"0.5"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Name": "1", "FunctionName": "f", "FunctionVersion": "2.0", "RoutingConfig": map[string]any{
		"AdditionalVersionWeights": []any{map[string]any{"FunctionVersion": "3", "FunctionWeight": json.Number("0.5")}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	for given, want := range map[string]any{`128`: int64(128), `"128"`: int64(128), `128.0`: int64(128), `1e3`: int64(1000)} {
		got, err := Types()["AWS::SQS::Queue"].typed("Q", decoded(t, `{"DelaySeconds":`+given+`}`))
		if err != nil || got["DelaySeconds"] != want {
			t.Errorf("%s is %v, %v", given, got, err)
		}
	}
}

func TestName(t *testing.T) {
	r := Request{StackID: "id", StackName: "orders", LogicalID: "Thing", Token: "1"}
	if name := r.name(64, ""); len(name) != len("orders-Thing-")+12 || !strings.HasPrefix(name, "orders-Thing-") || name != r.name(64, "") {
		t.Errorf("got %s", name)
	}
	again := r
	again.Token = "2"
	if again.name(64, "") == r.name(64, "") {
		t.Error("a replacement has the name of what it replaces")
	}
	for _, test := range []struct{ stack, id, want string }{
		{strings.Repeat("s", 100), "Thing", strings.Repeat("s", 45) + "-Thing-"},
		{"orders", strings.Repeat("i", 100), "orders-" + strings.Repeat("i", 44) + "-"},
		{strings.Repeat("s", 100), strings.Repeat("i", 100), strings.Repeat("s", 25) + "-" + strings.Repeat("i", 25) + "-"},
	} {
		r.StackName, r.LogicalID = test.stack, test.id
		if name := r.name(64, ""); len(name) != 64 || !strings.HasPrefix(name, test.want) {
			t.Errorf("%d characters: %s", len(name), name)
		}
	}
}

// FuzzTyped: whatever properties a template gives, each type takes or refuses them.
func FuzzTyped(f *testing.F) {
	types := Types()
	f.Add("AWS::Lambda::Function", `{"Code":{"ImageUri":"x"},"Role":1e400,"Tags":[{}]}`)
	f.Add("AWS::S3::Bucket", `{"LifecycleConfiguration":{"Rules":[{"Status":true,"ExpirationInDays":"1e9"}]}}`)
	f.Add("AWS::Lambda::Alias", `{"RoutingConfig":{"AdditionalVersionWeights":[{"FunctionWeight":0x1}]}}`)
	f.Fuzz(func(t *testing.T, name, source string) {
		var properties map[string]any
		decoder := json.NewDecoder(strings.NewReader(source))
		decoder.UseNumber()
		kind, known := types[name]
		if decoder.Decode(&properties) != nil || !known {
			return
		}
		typed, err := kind.typed("Thing", properties)
		if err != nil {
			return
		}
		if _, err := json.Marshal(typed); err != nil {
			t.Errorf("properties that JSON cannot hold: %v", err)
		}
	})
}
