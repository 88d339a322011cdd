package ssm_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/tasuki-dev/tasuki/localaws/localawstest"
)

const parameterResource = types.ResourceTypeForTaggingParameter

func (e endpoint) tags(name string) map[string]string {
	e.Helper()
	tags := map[string]string{}
	for _, tag := range localawstest.Call(e, e.ListTagsForResource, &sdk.ListTagsForResourceInput{ResourceType: parameterResource, ResourceId: &name}).TagList {
		tags[*tag.Key] = *tag.Value
	}
	return tags
}

func tagList(tags map[string]string) (list []types.Tag) {
	for key, value := range tags {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return list
}

func TestTags(t *testing.T) {
	e := start(t)
	want := map[string]string{"a": "1", "b": ""}
	localawstest.Call(e, e.PutParameter, &sdk.PutParameterInput{Name: aws.String("/p"), Value: aws.String("v"), Type: types.ParameterTypeString, Tags: tagList(want)})
	if diff := cmp.Diff(want, e.tags("/p")); diff != "" {
		t.Error(diff)
	}
	localawstest.Call(e, e.AddTagsToResource, &sdk.AddTagsToResourceInput{ResourceType: parameterResource, ResourceId: aws.String("/p"), Tags: tagList(map[string]string{"b": "2", "c": "3"})})
	e.stalely(func() {
		if diff := cmp.Diff(want, e.tags("/p")); diff != "" {
			t.Errorf("a stale read: %s", diff)
		}
	})
	localawstest.Call(e, e.RemoveTagsFromResource, &sdk.RemoveTagsFromResourceInput{ResourceType: parameterResource, ResourceId: aws.String("/p"), TagKeys: []string{"a", "none"}})
	e.put("/p", "overwriting keeps the tags")
	if diff := cmp.Diff(map[string]string{"b": "2", "c": "3"}, e.tags("/p")); diff != "" {
		t.Error(diff)
	}
	localawstest.Call(e, e.DeleteParameter, &sdk.DeleteParameterInput{Name: aws.String("/p")})
	e.put("/p", "v")
	if got := e.tags("/p"); len(got) != 0 {
		t.Errorf("a new parameter has the deleted one's tags: %v", got)
	}
}

func TestTagsRefused(t *testing.T) {
	e := start(t)
	e.put("/p", "v")
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprint(i)] = ""
	}
	localawstest.Call(e, e.AddTagsToResource, &sdk.AddTagsToResourceInput{ResourceType: parameterResource, ResourceId: aws.String("/p"), Tags: tagList(many)})
	one := tagList(map[string]string{"k": "v"})
	// The model gives these exceptions no message, and so the client shows none.
	tests := []struct {
		name          string
		kind          types.ResourceTypeForTagging
		id            string
		code, message string
	}{
		{"51st tag", parameterResource, "/p", "TooManyTagsError", ""},
		{"missing", parameterResource, "/none", "InvalidResourceId", ""},
		{"other kind", types.ResourceTypeForTaggingDocument, "/p", "NotImplemented", "AddTagsToResource for a Document of ssm is not provided by tasuki local."},
		{"unknown kind", "Thing", "/p", "ValidationException", "1 validation error detected: Value 'Thing' at 'resourceType' failed to satisfy constraint: Member must satisfy enum value set: [Document, ManagedInstance, MaintenanceWindow, Parameter, PatchBaseline, OpsItem, OpsMetadata, Automation, Association, CloudConnector]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := endpoint{t, e.Client, e.stale}
			_, err := e.AddTagsToResource(t.Context(), &sdk.AddTagsToResourceInput{ResourceType: test.kind, ResourceId: &test.id, Tags: one})
			e.fails(err, test.code, test.message)
		})
	}
	if got := e.tags("/p"); !maps.Equal(got, many) {
		t.Errorf("after refusals there are %d tags, want 50", len(got))
	}
	_, err := e.ListTagsForResource(t.Context(), &sdk.ListTagsForResourceInput{ResourceType: parameterResource, ResourceId: aws.String("/none")})
	e.fails(err, "InvalidResourceId", "")
}
