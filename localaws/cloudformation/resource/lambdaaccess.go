package resource

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// permission is AWS::Lambda::Permission: a statement of a function's policy. Its
// physical id is the statement's.
func permission() Type {
	return Type{
		Name: "AWS::Lambda::Permission",
		Properties: map[string]Property{
			"Action": required(text()), "EventSourceToken": text(), "FunctionName": required(text()), "FunctionUrlAuthType": text(),
			"InvokedViaFunctionUrl": boolean(), "Principal": required(text()), "PrincipalOrgID": text(), "SourceAccount": text(), "SourceArn": text(),
		},
		CreateOnly: []string{
			"Action", "EventSourceToken", "FunctionName", "FunctionUrlAuthType", "InvokedViaFunctionUrl", "Principal", "PrincipalOrgID", "SourceAccount", "SourceArn",
		},
		Attributes: []string{"Id"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			in := &lambda.AddPermissionInput{}
			if err := decode(r.Properties, in); err != nil {
				return Result{}, err
			}
			in.StatementId = aws.String(r.name(100, ""))
			_, err := lambda.NewFromConfig(r.AWS).AddPermission(ctx, in)
			if err != nil && !r.mine(err) {
				return Result{}, err
			}
			return permissionResult(*in.StatementId), nil
		},
		Update: func(_ context.Context, r Request) (Result, error) { return permissionResult(r.PhysicalID), nil },
		Delete: func(ctx context.Context, r Request) error {
			_, err := lambda.NewFromConfig(r.AWS).RemovePermission(ctx, &lambda.RemovePermissionInput{
				FunctionName: aws.String(r.text("FunctionName")), StatementId: &r.PhysicalID,
			})
			return unlessMissing(err)
		},
	}
}

func permissionResult(id string) Result {
	return Result{PhysicalID: id, Attributes: map[string]any{"Id": id}}
}

// functionURL is AWS::Lambda::Url. Its physical id is the ARN of the function, or of
// the alias, that it invokes.
func functionURL() Type {
	return Type{
		Name: "AWS::Lambda::Url",
		Properties: map[string]Property{
			"AuthType": required(text()), "InvokeMode": text(), "Qualifier": text(), "TargetFunctionArn": required(text()),
		},
		CreateOnly: []string{"Qualifier", "TargetFunctionArn"},
		Attributes: []string{"FunctionArn", "FunctionUrl"},
		Create: func(ctx context.Context, r Request) (Result, error) {
			in := &lambda.CreateFunctionUrlConfigInput{}
			if err := decode(r.Properties, in); err != nil {
				return Result{}, err
			}
			in.FunctionName = aws.String(r.text("TargetFunctionArn"))
			out, err := lambda.NewFromConfig(r.AWS).CreateFunctionUrlConfig(ctx, in)
			switch {
			case r.mine(err):
				return updateURL(ctx, r)
			case err != nil:
				return Result{}, err
			}
			return urlResult(out.FunctionArn, out.FunctionUrl), nil
		},
		Update: updateURL,
		Delete: func(ctx context.Context, r Request) error {
			_, err := lambda.NewFromConfig(r.AWS).DeleteFunctionUrlConfig(ctx, &lambda.DeleteFunctionUrlConfigInput{FunctionName: aws.String(r.text("TargetFunctionArn")), Qualifier: r.optional("Qualifier")})
			return unlessMissing(err)
		},
	}
}

func updateURL(ctx context.Context, r Request) (Result, error) {
	in := &lambda.UpdateFunctionUrlConfigInput{}
	if err := decode(r.Properties, in); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	in.FunctionName = aws.String(r.text("TargetFunctionArn"))
	out, err := lambda.NewFromConfig(r.AWS).UpdateFunctionUrlConfig(ctx, in)
	if err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	return urlResult(out.FunctionArn, out.FunctionUrl), nil
}

func urlResult(arn, url *string) Result {
	return Result{PhysicalID: aws.ToString(arn), Attributes: map[string]any{"FunctionArn": aws.ToString(arn), "FunctionUrl": aws.ToString(url)}}
}
