package ssm_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
	"github.com/tasuki-dev/tasuki/localaws/state"
)

const (
	badName       = `Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`
	reservedName  = `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`
	alreadyExists = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
)

func TestNames(t *testing.T) {
	e := start(t)
	const longest = 1011 - len(prefix)
	tests := []struct {
		name, code, message string
	}{
		{"a", "", ""},
		{"/a", "", ""},
		{"/tasuki/stg/orders/image-tag", "", ""},
		{"A.b_c-D9", "", ""},
		{"/my/aws/ssm", "", ""},
		{"/x" + strings.Repeat("/l", 14), "", ""},
		{"/" + strings.Repeat("n", longest-1), "", ""},
		{"/" + strings.Repeat("n", longest), "ValidationException", "Parameter name: its ARN has 1012 characters, and can have 1011 at most."},
		{"/x" + strings.Repeat("/l", 15), "HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of 15 levels."},
		{"", "ValidationException", "1 validation error detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"a/b", "ValidationException", "Parameter name must be a fully qualified name"},
		{"/a//b", "ValidationException", badName},
		{"/a/", "ValidationException", badName},
		{"/", "ValidationException", badName},
		{"/a b", "ValidationException", badName},
		{"/ä", "ValidationException", badName},
		{"/a:1", "ValidationException", badName},
		{prefix + "/a", "ValidationException", "Parameter name must be a fully qualified name"},
		{"ssm-a", "ValidationException", badName},
		{"/SSM/a", "ValidationException", badName},
		{"aws", "ValidationException", reservedName},
		{"/Awsome", "ValidationException", reservedName},
		{"/AWS/a", "AccessDeniedException", "No access to reserved parameter name: /AWS/a."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			_, err := e.PutParameter(t.Context(), &sdk.PutParameterInput{Name: &test.name, Value: aws.String("v"), Type: types.ParameterTypeString})
			if test.code != "" {
				e.fails(err, test.code, test.message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := e.value(test.name); got != "v" {
				t.Errorf("got %q, want v", got)
			}
		})
	}
	e.put("  /spaced  ", "v")
	if got := e.value(" /spaced"); got != "v" {
		t.Errorf("spaces around a name: got %q, want v", got)
	}
}

func TestPutRefuses(t *testing.T) {
	e := start(t)
	e.put("/there", "v1")
	put := func(change func(*sdk.PutParameterInput)) *sdk.PutParameterInput {
		in := &sdk.PutParameterInput{Name: aws.String("/new"), Value: aws.String("v"), Type: types.ParameterTypeString}
		change(in)
		return in
	}
	tests := []struct {
		name          string
		in            *sdk.PutParameterInput
		code, message string
	}{
		{"exists", put(func(in *sdk.PutParameterInput) { in.Name = aws.String("/there") }), "ParameterAlreadyExists", alreadyExists},
		{"exists, and overwrite is false", put(func(in *sdk.PutParameterInput) { in.Name, in.Overwrite = aws.String("/there"), aws.Bool(false) }), "ParameterAlreadyExists", alreadyExists},
		{"tags with overwrite", put(func(in *sdk.PutParameterInput) {
			in.Overwrite, in.Tags = aws.Bool(true), []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
		}), "ValidationException", "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource."},
		{"no type", put(func(in *sdk.PutParameterInput) { in.Type = "" }), "ValidationException", "A parameter type is required when you create a parameter."},
		{"unknown type", put(func(in *sdk.PutParameterInput) { in.Type = "Number" }), "ValidationException", "1 validation error detected: Value 'Number' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"},
		{"empty value", put(func(in *sdk.PutParameterInput) { in.Value = aws.String("") }), "ValidationException", "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"long value", put(func(in *sdk.PutParameterInput) { in.Value = aws.String(strings.Repeat("é", 2048) + "x") }), "ValidationException", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"},
		{"nested value", put(func(in *sdk.PutParameterInput) { in.Value = aws.String("a{{ssm:b}}") }), "ValidationException", `Parameter value can't nest another parameter. Do not use "{{}}" in the value.`},
		{"long description", put(func(in *sdk.PutParameterInput) { in.Description = aws.String(strings.Repeat("é", 1025)) }), "ValidationException", "1 validation error detected: Value '" + strings.Repeat("é", 1025) + "' at 'description' failed to satisfy constraint: Member must have length less than or equal to 1024"},
		{"bad pattern", put(func(in *sdk.PutParameterInput) { in.AllowedPattern = aws.String("[") }), "InvalidAllowedPatternException", "The request does not meet the regular expression requirement."},
		{"pattern mismatch", put(func(in *sdk.PutParameterInput) { in.AllowedPattern = aws.String(`^\d+$`) }), "ParameterPatternMismatchException", `Parameter value, cannot be validated against allowedPattern: ^\d+$`},
		{"key without a secret", put(func(in *sdk.PutParameterInput) { in.KeyId = aws.String("alias/k") }), "ValidationException", "KeyId is required for SecureString type parameter only."},
		{"data type", put(func(in *sdk.PutParameterInput) { in.DataType = aws.String("Text") }), "ValidationException", "The following data type is not supported: Text (Data type names are all lowercase.)"},
		{"tier", put(func(in *sdk.PutParameterInput) { in.Tier = "Premium" }), "ValidationException", "1 validation error detected: Value 'Premium' at 'tier' failed to satisfy constraint: Member must satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]"},
		{"long value in the tier that fits", put(func(in *sdk.PutParameterInput) {
			in.Value, in.Tier = aws.String(strings.Repeat("x", 4097)), types.ParameterTierIntelligentTiering
		}), "NotImplemented", "PutParameter in the Advanced tier of ssm is not provided by tasuki local."},
		{"advanced tier", put(func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }), "NotImplemented", "PutParameter in the Advanced tier of ssm is not provided by tasuki local."},
		{"policies", put(func(in *sdk.PutParameterInput) { in.Policies = aws.String("[]") }), "NotImplemented", "PutParameter in the Advanced tier of ssm is not provided by tasuki local."},
		{"tag key", put(func(in *sdk.PutParameterInput) {
			in.Tags = []types.Tag{{Key: aws.String("a*"), Value: aws.String("")}}
		}), "ValidationException", `1 validation error detected: Value 'a*' at 'tags' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			_, err := e.PutParameter(t.Context(), test.in)
			e.fails(err, test.code, test.message)
			if got := e.value("/new"); got != "ParameterNotFound" {
				t.Errorf("the refused parameter reads %s", got)
			}
		})
	}
	if got := e.value("/there"); got != "v1" {
		t.Errorf("after refusals: got %q, want v1", got)
	}
}

func TestPutKeepsLimitsThatFit(t *testing.T) {
	e := start(t)
	value, description := strings.Repeat("é", 2048), strings.Repeat("é", 1024)
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{
		Name: aws.String("/full"), Value: &value, Description: &description, Type: types.ParameterTypeString,
		Tier: types.ParameterTierIntelligentTiering, DataType: aws.String("text"), AllowedPattern: aws.String("^é+$"),
	})
	got := localawstest.Call(e, e.GetParameterHistory, &sdk.GetParameterHistoryInput{Name: aws.String("/full")}).Parameters[0]
	if *got.Value != value || *got.Description != description || *got.AllowedPattern != "^é+$" {
		t.Errorf("got %d and %d bytes, %s", len(*got.Value), len(*got.Description), *got.AllowedPattern)
	}
}

func TestOverwrite(t *testing.T) {
	e := start(t)
	write := func(in sdk.PutParameterInput) int64 {
		t.Helper()
		in.Name, in.Overwrite = aws.String("/a"), aws.Bool(true)
		out := localawstest.Call(e, e.PutParameter, &in)
		if out.Tier != types.ParameterTierStandard {
			t.Errorf("got tier %s, want Standard", out.Tier)
		}
		return out.Version
	}
	start := time.Now().Truncate(time.Millisecond)
	versions := []int64{
		write(sdk.PutParameterInput{Value: aws.String("1"), Type: types.ParameterTypeStringList, Description: aws.String("first")}),
		write(sdk.PutParameterInput{Value: aws.String("2")}), // keeps the type
		write(sdk.PutParameterInput{Value: aws.String("3"), Type: types.ParameterTypeString, Description: aws.String("third")}),
	}
	if want := []int64{1, 2, 3}; !slices.Equal(versions, want) {
		t.Errorf("got versions %v, want %v", versions, want)
	}
	history := localawstest.Call(e, e.GetParameterHistory, &sdk.GetParameterHistoryInput{Name: aws.String("/a")})
	type row struct{ value, kind, description, user string }
	var got []row
	for _, p := range history.Parameters {
		got = append(got, row{*p.Value, string(p.Type), aws.ToString(p.Description), *p.LastModifiedUser})
		if p.LastModifiedDate.Before(start) || p.LastModifiedDate.After(time.Now()) {
			t.Errorf("version %d: modified at %s", p.Version, p.LastModifiedDate)
		}
	}
	const alice = "arn:aws:iam::123456789012:user/alice"
	want := []row{{"1", "StringList", "first", alice}, {"2", "StringList", "", alice}, {"3", "String", "third", alice}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
}

func TestSecureString(t *testing.T) {
	e := start(t)
	const secret = "correct horse battery staple"
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("/s"), Value: aws.String(secret), Type: types.ParameterTypeSecureString})
	reads := map[string]func(decrypt *bool) string{
		"GetParameter": func(decrypt *bool) string {
			return *localawstest.Call(e, e.GetParameter, &sdk.GetParameterInput{Name: aws.String("/s"), WithDecryption: decrypt}).Parameter.Value
		},
		"GetParameters": func(decrypt *bool) string {
			return *localawstest.Call(e, e.GetParameters, &sdk.GetParametersInput{Names: []string{"/s"}, WithDecryption: decrypt}).Parameters[0].Value
		},
		"GetParametersByPath": func(decrypt *bool) string {
			return *localawstest.Call(e, e.GetParametersByPath, &sdk.GetParametersByPathInput{Path: aws.String("/"), WithDecryption: decrypt}).Parameters[0].Value
		},
		"GetParameterHistory": func(decrypt *bool) string {
			return *localawstest.Call(e, e.GetParameterHistory, &sdk.GetParameterHistoryInput{Name: aws.String("/s"), WithDecryption: decrypt}).Parameters[0].Value
		},
	}
	first := e.value("/s")
	if strings.Contains(first, "horse") || len(first) < 40 {
		t.Errorf("%q does not look encrypted", first)
	}
	for name, read := range reads {
		if got := read(aws.Bool(true)); got != secret {
			t.Errorf("%s with decryption: got %q", name, got)
		}
		if got := read(nil); got != first {
			t.Errorf("%s without decryption: got %q, want %q as every time", name, got, first)
		}
	}
	p := localawstest.Call(e, e.DescribeParameters, &sdk.DescribeParametersInput{}).Parameters[0]
	if aws.ToString(p.KeyId) != "alias/aws/ssm" || p.Type != types.ParameterTypeSecureString {
		t.Errorf("got key %v, type %s", aws.ToString(p.KeyId), p.Type)
	}
}

func TestConcurrentWritersLoseNothing(t *testing.T) {
	e := start(t)
	const writers, rounds = 2, 40
	written := make([]map[int64]string, writers)
	var group sync.WaitGroup
	for w := range writers {
		written[w] = map[int64]string{}
		group.Go(func() {
			for i := range rounds {
				value := fmt.Sprintf("%d-%d", w, i)
				out, err := e.PutParameter(context.Background(), &sdk.PutParameterInput{Name: aws.String("/a"), Value: &value, Type: types.ParameterTypeString, Overwrite: aws.Bool(true)})
				if err != nil {
					t.Error(err)
					return
				}
				written[w][out.Version] = value
			}
		})
	}
	group.Wait()
	want := map[int64]string{}
	for _, mine := range written {
		for n, value := range mine {
			if other, taken := want[n]; taken {
				t.Errorf("version %d was given to %s and %s", n, other, value)
			}
			want[n] = value
		}
	}
	if len(want) != writers*rounds {
		t.Errorf("%d versions were given, want %d", len(want), writers*rounds)
	}
	got := map[int64]string{}
	for _, p := range e.history("/a") {
		got[p.Version] = *p.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Only one of several can create a parameter: Overwrite=false is atomic.
func TestConcurrentCreate(t *testing.T) {
	e := start(t)
	const writers = 8
	var group sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		group.Go(func() {
			_, errs[w] = e.PutParameter(context.Background(), &sdk.PutParameterInput{Name: aws.String("/a"), Value: aws.String("v"), Type: types.ParameterTypeString})
		})
	}
	group.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
			continue
		}
		e.fails(err, "ParameterAlreadyExists", alreadyExists)
	}
	if created != 1 {
		t.Errorf("%d writers created it, want 1", created)
	}
}

func TestPersistence(t *testing.T) {
	dir := t.TempDir()
	store, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := serve(t, store)
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("/a"), Value: aws.String("1"), Type: types.ParameterTypeString, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	e.put("/a", "2")
	localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: aws.Int64(1), Labels: []string{"live"}})
	before := e.history("/a")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if store, err = state.Open(dir); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	e = serve(t, store)
	if diff := cmp.Diff(before, e.history("/a"), ignoreSerde); diff != "" {
		t.Error(diff)
	}
	if got := e.value("/a:live"); got != "1" {
		t.Errorf("by label: got %q, want 1", got)
	}
	tags := localawstest.Call(e, e.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: aws.String("/a")}).TagList
	if len(tags) != 1 || *tags[0].Key != "k" || *tags[0].Value != "v" {
		t.Errorf("got tags %v", tags)
	}
	if got := e.put("/a", "3"); got != 3 {
		t.Errorf("got version %d, want 3", got)
	}
}
