package wire_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func TestMarshal(t *testing.T) {
	type inner struct {
		Blob []byte
		Tags map[string]string
	}
	at := time.Date(2024, 2, 29, 12, 30, 15, 123456789, time.UTC)
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nothing", &ssm.GetParameterOutput{}, `{}`},
		{"a scalar has a default, an enumeration has none", &ssm.PutParameterOutput{}, `{"Version":0}`},
		{"empty and absent lists", &ssm.GetParametersOutput{InvalidParameters: []string{}}, `{"InvalidParameters":[]}`},
		{"time to the millisecond", &ssm.GetParameterOutput{Parameter: &types.Parameter{LastModifiedDate: &at}}, `{"Parameter":{"LastModifiedDate":1709209815.123,"Version":0}}`},
		{"escapes", &inner{Tags: map[string]string{"q\"\\": "\x00\n\u2028é\U0001f600"}}, `{"Tags":{"q\"\\":"\u0000\n\u2028é😀"}}`},
		{"blob", &inner{Blob: []byte("\xff\xfe?")}, `{"Blob":"//4/"}`},
		{"sorted keys", &inner{Tags: map[string]string{"c": "3", "a": "1", "b": "2", "A": "0"}}, `{"Tags":{"A":"0","a":"1","b":"2","c":"3"}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := wire.Marshal(test.in, wire.Upper)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	got, err := wire.Marshal(&ecr.GetAuthorizationTokenInput{RegistryIds: []string{"1"}}, wire.Lower)
	if want := `{"registryIds":["1"]}`; err != nil || string(got) != want {
		t.Errorf("lower casing: got %s, %v, want %s", got, err, want)
	}
}

func TestMarshalRefusesWhatJSONCannotSay(t *testing.T) {
	if b, err := wire.Marshal(&struct{ N float64 }{math.NaN()}, wire.Upper); err == nil {
		t.Errorf("got %s, want an error", b)
	}
}

func TestUnmarshal(t *testing.T) {
	tests := []struct {
		name, body string
		want       *ssm.PutParameterInput
		err        string
	}{
		{"empty", " ", &ssm.PutParameterInput{}, ""},
		{"members", `{"Name":"a","Overwrite":true,"Type":"String","Tags":[{"Key":"k","Value":""}]}`,
			&ssm.PutParameterInput{Name: aws.String("a"), Overwrite: aws.Bool(true), Type: "String", Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}}, ""},
		{"null is absent", `{"Name":null,"Tags":null}`, &ssm.PutParameterInput{}, ""},
		{"any case", `{"name":"a"}`, &ssm.PutParameterInput{Name: aws.String("a")}, ""},
		{"not JSON", `{`, nil, "not JSON"},
		{"more than JSON", `{} {}`, nil, "not JSON"},
		{"not an object", `[]`, nil, "wrong type"},
		{"unknown", `{"Nane":"a"}`, nil, "member Nane is not known"},
		{"unknown, nested", `{"Tags":[{"Kye":"a"}]}`, nil, "member Tags.0.Kye is not known"},
		{"string for a bool", `{"Overwrite":"true"}`, nil, "member Overwrite has the wrong type"},
		{"number for a string", `{"Name":1}`, nil, "member Name has the wrong type"},
		{"object for a list", `{"Tags":{}}`, nil, "member Tags has the wrong type"},
		{"not a member", `{"noSmithyDocumentSerde":{}}`, nil, "is not known"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := new(ssm.PutParameterInput)
			err := wire.Unmarshal([]byte(test.body), in)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := diff(test.want, in); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every millisecond must come back as it was sent: clients compare timestamps.
func TestTimesSurvive(t *testing.T) {
	type stamp struct{ At *time.Time }
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for ms := range 2000 {
		at := start.Add(time.Duration(ms)*time.Millisecond + time.Duration(ms)*time.Hour)
		b, err := wire.Marshal(&stamp{&at}, wire.Upper)
		if err != nil {
			t.Fatal(err)
		}
		var got stamp
		if err := wire.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if !got.At.Equal(at) {
			t.Fatalf("%s became %s by way of %s", at, got.At, b)
		}
	}
}

// What Unmarshal accepts, Marshal must be able to say, and Unmarshal to read again.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"repositoryName":"a","tags":[{"Key":"k","Value":"v"}],"imageScanningConfiguration":{"scanOnPush":true}}`))
	f.Add([]byte(`{"RepositoryName":null}`))
	f.Add([]byte(`[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		first := new(ecr.CreateRepositoryInput)
		if wire.Unmarshal(body, first) != nil {
			return
		}
		said, err := wire.Marshal(first, wire.Lower)
		if err != nil {
			t.Fatalf("cannot say what was read from %q: %v", body, err)
		}
		second := new(ecr.CreateRepositoryInput)
		if err := wire.Unmarshal(said, second); err != nil {
			t.Fatalf("cannot read %q: %v", said, err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("%q became %q", body, said)
		}
	})
}
