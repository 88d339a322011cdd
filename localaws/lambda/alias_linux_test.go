package lambda_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

// alias creates an alias of the function orders.
func (e *endpoint) alias(t testing.TB, name, version string) *sdk.CreateAliasOutput {
	t.Helper()
	out, err := e.CreateAlias(t.Context(), &sdk.CreateAliasInput{FunctionName: aws.String("orders"), Name: &name, FunctionVersion: &version})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// move updates the alias live of the function orders.
func (e *endpoint) move(t testing.TB, edit func(*sdk.UpdateAliasInput)) (*sdk.UpdateAliasOutput, error) {
	t.Helper()
	in := &sdk.UpdateAliasInput{FunctionName: aws.String("orders"), Name: aws.String("live")}
	edit(in)
	return e.UpdateAlias(t.Context(), in)
}

// twoVersions makes the function orders with version 1 of image v1 and version 2 of
// image v2, which is the function's own too.
func twoVersions(t testing.TB) *endpoint {
	t.Helper()
	e := newEndpoint(t, nil)
	v1, _ := e.images.push(t, "v1", picture{})
	v2, _ := e.images.push(t, "v2", picture{})
	e.create(t, "orders", v1, nil)
	e.publish(t)
	e.updateTo(t, v2)
	e.publish(t)
	return e
}

func TestAliasRedirects(t *testing.T) {
	e := twoVersions(t)
	created := e.alias(t, "live", "1")
	if *created.AliasArn != arn+":live" || *created.Name != "live" || *created.FunctionVersion != "1" || aws.ToString(created.RevisionId) == "" || created.Description == nil || created.RoutingConfig != nil {
		t.Errorf("created as %+v", created)
	}
	for _, name := range []string{"orders:live", arn + ":live"} {
		e.answers(t, name, "v1", "1")
	}
	f, err := e.GetFunction(t.Context(), &sdk.GetFunctionInput{FunctionName: aws.String("orders"), Qualifier: aws.String("live")})
	if err != nil || *f.Configuration.FunctionArn != arn+":live" || *f.Configuration.Version != "1" || aws.ToString(f.Code.ImageUri) != repository+":v1" {
		t.Errorf("the function behind the alias is %+v %v", f, err)
	}
	revision := e.settled(t, "orders").Configuration.RevisionId

	moved, err := e.move(t, func(in *sdk.UpdateAliasInput) {
		in.FunctionVersion, in.RevisionId = aws.String("2"), created.RevisionId
	})
	if err != nil || *moved.FunctionVersion != "2" || *moved.RevisionId == *created.RevisionId {
		t.Fatalf("moved to %+v %v", moved, err)
	}
	e.answers(t, "orders:live", "v2", "2")
	_, err = e.move(t, func(in *sdk.UpdateAliasInput) {
		in.FunctionVersion, in.RevisionId = aws.String("1"), created.RevisionId
	})
	wantError(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
	e.answers(t, "orders:live", "v2", "2")

	described, err := e.move(t, func(in *sdk.UpdateAliasInput) { in.Description = aws.String("in use") })
	if err != nil || *described.FunctionVersion != "2" || *described.Description != "in use" || *described.RevisionId == *moved.RevisionId {
		t.Errorf("described as %+v %v", described, err)
	}
	got, err := e.GetAlias(t.Context(), &sdk.GetAliasInput{FunctionName: aws.String(arn), Name: aws.String("live")})
	if err != nil || *got.Description != "in use" || *got.RevisionId != *described.RevisionId {
		t.Errorf("read as %+v %v", got, err)
	}
	if now := e.settled(t, "orders").Configuration.RevisionId; *now != *revision {
		t.Error("aliases change the function's revision")
	}

	if _, err := e.move(t, func(in *sdk.UpdateAliasInput) { in.FunctionVersion = aws.String("$LATEST") }); err != nil {
		t.Fatal(err)
	}
	e.answers(t, "orders:live", "v2", "$LATEST")
	e.updateTo(t, repository+":v1")
	e.answers(t, "orders:live", "v1", "$LATEST")
}

func TestAliasOfTwoVersions(t *testing.T) {
	e := twoVersions(t)
	e.alias(t, "live", "1")
	share := func(weight float64) {
		t.Helper()
		out, err := e.move(t, func(in *sdk.UpdateAliasInput) {
			in.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": weight}}
		})
		if err != nil || out.RoutingConfig.AdditionalVersionWeights["2"] != weight {
			t.Fatalf("%+v %v", out, err)
		}
	}
	share(0)
	e.answers(t, "orders:live", "v1", "1")
	share(1)
	e.answers(t, "orders:live", "v2", "2")
	share(0.5)
	seen := map[string]bool{}
	for range 200 { // both by chance, but for once in 2^199
		if seen[aws.ToString(e.invoke(t, "orders:live", `{}`).ExecutedVersion)] = true; len(seen) == 2 {
			break
		}
	}
	if !seen["1"] || !seen["2"] {
		t.Errorf("answered by %v only", seen)
	}
	_, err := e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders:2")})
	wantError(t, err, "ResourceConflictException", "Unable to delete version because the following aliases reference it: [live]")
	_, err = e.move(t, func(in *sdk.UpdateAliasInput) { in.FunctionVersion = aws.String("2") })
	wantError(t, err, "InvalidParameterValueException", "Invalid function version 2. Function version 2 is already included in routing configuration.")
	out, err := e.move(t, func(in *sdk.UpdateAliasInput) {
		in.FunctionVersion, in.RoutingConfig = aws.String("2"), &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}
	})
	if err != nil || out.RoutingConfig != nil {
		t.Errorf("all of it to one version: %+v %v", out, err)
	}
	e.answers(t, "orders:live", "v2", "2")
}

func TestAliasesThatAreRefused(t *testing.T) {
	e := twoVersions(t)
	e.alias(t, "live", "1")
	for _, test := range []struct {
		code, message string
		edit          func(*sdk.CreateAliasInput)
	}{
		{"ResourceConflictException", "Alias already exists: " + arn + ":live", func(in *sdk.CreateAliasInput) { in.Name = aws.String("live") }},
		{"ResourceNotFoundException", "Function not found: " + arn + ":3", func(in *sdk.CreateAliasInput) { in.FunctionVersion = aws.String("3") }},
		{"ResourceNotFoundException", "Function not found: " + arn + "-2:1", func(in *sdk.CreateAliasInput) { in.FunctionName = aws.String("orders-2") }},
		{"ValidationException", "…Value '12' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)", func(in *sdk.CreateAliasInput) { in.Name = aws.String("12") }},
		{"ValidationException", "…Value '$LATEST' at 'name'…", func(in *sdk.CreateAliasInput) { in.Name = aws.String("$LATEST") }},
		{"ValidationException", "…Value '' at 'name'…", func(in *sdk.CreateAliasInput) { in.Name = aws.String("") }},
		{"ValidationException", "…at 'name'…less than or equal to 128", func(in *sdk.CreateAliasInput) { in.Name = aws.String(strings.Repeat("x", 129)) }},
		{"ValidationException", "…Value 'live' at 'functionVersion'…", func(in *sdk.CreateAliasInput) { in.FunctionVersion = aws.String("live") }},
		{"ValidationException", "…at 'description'…", func(in *sdk.CreateAliasInput) { in.Description = aws.String(strings.Repeat("x", 257)) }},
		{"InvalidParameterValueException", "Number of items in AdditionalVersionWeights cannot be greater than 1", func(in *sdk.CreateAliasInput) { in.RoutingConfig = weights(map[string]float64{"1": 0.1, "2": 0.1}) }},
		{"InvalidParameterValueException", "Invalid function version 1. …", func(in *sdk.CreateAliasInput) { in.RoutingConfig = weights(map[string]float64{"1": 0.1}) }},
		{"InvalidParameterValueException", "$LATEST is not supported for an alias pointing to more than 1 version", func(in *sdk.CreateAliasInput) {
			in.FunctionVersion, in.RoutingConfig = aws.String("$LATEST"), weights(map[string]float64{"1": 0.1})
		}},
		{"ValidationException", "…Value '{2=1.5}' at 'routingConfig.additionalVersionWeights'…", func(in *sdk.CreateAliasInput) { in.RoutingConfig = weights(map[string]float64{"2": 1.5}) }},
		{"ValidationException", "…Value '{live=0.5}' at 'routingConfig.additionalVersionWeights'…", func(in *sdk.CreateAliasInput) { in.RoutingConfig = weights(map[string]float64{"live": 0.5}) }},
		{"ResourceNotFoundException", "Function not found: " + arn + ":3", func(in *sdk.CreateAliasInput) { in.RoutingConfig = weights(map[string]float64{"3": 0.5}) }},
	} {
		in := &sdk.CreateAliasInput{FunctionName: aws.String("orders"), Name: aws.String("other"), FunctionVersion: aws.String("1")}
		test.edit(in)
		_, err := e.CreateAlias(t.Context(), in)
		wantError(t, err, test.code, test.message)
	}
	const unknown = "Cannot find alias arn: " + arn + ":other"
	_, err := e.GetAlias(t.Context(), &sdk.GetAliasInput{FunctionName: aws.String("orders"), Name: aws.String("other")})
	wantError(t, err, "ResourceNotFoundException", unknown)
	_, err = e.UpdateAlias(t.Context(), &sdk.UpdateAliasInput{FunctionName: aws.String("orders"), Name: aws.String("other"), FunctionVersion: aws.String("1")})
	wantError(t, err, "ResourceNotFoundException", unknown)
	_, err = e.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("orders:other")})
	wantError(t, err, "ResourceNotFoundException", unknown)
	_, err = e.move(t, func(in *sdk.UpdateAliasInput) { in.FunctionVersion = aws.String("3") })
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+":3")
	_, err = e.GetAlias(t.Context(), &sdk.GetAliasInput{FunctionName: aws.String("orders-2"), Name: aws.String("live")})
	wantError(t, err, "ResourceNotFoundException", "Function not found: "+arn+"-2")
	e.answers(t, "orders:live", "v1", "1")
}

func weights(of map[string]float64) *types.AliasRoutingConfiguration {
	return &types.AliasRoutingConfiguration{AdditionalVersionWeights: of}
}

func TestListAndDeleteAliases(t *testing.T) {
	e := twoVersions(t)
	for i, name := range []string{"live", "beta", "canary"} {
		e.alias(t, name, fmt.Sprint(i%2+1))
	}
	list := func(version *string) (names []string) {
		t.Helper()
		pages := sdk.NewListAliasesPaginator(e, &sdk.ListAliasesInput{FunctionName: aws.String("orders"), FunctionVersion: version, MaxItems: aws.Int32(1)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil || len(page.Aliases) != 1 {
				t.Fatalf("%+v %v", page, err)
			}
			names = append(names, *page.Aliases[0].Name)
		}
		return names
	}
	if got := list(nil); !slices.Equal(got, []string{"beta", "canary", "live"}) {
		t.Errorf("listed %v", got)
	}
	if got := list(aws.String("1")); !slices.Equal(got, []string{"canary", "live"}) {
		t.Errorf("of version 1 listed %v", got)
	}
	for range 2 { // the second time there is none
		if _, err := e.DeleteAlias(t.Context(), &sdk.DeleteAliasInput{FunctionName: aws.String("orders"), Name: aws.String("beta")}); err != nil {
			t.Error(err)
		}
	}
	if got := list(nil); !slices.Equal(got, []string{"canary", "live"}) {
		t.Errorf("left are %v", got)
	}
	if _, err := e.DeleteFunction(t.Context(), &sdk.DeleteFunctionInput{FunctionName: aws.String("orders:2")}); err != nil {
		t.Errorf("delete a version that no alias leads to any more: %v", err)
	}
}

// Of all who move an alias from the same revision, one does.
// What was said of an alias is gone with it: another one under its name begins without.
func TestDeletedAliasIsForgotten(t *testing.T) {
	e := twoVersions(t)
	name, live := aws.String("orders"), aws.String("live")
	permission := &sdk.AddPermissionInput{
		FunctionName: name, Qualifier: live, StatementId: aws.String("one"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("events.amazonaws.com"),
	}
	url := &sdk.CreateFunctionUrlConfigInput{FunctionName: name, Qualifier: live, AuthType: types.FunctionUrlAuthTypeNone}
	events := &sdk.PutFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: live, MaximumRetryAttempts: aws.Int32(0)}
	for range 2 {
		e.alias(t, "live", "1")
		localawstest.Fails(t, "ResourceNotFoundException", e.GetPolicy, &sdk.GetPolicyInput{FunctionName: name, Qualifier: live})
		localawstest.Fails(t, "ResourceNotFoundException", e.GetFunctionEventInvokeConfig, &sdk.GetFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: live})
		localawstest.Call(t, e.AddPermission, permission)
		localawstest.Call(t, e.CreateFunctionUrlConfig, url)
		localawstest.Call(t, e.PutFunctionEventInvokeConfig, events)
		localawstest.Call(t, e.DeleteAlias, &sdk.DeleteAliasInput{FunctionName: name, Name: live})
	}
}

func TestOneMoveOfManyWins(t *testing.T) {
	e := twoVersions(t)
	created := e.alias(t, "live", "1")
	const movers = 8
	errs := make([]error, movers)
	var group sync.WaitGroup
	for i := range movers {
		group.Go(func() {
			_, errs[i] = e.move(t, func(in *sdk.UpdateAliasInput) {
				in.FunctionVersion, in.RevisionId = aws.String("2"), created.RevisionId
			})
			e.invoke(t, "orders:live", `{}`)
		})
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantError(t, err, "PreconditionFailedException", "…")
	}
	if won != 1 {
		t.Errorf("%d moves succeeded", won)
	}
	e.answers(t, "orders:live", "v2", "2")
}
