package ssm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/tasuki-dev/tasuki/localaws/ssm"
	"github.com/tasuki-dev/tasuki/localaws/state"
	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// The SDK's client checks required members itself; other clients need not.
func TestRequiredMembers(t *testing.T) {
	store, err := state.Temporary()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := ssm.New(store, account, region)
	name := aws.String("/a")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"PutParameter, name", failure(s.PutParameter, &sdk.PutParameterInput{Value: name}), "Value null at 'name'"},
		{"PutParameter, value", failure(s.PutParameter, &sdk.PutParameterInput{Name: name}), "Value null at 'value'"},
		{"PutParameter, tag's key", failure(s.PutParameter, &sdk.PutParameterInput{Name: name, Value: name, Tags: []types.Tag{{Value: name}}}), "Value null at 'tags.member.key'"},
		{"PutParameter, tag's value", failure(s.PutParameter, &sdk.PutParameterInput{Name: name, Value: name, Tags: []types.Tag{{Key: name}}}), "Value null at 'tags.member.value'"},
		{"GetParameter", failure(s.GetParameter, &sdk.GetParameterInput{}), "Value null at 'name'"},
		{"GetParameterHistory", failure(s.GetParameterHistory, &sdk.GetParameterHistoryInput{}), "Value null at 'name'"},
		{"GetParametersByPath", failure(s.GetParametersByPath, &sdk.GetParametersByPathInput{}), "Value null at 'path'"},
		{"DeleteParameter", failure(s.DeleteParameter, &sdk.DeleteParameterInput{}), "Value null at 'name'"},
		{"LabelParameterVersion", failure(s.LabelParameterVersion, &sdk.LabelParameterVersionInput{Labels: []string{"l"}}), "Value null at 'name'"},
		{"UnlabelParameterVersion", failure(s.UnlabelParameterVersion, &sdk.UnlabelParameterVersionInput{Name: name, Labels: []string{"l"}}), "Value null at 'parameterVersion'"},
		{"AddTagsToResource, id", failure(s.AddTagsToResource, &sdk.AddTagsToResourceInput{ResourceType: parameterResource, Tags: []types.Tag{}}), "Value null at 'resourceId'"},
		{"AddTagsToResource, tags", failure(s.AddTagsToResource, &sdk.AddTagsToResourceInput{ResourceType: parameterResource, ResourceId: name}), "Value null at 'tags'"},
		{"RemoveTagsFromResource", failure(s.RemoveTagsFromResource, &sdk.RemoveTagsFromResourceInput{ResourceType: parameterResource, ResourceId: name}), "Value null at 'tagKeys'"},
		{"ListTagsForResource", failure(s.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceType: parameterResource}), "Value null at 'resourceId'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got *wire.Error
			want := "1 validation error detected: " + test.want + " failed to satisfy constraint: Member must not be null"
			if !errors.As(test.err, &got) || got.Code != "ValidationException" || got.Message != want {
				t.Errorf("got %v, want %s", test.err, want)
			}
		})
	}
}

func failure[In, Out any](operation func(context.Context, *In) (*Out, error), in *In) error {
	_, err := operation(context.Background(), in)
	return err
}
