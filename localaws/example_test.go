package localaws_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/tasuki-dev/tasuki/localaws"
	"github.com/tasuki-dev/tasuki/localaws/fault"
)

// A program's own tests can run against an endpoint in their process. A test that has
// functions run calls sandbox.Main first in its TestMain.
func Example() {
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	client := ssm.NewFromConfig(server.Config("deployer"))
	if _, err := client.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/tasuki/orders/image-tag"), Value: aws.String("v1"), Type: "String"}); err != nil {
		log.Fatal(err)
	}

	server.Faults().Add(fault.Rule{Operation: "ssm:Get*", Kind: fault.Denied})
	_, err = client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/tasuki/orders/image-tag")})
	var denied smithy.APIError
	if errors.As(err, &denied) {
		fmt.Println(denied.ErrorCode())
	}
	for _, call := range server.Calls().All() {
		fmt.Println(call.Principal, call.Name(), call.Status)
	}
	// Output:
	// AccessDeniedException
	// deployer ssm:PutParameter 200
	// deployer ssm:GetParameter 400
}
