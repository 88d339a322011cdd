// Echo is the function behind a custom resource: it answers with the Value that it is
// given, and fails when that is "fail".
package main

import (
	"context"
	"errors"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(cfn.LambdaWrap(func(_ context.Context, e cfn.Event) (string, map[string]any, error) {
		value, _ := e.ResourceProperties["Value"].(string)
		if value == "fail" && e.RequestType != cfn.RequestDelete {
			return "echo", nil, errors.New("it was told to fail")
		}
		return "echo", map[string]any{"Echo": "echo of " + value}, nil
	}))
}
