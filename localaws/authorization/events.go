package authorization

func (f Reference) events(action string, m members) []Need {
	rule := m.text("Name")
	switch action {
	case "events:PutEvents":
		return on(action, f.arn("events", "event-bus/default"))
	case "events:ListRules":
		return on(action, anything)
	case "events:ListTagsForResource", "events:TagResource", "events:UntagResource":
		return on(action, m.text("ResourceARN"))
	case "events:PutTargets", "events:RemoveTargets", "events:ListTargetsByRule":
		rule = m.text("Rule")
	}
	return append(on(action, f.arn("events", "rule/"+rule)), passRole(m.text("RoleArn"), "events.amazonaws.com")...)
}
