package authorization

func (f Reference) logs(action string, m members) []Need {
	switch action {
	case "logs:DescribeLogGroups":
		return on(action, anything)
	case "logs:ListTagsForResource", "logs:TagResource", "logs:UntagResource":
		return on(action, m.text("resourceArn"))
	}
	// Policies name a group with a trailing ":*", which this matches.
	return on(action, f.arn("logs", "log-group:"+m.text("logGroupName")+":log-stream:"))
}
