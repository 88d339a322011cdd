package tasukicdk

import (
	"math"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"

	"github.com/tasuki-dev/tasuki"
)

// unresolved reports whether a text or a number is, or has in it, a value that is known
// at deploy time only: an attribute of a resource, or the value of a parameter.
func unresolved(value any) bool { return *awscdk.Token_IsUnresolved(value) }

// valid reports whether a text is one that parse takes, and says at the construct why it
// is not. What is known at deploy time only is left to the provider to refuse.
func valid[T any](at constructs.IConstruct, given string, parse func(string) (T, error)) bool {
	if unresolved(given) {
		return true
	}
	_, err := parse(given)
	if err != nil {
		mistake(at, "%v", err)
	}
	return err == nil
}

// validNumber returns a number if it is a whole one in the range that Lambda takes, else
// the nearest that is.
func validNumber(at constructs.IConstruct, what, unit string, given, lowest, highest float64) float64 {
	if unresolved(given) || given >= lowest && given <= highest && given == math.Trunc(given) {
		return given
	}
	mistake(at, "the %s is %v %s, and Lambda takes whole numbers from %v to %v %s", what, given, unit, lowest, highest, unit)
	return math.Trunc(min(max(given, lowest), highest))
}

// validARN reports whether a text can be the ARN of what a service has, and says at the
// construct that it is not.
func validARN(at constructs.IConstruct, what, service, given string) bool {
	if unresolved(given) {
		return true
	}
	parts := strings.SplitN(given, ":", 6)
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == service && parts[5] != "" {
		return true
	}
	mistake(at, "%q is not the ARN of %s: give it in full, as in arn:aws:%s:…", given, what, service)
	return false
}

// lambdaArchitecture returns an architecture as CDK has it.
func lambdaArchitecture(arch tasuki.Architecture) awslambda.Architecture {
	if arch == tasuki.ARM64 {
		return awslambda.Architecture_ARM_64()
	}
	return awslambda.Architecture_X86_64()
}

// architectureOf returns an architecture that is given as Lambda names it; nil stands for
// another one.
func architectureOf(at constructs.IConstruct, given awslambda.Architecture, otherwise tasuki.Architecture) tasuki.Architecture {
	if given == nil {
		return otherwise
	}
	if name := *given.Name(); valid(at, name, tasuki.ParseArchitecture) {
		return tasuki.Architecture(name)
	}
	return tasuki.X86_64
}

// isFile reports whether there is a file of a name, and says at the construct that there
// is none.
func isFile(at constructs.IConstruct, name string) bool {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		mistake(at, "the image's source cannot be read: %v", err)
		return false
	case info.IsDir():
		mistake(at, "the image's source %s is a directory, and has to be a file", name)
		return false
	}
	return true
}
