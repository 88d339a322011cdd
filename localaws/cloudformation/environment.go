package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

// environment is what a revision's functions are evaluated in.
type environment struct {
	s        *Service
	st       *stack // of which the names are read
	t        *template.Template
	revision *revision
	// live returns a resource, for its id or for an attribute; template.ErrUnknown where
	// that will be known later.
	live     func(logicalID string, attribute bool) (*deployed, error)
	imported func(name string) // is told of each export that is used; nil for nobody
	// dynamic resolves a dynamic reference; nil to leave it as it stands.
	dynamic func(reference string) (string, error)
	// hides has what is not to be shown replaced by hidden.
	hides bool
}

// hidden is what is shown of a value that is not to be.
const hidden = "****"

// Ref implements [template.Environment].
func (e *environment) Ref(name string) (any, error) {
	switch name {
	case "AWS::AccountId":
		return e.s.o.Account, nil
	case "AWS::Region":
		return e.s.o.Region, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	case "AWS::StackId":
		return e.st.ID, nil
	case "AWS::StackName":
		return e.st.Name, nil
	case "AWS::NotificationARNs":
		arns := []any{}
		for _, arn := range e.revision.NotificationARNs {
			arns = append(arns, arn)
		}
		return arns, nil
	}
	if declared, found := e.t.Parameters[name]; found {
		i := slices.IndexFunc(e.revision.Parameters, func(p parameter) bool { return p.Key == name })
		if i < 0 {
			return nil, fmt.Errorf("parameter %s has no value", name)
		}
		if e.hides && declared.NoEcho {
			return declared.Value(hidden), nil
		}
		return declared.Value(e.revision.Parameters[i].text()), nil
	}
	d, err := e.live(name, false)
	if err != nil {
		return nil, err
	}
	return d.PhysicalID, nil
}

// GetAtt implements [template.Environment].
func (e *environment) GetAtt(logicalID, attribute string) (any, error) {
	d, err := e.live(logicalID, true)
	if err != nil {
		return nil, err
	}
	if e.hides && d.NoEcho {
		return hidden, nil
	}
	// A dot leads into an attribute that is an object, as the ones of custom resources.
	value, found := d.Attributes[attribute]
	var within any = map[string]any(d.Attributes)
	for part := range strings.SplitSeq(attribute, ".") {
		if found {
			return value, nil
		}
		object, _ := within.(map[string]any)
		within = object[part]
	}
	if !found && within == nil {
		if isCustom(d.Type) {
			return nil, fmt.Errorf("Vendor response doesn't contain %s attribute in object", attribute) //lint:ignore ST1005 CloudFormation's own words
		}
		return nil, fmt.Errorf("Requested attribute %s does not exist in schema for %s", attribute, d.Type) //lint:ignore ST1005 CloudFormation's own words
	}
	return within, nil
}

// ImportValue implements [template.Environment].
func (e *environment) ImportValue(name string) (string, error) {
	exported, found, err := e.s.export(name)
	if err != nil {
		return "", err
	}
	if !found {
		return "", fmt.Errorf("No export named %s found.", name) //lint:ignore ST1005 CloudFormation's own words
	}
	if e.imported != nil {
		e.imported(name)
	}
	return exported.Value, nil
}

// Dynamic implements [template.Environment]. A reference that is not resolved stays in
// the properties that updates are told apart by: CloudFormation does not notice when
// only the value behind it has changed.
func (e *environment) Dynamic(reference string) (string, error) {
	if e.dynamic == nil {
		return "{{resolve:" + reference + "}}", nil
	}
	return e.dynamic(reference)
}

// resolveDynamic reads what a dynamic reference stands for.
func (s *Service) resolveDynamic(ctx context.Context, reference string) (string, error) {
	service, name, _ := strings.Cut(reference, ":")
	if service != "ssm" {
		return "", fmt.Errorf("dynamic references to %s are not provided by tasuki local", service)
	}
	out, err := ssm.NewFromConfig(s.o.AWS).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name)})
	if err != nil {
		return "", fmt.Errorf("Unable to fetch parameters [%s] from parameter store for this account: %s", name, serviceMessage(err)) //lint:ignore ST1005 CloudFormation's own words
	}
	if out.Parameter.Type == "SecureString" {
		return "", fmt.Errorf("SSM Secure reference is not supported in: [%s]", reference)
	}
	return aws.ToString(out.Parameter.Value), nil
}

// isCustom reports whether a type is a custom resource's.
func isCustom(typeName string) bool {
	return strings.HasPrefix(typeName, "Custom::") || typeName == "AWS::CloudFormation::CustomResource"
}

// wanted returns the resources of a template whose conditions hold.
func wanted(t *template.Template, env template.Environment) (map[string]bool, error) {
	found := map[string]bool{}
	for id, resource := range t.Resources {
		holds, err := t.Holds(resource.Condition, env)
		if err != nil {
			return nil, err
		}
		if holds {
			found[id] = true
		}
	}
	return found, nil
}

// evaluate evaluates a resource's properties for a physical one: as they tell updates
// apart and, where that makes a difference, with dynamic references resolved, as a call
// gets them, and without what is not to be shown.
func (d *deployed) evaluate(t *template.Template, env *environment, id string, dynamic func(string) (string, error)) error {
	d.Properties, d.Given, d.Shown = values{}, nil, nil
	written := t.Resources[id].Properties
	if written == nil {
		return nil
	}
	found, err := t.Evaluate(written, env)
	if err != nil {
		return err
	}
	properties, isObject := asObject(found)
	if !isObject {
		return errors.New("what a resource has for Properties is not an object")
	}
	d.Properties = properties
	resolving := *env
	resolving.dynamic = dynamic
	if found, err = t.Evaluate(written, &resolving); err != nil {
		return err
	}
	if resolved, _ := asObject(found); !same(resolved, properties) {
		d.Given = resolved
	}
	if shown := shownProperties(t, env, written, properties); !same(shown, properties) {
		d.Shown = shown
	}
	return nil
}

// shownProperties returns properties without what is not to be shown. One that has no
// value without it, as where a key for a mapping is hidden, is hidden altogether.
func shownProperties(t *template.Template, env *environment, written map[string]any, properties values) values {
	hiding := *env
	hiding.hides = true
	shown := values{}
	for name := range properties {
		value, err := t.Shown(written[name], env, &hiding)
		if err != nil {
			value = hidden
		}
		shown[name] = value
	}
	return shown
}

func asObject(value any) (values, bool) {
	object, ok := value.(map[string]any)
	return object, ok
}
