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

func filterBy(key, option string, values ...string) types.ParameterStringFilter {
	f := types.ParameterStringFilter{Key: &key, Values: values}
	if option != "" {
		f.Option = &option
	}
	return f
}

func TestGetParametersByPath(t *testing.T) {
	e := start(t)
	for _, name := range []string{"/t/b", "/t/a", "/t/a/c", "/t/a/c/d", "/tt/x", "/u", "v"} {
		e.put(name, "1")
	}
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("/t/s"), Value: aws.String("1,2"), Type: types.ParameterTypeStringList})
	tests := []struct {
		path      string
		recursive bool
		filters   []types.ParameterStringFilter
		want      []string
	}{
		{"/t", false, nil, []string{"/t/a", "/t/b", "/t/s"}},
		{"/t/", false, nil, []string{"/t/a", "/t/b", "/t/s"}},
		{"/t", true, nil, []string{"/t/a", "/t/a/c", "/t/a/c/d", "/t/b", "/t/s"}},
		{"/t/a", false, nil, []string{"/t/a/c"}},
		{"/", false, nil, []string{"/u", "v"}},
		{"/", true, nil, []string{"/t/a", "/t/a/c", "/t/a/c/d", "/t/b", "/t/s", "/tt/x", "/u", "v"}},
		{"/none", true, nil, nil},
		{"/t/b", true, nil, nil},
		{"/t", true, []types.ParameterStringFilter{filterBy("Type", "", "StringList")}, []string{"/t/s"}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.path, test.recursive, len(test.filters)), func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			out := localawstest.Call(e, e.GetParametersByPath, &sdk.GetParametersByPathInput{Path: &test.path, Recursive: &test.recursive, ParameterFilters: test.filters})
			var got []string
			for _, p := range out.Parameters {
				got = append(got, *p.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || out.NextToken != nil {
				t.Errorf("token %v\n%s", aws.ToString(out.NextToken), diff)
			}
		})
	}
	_, err := e.GetParametersByPath(t.Context(), &sdk.GetParametersByPathInput{Path: aws.String("t")})
	if got := e.code(err); got != "ValidationException" {
		t.Errorf("a path without a slash: got %s", got)
	}
	_, err = e.GetParametersByPath(t.Context(), &sdk.GetParametersByPathInput{Path: aws.String("/t"), ParameterFilters: []types.ParameterStringFilter{filterBy("Name", "", "x")}})
	if got := e.code(err); got != "InvalidFilterKey" {
		t.Errorf("a filter by name: got %s", got)
	}
	_, err = e.GetParametersByPath(t.Context(), &sdk.GetParametersByPathInput{Path: aws.String("/t"), ParameterFilters: []types.ParameterStringFilter{filterBy("Label", "", "x")}})
	if got := e.code(err); got != "NotImplemented" { // AWS has it
		t.Errorf("a filter by label: got %s", got)
	}
}

func TestPages(t *testing.T) {
	e := start(t)
	var want []string
	for i := range 60 {
		name := fmt.Sprintf("/p/%02d", i)
		e.put(name, "v")
		want = append(want, name)
	}
	byPath := sdk.NewGetParametersByPathPaginator(e, &sdk.GetParametersByPathInput{Path: aws.String("/p")})
	var got []string
	for pages := 0; byPath.HasMorePages(); pages++ {
		page, err := byPath.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Parameters) != 10 || pages > 5 {
			t.Fatalf("page %d has %d parameters", pages, len(page.Parameters))
		}
		for _, p := range page.Parameters {
			got = append(got, *p.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	described := sdk.NewDescribeParametersPaginator(e, &sdk.DescribeParametersInput{})
	var sizes []int
	got = nil
	for described.HasMorePages() {
		page, err := described.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Parameters))
		for _, p := range page.Parameters {
			got = append(got, *p.Name)
		}
	}
	if diff := cmp.Diff([]int{50, 10}, sizes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := e.GetParametersByPath(t.Context(), &sdk.GetParametersByPathInput{Path: aws.String("/p"), MaxResults: aws.Int32(11)})
	e.fails(err, "ValidationException", "1 validation error detected: Value '11' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 10")
	_, err = e.DescribeParameters(t.Context(), &sdk.DescribeParametersInput{MaxResults: aws.Int32(51)})
	e.fails(err, "ValidationException", "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50")
	_, err = e.DescribeParameters(t.Context(), &sdk.DescribeParametersInput{NextToken: aws.String("nonsense")})
	e.fails(err, "InvalidNextToken", "The specified token isn't valid.")
}

func TestDescribeParameters(t *testing.T) {
	e := start(t)
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{
		Name: aws.String("/t/a"), Value: aws.String("1"), Type: types.ParameterTypeString, Description: aws.String("d1"),
		AllowedPattern: aws.String("."), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}},
	})
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("/t/a"), Value: aws.String("2"), Description: aws.String("d2"), Overwrite: aws.Bool(true)})
	for _, name := range []string{"/t/b", "/t/a/c", "/u/a"} {
		e.put(name, "v")
	}
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("plain"), Value: aws.String("v"), Type: types.ParameterTypeSecureString, KeyId: aws.String("alias/k")})
	tests := []struct {
		name    string
		filters []types.ParameterStringFilter
		want    []string
	}{
		{"all", nil, []string{"/t/a", "/t/a/c", "/t/b", "/u/a", "plain"}},
		{"name", []types.ParameterStringFilter{filterBy("Name", "", "/t/a", "/t/b")}, []string{"/t/a", "/t/b"}},
		{"name without its slash", []types.ParameterStringFilter{filterBy("Name", "Equals", "t/a")}, []string{"/t/a"}},
		{"name begins", []types.ParameterStringFilter{filterBy("Name", "BeginsWith", "/t/a")}, []string{"/t/a", "/t/a/c"}},
		{"name contains", []types.ParameterStringFilter{filterBy("Name", "Contains", "a")}, []string{"/t/a", "/t/a/c", "/u/a", "plain"}},
		{"type", []types.ParameterStringFilter{filterBy("Type", "", "SecureString", "StringList")}, []string{"plain"}},
		{"path", []types.ParameterStringFilter{filterBy("Path", "", "/t")}, []string{"/t/a", "/t/b"}},
		{"paths, one level", []types.ParameterStringFilter{filterBy("Path", "OneLevel", "/t/a", "/u")}, []string{"/t/a/c", "/u/a"}},
		{"path, recursive", []types.ParameterStringFilter{filterBy("Path", "Recursive", "/t")}, []string{"/t/a", "/t/a/c", "/t/b"}},
		{"key", []types.ParameterStringFilter{filterBy("KeyId", "BeginsWith", "alias/")}, []string{"plain"}},
		{"tag", []types.ParameterStringFilter{filterBy("tag:team", "", "red", "blue")}, []string{"/t/a"}},
		{"tier and data type", []types.ParameterStringFilter{filterBy("Tier", "", "Advanced"), filterBy("DataType", "", "text")}, nil},
		{"both", []types.ParameterStringFilter{filterBy("Path", "Recursive", "/t"), filterBy("Name", "Contains", "b")}, []string{"/t/b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			if diff := cmp.Diff(test.want, e.described(&sdk.DescribeParametersInput{ParameterFilters: test.filters})); diff != "" {
				t.Error(diff)
			}
		})
	}
	old := &sdk.DescribeParametersInput{Filters: []types.ParametersFilter{{Key: types.ParametersFilterKeyName, Values: []string{"/t/a"}}}}
	if diff := cmp.Diff([]string{"/t/a", "/t/a/c"}, e.described(old)); diff != "" {
		t.Errorf("superseded filter: %s", diff)
	}
	if got := e.described(&sdk.DescribeParametersInput{Shared: aws.Bool(true)}); got != nil {
		t.Errorf("shared by others: got %v", got)
	}

	got := localawstest.Call(e, e.DescribeParameters, &sdk.DescribeParametersInput{MaxResults: aws.Int32(1)}).Parameters[0]
	want := types.ParameterMetadata{
		ARN: aws.String(prefix + "/t/a"), DataType: aws.String("text"), Description: aws.String("d2"),
		LastModifiedDate: got.LastModifiedDate, LastModifiedUser: aws.String("arn:aws:iam::123456789012:user/alice"),
		Name: aws.String("/t/a"), Policies: []types.ParameterInlinePolicy{}, Tier: types.ParameterTierStandard, Type: types.ParameterTypeString, Version: 2,
	}
	if diff := cmp.Diff(want, got, ignoreSerde); diff != "" || got.LastModifiedDate == nil {
		t.Error(diff)
	}
}

func (e endpoint) described(in *sdk.DescribeParametersInput) (names []string) {
	e.Helper()
	for _, p := range localawstest.Call(e, e.DescribeParameters, in).Parameters {
		names = append(names, *p.Name)
	}
	return names
}

func TestFiltersRefused(t *testing.T) {
	e := start(t)
	tests := []struct {
		name          string
		filters       []types.ParameterStringFilter
		code, message string
	}{
		{"key", []types.ParameterStringFilter{filterBy("Label", "", "x")}, "InvalidFilterKey", ""},
		{"no values", []types.ParameterStringFilter{filterBy("Name", "")}, "InvalidFilterValue", "The following filter values are missing : null for filter key Name."},
		{"option of names", []types.ParameterStringFilter{filterBy("Name", "Recursive", "x")}, "InvalidFilterOption", "The following filter option is not valid: Recursive. Valid options include: [Equals, BeginsWith, Contains]."},
		{"option of types", []types.ParameterStringFilter{filterBy("Type", "Contains", "String")}, "InvalidFilterOption", "The following filter option is not valid: Contains. Valid options include: [Equals, BeginsWith]."},
		{"option of paths", []types.ParameterStringFilter{filterBy("Path", "Equals", "/t")}, "InvalidFilterOption", "The following filter option is not valid: Equals. Valid options include: [OneLevel, Recursive]."},
		{"type", []types.ParameterStringFilter{filterBy("Type", "", "Number")}, "InvalidFilterValue", "The following filter value is not valid: Number. Valid values include: [String StringList SecureString]."},
		{"twice", []types.ParameterStringFilter{filterBy("Name", "", "a"), filterBy("Name", "", "b")}, "InvalidFilterKey", ""},
		{"path", []types.ParameterStringFilter{filterBy("Path", "", "t")}, "ValidationException", `The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			_, err := e.DescribeParameters(t.Context(), &sdk.DescribeParametersInput{ParameterFilters: test.filters})
			e.fails(err, test.code, test.message)
		})
	}
	_, err := e.DescribeParameters(t.Context(), &sdk.DescribeParametersInput{
		Filters:          []types.ParametersFilter{{Key: types.ParametersFilterKeyName, Values: []string{"a"}}},
		ParameterFilters: []types.ParameterStringFilter{filterBy("Name", "", "a")},
	})
	e.fails(err, "ValidationException", "You can use either Filters or ParameterFilters in a single request.")
}
