package cloudformation

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/tasuki-dev/tasuki/localaws/cloudformation/template"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// ValidateTemplate reads a template and says what it takes.
func (s *Service) ValidateTemplate(ctx context.Context, in *cloudformation.ValidateTemplateInput) (*cloudformation.ValidateTemplateOutput, error) {
	t, err := s.read(ctx, draft{body: in.TemplateBody, url: in.TemplateURL}, nil)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ValidateTemplateOutput{Parameters: []types.TemplateParameter{}, Description: aws.String(t.Description)}
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		out.Parameters = append(out.Parameters, types.TemplateParameter{ParameterKey: aws.String(name), DefaultValue: p.Default, NoEcho: aws.Bool(p.NoEcho), Description: text(p.Description)})
	}
	out.Capabilities, out.CapabilitiesReason = capabilities(t)
	return out, nil
}

// GetTemplateSummary says what a template has, be it a stack's or not.
func (s *Service) GetTemplateSummary(ctx context.Context, in *cloudformation.GetTemplateSummaryInput) (*cloudformation.GetTemplateSummaryOutput, error) {
	if in.StackSetName != nil {
		return nil, wire.NotProvided("cloudformation", "the option StackSetName")
	}
	var old *revision
	if in.StackName != nil {
		st, _, err := s.snapshot(*in.StackName)
		if err != nil {
			return nil, err
		}
		old = &st.Deployed
	}
	t, err := s.read(ctx, draft{body: in.TemplateBody, url: in.TemplateURL, usePrevious: aws.Bool(old != nil)}, old)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.GetTemplateSummaryOutput{Parameters: []types.ParameterDeclaration{}, Description: text(t.Description), Version: aws.String("2010-09-09")}
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		declared := types.ParameterDeclaration{
			ParameterKey: aws.String(name), DefaultValue: p.Default, ParameterType: aws.String(p.Type), NoEcho: aws.Bool(p.NoEcho), Description: text(p.Description),
			ParameterConstraints: &types.ParameterConstraints{AllowedValues: p.Allowed},
		}
		out.Parameters = append(out.Parameters, declared)
	}
	for _, id := range sortedKeys(t.Resources) {
		if name := t.Resources[id].Type; !slices.Contains(out.ResourceTypes, name) {
			out.ResourceTypes = append(out.ResourceTypes, name)
		}
	}
	out.Capabilities, out.CapabilitiesReason = capabilities(t)
	return out, nil
}

// read returns the template that a request means.
func (s *Service) read(ctx context.Context, d draft, old *revision) (*template.Template, error) {
	body, err := s.templateBody(ctx, d, old)
	if err != nil {
		return nil, err
	}
	return parse(body)
}

// capabilities returns what a template needs, and why.
func capabilities(t *template.Template) ([]types.Capability, *string) {
	capability, because := needed(t)
	if capability == "" {
		return nil, nil
	}
	return []types.Capability{capability}, aws.String(fmt.Sprintf("The following resource(s) require capabilities: [%s]", joined(because)))
}

// GetTemplate returns the template of a stack or of a change set as it was given.
func (s *Service) GetTemplate(_ context.Context, in *cloudformation.GetTemplateInput) (*cloudformation.GetTemplateOutput, error) {
	out := &cloudformation.GetTemplateOutput{StagesAvailable: []types.TemplateStage{types.TemplateStageOriginal, types.TemplateStageProcessed}}
	if in.ChangeSetName != nil {
		c, err := s.getChangeSet(*in.ChangeSetName, in.StackName)
		if err != nil {
			return nil, err
		}
		out.TemplateBody = text(c.Revision.Template)
		return out, nil
	}
	st, _, err := s.snapshot(aws.ToString(in.StackName))
	if err != nil {
		return nil, err
	}
	out.TemplateBody = text(st.Deployed.Template)
	return out, nil
}
