package authorization

import (
	"net/url"
	"strings"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

func (f Reference) lambda(action string, r *wire.Request) []Need {
	const toLambda = "lambda.amazonaws.com"
	path := strings.Split(strings.Trim(r.HTTP.URL.EscapedPath(), "/"), "/")
	// Below the version of the API there is what the request is about, and its name.
	segment := func(i int) string {
		if i >= len(path) {
			return ""
		}
		text, _ := url.PathUnescape(path[i]) // what is malformed has no route
		return text
	}
	switch action {
	case "lambda:ListFunctions", "lambda:ListEventSourceMappings":
		return on(action, anything)
	case "lambda:ListTags", "lambda:TagResource", "lambda:UntagResource":
		return on(action, segment(2))
	case "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping":
		return on(action, f.arn("lambda", "event-source-mapping:"+segment(2)))
	case "lambda:CreateEventSourceMapping":
		function := f.function(membersOf(r.Body).text("FunctionName"), "")
		return []Need{{Action: action, Resource: anything, Context: map[string][]string{"lambda:FunctionArn": {function}}}}
	case "lambda:CreateFunction":
		m := membersOf(r.Body)
		needs := append(on(action, f.function(m.text("FunctionName"), "")), passRole(m.text("Role"), toLambda)...)
		if m.has("Tags") {
			needs = append(needs, on("lambda:TagResource", needs[0].Resource)...)
		}
		return needs
	case "lambda:UpdateFunctionConfiguration":
		return append(on(action, f.function(segment(2), "")), passRole(membersOf(r.Body).text("Role"), toLambda)...)
	case "lambda:CreateAlias", "lambda:GetAlias", "lambda:UpdateAlias", "lambda:DeleteAlias":
		// The function: its aliases' own ARNs are seen in no denial.
		return on(action, f.function(segment(2), ""))
	case "lambda:Invoke":
		action = "lambda:InvokeFunction"
	}
	return on(action, f.function(segment(2), r.HTTP.URL.Query().Get("Qualifier")))
}

// function returns the ARN of a function that is named by its name, a partial ARN or an
// ARN, each with or without a qualifier; with one beside the name where it is given.
func (f Reference) function(named, qualifier string) string {
	if i := strings.LastIndex(named, "function:"); i >= 0 {
		named = named[i+len("function:"):]
	} else if account, rest, found := strings.Cut(named, ":"); found && account == f.Account {
		named = rest // as in 111122223333:orders
	}
	if qualifier != "" && !strings.Contains(named, ":") {
		named += ":" + qualifier
	}
	return f.arn("lambda", "function:"+named)
}
