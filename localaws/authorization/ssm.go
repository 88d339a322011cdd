package authorization

import "strings"

func (f Reference) ssm(action string, m members) []Need {
	switch action {
	case "ssm:DescribeParameters":
		return on(action, anything)
	case "ssm:GetParameters", "ssm:DeleteParameters":
		var needs []Need
		for _, name := range m.texts("Names") {
			needs = append(needs, on(action, f.parameter(name))...)
		}
		return needs
	case "ssm:GetParametersByPath":
		// The path itself, as it was asked for: not what lies under it.
		return on(action, f.arn("ssm", "parameter/"+strings.TrimPrefix(m.text("Path"), "/")))
	case "ssm:AddTagsToResource", "ssm:RemoveTagsFromResource", "ssm:ListTagsForResource":
		return on(action, f.parameter(m.text("ResourceId")))
	}
	needs := on(action, f.parameter(m.text("Name")))
	if action == "ssm:PutParameter" && m.has("Tags") {
		needs = append(needs, on("ssm:AddTagsToResource", needs[0].Resource)...)
	}
	return needs
}

// parameter returns the ARN of a parameter that is named by its name or its ARN, with
// or without the selector of a version, as in "/orders/image-tag:3".
func (f Reference) parameter(named string) string {
	const parts = 6 // of an ARN
	if arn := strings.SplitN(named, ":", parts); arn[0] == "arn" && len(arn) == parts {
		arn[parts-1], _, _ = strings.Cut(arn[parts-1], ":")
		return strings.Join(arn, ":")
	}
	name, _, _ := strings.Cut(named, ":")
	return f.arn("ssm", "parameter/"+strings.TrimPrefix(name, "/"))
}
