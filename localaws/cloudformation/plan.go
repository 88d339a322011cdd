package cloudformation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
)

// plan is what a revision would change of a stack.
type plan struct {
	Changes []types.Change
	Differs bool // in the resources, or in what has no change of its own: outputs, tags
}

// planner compares a revision with what is deployed. Values that are known only after
// the deployment count as changed.
type planner struct {
	s       *Service
	st      *stack
	t       *template.Template // of the revision
	before  *template.Template // of what is deployed; nil for nothing
	env     *environment
	records map[string]record
	fate    map[string]fate
}

// fate is what is known of a resource before the deployment.
type fate int

const (
	fateKept    fate = iota // as it is
	fateUpdated             // keeps its id; a custom resource may answer anything
	fateNew                 // created, or created again
)

// plan compares a revision with what a stack has, and notes the exports that the
// revision imports.
func (s *Service) plan(st *stack, r *revision, t *template.Template, records map[string]record) (plan, error) {
	p := &planner{s: s, st: st, t: t, records: records, fate: map[string]fate{}}
	r.Imports = nil
	p.env = &environment{s: s, st: st, t: t, revision: r, live: p.live, imported: func(name string) {
		if !slices.Contains(r.Imports, name) {
			r.Imports = append(r.Imports, name)
		}
	}}
	if st.Deployed.Template != "" {
		var err error
		if p.before, err = template.Parse([]byte(st.Deployed.Template)); err != nil {
			return plan{}, err
		}
	}
	want, err := wanted(t, p.env)
	if err != nil {
		return plan{}, invalid("%s", err)
	}
	found := plan{}
	for _, id := range p.inOrder(want) {
		change, err := p.resource(id)
		if err != nil {
			return plan{}, err
		}
		if change != nil {
			found.Changes = append(found.Changes, types.Change{Type: types.ChangeTypeResource, ResourceChange: change})
		}
	}
	for _, rec := range sortedRecords(records) {
		if rec.Live == nil || want[rec.LogicalID] {
			continue
		}
		action := types.PolicyActionDelete
		if retained(*rec.Live) {
			action = types.PolicyActionRetain
		}
		found.Changes = append(found.Changes, types.Change{Type: types.ChangeTypeResource, ResourceChange: &types.ResourceChange{
			Action: types.ChangeActionRemove, LogicalResourceId: aws.String(rec.LogicalID), PhysicalResourceId: aws.String(rec.physicalID()),
			ResourceType: aws.String(rec.Type), PolicyAction: action, Scope: []types.ResourceAttribute{}, Details: []types.ResourceChangeDetail{},
		}})
	}
	slices.SortStableFunc(found.Changes, func(a, b types.Change) int {
		return strings.Compare(*a.ResourceChange.LogicalResourceId, *b.ResourceChange.LogicalResourceId)
	})
	outputs, more, err := evaluateOutputs(t, p.env)
	if err != nil {
		return plan{}, invalid("%s", err)
	}
	found.Differs = len(found.Changes) > 0 || more || !slices.Equal(outputs, st.Deployed.Outputs) || !sameTags(st.Deployed.Tags, r.Tags) || p.unsettled()
	return found, nil
}

// unsettled reports whether something failed that a deployment of the same would mend.
func (p *planner) unsettled() bool {
	for _, rec := range p.records {
		if rec.failed() {
			return true
		}
	}
	return false
}

// inOrder returns resources so that each comes after those that it refers to.
func (p *planner) inOrder(want map[string]bool) (order []string) {
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		if seen[id] || !want[id] {
			return
		}
		seen[id] = true
		for _, other := range p.t.References(id) {
			visit(other)
		}
		order = append(order, id)
	}
	for _, id := range sortedKeys(want) {
		visit(id)
	}
	return order
}

// live is the environment's view of resources before the deployment.
func (p *planner) live(id string, attribute bool) (*deployed, error) {
	rec := p.records[id]
	switch fate := p.fate[id]; {
	case rec.Live == nil || fate == fateNew || fate == fateUpdated && attribute && isCustom(rec.Live.Type):
		return nil, template.ErrUnknown
	}
	return rec.Live, nil
}

// resource returns how a resource changes; nil for not at all.
func (p *planner) resource(id string) (*types.ResourceChange, error) {
	written, rec := p.t.Resources[id], p.records[id]
	change := &types.ResourceChange{
		LogicalResourceId: aws.String(id), ResourceType: aws.String(written.Type),
		Scope: []types.ResourceAttribute{}, Details: []types.ResourceChangeDetail{},
	}
	if rec.Live == nil {
		p.fate[id] = fateNew
		change.Action = types.ChangeActionAdd
		// What is known already is checked now, and not in the middle of the deployment.
		for _, name := range sortedKeys(written.Properties) {
			if _, err := p.t.Evaluate(written.Properties[name], p.env); err != nil && !errors.Is(err, template.ErrUnknown) {
				return nil, invalid("%s", err)
			}
		}
		return change, p.s.checkProperties(id, written)
	}
	if rec.Live.Type != written.Type {
		return nil, invalid("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", id)
	}
	if err := p.s.checkProperties(id, written); err != nil {
		return nil, err
	}
	if err := p.properties(id, written, rec, change); err != nil {
		return nil, err
	}
	p.rest(written, rec, change)
	if len(change.Details) == 0 && rec.Status != types.ResourceStatusCreateFailed {
		return nil, nil
	}
	change.Action, change.PhysicalResourceId = types.ChangeActionModify, aws.String(rec.physicalID())
	if change.Replacement == "" {
		change.Replacement = types.ReplacementFalse
	}
	p.fate[id] = fateUpdated
	if change.Replacement != types.ReplacementFalse {
		p.fate[id] = fateNew
	}
	if change.Replacement == types.ReplacementTrue {
		change.PolicyAction = types.PolicyActionReplaceAndDelete
		if written.UpdateReplacePolicy == "Retain" {
			change.PolicyAction = types.PolicyActionReplaceAndRetain
		}
	}
	return change, nil
}

// properties adds what changes of a resource's properties.
func (p *planner) properties(id string, written template.Resource, rec record, change *types.ResourceChange) error {
	names := map[string]bool{}
	for name := range written.Properties {
		names[name] = true
	}
	for name := range rec.Live.Properties {
		names[name] = true
	}
	kind := p.s.typeFor(written.Type)
	for _, name := range sortedKeys(names) {
		var value any
		var err error
		if raw, given := written.Properties[name]; given {
			value, err = p.t.Evaluate(raw, p.env)
		}
		isUnknown := errors.Is(err, template.ErrUnknown)
		switch {
		case err != nil && !isUnknown:
			return invalid("%s", err)
		case !isUnknown && same(value, rec.Live.Properties[name]):
			continue
		}
		target := &types.ResourceTargetDefinition{Attribute: types.ResourceAttributeProperties, Name: aws.String(name), RequiresRecreation: types.RequiresRecreationNever}
		if replaces(kind, name) {
			target.RequiresRecreation = types.RequiresRecreationAlways
			if isUnknown {
				target.RequiresRecreation = types.RequiresRecreationConditionally
			}
		}
		switch {
		case target.RequiresRecreation == types.RequiresRecreationAlways:
			change.Replacement = types.ReplacementTrue
		case target.RequiresRecreation == types.RequiresRecreationConditionally && change.Replacement == "":
			change.Replacement = types.ReplacementConditional
		}
		change.Details = append(change.Details, p.detail(id, name, target, isUnknown))
		addScope(change, types.ResourceAttributeProperties)
	}
	return nil
}

func addScope(change *types.ResourceChange, scope types.ResourceAttribute) {
	if !slices.Contains(change.Scope, scope) {
		change.Scope = append(change.Scope, scope)
	}
}

// detail says why a property changes: because the template does, or what it refers to.
func (p *planner) detail(id, name string, target *types.ResourceTargetDefinition, isUnknown bool) types.ResourceChangeDetail {
	d := types.ResourceChangeDetail{Target: target, Evaluation: types.EvaluationTypeStatic, ChangeSource: types.ChangeSourceDirectModification}
	if isUnknown {
		d.Evaluation = types.EvaluationTypeDynamic
	}
	raw := p.t.Resources[id].Properties[name]
	if p.before == nil || !same(raw, p.before.Resources[id].Properties[name]) {
		return d
	}
	for _, cause := range references(raw) {
		logicalID, _, isAttribute := strings.Cut(cause, ".")
		_, isParameter := p.t.Parameters[cause]
		switch {
		case isParameter:
			d.ChangeSource = types.ChangeSourceParameterReference
		case p.fate[logicalID] == fateKept:
			continue
		case isAttribute:
			d.ChangeSource = types.ChangeSourceResourceAttribute
		default:
			d.ChangeSource = types.ChangeSourceResourceReference
		}
		d.CausingEntity = aws.String(cause)
		return d
	}
	return d
}

// rest adds what changes and is no property.
func (p *planner) rest(written template.Resource, rec record, change *types.ResourceChange) {
	add := func(attribute types.ResourceAttribute) {
		change.Details = append(change.Details, types.ResourceChangeDetail{
			Target:     &types.ResourceTargetDefinition{Attribute: attribute, RequiresRecreation: types.RequiresRecreationNever},
			Evaluation: types.EvaluationTypeStatic, ChangeSource: types.ChangeSourceDirectModification,
		})
		addScope(change, attribute)
	}
	if !same(written.Metadata, rec.Live.Metadata) {
		add(types.ResourceAttributeMetadata)
	}
	if written.DeletionPolicy != rec.Live.DeletionPolicy {
		add(types.ResourceAttributeDeletionPolicy)
	}
	if written.UpdateReplacePolicy != rec.Live.UpdateReplacePolicy {
		add(types.ResourceAttributeUpdateReplacePolicy)
	}
	if takesTags(p.s.typeFor(written.Type)) && !maps.Equal(rec.Live.Tags, tagMap(p.env.revision.Tags)) {
		add(types.ResourceAttributeTags)
	}
}

// references returns what a value of a template refers to, as in "Function" and
// "Function.Arn", in the order of the text.
func references(raw any) (found []string) {
	switch v := raw.(type) {
	case []any:
		for _, element := range v {
			found = append(found, references(element)...)
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			member := v[key]
			name, isText := member.(string)
			list, isList := member.([]any)
			switch {
			case key == "Ref" && isText:
				found = append(found, name)
			case key == "Fn::GetAtt" && isText:
				found = append(found, name)
			case key == "Fn::GetAtt" && isList && len(list) == 2:
				found = append(found, fmt.Sprint(list[0])+"."+fmt.Sprint(list[1]))
			case key == "Fn::Sub":
				text := name
				if isList && len(list) > 0 {
					text = fmt.Sprint(list[0])
				}
				for _, part := range strings.Split(text, "${")[1:] {
					if variable, _, closed := strings.Cut(part, "}"); closed && !strings.HasPrefix(variable, "!") {
						found = append(found, variable)
					}
				}
				found = append(found, references(list)...)
			default:
				found = append(found, references(member)...)
			}
		}
	}
	return found
}
