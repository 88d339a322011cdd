package resource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// version is AWS::Lambda::Version, which never changes: its physical id is the
// version's ARN.
func version() Type {
	return Type{
		Name: "AWS::Lambda::Version",
		Properties: map[string]Property{
			"CodeSha256": text(), "Description": text(), "FunctionName": required(text()),
		},
		CreateOnly: []string{"CodeSha256", "Description", "FunctionName"},
		Attributes: []string{"FunctionArn", "Version"},
		Create:     createVersion,
		Update: func(_ context.Context, r Request) (Result, error) {
			return versionResult(r.PhysicalID), nil
		},
		Delete: func(ctx context.Context, r Request) error {
			function, number := splitQualifier(r.PhysicalID)
			_, err := lambda.NewFromConfig(r.AWS).DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &function, Qualifier: &number})
			return unlessMissing(err)
		},
	}
}

// createVersion publishes a version, and fails where Lambda answers with one that was
// there: nothing has changed since it was published.
func createVersion(ctx context.Context, r Request) (Result, error) {
	client, name := lambda.NewFromConfig(r.AWS), r.text("FunctionName")
	before, err := publishedVersions(ctx, client, name)
	if err != nil {
		return Result{}, err
	}
	in := &lambda.PublishVersionInput{}
	if err := decode(r.Properties, in); err != nil {
		return Result{}, err
	}
	var out *lambda.PublishVersionOutput
	if err := r.betweenUpdates(ctx, client, name, func() (err error) {
		out, err = client.PublishVersion(ctx, in)
		return err
	}); err != nil {
		return Result{}, err
	}
	if slices.Contains(before, aws.ToString(out.Version)) && !r.Again {
		return Result{}, refusal(fmt.Sprintf("A version for this Lambda function exists ( %s ). Modify the function to create a new version.", aws.ToString(out.Version)))
	}
	result := versionResult(aws.ToString(out.FunctionArn))
	_, err = stableFunction(ctx, client, result.PhysicalID)
	return result, err
}

func publishedVersions(ctx context.Context, client *lambda.Client, function string) (numbers []string, err error) {
	pages := lambda.NewListVersionsByFunctionPaginator(client, &lambda.ListVersionsByFunctionInput{FunctionName: &function})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Versions {
			numbers = append(numbers, aws.ToString(v.Version))
		}
	}
	return numbers, nil
}

func versionResult(arn string) Result {
	_, number := splitQualifier(arn)
	return Result{PhysicalID: arn, Attributes: map[string]any{"FunctionArn": arn, "Version": number}}
}

// splitQualifier takes the last part off an ARN: a version's number or an alias's name.
func splitQualifier(arn string) (function, qualifier string) {
	colon := strings.LastIndexByte(arn, ':')
	if colon < 0 {
		return arn, ""
	}
	return arn[:colon], arn[colon+1:]
}

// alias is AWS::Lambda::Alias. Any change sends the version that CloudFormation has on
// record.
func alias() Type {
	return Type{
		Name: "AWS::Lambda::Alias",
		Properties: map[string]Property{
			"Description":     text(),
			"FunctionName":    required(text()),
			"FunctionVersion": required(text()),
			"Name":            required(text()),
			"RoutingConfig": object(map[string]Property{"AdditionalVersionWeights": listOf(object(map[string]Property{
				"FunctionVersion": required(text()), "FunctionWeight": required(Property{Kind: Number}),
			}))}),
		},
		CreateOnly: []string{"FunctionName", "Name"},
		Attributes: []string{"AliasArn"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			out, err := lambda.NewFromConfig(r.AWS).CreateAlias(ctx, &lambda.CreateAliasInput{
				FunctionName: aws.String(r.text("FunctionName")), Name: aws.String(r.text("Name")), FunctionVersion: aws.String(r.text("FunctionVersion")),
				Description: aws.String(r.text("Description")), RoutingConfig: r.routing(),
			})
			switch {
			case r.mine(err):
				return updateAlias(ctx, r)
			case err != nil:
				return Result{}, err
			}
			return aliasResult(aws.ToString(out.AliasArn)), nil
		},
		Update: updateAlias,
		Read:   readAlias,
		Unread: []string{"FunctionName", "Name"},
		Delete: func(ctx context.Context, r Request) error {
			function, name := splitQualifier(r.PhysicalID)
			_, err := lambda.NewFromConfig(r.AWS).DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: &function, Name: &name})
			return unlessMissing(err)
		},
	}
}

func updateAlias(ctx context.Context, r Request) (Result, error) {
	out, err := lambda.NewFromConfig(r.AWS).UpdateAlias(ctx, &lambda.UpdateAliasInput{
		FunctionName: aws.String(r.text("FunctionName")), Name: aws.String(r.text("Name")), FunctionVersion: aws.String(r.text("FunctionVersion")),
		Description: aws.String(r.text("Description")), RoutingConfig: r.routing(),
	})
	if err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	return aliasResult(aws.ToString(out.AliasArn)), nil
}

func aliasResult(arn string) Result {
	return Result{PhysicalID: arn, Attributes: map[string]any{"AliasArn": arn}}
}

// routing returns an alias's weights: none where the template has none.
func (r Request) routing() *types.AliasRoutingConfiguration {
	routing := &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}
	config, _ := r.Properties["RoutingConfig"].(map[string]any)
	weights, _ := config["AdditionalVersionWeights"].([]any)
	for _, element := range weights {
		weight := struct {
			FunctionVersion string
			FunctionWeight  float64
		}{}
		if decode(element, &weight) == nil { // typed as this struct is
			routing.AdditionalVersionWeights[weight.FunctionVersion] = weight.FunctionWeight
		}
	}
	return routing
}
