package resource

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

const longestParameterName = 1011 // characters

// parameter is AWS::SSM::Parameter.
func parameter() Type {
	return Type{
		Name: "AWS::SSM::Parameter",
		Properties: map[string]Property{
			"AllowedPattern": text(), "DataType": text(), "Description": text(), "Name": text(), "Policies": text(),
			"Tags": mapOf(text()), "Tier": text(), "Type": required(text()), "Value": required(text()),
		},
		CreateOnly: []string{"Name"},
		Attributes: []string{"Type", "Value"},
		Create:     createParameter,
		Update:     updateParameter,
		Read:       readParameter,
		Unread:     []string{"AllowedPattern", "Description", "Policies", "Tier"},
		Delete: func(ctx context.Context, r Request) error {
			_, err := ssm.NewFromConfig(r.AWS).DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &r.PhysicalID})
			return unlessMissing(err)
		},
	}
}

func createParameter(ctx context.Context, r Request) (Result, error) {
	in := &ssm.PutParameterInput{}
	if err := decode(without(r.Properties, "Tags"), in); err != nil {
		return Result{}, err
	}
	if in.Name == nil {
		in.Name = aws.String(r.name(longestParameterName, "CFN"))
	}
	in.Tags = r.parameterTags()
	_, err := ssm.NewFromConfig(r.AWS).PutParameter(ctx, in)
	r.PhysicalID = *in.Name
	switch {
	case r.mine(err):
		return updateParameter(ctx, r)
	case err != nil:
		return Result{}, err
	}
	return r.parameterResult(), nil
}

func updateParameter(ctx context.Context, r Request) (Result, error) {
	client := ssm.NewFromConfig(r.AWS)
	in := &ssm.PutParameterInput{}
	if err := decode(without(r.Properties, "Tags"), in); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	in.Name, in.Overwrite = &r.PhysicalID, aws.Bool(true)
	if _, err := client.PutParameter(ctx, in); err != nil {
		return Result{PhysicalID: r.PhysicalID}, err
	}
	if !r.retagged() {
		return r.parameterResult(), nil
	}
	if gone := r.goneTags(); len(gone) > 0 {
		if _, err := client.RemoveTagsFromResource(ctx, &ssm.RemoveTagsFromResourceInput{
			ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: &r.PhysicalID, TagKeys: gone,
		}); err != nil {
			return r.parameterResult(), err
		}
	}
	_, err := client.AddTagsToResource(ctx, &ssm.AddTagsToResourceInput{
		ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: &r.PhysicalID, Tags: r.parameterTags(),
	})
	return r.parameterResult(), err
}

func (r Request) parameterResult() Result {
	return Result{PhysicalID: r.PhysicalID, Attributes: map[string]any{"Type": r.text("Type"), "Value": r.text("Value")}}
}

func (r Request) parameterTags() []types.Tag {
	return pairs(r.tags(), func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}
