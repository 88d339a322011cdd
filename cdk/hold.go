package tasukicdk

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/tasuki-dev/tasuki/customresource"
	"github.com/tasuki-dev/tasuki/policy"
)

// holdEvents keeps the function's event source mappings disabled until there is a
// release. They are added to the function after this construct, so they are looked for
// when the tree is complete.
func (f *ImageFunction) holdEvents(rules []rule) {
	h := &holder{function: f}
	for _, r := range rules {
		if r.trigger != customresource.TriggerSchedule {
			h.rules = append(h.rules, r)
		}
	}
	if f.Provider.Role != nil {
		h.policy = awsiam.NewPolicy(f.scope, jsii.String("EventsPolicy"), nil)
	}
	// One construct's aspect is called once; the stack's would be at each of its nodes.
	awscdk.Aspects_Of(h.rules[0].resource).Add(h, nil)
}

// holder is the aspect that holds event source mappings.
type holder struct {
	function *ImageFunction
	rules    []rule        // that may enable them
	policy   awsiam.Policy // which allows it, and says nothing yet; nil where there is no role
}

// Visit implements awscdk.IAspect.
func (h *holder) Visit(constructs.IConstruct) {
	var uuids, arns []string
	for _, mapping := range h.function.mappings() {
		mapping.SetEnabled(jsii.Bool(false))
		uuids = append(uuids, *mapping.Ref())
		arns = append(arns, *mapping.AttrEventSourceMappingArn())
	}
	if len(uuids) == 0 {
		awscdk.Annotations_Of(h.function).AddWarningV2(jsii.String("tasuki:nothing-to-hold"),
			jsii.String("HoldEvents has nothing to hold: no event source mapping of this stack names the function"))
		return
	}
	if h.policy != nil {
		h.policy.AttachToRole(h.function.Provider.Role)
		h.policy.AddStatements(*iamStatements(policy.Provider(policy.Resources{}, policy.ProviderOptions{Mappings: arns}))...)
	}
	for _, r := range h.rules {
		h.function.target(r, uuids)
		if h.policy != nil {
			r.resource.Node().AddDependency(h.policy)
		}
	}
}

// mappings returns the stack's event source mappings whose function is this one, or an
// alias of it.
func (f *ImageFunction) mappings() []awslambda.CfnEventSourceMapping {
	stack := awscdk.Stack_Of(f)
	own := *stack.GetLogicalId(f.Node().DefaultChild().(awscdk.CfnElement))
	var found []awslambda.CfnEventSourceMapping
	for _, node := range *stack.Node().FindAll(constructs.ConstructOrder_PREORDER) {
		if mapping, ok := node.(awslambda.CfnEventSourceMapping); ok && refersTo(stack.Resolve(mapping.FunctionName()), own) {
			found = append(found, mapping)
		}
	}
	return found
}

// refersTo reports whether a resolved value has a reference to the resource of a
// logical id in it.
func refersTo(value any, logicalID string) bool {
	b, err := json.Marshal(value)
	if err != nil {
		return false
	}
	return strings.Contains(string(b), `{"Ref":"`+logicalID+`"}`) || strings.Contains(string(b), `{"Fn::GetAtt":["`+logicalID+`"`)
}
