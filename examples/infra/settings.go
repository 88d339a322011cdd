package main

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// architecture is arm64, or what the context says. A rehearsal runs the functions on its
// own machine: cdk deploy -c architecture=x86_64
func architecture(scope constructs.Construct) awslambda.Architecture {
	if setting(scope, "architecture", "arm64") == "x86_64" {
		return awslambda.Architecture_X86_64()
	}
	return awslambda.Architecture_ARM_64()
}

// memory is 512 MB, or what the context says: cdk deploy -c memory=1024
func memory(scope constructs.Construct) *float64 {
	given := setting(scope, "memory", "512")
	mb, err := strconv.ParseFloat(given, 64)
	if err != nil {
		panic(fmt.Sprintf("the context's memory is %q: give a number of MB, as in -c memory=1024", given))
	}
	return jsii.Number(mb)
}

// setting returns what the context says under a name.
func setting(scope constructs.Construct, name, otherwise string) string {
	if given := scope.Node().TryGetContext(jsii.String(name)); given != nil {
		return fmt.Sprint(given)
	}
	return otherwise
}
