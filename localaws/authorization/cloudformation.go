package authorization

import (
	"net/url"
	"strings"
)

func (f Reference) cloudformation(action string, form url.Values) []Need {
	stack, changeSet := form.Get("StackName"), form.Get("ChangeSetName")
	switch action {
	case "cloudformation:ListStacks", "cloudformation:ListExports", "cloudformation:ListImports", "cloudformation:ValidateTemplate":
		return on(action, anything)
	case "cloudformation:DescribeChangeSet", "cloudformation:ExecuteChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:GetTemplate":
		if changeSet == "" {
			break
		}
		if arn := f.ChangeSet(changeSet, stack); arn != "" {
			return on(action, arn)
		}
	case "cloudformation:DescribeStacks":
		if stack == "" {
			return on(action, f.arn("cloudformation", "stack/*/*"))
		}
	}
	if stack == "" {
		return on(action, anything) // GetTemplateSummary of a template, DescribeStackResources of a resource
	}
	return append(on(action, f.stack(stack)), passRole(form.Get("RoleARN"), "cloudformation.amazonaws.com")...)
}

// stack returns the ARN of a stack, which is its id. Of one that is not there, AWS
// authorizes the name alone, as in stack/orders/*.
func (f Reference) stack(named string) string {
	if strings.HasPrefix(named, "arn:") {
		return named
	}
	if arn := f.Stack(named); arn != "" {
		return arn
	}
	return f.arn("cloudformation", "stack/"+named+"/*")
}
