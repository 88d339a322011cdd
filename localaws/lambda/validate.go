package lambda

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The bounds of a function's configuration (Lambda quotas, AWS documentation).
const (
	defaultMemory, smallestMemory, largestMemory    = 128, 128, 10240 // MiB
	defaultTimeout, shortestTimeout, longestTimeout = 3, 1, 900       // seconds
	defaultScratch, largestScratch                  = 512, 10240      // MiB
	longestDescription                              = 256             // characters
	largestEnvironment                              = 4096            // bytes, as JSON
)

var roleGrammar = regexp.MustCompile(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)

// variableGrammar is EnvironmentVariableName.
var variableGrammar = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)

// reserved are the variables that Lambda sets and nobody else may
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html).
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errorf("InvalidParameterValueException", format, args...)
}

// constraint is the error for a member outside of its model's bounds.
func constraint(value any, member, rule string) *wire.Error {
	return wire.Errorf("ValidationException", "1 validation error detected: Value '%v' at '%s' failed to satisfy constraint: Member must %s", value, member, rule)
}

// missing is the error for a required member that a request lacks.
func missing(member string) *wire.Error {
	return wire.Errorf("ValidationException", "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

func notProvided(what string) *wire.Error { return wire.NotProvided("lambda", what) }

func conflict(format string, args ...any) *wire.Error {
	return wire.Errorf("ResourceConflictException", format, args...).WithStatus(http.StatusConflict)
}

// refuseMembers refuses the first of the named members that is set, in the order of
// their names.
func refuseMembers(set map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] {
			return notProvided("Member " + name)
		}
	}
	return nil
}

// check checks what create and update have in common.
func (v *version) check() error {
	switch {
	case v.Role == "":
		return missing("role")
	case !roleGrammar.MatchString(v.Role):
		return constraint(v.Role, "role", `satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`)
	case v.Memory < smallestMemory:
		return constraint(v.Memory, "memorySize", fmt.Sprintf("have value greater than or equal to %d", smallestMemory))
	case v.Memory > largestMemory:
		return constraint(v.Memory, "memorySize", fmt.Sprintf("have value less than or equal to %d", largestMemory))
	case v.Timeout < shortestTimeout:
		return constraint(v.Timeout, "timeout", fmt.Sprintf("have value greater than or equal to %d", shortestTimeout))
	case v.Timeout > longestTimeout:
		return constraint(v.Timeout, "timeout", fmt.Sprintf("have value less than or equal to %d", longestTimeout))
	case v.Scratch < defaultScratch:
		return constraint(v.Scratch, "ephemeralStorage.size", fmt.Sprintf("have value greater than or equal to %d", defaultScratch))
	case v.Scratch > largestScratch:
		return constraint(v.Scratch, "ephemeralStorage.size", fmt.Sprintf("have value less than or equal to %d", largestScratch))
	}
	if err := checkDescription(&v.Description); err != nil {
		return err
	}
	if err := checkPackage(v); err != nil {
		return err
	}
	return checkEnvironment(v.Environment)
}

func checkDescription(given *string) error {
	if given != nil && len([]rune(*given)) > longestDescription {
		return constraint(*given, "description", fmt.Sprintf("have length less than or equal to %d", longestDescription))
	}
	return nil
}

// checkPackage checks the members that only one type of package has.
func checkPackage(v *version) error {
	switch v.PackageType {
	case types.PackageTypeImage:
		if v.Handler != "" || v.Runtime != "" {
			return invalid("Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.")
		}
	case types.PackageTypeZip:
		switch {
		case v.Handler == "" || v.Runtime == "":
			return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
		case v.ImageOverride != nil:
			return invalid("Please don't provide ImageConfig when using Zip package type.")
		case !strings.HasPrefix(string(v.Runtime), "provided"):
			return notProvided("Runtime " + string(v.Runtime))
		}
	default:
		return constraint(v.PackageType, "packageType", "satisfy enum value set: [Image, Zip]")
	}
	return nil
}

func checkEnvironment(variables map[string]string) error {
	var taken []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !variableGrammar.MatchString(name) && !slices.Contains(reserved, name) {
			return constraint(name, "environment.variables", `satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]`)
		}
		if slices.Contains(reserved, name) {
			taken = append(taken, name)
		}
	}
	if len(taken) > 0 {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", strings.Join(taken, ", "))
	}
	encoded, err := json.Marshal(variables)
	if err != nil {
		return err
	}
	if len(encoded) > largestEnvironment {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.")
	}
	return nil
}

// oneArchitecture returns the architecture of a request: Lambda takes x86_64 where
// none is given, whatever the function has.
func oneArchitecture(given []types.Architecture) (types.Architecture, error) {
	switch {
	case len(given) == 0:
		return types.ArchitectureX8664, nil
	case len(given) > 1 || !slices.Contains(given[0].Values(), given[0]):
		return "", constraint(given, "architectures", "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]")
	}
	return given[0], nil
}
