// Command infra is the infrastructure repository of the function orders, as a platform
// team would have it.
package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	newOrders(app, jsii.String("Orders"))
	newPlainOrders(app, jsii.String("PlainOrders"))
	app.Synth(nil)
}
