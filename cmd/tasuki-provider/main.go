// Command tasuki-provider is the Lambda function that serves stacks: CloudFormation's
// custom resources and the events that ask for a reconciliation. It is packed as
// "bootstrap" for the runtime provided.al2023, and built without cgo and with the tag
// lambda.norpc.
package main

import "github.com/tasuki-dev/tasuki/provider"

func main() { provider.Main() }
