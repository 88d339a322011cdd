package ssm_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// ignoreSerde leaves a marker of the SDK's out of comparisons.
var ignoreSerde = cmp.FilterPath(func(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && field.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

func TestGetParameter(t *testing.T) {
	e := start(t)
	e.put("/x/a", "1")
	e.put("/x/a", "2")
	e.put("plain", "p")
	e.put("/rooted", "r")
	localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/x/a"), ParameterVersion: aws.Int64(1), Labels: []string{"old"}})
	tests := []struct {
		name          string
		value         string
		version       int64
		selector      string
		code, message string
	}{
		{"/x/a", "2", 2, "", "", ""},
		{"/x/a:1", "1", 1, ":1", "", ""},
		{"/x/a:2", "2", 2, ":2", "", ""},
		{"/x/a:old", "1", 1, ":old", "", ""},
		{prefix + "/x/a", "2", 2, "", "", ""},
		{prefix + "/x/a:1", "1", 1, ":1", "", ""},
		{prefix + "/plain", "p", 1, "", "", ""},
		{prefix + "/rooted", "r", 1, "", "", ""},
		{"/x/a:3", "", 0, "", "ParameterVersionNotFound", "Systems Manager could not find version 3 of /x/a. Verify the version and try again."},
		{"/x/a:0", "", 0, "", "ParameterVersionNotFound", "Systems Manager could not find version 0 of /x/a. Verify the version and try again."},
		{"/x/a:new", "", 0, "", "ParameterVersionNotFound", "Systems Manager could not find label new of /x/a. Verify the label and try again."},
		{"/x/b", "", 0, "", "ParameterNotFound", ""},
		{"/x/b:1", "", 0, "", "ParameterNotFound", ""},
		{"/plain", "", 0, "", "ParameterNotFound", ""},
		{"/x", "", 0, "", "ParameterNotFound", ""},
		{"/X/a", "", 0, "", "ParameterNotFound", ""},
		{"/aws/service/ami", "", 0, "", "ParameterNotFound", ""},
		{"arn:aws:ssm:eu-west-1:999999999999:parameter/x/a", "", 0, "", "ParameterNotFound", ""},
		{"a/b", "", 0, "", "ValidationException", "Parameter name must be a fully qualified name"},
		{"/x a", "", 0, "", "ValidationException", badName},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			out, err := e.GetParameter(t.Context(), &sdk.GetParameterInput{Name: &test.name})
			if test.code != "" {
				e.fails(err, test.code, test.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := out.Parameter
			if *p.Value != test.value || p.Version != test.version || aws.ToString(p.Selector) != test.selector {
				t.Errorf("got %q, version %d, selector %q, want %+v", *p.Value, p.Version, aws.ToString(p.Selector), test)
			}
			if p.Type != types.ParameterTypeString || *p.DataType != "text" || p.LastModifiedDate == nil {
				t.Errorf("got type %s, data type %s, date %v", p.Type, *p.DataType, p.LastModifiedDate)
			}
		})
	}
	for name, arn := range map[string]string{"/x/a": prefix + "/x/a", "plain": prefix + "/plain"} {
		if got := *localawstest.Call(e, e.GetParameter, &sdk.GetParameterInput{Name: &name}).Parameter.ARN; got != arn {
			t.Errorf("%s: got %s, want %s", name, got, arn)
		}
	}
}

func TestGetParameters(t *testing.T) {
	e := start(t)
	e.put("/b", "b")
	e.put("/a", "a1")
	e.put("/a", "a2")
	out := localawstest.Call(e, e.GetParameters, &sdk.GetParametersInput{Names: []string{"/b", "/none", "/a:1", "/a:9", prefix + "/a", "/b"}})
	var got []string
	for _, p := range out.Parameters {
		got = append(got, *p.Name+aws.ToString(p.Selector)+"="+*p.Value)
	}
	if diff := cmp.Diff([]string{"/b=b", "/a:1=a1", "/a=a2"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/none", "/a:9"}, out.InvalidParameters); diff != "" {
		t.Error(diff)
	}
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprint("n", i))
	}
	_, err := e.GetParameters(t.Context(), &sdk.GetParametersInput{Names: names})
	e.fails(err, "ValidationException", "1 validation error detected: Value '[n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10]' at 'names' failed to satisfy constraint: Member must have length less than or equal to 10")
	if out := localawstest.Call(e, e.GetParameters, &sdk.GetParametersInput{Names: names[:10]}); len(out.InvalidParameters) != 10 {
		t.Errorf("got %v, want all ten", out.InvalidParameters)
	}
}

func TestDelete(t *testing.T) {
	e := start(t)
	for _, name := range []string{"/a", "/b", "/c"} {
		e.put(name, "1")
		e.put(name, "2")
	}
	localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/a"), Labels: []string{"live"}})
	localawstest.Call(e, e.DeleteParameter, &sdk.DeleteParameterInput{Name: aws.String("/a")})
	_, err := e.DeleteParameter(t.Context(), &sdk.DeleteParameterInput{Name: aws.String("/a")})
	e.fails(err, "ParameterNotFound", "")
	for _, name := range []string{"/a", "/a:1", "/a:live"} {
		if got := e.value(name); got != "ParameterNotFound" {
			t.Errorf("%s: got %s, want ParameterNotFound", name, got)
		}
	}
	out := localawstest.Call(e, e.DeleteParameters, &sdk.DeleteParametersInput{Names: []string{"/b", "/none", "/c"}})
	if diff := cmp.Diff([]string{"/b", "/c"}, out.DeletedParameters); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/none"}, out.InvalidParameters); diff != "" {
		t.Error(diff)
	}
	if got := e.put("/a", "again"); got != 1 {
		t.Errorf("created again as version %d, want 1", got)
	}
	if got := e.value("/a:live"); got != "ParameterVersionNotFound" {
		t.Errorf("the label is back: got %s", got)
	}
	if got := e.history("/a"); len(got) != 1 || *got[0].Value != "again" {
		t.Errorf("got %d versions, want the new one", len(got))
	}
}

// A stale read answers what was there before the last write of the parameter.
func TestStaleReads(t *testing.T) {
	e := start(t)
	check := func(when, want string) {
		t.Helper()
		e.stalely(func() {
			if got := e.value("/a"); got != want {
				t.Errorf("%s: a stale read got %s, want %s", when, got, want)
			}
		})
	}
	count := func(when string, want int) {
		t.Helper()
		e.stalely(func() {
			if got := e.history("/a"); len(got) != want {
				t.Errorf("%s: a stale history has %d versions, want %d", when, len(got), want)
			}
			if got := len(localawstest.Call(e, e.DescribeParameters, &sdk.DescribeParametersInput{}).Parameters); got != 1 {
				t.Errorf("%s: stale DescribeParameters has %d parameters, want 1", when, got)
			}
			if got := len(localawstest.Call(e, e.GetParametersByPath, &sdk.GetParametersByPathInput{Path: aws.String("/")}).Parameters); got != 1 {
				t.Errorf("%s: stale GetParametersByPath has %d parameters, want 1", when, got)
			}
		})
	}
	check("before the first write", "ParameterNotFound")
	e.put("/a", "1")
	check("after the first write", "ParameterNotFound")
	e.put("/a", "2")
	check("after the second write", "1")
	count("after the second write", 1)
	e.put("/a", "3")
	count("after the third write", 2)
	localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/a"), Labels: []string{"live"}})
	check("after a label", "3")
	e.stalely(func() {
		if got := e.value("/a:live"); got != "ParameterVersionNotFound" {
			t.Errorf("a stale read sees the label: %s", got)
		}
	})
	localawstest.Call(e, e.DeleteParameter, &sdk.DeleteParameterInput{Name: aws.String("/a")})
	check("after the delete", "3")
	count("after the delete", 3)
	if got := e.value("/a"); got != "ParameterNotFound" {
		t.Errorf("after the delete: got %s, want ParameterNotFound", got)
	}
	e.put("/a", "new")
	check("created again", "ParameterNotFound")
	if got := e.value("/a"); got != "new" {
		t.Errorf("created again: got %s, want new", got)
	}
	e.put("/a", "newer")
	check("written again", "new")
}

// A write is never stale: what a stale read did not show is there all the same.
func TestStaleWritesSeeTheTruth(t *testing.T) {
	e := start(t)
	e.put("/a", "1")
	e.stalely(func() {
		_, err := e.PutParameter(t.Context(), &sdk.PutParameterInput{Name: aws.String("/a"), Value: aws.String("2"), Type: types.ParameterTypeString})
		e.fails(err, "ParameterAlreadyExists", alreadyExists)
		if got := e.put("/a", "2"); got != 2 {
			t.Errorf("got version %d, want 2", got)
		}
	})
}
