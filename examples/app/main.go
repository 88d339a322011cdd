// Command orders is a Lambda function that takes orders.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
)

// version is what the image was released as; the Makefile sets it.
var version = "unreleased"

type order struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

type confirmation struct {
	Message string `json:"message"`
	Version string `json:"version"`
}

func main() { lambda.Start(take) }

// take confirms an order, or says what is wrong with it.
func take(_ context.Context, o order) (confirmation, error) {
	if o.Item == "" {
		return confirmation{}, errors.New("the order names no item")
	}
	if o.Quantity < 1 {
		return confirmation{}, fmt.Errorf("the order is for %d of %s: the least is 1", o.Quantity, o.Item)
	}
	return confirmation{Message: fmt.Sprintf("%d × %s is on its way", o.Quantity, o.Item), Version: version}, nil
}
