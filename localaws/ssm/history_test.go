package ssm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// history returns all versions, through the SDK's paginator.
func (e endpoint) history(name string) (all []types.ParameterHistory) {
	e.Helper()
	pages := sdk.NewGetParameterHistoryPaginator(e, &sdk.GetParameterHistoryInput{Name: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(e.Context())
		if err != nil {
			e.Fatal(err)
		}
		all = append(all, page.Parameters...)
	}
	return all
}

func TestHistoryKeepsOneHundredVersions(t *testing.T) {
	e := start(t)
	for i := 1; i <= 103; i++ {
		if got := e.put("/a", fmt.Sprint(i)); got != int64(i) {
			t.Fatalf("write %d got version %d", i, got)
		}
	}
	check := func(first int64, history []types.ParameterHistory) {
		t.Helper()
		if len(history) != 100 {
			t.Fatalf("got %d versions, want 100", len(history))
		}
		for i, p := range history {
			if want := first + int64(i); p.Version != want || *p.Value != fmt.Sprint(want) {
				t.Fatalf("at %d: got version %d with %q, want %d", i, p.Version, *p.Value, want)
			}
		}
	}
	check(4, e.history("/a"))
	e.stalely(func() { check(3, e.history("/a")) })
	if got := e.value("/a:3"); got != "ParameterVersionNotFound" {
		t.Errorf("a dropped version reads %s", got)
	}
	if got := e.value("/a:4"); got != "4" {
		t.Errorf("the oldest version reads %s", got)
	}
}

func TestOldestVersionWithALabel(t *testing.T) {
	e := start(t)
	for i := range 100 {
		e.put("/a", fmt.Sprint(i+1))
	}
	label := func(version int64) {
		t.Helper()
		localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: &version, Labels: []string{"live"}})
	}
	label(1)
	_, err := e.PutParameter(t.Context(), &sdk.PutParameterInput{Name: aws.String("/a"), Value: aws.String("101"), Overwrite: aws.Bool(true)})
	e.fails(err, "ParameterMaxVersionLimitExceeded", "You attempted to create a new version of /a by calling the PutParameter API with the overwrite flag. Version 1, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.")
	if got := e.value("/a"); got != "100" {
		t.Errorf("after the refusal: got %s, want 100", got)
	}
	label(2)
	if got := e.put("/a", "101"); got != 101 {
		t.Errorf("got version %d, want 101", got)
	}
}

func TestHistoryPages(t *testing.T) {
	e := start(t)
	for i := range 7 {
		e.put("/a", fmt.Sprint(i+1))
	}
	in := &sdk.GetParameterHistoryInput{Name: aws.String(prefix + "/a"), MaxResults: aws.Int32(3)}
	var pages []string
	for {
		out := localawstest.Call(e, e.GetParameterHistory, in)
		var values []string
		for _, p := range out.Parameters {
			values = append(values, *p.Value)
		}
		pages = append(pages, strings.Join(values, " "))
		if len(pages) == 1 {
			e.put("/a", "8") // what is written meanwhile disturbs no page
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if diff := cmp.Diff([]string{"1 2 3", "4 5 6", "7 8"}, pages); diff != "" {
		t.Error(diff)
	}
	if out := localawstest.Call(e, e.GetParameterHistory, &sdk.GetParameterHistoryInput{Name: aws.String("/a"), MaxResults: aws.Int32(8)}); out.NextToken != nil {
		t.Error("a page with the last version has a token")
	}
	refused := []struct {
		name          string
		in            sdk.GetParameterHistoryInput
		code, message string
	}{
		{"missing", sdk.GetParameterHistoryInput{Name: aws.String("/b")}, "ParameterNotFound", ""},
		{"selector", sdk.GetParameterHistoryInput{Name: aws.String("/a:1")}, "ValidationException", "Parameter name: a version or label can't be given to GetParameterHistory."},
		{"too many", sdk.GetParameterHistoryInput{Name: aws.String("/a"), MaxResults: aws.Int32(51)}, "ValidationException", "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50"},
		{"too few", sdk.GetParameterHistoryInput{Name: aws.String("/a"), MaxResults: aws.Int32(0)}, "ValidationException", "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"token", sdk.GetParameterHistoryInput{Name: aws.String("/a"), NextToken: aws.String("x")}, "InvalidNextToken", "The specified token isn't valid."},
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			_, err := e.GetParameterHistory(t.Context(), &test.in)
			e.fails(err, test.code, test.message)
		})
	}
}

func TestLabels(t *testing.T) {
	e := start(t)
	e.put("/a", "1")
	e.put("/a", "2")
	label := func(version *int64, labels ...string) *sdk.LabelParameterVersionOutput {
		t.Helper()
		return localawstest.Call(e, e.LabelParameterVersion, &sdk.LabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: version, Labels: labels})
	}
	check := func(want ...[]string) {
		t.Helper()
		var got [][]string
		for _, p := range e.history("/a") {
			got = append(got, p.Labels)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if out := label(nil, "b", "a"); out.ParameterVersion != 2 || len(out.InvalidLabels) != 0 {
		t.Errorf("got version %d, invalid %v, want the latest version", out.ParameterVersion, out.InvalidLabels)
	}
	check([]string{}, []string{"a", "b"})
	if got := label(aws.Int64(1), "a", "AWS-x", "ssm", "1x", "a b", "x_.-9").InvalidLabels; !cmp.Equal(got, []string{"AWS-x", "ssm", "1x", "a b"}) {
		t.Errorf("got invalid %q", got)
	}
	check([]string{"a", "x_.-9"}, []string{"b"})
	out := localawstest.Call(e, e.UnlabelParameterVersion, &sdk.UnlabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: aws.Int64(1), Labels: []string{"a", "b"}})
	if !cmp.Equal(out.RemovedLabels, []string{"a"}) || !cmp.Equal(out.InvalidLabels, []string{"b"}) {
		t.Errorf("got removed %q, invalid %q", out.RemovedLabels, out.InvalidLabels)
	}
	check([]string{"x_.-9"}, []string{"b"})

	nine := strings.Fields("l1 l2 l3 l4 l5 l6 l7 l8 l9")
	label(aws.Int64(2), nine...)
	_, err := e.LabelParameterVersion(t.Context(), &sdk.LabelParameterVersionInput{Name: aws.String("/a"), Labels: []string{"l10"}})
	e.fails(err, "ParameterVersionLabelLimitExceeded", "A parameter version can have maximum 10 labels. Move one or more labels to another version and try again.")
	check([]string{"x_.-9"}, append([]string{"b"}, nine...))
	_, err = e.LabelParameterVersion(t.Context(), &sdk.LabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: aws.Int64(3), Labels: []string{"c"}})
	e.fails(err, "ParameterVersionNotFound", "Systems Manager could not find version 3 of /a. Verify the version and try again.")
	_, err = e.LabelParameterVersion(t.Context(), &sdk.LabelParameterVersionInput{Name: aws.String("/b"), Labels: []string{"c"}})
	e.fails(err, "ParameterNotFound", "")
	_, err = e.UnlabelParameterVersion(t.Context(), &sdk.UnlabelParameterVersionInput{Name: aws.String("/a"), ParameterVersion: aws.Int64(3), Labels: []string{"c"}})
	e.fails(err, "ParameterVersionNotFound", "Systems Manager could not find version 3 of /a. Verify the version and try again.")
	long := strings.Repeat("l", 101)
	_, err = e.LabelParameterVersion(t.Context(), &sdk.LabelParameterVersionInput{Name: aws.String("/a"), Labels: []string{long}})
	e.fails(err, "ValidationException", "1 validation error detected: Value '"+long+"' at 'labels' failed to satisfy constraint: Member must have length less than or equal to 100")
}
